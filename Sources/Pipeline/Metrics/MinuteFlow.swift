import Model

/// A flow record that waits for the end of its minute, linked with the others of its window slot.
///
/// A `TaggedFlow` on six cache lines: what few flows have, or only in their first minute, lies in pools beside it. What is
/// read back equals what was written, but for `flowStatTimeNs`, which follows from the minute.
struct MinuteFlow {
    struct Peer: BitwiseCopyable {
        var byteCount: UInt64 = 0
        var l3ByteCount: UInt64 = 0
        var l4ByteCount: UInt64 = 0
        var packetCount: UInt64 = 0
        var totalByteCount: UInt64 = 0
        var totalPacketCount: UInt64 = 0
        var firstNs: UInt64 = 0
        var lastNs: UInt64 = 0
        var l3EpcID: Int32 = 0
        var realPort: UInt16 = 0
        var tcpFlags: UInt8 = 0
        var totalTCPFlags: UInt8 = 0
        var natSource: UInt8 = 0
        var isL2End = false
        var isL3End = false
        var isActiveHost = false
        var isDevice = false
        var isVipInterface = false
        var isVip = false
        var isLocalMac = false
        var isLocalIP = false
    }

    /// Of the flow, near the head of the node for comparisons.
    var flowID: UInt64 = 0
    /// Start of the flow's own minute, seconds since 1970.
    var flowTime: UInt32
    /// Neighbours in the slot as node numbers; -1 = none.
    var previous: Int32
    var next: Int32 = -1
    /// Slots in the pools of parts; -1 = none.
    fileprivate var ends: Int32 = -1
    fileprivate var setup: Int32 = -1
    fileprivate var l7: Int32 = -1

    private var tapPort: UInt64 = 0
    private var macSrc: UInt64 = 0
    private var macDst: UInt64 = 0
    /// IPv4 addresses, both as captured and real, unless there are `ends`.
    private var ipSrc: UInt32 = 0
    private var ipDst: UInt32 = 0
    private var src = Peer()
    private var dst = Peer()
    private var isNewFlow = false
    private var isActiveService = false
    private var isReversed = false
    private var hasPerfStats = false
    private var portSrc: UInt16 = 0
    private var portDst: UInt16 = 0
    private var startTimeNs: UInt64 = 0
    private var endTimeNs: UInt64 = 0
    private var durationNs: UInt64 = 0
    private var srt = LatencyStats()
    private var art = LatencyStats()
    private var cit = LatencyStats()
    private var synSeq: UInt32 = 0
    private var synAckSeq: UInt32 = 0
    private var lastKeepaliveSeq: UInt32 = 0
    private var lastKeepaliveAck: UInt32 = 0
    private var l7FailedCount: UInt32 = 0
    private var agentID: UInt16 = 0
    private var tapType: UInt16 = 0
    private var vlan: UInt16 = 0
    private var ethType: UInt16 = 0
    private var initIPID: UInt16 = 0
    private var proto: UInt8 = 0
    private var closeType: UInt8 = 0
    private var signalSource: UInt8 = 0
    private var tapSide: UInt8 = 0
    private var srcDirection: UInt8 = 0
    private var dstDirection: UInt8 = 0
    private var directionScore: UInt8 = 0
    private var queueHash: UInt8 = 0
    private var l4Protocol: UInt8 = 0
    private var l7Protocol: UInt8 = 0
    fileprivate var extra: FlowExtra?

    init(flowTime: UInt32, previous: Int32) {
        self.flowTime = flowTime
        self.previous = previous
    }

