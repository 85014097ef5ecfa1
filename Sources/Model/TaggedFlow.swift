/// One report of a flow: a second of it from the flow table, a minute of it from `FlowAggr`.
///
/// Plain numbers, so that it is copied by value through queues; the few things that need the heap hang on `extra`.
/// Times are nanoseconds since 1970, latencies microseconds. Source: agent-flow.md 8, 16.4; wire.md 7.2.
@frozen
package struct TaggedFlow: Sendable {
    package var key = FlowKey()
    /// Client side: source of the flow.
    package var src = FlowMetricsPeer()
    /// Server side: destination of the flow.
    package var dst = FlowMetricsPeer()
    package var tunnel = TunnelField()
    package var perf = FlowPerfStats()
    package var flowID: UInt64 = 0
    package var startTimeNs: UInt64 = 0
    package var endTimeNs: UInt64 = 0
    package var durationNs: UInt64 = 0
    /// Second in which the counted packets were seen, whole seconds as nanoseconds. Not on the wire.
    package var flowStatTimeNs: UInt64 = 0
    package var synSeq: UInt32 = 0
    package var synAckSeq: UInt32 = 0
    package var lastKeepaliveSeq: UInt32 = 0
    package var lastKeepaliveAck: UInt32 = 0
    package var vlan: UInt16 = 0
    package var ethType: UInt16 = 0
    package var initIPID: UInt16 = 0
    /// `CloseType` raw value.
    package var closeType: UInt8 = 0
    /// `SignalSource` raw value.
    package var signalSource: UInt8 = 0
    /// `TapSide` raw values: of the flow, of its source end, of its destination end.
    package var tapSide: UInt8 = 0
    package var srcDirection: UInt8 = 0
    package var dstDirection: UInt8 = 0
    package var directionScore: UInt8 = 0
    package var queueHash: UInt8 = 0
    package var isNewFlow = false
    package var isActiveService = false
    package var isReversed = false
    package var hasPerfStats = false
    package var extra: FlowExtra?

    @inlinable package init() {}

    @inlinable package var isIPv6: Bool { ethType == EtherType.ipv6 }
}

/// What few flows have and costs heap.
package final class FlowExtra: Sendable {
    package let requestDomain: String
    package let aclGids: [UInt16]
    package let aggregatedFlowIDs: [UInt64]

    package init(requestDomain: String = "", aclGids: [UInt16] = [], aggregatedFlowIDs: [UInt64] = []) {
        self.requestDomain = requestDomain
        self.aclGids = aclGids
        self.aggregatedFlowIDs = aggregatedFlowIDs
    }
}

@frozen
package struct FlowKey: Hashable, Sendable, BitwiseCopyable {
    package var tapPort: UInt64 = 0
    package var macSrc: UInt64 = 0
    package var macDst: UInt64 = 0
    package var ipSrc = IPAddress()
    package var ipDst = IPAddress()
    package var agentID: UInt16 = 0
    /// Capture network type.
    package var tapType: UInt16 = 0
    package var portSrc: UInt16 = 0
    package var portDst: UInt16 = 0
    package var proto: UInt8 = 0

    @inlinable package init() {}
}

@frozen
package struct FlowMetricsPeer: Sendable, BitwiseCopyable {
    package var byteCount: UInt64 = 0
    package var l3ByteCount: UInt64 = 0
    package var l4ByteCount: UInt64 = 0
    package var packetCount: UInt64 = 0
    package var totalByteCount: UInt64 = 0
    package var totalPacketCount: UInt64 = 0
    package var firstNs: UInt64 = 0
    package var lastNs: UInt64 = 0
    package var realIP = IPAddress()
    package var l3EpcID: Int32 = 0
    package var gpid: UInt32 = 0
    package var realPort: UInt16 = 0
    package var tcpFlags: UInt8 = 0
    package var totalTCPFlags: UInt8 = 0
    package var natSource: UInt8 = 0
    package var isL2End = false
    package var isL3End = false
    package var isActiveHost = false
    package var isDevice = false
    package var isVipInterface = false
    package var isVip = false
    package var isLocalMac = false
    package var isLocalIP = false

    @inlinable package init() {}
}

