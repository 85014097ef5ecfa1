import Model

/// MQTT 3.1, 3.1.1 and 5. Source: agent-l7-protocols.md 15; the OASIS standards.
///
/// Packet by packet all messages of a payload have the type of the last one. Where the stream is followed each has its
/// own, and acknowledgements find what they acknowledge by packet identifier.
struct MQTTParser {
    /// Protocol level of the flow's CONNECT, 0 = none seen.
    private var level: UInt8 = 0
    private var client = StreamCursor()
    private var server = StreamCursor()

    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xff == 0x10 }

    static func detects(_ payload: RawSpan) -> Bool {
        guard case .header(let header) = MQTTHeader.read(payload, at: 0), header.kind == .connect else { return false }
        return MQTTPacket(payload, header, level: 0, isCutAllowed: false) != nil
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        guard context.followsStream else { return parsePayload(payload, into: &out) }
        let opening =
            context.direction == .clientToServer
            ? client.open(payload, context, frame: Self.frame, needsRest: Self.needsRest)
            : server.open(payload, context, frame: Self.frame, needsRest: Self.needsRest)
        switch opening {
        case .nothing: return .parsed
        case .incomplete: return .incomplete
        case .foreign: return .failed
        case .read(let start, _):
            var at = start
            while case .header(let header) = MQTTHeader.read(payload, at: at) {
                guard let packet = MQTTPacket(payload, header, level: level, isCutAllowed: true) else {
                    return at > start ? .parsed : .failed
                }
                if header.kind == .connect { level = packet.level }
                let message = out.messages.add()
                log(packet, message)
                message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: at)
                setSession(packet, context.direction, message)
                at = header.next
            }
            return .parsed
        }
    }

    private static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        switch MQTTHeader.read(payload, at: at) {
        case .header(let header): .next(header.next)
        case .cut: .cut
        case .foreign: .foreign
        }
    }

    /// Everything but the content of a long PUBLISH.
    private static func needsRest(_ payload: RawSpan, _ at: Int) -> Bool {
        guard case .header(let header) = MQTTHeader.read(payload, at: at), header.kind == .publish else { return true }
        return MQTTPacket(payload, header, level: 0, isCutAllowed: true) == nil
    }

    /// Requests of both sides and their acknowledgements; what nothing answers stands alone.
    private func setSession(
        _ packet: MQTTPacket, _ direction: PacketDirection, _ message: UnsafeMutablePointer<L7Message>
    ) {
        let isFromClient = direction == .clientToServer
        let exchange: (kind: UInt32, isOfClient: Bool)
        switch packet.header.kind {
        case .connect: exchange = (1, true)
        case .connack: exchange = (1, true)
        case .publish where packet.header.qos > 0: exchange = (2, isFromClient)
        case .puback, .pubrec: exchange = (2, !isFromClient)
        case .pubrel: exchange = (3, isFromClient)
        case .pubcomp: exchange = (3, !isFromClient)
        case .subscribe, .unsubscribe, .suback, .unsuback: exchange = (4, true)
        case .pingreq, .pingresp: exchange = (5, true)
        case .publish, .disconnect, .auth:
            message.pointee.needsSessionAggregation = false
            return
        }
        message.pointee.hasSessionID = true
        message.pointee.sessionID =
            exchange.kind << 17 | (exchange.isOfClient ? 0 : 1 << 16) | UInt32(packet.identifier)
    }

    /// All packets or none.
    private mutating func parsePayload(_ payload: RawSpan, into out: inout L7Output) -> L7ParseResult {
        let before = out.messages.count
        var level = level
        var at = 0
        while at < payload.byteCount {
            guard case .header(let header) = MQTTHeader.read(payload, at: at),
                let packet = MQTTPacket(payload, header, level: level, isCutAllowed: false)
            else { return .failed }
            if header.kind == .connect { level = packet.level }
            log(packet, level: level, out.messages.add())
            at = header.next
        }
        guard out.messages.count > before else { return .failed }
        self.level = level
        let type = out.messages[out.messages.count &- 1].pointee.type
        for number in before..<out.messages.count { out.messages[number].pointee.type = type }
        return .parsed
    }

    private func log(_ packet: MQTTPacket, level: UInt8? = nil, _ message: UnsafeMutablePointer<L7Message>) {
        let kind = packet.header.kind
        let level = level ?? self.level
        message.pointee.log.version = MQTTPacket.version(level)
        message.pointee.log.requestType = kind.name
        message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
        message.pointee.log.requestResource = packet.topics
        message.pointee.log.endpoint = packet.topics
        let length = Int32(truncatingIfNeeded: packet.header.remaining)
        switch kind {
        case .connect:
            message.pointee.type = .request
            message.pointee.log.requestDomain = packet.clientID
            message.pointee.log.requestLength = length
        case .connack:
            message.pointee.type = .response
            message.pointee.log.responseLength = length
            message.pointee.log.responseCode = Int32(packet.code)
            message.pointee.log.responseStatus = MQTTPacket.status(code: packet.code, level: level).rawValue
        case .publish where packet.header.qos > 0:
            message.pointee.type = .request
            message.pointee.log.requestLength = length
        case .subscribe, .unsubscribe, .pingreq, .pubrel:
            message.pointee.type = .request
            message.pointee.log.requestLength = length
        // Nothing acknowledges a PUBLISH of QoS 0, which counts as an answer (trap).
        case .publish, .suback, .unsuback, .puback, .pubrec, .pubcomp, .pingresp:
            message.pointee.type = .response
            message.pointee.log.responseLength = length
        case .disconnect, .auth:
            message.pointee.type = .session
        }
    }
}
