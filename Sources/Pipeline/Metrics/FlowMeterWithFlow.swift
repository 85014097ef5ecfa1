package import Model

/// One quadruple of one window slot: the first flow's facts and the sum of all its flows' counters.
///
/// Lives in the slot and is accumulated in place; copied only into the queues of a threaded pipeline.
/// Source: agent-flow.md 13.3, 13.4.
package struct FlowMeterWithFlow: BitwiseCopyable, Sendable {
    var key: QuadrupleKey
    package var flow: MiniFlow
    package var meter: FlowMeter
    /// Connections that the load of the next merge starts from.
    var flowCount: UInt64
    /// Second of the latest flow merged in, seconds since 1970.
    package var timeSeconds: UInt32
    /// What this slot adds to `sum` and `living` of its connection key.
    var connectionSum: Int32
    var connectionLiving: Int32
    var hasConnections: Bool
    /// Cleared by the first flow, so that the second one knows it merges.
    package var l7Protocol: UInt8
    var parts: MeterParts
    package var isActiveSrc: Bool
    package var isActiveDst: Bool

    @inline(__always)
    static func initialize(
        _ entry: UnsafeMutablePointer<FlowMeterWithFlow>, _ key: QuadrupleKey, _ flow: UnsafePointer<TaggedFlow>
    ) {
        entry.pointee.key = key
        entry.pointee.flow = MiniFlow(flow)
        entry.pointee.meter = FlowMeter()
        entry.pointee.flowCount = 0
        entry.pointee.timeSeconds = 0
        entry.pointee.connectionSum = 0
        entry.pointee.connectionLiving = 0
        entry.pointee.hasConnections = false
        entry.pointee.l7Protocol = flow.pointee.perf.l7Protocol
        entry.pointee.parts = []
        entry.pointee.isActiveSrc = false
        entry.pointee.isActiveDst = false
    }

    /// Adds the counters of one flow record.
    @inline(__always)
    static func add(
        _ flow: UnsafePointer<TaggedFlow>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>,
        _ settings: FlowMetricsSettings
    ) {
        let meter = entry.pointer(to: \.meter).unsafelyUnwrapped
        let signal = flow.pointee.signalSource
        if signal == SignalSource.packet.rawValue || signal == SignalSource.xflow.rawValue {
            addTraffic(flow, to: meter)
            if flow.pointee.key.proto == IPProtocol.tcp { addAnomaly(flow.pointee.closeType, to: entry) }
            if flow.pointee.hasPerfStats { addPerformance(flow, to: entry, settings) }
        }
        guard flow.pointee.hasPerfStats, settings.apmMetrics else { return }
        if flow.pointee.perf.l7Protocol != 0 || signal == SignalSource.otel.rawValue { addL7(flow, to: entry) }
    }

    @inline(__always)
    private static func addTraffic(_ flow: UnsafePointer<TaggedFlow>, to meter: UnsafeMutablePointer<FlowMeter>) {
        meter.pointee.packetTx &+= flow.pointee.src.packetCount
        meter.pointee.packetRx &+= flow.pointee.dst.packetCount
        meter.pointee.byteTx &+= flow.pointee.src.byteCount
        meter.pointee.byteRx &+= flow.pointee.dst.byteCount
        meter.pointee.l3ByteTx &+= flow.pointee.src.l3ByteCount
        meter.pointee.l3ByteRx &+= flow.pointee.dst.l3ByteCount
        meter.pointee.l4ByteTx &+= flow.pointee.src.l4ByteCount
        meter.pointee.l4ByteRx &+= flow.pointee.dst.l4ByteCount
        if flow.pointee.isNewFlow { meter.pointee.newFlow &+= 1 }
        if flow.pointee.closeType != CloseType.forcedReport.rawValue { meter.pointee.closedFlow &+= 1 }
        if flow.pointee.directionScore > meter.pointee.directionScore {
            meter.pointee.directionScore = flow.pointee.directionScore
        }
    }

    @inline(__always)
    private static func addPerformance(
        _ flow: UnsafePointer<TaggedFlow>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>,
        _ settings: FlowMetricsSettings
    ) {
        let tcp = flow.pointer(to: \.perf.tcp).unsafelyUnwrapped
        let meter = entry.pointer(to: \.meter).unsafelyUnwrapped
        meter.pointee.syn &+= tcp.pointee.synCount
        meter.pointee.synAck &+= tcp.pointee.synAckCount
        let proto = flow.pointee.key.proto
        if proto == IPProtocol.tcp || proto == IPProtocol.icmp || proto == IPProtocol.icmpv6 {
            guard tcp.pointee.hasMeasurements else { return }
            addTCP(tcp, to: meter)
            entry.pointee.parts.insert(.performance)
        } else if tcp.pointee.art.max > 0 {
            // The reference counts as many responses as the longest took microseconds.
            meter.pointee.art.max = max(meter.pointee.art.max, tcp.pointee.art.max)
            meter.pointee.art.sum &+= tcp.pointee.art.sum
            meter.pointee.art.count &+= settings.countsUDPResponses ? tcp.pointee.art.count : tcp.pointee.art.max
            entry.pointee.parts.insert(.performance)
        }
    }

    private static func addTCP(_ tcp: UnsafePointer<TCPPerfStats>, to meter: UnsafeMutablePointer<FlowMeter>) {
        let rtt = tcp.pointee.rtt
        if rtt > 0 { meter.pointee.rtt.add(rtt) }
        meter.pointee.rttClient.merge(tcp.pointee.rttClient)
        meter.pointee.rttServer.merge(tcp.pointee.rttServer)
        meter.pointee.srt.merge(tcp.pointee.srt)
        meter.pointee.art.merge(tcp.pointee.art)
        meter.pointee.cit.merge(tcp.pointee.cit)
        meter.pointee.retransTx &+= UInt64(tcp.pointee.tx.retrans)
        meter.pointee.retransRx &+= UInt64(tcp.pointee.rx.retrans)
        meter.pointee.zeroWinTx &+= UInt64(tcp.pointee.tx.zeroWin)
        meter.pointee.zeroWinRx &+= UInt64(tcp.pointee.rx.zeroWin)
        meter.pointee.clientOoo &+= UInt64(tcp.pointee.tx.outOfOrder)
        meter.pointee.serverOoo &+= UInt64(tcp.pointee.rx.outOfOrder)
        meter.pointee.retransSyn &+= tcp.pointee.retransSyn
        meter.pointee.retransSynAck &+= tcp.pointee.retransSynAck
    }

    private static func addL7(_ flow: UnsafePointer<TaggedFlow>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>) {
        let l7 = flow.pointer(to: \.perf.l7).unsafelyUnwrapped
        let meter = entry.pointer(to: \.meter).unsafelyUnwrapped
        guard !l7.pointee.isEmpty else { return }
        entry.pointee.parts.insert(.l7)
        meter.pointee.l7Request &+= l7.pointee.requestCount
        meter.pointee.l7Response &+= l7.pointee.responseCount
        meter.pointee.rrt.max = max(meter.pointee.rrt.max, l7.pointee.rrtMax)
        meter.pointee.rrt.sum &+= l7.pointee.rrtSum
        meter.pointee.rrt.count &+= l7.pointee.rrtCount
        meter.pointee.l7ClientError &+= l7.pointee.errClientCount
        meter.pointee.l7ServerError &+= l7.pointee.errServerCount
        meter.pointee.l7Timeout &+= l7.pointee.errTimeout
    }

    @inline(__always)
    private static func addAnomaly(_ closeType: UInt8, to entry: UnsafeMutablePointer<FlowMeterWithFlow>) {
        guard closeType != CloseType.forcedReport.rawValue else { return }
        let meter = entry.pointer(to: \.meter).unsafelyUnwrapped
        switch CloseType(rawValue: closeType) {
        case .tcpServerRst: meter.pointee.serverRstFlow &+= 1
        case .timeout: meter.pointee.tcpTimeout &+= 1
        case .clientSynRepeat: meter.pointee.serverSynMiss &+= 1
        case .serverHalfClose: meter.pointee.serverHalfCloseFlow &+= 1
        case .tcpClientRst: meter.pointee.clientRstFlow &+= 1
        case .serverSynAckRepeat: meter.pointee.clientAckMiss &+= 1
        case .clientHalfClose: meter.pointee.clientHalfCloseFlow &+= 1
        case .clientSourcePortReuse: meter.pointee.clientSourcePortReuse &+= 1
        case .serverReset: meter.pointee.serverReset &+= 1
        case .serverQueueLack: meter.pointee.serverQueueLack &+= 1
        case .clientEstablishReset: meter.pointee.clientEstablishReset &+= 1
        case .serverEstablishReset: meter.pointee.serverEstablishReset &+= 1
        case .unknown, .finish, .forcedReport, .tcpFinClientRst, nil: return
        }
        entry.pointee.parts.insert(.anomaly)
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
