import Capture
package import Model

/// What an agent's parts have counted, as one value; taken now and then for screens and statistics.
package struct PipelineCounters: Sendable {
    package var dispatchers: [DispatcherCounters] = []
    package var sessions = SessionAggregator.Counters()
    /// Readings of the metrics stages since they were last taken.
    package var stages: [StageReading] = []
    package var queues: [(name: String, totals: QueueCounters, waiting: Int, capacity: Int)] = []
    /// Delays and greatest lengths of this value were taken: those of the next one start anew.
    var isPeriodTaken = false

    package init() {}

    /// Where packets went that are in no flow, and how many.
    package var lostPackets: [(place: String, count: UInt64)] {
        let (dispatcher, flowMap) = (dispatcher, flowMap)
        return [
            ("packets dropped by the kernel ring", dispatcher.receive.kernel.drops),
            ("packets the dispatcher queue overwrote", overwrittenPackets),
            ("packets too short", dispatcher.receive.tooShort),
            ("packets that cannot be read", dispatcher.invalidPackets &+ dispatcher.unknownLinks),
            ("packets out of order", dispatcher.retired),
            ("packets outside the time window", flowMap.dropByWindow),
            ("packets beyond the flow limit", flowMap.dropByCapacity),
        ].filter { $0.count > 0 }
    }

    /// What was made of packets and not handed on, and how many. Replays lose nothing but what a throttle leaves out.
    package var lostRecords: [(place: String, count: UInt64)] {
        func sum(_ name: String) -> UInt64 {
            stages.reduce(0) { $0 &+ ($1.counters.first { $0.name == name }?.value ?? 0) }
        }
        let own = [
            ("flow logs over the throttle", sum("drop-in-throttle")),
            ("requests over the throttle", sessions.throttleDrop),
            ("records before their window", sum("drop-before-window")),
            ("records beyond the metrics' capacity", sum("drop-by-capacity")),
        ]
        return (own + queues.map { ("queue \($0.name)", $0.totals.overwritten) }).filter { $0.1 > 0 }
    }

    /// Newer readings; greatest values stay until their period was taken.
    mutating func set(_ readings: [DispatcherCounters]) {
        let older = dispatchers
        dispatchers = readings
        guard !isPeriodTaken else { return }
        for at in dispatchers.indices {
            guard let before = older.first(where: { $0.number == dispatchers[at].number }) else { continue }
            dispatchers[at].flowMap.keepGreatest(of: before.flowMap)
            if let queue = before.queue { dispatchers[at].queue?.keepGreatest(of: queue) }
        }
    }
}

/// What one dispatcher has counted since the start.
package struct DispatcherCounters: Sendable {
    /// Tags its statistics and is part of its flows' ids.
    package let number: Int
    package var dispatcher = Dispatcher.Counters()
    package var flowMap = FlowMap.Counters()
    package var concurrentFlows = 0
    /// Between its two threads; nil where it has one.
    package var queue: QueueReading?
    /// What it captured on is gone, and so is it.
    package var hasEnded = false

    package init(number: Int) { self.number = number }

    /// Of a dispatcher that had the same number before.
    mutating func add(_ earlier: DispatcherCounters) {
        dispatcher.add(earlier.dispatcher)
        flowMap.add(earlier.flowMap)
        if let earlier = earlier.queue { queue?.add(earlier) }
    }

    /// With what stays of it when it is no more.
    var ended: DispatcherCounters {
        var ended = self
        ended.hasEnded = true
        ended.concurrentFlows = 0
        ended.flowMap.startPeriod()
        ended.flowMap.concurrent = 0
        ended.flowMap.slots = 0
        ended.flowMap.l7PerfCacheLength = 0
        ended.flowMap.l7TimeoutCacheLength = 0
        ended.queue?.totals.pending = 0
        ended.queue?.waiting = 0
        return ended
    }
}

/// Of all dispatchers together.
extension PipelineCounters {
    private var overwrittenPackets: UInt64 { dispatchers.reduce(0) { $0 &+ ($1.queue?.totals.overwritten ?? 0) } }
    package var dispatcher: Dispatcher.Counters { dispatchers.reduce(into: .init()) { $0.add($1.dispatcher) } }
    package var flowMap: FlowMap.Counters { dispatchers.reduce(into: .init()) { $0.add($1.flowMap) } }
}

/// Sums the readings of the metrics stages, which start anew with each reading.
struct StageTotals {
    private(set) var stages: [StageReading] = []
    private(set) var queues: [(name: String, totals: QueueCounters, waiting: Int, capacity: Int)] = []

    /// Forgets the greatest delays and lengths of the period that has ended.
    mutating func startPeriod() {
        for index in queues.indices { queues[index].totals.pending = UInt64(clamping: queues[index].waiting) }
        for index in stages.indices {
            stages[index] = StageReading(
                module: stages[index].module, kind: stages[index].kind,
                counters: stages[index].counters.map { $0.isDelay ? NamedCounter($0.name, 0) : $0 })
        }
    }

    mutating func add(_ readings: [StageReading]) {
        for reading in readings {
            if reading.module == "queue" { add(queue: reading) } else { add(stage: reading) }
        }
    }

    private mutating func add(queue reading: StageReading) {
        let at =
            queues.firstIndex { $0.name == reading.kind }
            ?? {
                queues.append((reading.kind, QueueCounters(), 0, reading.capacity))
                return queues.count - 1
            }()
        for counter in reading.counters {
            switch counter.name {
            case "in": queues[at].totals.in &+= counter.value
            case "out": queues[at].totals.out &+= counter.value
            case "overwritten": queues[at].totals.overwritten &+= counter.value
            default: queues[at].totals.pending = max(queues[at].totals.pending, counter.value)
            }
        }
        queues[at].waiting = Int(
            clamping: queues[at].totals.in &- queues[at].totals.out &- queues[at].totals.overwritten)
    }

    private mutating func add(stage reading: StageReading) {
        guard let at = stages.firstIndex(where: { $0.module == reading.module && $0.kind == reading.kind }) else {
            stages.append(reading)
            return
        }
        let sums = zip(stages[at].counters, reading.counters).map { old, new in
            let value =
                new.isCount ? old.value &+ new.value : new.isDelay ? max(old.value, new.value) : new.value
            return NamedCounter(new.name, value)
        }
        stages[at] = StageReading(module: reading.module, kind: reading.kind, counters: sums)
    }
}
