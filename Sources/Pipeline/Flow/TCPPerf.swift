import Model

/// L4 performance of one TCP flow, seen packet by packet. Side 0 is the client as known when a packet was seen.
///
/// Four cache lines: a packet of an open connection touches the first and the one of its sender's side.
/// Source: agent-flow.md 11.1, whose pseudo-code this follows name by name.
struct TCPPerf: BitwiseCopyable {
    private struct Peer: BitwiseCopyable {
        var timeNs: UInt64 = 0
        var sequences = SequenceTrack()
        var seq: UInt32 = 0
        var payload: UInt16 = 0
        var windowScale: UInt8 = 0
        var srt = false
        var art = false
        var hsAckSeen = false
        var opening = Opening()
    }

    /// Marks that matter during the handshake.
    private struct Opening: OptionSet, BitwiseCopyable {
        var rawValue: UInt8 = 0

        static let synSeen = Opening(rawValue: 1)
        static let rtt = Opening(rawValue: 2)
        static let fullPre = Opening(rawValue: 4)
        static let fullCalc = Opening(rawValue: 8)
    }

    private struct Side: BitwiseCopyable {
        var rtt = LatencyStats()
        var srt = LatencyStats()
        var art = LatencyStats()
        var counts = TCPPerfCounts()
        /// Of the handshake; not cleared by a report.
        var threshold: UInt32 = 0

        mutating func clear() {
            rtt = LatencyStats()
            srt = LatencyStats()
            art = LatencyStats()
            counts = TCPPerfCounts()
        }
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

    private var client = Peer()
    private var handshaking = false
    private var server = Peer()
    /// Whether anything was counted since the last report.
    private(set) var isUpdated = false
    private var side0 = Side()
    private var side1 = Side()
    private var totals = Totals()
    private var clientHandshakeNs: UInt64 = 0
    private var serverHandshakeNs: UInt64 = 0

