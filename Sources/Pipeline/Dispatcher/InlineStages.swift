import Capture
import Model

/// All stages of an agent in one thread, for replays: deterministic, lossless, packet time as the only clock.
///
/// Several dispatchers share the stages behind them. Time is one for all of them: what moves the window of one flow table
/// moves the others' too, so that how many there are does not change what is late.
final class InlineStages {
    private static let messageBatch = 64

    private let dispatchers: UnsafeMutablePointer<Dispatcher>
    private let count: Int
    private var shares: DispatcherShares?
    private var metrics: MetricsStage
    private var sessions: SessionAggregator
    private let sink: any RecordSink
    private let makesL7Logs: Bool
    private var l7Logs: [L7FlowLog] = []
    private var newestNs: UInt64 = 0
    private var tickNs: UInt64 = 0
    private var stageTotals = StageTotals()
    /// When the windows of all flow tables move next.
    private var flushNs: UInt64

    init(settings: AgentPipeline.Settings, sink: any RecordSink, clockNs: UInt64) {
        self.sink = sink
        makesL7Logs = sink.wantsL7Logs
        count = settings.fanout.count
        dispatchers = .allocate(capacity: count)
        for number in 0..<count {
            (dispatchers + number).initialize(
                to: Dispatcher(settings: settings, number: number, isLive: false, clockNs: clockNs))
        }
        flushNs = dispatchers[0].flowMap.nextFlushNs
        if count > 1 { shares = DispatcherShares(lanes: count, decapsulator: settings.decapsulator) }
        metrics = MetricsStage(settings: settings.metrics, sink: sink)
        sessions = SessionAggregator(settings: settings.sessions)
    }

    deinit {
        dispatchers.deinitialize(count: count)
        dispatchers.deallocate()
    }

    /// - Parameter frames: at most `Dispatcher.batch`, borrowed for the call.
    func handle(_ frames: UnsafeBufferPointer<CaptureFrame>, observer: (any AgentPipeline.Observer)?) {
        if let shares {
            handle(frames, shares, observer: observer)
            return
        }
        dispatchers[0].prepare(frames)
        for index in 0..<frames.count {
            while !dispatchers[0].advance(to: index) { drain(observer: observer) }
            let packet = dispatchers[0].account(index, frames[index])
            let timeNs = frames[index].timeNs
            if timeNs > newestNs { newestNs = timeNs }
            if let observer, let packet { observer.observe(packet: packet.pointee, frame: frames[index]) }
            if isDrainDue(0) || timeNs >= tickNs {
                drain(observer: observer)
                tickNs = timeNs &+ 1_000_000_000
            }
        }
        dispatchers[0].endBatch()
    }

    /// As above over several dispatchers, packet by packet in the order of the capture.
    private func handle(
        _ frames: UnsafeBufferPointer<CaptureFrame>, _ shares: DispatcherShares,
        observer: (any AgentPipeline.Observer)?
    ) {
        shares.deal(frames)
        for lane in 0..<count where shares.count(lane) > 0 { dispatchers[lane].prepare(shares.frames(lane)) }
        for index in 0..<frames.count {
            let (lane, position) = shares.place(index)
            while !dispatchers[lane].advance(to: position) { drain(observer: observer) }
            let packet = dispatchers[lane].account(position, frames[index])
            let timeNs = frames[index].timeNs
            if timeNs > newestNs { newestNs = timeNs }
            if let packet {
                if timeNs >= flushNs { moveWindows(with: lane, to: timeNs, observer: observer) }
                observer?.observe(packet: packet.pointee, frame: frames[index])
            }
            // Who watches messages sees them in the order of packets.
            if observer != nil { dispatchers[lane].endBatch() }
            let isWatched = observer != nil && !dispatchers[lane].flowMap.l7.output.messages.isEmpty
            if isDrainDue(lane) || isWatched || timeNs >= tickNs {
                drain(observer: observer)
                tickNs = timeNs &+ 1_000_000_000
            }
        }
        for lane in 0..<count { dispatchers[lane].endBatch() }
    }

