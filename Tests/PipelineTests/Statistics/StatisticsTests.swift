import Foundation
import Model
import Synchronization
import Testing

@testable import Pipeline

/// Source: integration.md 3; tables/agent_counters.tsv.
struct StatisticsTests {
    /// Readings align to multiples of the interval; a clock that steps back ends one too.
    @Test func intervals() {
        var schedule = StatsSchedule(intervalSeconds: 10)
        let seconds: [(UInt64, Bool)] = [
            (1007, true), (1008, false), (1009, false), (1010, true), (1019, false), (1031, true), (1020, true),
            (1021, false),
        ]
        for (second, isDue) in seconds { #expect(schedule.isDue(nowSeconds: second) == isDue, "\(second)") }
    }

    @Test func recordsCarryTimeAndHost() {
        let collector = StatsCollector(intervalSeconds: 10, hostname: "node-1") { _ in }
        collector.register("a") { [StatsRecord(module: "flow-map", tags: [.init("id", "0")], [.init("drop-x", 1.0)])] }
        collector.register("b") { [StatsRecord(module: "empty", [])] }
        collector.register("c") { [StatsRecord(module: "own", tags: [.init("host", "other")], [.init("n", 2.0)])] }
        // Registered again: replaced.
        collector.register("c") { [StatsRecord(module: "own", tags: [.init("host", "other")], [.init("n", 3.0)])] }
        let records = collector.collect(nowSeconds: 77)
        #expect(records.map(\.name) == ["deepflow_agent_flow_map", "deepflow_agent_own"])
        #expect(records.map(\.timestamp) == [77, 77])
        #expect(records[0].tags == [.init("id", "0"), .init("host", "node-1")])
        #expect(records[0].metrics == [.init("drop-x", 1)], "hyphens of counters stay")
        #expect(records[1].tags == [.init("host", "other")])
        #expect(records[1].metrics == [.init("n", 3)])
    }

    @Test func aCollectorReadsAtItsEnd() {
        let sent = Mutex<[StatsRecord]>([])
        let collector = StatsCollector(intervalSeconds: 3600, hostname: "h") { records in
            sent.withLock { $0 += records }
        }
        collector.register("a") { [StatsRecord(module: "own", [.init("n", 1.0)])] }
        collector.start()
        collector.stop()
        #expect(sent.withLock { $0.count } >= 1)
    }

    /// Counts are those since the last reading, gauges those of now.
    @Test func deltasAndGauges() throws {
        var stats = PipelineStats()
        var counters = PipelineCounters()
        var dispatcher = DispatcherCounters(number: 3)
        dispatcher.dispatcher.rx = 100
        dispatcher.flowMap.new = 7
        dispatcher.flowMap.concurrent = 5
        dispatcher.flowMap.flowDelayNs = 9
        counters.set([dispatcher])
        counters.stages = [
            StageReading(
                module: "collector", kind: "second",
                counters: [NamedCounter("in", 10), NamedCounter("stash-len", 4), NamedCounter("window-delay", 6)])
        ]
        counters.queues = [("q", QueueCounters(), 0, 16)]
        counters.queues[0].totals.in = 8
        counters.queues[0].totals.pending = 3
        _ = stats.records(counters)
        dispatcher.dispatcher.rx = 130
        dispatcher.flowMap.new = 9
        dispatcher.flowMap.concurrent = 2
        counters.set([dispatcher])
        counters.stages = [
            StageReading(
                module: "collector", kind: "second",
                counters: [NamedCounter("in", 15), NamedCounter("stash-len", 1), NamedCounter("window-delay", 2)])
        ]
        counters.queues[0].totals.in = 20
        let records = stats.records(counters)
        func value(_ module: String, _ counter: String) -> Double? {
            records.first { $0.module == module }?.metrics.first { $0.name == counter }?.value
        }
        #expect(value("dispatcher", "rx") == 30)
        #expect(value("flow_map", "new") == 2)
        #expect(value("flow_map", "concurrent") == 2)
        #expect(value("flow_map", "flow_delay") == 9)
        #expect(value("collector", "in") == 5)
        #expect(value("collector", "stash-len") == 1)
        #expect(value("collector", "window-delay") == 2)
        #expect(value("queue", "in") == 12)
        #expect(value("queue", "pending") == 3)
        let collector = try #require(records.first { $0.module == "collector" })
        #expect(collector.tags == [.init("index", "0"), .init("kind", "second")])
        let queue = try #require(records.first { $0.module == "queue" })
        #expect(queue.tags == [.init("index", "0"), .init("module", "q")])
        let own = records.filter { $0.tags == [.init("id", "3")] }.map(\.module)
        #expect(own == ["dispatcher", "flow_map", "flow_perf"])
    }

    /// Each dispatcher tells its own; one that has ended tells its last once, and all are in the sums.
    @Test func severalDispatchers() {
        func reading(_ number: Int, rx: UInt64, delay: UInt64 = 0, hasEnded: Bool = false) -> DispatcherCounters {
            var reading = DispatcherCounters(number: number)
            reading.dispatcher.rx = rx
            reading.flowMap.flowDelayNs = delay
            reading.hasEnded = hasEnded
            return reading
        }
        func told(_ records: [StatsRecord]) -> [String: Double] {
            records.reduce(into: [:]) { told, record in
                guard record.module == "dispatcher" else { return }
                told[record.tags[0].value] = record.metrics.first { $0.name == "rx" }?.value
            }
        }
        var stats = PipelineStats()
        var counters = PipelineCounters()
        counters.set([reading(0, rx: 10, delay: 5), reading(1, rx: 20, delay: 7)])
        #expect(told(stats.records(counters)) == ["0": 10, "1": 20])
        counters.set([reading(0, rx: 11, delay: 2), reading(1, rx: 25, hasEnded: true)])
        #expect(told(stats.records(counters)) == ["0": 1, "1": 5])
        #expect(counters.dispatchers.map(\.flowMap.flowDelayNs) == [5, 7], "the greatest of the period")
        counters.isPeriodTaken = true
        counters.set([reading(0, rx: 12, delay: 1), reading(1, rx: 25, hasEnded: true)])
        #expect(told(stats.records(counters)) == ["0": 1])
        #expect(counters.dispatchers.map(\.flowMap.flowDelayNs) == [1, 0])
        #expect(counters.dispatcher.rx == 37)
        // Another one took the number over.
        var next = reading(1, rx: 3)
        next.add(reading(1, rx: 25))
        counters.set([reading(0, rx: 12), next])
        #expect(told(stats.records(counters)) == ["0": 0, "1": 3])
    }

    /// Delays are the greatest of a period, lengths the latest, counts sums.
    @Test func totalsOfStages() {
        func reading(_ count: UInt64, _ length: UInt64, _ delay: UInt64) -> StageReading {
            StageReading(
                module: "flow_aggr",
                counters: [
                    NamedCounter("out", count), NamedCounter("stash-total-len", length),
                    NamedCounter("flow-delay", delay),
                    NamedCounter("heartbeat_aggred", count),
                ])
        }
        var totals = StageTotals()
        totals.add([reading(1, 10, 5)])
        totals.add([reading(2, 8, 3)])
        #expect(totals.stages.first?.counters.map(\.value) == [3, 8, 5, 3])
        totals.startPeriod()
        totals.add([reading(4, 2, 1)])
        #expect(totals.stages.first?.counters.map(\.value) == [7, 2, 1, 7])
    }

    /// Names, tags and counters are those of the specification, none is missing.
    @Test func namesOfTheSpecification() throws {
        let specs = ProcessInfo.processInfo.environment["DFTOP_SPEC"] ?? "../shared/spec"
        guard let text = try? String(contentsOfFile: specs + "/tables/agent_counters.tsv", encoding: .utf8) else {
            if ProcessInfo.processInfo.environment["CI"] != nil { Issue.record("no specification at \(specs)") }
            print("skipped: no specification at \(specs)")
            return
        }
        var wanted: [String: (tags: Set<String>, counters: Set<String>)] = [:]
        for line in text.split(separator: "\n").dropFirst() {
            let cells = line.split(separator: "\t", omittingEmptySubsequences: false)
            let counters = cells[3].split(separator: " ").map { String($0.split(separator: ":")[0]) }
            wanted[String(cells[0])] = (Set(cells[2].split(separator: ",").map(String.init)), Set(counters))
        }
        let own: Set<String> = ["drop-by-capacity", "sent-unmerged"]
        final class NoSink: RecordSink {
            func send(documents: [Document]) {}
            func send(flowLogs: [TaggedFlow]) {}
            func send(l7Logs: [L7FlowLog]) {}
        }
        var counters = PipelineCounters()
        counters.set([DispatcherCounters(number: 0)])
        let threads = MetricsThreads(settings: MetricsSettings(), sink: NoSink())
        var totals = StageTotals()
        totals.add(threads.takeReadings())
        counters.stages = totals.stages
        counters.queues = totals.queues
        var stats = PipelineStats()
        var host = HostStats()
        let sender = SenderSink(SenderSink.Settings(destination: Destination(host: "127.0.0.1", port: 1)))
        let measured = host.records(nowNs: 1) + host.records(nowNs: 2)
        var seen: Set<String> = []
        for record in stats.records(counters) + measured + sender.takeStats() {
            let specified = try #require(wanted[record.name], "\(record.name)")
            #expect(Set(record.tags.map(\.name)) == specified.tags.subtracting(["-"]), "\(record.name)")
            var names = specified.counters
            let isOfRequests = record.tags.contains { $0.name == "kind" && $0.value.hasPrefix("l7_") }
            // The table's remark on its row.
            if isOfRequests, record.module == "quadruple_generator" {
                names.remove("no-endpoint")
                names.insert("drop-by-queue")
            }
            #expect(Set(record.metrics.map(\.name)).subtracting(own) == names, "\(record.name)")
            seen.insert(String(record.module))
        }
        #expect(
            seen.subtracting(["disk_io"]) == [
                "dispatcher", "flow_map", "flow_perf", "l7_session_aggr", "quadruple_generator", "collector",
                "flow_aggr", "queue", "monitor", "system", "net", "free_disk", "collect_sender",
            ])
    }
}
