import Capture
import Model
import Synchronization

/// The stages of a live agent that all its dispatchers share: metrics and session join, each behind a bounded queue with a
/// thread of its own. Source: agent-flow.md 1.
final class LiveStages: Sendable {
    let makesL7Logs: Bool
    private let sink: any RecordSink
    private let messages: OverwriteQueue<L7Message>
    private let metrics: MetricsThreads
    private let stageTotals = Mutex(StageTotals())
    private let sessions: Guarded<SessionAggregator>
    private let thread = Mutex<StageThread?>(nil)

    init(settings: AgentPipeline.Settings, sink: any RecordSink) {
        self.sink = sink
        makesL7Logs = sink.wantsL7Logs
        messages = OverwriteQueue(
            name: "1-tagged-flow-to-app-protocol-logs", capacity: settings.queues.flowGenerator)
        metrics = MetricsThreads(settings: settings.metrics, sink: sink, capacities: settings.queues)
        sessions = Guarded(SessionAggregator(settings: settings.sessions))
    }

    func start() {
        metrics.start()
        let started = StageThread(name: "app-proto-logs") { [self] in joinSessions() }
        thread.withLock { $0 = started }
    }

    private func joinSessions() {
        var logs: [L7FlowLog] = []
        while true {
            let received = messages.receive(timeoutMs: 1000)
            let now = wallClockNs()
            sessions.with { sessions in
                switch received {
                case .items(let batch):
                    for message in batch { sessions.add(message, nowNs: now, into: &logs) }
                case .timedOut: break
                case .terminated: sessions.flush(asTimeout: false, nowNs: now, into: &logs)
                }
                sessions.endBatch(nowNs: now, into: &logs)
            }
            if !logs.isEmpty {
                sink.send(l7Logs: logs)
                logs.removeAll(keepingCapacity: true)
            }
            if case .terminated = received { return }
        }
    }

    // MARK: - From any dispatcher; never waits

    func put(flows: [TaggedFlow]) { metrics.put(flows: flows) }
    func put(l7Stats: [L7Stats]) { metrics.put(l7Stats: l7Stats) }
    func put(messages batch: [L7Message]) { messages.put(batch) }

    // MARK: -

    /// Hands on what is left in every stage. No dispatcher may put anything any more.
    func finish() {
        messages.close()
        metrics.stop()
        thread.withLock { $0 }?.join()
    }

    func copyCounters(into counters: inout PipelineCounters) {
        counters.sessions = sessions.with { $0.counters }
        let totals = stageTotals.withLock { totals in
            if counters.isPeriodTaken { totals.startPeriod() }
            totals.add(metrics.takeReadings())
            totals.add([StageReading(queue: messages, capacity: messages.capacity)])
            return totals
        }
        counters.stages = totals.stages
        counters.queues = totals.queues
    }
}

/// A value that several threads use one after the other.
///
/// `@unchecked Sendable`: `value` is touched only while `lock` is held.
private final class Guarded<Value: ~Copyable>: @unchecked Sendable {
    private var value: Value
    private let lock = Mutex(())

    init(_ value: consuming Value) { self.value = value }

    func with<Result>(_ body: (inout Value) -> Result) -> Result {
        lock.withLock { _ in body(&value) }
    }
}
