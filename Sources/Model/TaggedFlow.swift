/// One report of a flow: a second of it from the flow table, a minute of it from `FlowAggr`.
///
/// Plain numbers, so that it is copied by value through queues; the few things that need the heap hang on `extra`.
/// Times are nanoseconds since 1970, latencies microseconds. Source: agent-flow.md 8, 16.4; wire.md 7.2.
@frozen
public struct TaggedFlow: Sendable {
    public var key = FlowKey()
    /// Client side: source of the flow.
    public var src = FlowMetricsPeer()
    /// Server side: destination of the flow.
    public var dst = FlowMetricsPeer()
    public var tunnel = TunnelField()
    public var perf = FlowPerfStats()
    public var flowID: UInt64 = 0
    public var startTimeNs: UInt64 = 0
    public var endTimeNs: UInt64 = 0
    public var durationNs: UInt64 = 0
    /// Second in which the counted packets were seen, whole seconds as nanoseconds. Not on the wire.
    public var flowStatTimeNs: UInt64 = 0
    public var synSeq: UInt32 = 0
    public var synAckSeq: UInt32 = 0
    public var lastKeepaliveSeq: UInt32 = 0
    public var lastKeepaliveAck: UInt32 = 0
    public var vlan: UInt16 = 0
    public var ethType: UInt16 = 0
    public var initIPID: UInt16 = 0
    /// `CloseType` raw value.
    public var closeType: UInt8 = 0
    /// `SignalSource` raw value.
    public var signalSource: UInt8 = 0
    /// `TapSide` raw values: of the flow, of its source end, of its destination end.
    public var tapSide: UInt8 = 0
    public var srcDirection: UInt8 = 0
    public var dstDirection: UInt8 = 0
    public var directionScore: UInt8 = 0
    public var queueHash: UInt8 = 0
    public var isNewFlow = false
    public var isActiveService = false
    public var isReversed = false
    public var hasPerfStats = false
    public var extra: FlowExtra?

    @inlinable public init() {}

    @inlinable public var isIPv6: Bool { ethType == EtherType.ipv6 }
}

/// What few flows have and costs heap.
public final class FlowExtra: Sendable {
    public let requestDomain: String
    public let aclGids: [UInt16]
    public let aggregatedFlowIDs: [UInt64]

    public init(requestDomain: String = "", aclGids: [UInt16] = [], aggregatedFlowIDs: [UInt64] = []) {
        self.requestDomain = requestDomain
        self.aclGids = aclGids
        self.aggregatedFlowIDs = aggregatedFlowIDs
    }
}

@frozen
public struct FlowKey: Hashable, Sendable, BitwiseCopyable {
    public var tapPort: UInt64 = 0
    public var macSrc: UInt64 = 0
    public var macDst: UInt64 = 0
    public var ipSrc = IPAddress()
    public var ipDst = IPAddress()
    public var agentID: UInt16 = 0
    /// Capture network type.
    public var tapType: UInt16 = 0
    public var portSrc: UInt16 = 0
    public var portDst: UInt16 = 0
    public var proto: UInt8 = 0

    @inlinable public init() {}
}

@frozen
public struct FlowMetricsPeer: Sendable, BitwiseCopyable {
    public var byteCount: UInt64 = 0
    public var l3ByteCount: UInt64 = 0
    public var l4ByteCount: UInt64 = 0
    public var packetCount: UInt64 = 0
    public var totalByteCount: UInt64 = 0
    public var totalPacketCount: UInt64 = 0
    public var firstNs: UInt64 = 0
    public var lastNs: UInt64 = 0
    public var realIP = IPAddress()
    public var l3EpcID: Int32 = 0
    public var gpid: UInt32 = 0
    public var realPort: UInt16 = 0
    public var tcpFlags: UInt8 = 0
    public var totalTCPFlags: UInt8 = 0
    public var natSource: UInt8 = 0
    public var isL2End = false
    public var isL3End = false
    public var isActiveHost = false
    public var isDevice = false
    public var isVipInterface = false
    public var isVip = false
    public var isLocalMac = false
    public var isLocalIP = false

