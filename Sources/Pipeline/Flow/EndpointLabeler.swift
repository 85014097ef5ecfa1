package import Model

/// What the labelling of a flow's two ends needs to know of this host. A value: swapped whole when interfaces change.
/// Source: agent-flow.md 12, 18.
package struct EndpointLabeler: Sendable {
    package struct Local: Hashable, Sendable {
        package var mac: UInt64
        package var ip: IPAddress

        package init(mac: UInt64, ip: IPAddress) {
            self.mac = mac
            self.ip = ip
        }
    }

    package static let internetEPC: Int32 = -2

    package var agentType: AgentType
    package var localEPC: Int32
    /// (MAC, IP) pairs of local interfaces that are up; empty in a replay, whose packets are of another host.
    package var forwardTable: Set<Local>
    private var localMACs: Set<UInt64>
    private var localIPs: Set<IPAddress>

    package init(agentType: AgentType = .process, localEPC: Int32 = 3302, forwardTable: Set<Local> = []) {
        self.agentType = agentType
        self.localEPC = localEPC
        self.forwardTable = forwardTable
        localMACs = Set(forwardTable.map(\.mac))
        localIPs = Set(forwardTable.map(\.ip))
    }

    struct End: BitwiseCopyable {
        var epc: Int32 = 0
        var isL2End = false
        var isL3End = false
        var isDevice = false
        var isLocalMac = false
        var isLocalIP = false

        fileprivate mutating func becomeLocal(epc: Int32) {
            self.epc = epc
            isDevice = true
            isLocalMac = true
            isLocalIP = true
        }
    }

    /// Both ends of a packet, source first.
    func label(_ packet: MetaPacket) -> (src: End, dst: End) {
        let v6 = packet.isIPv6
        var src = End()
        var dst = End()
        src.isL2End = packet.l2End0
        dst.isL2End = packet.l2End1
        if packet.ipSrc.isLoopback(v6: v6), packet.ethType == EtherType.ipv4 || v6 {
            src.isL3End = true
            dst.isL3End = true
        } else if !forwardTable.isEmpty {
            src.isL3End = forwardTable.contains(Local(mac: packet.macSrc, ip: packet.ipSrc))
            dst.isL3End = forwardTable.contains(Local(mac: packet.macDst, ip: packet.ipDst))
        }
        if packet.macSrc == packet.macDst {
            src.becomeLocal(epc: localEPC)
            dst.becomeLocal(epc: localEPC)
            return (src, dst)
        }
        if !localMACs.isEmpty {
            src.isLocalMac = localMACs.contains(packet.macSrc)
            dst.isLocalMac = localMACs.contains(packet.macDst)
            src.isLocalIP = localIPs.contains(packet.ipSrc)
            dst.isLocalIP = localIPs.contains(packet.ipDst)
        }
        src.epc = outsideEPC(packet.ipSrc, v6: v6)
        dst.epc = outsideEPC(packet.ipDst, v6: v6)
        if packet.ipDst.isMulticast(v6: v6), src.epc > 0 { dst.epc = src.epc }
        return (src, dst)
    }

    /// Unknown addresses are Internet unless intranet. Trap: fc00::/7 counts as Internet.
    private func outsideEPC(_ ip: IPAddress, v6: Bool) -> Int32 {
        if v6 { return ip.isLinkLocal(v6: true) || ip.isMulticast(v6: true) ? 0 : EndpointLabeler.internetEPC }
        let v4 = ip.v4
        let isIntranet =
            v4 >> 24 == 10 || v4 >> 20 == 0xac1 || v4 >> 16 == 0xc0a8 || v4 >> 22 == 0x6440_0000 >> 22
            || ip.isLinkLocal(v6: false) || ip.isMulticast(v6: false) || v4 == 0xffff_ffff
        return isIntranet ? 0 : EndpointLabeler.internetEPC
    }
}

/// Observation point from what is known of both ends. Source: agent-flow.md 12.
enum TapSideRule {
    struct Peer: BitwiseCopyable {
        var isL2End: Bool
        var isL3End: Bool
        var isLocalMac: Bool
        var isLocalIP: Bool
        var epc: Int32
    }

