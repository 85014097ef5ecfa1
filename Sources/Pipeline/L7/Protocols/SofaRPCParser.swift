import Model

/// SofaRPC over Bolt 1. Stateless. Source: agent-l7-protocols.md 10, sofastack.tech "Bolt".
struct SofaRPCParser {
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start == 0x0100_0101 }

    static func detects(_ payload: RawSpan) -> Bool {
        guard let frame = BoltFrame(payload, at: 0), frame.kind == .request, frame.isNamedWell(payload) else {
            return false
        }
        guard frame.headers.upperBound <= payload.byteCount else { return false }
        let call = SofaCall(frame, payload)
        return !call.service.isEmpty && !call.method.isEmpty
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        var at = 0
        let before = out.messages.count
        while let frame = BoltFrame(payload, at: at) {
            if frame.kind != .heartbeat {
                Self.log(frame, payload, context, settings.trace, offset: at, out.messages.add(), out.texts)
            }
            at = frame.content.upperBound
        }
        return out.messages.count > before ? .parsed : .failed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let frame = BoltFrame(payload, at: at) { return .next(frame.content.upperBound) }
        let isShort = payload.byteCount &- at < BoltFrame.longestHeader
        return isShort && payload.u8(at: at) == BoltFrame.version ? .cut : .foreign
    }

    private static func log(
        _ frame: BoltFrame, _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7TraceSettings,
        offset: Int, _ message: UnsafeMutablePointer<L7Message>, _ texts: borrowing TextCache
    ) {
        message.pointee.sessionID = frame.requestID
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        // Sent by both sides, whatever they know of the other (trap).
        message.pointee.log.requestLength = 0
        message.pointee.log.responseLength = 0
        message.pointee.log.responseCode = 0
        let length = Int32(clamping: frame.bodyLength)
        if frame.kind == .response {
            message.pointee.set(.response, isFromClient: false, context)
            message.pointee.log.responseLength = length
            message.pointee.log.responseCode = Int32(frame.status)
            message.pointee.log.responseStatus = status(of: frame.status).rawValue
            message.pointee.log.changeExt { $0.requestID = frame.requestID }
            return
        }
        message.pointee.set(frame.kind == .oneWay ? .session : .request, isFromClient: true, context)
        message.pointee.log.requestLength = length
        let call = SofaCall(frame, payload)
        let service = texts.text(payload, call.service)
        message.pointee.log.requestResource = service
        message.pointee.log.requestType = texts.text(payload, call.method)
        if !call.service.isEmpty, !call.method.isEmpty {
            message.pointee.log.endpoint = service + "/" + message.pointee.log.requestType
        }
        message.pointee.log.trace = trace(of: call, payload, settings)
        message.pointee.log.changeExt { ext in
            ext.requestID = frame.requestID
            ext.rpcService = service
        }
    }

    private static func trace(
        of call: SofaCall, _ payload: RawSpan, _ settings: borrowing L7TraceSettings
    ) -> L7Trace? {
        let several = settings.collectsSeveralTraceIDs
        var tags = TagCollector()
        tags.addTrace(payload.text(call.headerTraceID), priority: TagCollector.builtIn(0), several: several)
        tags.addTrace(payload.text(call.bodyTraceID), priority: TagCollector.builtIn(1), several: several)
        tags.setSpan(payload.text(call.spanID), priority: TagCollector.builtIn(0))
        var trace = tags.trace
        if !call.parentSpanID.isEmpty {
            if trace == nil { trace = L7Trace() }
            trace?.parentSpanID = payload.text(call.parentSpanID)
        }
        return trace
    }

    private static func status(of code: UInt16) -> L7ResponseStatus {
        switch code {
        case 0: .ok
        case 8: .clientError
        default: .serverError
        }
    }
}

/// One frame of Bolt 1: a header, then the name of a class, header fields and content.
struct BoltFrame {
    enum Kind {
        case request, oneWay, response, heartbeat
    }

    static let version: UInt8 = 1
    static let longestHeader = 22
    private static let shortestHeader = 20

    let kind: Kind
    let requestID: UInt32
    let codec: UInt8
    /// Of a response.
    let status: UInt16
    /// Ranges as the header tells them; they may end behind the payload.
    let className: Range<Int>
    let headers: Range<Int>
    let content: Range<Int>

