import Model

/// One flow in the table: what must outlive the packets of a second, on four cache lines. What packets add up until the
/// next report lies in a `FlowPeriod`, taken with the first of them and given back with the report.
///
/// Fields stand in the order of use: a packet touches the first three lines, the first of a second and the L7 side the
/// fourth, reports all. Index 0 is the flow's source (client), 1 its destination. Source: agent-flow.md 8.
struct FlowNode: BitwiseCopyable {
    /// Half a cache line.
    struct Peer: BitwiseCopyable {
        struct Marks: OptionSet, BitwiseCopyable {
            var rawValue: UInt8 = 0

            static let l2End = Marks(rawValue: 1)
            static let l3End = Marks(rawValue: 2)
            static let device = Marks(rawValue: 4)
            static let localMac = Marks(rawValue: 8)
            static let localIP = Marks(rawValue: 16)
            /// Its real address came with a TCP option.
            static let toa = Marks(rawValue: 32)
        }

        var totalByteCount: UInt64 = 0
        var totalPacketCount: UInt64 = 0
        var lastNs: UInt64 = 0
        var epc: Int32 = 0
        /// Of this period.
        var tcpFlags: UInt8 = 0
        var totalTCPFlags: UInt8 = 0
        var marks = Marks()
        /// Which labeler named this end.
        var labelVersion: UInt8 = 0
    }

    /// Ends that sent packets, since the start and in this period.
    struct Senders: BitwiseCopyable {
        /// Bits 0 and 1: since the start; 2 and 3: in this period.
        private var bits: UInt8 = 0

        @inline(__always) var areBoth: Bool { bits & 3 == 3 }
        @inline(__always) var hasPeriod: Bool { bits & 12 != 0 }
        @inline(__always) var areBothInPeriod: Bool { bits & 12 == 12 }

        @inline(__always)
        func contains(_ sender: PacketDirection) -> Bool { bits >> sender.rawValue & 1 == 1 }
        @inline(__always)
        func periodContains(_ sender: PacketDirection) -> Bool { bits >> (sender.rawValue &+ 2) & 1 == 1 }
        @inline(__always)
        mutating func insert(_ sender: PacketDirection) { bits |= 5 &<< sender.rawValue }
        @inline(__always)
        mutating func startPeriod() { bits &= 3 }
        mutating func reverse() { bits = bits << 1 & 10 | bits >> 1 & 5 }
    }

    struct Marks: OptionSet, BitwiseCopyable {
        var rawValue: UInt8 = 0

        static let new = Marks(rawValue: 1)
        static let reversed = Marks(rawValue: 2)
        static let activeService = Marks(rawValue: 4)
        static let extra = Marks(rawValue: 8)
        static let waitingPayload = Marks(rawValue: 16)
        /// What was sent stands for received in the tunnel's record, after a reversal.
        static let tunnelSwapped = Marks(rawValue: 32)
        /// The destination sent the first packet.
        static let begunByDestination = Marks(rawValue: 64)
        /// The three directions are computed for the ends as they stand.
        static let tapSideKnown = Marks(rawValue: 128)
    }

    static let noL7: Int32 = -1

    // First cache line: the key, and what says when the flow is looked at.
    /// IPv4: both addresses, the source's in the upper half; IPv6: the slot of both in the pool of wide addresses.
    var addresses: UInt64 = 0
    var tapPort: UInt64 = 0
    /// MAC << 16 | VLAN.
    private var macSrcAndVlan: UInt64 = 0
    /// MAC << 16 | EtherType.
    private var macDstAndType: UInt64 = 0
    var portSrc: UInt16 = 0
    var portDst: UInt16 = 0
    var tapType: UInt16 = 0
    var proto: UInt8 = 0
    var l4Protocol = L4Protocol.unknown
    var tunnelType = TunnelType.none
    var state = FlowState.raw
    var marks = Marks.new
    var senders = Senders()
    /// Second of the slot in which the node waits; while a period is open, the second of its packets.
    var timestampKey: UInt32 = 0
    /// Counts reuses of this slot, so that old entries of time slots are recognised.
    var generation: UInt32 = 0
    /// Slot in the pool of periods of the protocol, -1 = none.
    var period: Int32 = -1
    /// Next sequence number expected from source and destination, by the last acknowledgement.
    var nextSeqSrc: UInt32 = 0
    var nextSeqDst: UInt32 = 0

