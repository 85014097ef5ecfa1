import Model

/// Trace headers in the properties of a content header. Source: agent-l7-protocols.md 16; AMQP 0-9-1 4.2.5, 4.2.6.1.
enum AMQPContent {
    private static let contentType: UInt16 = 1 << 15
    private static let contentEncoding: UInt16 = 1 << 14
    private static let headers: UInt16 = 1 << 13

    /// In order of preference: only the first one that stands in the table counts.
    private static let names = ["traceparent", "sw8", "sw6", "sw3"].map(TraceName.init)

    static func trace(_ payload: RawSpan, _ body: Range<Int>) -> L7Trace? {
        var reader = AMQPReader(body)
        guard reader.u16(payload) == 60 else { return nil }
        // Weight and body size.
        reader.skip(10)
        let flags = reader.u16(payload)
        guard flags & headers != 0 else { return nil }
        if flags & contentType != 0 { _ = reader.shortString(payload) }
        if flags & contentEncoding != 0 { _ = reader.shortString(payload) }
        let table = reader.longString(payload)
        guard reader.isValid, let (name, value) = find(payload, table) else { return nil }
        return trace(payload, names[name], value)
    }

    /// The preferred trace header of a table and its value.
    private static func find(_ payload: RawSpan, _ table: Range<Int>) -> (name: Int, value: Range<Int>)? {
        var best: (name: Int, value: Range<Int>)?
        var reader = AMQPReader(table)
        while reader.isValid, reader.at < reader.end {
            let key = reader.shortString(payload)
            let type = reader.u8(payload)
            guard type == UInt8(ascii: "S") else {
                guard skipValue(type, payload, &reader) else { break }
                continue
            }
            let value = reader.longString(payload)
            guard reader.isValid else { break }
            if let name = names.firstIndex(where: { $0.header.matches(payload, key) }), name < best?.name ?? .max {
                best = (name, value)
            }
        }
        return best
    }

    /// Passes over a field value. False: of unknown length.
    private static func skipValue(_ type: UInt8, _ payload: RawSpan, _ reader: inout AMQPReader) -> Bool {
        switch type {
        case UInt8(ascii: "V"): break
        case UInt8(ascii: "t"), UInt8(ascii: "b"), UInt8(ascii: "B"): reader.skip(1)
        // As RabbitMQ has it: 0-9-1 makes `s` a short string, which no one sends.
        case UInt8(ascii: "s"), UInt8(ascii: "u"), UInt8(ascii: "U"): reader.skip(2)
        case UInt8(ascii: "I"), UInt8(ascii: "i"), UInt8(ascii: "f"): reader.skip(4)
        case UInt8(ascii: "D"): reader.skip(5)
        case UInt8(ascii: "l"), UInt8(ascii: "L"), UInt8(ascii: "d"), UInt8(ascii: "T"): reader.skip(8)
        case UInt8(ascii: "A"), UInt8(ascii: "F"), UInt8(ascii: "x"): _ = reader.longString(payload)
        default: return false
        }
        return reader.isValid
    }

    private static func trace(_ payload: RawSpan, _ name: TraceName, _ value: Range<Int>) -> L7Trace? {
        var trace = L7Trace()
        if name.format == .sw3 {
            // Trace and span stand alone here, not among the fields of the HTTP header.
            let bar = payload.firstIndex(of: UInt8(ascii: "|"), from: value.lowerBound, to: value.upperBound)
            guard let bar else { return nil }
            trace.traceIDs = [payload.text(value.lowerBound..<bar)]
            let end = payload.firstIndex(of: UInt8(ascii: "|"), from: bar &+ 1, to: value.upperBound)
            trace.spanID = payload.text(bar &+ 1..<(end ?? value.upperBound))
        } else {
            if let id = name.traceID(payload, value), !id.isEmpty { trace.traceIDs = [id] }
            trace.spanID = name.spanID(payload, value) ?? ""
        }
        return trace.traceIDs.isEmpty && trace.spanID.isEmpty ? nil : trace
    }
}
