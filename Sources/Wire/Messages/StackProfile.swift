package import Model

/// A profile in the format of pprof, with the stacks as texts. Source: ingester.md 6.5.
package struct StackProfile: Sendable, Equatable {
    package struct Sample: Sendable, Equatable {
        /// Frames, the outermost first, joined by ";".
        package var stack: String
        /// One a kind of value.
        package var values: [Int64]
    }

    package struct Kind: Sendable, Equatable {
        package var name: String
        package var unit: String
    }

    package private(set) var kinds: [Kind] = []
    package private(set) var samples: [Sample] = []

    /// Texts of all stacks together; a small profile may name a long stack many times.
    static let maxTextBytes = 64 << 20
    /// Kinds, samples, locations, functions and texts.
    static let maxElements = 1 << 20

    /// - Parameter bytes: the message, not compressed.
    package init(pprof bytes: [UInt8]) throws(ParseError) {
        let span = bytes.span.bytes
        var texts: [String] = []
        var kindFields: [(name: Int, unit: Int)] = []
        var sampleRanges: [Range<Int>] = []
        var locations: [UInt64: [UInt64]] = [:]
        var functions: [UInt64: Int] = [:]
        var reader = FieldReader(span, 0..<bytes.count)
        var elements = 0
        while let tag = try reader.tag(span) {
            elements += 1
            guard elements <= Self.maxElements else { throw .malformed(at: reader.position) }
            switch tag {
            case 1 << 3 | 2:
                let numbers = try StackProfile.numbers(span, try reader.block(span), (1, 2))
                kindFields.append((Int(clamping: numbers.0), Int(clamping: numbers.1)))
            case 2 << 3 | 2: sampleRanges.append(try reader.block(span))
            case 4 << 3 | 2:
                let location = try StackProfile.location(span, try reader.block(span))
                locations[location.id] = location.functions
            case 5 << 3 | 2:
                let numbers = try StackProfile.numbers(span, try reader.block(span), (1, 2))
                functions[numbers.0] = Int(clamping: numbers.1)
            case 6 << 3 | 2: texts.append(try reader.string(span))
            default: try reader.skip(span, tag, known: fieldMask(1...2, 4...6))
            }
        }
        func text(_ index: Int) -> String { texts.indices.contains(index) ? texts[index] : "" }
        kinds = kindFields.map { Kind(name: text($0.name), unit: text($0.unit)) }
        var room = Self.maxTextBytes
        for range in sampleRanges {
            let (ids, values) = try StackProfile.sample(span, range)
            // The innermost frame comes first, and of inlined calls the innermost as well.
            var frames: [String] = []
            for id in ids {
                for function in locations[id] ?? [] {
                    let name = text(functions[function] ?? -1)
                    room -= name.utf8.count + 1
                    guard room > 0 else { throw .malformed(at: range.lowerBound) }
                    frames.append(name)
                }
            }
            samples.append(Sample(stack: frames.reversed().joined(separator: ";"), values: values))
        }
    }

    /// Two number fields of a message whose other fields do not matter.
    private static func numbers(
        _ bytes: RawSpan, _ range: Range<Int>, _ wanted: (UInt32, UInt32)
    ) throws(ParseError) -> (UInt64, UInt64) {
        var found: (UInt64, UInt64) = (0, 0)
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            if tag == wanted.0 << 3 {
                found.0 = try reader.u64(bytes)
            } else if tag == wanted.1 << 3 {
                found.1 = try reader.u64(bytes)
            } else {
                try reader.skip(bytes, tag, known: 0)
            }
        }
        return found
    }

    private static func location(
        _ bytes: RawSpan, _ range: Range<Int>
    ) throws(ParseError) -> (id: UInt64, functions: [UInt64]) {
        var id: UInt64 = 0
        var functions: [UInt64] = []
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 0: id = try reader.u64(bytes)
            case 4 << 3 | 2: functions.append(try numbers(bytes, try reader.block(bytes), (1, 2)).0)
            default: try reader.skip(bytes, tag, known: fieldMask(1...1, 4...4))
            }
        }
        return (id, functions)
    }

    private static func sample(
        _ bytes: RawSpan, _ range: Range<Int>
    ) throws(ParseError) -> (locations: [UInt64], values: [Int64]) {
        var locations: [UInt64] = []
        var values: [Int64] = []
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 0: locations.append(try reader.u64(bytes))
            case 1 << 3 | 2: try reader.packed(bytes, into: &locations)
            case 2 << 3 | 0: values.append(Int64(bitPattern: try reader.u64(bytes)))
            case 2 << 3 | 2: try reader.packed(bytes, into: &values)
            default: try reader.skip(bytes, tag, known: fieldMask(1...2))
            }
        }
        return (locations, values)
    }
}
