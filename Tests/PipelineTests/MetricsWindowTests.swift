import Model
import Testing

@testable import Pipeline

/// Windows, loads and order. Source: agent-flow.md 13.1, 13.5, 14.1.
@Suite struct MetricsWindowTests {
    /// The vector of 13.5: a key's new flows at +10 s and +15 s give loads 1, then 2.
    @Test func loadsCarryOverFromSlotToSlot() {
        var first = Flows.tcp(id: 1, at: baseSeconds + 10)
        first.isNewFlow = true
        var second = Flows.tcp(id: 2, at: baseSeconds + 15)
        second.isNewFlow = true
        let sink = replay([first, second])
        #expect(sink.seconds.map(\.flowMeter.load) == [1, 2])
        #expect(sink.minutes.map(\.flowMeter.load) == [2])
    }

    @Test func closedConnectionsLeaveTheLoad() {
        var first = Flows.tcp(id: 1, at: baseSeconds)
        first.isNewFlow = true
        var second = Flows.tcp(id: 2, at: baseSeconds)
        second.isNewFlow = true
        var end = Flows.tcp(id: 1, at: baseSeconds + 2)
        end.closeType = CloseType.finish.rawValue
        let later = Flows.tcp(id: 2, at: baseSeconds + 3)
        let sink = replay([first, second, end, later])
        #expect(sink.seconds.map(\.flowMeter.load) == [2, 2, 1])
    }

    @Test func idleConnectionsAreForgotten() {
        var first = Flows.tcp(id: 1, at: baseSeconds)
        first.isNewFlow = true
        var second = Flows.tcp(id: 2, at: baseSeconds + 200)
        second.isNewFlow = true
        var third = Flows.tcp(id: 3, at: baseSeconds + 600)
        third.isNewFlow = true
        let sink = replay([first, second, third])
        #expect(sink.seconds.map(\.flowMeter.load) == [1, 2, 1])
    }

    @Test func loadWithoutConnectionCounting() {
        var first = Flows.tcp(id: 1, at: baseSeconds)
        first.isNewFlow = true
        let alone = replay([first]) { $0.metrics.npmMetricsConcurrent = false }
        #expect(alone.seconds.map(\.flowMeter.load) == [0])
        let twice = replay([first, first]) { $0.metrics.npmMetricsConcurrent = false }
        #expect(twice.seconds.map(\.flowMeter.load) == [1])
    }

    @Test func lateRecordsAreDroppedPerWindow() {
        let sink = RecordingSink()
        let stage = MetricsStage(sink: sink)
        // Nine slots are open: at +9 the slot of +0 goes, and a record of +0 is late for seconds, not for minutes.
        stage.handle(flows: [Flows.tcp(at: baseSeconds), Flows.tcp(at: baseSeconds + 8), Flows.tcp(at: baseSeconds)])
        stage.handle(flows: [Flows.tcp(at: baseSeconds + 9), Flows.tcp(at: baseSeconds)])
        stage.finish()
        #expect(sink.seconds.map(\.timestamp) == [0, 8, 9].map { UInt32(baseSeconds) + $0 })
        #expect(sink.seconds.map(\.flowMeter.packetTx) == [2, 1, 1])
        #expect(sink.minutes.map(\.flowMeter.packetTx) == [5])
        let readings = stage.takeReadings()
        let second = readings.first { $0.module == "quadruple_generator" && $0.kind == "second" }
        #expect(second?.counters.contains(NamedCounter("drop-before-window", 1)) == true)
    }

    @Test func secondDocumentsLeaveWhenTheNextSlotComes() {
        let sink = RecordingSink()
        let stage = MetricsStage(sink: sink)
        stage.handle(flows: [Flows.tcp(at: baseSeconds), Flows.tcp(at: baseSeconds + 1)])
        stage.handle(flows: [Flows.tcp(at: baseSeconds + 9)])
        #expect(sink.seconds.isEmpty, "the slot is with the collector and may still grow")
        stage.handle(flows: [Flows.tcp(at: baseSeconds + 10)])
        #expect(sink.seconds.map(\.timestamp) == [UInt32(baseSeconds)])
        // The collector's clock is 14 s behind; slots up to +1 are over at +16.
        stage.tick(nowNs: (baseSeconds + 16) * 1_000_000_000)
        #expect(sink.seconds.map(\.timestamp) == [UInt32(baseSeconds), UInt32(baseSeconds) + 1])
    }

    @Test func minuteDocumentsCarryTheMinutesStart() {
        let minute = baseSeconds / 60 * 60
        let sink = RecordingSink()
        let stage = MetricsStage(sink: sink)
        stage.handle(flows: [Flows.tcp(at: minute + 20), Flows.tcp(at: minute + 59), Flows.tcp(at: minute + 61)])
        stage.tick(nowNs: (minute + 68) * 1_000_000_000)
        #expect(sink.minutes.isEmpty)
        stage.tick(nowNs: (minute + 69) * 1_000_000_000)
        stage.tick(nowNs: (minute + 74) * 1_000_000_000)
        #expect(sink.minutes.map(\.timestamp) == [UInt32(minute)])
        #expect(sink.minutes.map(\.flags) == [0])
        stage.finish()
        #expect(sink.minutes.map(\.timestamp) == [UInt32(minute), UInt32(minute) + 60])
    }

