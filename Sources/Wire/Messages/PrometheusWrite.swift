package import Model

/// One remote-write request with the labels that its agent adds. Source: wire.md 7.6.
///
/// The series are read out of the inflated bytes one at a time: a request of a few bytes a label would else take many
/// times its size.
package struct PrometheusWrite: WireDecodable {
    package struct Label: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package struct Sample: Sendable, Equatable {
        package var value: Double
        package var timestampMs: Int64

        package init(_ value: Double, ms: Int64) {
            self.value = value
            timestampMs = ms
        }
    }

    package struct Series: Sendable, Equatable {
        package var labels: [Label] = []
        package var samples: [Sample] = []
    }

    /// Of an inflated request; senders make them of a few thousand samples.
    package static let inflateLimit = 32 << 20
    package static var skipsBadRecords: Bool { true }

    package private(set) var extraLabels: [Label] = []
    /// The plain `WriteRequest`, known to be well formed.
    private let request: [UInt8]

    /// - Throws: also when the request does not inflate or is no `WriteRequest`, or extra labels lack a value.
    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        var reader = FieldReader(bytes, range)
        var block = range.lowerBound..<range.lowerBound
        var names: [String] = []
        var values: [String] = []
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: block = try reader.block(bytes)
            case 2 << 3 | 2: names.append(try reader.string(bytes))
            case 3 << 3 | 2: values.append(try reader.string(bytes))
            default: try reader.skip(bytes, tag, known: fieldMask(1...3))
            }
        }
        guard names.count == values.count else { throw .malformed(at: range.lowerBound) }
        extraLabels = zip(names, values).map { Label($0, $1) }
        do throws(InflateError) {
            request = try Snappy.inflate(bytes, block, limit: Self.inflateLimit)
        } catch {
            throw .malformed(at: block.lowerBound)
        }
        try walk(isDry: true) { _ in }
    }

    /// Every series in order, without the extra labels.
    package func forEachSeries(_ body: (Series) -> Void) {
        // Walked before without an error.
        try? walk(isDry: false, body)
    }

    private func walk(isDry: Bool, _ body: (Series) -> Void) throws(ParseError) {
        let bytes = request.span.bytes
        var reader = FieldReader(bytes, 0..<request.count)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2:
                var message = try reader.message(bytes)
                let series = try PrometheusWrite.series(bytes, &message, isDry: isDry)
                if !isDry { body(series) }
            default: try reader.skip(bytes, tag, known: fieldMask(1...1))
            }
        }
    }

    private static func series(
        _ bytes: RawSpan, _ reader: inout FieldReader, isDry: Bool
    ) throws(ParseError) -> Series {
        var series = Series()
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2:
                var message = try reader.message(bytes)
                let label = try label(bytes, &message, isDry: isDry)
                if !isDry { series.labels.append(label) }
            case 2 << 3 | 2:
                var message = try reader.message(bytes)
                let sample = try sample(bytes, &message)
                if !isDry { series.samples.append(sample) }
            // Exemplars (3) and native histograms (4) have no table.
            default: try reader.skip(bytes, tag, known: fieldMask(1...2))
            }
        }
        return series
    }

    private static func label(
        _ bytes: RawSpan, _ reader: inout FieldReader, isDry: Bool
    ) throws(ParseError) -> Label {
        var label = Label("", "")
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2 where isDry, 2 << 3 | 2 where isDry: _ = try reader.block(bytes)
            case 1 << 3 | 2: label.name = try reader.string(bytes)
            case 2 << 3 | 2: label.value = try reader.string(bytes)
            default: try reader.skip(bytes, tag, known: fieldMask(1...2))
            }
        }
        return label
    }

    private static func sample(_ bytes: RawSpan, _ reader: inout FieldReader) throws(ParseError) -> Sample {
        var sample = Sample(0, ms: 0)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 1: sample.value = try reader.double(bytes)
            case 2 << 3 | 0: sample.timestampMs = Int64(bitPattern: try reader.u64(bytes))
            default: try reader.skip(bytes, tag, known: fieldMask(1...2))
            }
        }
        return sample
    }
}
