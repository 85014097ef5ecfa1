import Model

/// One flow in the table: what a packet touches, kept small; reports are built from it.
/// Index 0 is the flow's source (client), 1 its destination. Source: agent-flow.md 8.
struct FlowNode: BitwiseCopyable {
    struct Peer: BitwiseCopyable {
        var byteCount: UInt64 = 0
        var l3ByteCount: UInt64 = 0
        var l4ByteCount: UInt64 = 0
        var packetCount: UInt64 = 0
        var totalByteCount: UInt64 = 0
        var totalPacketCount: UInt64 = 0
        var firstNs: UInt64 = 0
        var lastNs: UInt64 = 0
        var epc: Int32 = 0
        var toaIP: UInt32 = 0
        var toaPort: UInt16 = 0
        var tcpFlags: UInt8 = 0
        var totalTCPFlags: UInt8 = 0
        var isL2End = false
        var isL3End = false
        var isDevice = false
        var isLocalMac = false
        var isLocalIP = false
        var hasTOA = false

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

    var ipSrc = IPAddress()
    var ipDst = IPAddress()
    var macSrc: UInt64 = 0
    var macDst: UInt64 = 0
    var tapPort: UInt64 = 0
    var portSrc: UInt16 = 0
    var portDst: UInt16 = 0
    var ethType: UInt16 = 0
    var vlan: UInt16 = 0
    var tapType: UInt16 = 0
    var proto: UInt8 = 0
    var l4Protocol = L4Protocol.unknown

    var hash: UInt32 = 0
    /// Second of the slot in which the node waits.
    var timestampKey: UInt32 = 0
    var flowID: UInt64 = 0
    var startNs: UInt64 = 0
    var minArrivedNs: UInt64 = 0
    var recentNs: UInt64 = 0
    var statTimeNs: UInt64 = 0
    var timeoutNs: UInt64 = 0

    var src = Peer()
    var dst = Peer()

    var synSeq: UInt32 = 0
    var synAckSeq: UInt32 = 0
    /// Next sequence number expected from source and destination, by the last acknowledgement.
    var nextSeqSrc: UInt32 = 0
    var nextSeqDst: UInt32 = 0
    var keepaliveSeq: UInt32 = 0
    var keepaliveAck: UInt32 = 0

    /// Slot in the pool of its protocol's performance, -1 = none.
    var perf: Int32 = -1
    /// Slot in the L7 engine, -1 = none.
    var l7: Int32 = -1
    var l7Perf = L7PerfStats()
    var l7FailedCount: UInt32 = 0
    /// Counts reuses of this slot, so that old entries of time slots are recognised.
    var generation: UInt32 = 0

    var initIPID: UInt16 = 0
    var state = FlowState.raw
    var directionScore: UInt8 = 0
    var tapSide = TapSide.rest
    var srcDirection = TapSide.rest
    var dstDirection = TapSide.rest
    var reportedL4Protocol: UInt8 = 0
    var l7Protocol: UInt8 = 0
    var isNewFlow = true
    var isReversed = false
    var isActiveService = false
    /// A packet was counted since the last report.
    var isInTick = true
    var hasExtra = false
    var isL7Updated = false

    @inline(__always)
    mutating func startPeriod() {
        src.startPeriod()
        dst.startPeriod()
        statTimeNs = 0
        isNewFlow = false
        isInTick = false
    }

    /// Exchanges source and destination. Source: agent-flow.md 8.7.
    mutating func reverse(isFirstPacket: Bool) {
        swap(&ipSrc, &ipDst)
        swap(&macSrc, &macDst)
        swap(&portSrc, &portDst)
        swap(&src, &dst)
        swap(&srcDirection, &dstDirection)
        tapSide = .rest
        directionScore = 0
        isReversed = !isReversed && !isFirstPacket
    }
}