    @inlinable public init() {}
}

@frozen
public struct TunnelField: Sendable, BitwiseCopyable {
    public var txIP0: UInt32 = 0
    public var txIP1: UInt32 = 0
    public var rxIP0: UInt32 = 0
    public var rxIP1: UInt32 = 0
    public var txMAC0: UInt32 = 0
    public var txMAC1: UInt32 = 0
    public var rxMAC0: UInt32 = 0
    public var rxMAC1: UInt32 = 0
    public var txID: UInt32 = 0
    public var rxID: UInt32 = 0
    /// `TunnelType` raw value; 0 = no tunnel.
    public var type: UInt8 = 0
    public var tier: UInt8 = 0

    @inlinable public init() {}
}

@frozen
public struct FlowPerfStats: Sendable, BitwiseCopyable {
    public var tcp = TCPPerfStats()
    public var l7 = L7PerfStats()
    /// `L4Protocol` raw value.
    public var l4Protocol: UInt8 = 0
    /// `L7Protocol` raw value.
    public var l7Protocol: UInt8 = 0
    public var l7FailedCount: UInt32 = 0

    @inlinable public init() {}
}

/// Maximum, sum and count of one latency; microseconds.
@frozen
public struct LatencyStats: Sendable, BitwiseCopyable, Equatable {
    public var max: UInt32 = 0
    public var count: UInt32 = 0
    public var sum: UInt64 = 0

    @inlinable public init() {}

    @inlinable @inline(__always)
    public mutating func add(_ us: UInt32) {
        if us > max { max = us }
        count &+= 1
        sum &+= UInt64(us)
    }

    @inlinable @inline(__always)
    public mutating func merge(_ other: LatencyStats) {
        if other.max > max { max = other.max }
        count &+= other.count
        sum &+= other.sum
    }
}

/// Counters of one sender of a TCP flow.
@frozen
public struct TCPPerfCounts: Sendable, BitwiseCopyable, Equatable {
    public var retrans: UInt32 = 0
    public var zeroWin: UInt32 = 0
    public var outOfOrder: UInt32 = 0

    @inlinable public init() {}

    @inlinable public mutating func merge(_ other: TCPPerfCounts) {
        retrans &+= other.retrans
        zeroWin &+= other.zeroWin
        outOfOrder &+= other.outOfOrder
    }
}

/// L4 performance of one report; UDP and ICMP use `art` and `srt` of it. Source: agent-flow.md 11.
@frozen
public struct TCPPerfStats: Sendable, BitwiseCopyable, Equatable {
    /// Handshake ACK - SYN-ACK.
    public var rttClient = LatencyStats()
    /// SYN-ACK - SYN.
    public var rttServer = LatencyStats()
    public var srt = LatencyStats()
    public var art = LatencyStats()
    public var cit = LatencyStats()
    /// Whole handshake; 0 = not measured in this report.
    public var rtt: UInt32 = 0
    public var tx = TCPPerfCounts()
    public var rx = TCPPerfCounts()
    public var totalRetrans: UInt32 = 0
    public var synCount: UInt32 = 0
    public var synAckCount: UInt32 = 0
    public var retransSyn: UInt32 = 0
    public var retransSynAck: UInt32 = 0
    public var finCount: UInt32 = 0

    @inlinable public init() {}
}

/// L7 counters of one report. Source: agent-l7.md 6.1.
@frozen
public struct L7PerfStats: Sendable, BitwiseCopyable, Equatable {
    public var requestCount: UInt32 = 0
    public var responseCount: UInt32 = 0
    public var errClientCount: UInt32 = 0
    public var errServerCount: UInt32 = 0
    public var errTimeout: UInt32 = 0
    public var rrtCount: UInt32 = 0
    public var rrtSum: UInt64 = 0
    public var rrtMax: UInt32 = 0
    public var tlsRtt: UInt32 = 0

    @inlinable public init() {}

    @inlinable public mutating func merge(_ other: L7PerfStats) {
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

    @inlinable public var isEmpty: Bool { self == L7PerfStats() }
}
