import Model

/// The L7 side of one flow table and what it has made since the last drain.
package struct L7Stage: ~Copyable {
    package var engine: L7Engine
    package let isEnabled: Bool
    /// Messages of the current batch, `log.base` complete, in packet order.
    package var output = L7Output()
    package var stats: [L7Stats] = []

    package init(engine: consuming L7Engine, isEnabled: Bool = true) {
        self.engine = engine
        self.isEnabled = isEnabled
    }
}

/// Payloads of one batch of packets. The L7 side takes them together: its code and that of the flow table are each larger
/// than the first cache level.
struct WaitingPayloads: ~Copyable {
    struct Item {
        let node: Int32
        let packet: UnsafeMutablePointer<MetaPacket>
        let payload: UnsafeRawBufferPointer
    }

    private static var capacity: Int { 64 }
    private let items: UnsafeMutablePointer<Item> = .allocate(capacity: capacity)
    private(set) var count = 0

    deinit { items.deallocate() }

    var isFull: Bool { count == Self.capacity }

    @inline(__always)
    mutating func append(_ item: Item) {
        (items + count).initialize(to: item)
        count &+= 1
    }

    @inline(__always)
    func item(_ number: Int) -> Item { items[number] }

    mutating func removeAll() { count = 0 }
}

extension FlowMap {
    /// Puts a payload aside for `parseWaiting`.
    @inline(__always)
    mutating func putAside(
        _ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, _ packet: UnsafeMutablePointer<MetaPacket>,
        _ frame: UnsafeRawBufferPointer
    ) {
        guard l7.isEnabled else { return }
        // Of ICMP the header is what is of interest.
        let header = packet.pointee.l4Protocol == .icmp ? 8 : 0
        let start = Int(packet.pointee.payloadOffset) - header
        var end = start + header + Int(packet.pointee.payloadCaptured)
        if l7.engine.followsStreams, packet.pointee.l4Protocol == .tcp {
            // What pads a short frame is none of the stream.
            guard packet.pointee.l4PayloadLen > 0 else { return }
            end = min(end, start + Int(packet.pointee.l4PayloadLen))
        }
        if node.pointee.l7 < 0 {
            let isGivenUp =
                node.pointee.l7 != FlowNode.noL7
                && l7.engine.isGivenUp(
                    sinceSec: UInt32(bitPattern: node.pointee.l7), timeNs: packet.pointee.timeNs)
            guard !isGivenUp, openL7(node, packet) else { return }
        }
        if l7.engine.isSkipped(slot: node.pointee.l7, timeNs: packet.pointee.timeNs) { return }
        l7.engine.prefetchEndpoint(slot: node.pointee.l7, isIPv6: packet.pointee.isIPv6)
        if waiting.isFull { parseWaiting() }
        node.pointee.marks.insert(.waitingPayload)
        waiting.append(
            WaitingPayloads.Item(
                node: index, packet: packet,
                payload: UnsafeRawBufferPointer(rebasing: frame[start..<end])))
    }

    /// Gives the payloads put aside to the L7 side, in the order of their packets. To be called before their frames end.
    @inline(__always)
    package mutating func parseWaiting() {
        if waiting.count > 0 { parseAll() }
    }

    @inline(never)
    private mutating func parseAll() {
        for number in 0..<waiting.count {
            let item = waiting.item(number)
            let node = nodes[item.node]
            node.pointee.marks.remove(.waitingPayload)
            parseL7(node, item.node, &item.packet.pointee, payload: RawSpan(_unsafeBytes: item.payload))
        }
        waiting.removeAll()
    }

