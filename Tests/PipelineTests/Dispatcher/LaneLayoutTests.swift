import Capture
import Testing

@testable import Pipeline

/// Source: agent-flow.md 5.1.
struct LaneLayoutTests {
    @Test func howManyDispatchers() throws {
        var settings = AgentPipeline.Settings()
        #expect(LaneLayout(settings) == .shared(1))
        settings.fanout.count = 4
        #expect(LaneLayout(settings) == .shared(4))
        settings.usesLibpcap = true
        #expect(LaneLayout(settings) == .shared(1))
        settings.namespaces.isInnerEnabled = true
        #expect(LaneLayout(settings) == .acrossNamespaces)
        settings.rawQueue.isEnabled = true
        #expect(LaneLayout(settings) == .shared(1), "the queue wins")
        settings.rawQueue.isEnabled = false
        settings.namespaces.extra = try NamePattern("^web")
        #expect(LaneLayout(settings) == .byNamespace)
        settings.mirror.mode = .mirror
        #expect(LaneLayout(settings) == .byInterface)
        settings.usesLibpcap = false
        #expect(LaneLayout(settings) == .shared(4))
    }

    @Test func interfacesOfSeveralNamespacesAreToldApart() {
        let interface = NetworkInterface(
            name: "eth0", index: 2, mac: 0, isUp: true)
        var numbers = InterfaceNumbers()
        let first = numbers.numbered([interface], key: 100)[0].index
        let second = numbers.numbered([interface], key: 200)[0].index
        #expect(first != second)
        #expect(numbers.table([interface], key: 100) == [2: first])
        #expect(numbers.table([interface], key: 200) == [2: second])
    }
}
