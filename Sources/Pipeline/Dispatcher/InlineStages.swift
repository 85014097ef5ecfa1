import Capture
import Model

/// All stages of an agent in one thread, for replays: deterministic, lossless, packet time as the only clock.
final class InlineStages {
    private static let messageBatch = 64

    private var dispatcher: Dispatcher
    private var metrics: MetricsStage
    private var sessions: SessionAggregator
    private let sink: any RecordSink
    private let makesL7Logs: Bool
    private var l7Logs: [L7FlowLog] = []
    private var newestNs: UInt64 = 0
    private var tickNs: UInt64 = 0
    private var stageTotals = StageTotals()

    init(settings: AgentPipeline.Settings, sink: any RecordSink, clockNs: UInt64) {
        self.sink = sink
        makesL7Logs = sink.wantsL7Logs
        let l7 = L7Stage(engine: L7Engine(settings: settings.l7), isEnabled: settings.isL7Enabled)
        dispatcher = Dispatcher(
            flowMap: FlowMap(settings: settings.flow, labeler: settings.identity, l7: l7, clockNs: clockNs),
            decapsulator: settings.decapsulator, isLive: false)
        metrics = MetricsStage(settings: settings.metrics, sink: sink)
        sessions = SessionAggregator(settings: settings.sessions)
    }

    /// - Parameter frames: at most `Dispatcher.batch`, borrowed for the call.
    func handle(_ frames: UnsafeBufferPointer<CaptureFrame>, observer: (any AgentPipeline.Observer)?) {
        dispatcher.prepare(frames)
        for index in 0..<frames.count {
            while !dispatcher.advance(to: index) { drain(observer: observer) }
            let packet = dispatcher.account(index, frames[index])
            let timeNs = frames[index].timeNs
            if timeNs > newestNs { newestNs = timeNs }
            if let observer, let packet { observer.observe(packet: packet.pointee, frame: frames[index]) }
            if dispatcher.flowMap.isOutputFull
                || dispatcher.flowMap.l7.output.messages.count >= InlineStages.messageBatch || timeNs >= tickNs
            {
                drain(observer: observer)
                tickNs = timeNs &+ 1_000_000_000
            }
        }
        dispatcher.endBatch()
    }

    /// Hands on what the flow table has made: second flows first, then what was parsed in them.
    private func drain(observer: (any AgentPipeline.Observer)?) {
        drainFlows()
        if !dispatcher.flowMap.l7.stats.isEmpty {
            metrics.handle(l7Stats: dispatcher.flowMap.l7.stats)
            dispatcher.flowMap.l7.stats.removeAll(keepingCapacity: true)
        }
        metrics.tick(nowNs: newestNs)
        guard !dispatcher.flowMap.l7.output.messages.isEmpty else { return }
        observer?.observe(messages: dispatcher.flowMap.l7.output.messages.all)
        guard makesL7Logs else {
            dispatcher.flowMap.l7.output.messages.removeAll()
            return
        }
        sessions.add(batch: &dispatcher.flowMap.l7.output.messages, nowNs: newestNs, into: &l7Logs)
        sessions.endBatch(nowNs: newestNs, into: &l7Logs)
        sendL7()
    }

    private func drainFlows() {
        dispatcher.flowMap.drainOutput { [metrics, sink] flows, _ in
            if sink.wantsSecondFlows { sink.observe(secondFlows: Array(flows)) }
            metrics.handle(buffer: flows)
        }
    }

    private func sendL7() {
        guard !l7Logs.isEmpty else { return }
        sink.send(l7Logs: l7Logs)
        l7Logs.removeAll(keepingCapacity: true)
    }

    /// Time runs on until the table is empty, second by second.
    func finish(observer: (any AgentPipeline.Observer)?) {
        drain(observer: observer)
        while let next = dispatcher.flowMap.nextSecondNs {
            while !dispatcher.flowMap.advance(to: next) { drain(observer: observer) }
            newestNs = max(newestNs, next)
            drain(observer: observer)
        }
        metrics.finish()
        sessions.flush(asTimeout: true, nowNs: newestNs, into: &l7Logs)
        sendL7()
    }

    func copyCounters(into counters: inout PipelineCounters) {
        counters.dispatcher = dispatcher.counters
        counters.flowMap = dispatcher.flowMap.readCounters(startsPeriod: counters.isPeriodTaken)
        counters.concurrentFlows = dispatcher.flowMap.concurrentFlows
        counters.sessions = sessions.counters
        stageTotals.add(metrics.takeReadings())
        counters.stages = stageTotals.stages
    }
}
