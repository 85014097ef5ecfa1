package import Model

/// Everything behind the flow table in one thread: quadruples, documents, minute logs.
///
/// For replays and tests: the clock is the records' own and that of `tick`, the order of output is the same in every
/// run. Not safe for several threads; `MetricsThreads` is the live form. Source: agent-flow.md 1, 13-16.
package final class MetricsStage {
    package let settings: MetricsSettings
    private let sink: any RecordSink
    private let makesDocuments: Bool
    private var metering: FlowMetering
    private var secondCollector: Collector
    private var minuteCollector: Collector
    private var appMetering: AppMetering
    private var secondAppCollector: L7Collector
    private var minuteAppCollector: L7Collector
    private var aggregator: FlowAggr
    private let documentOutlet: DocumentOutlet
    private let logOutlet: LogOutlet
    /// Of the latest tick.
    private var tickSeconds: UInt32 = 0

    package init(settings: MetricsSettings = MetricsSettings(), sink: any RecordSink) {
        self.settings = settings
        self.sink = sink
        makesDocuments = settings.metrics.isEnabled && sink.wantsDocuments
        let delays = settings.delays
        metering = FlowMetering(settings)
        secondCollector = Collector(
            slotSeconds: 1, delay: delays.secondCollector, settings: settings.metrics, identity: settings.identity)
        minuteCollector = Collector(
            slotSeconds: 60, delay: delays.minuteCollector, settings: settings.metrics, identity: settings.identity)
        appMetering = AppMetering(settings)
        secondAppCollector = L7Collector(
            slotSeconds: 1, delay: delays.secondCollector, settings: settings.metrics, identity: settings.identity)
        minuteAppCollector = L7Collector(
            slotSeconds: 60, delay: delays.minuteCollector, settings: settings.metrics, identity: settings.identity)
        documentOutlet = DocumentOutlet { [sink] in sink.send(documents: $0) }
        logOutlet = LogOutlet { [sink] in sink.send(flowLogs: $0) }
        aggregator = FlowAggr(settings: settings.flowLog, delays: delays, outlet: logOutlet)
    }

    /// A batch of second records; a sink that wants them sees them first.
    package func handle(flows: [TaggedFlow]) {
        guard !flows.isEmpty else { return }
        if sink.wantsSecondFlows { sink.observe(secondFlows: flows) }
        flows.withUnsafeBufferPointer { handle(buffer: $0) }
    }

    /// As above, without showing the records to the sink.
    package func handle(buffer flows: UnsafeBufferPointer<TaggedFlow>) {
        guard let base = flows.baseAddress else { return }
        // In small groups through all stages, while the records are in the nearest cache.
        for first in stride(from: 0, to: flows.count, by: FlowMetering.groupSize) {
            let count = min(FlowMetering.groupSize, flows.count - first)
            let group = UnsafeBufferPointer(start: base + first, count: count)
            if makesDocuments { metering.handle(group, second: &secondCollector, minute: &minuteCollector) }
            aggregator.handle(group)
        }
        deliver()
    }

    package func handle(l7Stats: [L7Stats]) {
        guard makesDocuments else { return }
        l7Stats.withUnsafeBufferPointer { stats in
            appMetering.handle(stats, second: &secondAppCollector, minute: &minuteAppCollector)
        }
        deliver()
    }

    /// Packet time in a replay, the clock otherwise; does something once a second. Hands on what is complete.
    package func tick(nowNs: UInt64) {
        let seconds = UInt32(truncatingIfNeeded: nowNs / 1_000_000_000)
        guard seconds != tickSeconds else { return }
        tickSeconds = seconds
        if makesDocuments {
            secondCollector.clockSeconds = seconds
            minuteCollector.clockSeconds = seconds
            secondAppCollector.clockSeconds = seconds
            minuteAppCollector.clockSeconds = seconds
            metering.tick(seconds: seconds, second: &secondCollector, minute: &minuteCollector)
            appMetering.tick(seconds: seconds, second: &secondAppCollector, minute: &minuteAppCollector)
            secondCollector.tick(seconds: seconds)
            minuteCollector.tick(seconds: seconds)
            secondAppCollector.tick(seconds: seconds)
            minuteAppCollector.tick(seconds: seconds)
        }
        aggregator.tick(seconds: seconds)
        deliver()
        logOutlet.flush()
    }

    /// Flushes every window to the sink, in order of the stages. The stage may be used again only for later times.
    package func finish() {
        if makesDocuments {
            metering.flushAll(second: &secondCollector, minute: &minuteCollector)
            appMetering.flushAll(second: &secondAppCollector, minute: &minuteAppCollector)
            secondCollector.flushAll()
            minuteCollector.flushAll()
            secondAppCollector.flushAll()
            minuteAppCollector.flushAll()
        }
        aggregator.flushAll()
        deliver()
        logOutlet.flush()
        sink.flush()
    }

    /// Counters of all stages since the last call.
    package func takeReadings() -> [StageReading] {
        let meters = metering.takeCounters()
        let appMeters = appMetering.takeCounters()
        let kinds = ["second", "minute", "l7_second", "l7_minute"]
        let generators = [meters.second, meters.minute, appMeters.second, appMeters.minute]
        let collectors = [
            secondCollector.takeCounters(), minuteCollector.takeCounters(), secondAppCollector.takeCounters(),
            minuteAppCollector.takeCounters(),
        ]
        var readings: [StageReading] = []
        for (kind, counters) in zip(kinds, generators) {
            readings.append(StageReading(module: "quadruple_generator", kind: kind, counters: counters.named))
        }
        for (kind, counters) in zip(kinds, collectors) {
            readings.append(StageReading(module: "collector", kind: kind, counters: counters.named))
        }
        readings.append(StageReading(module: "flow_aggr", counters: aggregator.takeCounters().named))
        return readings
    }

    private func deliver() {
        secondCollector.deliver(to: documentOutlet)
        secondAppCollector.deliver(to: documentOutlet)
        minuteCollector.deliver(to: documentOutlet)
        minuteAppCollector.deliver(to: documentOutlet)
    }
}
