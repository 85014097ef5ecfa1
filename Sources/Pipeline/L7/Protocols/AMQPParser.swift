import Model

/// AMQP 0-9-1. Source: agent-l7-protocols.md 16.
struct AMQPParser {
    /// `AMQP`, 0, 0, 9, 1: the first bytes of a client.
    private static let protocolHeader: StaticString = "AMQP\u{0}\u{0}\u{9}\u{1}"
    private static let protocolHeaderLength = 8

    /// Virtual host of the connection; empty before it is opened.
    private var vhost = ""

    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start == 0x5051_4d41 }

    static func detects(_ payload: RawSpan) -> Bool { payload.hasPrefix(protocolHeader) }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, into out: inout L7Output
    ) -> L7ParseResult {
        let before = out.messages.count
        var at = 0
        if payload.hasPrefix(Self.protocolHeader) {
            _ = add(.session, into: &out)
            at = Self.protocolHeaderLength
        }
        let count = context.followsStream ? context.payloadSize : payload.byteCount
        while at < payload.byteCount, let frame = AMQPFrame(payload, at: at, of: count), log(frame, payload, into: &out)
        {
            at = frame.next
        }
        return out.messages.count > before ? .parsed : .failed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if payload.hasPrefix(protocolHeader, at: at) { return .next(at &+ protocolHeaderLength) }
        return payload.u8(at: at) == 0x41 && payload.byteCount &- at < protocolHeaderLength
            ? .cut : AMQPFrame.frame(payload, at)
    }

    /// False: the frame is not known, and with it ends what can be read.
    private mutating func log(_ frame: AMQPFrame, _ payload: RawSpan, into out: inout L7Output) -> Bool {
        switch frame.kind {
        case .method: return logMethod(frame, payload, into: &out)
        case .header:
            let message = add(.session, into: &out)
            if let trace = AMQPContent.trace(payload, frame.body) { message.pointee.log.trace = trace }
        case .body, .heartbeat: _ = add(.session, into: &out)
        }
        return true
    }

    private mutating func logMethod(_ frame: AMQPFrame, _ payload: RawSpan, into out: inout L7Output) -> Bool {
        guard frame.body.count >= 4 else { return false }
        let start = frame.body.lowerBound
        guard let method = AMQPMethod(classID: payload.be16(at: start), id: payload.be16(at: start &+ 2)),
            let arguments = AMQPArguments(method, payload, start &+ 4..<frame.body.upperBound)
        else { return false }
        if method.isConnectionOpen { vhost = out.texts.text(payload, arguments.vhost) }
        let reply = arguments.replyCode.map { AMQPReply($0, payload.text(arguments.replyText)) }
        let length = Int32(clamping: frame.next &- frame.start)
        if let reply, !reply.isSuccess, method.isChannelClose {
            // It ends what was asked before, and asks for its own confirmation.
            let answer = add(.response, into: &out)
            answer.pointee.log.responseLength = 0
            reply.apply(to: answer)
            let request = add(.request, into: &out)
            reply.apply(to: request)
            request.pointee.log.responseStatus = L7ResponseStatus.unknown.rawValue
            request.pointee.log.requestType = method.name
            request.pointee.log.requestLength = length
            return true
        }
        var type = method.type
        if let reply, !reply.isSuccess, type == .request { type = .response }
        let message = add(type, into: &out)
        reply?.apply(to: message)
        switch type {
        case .request:
            message.pointee.log.requestType = method.name
            message.pointee.log.requestLength = length
        case .response: message.pointee.log.responseLength = length
        case .session, .other: break
        }
        let endpoint = Self.endpoint(arguments, payload, out.texts)
        message.pointee.log.endpoint = endpoint
        message.pointee.log.requestResource = endpoint
        if method.isConnectionCloseOk { vhost = "" }
        return true
    }

    /// `exchange.routing_key`, or the queue when there is neither.
    private static func endpoint(
        _ arguments: AMQPArguments, _ payload: RawSpan, _ texts: borrowing TextCache
    ) -> String {
        if arguments.exchange.isEmpty, arguments.routingKey.isEmpty { return texts.text(payload, arguments.queue) }
        return texts.text(payload, arguments.exchange) + "." + texts.text(payload, arguments.routingKey)
    }

    private func add(_ type: LogMessageType, into out: inout L7Output) -> UnsafeMutablePointer<L7Message> {
        let message = out.messages.add()
        message.pointee.type = type
        message.pointee.log.version = "v0.9.1"
        message.pointee.log.requestDomain = vhost
        if type != .request { message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue }
        return message
    }
}

/// Type, channel, size, body, end mark.
struct AMQPFrame {
    enum Kind: UInt8 {
        case method = 1
        case header = 2
        case body = 3
        case heartbeat = 8
    }

    private static let headerLength = 7
    private static let endMark: UInt8 = 0xce

    let kind: Kind
    let start: Int
    let body: Range<Int>
    let next: Int

    /// Nil: no frame stands here, or not all of it.
    ///
    /// - Parameter count: bytes of the payload, of which fewer may be there.
    init?(_ payload: RawSpan, at: Int, of count: Int) {
        guard at <= payload.byteCount &- Self.headerLength &- 1, let kind = Kind(rawValue: payload.u8(at: at)) else {
            return nil
        }
        let first = at &+ Self.headerLength
        let size = Int(payload.be32(at: at &+ 3))
        guard size < count &- first else { return nil }
        guard first &+ size >= payload.byteCount || payload.u8(at: first &+ size) == Self.endMark else { return nil }
        self.kind = kind
        start = at
        body = first..<min(first &+ size, payload.byteCount)
        next = first &+ size &+ 1
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard Kind(rawValue: payload.u8(at: at)) != nil else { return .foreign }
        guard payload.byteCount &- at >= headerLength else { return .cut }
        let end = at &+ headerLength &+ Int(payload.be32(at: at &+ 3))
        return end < payload.byteCount && payload.u8(at: end) != endMark ? .foreign : .next(end &+ 1)
    }
}

/// Code and text with which a peer closes a channel or connection, or returns a message.
struct AMQPReply {
    private let code: UInt16
    private let text: String

    init(_ code: UInt16, _ text: String) {
        self.code = code
        self.text = text
    }

    var isSuccess: Bool { code == 200 }

    func apply(to message: UnsafeMutablePointer<L7Message>) {
        message.pointee.log.responseCode = Int32(code)
        switch code {
        case 200:
            message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
            message.pointee.log.responseResult = text
        // Connection forced, resource error, internal error.
        case 320, 506, 541:
            message.pointee.log.responseStatus = L7ResponseStatus.serverError.rawValue
            message.pointee.log.responseException = text
        default:
            message.pointee.log.responseStatus = L7ResponseStatus.clientError.rawValue
            message.pointee.log.responseException = text
        }
    }
}
