import Model

/// One counter by the name that `deepflow_stats` and the Self view show.
package struct NamedCounter: Sendable, Equatable {
    package let name: String
    package let value: UInt64

    package init(_ name: String, _ value: UInt64) {
        self.name = name
        self.value = value
    }

    /// Sums since the start; the others are lengths and delays of now.
    var isCount: Bool {
        name.hasPrefix("drop") || name == "in" || name == "out" || name.hasSuffix("shrinks")
            || name == "heartbeat_aggred" || name == "sent-unmerged"
    }

    /// The greatest of the period.
    var isDelay: Bool { name.hasSuffix("-delay") }
}

/// What one stage counted since the last reading. Source: agent-flow.md 17.
package struct StageReading: Sendable, Equatable {
    /// `quadruple_generator`, `collector`, `flow_aggr` or `queue`.
    package let module: String
    /// `second`, `minute`, `l7_second`, `l7_minute`; the queue's name; empty for `flow_aggr`.
    package let kind: String
    package let counters: [NamedCounter]
    /// Of a queue, records; else 0.
    package let capacity: Int

    package init(module: String, kind: String = "", counters: [NamedCounter], capacity: Int = 0) {
        self.module = module
        self.kind = kind
        self.counters = counters
        self.capacity = capacity
    }

    /// A queue since its last reading.
    init<Item>(queue: OverwriteQueue<Item>, capacity: Int) {
        let counters = queue.takeCounters()
        self.init(
            module: "queue", kind: queue.name,
            counters: [
                NamedCounter("in", counters.in), NamedCounter("out", counters.out),
                NamedCounter("overwritten", counters.overwritten), NamedCounter("pending", counters.pending),
            ], capacity: capacity)
    }
}

/// Counters that a stage thread hands over between readings.
protocol StageCounters: Sendable {
    init()
    /// Adds counts and maxima; lengths become the newer's.
    mutating func merge(_ newer: Self)
    var named: [NamedCounter] { get }
}

extension GeneratorCounters: StageCounters {
    mutating func merge(_ newer: GeneratorCounters) {
        windowDelayNs = max(windowDelayNs, newer.windowDelayNs)
        flowDelayNs = max(flowDelayNs, newer.flowDelayNs)
        dropBeforeWindow &+= newer.dropBeforeWindow
        dropByCapacity &+= newer.dropByCapacity
        stashTotalLength = newer.stashTotalLength
        stashTotalCapacity = newer.stashTotalCapacity
    }

    package var named: [NamedCounter] {
        [
            NamedCounter("window-delay", windowDelayNs), NamedCounter("flow-delay", flowDelayNs),
            NamedCounter("drop-before-window", dropBeforeWindow), NamedCounter("drop-by-capacity", dropByCapacity),
            NamedCounter("stash-total-len", stashTotalLength),
            NamedCounter("stash-total-capacity", stashTotalCapacity),
        ]
    }
}

extension CollectorCounters: StageCounters {
    mutating func merge(_ newer: CollectorCounters) {
        windowDelayNs = max(windowDelayNs, newer.windowDelayNs)
        flowDelayNs = max(flowDelayNs, newer.flowDelayNs)
        self.in &+= newer.in
        out &+= newer.out
        dropBeforeWindow &+= newer.dropBeforeWindow
        dropInactive &+= newer.dropInactive
        dropByCapacity &+= newer.dropByCapacity
        stashLength = newer.stashLength
        stashCapacity = newer.stashCapacity
        stashShrinks &+= newer.stashShrinks
    }

    package var named: [NamedCounter] {
        [
            NamedCounter("window-delay", windowDelayNs), NamedCounter("flow-delay", flowDelayNs),
            NamedCounter("in", self.in), NamedCounter("out", out),
            NamedCounter("drop-before-window", dropBeforeWindow), NamedCounter("drop-inactive", dropInactive),
            NamedCounter("drop-by-capacity", dropByCapacity), NamedCounter("stash-len", stashLength),
            NamedCounter("stash-capacity", stashCapacity), NamedCounter("stash-shrinks", stashShrinks),
        ]
    }
}

extension FlowAggrCounters: StageCounters {
    mutating func merge(_ newer: FlowAggrCounters) {
        dropBeforeWindow &+= newer.dropBeforeWindow
        out &+= newer.out
        dropInThrottle &+= newer.dropInThrottle
        heartbeatAggregated &+= newer.heartbeatAggregated
        sentUnmerged &+= newer.sentUnmerged
        stashTotalLength = newer.stashTotalLength
        stashTotalCapacity = newer.stashTotalCapacity
        heartbeatCached = newer.heartbeatCached
    }

    package var named: [NamedCounter] {
        [
            NamedCounter("drop-before-window", dropBeforeWindow), NamedCounter("out", out),
            NamedCounter("drop-in-throttle", dropInThrottle), NamedCounter("stash-total-len", stashTotalLength),
            NamedCounter("stash-total-capacity", stashTotalCapacity),
            NamedCounter("heartbeat_aggred", heartbeatAggregated), NamedCounter("heartbeat_cached", heartbeatCached),
            NamedCounter("sent-unmerged", sentUnmerged),
        ]
    }
}