    @Test func secondMetricsCanBeOff() {
        let sink = replay([Flows.tcp(at: baseSeconds)]) { $0.metrics.secondMetrics = false }
        #expect(sink.seconds.isEmpty)
        #expect(sink.minutes.count == 1)
        #expect(replay([Flows.tcp(at: baseSeconds)]) { $0.metrics.isEnabled = false }.documents.isEmpty)
    }

    private final class LogsOnlySink: RecordSink, @unchecked Sendable {
        private(set) var logs = 0
        private(set) var documents = 0
        var wantsDocuments: Bool { false }
        func send(documents: [Document]) { self.documents += documents.count }
        func send(flowLogs: [TaggedFlow]) { logs += flowLogs.count }
        func send(l7Logs: [L7FlowLog]) {}
    }

    @Test func documentsAreMadeOnlyForSinksThatWantThem() {
        let sink = LogsOnlySink()
        let stage = MetricsStage(sink: sink)
        stage.handle(flows: [Flows.tcp(at: baseSeconds)])
        stage.finish()
        #expect(sink.documents == 0)
        #expect(sink.logs == 1)
    }

    @Test func delaysOfTheDefaults() {
        let delays = MetricsDelays()
        #expect(delays.secondGenerator == 9)
        #expect(delays.secondCollector == 14)
        #expect(delays.minuteGenerator == 69)
        #expect(delays.minuteCollector == 74)
        #expect(delays.flowAggrSlots == 69)
        let slow = MetricsDelays(packetDelay: 20, flushInterval: 20, extraFlowDelay: 20)
        #expect(slow.minuteGenerator == 119)
    }

    @Test func fullSlotsRefuseNewKeysAndCountThem() {
        var flows: [TaggedFlow] = []
        for index in 0..<10 {
            var flow = Flows.tcp(id: UInt64(index), at: baseSeconds)
            flow.key.ipSrc = IPAddress(v4: UInt32(index))
            flow.src.realIP = flow.key.ipSrc
            flows.append(flow)
        }
        var settings = MetricsSettings()
        settings.metrics.maxEntriesPerSlot = 4
        let sink = RecordingSink()
        let stage = MetricsStage(settings: settings, sink: sink)
        stage.handle(flows: flows)
        stage.finish()
        #expect(sink.seconds.count == 4)
        #expect(sink.logs.count == 10)
        let reading = stage.takeReadings().first { $0.kind == "second" }
        #expect(reading?.counters.contains(NamedCounter("drop-by-capacity", 6)) == true)
    }
}

/// The table against the standard dictionary, on seeded insertions and removals.
@Suite struct MetricsTableTests {
    @Test func positionsAgreeWithADictionary() {
        var generator = SeededGenerator(seed: 3)
        var table = PositionTable(capacity: 16)
        var hashes: [UInt64] = []
        var known: [UInt64: Int] = [:]
        for _ in 0..<20_000 {
            // Few homes, so that probes collide and deletes shift.
            let hash = generator.next() & 0xffff_0000_0000_0000 | (generator.next() & 0x3ff) << 32
            if let position = known[hash] {
                #expect(table.find(hash) { hashes[$0] == hash } == position)
                table.remove(hash, position: position)
                known[hash] = nil
            } else {
                hashes.append(hash)
                table.insert(hash, position: hashes.count - 1)
                known[hash] = hashes.count - 1
            }
            if generator.next() & 3 == 0, let (hash, position) = known.first {
                table.remove(hash, position: position)
                known[hash] = nil
            }
        }
        #expect(table.count == known.count)
        for (hash, position) in known { #expect(table.find(hash) { hashes[$0] == hash } == position) }
    }

    /// Emptied again and again: nothing of an earlier round is found, also after the rounds began anew.
    @Test func emptyingForgetsEverything() {
        var generator = SeededGenerator(seed: 4)
        var table = PositionTable(capacity: 16)
        var earlier: UInt64?
        for round in 0..<9000 {
            let length = round % 500 == 0 ? 3000 : 1 + generator.index(below: 4)
            let hashes = (0..<length).map { _ in generator.next() }
            for position in hashes.indices { table.insert(hashes[position], position: position) }
            #expect(table.count == length)
            for position in hashes.indices where position < 4 || position == length - 1 {
                #expect(table.find(hashes[position]) { hashes[$0] == hashes[position] } == position)
            }
            if let earlier { #expect(table.find(earlier) { _ in true } == nil) }
            earlier = hashes.last
            table.removeAll()
        }
    }
}
