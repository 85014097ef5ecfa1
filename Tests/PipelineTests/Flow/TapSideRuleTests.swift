import Model
import Testing

@testable import Pipeline

/// Where a flow is seen from. Source: agent-flow.md 12.
struct TapSideRuleTests {
    private typealias Peer = TapSideRule.Peer

    /// `2` l2_end, `3` l3_end, `m` local MAC, `i` local IP, `w` Internet; without any: unknown.
    private static func peer(_ facts: String) -> TapSideRule.Peer {
        TapSideRule.Peer(
            isL2End: facts.contains("2"), isL3End: facts.contains("3"), isLocalMac: facts.contains("m"),
            isLocalIP: facts.contains("i"), epc: facts.contains("w") ? -2 : 1)
    }

    private static func directions(
        _ src: String, _ dst: String, _ agent: AgentType, tier: UInt8 = 0, tunnel: TunnelType = .none,
        tapType: UInt16 = CaptureNetworkType.cloud, macs: (UInt64, UInt64) = (0x0200_0000_0001, 0x0200_0000_0002)
    ) -> (src: TapSide, dst: TapSide) {
        TapSideRule.directions(
            src: peer(src), dst: peer(dst), agentType: agent, tapType: tapType, tunnelTier: tier,
            tunnelType: tunnel.rawValue, macSrc: macs.0, macDst: macs.1)
    }

    /// One line of the table: agent type, facts of the end, tunnel tier and type, role as client, role as server.
    private typealias Line = (AgentType, String, UInt8, TunnelType, TapSide, TapSide)

    private static let lines: [Line] = [
        (.publicCloud, "23", 0, .none, .client, .server),
        (.physicalMachine, "23", 1, .vxlan, .client, .server),
        (.publicCloud, "2", 0, .none, .serverGateway, .clientGateway),
        (.publicCloud, "3m", 0, .none, .rest, .rest),
        (.hostPod, "23", 0, .none, .client, .server),
        (.vmPod, "23", 1, .vxlan, .clientNode, .serverNode),
        (.k8sSidecar, "2i", 0, .none, .clientNode, .serverNode),
        (.hostPod, "2", 1, .vxlan, .clientNode, .serverNode),
        (.hostPod, "2", 0, .none, .rest, .rest),
        (.hostPod, "2m", 0, .none, .rest, .rest),
        (.hostPod, "3m", 0, .none, .clientNode, .serverNode),
        (.hostPod, "3i", 0, .none, .rest, .rest),
        (.hostPod, "mi", 0, .none, .clientNode, .serverNode),
        (.hostPod, "m", 1, .vxlan, .clientNode, .serverNode),
        (.hostPod, "m", 0, .none, .rest, .rest),
        (.process, "23", 0, .none, .client, .server),
        (.process, "23i", 1, .vxlan, .clientHypervisor, .serverHypervisor),
        (.process, "23", 1, .vxlan, .rest, .rest),
        (.process, "23m", 1, .vxlan, .serverGatewayHypervisor, .clientGatewayHypervisor),
        (.process, "2i", 1, .vxlan, .clientHypervisor, .serverHypervisor),
        (.process, "2i", 0, .none, .serverGateway, .clientGateway),
        (.process, "2m", 1, .ipip, .clientHypervisor, .serverHypervisor),
        (.process, "2m", 1, .geneve, .serverGatewayHypervisor, .clientGatewayHypervisor),
        (.process, "2m", 0, .none, .serverGateway, .clientGateway),
        (.process, "2", 1, .tencentGre, .clientHypervisor, .serverHypervisor),
        (.process, "2", 1, .vxlan, .rest, .rest),
        (.process, "2", 0, .none, .rest, .rest),
        (.process, "3m", 0, .none, .clientHypervisor, .serverHypervisor),
        (.process, "3i", 0, .none, .rest, .rest),
        (.process, "mi", 0, .none, .clientHypervisor, .serverHypervisor),
        (.process, "m", 1, .vxlan, .clientHypervisor, .serverHypervisor),
        (.process, "m", 0, .none, .serverGatewayHypervisor, .clientGatewayHypervisor),
        (.process, "i", 0, .none, .rest, .rest),
        (.vm, "23", 0, .none, .client, .server),
        (.vm, "23", 1, .vxlan, .rest, .rest),
        (.vm, "2", 0, .none, .rest, .rest),
        (.dedicatedPhysicalMachine, "2", 0, .none, .client, .server),
        (.dedicatedPhysicalMachine, "3", 0, .none, .rest, .rest),
        (.hyperVCompute, "2", 0, .none, .clientHypervisor, .serverHypervisor),
        (.hyperVCompute, "3", 0, .none, .rest, .rest),
        (.hyperVNetwork, "23", 0, .none, .client, .server),
        (.hyperVNetwork, "2", 0, .none, .serverGatewayHypervisor, .clientGatewayHypervisor),
        (.unknown, "23", 0, .none, .rest, .rest),
        (.tunnelDecapsulation, "23", 0, .none, .rest, .rest),
    ]

    @Test(arguments: lines.indices) func roles(index: Int) {
        let (agent, facts, tier, tunnel, client, server) = TapSideRuleTests.lines[index]
        // The other end is known by nothing, so that the rule for two known ends does not matter.
        let asSource = TapSideRuleTests.directions(facts, "", agent, tier: tier, tunnel: tunnel)
        #expect(asSource == (client, .rest), "\(agent) \(facts) as source")
        #expect(TapSideRule.tapSide(asSource) == client)
        let asDestination = TapSideRuleTests.directions("", facts, agent, tier: tier, tunnel: tunnel)
        #expect(asDestination == (.rest, server), "\(agent) \(facts) as destination")
        #expect(TapSideRule.tapSide(asDestination) == server)
    }

    @Test func multicastHasNoGateway() {
        let group: (UInt64, UInt64) = (0x0200_0000_0001, 0x0100_5e00_0001)
        #expect(TapSideRuleTests.directions("", "2", .publicCloud, macs: group) == (.rest, .rest))
        #expect(TapSideRuleTests.directions("2", "", .publicCloud, macs: group) == (.serverGateway, .rest))
    }

    @Test func outsideOfTheCloudByNetwork() {
        let mirrored = TapSideRuleTests.directions("", "w", .dedicatedPhysicalMachine, tapType: 4)
        #expect(mirrored == (.client, .rest))
        // Both ends known on a mirrored network: nowhere in particular.
        let both = TapSideRuleTests.directions("", "", .dedicatedPhysicalMachine, tapType: 4)
        #expect(both == (.client, .server))
        #expect(TapSideRule.tapSide(both) == .rest)
    }

    @Test func sameMACsOfPodsAndWorkloads() {
        let same: (UInt64, UInt64) = (1, 1)
        #expect(TapSideRuleTests.directions("23", "23", .hostPod, macs: same) == (.rest, .local))
        #expect(TapSideRuleTests.directions("23", "23", .physicalMachine, macs: same) == (.rest, .local))
        #expect(TapSideRuleTests.directions("23", "23", .vm, macs: same) == (.client, .server))
    }

    /// Both ends are known: the nearer one decides. Source: agent-flow.md 12, rule 5.
    @Test(arguments: [
        ("23", "2m", TapSide.client, TapSide.rest), ("2m", "23", .rest, .server),
        ("mi", "mi", .clientHypervisor, .rest),
        ("3m", "mi", .clientHypervisor, .rest), ("23", "23", .client, .server),
    ])
    func twoKnownEnds(src: String, dst: String, client: TapSide, server: TapSide) {
        #expect(TapSideRuleTests.directions(src, dst, .process) == (client, server))
    }
}
