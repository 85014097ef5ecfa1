package import Model

/// A value of an OpenTelemetry attribute.
package indirect enum OTLPValue: Sendable, Equatable {
    case none
    case string(String)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case array([OTLPValue])
    case list([OTLPAttribute])
    case bytes([UInt8])
}

package struct OTLPAttribute: Sendable, Equatable {
    package var key = ""
    /// Nil: the attribute has no value at all.
    package var value: OTLPValue?

    package init(_ key: String = "", _ value: OTLPValue? = nil) {
        self.key = key
        self.value = value
    }
}

package struct OTLPEvent: Sendable, Equatable {
    package var timeNs: UInt64 = 0
    package var name = ""
    package var attributes: [OTLPAttribute] = []
    package var droppedAttributes: UInt32 = 0
}

package struct OTLPSpan: Sendable, Equatable {
    package var traceID: [UInt8] = []
    package var spanID: [UInt8] = []
    package var parentSpanID: [UInt8] = []
    package var name = ""
    package var kind: Int32 = 0
    package var startNs: UInt64 = 0
    package var endNs: UInt64 = 0
    package var attributes: [OTLPAttribute] = []
    package var events: [OTLPEvent] = []
    /// Attributes of each link; nothing else of a link is stored.
    package var links: [[OTLPAttribute]] = []
    /// Nil: the span has none.
    package var statusCode: Int32?
    package var statusMessage = ""
}

/// The spans of one resource: a process that was instrumented.
package struct OTLPResourceSpans: Sendable, Equatable {
    package var attributes: [OTLPAttribute] = []
    package var spans: [OTLPSpan] = []
}

/// One `TracesData`, which `ExportTraceServiceRequest` equals on the wire. Source: wire.md 7.4.
package struct OTLPTraces: WireDecodable, Equatable {
    package private(set) var resources: [OTLPResourceSpans] = []
    package static var skipsBadRecords: Bool { false }

    /// Attributes, values, spans and events of one record: each takes many times the bytes that it has on the wire.
    static let maxElements = 1 << 20
    /// Lists within lists.
    static let maxDepth = 64

    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        var parser = OTLPParser(elementsLeft: Self.maxElements)
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2:
                var message = try reader.message(bytes)
                resources.append(try parser.resourceSpans(bytes, &message))
            default: try reader.skip(bytes, tag, known: fieldMask(1...1))
            }
        }
    }
}

private struct OTLPParser {
    var elementsLeft: Int

    private mutating func count(_ reader: borrowing FieldReader) throws(ParseError) {
        elementsLeft -= 1
        guard elementsLeft >= 0 else { throw .malformed(at: reader.position) }
    }