    /// All but the parts.
    @inline(__always)
    fileprivate mutating func takeFacts(_ flow: UnsafePointer<TaggedFlow>) {
        flowID = flow.pointee.flowID
        tapPort = flow.pointee.key.tapPort
        macSrc = flow.pointee.key.macSrc
        macDst = flow.pointee.key.macDst
        portSrc = flow.pointee.key.portSrc
        portDst = flow.pointee.key.portDst
        agentID = flow.pointee.key.agentID
        tapType = flow.pointee.key.tapType
        proto = flow.pointee.key.proto
        ipSrc = flow.pointee.key.ipSrc.v4
        ipDst = flow.pointee.key.ipDst.v4
        src.take(flow.pointer(to: \.src).unsafelyUnwrapped)
        dst.take(flow.pointer(to: \.dst).unsafelyUnwrapped)
        isNewFlow = flow.pointee.isNewFlow
        isActiveService = flow.pointee.isActiveService
        isReversed = flow.pointee.isReversed
        hasPerfStats = flow.pointee.hasPerfStats
        startTimeNs = flow.pointee.startTimeNs
        endTimeNs = flow.pointee.endTimeNs
        durationNs = flow.pointee.durationNs
        synSeq = flow.pointee.synSeq
        synAckSeq = flow.pointee.synAckSeq
        lastKeepaliveSeq = flow.pointee.lastKeepaliveSeq
        lastKeepaliveAck = flow.pointee.lastKeepaliveAck
        vlan = flow.pointee.vlan
        ethType = flow.pointee.ethType
        initIPID = flow.pointee.initIPID
        closeType = flow.pointee.closeType
        signalSource = flow.pointee.signalSource
        tapSide = flow.pointee.tapSide
        srcDirection = flow.pointee.srcDirection
        dstDirection = flow.pointee.dstDirection
        directionScore = flow.pointee.directionScore
        queueHash = flow.pointee.queueHash
        srt = flow.pointee.perf.tcp.srt
        art = flow.pointee.perf.tcp.art
        cit = flow.pointee.perf.tcp.cit
        l4Protocol = flow.pointee.perf.l4Protocol
        l7Protocol = flow.pointee.perf.l7Protocol
        l7FailedCount = flow.pointee.perf.l7FailedCount
        extra = flow.pointee.extra
    }

    /// All but the parts; the real addresses are those captured.
    @inline(__always)
    fileprivate func copyFacts(to flow: UnsafeMutablePointer<TaggedFlow>) {
        flow.pointee.flowID = flowID
        flow.pointee.key.tapPort = tapPort
        flow.pointee.key.macSrc = macSrc
        flow.pointee.key.macDst = macDst
        flow.pointee.key.portSrc = portSrc
        flow.pointee.key.portDst = portDst
        flow.pointee.key.agentID = agentID
        flow.pointee.key.tapType = tapType
        flow.pointee.key.proto = proto
        flow.pointee.key.ipSrc = IPAddress(v4: ipSrc)
        flow.pointee.key.ipDst = IPAddress(v4: ipDst)
        src.copy(to: flow.pointer(to: \.src).unsafelyUnwrapped)
        dst.copy(to: flow.pointer(to: \.dst).unsafelyUnwrapped)
        flow.pointee.src.realIP = flow.pointee.key.ipSrc
        flow.pointee.dst.realIP = flow.pointee.key.ipDst
        flow.pointee.isNewFlow = isNewFlow
        flow.pointee.isActiveService = isActiveService
        flow.pointee.isReversed = isReversed
        flow.pointee.hasPerfStats = hasPerfStats
        flow.pointee.startTimeNs = startTimeNs
        flow.pointee.endTimeNs = endTimeNs
        flow.pointee.durationNs = durationNs
        flow.pointee.synSeq = synSeq
        flow.pointee.synAckSeq = synAckSeq
        flow.pointee.lastKeepaliveSeq = lastKeepaliveSeq
        flow.pointee.lastKeepaliveAck = lastKeepaliveAck
        flow.pointee.vlan = vlan
        flow.pointee.ethType = ethType
        flow.pointee.initIPID = initIPID
        flow.pointee.closeType = closeType
        flow.pointee.signalSource = signalSource
        flow.pointee.tapSide = tapSide
        flow.pointee.srcDirection = srcDirection
        flow.pointee.dstDirection = dstDirection
        flow.pointee.directionScore = directionScore
        flow.pointee.queueHash = queueHash
        flow.pointee.perf.tcp.srt = srt
        flow.pointee.perf.tcp.art = art
        flow.pointee.perf.tcp.cit = cit
        flow.pointee.perf.l4Protocol = l4Protocol
        flow.pointee.perf.l7Protocol = l7Protocol
        flow.pointee.perf.l7FailedCount = l7FailedCount
        flow.pointee.extra = extra
    }
}

/// The ends of a flow that are not two IPv4 addresses alone.
struct MinuteEnds: BitwiseCopyable {
    var ipSrc = IPAddress()
    var ipDst = IPAddress()
    var realSrc = IPAddress()
    var realDst = IPAddress()
    var gpidSrc: UInt32 = 0
    var gpidDst: UInt32 = 0
    var tunnel = TunnelField()
}

/// Handshakes, ends and losses of TCP.
struct MinuteSetup: BitwiseCopyable {
    var rttClient = LatencyStats()
    var rttServer = LatencyStats()
    var rtt: UInt32 = 0
    var tx = TCPPerfCounts()
    var rx = TCPPerfCounts()
    var totalRetrans: UInt32 = 0
    var synCount: UInt32 = 0
    var synAckCount: UInt32 = 0
    var retransSyn: UInt32 = 0
    var retransSynAck: UInt32 = 0
    var finCount: UInt32 = 0
}

