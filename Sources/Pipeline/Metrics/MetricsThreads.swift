package import Model
import Synchronization

/// The stages behind one flow table on threads of their own, with the queues between them: the live form of
/// `MetricsStage`.
///
/// Queue items are batches of at most 1024 records, or whole slots of quadruples, handed over without copying;
/// capacities and counters are in records. Writers never wait: a full queue drops its oldest batch and counts it. Source: agent-flow.md 1.
package final class MetricsThreads: Sendable {
    /// Queue capacities, records. Source: agent-flow.md 1.
    package struct Capacities: Sendable {
        package var flowGenerator = 65_536
        package var quadrupleGenerator = 262_144
        package var flowAggregator = 65_536

        package init() {}
    }

    private let settings: MetricsSettings
    private let sink: any RecordSink
    private let clock: @Sendable () -> UInt64
    private let capacities: Capacities
    private let flows: OverwriteQueue<[TaggedFlow]>
    private let l7Stats: OverwriteQueue<[L7Stats]>
    private let secondMeters: OverwriteQueue<FilledSlot>
    private let minuteMeters: OverwriteQueue<FilledSlot>
    private let secondApps: OverwriteQueue<[AppMeterItem]>
    private let minuteApps: OverwriteQueue<[AppMeterItem]>
    private let aggregated: OverwriteQueue<[TaggedFlow]>
    private let generatorBoards = (0..<4).map { _ in CounterBoard<GeneratorCounters>() }
    private let collectorBoards = (0..<4).map { _ in CounterBoard<CollectorCounters>() }
    private let aggregatorBoard = CounterBoard<FlowAggrCounters>()
    private let threads = Mutex<[StageThread]>([])
    /// Four collectors send documents, one at a time.
    private let documentGate = Mutex(())

    private static let kinds = ["second", "minute", "l7_second", "l7_minute"]
    private static let timeoutMs = 1000
    /// Slots that may wait: more than a minute of seconds means that the collector stands still.
    private static let mostSlots = 64

    /// - Parameter clock: ns since 1970; what windows go by while no records come.
    package init(
        settings: MetricsSettings, sink: any RecordSink, capacities: Capacities = Capacities(),
        clock: @escaping @Sendable () -> UInt64 = wallClockNs
    ) {
        self.settings = settings
        self.sink = sink
        self.clock = clock
        self.capacities = capacities
        let batches = { (records: Int) in max(records / 1024, 16) }
        let meters = batches(capacities.quadrupleGenerator)
        flows = OverwriteQueue(
            name: "1-tagged-flow-to-quadruple-generator", capacity: batches(capacities.flowGenerator)
        ) { $0.count }
        l7Stats = OverwriteQueue(
            name: "1-l7-stats-to-quadruple-generator", capacity: batches(capacities.flowGenerator)
        ) { $0.count }
        secondMeters = OverwriteQueue(name: "2-flow-with-meter-to-second-collector", capacity: Self.mostSlots) {
            $0.count
        }
        minuteMeters = OverwriteQueue(name: "2-flow-with-meter-to-minute-collector", capacity: Self.mostSlots) {
            $0.count
        }
        secondApps = OverwriteQueue(name: "2-flow-with-meter-to-l7-second-collector", capacity: meters) { $0.count }
        minuteApps = OverwriteQueue(name: "2-flow-with-meter-to-l7-minute-collector", capacity: meters) { $0.count }
        aggregated = OverwriteQueue(
            name: "2-second-flow-to-minute-aggrer", capacity: batches(capacities.flowAggregator)
        ) { $0.count }
    }

    /// Starts the seven threads; call once.
    package func start() {
        let started = [
            StageThread(name: "quadruple-generator") { [self] in runGenerators() },
            StageThread(name: "collector") { [self] in runCollector(0, secondMeters, slotSeconds: 1) },
            StageThread(name: "collector") { [self] in runCollector(1, minuteMeters, slotSeconds: 60) },
            StageThread(name: "flow-aggr") { [self] in runAggregator() },
            StageThread(name: "l7-quadruple-generator") { [self] in runAppGenerators() },
            StageThread(name: "l7_collector") { [self] in runAppCollector(2, secondApps, slotSeconds: 1) },
            StageThread(name: "l7_collector") { [self] in runAppCollector(3, minuteApps, slotSeconds: 60) },
        ]
        threads.withLock { $0 += started }
    }

    /// A batch of second records, at most 1024. Never waits.
    package func put(flows batch: [TaggedFlow]) { flows.put([batch]) }

    package func put(l7Stats batch: [L7Stats]) { l7Stats.put([batch]) }

    /// Lets every stage finish what it has, in order, and flush its windows to the sink. Returns when all have ended.
    package func stop() {
        flows.close()
        l7Stats.close()
        let running = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in running { thread.join() }
        sink.flush()
    }

    /// Counters of stages and queues since the last call.
    package func takeReadings() -> [StageReading] {
        var readings: [StageReading] = []
        for (kind, board) in zip(Self.kinds, generatorBoards) {
            readings.append(StageReading(module: "quadruple_generator", kind: kind, counters: board.take().named))
        }
        for (kind, board) in zip(Self.kinds, collectorBoards) {
            readings.append(StageReading(module: "collector", kind: kind, counters: board.take().named))
        }
        readings.append(StageReading(module: "flow_aggr", counters: aggregatorBoard.take().named))
        readings.append(StageReading(queue: flows, capacity: capacities.flowGenerator))
        readings.append(StageReading(queue: l7Stats, capacity: capacities.flowGenerator))
        readings.append(StageReading(queue: secondMeters, capacity: capacities.quadrupleGenerator))
        readings.append(StageReading(queue: minuteMeters, capacity: capacities.quadrupleGenerator))
        readings.append(StageReading(queue: secondApps, capacity: capacities.quadrupleGenerator))
        readings.append(StageReading(queue: minuteApps, capacity: capacities.quadrupleGenerator))
        readings.append(StageReading(queue: aggregated, capacity: capacities.flowAggregator))
        return readings
    }

    private func clockSeconds() -> UInt32 { UInt32(truncatingIfNeeded: clock() / 1_000_000_000) }

    /// Takes batches until the queue is closed and empty; `idle` runs about once a second, with the clock's seconds.
    private func drain<Batch>(
        _ queue: OverwriteQueue<Batch>, _ batch: (Batch) -> Void, idle: (UInt32) -> Void
    ) {
        var lastIdle = clockSeconds()
        while true {
            switch queue.receive(max: 16, timeoutMs: Self.timeoutMs) {
            case .items(let batches): for items in batches { batch(items) }
            case .timedOut: break
            case .terminated: return
            }
            let now = clockSeconds()
            guard now != lastIdle else { continue }
            lastIdle = now
            idle(now)
        }
    }

    private func runGenerators() {
        var metering = FlowMetering(settings)
        var second = SlotQueuer(secondMeters)
        var minute = SlotQueuer(minuteMeters)
        let isEnabled = settings.metrics.isEnabled && sink.wantsDocuments
        var age = GreatestAge()
        drain(flows) { batch in
            age.take(batch.first?.flowStatTimeNs, nowNs: clock())
            if sink.wantsSecondFlows { sink.observe(secondFlows: batch) }
            aggregated.put([batch])
            guard isEnabled else { return }
            batch.withUnsafeBufferPointer { metering.handle($0, second: &second, minute: &minute) }
        } idle: { seconds in
            guard isEnabled else { return }
            metering.tick(seconds: seconds, second: &second, minute: &minute)
            publish(metering.takeCounters(), flowDelayNs: age.take())
        }
        metering.flushAll(second: &second, minute: &minute)
        publish(metering.takeCounters(), flowDelayNs: age.take())
        secondMeters.close()
        minuteMeters.close()
        aggregated.close()
    }

    private func publish(
        _ counters: (second: GeneratorCounters, minute: GeneratorCounters), at board: Int = 0, flowDelayNs: UInt64
    ) {
        var (second, minute) = counters
        second.flowDelayNs = flowDelayNs
        minute.flowDelayNs = flowDelayNs
        generatorBoards[board].publish(second)
        generatorBoards[board + 1].publish(minute)
    }

    private func runAppGenerators() {
        var metering = AppMetering(settings)
        var second = AppMeterBatcher(secondApps)
        var minute = AppMeterBatcher(minuteApps)
        let isEnabled = settings.metrics.isEnabled && sink.wantsDocuments
        var age = GreatestAge()
        drain(l7Stats) { batch in
            guard isEnabled else { return }
            age.take(batch.first.map { UInt64($0.timeSeconds) * 1_000_000_000 }, nowNs: clock())
            batch.withUnsafeBufferPointer { metering.handle($0, second: &second, minute: &minute) }
            second.flush()
            minute.flush()
        } idle: { seconds in
            metering.tick(seconds: seconds, second: &second, minute: &minute)
            second.flush()
            minute.flush()
            publish(metering.takeCounters(), at: 2, flowDelayNs: age.take())
        }
        metering.flushAll(second: &second, minute: &minute)
        second.flush()
        minute.flush()
        publish(metering.takeCounters(), at: 2, flowDelayNs: age.take())
        secondApps.close()
        minuteApps.close()
    }

    private func runCollector(_ board: Int, _ queue: OverwriteQueue<FilledSlot>, slotSeconds: UInt32) {
        let outlet = makeOutlet()
        var collector = Collector(
            slotSeconds: slotSeconds, delay: collectorDelay(slotSeconds), settings: settings.metrics,
            identity: settings.identity)
        drain(queue) { slot in
            collector.clockSeconds = clockSeconds()
            collector.take(slot)
            collector.deliver(to: outlet)
        } idle: { seconds in
            collector.clockSeconds = seconds
            collector.tick(seconds: seconds)
            collector.deliver(to: outlet)
            collectorBoards[board].publish(collector.takeCounters())
        }
        collector.flushAll()
        collector.deliver(to: outlet)
        collectorBoards[board].publish(collector.takeCounters())
    }

    private func runAppCollector(_ board: Int, _ queue: OverwriteQueue<[AppMeterItem]>, slotSeconds: UInt32) {
        let outlet = makeOutlet()
        var collector = L7Collector(
            slotSeconds: slotSeconds, delay: collectorDelay(slotSeconds), settings: settings.metrics,
            identity: settings.identity)
        drain(queue) { batch in
            collector.clockSeconds = clockSeconds()
            for item in batch { item.send(to: &collector) }
            collector.deliver(to: outlet)
        } idle: { seconds in
            collector.clockSeconds = seconds
            collector.tick(seconds: seconds)
            collector.deliver(to: outlet)
            collectorBoards[board].publish(collector.takeCounters())
        }
        collector.flushAll()
        collector.deliver(to: outlet)
        collectorBoards[board].publish(collector.takeCounters())
    }

    private func runAggregator() {
        let outlet = LogOutlet { [self] in sink.send(flowLogs: $0) }
        var aggregator = FlowAggr(settings: settings.flowLog, delays: settings.delays, outlet: outlet)
        drain(aggregated) { batch in
            batch.withUnsafeBufferPointer { aggregator.handle($0) }
        } idle: { seconds in
            aggregator.tick(seconds: seconds)
            outlet.flush()
            aggregatorBoard.publish(aggregator.takeCounters())
        }
        aggregator.flushAll()
        outlet.flush()
        aggregatorBoard.publish(aggregator.takeCounters())
    }

    private func collectorDelay(_ slotSeconds: UInt32) -> UInt32 {
        slotSeconds == 1 ? settings.delays.secondCollector : settings.delays.minuteCollector
    }

    private func makeOutlet() -> DocumentOutlet {
        DocumentOutlet { [self] batch in documentGate.withLock { _ in sink.send(documents: batch) } }
    }
}

/// The greatest age of records when a stage took them, by the first of each batch: batches begin with the oldest.
private struct GreatestAge {
    private var ns: UInt64 = 0

    mutating func take(_ timeNs: UInt64?, nowNs: UInt64) {
        guard let timeNs, timeNs < nowNs else { return }
        ns = max(ns, nowNs - timeNs)
    }

    /// Since the last call, nanoseconds.
    mutating func take() -> UInt64 {
        defer { ns = 0 }
        return ns
    }
}
