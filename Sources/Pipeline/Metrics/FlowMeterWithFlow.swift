import Model

/// One quadruple of one window slot: the first flow's facts and the sum of all its flows' counters.
///
/// Lives in the slot and is accumulated in place. Most quadruples of a second have traffic only, so the rarer counters
/// lie in parts of their own. Source: agent-flow.md 13.3, 13.4.
package struct FlowMeterWithFlow: BitwiseCopyable, Sendable {
    package internal(set) var flow: MiniFlow
    /// These four fill the end of the facts, so that an entry is four cache lines.
    var directionScore: UInt8
    var hasConnections: Bool
    var isActiveSrc: Bool
    var isActiveDst: Bool
    /// Of the quadruple.
    var hash: UInt64
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
    var syn: UInt32
    var synAck: UInt32
    var load: UInt32
    /// Connections that the load of the next merge starts from.
    var flowCount: UInt32
    /// Second of the latest flow merged in, seconds since 1970.
    package internal(set) var timeSeconds: UInt32
    /// What this slot adds to `sum` and `living` of its connection key.
    var connectionSum: Int32
    var connectionLiving: Int32
    /// Positions of the parts in the slot; `none` = all zero.
    var performance: UInt32
    var anomaly: UInt32
    var l7: UInt32

    static var none: UInt32 { .max }

    /// Writes every field of a new entry in place: plain bytes, which need no initialisation before.
    @inline(__always)
    static func initialize(
        _ entry: UnsafeMutablePointer<FlowMeterWithFlow>, _ flow: UnsafePointer<TaggedFlow>, hash: UInt64
    ) {
        entry.pointee.flow.take(flow)
        entry.pointee.directionScore = 0
        entry.pointee.hasConnections = false
        entry.pointee.isActiveSrc = false
        entry.pointee.isActiveDst = false
        entry.pointee.hash = hash
        entry.pointee.byteTx = 0
        entry.pointee.byteRx = 0
        entry.pointee.l3ByteTx = 0
        entry.pointee.l3ByteRx = 0
        entry.pointee.l4ByteTx = 0
        entry.pointee.l4ByteRx = 0
        entry.pointee.packetTx = 0
        entry.pointee.packetRx = 0
        entry.pointee.newFlow = 0
        entry.pointee.closedFlow = 0
        entry.pointee.syn = 0
        entry.pointee.synAck = 0
        entry.pointee.load = 0
        entry.pointee.flowCount = 0
        entry.pointee.timeSeconds = 0
        entry.pointee.connectionSum = 0
        entry.pointee.connectionLiving = 0
        entry.pointee.performance = none
        entry.pointee.anomaly = none
        entry.pointee.l7 = none
    }

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
        if flow.pointee.directionScore > entry.pointee.directionScore {
            entry.pointee.directionScore = flow.pointee.directionScore
        }
    }
}

/// Latencies and L4 performance of a quadruple; µs and counts.
struct PerformancePart: BitwiseCopyable, Sendable {
    var rtt = LatencyStats()
    var rttClient = LatencyStats()
    var rttServer = LatencyStats()
    var srt = LatencyStats()
    var art = LatencyStats()
    var cit = LatencyStats()
    var tx = TCPPerfCounts()
    var rx = TCPPerfCounts()
    var retransSyn: UInt32 = 0
    var retransSynAck: UInt32 = 0

    static func add(_ tcp: UnsafePointer<TCPPerfStats>, to part: UnsafeMutablePointer<PerformancePart>) {
        if tcp.pointee.rtt > 0 { part.pointee.rtt.add(tcp.pointee.rtt) }
        part.pointee.rttClient.merge(tcp.pointee.rttClient)
        part.pointee.rttServer.merge(tcp.pointee.rttServer)
        part.pointee.srt.merge(tcp.pointee.srt)
        part.pointee.art.merge(tcp.pointee.art)
        part.pointee.cit.merge(tcp.pointee.cit)
        part.pointee.tx.merge(tcp.pointee.tx)
        part.pointee.rx.merge(tcp.pointee.rx)
        part.pointee.retransSyn &+= tcp.pointee.retransSyn
        part.pointee.retransSynAck &+= tcp.pointee.retransSynAck
    }

    /// What UDP and others have. The reference counts as many responses as the longest took microseconds.
    static func addResponse(
        _ tcp: UnsafePointer<TCPPerfStats>, to part: UnsafeMutablePointer<PerformancePart>, countsResponses: Bool
    ) {
        part.pointee.art.max = max(part.pointee.art.max, tcp.pointee.art.max)
        part.pointee.art.sum &+= tcp.pointee.art.sum
        part.pointee.art.count &+= countsResponses ? tcp.pointee.art.count : tcp.pointee.art.max
    }
}

/// How flows ended, counted by close type. Source: agent-flow.md 13.3.
struct AnomalyPart: BitwiseCopyable, Sendable {
    /// By `CloseType` raw value 0...20.
    var counts = InlineArray<21, UInt32>(repeating: 0)

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
    var stats = L7PerfStats()
}

