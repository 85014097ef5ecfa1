import Model

/// What few flows carry besides their counters, by the flow's slot.
struct FlowExtras {
    private var items: [FlowExtra?] = []

    subscript(_ index: Int32) -> FlowExtra? {
        get { Int(index) < items.count ? items[Int(index)] : nil }
        set {
            while items.count <= Int(index) { items.append(nil) }
            items[Int(index)] = newValue
        }
    }
}

/// One flow in the table: what a packet touches, kept small; reports are built from it.
///
/// Fields stand in the order of use: a packet reads and writes the first two cache lines and one line of its sender, the
/// L7 side the line between the two peers, reports the rest.
/// Index 0 is the flow's source (client), 1 its destination. Source: agent-flow.md 8.
struct FlowNode: BitwiseCopyable {
    struct Peer: BitwiseCopyable {
        // One cache line.
        var byteCount: UInt64 = 0
        var l3ByteCount: UInt64 = 0
        var l4ByteCount: UInt64 = 0
        var packetCount: UInt32 = 0
        var tcpFlags: UInt8 = 0
        var totalTCPFlags: UInt8 = 0
        var hasTOA = false
        var isLocalIP = false
        var totalByteCount: UInt64 = 0
        var totalPacketCount: UInt64 = 0
        var firstNs: UInt64 = 0
        var lastNs: UInt64 = 0

        var epc: Int32 = 0
        var toaIP: UInt32 = 0
        var toaPort: UInt16 = 0
        var isL2End = false
        var isL3End = false
        var isDevice = false
        var isLocalMac = false

        /// A new reporting period.
        @inline(__always)
        mutating func startPeriod() {
            byteCount = 0
            l3ByteCount = 0
            l4ByteCount = 0
            packetCount = 0
            tcpFlags = 0
        }
    }

    /// Ends that sent packets.
    struct Sides: BitwiseCopyable {
        private var bits: UInt8 = 0

        @inline(__always) var isEmpty: Bool { bits == 0 }
        @inline(__always) var areBoth: Bool { bits == 3 }

        @inline(__always)
        func contains(_ sender: PacketDirection) -> Bool { bits >> sender.rawValue & 1 == 1 }
        @inline(__always)
        mutating func insert(_ sender: PacketDirection) { bits |= 1 << sender.rawValue }
        @inline(__always)
        mutating func removeAll() { bits = 0 }
        mutating func reverse() { bits = bits << 1 & 2 | bits >> 1 }
    }

    // First cache line: the key.
    var ipSrc = IPAddress()
    var ipDst = IPAddress()
    var tapPort: UInt64 = 0
    var portSrc: UInt16 = 0
    var portDst: UInt16 = 0
    var ethType: UInt16 = 0
    var vlan: UInt16 = 0
    var tapType: UInt16 = 0
    var proto: UInt8 = 0
    var l4Protocol = L4Protocol.unknown
    /// Second of the slot in which the node waits.
    var timestampKey: UInt32 = 0
    /// Counts reuses of this slot, so that old entries of time slots are recognised.
    var generation: UInt32 = 0
    /// Slot in the pool of its protocol's performance, -1 = none.
    var perf: Int32 = -1

    // Second cache line: time and state.
    var macSrc: UInt64 = 0
    var macDst: UInt64 = 0
    var recentNs: UInt64 = 0
    var statTimeNs: UInt64 = 0
    var timeoutNs: UInt64 = 0
    /// Next sequence number expected from source and destination, by the last acknowledgement.
    var nextSeqSrc: UInt32 = 0
    var nextSeqDst: UInt32 = 0
    /// Slot in the L7 engine, -1 = none.
    var l7: Int32 = -1
    var state = FlowState.raw
    /// Since the start.
    var senders = Sides()
    /// Since the last report.
    var periodSenders = Sides()
    var directionScore: UInt8 = 0
    var l7Protocol: UInt8 = 0
    var isNewFlow = true
    var isReversed = false
    var isActiveService = false
    var hasExtra = false
    var hasWaitingPayload = false
    var tapSide = TapSide.rest
    var tunnelType = TunnelType.none

    var src = Peer()
    /// Bit 7: the three directions are computed for the ends as they stand; below it, which labeler named the ends.
    private var labelState: UInt8 = 0
    var srcDirection = TapSide.rest
    var l7Perf = L7PerfStats()
    var flowID: UInt64 = 0
    var dst = Peer()
    /// What was sent stands for received in the tunnel's record, after a reversal.
    var isTunnelSwapped = false
    var dstDirection = TapSide.rest

    var startNs: UInt64 = 0
    var minArrivedNs: UInt64 = 0
    var synSeq: UInt32 = 0
    var synAckSeq: UInt32 = 0
    var keepaliveSeq: UInt32 = 0
    var keepaliveAck: UInt32 = 0
    var hash: UInt32 = 0
    var l7FailedCount: UInt32 = 0
    /// Slot in the pool of tunnels, -1 = none.
    var tunnel: Int32 = -1
    var initIPID: UInt16 = 0
    var reportedL4Protocol: UInt8 = 0
    var tunnelTier: UInt8 = 0

    var isTapSideKnown: Bool {
        get { labelState & 0x80 != 0 }
        set { labelState = labelState & 0x7f | (newValue ? 0x80 : 0) }
    }

    /// Seven bits.
    var labelVersion: UInt8 {
        get { labelState & 0x7f }
        set { labelState = labelState & 0x80 | newValue & 0x7f }
    }

    /// Where the peers begin: each on a cache line of its own.
    static var srcOffset: Int { 128 }
    static var dstOffset: Int { 256 }
    /// The L7 counters between them.
    static var l7Offset: Int { 192 }

    @inline(__always)
    mutating func startPeriod() {
        src.startPeriod()
        dst.startPeriod()
        statTimeNs = 0
        isNewFlow = false
        periodSenders.removeAll()
    }

    /// Exchanges source and destination. Source: agent-flow.md 8.7.
    mutating func reverse(isFirstPacket: Bool) {
        swap(&ipSrc, &ipDst)
        swap(&macSrc, &macDst)
        swap(&portSrc, &portDst)
        swap(&src, &dst)
        senders.reverse()
        periodSenders.reverse()
        swap(&srcDirection, &dstDirection)
        tapSide = .rest
        isTapSideKnown = false
        directionScore = 0
        isReversed = !isReversed && !isFirstPacket
        isTunnelSwapped.toggle()
    }
}
