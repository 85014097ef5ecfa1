import Model

/// L4 performance of one TCP flow, seen packet by packet. Side 0 is the client as known when a packet was seen.
/// Source: agent-flow.md 11.1, whose pseudo-code this follows name by name.
struct TCPPerf: BitwiseCopyable {
    fileprivate struct Peer: BitwiseCopyable {
        var timeNs: UInt64 = 0
        var handshakeNs: UInt64 = 0
        var threshold: UInt32 = 0
        var seq: UInt32 = 0
        var payload: UInt32 = 0
        var windowScale: UInt8 = 0
        var synSeen = false
        var rtt = false
        var srt = false
        var art = false
        var fullPre = false
        var fullCalc = false
        var hsAckSeen = false
        var sequences = SequenceTrack()
    }

    private struct Side: BitwiseCopyable {
        var rtt = LatencyStats()
        var srt = LatencyStats()
        var art = LatencyStats()
        var counts = TCPPerfCounts()
    }

    private struct Totals: BitwiseCopyable {
        var cit = LatencyStats()
        var rttFull: UInt32 = 0
        var retrans: UInt32 = 0
        var synCount: UInt32 = 0
        var synAckCount: UInt32 = 0
        var retransSyn: UInt32 = 0
        var retransSynAck: UInt32 = 0
        var finCount: UInt32 = 0
    }

    enum Outcome: BitwiseCopyable {
        case ok
        /// Flags that carry no performance (RST, fragments, impossible sets): fine for L7.
        case ignored
        /// A retransmission: fine, but L7 parsers must not see the packet again.
        case retransmission
        /// Older than a packet already seen: counted invalid, not for L7.
        case invalid
    }

    private static let maxRTTNs: UInt64 = 30_000_000_000
    private static let maxSRTNs: UInt64 = 10_000_000_000
    private static let maxARTNs: UInt64 = 30_000_000_000

    fileprivate var client = Peer()
    fileprivate var server = Peer()
    private var side0 = Side()
    private var side1 = Side()
    private var totals = Totals()
    private var handshaking = false
    /// Whether anything was counted since the last report.
    private(set) var isUpdated = false

    /// - Parameter direction: of the packet, after any reversal it caused.
    @inline(__always)
    mutating func parse(
        _ packet: UnsafePointer<MetaPacket>, direction: PacketDirection, lists: inout Pool<SequenceList>,
        counters: inout FlowPerfCounters
    ) -> Outcome {
        let flags = packet.pointee.tcpFlags
        if packet.pointee.dataOffset == 0 || flags & TCPFlags.rst != 0 || TCPPerf.isAbnormal(flags) {
            if TCPPerf.isAbnormal(flags) { counters.ignoredPackets &+= 1 }
            client.dropResponseTimes()
            server.dropResponseTimes()
            return .ignored
        }
        if packet.pointee.timeNs < client.timeNs || packet.pointee.timeNs < server.timeNs {
            counters.invalidPackets &+= 1
            return .invalid
        }
        isUpdated = true
        if direction == .clientToServer {
            return TCPPerf.step(
                packet, fromClient: true, sender: &client, other: &server, side: &side0, totals: &totals,
                handshaking: &handshaking, lists: &lists, counters: &counters)
        }
        return TCPPerf.step(
            packet, fromClient: false, sender: &server, other: &client, side: &side1, totals: &totals,
            handshaking: &handshaking, lists: &lists, counters: &counters)
    }

    @inline(__always)
    private static func isAbnormal(_ flags: UInt8) -> Bool {
        if flags & TCPFlags.syn != 0 { return flags & TCPFlags.rst != 0 || isUnacknowledgedPush(flags) }
        return flags & (TCPFlags.ack | TCPFlags.rst) == 0 || isUnacknowledgedPush(flags)
    }

    @inline(__always)
    private static func isUnacknowledgedPush(_ flags: UInt8) -> Bool {
        flags & TCPFlags.ack == 0 && flags & (TCPFlags.psh | TCPFlags.urg) != 0
    }

