import Model

/// Dubbo 2. Stateless. Source: agent-l7-protocols.md 9.
struct DubboParser {
    /// The 16 bytes in front of a body.
    private struct Header {
        static let length = 16
        static let magic: UInt16 = 0xdabb

        var flags: UInt8
        var status: UInt8
        var requestID: UInt64
        var bodyLength: Int

        init?(_ payload: RawSpan, at: Int) {
            guard payload.byteCount &- at >= Header.length, payload.be16(at: at) == Header.magic else { return nil }
            flags = payload.u8(at: at &+ 2)
            status = payload.u8(at: at &+ 3)
            requestID = payload.be64(at: at &+ 4)
            bodyLength = Int(payload.be32(at: at &+ 12))
        }

        var isRequest: Bool { flags & 0x80 != 0 }
        /// A heart-beat or another message of the connection itself.
        var isEvent: Bool { flags & 0x20 != 0 }
        var serialization: UInt8 { flags & 0x1f }
    }

    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xffff == 0xbbda }

    static func detects(_ payload: RawSpan) -> Bool {
        guard let header = Header(payload, at: 0) else { return false }
        return header.isRequest && !header.isEvent && header.status == 0
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        var at = 0
        let before = out.messages.count
        while let header = Header(payload, at: at) {
            let body = at &+ Header.length
            let next = body &+ header.bodyLength
            if !header.isEvent {
                Self.log(
                    header, payload, body..<min(next, payload.byteCount), context, settings, offset: at,
                    out.messages.add(), out.texts)
            }
            at = next
        }
        return out.messages.count > before ? .parsed : .failed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let header = Header(payload, at: at) { return .next(at &+ Header.length &+ header.bodyLength) }
        return payload.byteCount &- at < Header.length && payload.u8(at: at) == 0xda ? .cut : .foreign
    }

    private static func log(
        _ header: Header, _ payload: RawSpan, _ body: Range<Int>, _ context: L7ParseContext,
        _ settings: borrowing L7Settings, offset: Int, _ message: UnsafeMutablePointer<L7Message>,
        _ texts: borrowing TextCache
    ) {
        message.pointee.set(header.isRequest ? .request : .response, isFromClient: header.isRequest, context)
        message.pointee.sessionID = UInt32(truncatingIfNeeded: header.requestID)
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        let length = Int32(clamping: header.bodyLength)
        if header.isRequest {
            message.pointee.log.requestLength = length
            readBody(DubboBody(header.serialization, payload, body), payload, settings.trace, message, texts)
        } else {
            message.pointee.log.responseLength = length
            message.pointee.log.responseCode = Int32(header.status)
            message.pointee.log.responseStatus = status(of: header.status).rawValue
        }
        let service = message.pointee.log.requestResource
        message.pointee.log.changeExt { ext in
            ext.requestID = UInt32(truncatingIfNeeded: header.requestID)
            ext.rpcService = service
            ext.attributeNames = serializationAttribute
            ext.attributeValues = header.serialization == 2 ? hessian2 : [name(ofSerialization: header.serialization)]
        }
    }

    /// Four texts, then attachments among which trace ids may be.
    private static func readBody(
        _ body: consuming DubboBody, _ payload: RawSpan, _ trace: borrowing L7TraceSettings,
        _ message: UnsafeMutablePointer<L7Message>, _ texts: borrowing TextCache
    ) {
        guard let version = body.nextText(payload, texts) else { return }
        message.pointee.log.version = version
        guard let service = body.nextText(payload, texts) else { return }
        message.pointee.log.requestDomain = service
        message.pointee.log.requestResource = service
        guard body.nextText(payload, texts) != nil, let method = body.nextText(payload, texts) else { return }
        message.pointee.log.requestType = method
        message.pointee.log.endpoint = service + "/" + method
        var tags = TagCollector()
        for index in 0..<trace.traceNames.count where trace.traceNames[index].isForAttachments {
            guard let value = body.attachment(trace.traceNames[index].spelling, payload) else { continue }
            if let id = trace.traceNames[index].traceID(value.span.bytes, 0..<value.count) {
                tags.addTrace(id, priority: TagCollector.builtIn(0), several: trace.collectsSeveralTraceIDs)
            }
        }
        for index in 0..<trace.spanNames.count where trace.spanNames[index].isForAttachments {
            guard let value = body.attachment(trace.spanNames[index].spelling, payload) else { continue }
            let all = value.span.bytes.text(0..<value.count)
            tags.setSpan(
                trace.spanNames[index].spanID(value.span.bytes, 0..<value.count) ?? all,
                priority: TagCollector.builtIn(0))
        }
        message.pointee.log.trace = tags.trace
    }

    private static func status(of code: UInt8) -> L7ResponseStatus {
        switch code {
        case 30, 40, 90: .clientError
        case 31, 50, 60, 70, 80, 100: .serverError
        default: .ok
        }
    }

    /// Shared by all messages.
    private static let serializationAttribute = ["serialization_id"]
    private static let hessian2 = [name(ofSerialization: 2)]

    private static func name(ofSerialization id: UInt8) -> String {
        switch id {
        case 2: "HESSIAN2"
        case 3: "JAVA"
        case 4: "COMPACTED_JAVA"
        case 6: "FASTJSON"
        case 7: "NATIVE_JAVA"
        case 8: "KRYO"
        case 9: "FST"
        case 10: "NATIVE_HESSIAN"
        case 11: "AVRO"
        case 12: "PROTOSTUFF"
        case 16: "GSON"
        case 21: "PROTOBUF_JSON"
        case 22: "PROTOBUF"
        case 23: "FASTJSON2"
        case 25: "KRYO_"
        case 31: "CUSTO"
        default: String(id)
        }
    }
}