    @inline(__always)
    private mutating func parseL7(
        _ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, _ packet: inout MetaPacket, payload: RawSpan
    ) {
        var input = L7Packet()
        input.timeNs = packet.timeNs
        input.ipSrc = packet.ipSrc
        input.ipDst = packet.ipDst
        input.portSrc = packet.portSrc
        input.portDst = packet.portDst
        input.isIPv6 = packet.isIPv6
        input.l4Protocol = packet.l4Protocol
        input.direction = packet.direction
        input.tcpSeq = packet.seq
        if l7.engine.followsStreams {
            // Data of a SYN stand behind it.
            if packet.tcpFlags & TCPFlags.syn != 0 { input.tcpSeq &+= 1 }
            input.tcpAck = packet.ack
            input.tcpLength = UInt32(packet.l4PayloadLen)
            input.isFlowReversed = node.pointee.marks.contains(.reversed)
        }
        input.capturedByte = UInt32(truncatingIfNeeded: packet.capturedByte)
        let fromSource = packet.direction == .clientToServer
        input.epcIDSrc = fromSource ? node.pointee.src.epc : node.pointee.dst.epc
        input.epcIDDst = fromSource ? node.pointee.dst.epc : node.pointee.src.epc
        let first = l7.output.messages.count
        let outcome = l7.engine.parse(slot: node.pointee.l7, packet: input, payload: payload, into: &l7.output)
        switch outcome.result {
        case .skipped, .held: return
        case .unknown:
            counters.perf.unknownL7Protocol &+= 1
            return
        case .failed, .parsed: break
        }
        if outcome.l7Protocol != .unknown { node.pointee.l7Protocol = outcome.l7Protocol.rawValue }
        if outcome.failedCount > 0 { parts.l7Counts(of: node).pointee.failedCount &+= outcome.failedCount }
        guard outcome.result == .parsed else { return }
        if l7.output.tlsRttUs != 0 {
            let counts = parts.l7Counts(of: node)
            counts.pointee.stats.tlsRtt = max(counts.pointee.stats.tlsRtt, l7.output.tlsRttUs)
            l7.output.tlsRttUs = 0
        }
        for position in first..<l7.output.messages.count where l7.output.messages[position].pointee.hasStats {
            parts.l7Counts(of: node).pointee.stats.merge(l7.output.messages[position].pointee.stats)
        }
        if outcome.direction != packet.direction, node.pointee.directionScore != ServiceTable.max {
            reverseByL7(node)
            packet.direction = packet.direction.reversed
        }
        if outcome.namesDomain {
            node.pointee.marks.insert(.extra)
            extras.set(index, domain: l7.engine.domain(slot: node.pointee.l7))
        }
        for position in first..<l7.output.messages.count { complete(position, node) }
    }

    /// Takes a slot of the L7 engine. False: the flow has none, because its server is given up for now.
    @inline(never)
    private mutating func openL7(_ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>) -> Bool {
        if node.pointee.l7 != FlowNode.noL7 {
            node.pointee.l7 = l7.engine.openAnew(flowID: node.pointee.flowID)
            return true
        }
        let toServer = packet.pointee.direction == .clientToServer
        var identity = L7FlowIdentity(
            flowID: node.pointee.flowID, serverIP: toServer ? packet.pointee.ipDst : packet.pointee.ipSrc,
            serverPort: toServer ? packet.pointee.portDst : packet.pointee.portSrc,
            serverEpcID: toServer ? node.pointee.dst.epc : node.pointee.src.epc, isIPv6: packet.pointee.isIPv6)
        if packet.pointee.l4Protocol == .tcp, !node.pointee.marks.contains(.reversed) {
            if node.pointee.synSeq != 0 { identity.clientSeq = node.pointee.synSeq &+ 1 }
            if node.pointee.synAckSeq != 0 { identity.serverSeq = node.pointee.synAckSeq &+ 1 }
        }
        let nowSec = UInt32(truncatingIfNeeded: packet.pointee.timeNs / 1_000_000_000)
        switch l7.engine.openUnlessGivenUp(flow: identity, nowSec: nowSec) {
        case .slot(let index):
            node.pointee.l7 = index
            return true
        case .givenUp(let sinceSec):
            // Of the one second that looks like no slot the flow asks again.
            node.pointee.l7 = Int32(bitPattern: sinceSec | 1 << 31)
            return false
        }
    }

    /// A SYN between ends that have talked before.
    mutating func restartL7(_ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>) {
        guard node.pointee.l7 >= 0, packet.pointee.isSyn, packet.pointee.seq != node.pointee.synSeq else { return }
        parseWaiting()
        l7.engine.restart(slot: node.pointee.l7)
    }

    /// Gives a parsed message the identity of its flow, and the metrics their counters. Source: agent-l7.md 6.6, 7.
    private mutating func complete(_ position: Int, _ node: UnsafeMutablePointer<FlowNode>) {
        let isIPv6 = node.pointee.isIPv6
        let agentID = settings.agentID
        // After a reversal the flow is seen from elsewhere. Source: agent-flow.md 12.
        if !node.pointee.marks.contains(.tapSideKnown) { computeTapSide(node) }
        let ends = ends(of: node)
        let message = l7.output.messages[position]
        message.pointee.log.directionScore = node.pointee.directionScore
        message.pointee.log.base.flowID = node.pointee.flowID
        message.pointee.log.base.tapPort = node.pointee.tapPort
        message.pointee.log.base.agentID = agentID
        message.pointee.log.base.tapType = node.pointee.tapType
        message.pointee.log.base.tapSide = node.pointee.tapSide.rawValue
        message.pointee.log.base.ipSrc = ends.real.src
        message.pointee.log.base.ipDst = ends.real.dst
        message.pointee.log.base.portSrc = ends.portSrc
        message.pointee.log.base.portDst = ends.portDst
        message.pointee.log.base.isIPv6 = isIPv6
        message.pointee.log.base.l3EpcIDSrc = node.pointee.src.epc
        message.pointee.log.base.l3EpcIDDst = node.pointee.dst.epc
        message.pointee.log.base.proto = node.pointee.proto
        message.pointee.swapSidesIfReversed()
        guard message.pointee.hasStats else { return }
        l7.stats.append(L7Stats())
        let last = l7.stats.count &- 1
        withUnsafeMutablePointer(to: &l7.stats[last]) { stats in
            FlowMap.fill(&stats.pointee, node, ends, closing: nil, agentID: agentID)
            stats.pointee.timeSeconds = UInt32(truncatingIfNeeded: message.pointee.log.base.endTimeNs / 1_000_000_000)
            stats.pointee.stats = message.pointee.stats
            stats.pointee.isReversed = message.pointee.isReversed
            stats.pointee.l7Protocol = message.pointee.l7Protocol.rawValue
            stats.pointee.setEndpoint(message.pointee.log.endpoint, hash: message.pointee.endpointHash)
        }
    }

