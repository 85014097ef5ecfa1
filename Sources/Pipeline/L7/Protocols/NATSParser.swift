import Model

/// NATS client protocol. Source: agent-l7-protocols.md 18.
struct NATSParser {
    /// What INFO told about the server, for every message of the flow.
    private final class Server {
        let version: String
        let name: String

        init(version: String, name: String) {
            self.version = version
            self.name = name
        }
    }

    private var server: Server?

    /// Some verb that alone makes a flow NATS.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool {
        // Upper case; a blank loses its only bit.
        switch start & 0xdfdf_dfdf {
        // INFO, CONN, HPUB, UNSU, HMSG
        case 0x4f46_4e49, 0x4e4e_4f43, 0x4255_5048, 0x5553_4e55, 0x4753_4d48: true
        default:
            switch start & 0xdf_dfdf {
            // PUB, SUB, MSG
            case 0x42_5550, 0x42_5553, 0x47_534d: true
            default: false
            }
        }
    }

    /// PING, +OK and the like are words of other protocols, too.
    static func detects(_ payload: RawSpan) -> Bool {
        guard case .message(let message) = NATSMessage.scan(payload, at: 0, of: payload.byteCount) else { return false }
        switch message.verb {
        case .ping, .pong, .ok, .err: return false
        case .info, .connect, .pub, .hpub, .sub, .unsub, .msg, .hmsg: return true
        }
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let before = out.messages.count
        let count = context.followsStream ? context.payloadSize : payload.byteCount
        var at = 0
        while at < payload.byteCount, case .message(let message) = NATSMessage.scan(payload, at: at, of: count) {
            log(message, payload, settings, into: &out)
            at = message.next
        }
        return out.messages.count > before ? .parsed : .failed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        switch NATSMessage.scan(payload, at: at, of: .max) {
        case .message(let message): .next(message.next)
        case .cut: .cut
        case .bad: .foreign
        }
    }

    private mutating func log(
        _ nats: NATSMessage, _ payload: RawSpan, _ settings: borrowing L7Settings, into out: inout L7Output
    ) {
        if nats.verb == .info {
            server = Server(version: payload.jsonText(nats.version), name: payload.jsonText(nats.serverName))
        }
        let message = out.messages.add()
        message.pointee.type = nats.verb.type
        message.pointee.log.requestType = nats.verb.name
        if let server {
            message.pointee.log.version = server.version
            message.pointee.log.requestDomain = server.name
        }
        let length = Int32(clamping: nats.next &- nats.start)
        switch nats.verb.type {
        case .request: message.pointee.log.requestLength = length
        case .response: message.pointee.log.responseLength = length
        case .session, .other: break
        }
        if !nats.subject.isEmpty {
            message.pointee.log.requestResource = out.texts.text(payload, nats.subject)
            let dot = payload.firstIndex(
                of: UInt8(ascii: "."), from: nats.subject.lowerBound, to: nats.subject.upperBound)
            let first = nats.subject.lowerBound..<(dot ?? nats.subject.upperBound)
            message.pointee.log.endpoint = out.texts.text(payload, first)
        }
        if let trace = nats.trace(payload, settings.trace) { message.pointee.log.trace = trace }
    }
}
