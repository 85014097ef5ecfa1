import Capture
package import Model

/// The counters of one agent's stages as statistics: what was counted since the last reading, gauges as they are.
/// Source: agent-flow.md 4.1, 8.6, 17; agent-l7.md 14; tables/agent_counters.tsv.
///
/// Each dispatcher has records of its own; the stages behind them, which they share, have one of index 0.
package struct PipelineStats: Sendable {
    private typealias Metric = StatsRecord.Metric
    private typealias Tag = StatsRecord.Tag

    private static let shared = "0"

    private var last = PipelineCounters()

    package init() {}

    package mutating func records(_ now: PipelineCounters) -> [StatsRecord] {
        defer { last = now }
        var records = now.dispatchers.flatMap { reading in
            PipelineStats.records(reading, since: last.dispatchers.first { $0.number == reading.number })
        }
        let index = Tag("index", PipelineStats.shared)
        records.append(
            StatsRecord(module: "l7_session_aggr", tags: [index], sessions(now.sessions, since: last.sessions)))
        for stage in now.stages {
            let before = last.stages.first { $0.module == stage.module && $0.kind == stage.kind }
            var tags = [index]
            if !stage.kind.isEmpty { tags.append(Tag("kind", stage.kind)) }
            records.append(StatsRecord(module: stage.module, tags: tags, metrics(stage, since: before)))
        }
        for queue in now.queues {
            let before = last.queues.first { $0.name == queue.name }?.totals ?? QueueCounters()
            records.append(StatsRecord(queue: queue.name, index: PipelineStats.shared, queue.totals, since: before))
        }
        return records
    }

    /// Of one dispatcher; of one that has ended, what it counted last.
    private static func records(_ now: DispatcherCounters, since earlier: DispatcherCounters?) -> [StatsRecord] {
        guard !now.hasEnded || earlier?.hasEnded == false else { return [] }
        let last = earlier ?? DispatcherCounters(number: now.number)
        let number = "\(now.number)"
        let id = [Tag("id", number)]
        let queue = now.queue.map {
            StatsRecord(
                queue: $0.name, index: number, $0.totals, since: last.queue?.totals ?? QueueCounters())
        }
        return [
            StatsRecord(module: "dispatcher", tags: id, dispatcher(now.dispatcher, since: last.dispatcher)),
            StatsRecord(module: "flow-map", tags: id, flowMap(now.flowMap, since: last.flowMap)),
            StatsRecord(module: "flow-perf", tags: id, flowPerf(now.flowMap.perf, since: last.flowMap.perf)),
        ] + (queue.map { [$0] } ?? [])
    }

    private static func dispatcher(_ now: Dispatcher.Counters, since last: Dispatcher.Counters) -> [Metric] {
        let (received, before) = (now.receive, last.receive)
        return [
            Metric("kernel_packets", counted: received.kernel.packets &- before.kernel.packets),
            Metric("kernel_drops", counted: received.kernel.drops &- before.kernel.drops),
            Metric("kernel_freezes", counted: received.kernel.freezes &- before.kernel.freezes),
            Metric("rx", counted: now.rx &- last.rx),
            Metric("rx_all", counted: received.rxAll &- before.rxAll),
            Metric("rx_bytes", counted: now.rxBytes &- last.rxBytes),
            Metric("rx_all_bytes", counted: received.rxAllBytes &- before.rxAllBytes),
            Metric("err", counted: received.errors &- before.errors),
            Metric(
                "invalid_packets",
                counted: now.invalidPackets &+ received.tooShort &- last.invalidPackets &- before.tooShort),
            Metric("get_token_failed", counted: received.getTokenFailed &- before.getTokenFailed),
            Metric("retired", counted: now.retired &- last.retired),
        ]
    }

    private static func flowMap(_ now: FlowMap.Counters, since last: FlowMap.Counters) -> [Metric] {
        [
            Metric("new", counted: now.new &- last.new), Metric("closed", counted: now.closed &- last.closed),
            Metric("drop_by_window", counted: now.dropByWindow &- last.dropByWindow),
            Metric("drop_by_capacity", counted: now.dropByCapacity &- last.dropByCapacity),
            // A full queue overwrites and counts it itself.
            Metric("drop_by_queue", 0.0),
            Metric("packet_delay", counted: now.packetDelayNs), Metric("flush_delay", counted: now.flushDelayNs),
            Metric("flow_delay", counted: now.flowDelayNs), Metric("concurrent", counted: now.concurrent),
            Metric("slots", counted: now.slots),
            Metric("slot_max_depth", counted: now.slotMaxDepth),
            Metric("total_scan", counted: now.totalScan &- last.totalScan),
            Metric("time_set_shrinks", counted: now.timeSetShrinks &- last.timeSetShrinks),
            Metric("l7_perf_cache_len", counted: now.l7PerfCacheLength),
            Metric("l7_timeout_cache_len", counted: now.l7TimeoutCacheLength),
        ]
    }

    private static func flowPerf(_ now: FlowPerfCounters, since last: FlowPerfCounters) -> [Metric] {
        [
            Metric("ignore_packet_count", counted: now.ignoredPackets &- last.ignoredPackets),
            Metric("invalid_packet_count", counted: now.invalidPackets &- last.invalidPackets),
            Metric("unknown_l7_protocol", counted: now.unknownL7Protocol &- last.unknownL7Protocol),
        ]
    }

    private func sessions(_ now: SessionAggregator.Counters, since last: SessionAggregator.Counters) -> [Metric] {
        [
            Metric("send-before-window", counted: now.sendBeforeWindow &- last.sendBeforeWindow),
            Metric("receive", counted: now.receive &- last.receive), Metric("merge", counted: now.merge &- last.merge),
            Metric("cached", Double(now.cached)), Metric("cached-request-resource", Double(now.cachedRequestResource)),
            Metric("throttle-drop", counted: now.throttleDrop &- last.throttleDrop),
            Metric("over-limit", counted: now.overLimit &- last.overLimit),
        ]
    }

    private func metrics(_ stage: StageReading, since last: StageReading?) -> [Metric] {
        stage.counters.map { counter in
            let before = counter.isCount ? last?.counters.first { $0.name == counter.name }?.value ?? 0 : 0
            return Metric(counter.name, counted: counter.value &- before)
        } + PipelineStats.unmoved(by: stage).map { Metric($0, 0.0) }
    }

    /// Counters of the specification that never move here: both ends of a flow are always known, a full queue overwrites
    /// and counts it itself, flows that wait for their minute lie in blocks that stay.
    private static func unmoved(by stage: StageReading) -> [String] {
        switch stage.module {
        case "quadruple_generator": [stage.kind.hasPrefix("l7_") ? "drop-by-queue" : "no-endpoint"]
        case "collector": ["drop-by-queue", "no-endpoint"]
        case "flow_aggr": ["stash-shrinks"]
        default: []
        }
    }
}

extension StatsRecord.Metric {
    init(_ name: String, counted value: UInt64) { self.init(name, Double(value)) }
}

extension StatsRecord {
    /// Of a bounded queue. - Parameter now: sums since the start, with the greatest length since the last reading.
    init(queue name: String, index: String, _ now: QueueCounters, since last: QueueCounters) {
        self.init(
            module: "queue", tags: [Tag("index", index), Tag("module", name)],
            [
                Metric("in", counted: now.in &- last.in), Metric("out", counted: now.out &- last.out),
                Metric("overwritten", counted: now.overwritten &- last.overwritten),
                Metric("pending", counted: now.pending),
            ])
    }
}