    mutating func resourceSpans(
        _ bytes: RawSpan, _ reader: inout FieldReader
    ) throws(ParseError) -> OTLPResourceSpans {
        try count(reader)
        var found = OTLPResourceSpans()
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2:
                var resource = try reader.message(bytes)
                while let tag = try resource.tag(bytes) {
                    switch tag {
                    case 1 << 3 | 2:
                        var message = try resource.message(bytes)
                        found.attributes.append(try attribute(bytes, &message, depth: 0))
                    default: try resource.skip(bytes, tag, known: fieldMask(1...2))
                    }
                }
            case 2 << 3 | 2:
                var scope = try reader.message(bytes)
                while let tag = try scope.tag(bytes) {
                    switch tag {
                    case 2 << 3 | 2:
                        var message = try scope.message(bytes)
                        found.spans.append(try span(bytes, &message))
                    // The scope itself (1) is not stored.
                    default: try scope.skip(bytes, tag, known: fieldMask(2...2))
                    }
                }
            default: try reader.skip(bytes, tag, known: fieldMask(1...2))
            }
        }
        return found
    }

    private mutating func span(_ bytes: RawSpan, _ reader: inout FieldReader) throws(ParseError) -> OTLPSpan {
        try count(reader)
        var span = OTLPSpan()
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: span.traceID = try reader.octets(bytes)
            case 2 << 3 | 2: span.spanID = try reader.octets(bytes)
            case 4 << 3 | 2: span.parentSpanID = try reader.octets(bytes)
            case 5 << 3 | 2: span.name = try reader.string(bytes)
            case 6 << 3 | 0: span.kind = try reader.i32(bytes)
            case 7 << 3 | 1: span.startNs = try reader.fixed64(bytes)
            case 8 << 3 | 1: span.endNs = try reader.fixed64(bytes)
            case 9 << 3 | 2:
                var message = try reader.message(bytes)
                span.attributes.append(try attribute(bytes, &message, depth: 0))
            case 11 << 3 | 2:
                var message = try reader.message(bytes)
                span.events.append(try event(bytes, &message))
            case 13 << 3 | 2:
                var message = try reader.message(bytes)
                span.links.append(try link(bytes, &message))
            case 15 << 3 | 2:
                var message = try reader.message(bytes)
                span.statusCode = span.statusCode ?? 0
                while let tag = try message.tag(bytes) {
                    switch tag {
                    case 2 << 3 | 2: span.statusMessage = try message.string(bytes)
                    case 3 << 3 | 0: span.statusCode = try message.i32(bytes)
                    default: try message.skip(bytes, tag, known: fieldMask(2...3))
                    }
                }
            // Trace state (3), counts of what was dropped (10, 12, 14) and flags (16) are not stored.
            default: try reader.skip(bytes, tag, known: fieldMask(1...2, 4...9, 11...11, 13...13, 15...15))
            }
        }
        return span
    }

    private mutating func event(_ bytes: RawSpan, _ reader: inout FieldReader) throws(ParseError) -> OTLPEvent {
        try count(reader)
        var event = OTLPEvent()
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 1: event.timeNs = try reader.fixed64(bytes)
            case 2 << 3 | 2: event.name = try reader.string(bytes)
            case 3 << 3 | 2:
                var message = try reader.message(bytes)
                event.attributes.append(try attribute(bytes, &message, depth: 0))
            case 4 << 3 | 0: event.droppedAttributes = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: fieldMask(1...4))
            }
        }
        return event
    }

    private mutating func link(
        _ bytes: RawSpan, _ reader: inout FieldReader
    ) throws(ParseError) -> [OTLPAttribute] {
        try count(reader)
        var attributes: [OTLPAttribute] = []
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 4 << 3 | 2:
                var message = try reader.message(bytes)
                attributes.append(try attribute(bytes, &message, depth: 0))
            default: try reader.skip(bytes, tag, known: fieldMask(4...4))
            }
        }
        return attributes
    }

    private mutating func attribute(
        _ bytes: RawSpan, _ reader: inout FieldReader, depth: Int
    ) throws(ParseError) -> OTLPAttribute {
        try count(reader)
        var attribute = OTLPAttribute()
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: attribute.key = try reader.string(bytes)
            case 2 << 3 | 2:
                var message = try reader.message(bytes)
                attribute.value = try value(bytes, &message, depth: depth)
            default: try reader.skip(bytes, tag, known: fieldMask(1...2))
            }
        }
        return attribute
    }

    /// The last of several values counts.
    private mutating func value(
        _ bytes: RawSpan, _ reader: inout FieldReader, depth: Int
    ) throws(ParseError) -> OTLPValue {
        try count(reader)
        guard depth < OTLPTraces.maxDepth else { throw .malformed(at: reader.position) }
        var value = OTLPValue.none
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: value = .string(try reader.string(bytes))
            case 2 << 3 | 0: value = .bool(try reader.u64(bytes) != 0)
            case 3 << 3 | 0: value = .int(Int64(bitPattern: try reader.u64(bytes)))
            case 4 << 3 | 1: value = .double(try reader.double(bytes))
            case 5 << 3 | 2:
                var message = try reader.message(bytes)
                var values: [OTLPValue] = []
                while let tag = try message.tag(bytes) {
                    guard tag == 1 << 3 | 2 else {
                        try message.skip(bytes, tag, known: fieldMask(1...1))
                        continue
                    }
                    var element = try message.message(bytes)
                    values.append(try self.value(bytes, &element, depth: depth + 1))
                }
                value = .array(values)
            case 6 << 3 | 2:
                var message = try reader.message(bytes)
                var pairs: [OTLPAttribute] = []
                while let tag = try message.tag(bytes) {
                    guard tag == 1 << 3 | 2 else {
                        try message.skip(bytes, tag, known: fieldMask(1...1))
                        continue
                    }
                    var element = try message.message(bytes)
                    pairs.append(try attribute(bytes, &element, depth: depth + 1))
                }
                value = .list(pairs)
            case 7 << 3 | 2: value = .bytes(try reader.octets(bytes))
            default: try reader.skip(bytes, tag, known: fieldMask(1...7))
            }
        }
        return value
    }
}
