import Model

/// The standard protocol of bRPC, `baidu_std`. Stateless. Source: agent-l7-protocols.md 12, brpc.apache.org "baidu_std".
struct BrpcParser {
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start == 0x4350_5250 }

    static func detects(_ payload: RawSpan) -> Bool {
        guard let frame = Frame(payload, at: 0), let meta = BrpcMeta(payload, frame.meta), let request = meta.request
        else { return false }
        return !request.service.isEmpty && !request.method.isEmpty
    }

    private struct Frame {
        static let headerLength = 12

        /// Meta and content.
        let length: Int
        /// May end behind the payload.
        let meta: Range<Int>
        let next: Int

        init?(_ payload: RawSpan, at: Int) {
            guard payload.byteCount &- at >= Frame.headerLength, payload.be32(at: at) == 0x5052_5043 else { return nil }
            length = Int(payload.be32(at: at &+ 4))
            let metaLength = Int(payload.be32(at: at &+ 8))
            guard metaLength <= length else { return nil }
            let start = at &+ Frame.headerLength
            meta = start..<start &+ metaLength
            next = start &+ length
        }
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        var at = 0
        let before = out.messages.count
        while let frame = Frame(payload, at: at), let meta = BrpcMeta(payload, frame.meta) {
            if meta.request != nil || meta.response != nil {
                Self.log(meta, frame, payload, context, settings.trace, offset: at, out.messages.add(), out.texts)
            }
            at = frame.next
        }
        return out.messages.count > before ? .parsed : .failed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let frame = Frame(payload, at: at) { return .next(frame.next) }
        return payload.byteCount &- at < Frame.headerLength && payload.u8(at: at) == 0x50 ? .cut : .foreign
    }

    private static func log(
        _ meta: BrpcMeta, _ frame: Frame, _ payload: RawSpan, _ context: L7ParseContext,
        _ settings: borrowing L7TraceSettings, offset: Int, _ message: UnsafeMutablePointer<L7Message>,
        _ texts: borrowing TextCache
    ) {
        let requestID = UInt32(truncatingIfNeeded: meta.correlationID >> 32)
        message.pointee.sessionID = requestID
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        let length = Int32(clamping: frame.length &+ Frame.headerLength)
        if let request = meta.request {
            message.pointee.set(.request, isFromClient: true, context)
            message.pointee.log.requestLength = length
            let service = texts.text(payload, request.service)
            message.pointee.log.requestResource = service
            message.pointee.log.requestType = texts.text(payload, request.method)
            message.pointee.log.endpoint = service + "/" + message.pointee.log.requestType
        } else if let response = meta.response {
            message.pointee.set(.response, isFromClient: false, context)
            message.pointee.log.responseLength = length
            message.pointee.log.responseCode = response.errorCode
            message.pointee.log.responseException = payload.text(response.errorText)
            message.pointee.log.responseStatus =
                (response.errorCode == 0 ? L7ResponseStatus.ok : .serverError).rawValue
        }
        let tags = tags(meta, payload, settings)
        message.pointee.log.trace = tags.trace
        message.pointee.log.changeExt { ext in
            ext.requestID = requestID
            if let logID = meta.request?.logID { ext.xRequestID0 = String(logID) }
        }
    }

    /// Trace ids are taken only where one is all that is wanted, and then every one is (trap).
    private static func tags(
        _ meta: BrpcMeta, _ payload: RawSpan, _ settings: borrowing L7TraceSettings
    ) -> TagCollector {
        var tags = TagCollector()
        var fields = ProtobufFields(meta.range)
        while let field = fields.next(payload) {
            guard field.number == 9, let entry = field.bytes else { continue }
            var pair = ProtobufFields(entry)
            var (name, value) = (0..<0, 0..<0)
            while let part = pair.next(payload) {
                if part.number == 1 { name = part.bytes ?? name }
                if part.number == 2 { value = part.bytes ?? value }
            }
            for index in 0..<settings.traceNames.count where settings.traceNames[index].header.matches(payload, name) {
                guard !settings.collectsSeveralTraceIDs, let id = settings.traceNames[index].traceID(payload, value)
                else { continue }
                tags.addTrace(id, priority: TagCollector.builtIn(index), several: true)
            }
            for index in 0..<settings.spanNames.count where settings.spanNames[index].header.matches(payload, name) {
                guard let id = settings.spanNames[index].spanID(payload, value) else { continue }
                tags.setSpan(id, priority: TagCollector.builtIn(index))
            }
        }
        return tags
    }
}

/// `RpcMeta` as far as it is logged.
struct BrpcMeta {
    struct Request {
        var service = 0..<0
        var method = 0..<0
        var logID: Int64?
    }

    struct Response {
        var errorCode: Int32 = 0
        var errorText = 0..<0
    }

    let range: Range<Int>
    private(set) var request: Request?
    private(set) var response: Response?
    private(set) var correlationID: UInt64 = 0

    /// Nil when the range is no message that the payload holds whole.
    init?(_ payload: RawSpan, _ range: Range<Int>) {
        guard range.upperBound <= payload.byteCount else { return nil }
        self.range = range
        var fields = ProtobufFields(range)
        while let field = fields.next(payload) {
            switch (field.number, field.bytes) {
            case (1, .some(let part)):
                guard let read = BrpcMeta.request(payload, part) else { return nil }
                request = read
            case (2, .some(let part)):
                guard let read = BrpcMeta.response(payload, part) else { return nil }
                response = read
            case (4, .none): correlationID = field.value
            default: break
            }
        }
        if fields.isMalformed { return nil }
    }

    private static func request(_ payload: RawSpan, _ range: Range<Int>) -> Request? {
        var out = Request()
        var fields = ProtobufFields(range)
        while let field = fields.next(payload) {
            switch (field.number, field.bytes) {
            case (1, .some(let text)): out.service = text
            case (2, .some(let text)): out.method = text
            case (3, .none): out.logID = Int64(bitPattern: field.value)
            default: break
            }
        }
        return fields.isMalformed ? nil : out
    }

    private static func response(_ payload: RawSpan, _ range: Range<Int>) -> Response? {
        var out = Response()
        var fields = ProtobufFields(range)
        while let field = fields.next(payload) {
            switch (field.number, field.bytes) {
            case (1, .none): out.errorCode = Int32(truncatingIfNeeded: Int64(bitPattern: field.value))
            case (2, .some(let text)): out.errorText = text
            default: break
            }
        }
        return fields.isMalformed ? nil : out
    }
}