    /// - Parameter direction: of the packet, after any reversal it caused.
    @inline(__always)
    mutating func parse(
        _ packet: UnsafePointer<MetaPacket>, direction: PacketDirection, lists: inout Pool<SequenceList>,
        counters: inout FlowPerfCounters
    ) -> Outcome {
        let flags = packet.pointee.tcpFlags
        if packet.pointee.dataOffset == 0 || flags & TCPFlags.rst != 0 || TCPPerf.isAbnormal(flags) {
            if TCPPerf.isAbnormal(flags) { counters.ignoredPackets &+= 1 }
            TCPPerf.dropResponseTimes(&client)
            TCPPerf.dropResponseTimes(&server)
            return .ignored
        }
        if packet.pointee.timeNs < client.timeNs || packet.pointee.timeNs < server.timeNs {
            counters.invalidPackets &+= 1
            return .invalid
        }
        isUpdated = true
        if handshaking || flags & TCPFlags.syn != 0 {
            return open(packet, direction, lists: &lists, counters: &counters)
        }
        if direction == .clientToServer {
            return TCPPerf.exchange(
                packet, fromClient: true, sender: &client, other: &server, side: &side0, totals: &totals, lists: &lists,
                counters: &counters)
        }
        return TCPPerf.exchange(
            packet, fromClient: false, sender: &server, other: &client, side: &side1, totals: &totals, lists: &lists,
            counters: &counters)
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

    /// A packet of a connection whose handshake is over.
    @inline(__always)
    private static func exchange(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, sender: inout Peer, other: inout Peer, side: inout Side,
        totals: inout Totals, lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        let outcome = follow(packet, &sender, &other, &side, &totals, lists: &lists, counters: &counters)
        if outcome != .invalid {
            established(
                packet, fromClient: fromClient, isAck: packet.pointee.isAck, sender: &sender, other: &other,
                side: &side,
                totals: &totals)
            if packet.pointee.tcpFlags & TCPFlags.fin != 0 { totals.finCount &+= 1 }
        }
        remember(packet, by: &sender)
        return outcome == .retransmission ? .retransmission : .ok
    }

    /// Sequence numbers of a packet with payload. `invalid` when they cannot be.
    @inline(__always)
    private static func follow(
        _ packet: UnsafePointer<MetaPacket>, _ sender: inout Peer, _ other: inout Peer, _ side: inout Side,
        _ totals: inout Totals, lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        guard packet.pointee.hasValidPayload else { return .ok }
        let length = UInt32(packet.pointee.l4PayloadLen)
        switch sender.sequences.assess(seq: packet.pointee.seq, length: length, lists: &lists) {
        case .notCare, .continuous, .discontinuous: return .ok
        case .outOfOrder:
            side.counts.outOfOrder &+= 1
            return .ok
        case .retrans:
            side.counts.retrans &+= 1
            totals.retrans &+= 1
            return .retransmission
        case .error:
            counters.invalidPackets &+= 1
            sender.srt = false
            sender.art = false
            other.srt = false
            other.art = false
            return .invalid
        }
    }

    @inline(__always)
    private static func remember(_ packet: UnsafePointer<MetaPacket>, by sender: inout Peer) {
        sender.timeNs = packet.pointee.timeNs
        sender.payload = packet.pointee.tcpFlags & TCPFlags.syn != 0 ? 1 : packet.pointee.l4PayloadLen
        sender.seq = packet.pointee.seq
    }

    /// A packet of the handshake, or the one that ends it.
    private mutating func open(
        _ packet: UnsafePointer<MetaPacket>, _ direction: PacketDirection, lists: inout Pool<SequenceList>,
        counters: inout FlowPerfCounters
    ) -> Outcome {
        if direction == .clientToServer {
            return TCPPerf.shake(
                packet, fromClient: true, sender: &client, other: &server, side: &side0, otherSide: &side1,
                handshakeNs: &clientHandshakeNs, otherHandshakeNs: serverHandshakeNs, totals: &totals,
                handshaking: &handshaking, lists: &lists, counters: &counters)
        }
        return TCPPerf.shake(
            packet, fromClient: false, sender: &server, other: &client, side: &side1, otherSide: &side0,
            handshakeNs: &serverHandshakeNs, otherHandshakeNs: clientHandshakeNs, totals: &totals,
            handshaking: &handshaking, lists: &lists, counters: &counters)
    }

    private static func shake(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, sender: inout Peer, other: inout Peer, side: inout Side,
        otherSide: inout Side, handshakeNs: inout UInt64, otherHandshakeNs: UInt64, totals: inout Totals,
        handshaking: inout Bool, lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        let isSyn = packet.pointee.isSyn
        let isSynAck = packet.pointee.isSynAck
        let isAck = packet.pointee.isAck
        var outcome = Outcome.ok
        if isSyn {
            if side.threshold == 0 {
                side.threshold = packet.pointee.seq &+ 1
                handshakeNs = packet.pointee.timeNs
                handshaking = true
            } else if sender.opening.contains(.synSeen) {
                totals.retransSyn &+= 1
                side.counts.retrans &+= 1
                totals.retrans &+= 1
            }
            sender.opening.insert(.synSeen)
        } else if isSynAck {
            if side.threshold == 0 {
                handshakeNs = packet.pointee.timeNs
                side.threshold = packet.pointee.seq &+ 1
                if otherSide.threshold == 0 {
                    otherSide.threshold = packet.pointee.ack
                } else {
                    other.opening.insert(.fullPre)
                }
            } else {
                totals.retransSynAck &+= 1
                side.counts.retrans &+= 1
                totals.retrans &+= 1
            }
        } else if isAck {
            if handshaking { handshaking = fromClient }
        } else {
            outcome = follow(packet, &sender, &other, &side, &totals, lists: &lists, counters: &counters)
        }
        if outcome != .invalid {
            if handshaking {
                let isHandshakeAck = isAck && otherSide.threshold == packet.pointee.ack
                measureHandshake(
                    packet, isHandshakeAck: isHandshakeAck, isSynAck: isSynAck, sender: &sender, other: other,
                    side: &side, handshakeNs: handshakeNs, otherHandshakeNs: otherHandshakeNs, totals: &totals)
                handshaking = isSyn || isSynAck
                continueHandshake(packet, goesOn: handshaking, isSynAck: isSynAck, sender: &sender, other: &other)
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
        remember(packet, by: &sender)
        return outcome == .retransmission ? .retransmission : .ok
    }

    private static func measureHandshake(
        _ packet: UnsafePointer<MetaPacket>, isHandshakeAck: Bool, isSynAck: Bool, sender: inout Peer, other: Peer,
        side: inout Side, handshakeNs: UInt64, otherHandshakeNs: UInt64, totals: inout Totals
    ) {
        let isReply = packet.pointee.ack == other.seq &+ UInt32(other.payload)
        if sender.opening.contains(.rtt), isReply, isHandshakeAck || isSynAck, otherHandshakeNs != 0 {
            let elapsed = packet.pointee.timeNs &- otherHandshakeNs
            if elapsed > 0, elapsed <= maxRTTNs { side.rtt.addNs(elapsed) }
        }
        if sender.opening.contains(.fullCalc), isHandshakeAck {
            let elapsed = packet.pointee.timeNs &- handshakeNs
            if elapsed > 0, elapsed <= maxRTTNs { totals.rttFull = UInt32(truncatingIfNeeded: elapsed / 1000) }
        }
        if isHandshakeAck { sender.hsAckSeen = true }
    }

    private static func continueHandshake(
        _ packet: UnsafePointer<MetaPacket>, goesOn: Bool, isSynAck: Bool, sender: inout Peer, other: inout Peer
    ) {
        guard goesOn else {
            sender.opening.remove([.rtt, .fullCalc])
            other.opening.remove(.rtt)
            return
        }
        if packet.pointee.windowScale > 0 { sender.windowScale = 0x80 | min(packet.pointee.windowScale, 14) }
        sender.opening.insert(.rtt)
        other.opening.insert(.rtt)
        sender.srt = false
        sender.art = false
        other.srt = false
        other.art = false
        if isSynAck, other.opening.contains(.fullPre) { other.opening.insert(.fullCalc) }
    }

    @inline(__always)
    private static func established(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, isAck: Bool, sender: inout Peer, other: inout Peer,
        side: inout Side, totals: inout Totals
    ) {
        if sender.srt, isAck, packet.pointee.ack == other.seq &+ UInt32(other.payload) {
            let elapsed = packet.pointee.timeNs &- other.timeNs
            if elapsed > 0, elapsed <= maxSRTNs { side.srt.addNs(elapsed) }
        }
        if sender.art, packet.pointee.hasValidPayload,
            packet.pointee.seq == sender.seq &+ UInt32(sender.payload)
        {
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

    @inline(__always)
    private static func dropResponseTimes(_ peer: inout Peer) {
        peer.srt = false
        peer.art = false
        peer.opening.remove([.fullPre, .fullCalc])
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
        side0.clear()
        side1.clear()
        totals = Totals()
        isUpdated = false
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
