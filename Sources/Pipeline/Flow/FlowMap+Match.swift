import Model

/// Which flow a packet belongs to.
extension FlowMap {
    /// Symmetric in the two ends. Source: agent-flow.md 8.1.
    @inline(__always)
    package static func hash(_ packet: UnsafePointer<MetaPacket>) -> UInt32 {
        let ends =
            hash(end: packet.pointee.ipSrc, packet.pointee.portSrc)
            &+ hash(end: packet.pointee.ipDst, packet.pointee.portDst)
        var place = UInt64(UInt32(truncatingIfNeeded: packet.pointee.tapPort)) << 16 ^ UInt64(packet.pointee.tapType)
        if packet.pointee.ethType != EtherType.ipv4, packet.pointee.ethType != EtherType.ipv6 {
            place ^= packet.pointee.macSrc ^ packet.pointee.macDst
        }
        let mixed = (ends ^ ends >> 32 ^ place) &* 0xc4ce_b9fe_1a85_ec53
        return UInt32(truncatingIfNeeded: mixed >> 32)
    }

    @inline(__always)
    private static func hash(end ip: IPAddress, _ port: UInt16) -> UInt64 {
        let mixed = (ip.high &* 0x9e37_79b9_7f4a_7c15 ^ ip.low ^ UInt64(port) << 40) &* 0xff51_afd7_ed55_8ccd
        return mixed ^ mixed >> 29
    }

    /// Direction of the packet in the flow; nil: another flow. Source: agent-flow.md 8.3.
    @inline(__always)
    func match(_ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>)
        -> PacketDirection?
    {
        let tapMask: UInt64 = 0xf000_0000_ffff_ffff
        guard node.pointee.tapPort & tapMask == packet.pointee.tapPort & tapMask,
            node.pointee.tapType == packet.pointee.tapType,
            node.pointee.ethType == packet.pointee.ethType
        else { return nil }
        if node.pointee.vlan != packet.pointee.vlan, packet.pointee.tapType != CaptureNetworkType.cloud,
            !settings.ignoresIDCVlan
        {
            return nil
        }
        if packet.pointee.ethType != EtherType.ipv4, packet.pointee.ethType != EtherType.ipv6 {
            if node.pointee.macSrc == packet.pointee.macSrc, node.pointee.macDst == packet.pointee.macDst,
                node.pointee.addresses == FlowMap.narrow(packet.pointee.ipSrc, packet.pointee.ipDst)
            {
                return .clientToServer
            }
            if node.pointee.macSrc == packet.pointee.macDst, node.pointee.macDst == packet.pointee.macSrc,
                node.pointee.addresses == FlowMap.narrow(packet.pointee.ipDst, packet.pointee.ipSrc)
            {
                return .serverToClient
            }
            return nil
        }
        guard node.pointee.proto == packet.pointee.proto,
            node.pointee.tunnelType == packet.pointee.tunnel.type || ignoresTunnelType
        else { return nil }
        guard
            let direction = packet.pointee.isIPv6 ? wideDirection(node, packet) : FlowMap.narrowDirection(node, packet)
        else { return nil }
        if packet.pointee.tunnel.type != .none, !isSeenFromSameEnds(node, packet, direction) { return nil }
        guard packet.pointee.tapType == CaptureNetworkType.cloud, !settings.ignoresMac,
            packet.pointee.tapPort >> 60 != 1, !ignoresMac(packet.pointee.tunnel)
        else {
            return direction
        }
        let forward = direction == .clientToServer
        let flowSrc = forward ? node.pointee.macSrc : node.pointee.macDst
        let flowDst = forward ? node.pointee.macDst : node.pointee.macSrc
        if !settings.ignoresL2End, packet.pointee.tapPort & 0xffff_ffff > 0 {
            if !packet.pointee.l2End0, !packet.pointee.l2End1 { return direction }
            if !packet.pointee.l2End0 { return flowDst == packet.pointee.macDst ? direction : nil }
            return flowSrc == packet.pointee.macSrc ? direction : nil
        }
        return flowSrc == packet.pointee.macSrc && flowDst == packet.pointee.macDst ? direction : nil
    }

    /// Both addresses as IPv4 flows hold them.
    @inline(__always)
    private static func narrow(_ src: IPAddress, _ dst: IPAddress) -> UInt64 { src.low << 32 | dst.low }

    @inline(__always)
    private static func narrowDirection(
        _ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>
    ) -> PacketDirection? {
        if node.pointee.addresses == narrow(packet.pointee.ipSrc, packet.pointee.ipDst),
            node.pointee.portSrc == packet.pointee.portSrc, node.pointee.portDst == packet.pointee.portDst
        {
            return .clientToServer
        }
        if node.pointee.addresses == narrow(packet.pointee.ipDst, packet.pointee.ipSrc),
            node.pointee.portSrc == packet.pointee.portDst, node.pointee.portDst == packet.pointee.portSrc
        {
            return .serverToClient
        }
        return nil
    }

    @inline(__always)
    private func wideDirection(
        _ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>
    ) -> PacketDirection? {
        let (src, dst) = (packet.pointee.ipSrc, packet.pointee.ipDst)
        let addresses = parts.wideAddresses[Int32(truncatingIfNeeded: node.pointee.addresses)]
        if node.pointee.portSrc == packet.pointee.portSrc, node.pointee.portDst == packet.pointee.portDst,
            addresses.pointee.src == src, addresses.pointee.dst == dst
        {
            return .clientToServer
        }
        if node.pointee.portSrc == packet.pointee.portDst, node.pointee.portDst == packet.pointee.portSrc,
            addresses.pointee.src == dst, addresses.pointee.dst == src
        {
            return .serverToClient
        }
        return nil
    }

    /// A tunnelled packet belongs to a flow only when it was captured at the same ends.
    @inline(never)
    private func isSeenFromSameEnds(
        _ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>, _ direction: PacketDirection
    ) -> Bool {
        let forward = direction == .clientToServer
        return packet.pointee.l2End0 == (forward ? node.pointee.src.isL2End : node.pointee.dst.isL2End)
            && packet.pointee.l2End1 == (forward ? node.pointee.dst.isL2End : node.pointee.src.isL2End)
    }

    /// Addresses inside these are not those of the ends.
    @inline(__always)
    private func ignoresMac(_ tunnel: PacketTunnel) -> Bool {
        switch tunnel.type {
        case .none: false
        case .ipip, .tencentGre: true
        case .vxlan, .geneve, .vxlanNsh, .erspan, .teb: labeler.agentType.isHyperV && tunnel.tier < 2
        }
    }
}