/// A quadruple with its parts, as a generator shows it to a sink: the pointers are valid during the call only.
package struct QuadrupleView {
    package let entry: UnsafePointer<FlowMeterWithFlow>
    let performance: UnsafePointer<PerformancePart>?
    let anomaly: UnsafePointer<AnomalyPart>?
    let l7: UnsafePointer<L7Part>?

    /// Adds everything but the load to a document's meter.
    ///
    /// - Parameter swapped: seen from the other end. Only traffic has ends of its own: latency, performance and
    ///   anomalies are the client's and the server's wherever they are seen. The direction score is left out.
    @inline(__always)
    func add(to meter: UnsafeMutablePointer<FlowMeter>, swapped: Bool) {
        if swapped {
            meter.pointee.packetTx &+= UInt64(entry.pointee.packetRx)
            meter.pointee.packetRx &+= UInt64(entry.pointee.packetTx)
            meter.pointee.byteTx &+= entry.pointee.byteRx
            meter.pointee.byteRx &+= entry.pointee.byteTx
            meter.pointee.l3ByteTx &+= entry.pointee.l3ByteRx
            meter.pointee.l3ByteRx &+= entry.pointee.l3ByteTx
            meter.pointee.l4ByteTx &+= entry.pointee.l4ByteRx
            meter.pointee.l4ByteRx &+= entry.pointee.l4ByteTx
        } else {
            meter.pointee.packetTx &+= UInt64(entry.pointee.packetTx)
            meter.pointee.packetRx &+= UInt64(entry.pointee.packetRx)
            meter.pointee.byteTx &+= entry.pointee.byteTx
            meter.pointee.byteRx &+= entry.pointee.byteRx
            meter.pointee.l3ByteTx &+= entry.pointee.l3ByteTx
            meter.pointee.l3ByteRx &+= entry.pointee.l3ByteRx
            meter.pointee.l4ByteTx &+= entry.pointee.l4ByteTx
            meter.pointee.l4ByteRx &+= entry.pointee.l4ByteRx
            meter.pointee.directionScore = max(meter.pointee.directionScore, entry.pointee.directionScore)
        }
        meter.pointee.newFlow &+= UInt64(entry.pointee.newFlow)
        meter.pointee.closedFlow &+= UInt64(entry.pointee.closedFlow)
        meter.pointee.syn &+= entry.pointee.syn
        meter.pointee.synAck &+= entry.pointee.synAck
        if let performance { add(performance, to: meter) }
        if let anomaly { add(anomaly, to: meter) }
        if let l7 { add(l7, to: meter) }
    }

    private func add(_ part: UnsafePointer<PerformancePart>, to meter: UnsafeMutablePointer<FlowMeter>) {
        meter.pointee.rtt.merge(part.pointee.rtt)
        meter.pointee.rttClient.merge(part.pointee.rttClient)
        meter.pointee.rttServer.merge(part.pointee.rttServer)
        meter.pointee.srt.merge(part.pointee.srt)
        meter.pointee.art.merge(part.pointee.art)
        meter.pointee.cit.merge(part.pointee.cit)
        meter.pointee.retransTx &+= UInt64(part.pointee.tx.retrans)
        meter.pointee.retransRx &+= UInt64(part.pointee.rx.retrans)
        meter.pointee.zeroWinTx &+= UInt64(part.pointee.tx.zeroWin)
        meter.pointee.zeroWinRx &+= UInt64(part.pointee.rx.zeroWin)
        meter.pointee.clientOoo &+= UInt64(part.pointee.tx.outOfOrder)
        meter.pointee.serverOoo &+= UInt64(part.pointee.rx.outOfOrder)
        meter.pointee.retransSyn &+= part.pointee.retransSyn
        meter.pointee.retransSynAck &+= part.pointee.retransSynAck
    }

    private func add(_ part: UnsafePointer<AnomalyPart>, to meter: UnsafeMutablePointer<FlowMeter>) {
        meter.pointee.serverRstFlow &+= UInt64(part.pointee.counts[2])
        meter.pointee.tcpTimeout &+= UInt64(part.pointee.counts[3])
        meter.pointee.serverSynMiss &+= UInt64(part.pointee.counts[7])
        meter.pointee.serverHalfCloseFlow &+= UInt64(part.pointee.counts[8])
        meter.pointee.clientRstFlow &+= UInt64(part.pointee.counts[9])
        meter.pointee.clientAckMiss &+= UInt64(part.pointee.counts[10])
        meter.pointee.clientHalfCloseFlow &+= UInt64(part.pointee.counts[11])
        meter.pointee.clientSourcePortReuse &+= UInt64(part.pointee.counts[13])
        meter.pointee.serverReset &+= UInt64(part.pointee.counts[15])
        meter.pointee.serverQueueLack &+= UInt64(part.pointee.counts[17])
        meter.pointee.clientEstablishReset &+= UInt64(part.pointee.counts[18])
        meter.pointee.serverEstablishReset &+= UInt64(part.pointee.counts[19])
    }

    private func add(_ part: UnsafePointer<L7Part>, to meter: UnsafeMutablePointer<FlowMeter>) {
        let stats = part.pointee.stats
        meter.pointee.l7Request &+= stats.requestCount
        meter.pointee.l7Response &+= stats.responseCount
        meter.pointee.rrt.max = max(meter.pointee.rrt.max, stats.rrtMax)
        meter.pointee.rrt.sum &+= stats.rrtSum
        meter.pointee.rrt.count &+= stats.rrtCount
        meter.pointee.l7ClientError &+= stats.errClientCount
        meter.pointee.l7ServerError &+= stats.errServerCount
        meter.pointee.l7Timeout &+= stats.errTimeout
    }
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