    private func moveWindows(with lane: Int, to timeNs: UInt64, observer: (any AgentPipeline.Observer)?) {
        for other in 0..<count where other != lane {
            while !dispatchers[other].flowMap.advance(to: timeNs) { drain(observer: observer) }
        }
        flushNs = dispatchers[lane].flowMap.nextFlushNs
    }

    @inline(__always)
    private func isDrainDue(_ lane: Int) -> Bool {
        dispatchers[lane].flowMap.isOutputFull
            || dispatchers[lane].flowMap.l7.output.messages.count >= InlineStages.messageBatch
    }

    /// Hands on what the flow tables have made: second flows first, then what was parsed in them.
    private func drain(observer: (any AgentPipeline.Observer)?) {
        for lane in 0..<count { drainFlows(lane) }
        for lane in 0..<count where !dispatchers[lane].flowMap.l7.stats.isEmpty {
            metrics.handle(l7Stats: dispatchers[lane].flowMap.l7.stats)
            dispatchers[lane].flowMap.l7.stats.removeAll(keepingCapacity: true)
        }
        metrics.tick(nowNs: newestNs)
        for lane in 0..<count where !dispatchers[lane].flowMap.l7.output.messages.isEmpty {
            drainMessages(lane, observer: observer)
        }
    }

    private func drainMessages(_ lane: Int, observer: (any AgentPipeline.Observer)?) {
        observer?.observe(messages: dispatchers[lane].flowMap.l7.output.messages.all)
        guard makesL7Logs else {
            dispatchers[lane].flowMap.l7.output.messages.removeAll()
            return
        }
        sessions.add(batch: &dispatchers[lane].flowMap.l7.output.messages, nowNs: newestNs, into: &l7Logs)
        sessions.endBatch(nowNs: newestNs, into: &l7Logs)
        sendL7()
    }

    private func drainFlows(_ lane: Int) {
        dispatchers[lane].flowMap.drainOutput { [metrics, sink] flows, _ in
            if sink.wantsSecondFlows { sink.observe(secondFlows: Array(flows)) }
            metrics.handle(buffer: flows)
        }
    }

    private func sendL7() {
        guard !l7Logs.isEmpty else { return }
        sink.send(l7Logs: l7Logs)
        l7Logs.removeAll(keepingCapacity: true)
    }

    /// Time runs on until the tables are empty, second by second.
    func finish(observer: (any AgentPipeline.Observer)?) {
        drain(observer: observer)
        while closeOneSecond(observer: observer) {}
        metrics.finish()
        sessions.flush(asTimeout: true, nowNs: newestNs, into: &l7Logs)
        sendL7()
    }

    /// False when no flow is left.
    private func closeOneSecond(observer: (any AgentPipeline.Observer)?) -> Bool {
        var reached: UInt64?
        for lane in 0..<count {
            guard let next = dispatchers[lane].flowMap.nextSecondNs else { continue }
            while !dispatchers[lane].flowMap.advance(to: next) { drain(observer: observer) }
            reached = max(reached ?? 0, next)
        }
        guard let reached else { return false }
        newestNs = max(newestNs, reached)
        drain(observer: observer)
        return true
    }

    func copyCounters(into counters: inout PipelineCounters) {
        counters.set(
            (0..<count).map { lane in
                var reading = DispatcherCounters(number: lane)
                reading.dispatcher = dispatchers[lane].counters
                reading.flowMap = dispatchers[lane].flowMap.takeCounters()
                reading.concurrentFlows = dispatchers[lane].flowMap.concurrentFlows
                return reading
            })
        counters.sessions = sessions.counters
        stageTotals.add(metrics.takeReadings())
        counters.stages = stageTotals.stages
    }
}
