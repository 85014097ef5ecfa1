import Model
import Testing

@testable import Pipeline

/// A record comes back from its node as it went in.
struct MetricsFlowPoolTests {
    private var random = SeededGenerator(seed: 7)

    /// Zero half of the time, else often at the edge.
    private mutating func number<Number: FixedWidthInteger & UnsignedInteger>() -> Number {
        let word = random.next()
        switch word & 7 {
        case 0..<4: return 0
        case 4: return 1
        case 5: return .max
        default: return Number(truncatingIfNeeded: word >> 3)
        }
    }

    private mutating func isTrue(onceIn turns: UInt64 = 2) -> Bool { random.next() % turns == 0 }

    private mutating func latency() -> LatencyStats {
        var stats = LatencyStats()
        stats.max = number()
        stats.count = number()
        stats.sum = number()
        return stats
    }

    private mutating func counts() -> TCPPerfCounts {
        var counts = TCPPerfCounts()
        counts.retrans = number()
        counts.zeroWin = number()
        counts.outOfOrder = number()
        return counts
    }

    private mutating func address() -> IPAddress {
        isTrue(onceIn: 8) ? IPAddress(high: number(), low: number()) : IPAddress(v4: number())
    }

    private mutating func peer(_ ip: IPAddress) -> FlowMetricsPeer {
        var peer = FlowMetricsPeer()
        peer.byteCount = number()
        peer.l3ByteCount = number()
        peer.l4ByteCount = number()
        peer.packetCount = number()
        peer.totalByteCount = number()
        peer.totalPacketCount = number()
        peer.firstNs = number()
        peer.lastNs = number()
        peer.realIP = isTrue(onceIn: 8) ? address() : ip
        peer.l3EpcID = Int32(bitPattern: number())
        if isTrue(onceIn: 8) { peer.gpid = number() }
        peer.realPort = number()
        peer.tcpFlags = number()
        peer.totalTCPFlags = number()
        peer.natSource = number()
        peer.isL2End = isTrue()
        peer.isL3End = isTrue()
        peer.isActiveHost = isTrue()
        peer.isDevice = isTrue()
        peer.isVipInterface = isTrue()
        peer.isVip = isTrue()
        peer.isLocalMac = isTrue()
        peer.isLocalIP = isTrue()
        return peer
    }

    private mutating func tunnel() -> TunnelField {
        var tunnel = TunnelField()
        tunnel.type = 1
        tunnel.tier = number()
        tunnel.txIP0 = number()
        tunnel.txIP1 = number()
        tunnel.rxIP0 = number()
        tunnel.rxIP1 = number()
        tunnel.txMAC0 = number()
        tunnel.txMAC1 = number()
        tunnel.rxMAC0 = number()
        tunnel.rxMAC1 = number()
        tunnel.txID = number()
        tunnel.rxID = number()
        return tunnel
    }

    private mutating func tcp() -> TCPPerfStats {
        var tcp = TCPPerfStats()
        tcp.srt = latency()
        tcp.art = latency()
        tcp.cit = latency()
        guard isTrue() else { return tcp }
        // Often one of them alone.
        switch random.next() % 12 {
        case 0: tcp.rttClient.sum = 1
        case 1: tcp.rttServer = latency()
        case 2: tcp.rtt = number()
        case 3: tcp.tx = counts()
        case 4: tcp.rx = counts()
        case 5: tcp.totalRetrans = number()
        case 6: tcp.synCount = number()
        case 7: tcp.synAckCount = number()
        case 8: tcp.retransSyn = number()
        case 9: tcp.retransSynAck = number()
        case 10: tcp.finCount = number()
        default:
            tcp.rttClient = latency()
            tcp.rttServer = latency()
            tcp.rtt = number()
            tcp.finCount = number()
        }
        return tcp
    }

    private mutating func l7() -> L7PerfStats {
        var l7 = L7PerfStats()
        guard isTrue() else { return l7 }
        switch random.next() % 4 {
        case 0: l7.rrtSum = 1
        case 1: l7.tlsRtt = number()
        case 2: l7.errTimeout = number()
        default:
            l7.requestCount = number()
            l7.responseCount = number()
            l7.errClientCount = number()
            l7.errServerCount = number()
            l7.rrtCount = number()
            l7.rrtMax = number()
        }
        return l7
    }

    /// Without `flowStatTimeNs`, which the minute stands for.
    private mutating func record() -> TaggedFlow {
        var flow = TaggedFlow()
        flow.key.tapPort = number()
        flow.key.macSrc = number()
        flow.key.macDst = number()
        flow.key.ipSrc = address()
        flow.key.ipDst = address()
        flow.key.agentID = number()
        flow.key.tapType = number()
        flow.key.portSrc = number()
        flow.key.portDst = number()
        flow.key.proto = number()
        flow.src = peer(flow.key.ipSrc)
        flow.dst = peer(flow.key.ipDst)
        if isTrue(onceIn: 4) { flow.tunnel = tunnel() }
        flow.perf.tcp = tcp()
        flow.perf.l7 = l7()
        flow.perf.l4Protocol = number()
        flow.perf.l7Protocol = number()
        flow.perf.l7FailedCount = number()
        flow.flowID = number()
        flow.startTimeNs = number()
        flow.endTimeNs = number()
        flow.durationNs = number()
        flow.synSeq = number()
        flow.synAckSeq = number()
        flow.lastKeepaliveSeq = number()
        flow.lastKeepaliveAck = number()
        flow.vlan = number()
        flow.ethType = number()
        flow.initIPID = number()
        flow.closeType = number()
        flow.signalSource = number()
        flow.tapSide = number()
        flow.srcDirection = number()
        flow.dstDirection = number()
        flow.directionScore = number()
        flow.queueHash = number()
        flow.isNewFlow = isTrue()
        flow.isActiveService = isTrue()
        flow.isReversed = isTrue()
        flow.hasPerfStats = isTrue()
        if isTrue(onceIn: 4) { flow.extra = FlowExtra(requestDomain: "\(random.next())") }
        return flow
    }

    /// What the node holds, as text of all fields.
    private static func text(_ number: Int32, _ pool: borrowing FlowPool) -> String {
        let room = UnsafeMutablePointer<TaggedFlow>.allocate(capacity: 1)
        defer { room.deallocate() }
        pool.read(number, into: room)
        return text(room.move())
    }

    private static func text(_ flow: TaggedFlow) -> String { "\(flow) \(flow.extra?.requestDomain ?? "")" }

    @Test mutating func recordsComeBackAsTheyWere() {
        var pool = FlowPool()
        var kept: [Int32] = []
        for turn in 0..<400 {
            let (first, second) = (record(), record())
            let number = withUnsafePointer(to: first) { pool.add($0, flowTime: UInt32(turn), previous: -1) }
            #expect(MetricsFlowPoolTests.text(number, pool) == MetricsFlowPoolTests.text(first))
            withUnsafePointer(to: second) { pool.write($0, to: number) }
            #expect(MetricsFlowPoolTests.text(number, pool) == MetricsFlowPoolTests.text(second))
            #expect(pool[number].pointee.flowID == second.flowID && pool[number].pointee.flowTime == UInt32(turn))
            if turn % 3 == 0 { kept.append(number) } else { pool.release(number) }
        }
        for number in kept { pool.release(number) }
        #expect(pool.count == 0 && pool.partCount == 0)
    }

    @Test func nodesFillSixCacheLines() {
        #expect((321...384).contains(MemoryLayout<MinuteFlow>.size))
    }
}
