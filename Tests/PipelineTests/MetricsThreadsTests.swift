import Model
import Synchronization
import Testing

@testable import Pipeline

/// The live form against the inline one. Source: agent-flow.md 1, 17.
@Suite struct MetricsThreadsTests {
    /// Counts, from several threads.
    private final class SummingSink: RecordSink {
        let packets = Mutex<(second: UInt64, minute: UInt64, logs: UInt64, apps: UInt64, seen: Int)>((0, 0, 0, 0, 0))
        let sending = Atomic<Int>(0)
        let overlapped = Atomic<Bool>(false)

        func send(documents: [Document]) {
            if sending.add(1, ordering: .relaxed).newValue > 1 { overlapped.store(true, ordering: .relaxed) }
            packets.withLock { sums in
                for document in documents where document.tag.isEdge {
                    let meter = document.flowMeter
                    sums.apps += UInt64(document.appMeter.request)
                    if document.flags & Document.perSecond != 0 {
                        sums.second += meter.packetTx + meter.packetRx
                    } else {
                        sums.minute += meter.packetTx + meter.packetRx
                    }
                }
            }
            sending.subtract(1, ordering: .relaxed)
        }

        func send(flowLogs: [TaggedFlow]) {
            let sum = flowLogs.reduce(0) { $0 + $1.src.packetCount + $1.dst.packetCount }
            packets.withLock { $0.logs += sum }
        }

        func send(l7Logs: [L7FlowLog]) {}
        var wantsSecondFlows: Bool { true }
        func observe(secondFlows: [TaggedFlow]) { packets.withLock { $0.seen += secondFlows.count } }
    }

    @Test func everythingArrivesBeforeTheEnd() {
        let sink = SummingSink()
        let threads = MetricsThreads(settings: MetricsSettings(), sink: sink) { baseSeconds * 1_000_000_000 }
        threads.start()
        var sent: UInt64 = 0
        var requests: UInt64 = 0
        for second in 0..<20 {
            var flows: [TaggedFlow] = []
            var stats: [L7Stats] = []
            for index in 0..<100 {
                var flow = Flows.tcp(
                    id: UInt64(index), at: baseSeconds + UInt64(second), started: baseSeconds)
                flow.key.ipSrc = IPAddress(v4: UInt32(index))
                flow.src.realIP = flow.key.ipSrc
                flow.perf.tcp.srt.add(5)
                if second == 19 { flow.closeType = CloseType.finish.rawValue }
                sent += flow.src.packetCount + flow.dst.packetCount
                flows.append(flow)
                stats.append(Flows.l7(flow, at: baseSeconds + UInt64(second)))
                requests += 2
            }
            threads.put(flows: flows)
            threads.put(l7Stats: stats)
        }
        threads.stop()
        let sums = sink.packets.withLock { $0 }
        #expect(sums.second == sent)
        #expect(sums.minute == sent)
        #expect(sums.logs == sent)
        #expect(sums.apps == requests)
        #expect(sums.seen == 2_000)
        let overlapped = sink.overlapped.load(ordering: .relaxed)
        #expect(!overlapped)

        let readings = threads.takeReadings()
        let queue = readings.first { $0.kind == "1-tagged-flow-to-quadruple-generator" }
        #expect(queue?.counters.first == NamedCounter("in", 2_000))
        #expect(queue?.counters.contains(NamedCounter("overwritten", 0)) == true)
        let aggregator = readings.first { $0.module == "flow_aggr" }
        #expect(aggregator?.counters.contains(NamedCounter("out", 100)) == true)
        let names = readings.filter { $0.module == "queue" }.map(\.kind)
        #expect(names.contains("2-second-flow-to-minute-aggrer"))
        #expect(names.contains("2-flow-with-meter-to-l7-minute-collector"))
    }

    @Test func aFullQueueDropsItsOldestBatchAndCountsRecords() {
        let queue = OverwriteQueue<[Int]>(name: "q", capacity: 2) { $0.count }
        queue.put([[1, 2, 3], [4], [5, 6]])
        let counters = queue.takeCounters()
        #expect(counters.in == 6)
        #expect(counters.overwritten == 3)
        #expect(counters.pending == 3)
        if case .items(let items) = queue.receive(timeoutMs: 0) { #expect(items == [[4], [5, 6]]) }
        #expect(queue.takeCounters().out == 3)
        #expect(queue.snapshot().waiting == 0)
    }
}
