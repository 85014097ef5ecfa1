import Model

/// Echo requests and replies of ICMP and ICMPv6. Stateless. Source: agent-l7-protocols.md 22, RFC 792, RFC 4443.
struct PingParser {
    private static let headerLength = 8

    /// - Parameter message: from the ICMP header on. Nil: no echo.
    private static func isRequest(_ message: RawSpan) -> Bool? {
        guard message.byteCount >= headerLength, message.u8(at: 1) == 0 else { return nil }
        switch message.u8(at: 0) {
        case 8, 128: return true
        case 0, 129: return false
        default: return nil
        }
    }

    static func detects(_ message: RawSpan) -> Bool { isRequest(message) != nil }

    /// Who sent a message that was detected.
    static func direction(of message: RawSpan) -> PacketDirection {
        (isRequest(message) ?? true) ? .clientToServer : .serverToClient
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        guard let isRequest = Self.isRequest(payload) else { return .failed }
        let message = out.messages.add()
        message.pointee.set(isRequest ? .request : .response, isFromClient: isRequest, context)
        message.pointee.sessionID = payload.be32(at: 4)
        message.pointee.hasSessionID = true
        message.pointee.log.requestResource = String(payload.be16(at: 4))
        message.pointee.log.changeExt { $0.requestID = UInt32(payload.be16(at: 6)) }
        let length = Int32(clamping: context.payloadSize &- Self.headerLength)
        if isRequest {
            message.pointee.log.requestLength = length
        } else {
            message.pointee.log.responseLength = length
            message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
        }
        return .parsed
    }
}