    // Second cache line: time and the state of the connection.
    var recentNs: UInt64 = 0
    /// Idle time after which the flow ends.
    var timeoutSeconds: UInt32 = 0
    /// Slot in the L7 engine; `noL7`; or, negative, the second since when the flow's server is given up, without its highest
    /// bit.
    var l7 = FlowNode.noL7
    /// Of TCP; UDP keeps its own performance in this room.
    var perf = TCPPerf()

    // Third cache line: the ends.
    var src = Peer()
    var dst = Peer()

    // Fourth cache line: what reports add.
    var flowID: UInt64 = 0
    var startNs: UInt64 = 0
    /// First packet of the end that did not send the first one, 0 = none yet.
    var answeredNs: UInt64 = 0
    var synSeq: UInt32 = 0
    var synAckSeq: UInt32 = 0
    var keepaliveSeq: UInt32 = 0
    var keepaliveAck: UInt32 = 0
    /// Slot in the pool of rare facts, -1 = none.
    var rare: Int32 = -1
    var initIPID: UInt16 = 0
    var tapSide = TapSide.rest
    var srcDirection = TapSide.rest
    var dstDirection = TapSide.rest
    var directionScore: UInt8 = 0
    var l7Protocol: UInt8 = 0
    var reportedL4Protocol: UInt8 = 0
    var tunnelTier: UInt8 = 0
    var hash: UInt32 = 0

    @inline(__always)
    var macSrc: UInt64 {
        get { macSrcAndVlan >> 16 }
        set { macSrcAndVlan = newValue << 16 | macSrcAndVlan & 0xffff }
    }
    @inline(__always)
    var macDst: UInt64 {
        get { macDstAndType >> 16 }
        set { macDstAndType = newValue << 16 | macDstAndType & 0xffff }
    }
    @inline(__always)
    var vlan: UInt16 {
        get { UInt16(truncatingIfNeeded: macSrcAndVlan) }
        set { macSrcAndVlan = macSrcAndVlan & ~0xffff | UInt64(newValue) }
    }
    @inline(__always)
    var ethType: UInt16 {
        get { UInt16(truncatingIfNeeded: macDstAndType) }
        set { macDstAndType = macDstAndType & ~0xffff | UInt64(newValue) }
    }
    @inline(__always) var isIPv6: Bool { ethType == EtherType.ipv6 }

    @inline(__always) var timeoutNs: UInt64 { UInt64(timeoutSeconds) &* 1_000_000_000 }
    /// First packet of each end, 0 = none yet.
    @inline(__always) var srcFirstNs: UInt64 { marks.contains(.begunByDestination) ? answeredNs : startNs }
    @inline(__always) var dstFirstNs: UInt64 { marks.contains(.begunByDestination) ? startNs : answeredNs }

    /// Exchanges source and destination, as far as they are told apart here. Source: agent-flow.md 8.7.
    mutating func reverse(isFirstPacket: Bool) {
        if !isIPv6 { addresses = addresses << 32 | addresses >> 32 }
        (macSrc, macDst) = (macDst, macSrc)
        swap(&portSrc, &portDst)
        swap(&src, &dst)
        senders.reverse()
        swap(&srcDirection, &dstDirection)
        tapSide = .rest
        directionScore = 0
        let isReversed = !marks.contains(.reversed) && !isFirstPacket
        marks.remove([.tapSideKnown, .reversed])
        if isReversed { marks.insert(.reversed) }
        marks.formSymmetricDifference([.tunnelSwapped, .begunByDestination])
    }

    /// A UDP flow keeps its performance where a TCP flow keeps its connection; both begin as zeros.
    @inline(__always)
    static func udp(_ node: UnsafeMutablePointer<FlowNode>) -> UnsafeMutablePointer<UDPPerf> {
        UnsafeMutableRawPointer(node.pointer(to: \.perf).unsafelyUnwrapped).assumingMemoryBound(to: UDPPerf.self)
    }
}