    @inline(__always)
    private static func step(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, sender: inout Peer, other: inout Peer, side: inout Side,
        totals: inout Totals, handshaking: inout Bool, lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        let payload = UInt32(packet.pointee.l4PayloadLen)
        let isSyn = packet.pointee.isSyn
        let isSynAck = packet.pointee.isSynAck
        let isAck = packet.pointee.isAck
        var isRetrans = false
        var isInvalid = false
        if isSyn {
            if sender.threshold == 0 {
                sender.threshold = packet.pointee.seq &+ 1
                sender.handshakeNs = packet.pointee.timeNs
                handshaking = true
            } else if sender.synSeen {
                totals.retransSyn &+= 1
                side.counts.retrans &+= 1
                totals.retrans &+= 1
            }
            sender.synSeen = true
        } else if isSynAck {
            if sender.threshold == 0 {
                sender.handshakeNs = packet.pointee.timeNs
                sender.threshold = packet.pointee.seq &+ 1
                if other.threshold == 0 { other.threshold = packet.pointee.ack } else { other.fullPre = true }
            } else {
                totals.retransSynAck &+= 1
                side.counts.retrans &+= 1
                totals.retrans &+= 1
            }
        } else if isAck {
            if handshaking { handshaking = fromClient }
        } else if payload > 1 {
            switch sender.sequences.assess(seq: packet.pointee.seq, length: payload, lists: &lists) {
            case .retrans:
                side.counts.retrans &+= 1
                totals.retrans &+= 1
                isRetrans = true
            case .error:
                isInvalid = true
                counters.invalidPackets &+= 1
            case .outOfOrder: side.counts.outOfOrder &+= 1
            case .notCare, .continuous, .discontinuous: break
            }
        }
        if isInvalid {
            sender.srt = false
            sender.art = false
            other.srt = false
            other.art = false
        } else {
            if handshaking {
                handshaking = opening(
                    packet, isHandshake: isSyn || isSynAck, isSynAck: isSynAck, isAck: isAck, sender: &sender,
                    other: &other,
                    side: &side, totals: &totals)
            }
            if !handshaking {
                established(
                    packet, fromClient: fromClient, isAck: isAck, sender: &sender, other: &other, side: &side,
                    totals: &totals)
            }
            if isSyn { totals.synCount &+= 1 }
            if isSynAck { totals.synAckCount &+= 1 }
            if packet.pointee.tcpFlags & TCPFlags.fin != 0 { totals.finCount &+= 1 }
        }
        sender.timeNs = packet.pointee.timeNs
        sender.payload = packet.pointee.tcpFlags & TCPFlags.syn != 0 ? 1 : payload
        sender.seq = packet.pointee.seq
        return isRetrans ? .retransmission : .ok
    }

    @inline(__always)
    private static func opening(
        _ packet: UnsafePointer<MetaPacket>, isHandshake: Bool, isSynAck: Bool, isAck: Bool, sender: inout Peer,
        other: inout Peer,
        side: inout Side, totals: inout Totals
    ) -> Bool {
        let isHandshakeAck = isAck && other.threshold == packet.pointee.ack
        let isReply = packet.pointee.ack == other.seq &+ other.payload
        if sender.rtt, isReply, isHandshakeAck || isSynAck, other.handshakeNs != 0 {
            let elapsed = packet.pointee.timeNs &- other.handshakeNs
            if elapsed > 0, elapsed <= maxRTTNs { side.rtt.addNs(elapsed) }
        }
        if sender.fullCalc, isHandshakeAck {
            let elapsed = packet.pointee.timeNs &- sender.handshakeNs
            if elapsed > 0, elapsed <= maxRTTNs { totals.rttFull = UInt32(truncatingIfNeeded: elapsed / 1000) }
        }
        if isHandshakeAck { sender.hsAckSeen = true }
        guard isHandshake else {
            sender.rtt = false
            other.rtt = false
            sender.fullCalc = false
            return false
        }
        if packet.pointee.windowScale > 0 { sender.windowScale = 0x80 | min(packet.pointee.windowScale, 14) }
        sender.rtt = true
        other.rtt = true
        sender.srt = false
        sender.art = false
        other.srt = false
        other.art = false
        if isSynAck, other.fullPre { other.fullCalc = true }
        return true
    }