extension MinuteFlow.Peer {
    @inline(__always)
    fileprivate mutating func take(_ peer: UnsafePointer<FlowMetricsPeer>) {
        byteCount = peer.pointee.byteCount
        l3ByteCount = peer.pointee.l3ByteCount
        l4ByteCount = peer.pointee.l4ByteCount
        packetCount = peer.pointee.packetCount
        totalByteCount = peer.pointee.totalByteCount
        totalPacketCount = peer.pointee.totalPacketCount
        firstNs = peer.pointee.firstNs
        lastNs = peer.pointee.lastNs
        l3EpcID = peer.pointee.l3EpcID
        realPort = peer.pointee.realPort
        tcpFlags = peer.pointee.tcpFlags
        totalTCPFlags = peer.pointee.totalTCPFlags
        natSource = peer.pointee.natSource
        isL2End = peer.pointee.isL2End
        isL3End = peer.pointee.isL3End
        isActiveHost = peer.pointee.isActiveHost
        isDevice = peer.pointee.isDevice
        isVipInterface = peer.pointee.isVipInterface
        isVip = peer.pointee.isVip
        isLocalMac = peer.pointee.isLocalMac
        isLocalIP = peer.pointee.isLocalIP
    }

    @inline(__always)
    fileprivate func copy(to peer: UnsafeMutablePointer<FlowMetricsPeer>) {
        peer.pointee.byteCount = byteCount
        peer.pointee.l3ByteCount = l3ByteCount
        peer.pointee.l4ByteCount = l4ByteCount
        peer.pointee.packetCount = packetCount
        peer.pointee.totalByteCount = totalByteCount
        peer.pointee.totalPacketCount = totalPacketCount
        peer.pointee.firstNs = firstNs
        peer.pointee.lastNs = lastNs
        peer.pointee.l3EpcID = l3EpcID
        peer.pointee.realPort = realPort
        peer.pointee.tcpFlags = tcpFlags
        peer.pointee.totalTCPFlags = totalTCPFlags
        peer.pointee.natSource = natSource
        peer.pointee.isL2End = isL2End
        peer.pointee.isL3End = isL3End
        peer.pointee.isActiveHost = isActiveHost
        peer.pointee.isDevice = isDevice
        peer.pointee.isVipInterface = isVipInterface
        peer.pointee.isVip = isVip
        peer.pointee.isLocalMac = isLocalMac
        peer.pointee.isLocalIP = isLocalIP
    }
}

extension MinuteEnds {
    @inline(__always)
    fileprivate init(_ flow: UnsafePointer<TaggedFlow>) {
        ipSrc = flow.pointee.key.ipSrc
        ipDst = flow.pointee.key.ipDst
        realSrc = flow.pointee.src.realIP
        realDst = flow.pointee.dst.realIP
        gpidSrc = flow.pointee.src.gpid
        gpidDst = flow.pointee.dst.gpid
        tunnel = flow.pointee.tunnel
    }

    @inline(__always)
    fileprivate static func areNeeded(_ flow: UnsafePointer<TaggedFlow>) -> Bool {
        let (src, dst) = (flow.pointee.key.ipSrc, flow.pointee.key.ipDst)
        return src.high | dst.high | (src.low | dst.low) >> 32 != 0 || src != flow.pointee.src.realIP
            || dst != flow.pointee.dst.realIP || flow.pointee.tunnel.type != 0
            || flow.pointee.src.gpid | flow.pointee.dst.gpid != 0
    }

    @inline(__always)
    fileprivate func copy(to flow: UnsafeMutablePointer<TaggedFlow>) {
        flow.pointee.key.ipSrc = ipSrc
        flow.pointee.key.ipDst = ipDst
        flow.pointee.src.realIP = realSrc
        flow.pointee.dst.realIP = realDst
        flow.pointee.src.gpid = gpidSrc
        flow.pointee.dst.gpid = gpidDst
        flow.pointee.tunnel = tunnel
    }
}

extension MinuteSetup {
    @inline(__always)
    fileprivate init(_ tcp: UnsafePointer<TCPPerfStats>) {
        rttClient = tcp.pointee.rttClient
        rttServer = tcp.pointee.rttServer
        rtt = tcp.pointee.rtt
        tx = tcp.pointee.tx
        rx = tcp.pointee.rx
        totalRetrans = tcp.pointee.totalRetrans
        synCount = tcp.pointee.synCount
        synAckCount = tcp.pointee.synAckCount
        retransSyn = tcp.pointee.retransSyn
        retransSynAck = tcp.pointee.retransSynAck
        finCount = tcp.pointee.finCount
    }

