import Model

extension FlowMap {
    private func keys(_ packet: MetaPacket, _ node: UnsafeMutablePointer<FlowNode>) -> (
        ServiceTable.Key, ServiceTable.Key
    ) {
        // Trap 9: the packet's addresses meet the flow's EPCs, so those of a server packet are crossed.
        (
            ServiceTable.Key(
                ip: packet.ipSrc, epc: Int16(truncatingIfNeeded: node.pointee.src.epc), port: packet.portSrc),
            ServiceTable.Key(
                ip: packet.ipDst, epc: Int16(truncatingIfNeeded: node.pointee.dst.epc), port: packet.portDst)
        )
    }

    private mutating func flowKeys(_ node: UnsafeMutablePointer<FlowNode>) -> (ServiceTable.Key, ServiceTable.Key) {
        let addresses = parts.addresses(of: node)
        return (
            ServiceTable.Key(
                ip: addresses.src, epc: Int16(truncatingIfNeeded: node.pointee.src.epc), port: node.pointee.portSrc
            ),
            ServiceTable.Key(
                ip: addresses.dst, epc: Int16(truncatingIfNeeded: node.pointee.dst.epc), port: node.pointee.portDst
            )
        )
    }

    /// Scores both ends by this packet and turns flow and packet round when the source looks like the server.
    /// Source: agent-flow.md 9.
    mutating func updateDirection(_ node: UnsafeMutablePointer<FlowNode>, _ packet: inout MetaPacket, isFirst: Bool) {
        let (src, dst) = keys(packet, node)
        var score =
            packet.l4Protocol == .tcp
            ? services.tcpScore(
                isIPv6: packet.isIPv6, isFirst: isFirst, flags: packet.tcpFlags, toaFromSource: packet.toaSrcPort != 0,
                toaFromDestination: false, src: src, dst: dst)
            : services.udpScore(isIPv6: packet.isIPv6, isFirst: isFirst, src: src, dst: dst)
        if packet.direction == .serverToClient { score = (score.dst, score.src) }
        if score.src > score.dst {
            parts.reverse(node, isFirstPacket: isFirst)
            packet.direction = packet.direction.reversed
            score = (score.dst, score.src)
        }
        node.pointee.setScore(score.dst)
    }

    /// Before every record. Returns whether the flow was reversed.
    mutating func reassessDirection(_ node: UnsafeMutablePointer<FlowNode>) -> Bool {
        guard node.pointee.l4Protocol == .tcp || node.pointee.l4Protocol == .udp else { return false }
        let (src, dst) = flowKeys(node)
        var score: (src: UInt8, dst: UInt8)
        let isIPv6 = node.pointee.isIPv6
        if node.pointee.l4Protocol == .tcp, node.pointee.src.hasTOA || node.pointee.dst.hasTOA {
            score = services.tcpScore(
                isIPv6: isIPv6, isFirst: false, flags: 0, toaFromSource: node.pointee.src.hasTOA,
                toaFromDestination: node.pointee.dst.hasTOA, src: src, dst: dst)
        } else {
            score = services.lookup(isIPv6: isIPv6, src: src, dst: dst)
        }
        var isReversed = false
        if score.src > score.dst {
            parts.reverse(node, isFirstPacket: false)
            score = (score.dst, score.src)
            isReversed = true
        }
        node.pointee.setScore(score.dst)
        return isReversed
    }

    /// An L7 parser recognised the other end as server: turns the flow and teaches the table. Source: agent-flow.md 9, last rules.
    mutating func reverseByL7(_ node: UnsafeMutablePointer<FlowNode>) {
        parts.reverse(node, isFirstPacket: false)
        let (src, dst) = flowKeys(node)
        services.learnFromL7(isIPv6: node.pointee.isIPv6, src: src, dst: dst)
        node.pointee.setScore(ServiceTable.maxFromL7)
    }
}

extension FlowNode {
    /// - Parameter score: of the destination.
    fileprivate mutating func setScore(_ score: UInt8) {
        directionScore = score
        if score == ServiceTable.max { marks.insert(.activeService) } else { marks.remove(.activeService) }
    }
}