@frozen
package struct TunnelField: Sendable, BitwiseCopyable {
    package var txIP0: UInt32 = 0
    package var txIP1: UInt32 = 0
    package var rxIP0: UInt32 = 0
    package var rxIP1: UInt32 = 0
    package var txMAC0: UInt32 = 0
    package var txMAC1: UInt32 = 0
    package var rxMAC0: UInt32 = 0
    package var rxMAC1: UInt32 = 0
    package var txID: UInt32 = 0
    package var rxID: UInt32 = 0
    /// `TunnelType` raw value; 0 = no tunnel.
    package var type: UInt8 = 0
    package var tier: UInt8 = 0

    @inlinable package init() {}
}

@frozen
package struct FlowPerfStats: Sendable, BitwiseCopyable {
    package var tcp = TCPPerfStats()
    package var l7 = L7PerfStats()
    /// `L4Protocol` raw value.
    package var l4Protocol: UInt8 = 0
    /// `L7Protocol` raw value.
    package var l7Protocol: UInt8 = 0
    package var l7FailedCount: UInt32 = 0

    @inlinable package init() {}
}

/// Maximum, sum and count of one latency; microseconds.
@frozen
package struct LatencyStats: Sendable, BitwiseCopyable, Equatable {
    package var max: UInt32 = 0
    package var count: UInt32 = 0
    package var sum: UInt64 = 0

    @inlinable package init() {}

    @inlinable @inline(__always)
    package mutating func add(_ us: UInt32) {
        if us > max { max = us }
        count &+= 1
        sum &+= UInt64(us)
    }

    @inlinable @inline(__always)
    package mutating func merge(_ other: LatencyStats) {
        if other.max > max { max = other.max }
        count &+= other.count
        sum &+= other.sum
    }
}

/// Counters of one sender of a TCP flow.
@frozen
package struct TCPPerfCounts: Sendable, BitwiseCopyable, Equatable {
    package var retrans: UInt32 = 0
    package var zeroWin: UInt32 = 0
    package var outOfOrder: UInt32 = 0

    @inlinable package init() {}

    @inlinable package mutating func merge(_ other: TCPPerfCounts) {
        retrans &+= other.retrans
        zeroWin &+= other.zeroWin
        outOfOrder &+= other.outOfOrder
    }
}

/// L4 performance of one report; UDP and ICMP use `art` and `srt` of it. Source: agent-flow.md 11.
@frozen
package struct TCPPerfStats: Sendable, BitwiseCopyable, Equatable {
    /// Handshake ACK - SYN-ACK.
    package var rttClient = LatencyStats()
    /// SYN-ACK - SYN.
    package var rttServer = LatencyStats()
    package var srt = LatencyStats()
    package var art = LatencyStats()
    package var cit = LatencyStats()
    /// Whole handshake; 0 = not measured in this report.
    package var rtt: UInt32 = 0
    package var tx = TCPPerfCounts()
    package var rx = TCPPerfCounts()
    package var totalRetrans: UInt32 = 0
    package var synCount: UInt32 = 0
    package var synAckCount: UInt32 = 0
    package var retransSyn: UInt32 = 0
    package var retransSynAck: UInt32 = 0
    package var finCount: UInt32 = 0

    @inlinable package init() {}
}

/// L7 counters of one report. Source: agent-l7.md 6.1.
@frozen
package struct L7PerfStats: Sendable, BitwiseCopyable, Equatable {
    package var requestCount: UInt32 = 0
    package var responseCount: UInt32 = 0
    package var errClientCount: UInt32 = 0
    package var errServerCount: UInt32 = 0
    package var errTimeout: UInt32 = 0
    package var rrtCount: UInt32 = 0
    package var rrtSum: UInt64 = 0
    package var rrtMax: UInt32 = 0
    package var tlsRtt: UInt32 = 0

    @inlinable package init() {}

    @inlinable package mutating func merge(_ other: L7PerfStats) {
        requestCount &+= other.requestCount
        responseCount &+= other.responseCount
        errClientCount &+= other.errClientCount
        errServerCount &+= other.errServerCount
        errTimeout &+= other.errTimeout
        rrtCount &+= other.rrtCount
        rrtSum &+= other.rrtSum
        if other.rrtMax > rrtMax { rrtMax = other.rrtMax }
        if other.tlsRtt > tlsRtt { tlsRtt = other.tlsRtt }
    }

    @inlinable package var isEmpty: Bool { self == L7PerfStats() }
}
