import Model

/// RocketMQ remoting protocol. Stateless. Source: agent-l7-protocols.md 21.
struct RocketMQParser {
    /// Total length is below 64 KiB.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xffff == 0 }

    /// Responses, too: direction is told by the flag of the header, not by who sends.
    static func detects(_ payload: RawSpan) -> Bool {
        guard let frame = Frame(payload, at: 0),
            let header = RocketMQHeader(payload, frame.header, isJSON: frame.isJSON)
        else { return false }
        return header.isPlausible
    }

    func parse(_ payload: RawSpan, _ context: L7ParseContext, into out: inout L7Output) -> L7ParseResult {
        let before = out.messages.count
        var at = 0
        while let frame = Frame(payload, at: at),
            let header = RocketMQHeader(payload, frame.header, isJSON: frame.isJSON)
        {
            log(header, frame, payload, context, out.messages.add())
            at = frame.next
        }
        return out.messages.count > before ? .parsed : .failed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard payload.byteCount &- at >= 4 else { return .cut }
        let length = Int(payload.be32(at: at))
        return Frame.lengths.contains(length) ? .next(at &+ 4 &+ length) : .foreign
    }

    private func log(
        _ header: RocketMQHeader, _ frame: Frame, _ payload: RawSpan, _ context: L7ParseContext,
        _ message: UnsafeMutablePointer<L7Message>
    ) {
        // A followed stream gives each frame by itself, and may cut it.
        let length = context.followsStream ? context.payloadSize &- 4 : frame.length
        message.pointee.sessionID = UInt32(bitPattern: header.opaque)
        message.pointee.hasSessionID = true
        message.pointee.log.version = RocketMQVersion.name(header.version)
        message.pointee.log.requestResource = header.topic
        if !header.topic.isEmpty, !header.queueID.isEmpty {
            message.pointee.log.endpoint = header.topic + "-" + header.queueID
        }
        var properties = RocketMQProperties()
        if header.isResponse {
            message.pointee.type = .response
            message.pointee.log.responseLength = Int32(clamping: length)
            message.pointee.log.responseCode = header.code
            message.pointee.log.responseStatus = RocketMQCode.status(ofResponse: header.code).rawValue
            message.pointee.log.responseException = header.remark
        } else {
            message.pointee.log.requestLength = Int32(clamping: length)
            message.pointee.log.requestType = RocketMQCode.requestName(header.code) ?? ""
            // Sending names the producers, everything else the consumers.
            let names = [10, 310, 320].contains(header.code) ? header.producerGroup : header.consumerGroup
            message.pointee.log.requestDomain = names
            message.pointee.log.responseCode = 0
            if header.isOneWay {
                message.pointee.type = .session
                message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
            } else {
                message.pointee.type = .request
                properties.read(header.properties.span.bytes, 0..<header.properties.count)
            }
        }
        if header.remark == "FOUND", let text = Self.bodyProperties(payload, frame.body) {
            properties.read(payload, text)
        }
        message.pointee.log.changeExt { ext in
            ext.requestID = UInt32(bitPattern: header.opaque)
            ext.xRequestID0 = properties.key
            ext.xRequestID1 = properties.key
        }
        message.pointee.log.trace = properties.tags.trace
    }

    /// Properties of the first stored message in a body. Source: RocketMQ `MessageDecoder`.
    private static func bodyProperties(_ payload: RawSpan, _ body: Range<Int>) -> Range<Int>? {
        // Fixed fields, then content, topic and properties with their lengths.
        var at = body.lowerBound &+ 84
        guard body.upperBound &- at >= 4 else { return nil }
        let content = Int(payload.be32(at: at))
        guard content <= body.upperBound &- at &- 4 else { return nil }
        at = at &+ 4 &+ content
        guard at < body.upperBound else { return nil }
        at = at &+ 1 &+ Int(payload.u8(at: at))
        guard body.upperBound &- at >= 2 else { return nil }
        let count = Int(payload.be16(at: at))
        return at &+ 2..<min(at &+ 2 &+ count, body.upperBound)
    }

    /// Lengths, header, body.
    private struct Frame {
        /// What the total length may say.
        static let lengths = 4...65535

        let isJSON: Bool
        /// Bytes behind the total length, as far as they are there.
        let length: Int
        let header: Range<Int>
        let body: Range<Int>
        let next: Int

        init?(_ payload: RawSpan, at: Int) {
            let rest = payload.byteCount &- at &- 4
            guard rest >= 4 else { return nil }
            let total = Int(payload.be32(at: at))
            guard Self.lengths.contains(total) else { return nil }
            length = min(total, rest)
            let type = payload.u8(at: at &+ 4)
            let headerLength = Int(payload.be32(at: at &+ 4) & 0xff_ffff)
            guard type <= 1, headerLength <= length &- 4 else { return nil }
            isJSON = type == 0
            header = at &+ 8..<at &+ 8 &+ headerLength
            next = at &+ 4 &+ length
            body = header.upperBound..<next
        }
    }
}

/// Key, trace and span in the properties of a message: name 1 value 2 name 1 value 2 ...
struct RocketMQProperties {
    private static let traceparent = TraceName("traceparent")
    private static let sw8 = TraceName("sw8")

    private(set) var key = ""
    private(set) var tags = TagCollector()

    mutating func read(_ bytes: RawSpan, _ range: Range<Int>) {
        var at = range.lowerBound
        while at < range.upperBound {
            let end = bytes.firstIndex(of: 2, from: at, to: range.upperBound) ?? range.upperBound
            if let mark = bytes.firstIndex(of: 1, from: at, to: end) { take(bytes, at..<mark, mark &+ 1..<end) }
            at = end &+ 1
        }
    }

    private mutating func take(_ bytes: RawSpan, _ name: Range<Int>, _ value: Range<Int>) {
        switch name.count {
        case 3 where bytes.hasPrefix("KEY", at: name.lowerBound): key = bytes.text(value)
        case 8 where bytes.hasPrefix("UNIQ_KEY", at: name.lowerBound): key = bytes.text(value)
        case 11 where bytes.hasPrefix("traceparent", at: name.lowerBound): take(bytes, Self.traceparent, value, 128)
        case 3 where bytes.hasPrefix("sw8", at: name.lowerBound): take(bytes, Self.sw8, value, 129)
        default: break
        }
    }

    private mutating func take(_ bytes: RawSpan, _ format: TraceName, _ value: Range<Int>, _ priority: UInt8) {
        if let id = format.traceID(bytes, value) { tags.addTrace(id, priority: priority, several: true) }
        if let id = format.spanID(bytes, value) { tags.replaceSpan(id) }
    }
}
