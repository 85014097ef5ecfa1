package import Model
import Synchronization

/// Reads the counters of all parts of the agent at fixed intervals and hands them to a sink (`StatsdClient`).
/// Source: integration.md 3.
package final class StatsCollector: Sendable {
    /// Records of one part since its last reading, without time and host. Called from the collector's thread.
    package typealias Source = @Sendable () -> [StatsRecord]

    /// What every name of an agent's module begins with.
    static let prefix = "deepflow_agent_"

    private struct State {
        var sources: [(name: String, read: Source)] = []
        var thread: StageThread?
    }

    private let intervalSeconds: UInt64
    private let hostname: String
    private let send: @Sendable ([StatsRecord]) -> Void
    private let state = Mutex(State())
    private let wake = OverwriteQueue<Bool>(name: "stats", capacity: 1)

    /// - Parameters:
    ///   - intervalSeconds: `global.self_monitoring.interval`.
    ///   - hostname: the `host` tag of every record.
    package init(
        intervalSeconds: UInt64, hostname: String, send: @escaping @Sendable ([StatsRecord]) -> Void
    ) {
        self.intervalSeconds = intervalSeconds
        self.hostname = hostname
        self.send = send
    }

    /// A source of the same name is replaced.
    package func register(_ name: String, _ read: @escaping Source) {
        state.withLock { state in
            state.sources.removeAll { $0.name == name }
            state.sources.append((name, read))
        }
    }

    package func start() {
        state.withLock { state in
            guard state.thread == nil else { return }
            state.thread = StageThread(name: "stats-collector") { [self] in run() }
        }
    }

    /// Reads what was counted since the last interval, hands it on and ends.
    package func stop() {
        wake.close()
        state.withLock { $0.thread.take() }?.join()
    }

    private func run() {
        var schedule = StatsSchedule(intervalSeconds: intervalSeconds)
        while true {
            let nowSeconds = wallClockNs() / 1_000_000_000
            if schedule.isDue(nowSeconds: nowSeconds) { send(collect(nowSeconds: nowSeconds)) }
            if case .terminated = wake.receive(timeoutMs: 1000) { break }
        }
        send(collect(nowSeconds: wallClockNs() / 1_000_000_000))
    }

    /// All records of now. A part that has nothing to tell sends none.
    func collect(nowSeconds: UInt64) -> [StatsRecord] {
        let sources = state.withLock { $0.sources }
        return sources.flatMap { $0.read() }.filter { !$0.metrics.isEmpty }.map { record in
            var record = record
            record.timestamp = nowSeconds
            if !record.tags.contains(where: { $0.name == "host" }) { record.tags.append(.init("host", hostname)) }
            return record
        }
    }
}

extension StatsRecord {
    /// - Parameter module: as the specification writes it; hyphens become underscores, those of counters stay.
    init(module: String, tags: [Tag] = [], _ metrics: [Metric]) {
        let name = String(module.map { $0 == "-" ? "_" : $0 })
        self.init(StatsCollector.prefix + name, tags: tags, metrics: metrics)
    }

    /// What the name of an agent's record says besides its prefix.
    package var module: Substring {
        name.hasPrefix(StatsCollector.prefix) ? name.dropFirst(StatsCollector.prefix.count) : name[...]
    }
}

extension StatsCollector {
    /// `global.self_monitoring`.
    package struct Settings: Sendable {
        package var intervalSeconds: UInt64 = 10
        /// Nil: the name that the operating system has for this host.
        package var hostname: String?
        package var host = HostStats.Settings()

        package init() {}
    }

    package convenience init(settings: Settings, send: @escaping @Sendable ([StatsRecord]) -> Void) {
        self.init(
            intervalSeconds: settings.intervalSeconds, hostname: settings.hostname ?? HostReader.hostname(), send: send)
    }

    /// Of an agent's pipeline; further parts are registered before `start`.
    package convenience init(of pipeline: AgentPipeline, settings: Settings, sink: any RecordSink) {
        self.init(settings: settings) { sink.send(stats: $0) }
        let stats = Mutex(PipelineStats())
        let host = Mutex(HostStats(settings: settings.host))
        register("host") { host.withLock { $0.records(nowNs: monotonicNs()) } }
        register("pipeline") { stats.withLock { $0.records(pipeline.takeCounters()) } }
    }
}