    init?(_ payload: RawSpan, at: Int) {
        guard payload.byteCount &- at >= BoltFrame.shortestHeader, payload.u8(at: at) == BoltFrame.version else {
            return nil
        }
        let command = payload.be16(at: at &+ 2)
        switch (payload.u8(at: at &+ 1), command) {
        case (0...2, 0): kind = .heartbeat
        case (1, 1): kind = .request
        case (2, 1): kind = .oneWay
        case (0, _): kind = .response
        default: return nil
        }
        requestID = payload.be32(at: at &+ 5)
        codec = payload.u8(at: at &+ 9)
        // A request has four bytes of timeout where a response has two of status.
        let isResponse = payload.u8(at: at &+ 1) == 0
        let lengths = at &+ (isResponse ? 12 : 14)
        guard payload.byteCount &- lengths >= 8 else { return nil }
        status = isResponse ? payload.be16(at: at &+ 10) : 0
        let start = lengths &+ 8
        className = start..<start &+ Int(payload.be16(at: lengths))
        headers = className.upperBound..<className.upperBound &+ Int(payload.be16(at: lengths &+ 2))
        content = headers.upperBound..<headers.upperBound &+ Int(payload.be32(at: lengths &+ 4))
    }

    var bodyLength: Int { content.upperBound &- className.lowerBound }

    /// The class has a name of visible ASCII.
    func isNamedWell(_ payload: RawSpan) -> Bool {
        guard !className.isEmpty, className.upperBound <= payload.byteCount else { return false }
        for at in className where payload.u8(at: at) <= 32 || payload.u8(at: at) >= 127 { return false }
        return true
    }
}

/// What a request calls, from its header fields and, as far as they lack it, from its content.
struct SofaCall {
    private(set) var service = 0..<0
    private(set) var method = 0..<0
    private(set) var headerTraceID = 0..<0
    private(set) var bodyTraceID = 0..<0
    private(set) var spanID = 0..<0
    private(set) var parentSpanID = 0..<0

    init(_ frame: BoltFrame, _ payload: RawSpan) {
        readHeaders(payload, frame.headers.clamped(to: 0..<payload.byteCount))
        if frame.codec == 1 { readHessian(payload, frame.content.clamped(to: 0..<payload.byteCount)) }
    }

    private mutating func readHeaders(_ payload: RawSpan, _ range: Range<Int>) {
        var at = range.lowerBound
        while let key = Self.text(payload, &at, range.upperBound), let value = Self.text(payload, &at, range.upperBound)
        {
            switch key.count {
            case 24 where payload.equals(key, "sofa_head_target_service"): service = value
            case 21 where payload.equals(key, "sofa_head_method_name"): method = value
            case 29 where payload.hasPrefix("rpc_trace_context.sofaTraceId", at: key.lowerBound): headerTraceID = value
            case 21 where payload.equals(key, "new_rpc_trace_context"): readContext(payload, value)
            default: break
            }
        }
    }

    /// A text behind its length in four bytes.
    private static func text(_ payload: RawSpan, _ at: inout Int, _ end: Int) -> Range<Int>? {
        guard end &- at >= 4 else { return nil }
        let count = Int(payload.be32(at: at))
        guard end &- at &- 4 >= count else { return nil }
        at &+= 4 &+ count
        return at &- count..<at
    }

    /// `key=value&` one after the other; a value that no `&` ends does not count.
    private mutating func readContext(_ payload: RawSpan, _ range: Range<Int>) {
        var at = range.lowerBound
        while let end = payload.firstIndex(of: 38, from: at, to: range.upperBound) {
            if let equals = payload.firstIndex(of: 61, from: at, to: end) {
                let value = equals &+ 1..<end
                switch equals &- at {
                case 4 where payload.hasPrefix("tcid", at: at): headerTraceID = value
                case 4 where payload.hasPrefix("spid", at: at): spanID = value
                case 5 where payload.hasPrefix("pspid", at: at): parentSpanID = value
                default: break
                }
            }
            at = end &+ 1
        }
    }

    /// The first object: its class with the names of its fields, then their values.
    private mutating func readHessian(_ payload: RawSpan, _ range: Range<Int>) {
        let end = range.upperBound
        bodyTraceID = Hessian.value(of: Array("sofaTraceId".utf8), payload, range) ?? 0..<0
        guard service.isEmpty || method.isEmpty else { return }
        var at = range.lowerBound
        guard var names = HessianFields(payload, &at, end: end) else { return }
        while let name = names.next(payload), at < end {
            if payload.u8(at: at) == 0x4e {
                at &+= 1
                continue
            }
            // Nothing is read behind a value that is no text.
            guard let value = Hessian.string(payload, &at, end: end) else { return }
            if service.isEmpty, payload.hasPrefix("targetServiceUniqueName", at: name.lowerBound) { service = value }
            if method.isEmpty, name.count == 10, payload.hasPrefix("methodName", at: name.lowerBound) { method = value }
        }
    }
}
