import Capture
import Model
import Synchronization

/// The stages of a live agent: flow table in the capture thread, metrics and session join each behind a bounded queue.
/// Source: agent-flow.md 1.
final class LiveStages {
    private static let batch = 512

    private var dispatcher: Dispatcher
    private let sink: any RecordSink
    private let makesL7Logs: Bool
    private let messages: OverwriteQueue<L7Message>
    private let metrics: MetricsThreads
    private var stageTotals = StageTotals()
    private let sessions: Guarded<SessionAggregator>
    private var threads: [StageThread] = []
    private let agentType: AgentType
    private let localEPC: Int32

    init(settings: AgentPipeline.Settings, sink: any RecordSink, interfaces: [NetworkInterface]) {
        self.sink = sink
        makesL7Logs = sink.wantsL7Logs
        agentType = settings.identity.agentType
        localEPC = settings.identity.localEPC
        let l7 = L7Stage(engine: L7Engine(settings: settings.l7), isEnabled: settings.isL7Enabled)
        dispatcher = Dispatcher(
            flowMap: FlowMap(settings: settings.flow, labeler: settings.identity, l7: l7, clockNs: wallClockNs()),
            decapsulator: settings.decapsulator, isLive: true)
        messages = OverwriteQueue(
            name: "1-tagged-flow-to-app-protocol-logs", capacity: settings.queues.flowGenerator)
        metrics = MetricsThreads(settings: settings.metrics, sink: sink, capacities: settings.queues)
        sessions = Guarded(SessionAggregator(settings: settings.sessions))
        setInterfaces(interfaces)
        start()
    }

    private func start() {
        metrics.start()
        threads.append(
            StageThread(name: "app-proto-logs") { [messages, sessions, sink] in
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
            })
    }

    func setInterfaces(_ interfaces: [NetworkInterface]) {
        dispatcher.setInterfaces(interfaces)
        var local = Set<EndpointLabeler.Local>()
        for interface in interfaces where interface.isUp && interface.mac != 0 {
            for ip in interface.addresses + interface.v6Addresses { local.insert(.init(mac: interface.mac, ip: ip)) }
        }
        dispatcher.flowMap.labeler = EndpointLabeler(agentType: agentType, localEPC: localEPC, forwardTable: local)
    }

    /// - Parameter timeNs: of a frame that has just come out of the ring.
    func noteArrival(timeNs: UInt64) {
        let now = wallClockNs()
        if now > timeNs { dispatcher.flowMap.notePacketDelay(now - timeNs) }
    }

    func noteKernel(packets: UInt64, drops: UInt64) { dispatcher.noteKernel(packets: packets, drops: drops) }

    /// - Parameter frames: at most `Dispatcher.batch`, borrowed for the call.
    func handle(_ frames: UnsafeBufferPointer<CaptureFrame>, observer: (any AgentPipeline.Observer)?) {
        dispatcher.prepare(frames)
        for index in 0..<frames.count {
            while !dispatcher.advance(to: index) { drain(observer: observer) }
            let packet = dispatcher.account(index, frames[index])
            if let observer, let packet { observer.observe(packet: packet.pointee, frame: frames[index]) }
            if dispatcher.flowMap.isOutputFull
                || dispatcher.flowMap.l7.output.messages.count >= LiveStages.batch
            {
                drain(observer: observer)
            }
        }
        dispatcher.endBatch()
    }

    func tick(nowNs: UInt64, observer: (any AgentPipeline.Observer)?) {
        while !dispatcher.flowMap.advance(to: nowNs) { drain(observer: observer) }
        drain(observer: observer)
    }

    private func drain(observer: (any AgentPipeline.Observer)?) {
        dispatcher.flowMap.drainOutput { [metrics] batch, _ in metrics.put(flows: Array(batch)) }
        if !dispatcher.flowMap.l7.stats.isEmpty {
            metrics.put(l7Stats: dispatcher.flowMap.l7.stats)
            dispatcher.flowMap.l7.stats.removeAll(keepingCapacity: true)
        }
        guard !dispatcher.flowMap.l7.output.messages.isEmpty else { return }
        observer?.observe(messages: dispatcher.flowMap.l7.output.messages.all)
        if makesL7Logs {
            messages.put(dispatcher.flowMap.l7.output.messages.takeAll())
        } else {
            dispatcher.flowMap.l7.output.messages.removeAll()
        }
    }

    /// Ends all flows and hands on what is left in every stage.
    func finish(observer: (any AgentPipeline.Observer)?) {
        drain(observer: observer)
        while let next = dispatcher.flowMap.nextSecondNs {
            while !dispatcher.flowMap.advance(to: next) { drain(observer: observer) }
            drain(observer: observer)
        }
        messages.close()
        metrics.stop()
        for thread in threads { thread.join() }
    }

    /// From the capture thread only.
    func copyCounters(into counters: inout PipelineCounters) {
        counters.dispatcher = dispatcher.counters
        counters.flowMap = dispatcher.flowMap.readCounters(startsPeriod: counters.isPeriodTaken)
        counters.concurrentFlows = dispatcher.flowMap.concurrentFlows
        counters.sessions = sessions.with { $0.counters }
        if counters.isPeriodTaken { stageTotals.startPeriod() }
        stageTotals.add(metrics.takeReadings())
        stageTotals.add([StageReading(queue: messages, capacity: messages.capacity)])
        counters.stages = stageTotals.stages
        counters.queues = stageTotals.queues
        counters.isPeriodTaken = false
    }
}

/// A value that several stage threads use one after the other.
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
