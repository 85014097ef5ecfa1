import Model

/// ZeroMQ message transport protocol 3.0 and 3.1. Source: agent-l7-protocols.md 20.
struct ZMTPParser {
    /// Most of a message that is passed over in the segments that follow; a larger number is no size.
    private static let maxSkip = 1 << 24

    /// Some end of the connection is a REQ or REP socket.
    private var isRequestReply = false
    /// Bytes of a message still to come, by direction.
    private var skipRequest: Int32 = 0
    private var skipResponse: Int32 = 0

    /// Greeting, its later parts, commands.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool {
        switch start & 0xff {
        case 0xff, 0, 1, 3, 4, 6: true
        default: false
        }
    }

    static func detects(_ payload: RawSpan) -> Bool {
        if ZMTPGreeting.isSignature(payload) { return true }
        if ZMTPGreeting(payload, at: 0) != nil { return payload.u8(at: 0) != 0xff }
        guard let frame = ZMTPFrame(payload, at: 0), frame.isCommand, frame.data.upperBound <= payload.byteCount,
            let command = ZMTPCommand(payload, frame)
        else { return false }
        return command.isKnown
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, into out: inout L7Output
    ) -> L7ParseResult {
        let isRequest = context.direction == .clientToServer
        let skip = Int(isRequest ? skipRequest : skipResponse)
        // A greeting is never the rest of a message.
        var at = ZMTPGreeting.isSignature(payload) ? 0 : min(skip, context.payloadSize)
        setSkip(isRequest, skip &- at)
        let before = out.messages.count
        let hasSkipped = at > 0
        while at < payload.byteCount {
            if let greeting = ZMTPGreeting(payload, at: at) {
                let message = Self.add(.session, "Greeting", into: &out)
                message.pointee.log.version = greeting.version
                at = greeting.next
                continue
            }
            guard let frame = ZMTPFrame(payload, at: at) else { break }
            if frame.isCommand {
                guard let command = ZMTPCommand(payload, frame) else { break }
                log(command, frame, payload, isRequest, into: &out)
            } else if frame.data.upperBound <= context.payloadSize {
                log(frame, isRequest, into: &out)
            }
            if frame.data.upperBound > context.payloadSize {
                setSkip(isRequest, frame.data.upperBound &- context.payloadSize)
            }
            at = frame.data.upperBound
        }
        return out.messages.count > before || hasSkipped ? .parsed : .failed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        let greeting = ZMTPGreeting.frame(payload, at)
        return greeting == .foreign ? ZMTPFrame.frame(payload, at) : greeting
    }

    private mutating func setSkip(_ isRequest: Bool, _ count: Int) {
        let skip = count <= Self.maxSkip ? Int32(truncatingIfNeeded: max(count, 0)) : 0
        if isRequest { skipRequest = skip } else { skipResponse = skip }
    }

    private mutating func log(
        _ command: ZMTPCommand, _ frame: ZMTPFrame, _ payload: RawSpan, _ isRequest: Bool, into out: inout L7Output
    ) {
        let message = Self.add(.session, "Command", into: &out)
        Self.setLength(frame.size, isRequest, message)
        switch command.kind {
        case .ready, .initiate: if Self.hasRequestReplySocket(payload, command.data) { isRequestReply = true }
        case .error:
            let status: L7ResponseStatus = isRequest ? .clientError : .serverError
            message.pointee.log.responseStatus = status.rawValue
            guard !command.data.isEmpty else { break }
            let first = command.data.lowerBound &+ 1
            let count = Int(payload.u8(at: command.data.lowerBound))
            message.pointee.log.responseException = payload.text(first..<min(first &+ count, command.data.upperBound))
        case .subscribe:
            let subscription = out.texts.text(payload, command.data)
            message.pointee.log.requestDomain = subscription
            message.pointee.log.requestResource = subscription
        case .other: break
        }
    }

    private func log(_ frame: ZMTPFrame, _ isRequest: Bool, into out: inout L7Output) {
        let type: LogMessageType = isRequestReply ? isRequest ? .request : .response : .session
        // The delimiter in front of a request is none of the application's parts.
        if frame.size == 0, frame.hasMore, type != .response { return }
        Self.setLength(frame.size, isRequest, Self.add(type, "Message", into: &out))
    }

    private static func add(
        _ type: LogMessageType, _ name: String, into out: inout L7Output
    ) -> UnsafeMutablePointer<L7Message> {
        let message = out.messages.add()
        message.pointee.type = type
        message.pointee.log.requestType = name
        message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
        return message
    }

    private static func setLength(_ size: Int, _ isRequest: Bool, _ message: UnsafeMutablePointer<L7Message>) {
        if isRequest {
            message.pointee.log.requestLength = Int32(clamping: size)
        } else {
            message.pointee.log.responseLength = Int32(clamping: size)
        }
    }

    /// The metadata of a peer says that its socket is REQ or REP.
    private static func hasRequestReplySocket(_ payload: RawSpan, _ metadata: Range<Int>) -> Bool {
        var at = metadata.lowerBound
        while at < metadata.upperBound {
            let name = at &+ 1..<at &+ 1 &+ Int(payload.u8(at: at))
            guard metadata.upperBound &- name.upperBound >= 4 else { return false }
            let first = name.upperBound &+ 4
            let count = Int(payload.be32(at: name.upperBound))
            guard count <= metadata.upperBound &- first else { return false }
            if name.count == 11, payload.equals(name, "socket-type") {
                return count == 3 && (payload.hasPrefix("REQ", at: first) || payload.hasPrefix("REP", at: first))
            }
            at = first &+ count
        }
        return false
    }
}