    @inline(__always)
    fileprivate static func isNeeded(_ tcp: UnsafePointer<TCPPerfStats>) -> Bool {
        let times =
            tcp.pointee.rttClient.max | tcp.pointee.rttClient.count | tcp.pointee.rttServer.max
            | tcp.pointee.rttServer.count | tcp.pointee.rtt
        let losses =
            tcp.pointee.tx.retrans | tcp.pointee.tx.zeroWin | tcp.pointee.tx.outOfOrder | tcp.pointee.rx.retrans
            | tcp.pointee.rx.zeroWin | tcp.pointee.rx.outOfOrder | tcp.pointee.totalRetrans
        let flags =
            tcp.pointee.synCount | tcp.pointee.synAckCount | tcp.pointee.retransSyn | tcp.pointee.retransSynAck
            | tcp.pointee.finCount
        return times | losses | flags != 0 || tcp.pointee.rttClient.sum | tcp.pointee.rttServer.sum != 0
    }

    @inline(__always)
    fileprivate func copy(to tcp: UnsafeMutablePointer<TCPPerfStats>) {
        tcp.pointee.rttClient = rttClient
        tcp.pointee.rttServer = rttServer
        tcp.pointee.rtt = rtt
        tcp.pointee.tx = tx
        tcp.pointee.rx = rx
        tcp.pointee.totalRetrans = totalRetrans
        tcp.pointee.synCount = synCount
        tcp.pointee.synAckCount = synAckCount
        tcp.pointee.retransSyn = retransSyn
        tcp.pointee.retransSynAck = retransSynAck
        tcp.pointee.finCount = finCount
    }
}

/// What flow records take from pools beside their nodes.
struct MinuteParts: ~Copyable {
    private var ends = Pool(initial: MinuteEnds())
    private var setups = Pool(initial: MinuteSetup())
    private var l7 = Pool(initial: L7PerfStats())

    var count: Int { ends.count + setups.count + l7.count }

    /// Writes a record into an initialised node.
    @inline(__always)
    mutating func write(_ flow: UnsafePointer<TaggedFlow>, to node: UnsafeMutablePointer<MinuteFlow>) {
        node.pointee.takeFacts(flow)
        if node.pointee.ends >= 0 || MinuteEnds.areNeeded(flow) {
            if node.pointee.ends < 0 { node.pointee.ends = ends.take() }
            ends[node.pointee.ends].pointee = MinuteEnds(flow)
        }
        let tcp = flow.pointer(to: \.perf.tcp).unsafelyUnwrapped
        if node.pointee.setup >= 0 || MinuteSetup.isNeeded(tcp) {
            if node.pointee.setup < 0 { node.pointee.setup = setups.take() }
            setups[node.pointee.setup].pointee = MinuteSetup(tcp)
        }
        if node.pointee.l7 >= 0 || flow.pointee.perf.l7.hasCounts {
            if node.pointee.l7 < 0 { node.pointee.l7 = l7.take() }
            l7[node.pointee.l7].pointee = flow.pointee.perf.l7
        }
    }

    /// The record of a node as it was written.
    /// - Parameter flow: uninitialised memory.
    @inline(__always)
    func read(_ node: UnsafeMutablePointer<MinuteFlow>, into flow: UnsafeMutablePointer<TaggedFlow>) {
        flow.initialize(to: TaggedFlow())
        node.pointee.copyFacts(to: flow)
        if node.pointee.ends >= 0 { ends[node.pointee.ends].pointee.copy(to: flow) }
        if node.pointee.setup >= 0 {
            setups[node.pointee.setup].pointee.copy(to: flow.pointer(to: \.perf.tcp).unsafelyUnwrapped)
        }
        if node.pointee.l7 >= 0 { flow.pointee.perf.l7 = l7[node.pointee.l7].pointee }
    }

    /// Gives back what the node took.
    @inline(__always)
    mutating func release(_ node: UnsafeMutablePointer<MinuteFlow>) {
        if node.pointee.ends >= 0 { ends.give(back: node.pointee.ends) }
        if node.pointee.setup >= 0 { setups.give(back: node.pointee.setup) }
        if node.pointee.l7 >= 0 { l7.give(back: node.pointee.l7) }
    }
}