    /// Two entries a record, forward and reversed, which close the L7 metrics of an ended flow. Source: agent-flow.md 8.6.
    mutating func emitL7Stats(_ node: UnsafeMutablePointer<FlowNode>, closing: CloseType?) {
        guard node.pointee.l7Protocol != 0, l7.isEnabled, closing != nil else { return }
        var stats = L7Stats()
        FlowMap.fill(&stats, node, ends(of: node), closing: closing, agentID: settings.agentID)
        stats.timeSeconds = UInt32(truncatingIfNeeded: startSeconds)
        stats.stats.errTimeout = parts.knownL7Counts(of: node)?.pointee.stats.errTimeout ?? 0
        l7.stats.append(stats)
        stats.isReversed = true
        stats.stats.errTimeout = 0
        l7.stats.append(stats)
    }

    /// Requests that never got an answer count as timeouts of the flow's last record.
    mutating func closeL7(_ node: UnsafeMutablePointer<FlowNode>, _ index: Int32) {
        guard node.pointee.l7 >= 0 else { return }
        let first = l7.output.messages.count
        let closed = l7.engine.close(slot: node.pointee.l7, into: &l7.output)
        let timeouts = closed.forwardTimeouts &+ closed.reversedTimeouts
        if l7.output.messages.count > first || closed.held.failedCount | timeouts > 0 {
            let counts = parts.l7Counts(of: node)
            counts.pointee.stats.merge(l7.output.messages.stats(from: first))
            counts.pointee.stats.errTimeout &+= timeouts
            counts.pointee.failedCount &+= closed.held.failedCount
            for position in first..<l7.output.messages.count { complete(position, node) }
        }
        node.pointee.l7 = FlowNode.noL7
    }

    private static func fill(
        _ stats: inout L7Stats, _ node: UnsafeMutablePointer<FlowNode>, _ ends: NodeEnds, closing: CloseType?,
        agentID: UInt16
    ) {
        stats.flowID = node.pointee.flowID
        stats.l7Protocol = node.pointee.l7Protocol
        stats.flow = facts(of: node, ends)
        stats.macSrc = node.pointee.macSrc
        stats.macDst = node.pointee.macDst
        stats.tapType = node.pointee.tapType
        stats.portSrc = ends.portSrc
        stats.directionScore = node.pointee.directionScore
        stats.closeType = (closing ?? .forcedReport).rawValue
    }

    @inline(__always)
    private static func facts(of node: UnsafeMutablePointer<FlowNode>, _ ends: NodeEnds) -> FlowFacts {
        var facts = FlowFacts()
        facts.tapPort = node.pointee.tapPort
        facts.src = ends.real.src
        facts.dst = ends.real.dst
        facts.place = FlowFacts.place(
            node.pointee.src.epc, node.pointee.dst.epc, port: ends.portDst, tapType: node.pointee.tapType,
            proto: node.pointee.proto)
        facts.view = FlowFacts.view(
            signal: Raw.packet, tapSide: node.pointee.tapSide.rawValue, tunnel: node.pointee.tunnelType.rawValue)
        facts.srcDirection = node.pointee.srcDirection.rawValue
        facts.dstDirection = node.pointee.dstDirection.rawValue
        facts.set(FlowFacts.Flags.isIPv6, node.pointee.isIPv6)
        facts.set(FlowFacts.Flags.isActiveService, node.pointee.marks.contains(.activeService))
        facts.set(FlowFacts.Flags.isDeviceSrc, node.pointee.src.marks.contains(.device))
        facts.set(FlowFacts.Flags.isDeviceDst, node.pointee.dst.marks.contains(.device))
        facts.set(FlowFacts.Flags.hasEnds, facts.showsMac || node.pointee.tapType > 0xff)
        return facts
    }
}
