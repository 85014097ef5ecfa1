import Model

/// What was around the packets of a flow, and the real addresses behind it. Source: agent-flow.md 6, 8.5, 8.8.
extension FlowMap {
    mutating func openTunnel(_ node: UnsafeMutablePointer<FlowNode>, _ tunnel: PacketTunnel) {
        node.pointee.tunnelType = tunnel.type
        node.pointee.tunnelTier = tunnel.tier
        let rare = parts.rareFacts(of: node)
        rare.pointee.tunnel.type = tunnel.type.rawValue
        rare.pointee.tunnel.tier = tunnel.tier
        updateTunnel(node, tunnel, .clientToServer)
    }

    mutating func updateTunnel(
        _ node: UnsafeMutablePointer<FlowNode>, _ tunnel: PacketTunnel, _ direction: PacketDirection
    ) {
        guard node.pointee.tunnelType != .none else { return }
        let rare = parts.rareFacts(of: node)
        if (direction == .clientToServer) != node.pointee.marks.contains(.tunnelSwapped) {
            rare.pointee.tunnel.sent(tunnel)
        } else {
            rare.pointee.tunnel.received(tunnel)
        }
    }

    /// The sender's real address and port, of a TCP option.
    mutating func noteRealEnd(
        _ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>, _ direction: PacketDirection
    ) {
        let end = RareFacts.RealEnd(ip: packet.pointee.toaSrcIP, port: packet.pointee.toaSrcPort)
        let rare = parts.rareFacts(of: node)
        if direction == .clientToServer {
            node.pointee.src.marks.insert(.toa)
            rare.pointee.src = end
        } else {
            node.pointee.dst.marks.insert(.toa)
            rare.pointee.dst = end
        }
    }

    /// The source of real addresses in the capture port only rises. Source: agent-flow.md 8.8.
    func raiseNATSource(_ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>) {
        let mask: UInt64 = 0xf << 36
        let new = packet.pointee.tapPort & mask
        if new > node.pointee.tapPort & mask { node.pointee.tapPort = node.pointee.tapPort & ~mask | new }
    }
}

extension TunnelField {
    /// What the flow's source sent came through this tunnel.
    mutating func sent(_ tunnel: PacketTunnel) {
        txIP0 = tunnel.ipSrc
        txIP1 = tunnel.ipDst
        txMAC0 = tunnel.macSrc
        txMAC1 = tunnel.macDst
        txID = tunnel.id
    }

    /// What the flow's source received did.
    mutating func received(_ tunnel: PacketTunnel) {
        rxIP0 = tunnel.ipSrc
        rxIP1 = tunnel.ipDst
        rxMAC0 = tunnel.macSrc
        rxMAC1 = tunnel.macDst
        rxID = tunnel.id
    }

    /// The other end's view.
    var swapped: TunnelField {
        var other = self
        swap(&other.txIP0, &other.rxIP0)
        swap(&other.txIP1, &other.rxIP1)
        swap(&other.txMAC0, &other.rxMAC0)
        swap(&other.txMAC1, &other.rxMAC1)
        swap(&other.txID, &other.rxID)
        return other
    }
}