    static func directions(
        src: Peer, dst: Peer, agentType: AgentType, tapType: UInt16, tunnelTier: UInt8, tunnelType: UInt8,
        macSrc: UInt64,
        macDst: UInt64
    ) -> (src: TapSide, dst: TapSide) {
        if macSrc == macDst, agentType.isPod || agentType.isWorkload { return (.rest, .local) }
        let isUnicast = macDst >> 40 & 1 == 0
        var srcSide = role(
            src, isSource: true, isUnicast: true, agentType: agentType, tapType: tapType, tier: tunnelTier,
            tunnel: tunnelType)
        var dstSide = role(
            dst, isSource: false, isUnicast: isUnicast, agentType: agentType, tapType: tapType, tier: tunnelTier,
            tunnel: tunnelType)
        if srcSide != .rest, dstSide != .rest, tapType == CaptureNetworkType.cloud {
            if srcSide == .client || src.isL2End, dstSide != .server {
                dstSide = .rest
            } else if dstSide == .server || dst.isL2End, srcSide != .client {
                srcSide = .rest
            } else if src.isLocalMac {
                dstSide = .rest
            } else if dst.isLocalMac {
                srcSide = .rest
            }
        }
        return (srcSide, dstSide)
    }

    /// The only known end, else rest.
    static func tapSide(_ directions: (src: TapSide, dst: TapSide)) -> TapSide {
        if directions.src != .rest, directions.dst == .rest { return directions.src }
        if directions.dst != .rest, directions.src == .rest { return directions.dst }
        return .rest
    }

    private static func role(
        _ peer: Peer, isSource: Bool, isUnicast: Bool, agentType: AgentType, tapType: UInt16, tier: UInt8, tunnel: UInt8
    ) -> TapSide {
        let end = peer.isL2End && peer.isL3End
        let plain: TapSide = isSource ? .client : .server
        let node: TapSide = isSource ? .clientNode : .serverNode
        let hypervisor: TapSide = isSource ? .clientHypervisor : .serverHypervisor
        // Gateways take the crossed role.
        let gateway: TapSide = isSource ? .serverGateway : .clientGateway
        let gatewayHypervisor: TapSide = isSource ? .serverGatewayHypervisor : .clientGatewayHypervisor
        switch agentType {
        case .publicCloud, .physicalMachine:
            if end { return plain }
            return peer.isL2End && isUnicast ? gateway : .rest
        case .hostPod, .vmPod, .k8sSidecar:
            if end { return tier == 0 ? plain : node }
            if peer.isL2End { return peer.isLocalIP || tier > 0 ? node : .rest }
            if peer.isL3End { return peer.isLocalMac ? node : .rest }
            return peer.isLocalMac && (peer.isLocalIP || tier > 0) ? node : .rest
        case .process:
            if end, tier == 0 { return plain }
            if end, tier > 0, peer.isLocalIP { return hypervisor }
            if peer.isL2End {
                if peer.isLocalIP { return tier > 0 ? hypervisor : gateway }
                if peer.isLocalMac {
                    guard tier > 0 else { return gateway }
                    return tunnel == TunnelType.ipip.rawValue ? hypervisor : gatewayHypervisor
                }
                return tunnel == TunnelType.tencentGre.rawValue ? hypervisor : .rest
            }
            if peer.isL3End { return peer.isLocalMac ? hypervisor : .rest }
            guard peer.isLocalMac else { return .rest }
            return peer.isLocalIP || tier > 0 ? hypervisor : gatewayHypervisor
        case .vm:
            return tier == 0 && end ? plain : .rest
        case .dedicatedPhysicalMachine:
            if tapType != CaptureNetworkType.cloud { return peer.epc != EndpointLabeler.internetEPC ? plain : .rest }
            return peer.isL2End ? plain : .rest
        case .hyperVCompute:
            return peer.isL2End ? hypervisor : .rest
        case .hyperVNetwork:
            if end { return plain }
            return peer.isL2End && isUnicast ? gatewayHypervisor : .rest
        case .unknown, .tunnelDecapsulation:
            return .rest
        }
    }
}
