import Model

/// L4 performance of one TCP flow, seen packet by packet: what is known of the connection. What is counted goes to a
/// `TCPCounts`. Side 0 is the client as known when a packet was seen.
/// Source: agent-flow.md 11.1, whose pseudo-code this follows name by name.
struct TCPPerf: BitwiseCopyable {
    private struct Marks: OptionSet, BitwiseCopyable {
        var rawValue: UInt16 = 0

        static let srt = Marks(rawValue: 1)
        static let art = Marks(rawValue: 2)
        static let hsAckSeen = Marks(rawValue: 4)
        static let synSeen = Marks(rawValue: 8)
        static let rtt = Marks(rawValue: 0x10)
        static let fullPre = Marks(rawValue: 0x20)
        static let fullCalc = Marks(rawValue: 0x40)
        /// Not all ranges of sequence numbers fit into `newest`.
        static let gaps = Marks(rawValue: 0x80)
        /// This sender made use of the rare counts since they were clean.
        static let rare = Marks(rawValue: 0x100)
        /// Of the client's, for both.
        static let handshaking = Marks(rawValue: 0x200)
        /// Of the client's, for both: both numbers of the handshake were known, and are no longer kept.
        static let opened = Marks(rawValue: 0x400)
    }

    private struct Peer: BitwiseCopyable {
        var timeNs: UInt64 = 0
        /// The only range of sequence numbers without `gaps`; length 0 = none yet.
        var newest = SequenceList.Segment()
        var seq: UInt32 = 0
        var payload: UInt16 = 0
        var marks = Marks()
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
    private var server = Peer()

    private var isHandshaking: Bool {
        @inline(__always) get { client.marks.contains(.handshaking) }
        set { if newValue { client.marks.insert(.handshaking) } else { client.marks.remove(.handshaking) } }
    }

