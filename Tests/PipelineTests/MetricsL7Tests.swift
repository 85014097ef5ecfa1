import Model
import Testing

@testable import Pipeline

/// L7 documents. Source: agent-flow.md 15; agent-l7.md 6.6.
@Suite struct MetricsL7Tests {
    private func apps(_ sink: RecordingSink) -> [Document] {
        sink.seconds.filter { if case .app = $0.meter { true } else { false } }
    }

    @Test func codesAndEndpoints() throws {
        var flow = Flows.tcp(at: baseSeconds)
        flow.srcDirection = TapSide.client.rawValue
        let stats = [Flows.l7(flow, at: baseSeconds), Flows.l7(flow, at: baseSeconds, endpoint: "/b", requests: 2)]
        let documents = apps(replay([], l7Stats: stats + [stats[0]]))
        try #require(documents.count == 4)
        #expect(documents.map(\.tag.field.endpoint) == ["/a", "/a", "/b", "/b"])
        #expect(documents.map(\.appMeter.request) == [2, 2, 2, 2])
        #expect(documents[0].tag.code == 0x0008_ad00_0000_8003)
        #expect(documents[1].tag.code == 0x000b_ac08_0030_0000)
        #expect(documents[0].tag.field.l7Protocol == 20)
        #expect(documents[0].meter.id == 5)
    }

    @Test func reversedMessagesSwapTheEdge() throws {
        var flow = Flows.tcp(at: baseSeconds)
        flow.srcDirection = TapSide.client.rawValue
        flow.src.gpid = 1
        let documents = apps(replay([], l7Stats: [Flows.l7(flow, at: baseSeconds, isReversed: true)]))
        try #require(documents.count == 2)
        let single = documents[0].tag.field
        #expect(single.direction == TapSide.server.rawValue)
        #expect(single.ip == IPAddress(v4: 0x0a00_0001), "a single document keeps its own end")
        #expect(single.serverPort == 40_000)
        let edge = documents[1].tag.field
        #expect(edge.tapSide == TapSide.server.rawValue)
        #expect(edge.ip == IPAddress(v4: 0x0a00_0002))
        #expect(edge.ip1 == IPAddress(v4: 0x0a00_0001))
        #expect(edge.gpid1 == 1)
        #expect(edge.serverPort == 40_000)
        #expect(documents[1].appMeter.request == 1, "meters are not swapped")
    }

    @Test func unknownProtocolsAndEmptyCountsMakeNoDocuments() {
        let flow = Flows.tcp(at: baseSeconds)
        var unknown = Flows.l7(flow, at: baseSeconds)
        unknown.l7Protocol = 0
        let empty = Flows.l7(flow, at: baseSeconds, requests: 0)
        #expect(apps(replay([], l7Stats: [unknown, empty])).isEmpty)
        let off = replay([], l7Stats: [Flows.l7(flow, at: baseSeconds)]) { $0.metrics.apmMetrics = false }
        #expect(off.documents.isEmpty)
    }

    @Test func shiftedToTheRequestsSecond() {
        var stats = Flows.l7(Flows.tcp(at: baseSeconds), at: baseSeconds + 3)
        stats.timeSpanSeconds = 2
        let sink = replay([], l7Stats: [stats])
        #expect(apps(sink).map(\.timestamp) == [UInt32(baseSeconds) + 1])
        #expect(sink.minutes.map(\.timestamp) == [UInt32(baseSeconds / 60 * 60)])
    }

    @Test func factsAreTheFlowsLatest() {
        var flow = Flows.tcp(at: baseSeconds)
        let early = Flows.l7(flow, at: baseSeconds)
        flow.srcDirection = TapSide.client.rawValue
        let later = Flows.l7(flow, at: baseSeconds, endpoint: "/b")
        // The entry of the first message is seen from where the second one was.
        #expect(apps(replay([], l7Stats: [early, later])).map(\.tag.field.direction) == [1, 1, 1, 1])
    }

    @Test func endedFlowsDoNotWaitForTheirSlot() {
        let sink = RecordingSink()
        let stage = MetricsStage(sink: sink)
        var flow = Flows.tcp(at: baseSeconds)
        stage.handle(l7Stats: [Flows.l7(flow, at: baseSeconds), Flows.l7(flow, at: baseSeconds + 1)])
        stage.handle(l7Stats: [Flows.l7(Flows.tcp(id: 2, at: baseSeconds), at: baseSeconds + 9, endpoint: "/late")])
        flow.closeType = CloseType.finish.rawValue
        // Slot +0 is with the collector; the ended flow's entry of slot +8 joins it.
        stage.handle(l7Stats: [Flows.l7(flow, at: baseSeconds + 8, endpoint: "/end")])
        stage.finish()
        let seconds = apps(sink)
        #expect(seconds.map(\.tag.field.endpoint) == ["/a", "/end", "/a", "/late"])
        #expect(seconds.map(\.timestamp) == [0, 0, 1, 9].map { UInt32(baseSeconds) + $0 })
    }

    @Test func endedBeforeAnySlotTheyKeepTheirTime() {
        var flow = Flows.tcp(at: baseSeconds)
        flow.closeType = CloseType.finish.rawValue
        #expect(apps(replay([], l7Stats: [Flows.l7(flow, at: baseSeconds)])).map(\.timestamp) == [UInt32(baseSeconds)])
    }

    @Test func edgesWithoutMacMergeProtocols() {
        let flow = Flows.tcp(at: baseSeconds)
        var dns = Flows.l7(flow, at: baseSeconds)
        dns.l7Protocol = L7Protocol.dns.rawValue
        let documents = apps(replay([], l7Stats: [Flows.l7(flow, at: baseSeconds), dns]))
        #expect(documents.map(\.tag.field.l7Protocol) == [20])
        #expect(documents.map(\.appMeter.request) == [2])
    }

    @Test func countersOfAllKindsMerge() {
        let flow = Flows.tcp(at: baseSeconds)
        var first = Flows.l7(flow, at: baseSeconds)
        first.stats.rrtMax = 5
        first.stats.rrtSum = 8
        first.stats.rrtCount = 2
        first.stats.errTimeout = 1
        var second = first
        second.stats.rrtMax = 3
        second.stats.errClientCount = 1
        second.stats.errServerCount = 4
        let meter = apps(replay([], l7Stats: [first, second]))[0].appMeter
        #expect(meter.rrt.max == 5)
        #expect(meter.rrt.sum == 16)
        #expect(meter.rrt.count == 4)
        #expect(meter.timeout == 2)
        #expect(meter.clientError == 1)
        #expect(meter.serverError == 4)
    }
}
