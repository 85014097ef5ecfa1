import Model

/// One quadruple of one window slot: the first flow's facts and the sum of all its flows' counters.
///
/// Lives in the slot and is accumulated in place: two cache lines, facts and traffic. Counters that many quadruples of
/// a second do not have lie in parts of their own. Source: agent-flow.md 13.3, 13.4.
struct FlowMeterWithFlow: BitwiseCopyable, Sendable {
    var flow: FlowFacts
    /// These two fill the end of the facts.
    var directionScore: UInt8
    /// Of the latest flow merged in, from the start of the slot.
    var second: UInt8
    var parts: PartNumbers
    var byteTx: UInt64
    var byteRx: UInt64
    var l3ByteTx: UInt64
    var l3ByteRx: UInt64
    var l4ByteTx: UInt64
    var l4ByteRx: UInt64
    var packetTx: UInt32
    var packetRx: UInt32
    var newFlow: UInt32
    var closedFlow: UInt32

    /// Writes every field of a new entry in place: plain bytes, which need no initialisation before.
    @inline(__always)
    static func initialize(
        _ entry: UnsafeMutablePointer<FlowMeterWithFlow>, _ flow: UnsafePointer<TaggedFlow>, _ facts: FlowFacts,
        second: UInt8
    ) {
        entry.pointee.flow = facts
        entry.pointee.second = second
        entry.pointee.parts = PartNumbers()
        let hasTraffic = flow.pointee.signalSource <= Raw.xflow
        entry.pointee.directionScore = hasTraffic ? flow.pointee.directionScore : 0
        entry.pointee.packetTx = hasTraffic ? UInt32(truncatingIfNeeded: flow.pointee.src.packetCount) : 0
        entry.pointee.packetRx = hasTraffic ? UInt32(truncatingIfNeeded: flow.pointee.dst.packetCount) : 0
        entry.pointee.byteTx = hasTraffic ? flow.pointee.src.byteCount : 0
        entry.pointee.byteRx = hasTraffic ? flow.pointee.dst.byteCount : 0
        entry.pointee.l3ByteTx = hasTraffic ? flow.pointee.src.l3ByteCount : 0
        entry.pointee.l3ByteRx = hasTraffic ? flow.pointee.dst.l3ByteCount : 0
        entry.pointee.l4ByteTx = hasTraffic ? flow.pointee.src.l4ByteCount : 0
        entry.pointee.l4ByteRx = hasTraffic ? flow.pointee.dst.l4ByteCount : 0
        entry.pointee.newFlow = hasTraffic && flow.pointee.isNewFlow ? 1 : 0
        entry.pointee.closedFlow = hasTraffic && flow.pointee.closeType != Raw.forcedReport ? 1 : 0
    }

    /// Adds the traffic of one more flow.
    @inline(__always)
    static func addTraffic(_ flow: UnsafePointer<TaggedFlow>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>) {
        entry.pointee.packetTx &+= UInt32(truncatingIfNeeded: flow.pointee.src.packetCount)
        entry.pointee.packetRx &+= UInt32(truncatingIfNeeded: flow.pointee.dst.packetCount)
        entry.pointee.byteTx &+= flow.pointee.src.byteCount
        entry.pointee.byteRx &+= flow.pointee.dst.byteCount
        entry.pointee.l3ByteTx &+= flow.pointee.src.l3ByteCount
        entry.pointee.l3ByteRx &+= flow.pointee.dst.l3ByteCount
        entry.pointee.l4ByteTx &+= flow.pointee.src.l4ByteCount
        entry.pointee.l4ByteRx &+= flow.pointee.dst.l4ByteCount
        entry.pointee.newFlow &+= flow.pointee.isNewFlow ? 1 : 0
        entry.pointee.closedFlow &+= flow.pointee.closeType != Raw.forcedReport ? 1 : 0
        entry.pointee.directionScore = max(entry.pointee.directionScore, flow.pointee.directionScore)
    }
}

/// Where the parts of a quadruple lie in its slot: three numbers of 21 bits, 0 = the quadruple has no such part.
struct PartNumbers: BitwiseCopyable, Sendable {
    /// Most parts of one kind in a slot.
    static var limit: Int { 1 << 20 }

    private var bits: UInt64 = 0

    @inline(__always) private static var mask: UInt64 { 0x1f_ffff }

    @inline(__always)
    private func number(_ shift: UInt64) -> Int { Int(truncatingIfNeeded: bits >> shift & PartNumbers.mask) }

    @inline(__always)
    private mutating func set(_ shift: UInt64, _ number: Int) {
        bits = bits & ~(PartNumbers.mask << shift) | UInt64(truncatingIfNeeded: number) << shift
    }

    @inline(__always) var response: Int {
        get { number(0) }
        set { set(0, newValue) }
    }
    @inline(__always) var l7: Int {
        get { number(21) }
        set { set(21, newValue) }
    }
    @inline(__always) var setup: Int {
        get { number(42) }
        set { set(42, newValue) }
    }
}

/// Times that most flows have in most seconds; µs.
struct ResponsePart: BitwiseCopyable, Sendable {
    var art = LatencyStats()
    var cit = LatencyStats()
}

/// What the first seconds of a flow have, and where its rarest counters lie.
struct SetupPart: BitwiseCopyable, Sendable {
    var rtt = LatencyStats()
    var rttClient = LatencyStats()
    var rttServer = LatencyStats()
    var syn: UInt32 = 0
    var synAck: UInt32 = 0
    /// Numbers of the slot's parts, 0 = none.
    var fault = 0 as UInt32
    var ends = 0 as UInt32
}

/// Losses, the ways in which flows ended, and loads where they are not those of connections.
struct FaultPart: BitwiseCopyable, Sendable {
    var srt = LatencyStats()
    var tx = TCPPerfCounts()
    var rx = TCPPerfCounts()
    var retransSyn: UInt32 = 0
    var retransSynAck: UInt32 = 0
    /// By the rule for merges; `flowCount` is what the load of the next one starts from.
    var load: UInt32 = 0
    var flowCount: UInt32 = 0
    /// New and closed flows that were sampled and are no connections.
    var sampledNew: UInt32 = 0
    var sampledClosed: UInt32 = 0
    /// Flows by `CloseType` raw value 0...20. Source: agent-flow.md 13.3.
    var closed = InlineArray<21, UInt32>(repeating: 0)

    /// Close types that a document counts; the others are normal.
    @inline(__always)
    static func counts(_ closeType: UInt8) -> Bool {
        let counted: UInt32 =
            1 << 2 | 1 << 3 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 18
            | 1 << 19
        return closeType < 32 && counted >> UInt32(closeType) & 1 == 1
    }
}

/// L7 counters of a quadruple.
struct L7Part: BitwiseCopyable, Sendable {
    var request: UInt32 = 0
    var response: UInt32 = 0
    var clientError: UInt32 = 0
    var serverError: UInt32 = 0
    var timeout: UInt32 = 0
    /// µs.
    var rrt = LatencyStats()
}

extension TCPPerfStats {
    /// Whether a report measured anything besides flag counts.
    @inline(__always)
    var hasMeasurements: Bool {
        let times = rttClient.count | rttServer.count | srt.count | art.count | cit.count | rtt
        let counts = tx.retrans | tx.zeroWin | tx.outOfOrder | rx.retrans | rx.zeroWin | rx.outOfOrder
        return times | counts | retransSyn | retransSynAck | art.max | srt.max != 0
    }
}