    /// - Parameters:
    ///   - direction: of the packet, after any reversal it caused.
    ///   - counts: of the open period.
    @inline(__always)
    mutating func parse(
        _ packet: UnsafePointer<MetaPacket>, direction: PacketDirection, counts: UnsafeMutablePointer<TCPCounts>,
        lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        let flags = packet.pointee.tcpFlags
        if packet.pointee.dataOffset == 0 || flags & TCPFlags.rst != 0 || TCPPerf.isAbnormal(flags) {
            if TCPPerf.isAbnormal(flags) { counters.ignoredPackets &+= 1 }
            client.marks.remove([.srt, .art, .fullPre, .fullCalc])
            server.marks.remove([.srt, .art, .fullPre, .fullCalc])
            return .ignored
        }
        if packet.pointee.timeNs < client.timeNs || packet.pointee.timeNs < server.timeNs {
            counters.invalidPackets &+= 1
            return .invalid
        }
        if isHandshaking || flags & TCPFlags.syn != 0 {
            return open(packet, direction, counts, lists: &lists, counters: &counters)
        }
        if direction == .clientToServer {
            return TCPPerf.exchange(
                packet, fromClient: true, sender: &client, other: &server, counts, lists: &lists, counters: &counters)
        }
        return TCPPerf.exchange(
            packet, fromClient: false, sender: &server, other: &client, counts, lists: &lists, counters: &counters)
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

    /// Counts of which a packet of an open connection seldom needs one.
    @inline(__always)
    private static func rare(
        _ counts: UnsafeMutablePointer<TCPCounts>, by sender: inout Peer
    ) -> UnsafeMutablePointer<TCPCounts.Rare> {
        sender.marks.insert(.rare)
        return counts.pointer(to: \.rare).unsafelyUnwrapped
    }

    /// A packet of a connection whose handshake is over.
    @inline(__always)
    private static func exchange(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, sender: inout Peer, other: inout Peer,
        _ counts: UnsafeMutablePointer<TCPCounts>, lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        let outcome = follow(
            packet, fromClient: fromClient, &sender, &other, counts, lists: &lists, counters: &counters)
        if outcome != .invalid {
            established(
                packet, fromClient: fromClient, isAck: packet.pointee.isAck, sender: &sender, other: &other, counts)
            if packet.pointee.tcpFlags & TCPFlags.fin != 0 { rare(counts, by: &sender).pointee.finCount &+= 1 }
        }
        remember(packet, by: &sender)
        return outcome == .retransmission ? .retransmission : .ok
    }

    /// Sequence numbers of a packet with payload. `invalid` when they cannot be.
    @inline(__always)
    private static func follow(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, _ sender: inout Peer, _ other: inout Peer,
        _ counts: UnsafeMutablePointer<TCPCounts>, lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        guard packet.pointee.hasValidPayload else { return .ok }
        let new = SequenceList.Segment(seq: packet.pointee.seq, length: UInt32(packet.pointee.l4PayloadLen))
        // The common case: the segment continues the only range.
        if !sender.marks.contains(.gaps), sender.newest.end == new.seq, sender.newest.seq < new.seq {
            let (end, wraps) = new.seq.addingReportingOverflow(new.length)
            if !wraps, end > new.seq {
                sender.newest.length &+= new.length
                return .ok
            }
        }
        switch assess(new, fromClient: fromClient, &sender, counts, lists: &lists) {
        case .notCare, .continuous, .discontinuous: return .ok
        case .outOfOrder:
            rare(counts, by: &sender).sent(byClient: fromClient).pointee.outOfOrder &+= 1
            return .ok
        case .retrans:
            rare(counts, by: &sender).sent(byClient: fromClient).pointee.retrans &+= 1
            return .retransmission
        case .error:
            counters.invalidPackets &+= 1
            sender.marks.remove([.srt, .art])
            other.marks.remove([.srt, .art])
            return .invalid
        }
    }

    /// More than one range takes a list, only while there are gaps.
    @inline(never)
    private static func assess(
        _ new: SequenceList.Segment, fromClient: Bool, _ sender: inout Peer, _ counts: UnsafeMutablePointer<TCPCounts>,
        lists: inout Pool<SequenceList>
    ) -> SequenceList.Verdict {
        guard !sender.marks.contains(.gaps) else {
            let list = rare(counts, by: &sender).list(ofClient: fromClient)
            let ranges = lists[list.pointee]
            let verdict = ranges.pointee.assess(seq: new.seq, length: new.length)
            if ranges.pointee.count == 1 {
                sender.newest = ranges.pointee.newest
                sender.marks.remove(.gaps)
                lists.give(back: list.pointee)
                list.pointee = -1
            }
            return verdict
        }
        var ranges = sender.newest.length > 0 ? SequenceList(sender.newest) : SequenceList()
        let verdict = ranges.assess(seq: new.seq, length: new.length)
        if ranges.count > 1 {
            let number = lists.take()
            lists[number].pointee = ranges
            rare(counts, by: &sender).list(ofClient: fromClient).pointee = number
            sender.marks.insert(.gaps)
        } else {
            sender.newest = ranges.newest
        }
        return verdict
    }

    @inline(__always)
    private static func remember(_ packet: UnsafePointer<MetaPacket>, by sender: inout Peer) {
        sender.timeNs = packet.pointee.timeNs
        sender.payload = packet.pointee.tcpFlags & TCPFlags.syn != 0 ? 1 : packet.pointee.l4PayloadLen
        sender.seq = packet.pointee.seq
    }

    /// A packet of the handshake, or the one that ends it.
    private mutating func open(
        _ packet: UnsafePointer<MetaPacket>, _ direction: PacketDirection, _ counts: UnsafeMutablePointer<TCPCounts>,
        lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        let rare = TCPPerf.rare(counts, by: &client)
        if client.marks.contains(.opened) { rare.pointee.recallHandshake() }
        var handshaking = isHandshaking
        defer { isHandshaking = handshaking }
        if direction == .clientToServer {
            return TCPPerf.shake(
                packet, fromClient: true, sender: &client, other: &server, counts,
                own: rare.pointer(to: \.clientHandshake).unsafelyUnwrapped,
                others: rare.pointer(to: \.serverHandshake).unsafelyUnwrapped, rare,
                handshaking: &handshaking, lists: &lists, counters: &counters)
        }
        return TCPPerf.shake(
            packet, fromClient: false, sender: &server, other: &client, counts,
            own: rare.pointer(to: \.serverHandshake).unsafelyUnwrapped,
            others: rare.pointer(to: \.clientHandshake).unsafelyUnwrapped, rare,
            handshaking: &handshaking, lists: &lists, counters: &counters)
    }

    private static func shake(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, sender: inout Peer, other: inout Peer,
        _ counts: UnsafeMutablePointer<TCPCounts>, own: UnsafeMutablePointer<TCPCounts.Handshake>,
        others: UnsafeMutablePointer<TCPCounts.Handshake>, _ rare: UnsafeMutablePointer<TCPCounts.Rare>,
        handshaking: inout Bool, lists: inout Pool<SequenceList>, counters: inout FlowPerfCounters
    ) -> Outcome {
        let isSyn = packet.pointee.isSyn
        let isSynAck = packet.pointee.isSynAck
        let isAck = packet.pointee.isAck
        var outcome = Outcome.ok
        if isSyn {
            if own.pointee.threshold == 0 {
                own.pointee.threshold = packet.pointee.seq &+ 1
                own.pointee.timeNs = packet.pointee.timeNs
                handshaking = true
            } else if sender.marks.contains(.synSeen) {
                rare.pointee.retransSyn &+= 1
                rare.sent(byClient: fromClient).pointee.retrans &+= 1
            }
            sender.marks.insert(.synSeen)
        } else if isSynAck {
            if own.pointee.threshold == 0 {
                own.pointee.timeNs = packet.pointee.timeNs
                own.pointee.threshold = packet.pointee.seq &+ 1
                if others.pointee.threshold == 0 {
                    others.pointee.threshold = packet.pointee.ack
                } else {
                    other.marks.insert(.fullPre)
                }
            } else {
                rare.pointee.retransSynAck &+= 1
                rare.sent(byClient: fromClient).pointee.retrans &+= 1
            }
        } else if isAck {
            if handshaking { handshaking = fromClient }
        } else {
            outcome = follow(
                packet, fromClient: fromClient, &sender, &other, counts, lists: &lists, counters: &counters)
        }
        if outcome != .invalid {
            if handshaking {
                let isHandshakeAck = isAck && others.pointee.threshold == packet.pointee.ack
                measureHandshake(
                    packet, fromClient: fromClient, isHandshakeAck: isHandshakeAck, isSynAck: isSynAck,
                    sender: &sender, other: other, handshakeNs: own.pointee.timeNs,
                    otherHandshakeNs: others.pointee.timeNs, rare)
                handshaking = isSyn || isSynAck
                continueHandshake(goesOn: handshaking, isSynAck: isSynAck, sender: &sender, other: &other)
            }
            if !handshaking {
                established(packet, fromClient: fromClient, isAck: isAck, sender: &sender, other: &other, counts)
            }
            if isSyn { rare.pointee.synCount &+= 1 }
            if isSynAck { rare.pointee.synAckCount &+= 1 }
            if packet.pointee.tcpFlags & TCPFlags.fin != 0 { rare.pointee.finCount &+= 1 }
        }
        remember(packet, by: &sender)
        return outcome == .retransmission ? .retransmission : .ok
    }

    private static func measureHandshake(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, isHandshakeAck: Bool, isSynAck: Bool,
        sender: inout Peer, other: Peer, handshakeNs: UInt64, otherHandshakeNs: UInt64,
        _ rare: UnsafeMutablePointer<TCPCounts.Rare>
    ) {
        let isReply = packet.pointee.ack == other.seq &+ UInt32(other.payload)
        if sender.marks.contains(.rtt), isReply, isHandshakeAck || isSynAck, otherHandshakeNs != 0 {
            let elapsed = packet.pointee.timeNs &- otherHandshakeNs
            if elapsed > 0, elapsed <= maxRTTNs {
                if fromClient { rare.pointee.rtt0.addNs(elapsed) } else { rare.pointee.rtt1.addNs(elapsed) }
            }
        }
        if sender.marks.contains(.fullCalc), isHandshakeAck {
            let elapsed = packet.pointee.timeNs &- handshakeNs
            if elapsed > 0, elapsed <= maxRTTNs { rare.pointee.rttFull = UInt32(truncatingIfNeeded: elapsed / 1000) }
        }
        if isHandshakeAck { sender.marks.insert(.hsAckSeen) }
    }

    private static func continueHandshake(
        goesOn: Bool, isSynAck: Bool, sender: inout Peer, other: inout Peer
    ) {
        guard goesOn else {
            sender.marks.remove([.rtt, .fullCalc])
            other.marks.remove(.rtt)
            return
        }
        sender.marks.insert(.rtt)
        other.marks.insert(.rtt)
        sender.marks.remove([.srt, .art])
        other.marks.remove([.srt, .art])
        if isSynAck, other.marks.contains(.fullPre) { other.marks.insert(.fullCalc) }
    }

    @inline(__always)
    private static func established(
        _ packet: UnsafePointer<MetaPacket>, fromClient: Bool, isAck: Bool, sender: inout Peer, other: inout Peer,
        _ counts: UnsafeMutablePointer<TCPCounts>
    ) {
        if sender.marks.contains(.srt), isAck, packet.pointee.ack == other.seq &+ UInt32(other.payload) {
            let elapsed = packet.pointee.timeNs &- other.timeNs
            if elapsed > 0, elapsed <= maxSRTNs {
                if fromClient { counts.pointee.srt0.addNs(elapsed) } else { counts.pointee.srt1.addNs(elapsed) }
            }
        }
        if sender.marks.contains(.art), packet.pointee.hasValidPayload,
            packet.pointee.seq == sender.seq &+ UInt32(sender.payload)
        {
            let elapsed = packet.pointee.timeNs &- other.timeNs
            if elapsed > 0, elapsed <= maxARTNs {
                if fromClient {
                    rare(counts, by: &sender).pointee.art0.addNs(elapsed)
                } else {
                    counts.pointee.art1.addNs(elapsed)
                }
            }
        }
        let isPush = packet.pointee.isPshAck
        if isAck {
            sender.marks.remove(.srt)
            other.marks.remove([.srt, .art])
        } else {
            sender.marks.remove([.srt, .art])
            if isPush { other.marks.insert([.srt, .art]) } else { other.marks.remove([.srt, .art]) }
        }
        // No scale makes 0 of another window, so scales are not kept.
        if packet.pointee.window == 0 { rare(counts, by: &sender).sent(byClient: fromClient).pointee.zeroWin &+= 1 }
        if fromClient, isPush {
            if sender.marks.contains(.hsAckSeen) {
                sender.marks.remove(.hsAckSeen)
                counts.pointee.cit.addNs(packet.pointee.timeNs &- max(sender.timeNs, other.timeNs))
            } else if other.payload > 1, sender.payload <= 1 || other.timeNs > sender.timeNs {
                counts.pointee.cit.addNs(packet.pointee.timeNs &- other.timeNs)
            }
        }
    }

    /// What was counted in the period, from the sight of the flow's present direction.
    @inline(__always)
    func report(_ counts: UnsafePointer<TCPCounts>, isReversed: Bool, into stats: inout TCPPerfStats) {
        let rare = counts.pointer(to: \.rare).unsafelyUnwrapped
        if usesRareCounts {
            rare.pointee.report(isReversed: isReversed, into: &stats)
        } else {
            stats = TCPPerfStats()
        }
        stats.srt = isReversed ? counts.pointee.srt0 : counts.pointee.srt1
        if !isReversed { stats.art = counts.pointee.art1 }
        stats.cit = counts.pointee.cit
    }

    private var usesRareCounts: Bool { @inline(__always) get { client.marks.union(server.marks).contains(.rare) } }

    /// Clears the counts.
    /// - Returns: false when they still hold what the connection needs, and must be kept for it.
    @inline(__always)
    mutating func endPeriod(_ counts: UnsafeMutablePointer<TCPCounts>) -> Bool {
        counts.pointee.clear()
        return !usesRareCounts || endRareCounts(counts.pointer(to: \.rare).unsafelyUnwrapped)
    }

    @inline(never)
    private mutating func endRareCounts(_ rare: UnsafeMutablePointer<TCPCounts.Rare>) -> Bool {
        let isOpened = rare.pointee.clientHandshake.threshold != 0 && rare.pointee.serverHandshake.threshold != 0
        guard !isHandshaking, !client.marks.union(server.marks).contains(.gaps), isOpened || rare.pointee.knowsNothing
        else {
            rare.pointee.clear()
            return false
        }
        if isOpened { client.marks.insert(.opened) }
        client.marks.remove(.rare)
        server.marks.remove(.rare)
        rare.initialize(to: TCPCounts.Rare())
        return true
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
