package import EngineAPI
package import Model
import Synchronization

/// The engine as screens see it while it runs: bounded tables in memory over what the pipeline sends.
///
/// Feeding never waits in live mode: batches go through a bounded inbox to a thread of its own, and what does not fit
/// is counted as lost. A replay waits, so that nothing is missing at its end. Questions hold one lock for
/// milliseconds; only that thread waits for it. Time: packet time in a replay, else the wall clock.
package final class LiveEngine: EngineView, RecordSink {
    package struct Settings: Sendable {
        package var isReplay = false
        package var flowCapacity = 100_000
        package var requestCapacity = 20_000
        package var serviceCapacity = 4096
        /// Records that may wait in the inbox.
        package var inboxRecords = 400_000

        package init() {}
    }

    /// Questions that other parts answer.
    package struct Providers: Sendable {
        package var sql: (@Sendable (String) -> Answer)?
        package var tables: (@Sendable () -> Answer)?
        /// What the engine counts about itself; asked once a second.
        package var counters: (@Sendable () -> [OwnCounter])?
        /// Fills version, sources, notes, losses and progress; the engine adds clock, flows and rates.
        package var status: (@Sendable () -> EngineStatus)?

        package init() {}
    }

    enum Batch: Sendable {
        case flows([TaggedFlow])
        case requests([L7FlowLog])
        case end
    }

    struct State {
        var flows: FlowTable
        var requests: RequestRing
        var services: ServiceTable
        var totals = TotalsHistory()
        var sockets = SocketIndex()
        var platform = PlatformRows()
        var own = OwnReadings()
        var snapshots = Snapshots()
        /// Nanoseconds since 1970 of the newest record.
        var newestNs: UInt64 = 0
        var isComplete = false
        var busiest: (second: UInt64, flows: Int, lists: BusyLists)?
    }

    package let settings: Settings
    let providers: Providers
    let state: Mutex<State>
    let startedNs = wallClockNs()
    private let inbox: OverwriteQueue<Batch>
    private let waiting = Atomic<Int>(0)
    private let lost = Atomic<UInt64>(0)
    private let received = Atomic<UInt64>(0)
    private let thread = Mutex<StageThread?>(nil)

    package init(settings: Settings = Settings(), providers: Providers = Providers()) {
        self.settings = settings
        self.providers = providers
        inbox = OverwriteQueue(name: "live-engine", capacity: settings.isReplay ? 64 : 8192)
        state = Mutex(
            State(
                flows: FlowTable(capacity: settings.flowCapacity),
                requests: RequestRing(capacity: settings.requestCapacity),
                services: ServiceTable(capacity: settings.serviceCapacity)))
    }

    /// Starts the thread that fills the tables.
    package func start() {
        thread.withLock { thread in
            guard thread == nil else { return }
            thread = StageThread(name: "live-engine") { [self] in run() }
        }
    }

    /// Takes what waits and ends the thread.
    package func stop() {
        inbox.close()
        thread.withLock { $0.take() }?.join()
    }

    // MARK: Feeding

    package func send(documents: [Document]) {}

    package func send(flowLogs: [TaggedFlow]) {}

    package func send(l7Logs: [L7FlowLog]) { offer(.requests(l7Logs), count: l7Logs.count) }

    package var wantsSecondFlows: Bool { true }
    package func observe(secondFlows: [TaggedFlow]) { offer(.flows(secondFlows), count: secondFlows.count) }

    /// The end of a replay: from now on the tables are whole.
    package func flush() {
        if settings.isReplay { offer(.end, count: 1) }
    }

    /// What the platform reader saw. Cheap; called from its thread.
    package func update(platform: PlatformSnapshot) {
        let index = settings.isReplay ? SocketIndex() : SocketIndex(platform)
        state.withLock { state in
            state.platform.take(platform)
            guard !index.isEmpty else { return }
            state.sockets = index
            LiveEngine.joinProcesses(&state)
        }
    }

    private func offer(_ batch: Batch, count: Int) {
        guard count > 0 else { return }
        received.add(UInt64(count), ordering: .relaxed)
        if settings.isReplay {
            if !inbox.putWaiting([batch]) { lost.add(UInt64(count), ordering: .relaxed) }
            return
        }
        guard waiting.load(ordering: .relaxed) + count <= settings.inboxRecords else {
            lost.add(UInt64(count), ordering: .relaxed)
            return
        }
        waiting.add(count, ordering: .relaxed)
        inbox.put([batch])
    }

    private func run() {
        var tickNs: UInt64 = 0
        while true {
            switch inbox.receive(max: 16, timeoutMs: 250) {
            case .terminated: return
            case .timedOut: break
            case .items(let batches):
                for batch in batches { apply(batch) }
            }
            let now = monotonicNs()
            if now &- tickNs >= 1_000_000_000 {
                tickNs = now
                tick(nowNs: now)
            }
        }
    }

    /// Batches are cut, so that a question waits for a few milliseconds at most.
    private func apply(_ batch: Batch) {
        let step = 2048
        switch batch {
        case .flows(let flows):
            for start in stride(from: 0, to: flows.count, by: step) {
                state.withLock { state in
                    for flow in flows[start..<min(start + step, flows.count)] { LiveEngine.add(flow, to: &state) }
                }
            }
            waiting.subtract(flows.count, ordering: .relaxed)
        case .requests(let logs):
            for start in stride(from: 0, to: logs.count, by: step) {
                state.withLock { state in
                    for log in logs[start..<min(start + step, logs.count)] { LiveEngine.add(log, to: &state) }
                }
            }
            waiting.subtract(logs.count, ordering: .relaxed)
        case .end:
            state.withLock { $0.isComplete = true }
        }
    }

    private static func add(_ flow: TaggedFlow, to state: inout State) {
        let statNs = flow.flowStatTimeNs == 0 ? flow.endTimeNs : flow.flowStatTimeNs
        let second = statNs / 1_000_000_000
        let known = state.flows.add(flow, second: second)
        state.totals.add(flow, second: second, isNew: known.isNew)
        state.newestNs = max(state.newestNs, max(statNs, flow.endTimeNs))
        if known.isNew, !state.sockets.isEmpty { join(known.index, &state) }
        guard flow.perf.l7Protocol != 0, !flow.perf.l7.isEmpty else { return }
        let key = ServiceKey(
            address: flow.key.ipDst, port: flow.key.portDst, isIPv6: flow.isIPv6, l7Protocol: flow.perf.l7Protocol)
        state.services.add(
            flow.perf.l7, to: key, second: second, processName: state.flows.flows[known.index].process1)
    }

    private static func add(_ log: L7FlowLog, to state: inout State) {
        let flow = state.flows.index(of: log.base.flowID).map { state.flows.flows[$0] }
        state.requests.add(log, flow: flow)
        state.newestNs = max(state.newestNs, log.base.endTimeNs)
        guard log.base.rrtNs > 0, log.base.l7Protocol != 0 else { return }
        let key = ServiceKey(
            address: log.base.ipDst, port: log.base.portDst, isIPv6: log.base.isIPv6, l7Protocol: log.base.l7Protocol)
        // The name asked for is no name of a DNS server.
        let domain = log.base.l7Protocol == L7Protocol.dns.rawValue ? "" : log.requestDomain
        state.services.add(
            latency: log.base.rrtNs / 1000, to: key, second: log.base.endTimeNs / 1_000_000_000, domain: domain)
    }

    // MARK: Processes

    private static func join(_ index: Int, _ state: inout State) {
        let flow = state.flows.flows[index]
        let key = flow.key
        if flow.pid0 == 0,
            let owner = state.sockets.owner(
                proto: key.proto, local: key.ipSrc, localPort: key.portSrc, remote: key.ipDst, remotePort: key.portDst)
        {
            state.flows.setProcess(at: index, isClient: true, pid: owner.pid, name: owner.name)
        }
        if flow.pid1 == 0,
            let owner = state.sockets.owner(
                proto: key.proto, local: key.ipDst, localPort: key.portDst, remote: key.ipSrc, remotePort: key.portSrc)
        {
            state.flows.setProcess(at: index, isClient: false, pid: owner.pid, name: owner.name)
        }
    }

    /// Flows that began after the last reading of the socket tables get their owners now.
    private static func joinProcesses(_ state: inout State) {
        let newest = state.totals.newest
        for index in state.flows.flows.indices {
            let flow = state.flows.flows[index]
            guard flow.pid0 == 0 || flow.pid1 == 0, flow.lastSecond + 30 >= newest else { continue }
            join(index, &state)
        }
    }

    // MARK: Time

    private func tick(nowNs: UInt64) {
        let counters = ownCounters()
        state.withLock { state in
            state.own.take(counters, nowNs: nowNs)
            if !settings.isReplay { state.flows.sweep(now: state.totals.newest) }
        }
    }

    private func ownCounters() -> [OwnCounter] {
        let (flows, evicted, services, requests) = state.withLock {
            ($0.flows.flows.count, $0.flows.evicted, $0.services.services.count, $0.requests.requests.count)
        }
        let own = [
            OwnCounter(
                group: "screen", name: "inbox", in: received.load(ordering: .relaxed),
                out: received.load(ordering: .relaxed) &- lost.load(ordering: .relaxed),
                dropped: lost.load(ordering: .relaxed), pending: UInt64(max(0, waiting.load(ordering: .relaxed))),
                capacity: UInt64(settings.inboxRecords), note: "records on their way to these screens"),
            OwnCounter(
                group: "screen", name: "flows", dropped: 0, pending: UInt64(flows),
                capacity: UInt64(settings.flowCapacity),
                note: evicted == 0 ? "flows kept for these screens" : "\(evicted) older flows made room"),
            OwnCounter(
                group: "screen", name: "requests", pending: UInt64(requests),
                capacity: UInt64(settings.requestCapacity), note: "the last requests"),
            OwnCounter(
                group: "screen", name: "services", pending: UInt64(services),
                capacity: UInt64(settings.serviceCapacity)),
        ]
        return (providers.counters?() ?? []) + own
    }

    /// Nanoseconds since 1970.
    func clockNs(_ state: borrowing State) -> UInt64 {
        settings.isReplay ? state.newestNs : wallClockNs()
    }

    /// The second that is not over yet: windows end before it. A finished replay has none such.
    func reference(_ state: borrowing State) -> UInt64 {
        if settings.isReplay { return state.totals.newest &+ 1 }
        // Reports come a few seconds late; without any for a while, the clock moves on alone.
        let now = wallClockNs() / 1_000_000_000
        return max(state.totals.newest, now > 15 ? now - 15 : 0)
    }
}
