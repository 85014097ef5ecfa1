import Model
import Testing

@testable import Pipeline

/// Source: agent-flow.md 2 (tap_port), 5.3, 5.5.
struct MirrorRulesTests {
    private static func rules(
        _ change: (inout MirrorSettings) -> Void = { _ in }, agentType: AgentType = .process
    ) -> MirrorRules {
        var settings = MirrorSettings()
        settings.mode = .mirror
        settings.machines = [0xa, 0xb]
        change(&settings)
        return MirrorRules(settings: settings, agentType: agentType, dispatcher: 7)
    }

    private typealias Side = MirrorRules.Side

    @Test func onceForEachMachineThatIsKnown() {
        let rules = Self.rules()
        let both = rules.mirrored(source: 0xa, destination: 0xb, own: 0xee)
        #expect(both.first == Side(l2End0: true, l2End1: false, tapPort: 0xa))
        #expect(both.second == Side(l2End0: false, l2End1: true, tapPort: 0xb))
        let out = rules.mirrored(source: 0xa, destination: 0xc, own: 0xee)
        #expect(out.first == Side(l2End0: true, l2End1: false, tapPort: 0xa) && out.second == nil)
        let incoming = rules.mirrored(source: 0xc, destination: 0xb, own: 0xee)
        #expect(incoming.first == Side(l2End0: false, l2End1: true, tapPort: 0xb) && incoming.second == nil)
        let strange = rules.mirrored(source: 0xc, destination: 0xd, own: 0xee)
        #expect(strange.first == Side(tapPort: 0xee) && strange.second == nil)
    }

    @Test func formsOfTheTapPort() {
        let gateway = Self.rules { $0.isGatewayTraffic = true }
        #expect(gateway.mirrored(source: 0xa, destination: 0xc, own: 0xee).first.tapPort == 1 << 60 | 0xa)
        let hyperV = Self.rules(agentType: .hyperVCompute)
        #expect(hyperV.mirrored(source: 0xa, destination: 0xc, own: 0xee).first.tapPort == 0xee)
        let side = Self.rules().analyzed(source: 0xa, destination: 0xb, own: 0xee, tunnelSource: 0x0a01_0203)
        // The high byte of the address is lost.
        #expect(side == Side(l2End0: true, l2End1: true, tapPort: 4 << 60 | 0x0102_0307))
    }

    @Test func networkTypeByTheTagThatIsAskedFor() {
        let head: [UInt8] = Array(repeating: 2, count: 12)
        let untagged = head + [8, 0, 0, 0, 0, 0, 0, 0]
        // Outer: priority 5, VLAN 100; inner: VLAN 200.
        let tagged = head + [0x81, 0, 0xa0, 100, 0x81, 0, 0, 200, 8, 0]
        func type(_ frame: [UInt8], _ priority: UInt8) -> UInt16 {
            Self.rules {
                $0.vlanPriority = priority
                $0.networkTypes = [0: 10, 100: 11, 200: 12]
            }.networkType(of: frame.span.bytes)
        }
        #expect(type(untagged, 8) == 10)
        #expect(type(tagged, 8) == 11)
        #expect(type(tagged, 9) == 12)
        #expect(type(tagged, 5) == 11)
        #expect(type(tagged, 3) == 10)
        #expect(type(Array(tagged.prefix(14)), 8) == 10)
        #expect(Self.rules().networkType(of: tagged.span.bytes) == 3)
    }
}
