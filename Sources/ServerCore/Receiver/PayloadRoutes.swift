import Model
import Wire

/// The decode queues of one message type.
struct PayloadRoute: Sendable {
    let queues: [OverwriteQueue<ReceivedPayload>]
}

/// Collects the payloads of one connection into batches for the decode queues: 16 a put, or what is older than three
/// seconds. Source: wire.md 6.4.
struct PayloadBatcher {
    private struct Batch {
        var items: [ReceivedPayload] = []
        var sinceNs: UInt64 = 0
    }

    private let routes: [PayloadRoute?]
    private let batchItems: Int
    private let maxAgeNs: UInt64
    private var batches: [[Batch]]

    /// - Parameter routes: indexed by message type.
    init(routes: [PayloadRoute?], batchItems: Int, maxAgeNs: UInt64) {
        self.routes = routes
        self.batchItems = batchItems
        self.maxAgeNs = maxAgeNs
        batches = routes.map { Array(repeating: Batch(), count: $0?.queues.count ?? 0) }
    }

    func hasRoute(_ type: MessageType) -> Bool { routes[Int(type.rawValue)] != nil }

    /// - Parameter turn: running number of frames; picks the queue, so the order of an agent's frames is not kept
    ///   between decoders.
    mutating func put(_ payload: ReceivedPayload, turn: UInt64, nowNs: UInt64) {
        let type = Int(payload.type.rawValue)
        guard let route = routes[type], !route.queues.isEmpty else { return }
        let index = Int(turn % UInt64(route.queues.count))
        if batches[type][index].items.isEmpty { batches[type][index].sinceNs = nowNs }
        batches[type][index].items.append(payload)
        if batches[type][index].items.count >= batchItems { flush(type, index, route) }
    }

    /// Hands on what has waited too long; everything with `all`.
    mutating func flush(nowNs: UInt64, all: Bool = false) {
        for (type, route) in routes.enumerated() {
            guard let route else { continue }
            for index in batches[type].indices where !batches[type][index].items.isEmpty {
                if all || nowNs &- batches[type][index].sinceNs >= maxAgeNs { flush(type, index, route) }
            }
        }
    }

    private mutating func flush(_ type: Int, _ index: Int, _ route: PayloadRoute) {
        route.queues[index].put(batches[type][index].items)
        batches[type][index].items.removeAll(keepingCapacity: true)
    }
}

/// Takes frames of a stream or datagram through steps 7 to 10: status, handler, inflating, hand-over; one per thread.
struct PayloadIntake: ~Copyable {
    private let shared: ReceiverShared
    private let sender: PeerAddress
    private let transport: ReceivedPayload.Transport
    private var batcher: PayloadBatcher

    init(shared: ReceiverShared, sender: PeerAddress, transport: ReceivedPayload.Transport) {
        self.shared = shared
        self.sender = sender
        self.transport = transport
        batcher = shared.batcher()
    }

    /// - Parameter from: the peer of this frame, where it is not that of the connection.
    mutating func take(_ header: FrameHeader, _ payload: [UInt8], from: PeerAddress? = nil) {
        let tally = shared.tally
        let peer = from ?? sender
        let nowNs = wallClockNs()
        tally.rxBytes.count(UInt64(payload.count + header.headerLength))
        var orgID = header.identity.orgID
        var teamID = UInt16(truncatingIfNeeded: header.identity.teamID)
        if header.layout != .short {
            if orgID > 1024 { tally.invalid.count() }
            if orgID == 0 || orgID > 1024 { orgID = 1 }
            if header.identity.teamID == 0 { teamID = 1 }
        }
        shared.agents.saw(header, orgID: orgID, from: peer, transport: transport, nowNs: nowNs)
        let turn =
            switch transport {
            case .tcp: tally.rxPackets.count()
            case .udp: tally.rxDatagrams.count()
            }

        guard batcher.hasRoute(header.type) else {
            tally.countUnregistered(header.type)
            return
        }
        guard let encoder = FrameEncoder(rawValue: header.encoder) else {
            tally.invalid.count()
            return
        }
        var bytes = payload
        var isDamaged = false
        do throws(InflateError) {
            bytes = try shared.inflate(payload, encoder, slot: turn)
        } catch {
            isDamaged = true
            tally.inflateErrors.count()
        }
        guard let lease = shared.budget.lease(bytes.count) else {
            tally.overBudget.count()
            return
        }
        var received = ReceivedPayload(
            type: header.type, bytes: bytes, agentID: header.identity.agentID, orgID: orgID, teamID: teamID,
            sender: peer, transport: transport, receivedNs: nowNs, lease: lease)
        received.isDamaged = isDamaged
        batcher.put(received, turn: turn, nowNs: monotonicNs())
    }

    mutating func flush(all: Bool = false) { batcher.flush(nowNs: monotonicNs(), all: all) }
}