    @inline(__always)
    private static func established(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, isAck: Bool, sender: inout Peer, other: inout Peer,
        side: inout Side, totals: inout Totals
    ) {
        let payload = UInt32(packet.pointee.l4PayloadLen)
        if sender.srt, isAck, packet.pointee.ack == other.seq &+ other.payload {
            let elapsed = packet.pointee.timeNs &- other.timeNs
            if elapsed > 0, elapsed <= maxSRTNs { side.srt.addNs(elapsed) }
        }
        if sender.art, payload > 1, packet.pointee.seq == sender.seq &+ sender.payload {
            let elapsed = packet.pointee.timeNs &- other.timeNs
            if elapsed > 0, elapsed <= maxARTNs { side.art.addNs(elapsed) }
        }
        let isPush = packet.pointee.isPshAck
        if isAck {
            sender.srt = false
            other.srt = false
            other.art = false
        } else if isPush {
            sender.srt = false
            sender.art = false
            other.srt = true
            other.art = true
        } else {
            sender.srt = false
            sender.art = false
            other.srt = false
            other.art = false
        }
        let isScaled = sender.windowScale & other.windowScale & 0x80 != 0
        let window =
            isScaled ? UInt32(packet.pointee.window) << UInt32(sender.windowScale & 15) : UInt32(packet.pointee.window)
        if window == 0 { side.counts.zeroWin &+= 1 }
        if fromClient, isPush {
            if sender.hsAckSeen {
                sender.hsAckSeen = false
                totals.cit.addNs(packet.pointee.timeNs &- max(sender.timeNs, other.timeNs))
            } else if other.payload > 1, sender.payload <= 1 || other.timeNs > sender.timeNs {
                totals.cit.addNs(packet.pointee.timeNs &- other.timeNs)
            }
        }
    }

    /// What was counted since the last report, from the sight of the flow's present direction; then starts anew.
    mutating func report(isReversed: Bool, into stats: inout TCPPerfStats) {
        stats.rttClient = side0.rtt
        stats.rttServer = side1.rtt
        stats.srt = isReversed ? side0.srt : side1.srt
        stats.art = isReversed ? side0.art : side1.art
        stats.tx = isReversed ? side1.counts : side0.counts
        stats.rx = isReversed ? side0.counts : side1.counts
        stats.cit = totals.cit
        stats.rtt = totals.rttFull
        stats.totalRetrans = totals.retrans
        stats.synCount = totals.synCount
        stats.synAckCount = totals.synAckCount
        stats.retransSyn = totals.retransSyn
        stats.retransSynAck = totals.retransSynAck
        stats.finCount = totals.finCount
        clear()
    }

    /// At the end of the flow.
    mutating func release(to lists: inout Pool<SequenceList>) {
        client.sequences.release(to: &lists)
        server.sequences.release(to: &lists)
    }

    /// Forgets what was counted, not what is known of the connection.
    mutating func clear() {
        side0 = Side()
        side1 = Side()
        totals = Totals()
        isUpdated = false
    }
}

extension TCPPerf.Peer {
    @inline(__always)
    fileprivate mutating func dropResponseTimes() {
        srt = false
        art = false
        fullPre = false
        fullCalc = false
    }
}

extension LatencyStats {
    @inline(__always)
    mutating func addNs(_ elapsed: UInt64) { add(UInt32(truncatingIfNeeded: elapsed / 1000)) }
}

/// Module `flow-perf`. Source: agent-flow.md 8.6.
package struct FlowPerfCounters: Sendable {
    package var ignoredPackets: UInt64 = 0
    package var invalidPackets: UInt64 = 0
    package var unknownL7Protocol: UInt64 = 0

    package init() {}
}
