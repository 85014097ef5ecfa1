import Capture
package import Model

/// What an agent's parts have counted, as one value; taken now and then for screens and statistics.
package struct PipelineCounters: Sendable {
    package var dispatcher = Dispatcher.Counters()
    package var flowMap = FlowMap.Counters()
    package var concurrentFlows = 0
    package var sessions = SessionAggregator.Counters()
    /// Readings of the metrics stages since they were last taken.
    package var stages: [StageReading] = []
    package var queues: [(name: String, totals: QueueCounters, waiting: Int, capacity: Int)] = []
    /// Delays and greatest lengths of this value were taken: those of the next one start anew.
    var isPeriodTaken = false

    package init() {}

    /// Where packets went that are in no flow, and how many.
    package var lostPackets: [(place: String, count: UInt64)] {
        [
            ("packets dropped by the kernel ring", dispatcher.receive.kernel.drops),
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

    /// Before the dispatchers' counters are added; greatest values stay until their period was taken.
    mutating func startSum() {
        var sum = FlowMap.Counters()
        if !isPeriodTaken { sum.keepGreatest(of: flowMap) }
        flowMap = sum
        dispatcher = Dispatcher.Counters()
        concurrentFlows = 0
    }

    mutating func add(_ dispatcher: Dispatcher.Counters, _ flowMap: FlowMap.Counters, flows: Int) {
        self.dispatcher.add(dispatcher)
        self.flowMap.add(flowMap)
        concurrentFlows += flows
    }
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
