import Model

/// `inputs.cbpf.common.capture_mode`: what captured traffic is. Source: agent-flow.md 2, 5.
package enum CaptureMode: UInt8, Sendable {
    /// Of the interfaces themselves.
    case local = 0
    /// Of machines behind a switch that copies their traffic to an interface.
    case mirror = 1
    /// Of a whole network, copied by physical switches.
    case analyzer = 2
}

/// `inputs.cbpf.physical_mirror.*` and what a controller tells of the machines whose traffic is copied.
package struct MirrorSettings: Sendable {
    package var mode = CaptureMode.local
    /// Low four bytes of the MACs of those machines.
    package var machines: Set<UInt32> = []
    /// `private_cloud_gateway_traffic`.
    package var isGatewayTraffic = false
    /// `vlan_pcp_in_physical_mirror_traffic`: which tag names the network; 8 the outer, 9 the inner, else an outer one of
    /// this priority.
    package var vlanPriority: UInt8 = 0
    /// `default_capture_network_type`.
    package var standardNetworkType = CaptureNetworkType.cloud
    /// Network types by VLAN; untagged is VLAN 0.
    package var networkTypes: [UInt16: UInt16] = [:]

    package init() {}
}

/// Where a mirrored packet was seen, by its MACs and tags. Source: agent-flow.md 5.3, 5.5.
struct MirrorRules {
    /// One side of a packet, which is counted as a flow of its own.
    struct Side: Equatable {
        var l2End0 = false
        var l2End1 = false
        var tapPort: UInt64 = 0
    }

    private static let gatewayForm: UInt64 = 1 << 60
    private static let idForm: UInt64 = 4 << 60

    let settings: MirrorSettings
    let agentType: AgentType
    let dispatcher: UInt8

    /// The sides that a packet is counted at: each machine that is known, else the interface. Source: agent-flow.md 5.3.
    /// - Parameters:
    ///   - source: low four bytes of the source MAC; those of the outer frame for what came in a tunnel.
    ///   - own: of the interface.
    func mirrored(source: UInt32, destination: UInt32, own: UInt32) -> (first: Side, second: Side?) {
        let hasSource = settings.machines.contains(source)
        let hasDestination = settings.machines.contains(destination)
        let atSource = Side(l2End0: true, l2End1: false, tapPort: port(source, own))
        let atDestination = Side(l2End0: false, l2End1: true, tapPort: port(destination, own))
        if hasSource { return (atSource, hasDestination ? atDestination : nil) }
        if hasDestination { return (atDestination, nil) }
        return (Side(tapPort: port(own, own)), nil)
    }

    private func port(_ machine: UInt32, _ own: UInt32) -> UInt64 {
        if settings.isGatewayTraffic { return MirrorRules.gatewayForm | UInt64(machine) }
        return UInt64(agentType == .hyperVCompute ? own : machine)
    }

    /// Source: agent-flow.md 5.5, tap_port in 2.
    /// - Parameter tunnelSource: IPv4 address of the switch that sent the packet by ERSPAN; 0 = none.
    func analyzed(source: UInt32, destination: UInt32, own: UInt32, tunnelSource: UInt32) -> Side {
        Side(
            l2End0: settings.machines.contains(source), l2End1: settings.machines.contains(destination),
            tapPort: settings.isGatewayTraffic
                ? MirrorRules.gatewayForm | UInt64(own)
                : MirrorRules.idForm | UInt64(UInt32(dispatcher) | tunnelSource << 8))
    }

    /// Network type of an Ethernet frame by its tags. Source: agent-flow.md 5.5.
    func networkType(of frame: RawSpan) -> UInt16 {
        settings.networkTypes[vlan(of: frame)] ?? settings.standardNetworkType
    }

    private func vlan(of frame: RawSpan) -> UInt16 {
        guard let outer = MirrorRules.tag(of: frame, at: 12) else { return 0 }
        switch settings.vlanPriority {
        case 8: return outer & 0xfff
        case 9: return (MirrorRules.tag(of: frame, at: 16) ?? 0) & 0xfff
        default: return outer >> 13 == UInt16(settings.vlanPriority) ? outer & 0xfff : 0
        }
    }

    private static func tag(of frame: RawSpan, at offset: Int) -> UInt16? {
        guard frame.byteCount >= offset + 4, frame.be16(at: offset) == 0x8100 else { return nil }
        return frame.be16(at: offset + 2)
    }
}
