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

extension FlowMap {
    @inline(never)
    mutating func parseL7(
        _ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, _ packet: inout MetaPacket, frame: RawSpan
    ) {
        guard l7.isEnabled else { return }
        if node.pointee.l7 < 0 { openL7(node, packet) }
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
        input.capturedByte = UInt32(truncatingIfNeeded: packet.capturedByte)
        let fromSource = packet.direction == .clientToServer
        input.epcIDSrc = fromSource ? node.pointee.src.epc : node.pointee.dst.epc
        input.epcIDDst = fromSource ? node.pointee.dst.epc : node.pointee.src.epc
        let start = Int(packet.payloadOffset)
        let payload = frame.extracting(start..<(start + Int(packet.payloadCaptured)))
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
        node.pointee.l7Perf.merge(outcome.stats)
        node.pointee.l7FailedCount &+= outcome.failedCount
        if outcome.result == .parsed, outcome.direction != packet.direction,
            node.pointee.directionScore != ServiceTable.max
        {
            reverseByL7(node)
            packet.direction = packet.direction.reversed
        }
        if !outcome.requestDomain.isEmpty { remember(domain: outcome.requestDomain, index, node) }
        for position in first..<l7.output.messages.count { complete(position, node) }
    }

    private mutating func openL7(_ node: UnsafeMutablePointer<FlowNode>, _ packet: MetaPacket) {
        let toServer = packet.direction == .clientToServer
        let identity = L7FlowIdentity(
            flowID: node.pointee.flowID, serverIP: toServer ? packet.ipDst : packet.ipSrc,
            serverPort: toServer ? packet.portDst : packet.portSrc,
            serverEpcID: toServer ? node.pointee.dst.epc : node.pointee.src.epc, isIPv6: packet.isIPv6)
        node.pointee.l7 = l7.engine.open(
            flow: identity, nowSec: UInt32(truncatingIfNeeded: packet.timeNs / 1_000_000_000))
    }

    private mutating func remember(domain: String, _ index: Int32, _ node: UnsafeMutablePointer<FlowNode>) {
        if extras[index]?.requestDomain == domain { return }
        extras[index] = FlowExtra(requestDomain: domain)
        node.pointee.hasExtra = true
    }

    /// Gives a parsed message the identity of its flow, and the metrics their counters. Source: agent-l7.md 6.6, 7.
    private mutating func complete(_ position: Int, _ node: UnsafeMutablePointer<FlowNode>) {
        let isIPv6 = node.pointee.ethType == EtherType.ipv6
        withUnsafeMutablePointer(to: &l7.output.messages[position]) { message in
            message.pointee.log.directionScore = node.pointee.directionScore
            message.pointee.log.base.flowID = node.pointee.flowID
            message.pointee.log.base.tapPort = node.pointee.tapPort
            message.pointee.log.base.agentID = settings.agentID
            message.pointee.log.base.tapType = node.pointee.tapType
            message.pointee.log.base.tapSide = node.pointee.tapSide.rawValue
            message.pointee.log.base.ipSrc =
                node.pointee.src.hasTOA ? IPAddress(v4: node.pointee.src.toaIP) : node.pointee.ipSrc
            message.pointee.log.base.ipDst =
                node.pointee.dst.hasTOA ? IPAddress(v4: node.pointee.dst.toaIP) : node.pointee.ipDst
            message.pointee.log.base.portSrc = node.pointee.src.hasTOA ? node.pointee.src.toaPort : node.pointee.portSrc
            message.pointee.log.base.portDst = node.pointee.dst.hasTOA ? node.pointee.dst.toaPort : node.pointee.portDst
            message.pointee.log.base.isIPv6 = isIPv6
            message.pointee.log.base.l3EpcIDSrc = node.pointee.src.epc
            message.pointee.log.base.l3EpcIDDst = node.pointee.dst.epc
            message.pointee.log.base.proto = node.pointee.proto
            message.pointee.swapSidesIfReversed()
        }
        guard l7.output.messages[position].hasStats else { return }
        var stats = l7Stats(node, closing: nil)
        stats.timeSeconds = UInt32(truncatingIfNeeded: l7.output.messages[position].log.base.endTimeNs / 1_000_000_000)
        stats.stats = l7.output.messages[position].stats
        stats.isReversed = l7.output.messages[position].isReversed
        stats.l7Protocol = l7.output.messages[position].l7Protocol.rawValue
        stats.setEndpoint(l7.output.messages[position].endpoint)
        l7.stats.append(stats)
    }

    /// Two entries a record, forward and reversed, which close the L7 metrics of an ended flow. Source: agent-flow.md 8.6.
    mutating func emitL7Stats(_ node: UnsafeMutablePointer<FlowNode>, closing: CloseType?) {
        guard node.pointee.l7Protocol != 0, l7.isEnabled, closing != nil else { return }
        var stats = l7Stats(node, closing: closing)
        stats.timeSeconds = UInt32(truncatingIfNeeded: startSeconds)
        stats.stats.errTimeout = node.pointee.l7Perf.errTimeout
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
        node.pointee.l7Perf.merge(closed.held.stats)
        node.pointee.l7FailedCount &+= closed.held.failedCount
        for position in first..<l7.output.messages.count { complete(position, node) }
        node.pointee.l7Perf.errTimeout &+= closed.forwardTimeouts &+ closed.reversedTimeouts
        node.pointee.l7 = -1
    }

    private func l7Stats(_ node: UnsafeMutablePointer<FlowNode>, closing: CloseType?) -> L7Stats {
        var stats = L7Stats()
        stats.flowID = node.pointee.flowID
        stats.l7Protocol = node.pointee.l7Protocol
        var flow = MiniFlow()
        flow.tapPort = node.pointee.tapPort
        flow.macSrc = node.pointee.macSrc
        flow.macDst = node.pointee.macDst
        flow.ipSrc = node.pointee.ipSrc
        flow.ipDst = node.pointee.ipDst
        flow.realIPSrc = node.pointee.src.hasTOA ? IPAddress(v4: node.pointee.src.toaIP) : node.pointee.ipSrc
        flow.realIPDst = node.pointee.dst.hasTOA ? IPAddress(v4: node.pointee.dst.toaIP) : node.pointee.ipDst
        flow.realPortSrc = node.pointee.src.hasTOA ? node.pointee.src.toaPort : node.pointee.portSrc
        flow.realPortDst = node.pointee.dst.hasTOA ? node.pointee.dst.toaPort : node.pointee.portDst
        flow.epcSrc = node.pointee.src.epc
        flow.epcDst = node.pointee.dst.epc
        flow.agentID = settings.agentID
        flow.tapType = node.pointee.tapType
        flow.portSrc = node.pointee.portSrc
        flow.portDst = node.pointee.portDst
        flow.ethType = node.pointee.ethType
        flow.proto = node.pointee.proto
        flow.tapSide = node.pointee.tapSide.rawValue
        flow.srcDirection = node.pointee.srcDirection.rawValue
        flow.dstDirection = node.pointee.dstDirection.rawValue
        flow.directionScore = node.pointee.directionScore
        flow.closeType = (closing ?? .forcedReport).rawValue
        flow.signalSource = SignalSource.packet.rawValue
        flow.isActiveService = node.pointee.isActiveService
        flow.isDeviceSrc = node.pointee.src.isDevice
        flow.isDeviceDst = node.pointee.dst.isDevice
        flow.hasPacketsSrc = node.pointee.src.totalPacketCount > 0
        flow.hasPacketsDst = node.pointee.dst.totalPacketCount > 0
        stats.flow = flow
        return stats
    }
}
