import Model

@testable import Pipeline

/// One TCP flow through the engine: recognition, reassembly, parser, join.
struct Conversation: ~Copyable {
    private var engine: L7Engine
    private let slot: Int32
    private var packet = L7Packet()
    private var seqs: (client: UInt32, server: UInt32) = (.max - 60, 7)

    init(_ proto: L7Protocol, follows: Bool = true, _ change: (inout L7Settings) -> Void = { _ in }) {
        var settings = L7Settings()
        settings.restrict(to: proto)
        settings.reassembly.isEnabled = follows
        change(&settings)
        engine = L7Engine(settings: settings)
        slot = engine.open(
            flow: L7FlowIdentity(flowID: 1, serverIP: IPAddress(v4: 1), serverPort: 80), nowSec: 1)
        packet.timeNs = 1_000_000_000
    }

    /// Messages of one packet. `isLost`: the packet is not captured.
    @discardableResult
    mutating func send(_ payload: [UInt8], fromServer: Bool = false, isLost: Bool = false) -> [L7Message] {
        packet.timeNs += 1_000_000
        packet.direction = fromServer ? .serverToClient : .clientToServer
        (packet.portSrc, packet.portDst) = fromServer ? (80, 40000) : (40000, 80)
        packet.tcpSeq = fromServer ? seqs.server : seqs.client
        packet.tcpAck = fromServer ? seqs.client : seqs.server
        packet.capturedByte = UInt32(payload.count)
        if fromServer { seqs.server &+= UInt32(payload.count) } else { seqs.client &+= UInt32(payload.count) }
        guard !isLost else { return [] }
        var out = L7Output()
        _ = engine.parse(slot: slot, packet: packet, payload: payload.span.bytes, into: &out)
        return out.messages.all
    }

    mutating func answer(_ payload: [UInt8], isLost: Bool = false) -> [L7Message] {
        send(payload, fromServer: true, isLost: isLost)
    }

    /// What the messages become when requests and responses are joined.
    static func joined(_ messages: [L7Message]) -> [L7FlowLog] {
        var sessions = SessionAggregator(settings: .init())
        var logs: [L7FlowLog] = []
        for message in messages { sessions.add(message, nowNs: 0, into: &logs) }
        sessions.endBatch(nowNs: 0, into: &logs)
        sessions.flush(asTimeout: false, nowNs: 0, into: &logs)
        return logs
    }
}
