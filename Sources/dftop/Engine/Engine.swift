import Capture
import EngineAPI
import Logging
import Model
import Pipeline
import ServerCore
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Store, ingester, live tables and, when there is something to capture, the agent's pipeline in one process: what the
/// workstation, the daemon and the server are made of. Started and stopped in this order and its reverse.
final class Engine: Sendable {
    struct Options {
        var config: AgentConfig
        var replay: [String] = []
        var dataDirectory: String?
        /// Captures or replays in this process.
        var hasAgent = true
        /// Takes records from agents.
        var receiver: Receiver.Settings?
        var isReplay: Bool { !replay.isEmpty }
    }

    let live: LiveEngine
    let store: SQLiteStore
    let pipeline: AgentPipeline?
    let options: Options
    private let directory: DataDirectory
    let ingester: Ingester
    let receiver: Receiver?
    let decoders: NetworkDecoders?
    private let statistics: [StatsCollector]
    private let poller = PlatformPoller()
    private let server: EngineServer
    private let logger = Logger(label: "dftop.engine")
    private let state: Mutex<State>

    private struct State {
        var sources: [String] = []
        var notes: [String] = []
        var progress: Double?
        var isComplete = false
        var failure: Failure?
        var thread: StageThread?
    }

    init(_ options: Options) throws {
        self.options = options
        directory =
            options.isReplay && options.dataDirectory == nil
            ? try .temporary() : try .persistent(options.dataDirectory)
        var storeSettings = SQLiteStore.Settings()
        if options.isReplay { storeSettings.clock = .newestRow }
        let store = try SQLiteStore(path: directory.storePath, settings: storeSettings)
        self.store = store
        ingester = Ingester(store: store, settings: options.isReplay ? .replay : .embedded)
        var liveSettings = LiveEngine.Settings()
        liveSettings.isReplay = options.isReplay
        let hooks = Hooks()
        live = LiveEngine(settings: liveSettings, providers: hooks.providers(store))
        let sink = FanOutSink([ingester, live])
        let pipeline =
            options.hasAgent ? AgentPipeline(settings: options.config.pipeline, sink: sink) : nil
        self.pipeline = pipeline
        if let settings = options.receiver {
            let receiver = Receiver(settings)
            self.receiver = receiver
            decoders = NetworkDecoders(ingester, receiver: receiver)
        } else {
            receiver = nil
            decoders = nil
        }
        // Statistics go by the wall clock, a replay does not.
        var statistics: [StatsCollector] = []
        if !options.isReplay {
            if let pipeline {
                statistics.append(StatsCollector(of: pipeline, settings: options.config.statistics, sink: sink))
            }
            statistics.append(
                StatsCollector(of: ingester, receiver, decoders, settings: options.config.statistics))
        }
        self.statistics = statistics
        server = EngineServer(view: live)
        state = Mutex(State())
        hooks.engine.withLock { $0 = Weak(self) }
    }

    /// Breaks the circle between the live tables, which ask for counters, and the engine, which has them.
    private final class Hooks: Sendable {
        let engine = Mutex(Weak(nil))

        func providers(_ store: SQLiteStore) -> LiveEngine.Providers {
            var providers = LiveEngine.Providers()
            providers.sql = { sql in
                do {
                    return .table(try store.query(sql).table)
                } catch let error as any Explained {
                    return .failed(Refusal(error))
                } catch {
                    return .failed(Refusal(.failed, what: "the query failed", why: "\(error)"))
                }
            }
            providers.tables = {
                guard let tables = try? store.tables() else {
                    return .failed(Refusal(.failed, what: "cannot list tables", why: "the store does not answer"))
                }
                return .table(
                    ResultTable(
                        columns: ["name", "rows", "partitions", "oldest", "ttl_hours"],
                        rows: tables.map {
                            [
                                .text($0.name), .uint($0.rows), .int(Int64($0.partitions)),
                                $0.oldest == 0 ? .null : .text(timeText(seconds: $0.oldest)), .int(Int64($0.ttlHours)),
                            ]
                        }))
            }
            providers.counters = { [self] in engine.withLock { $0.value }?.ownCounters() ?? [] }
            providers.status = { [self] in engine.withLock { $0.value }?.status() ?? EngineStatus() }
            return providers
        }
    }

    // MARK: - Life

    /// Starts everything; capture or replay runs in a thread of its own.
    /// - Parameter address: where `dfctl` and `dftop attach` find the engine; a failure to listen there is only noted.
    func start(address: EngineAddress?) throws {
        live.start()
        poller.start { [live] snapshot in live.update(platform: snapshot) }
        try receiver?.start()
        for collector in statistics { collector.start() }
        if let address {
            do {
                try server.start(on: address)
            } catch {
                note("dfctl cannot reach this process: \(error.why)")
            }
        }
        guard let pipeline else {
            state.withLock { $0.sources = receiver.map { ["port \($0.port)"] } ?? [] }
            return
        }
        if options.isReplay {
            state.withLock { $0.sources = options.replay }
        } else {
            // What cannot work is said before a screen opens.
            let interfaces = try options.config.pipeline.interfaces.resolve(NetworkInterface.all())
            state.withLock { $0.sources = interfaces.map(\.name) }
        }
        let thread = StageThread(name: "dispatcher") { [self] in run(pipeline) }
        state.withLock { $0.thread = thread }
    }

    private func run(_ pipeline: AgentPipeline) {
        do {
            if options.isReplay {
                let total = Double(options.replay.count)
                let done = Atomic<Int>(0)
                let troubles = try pipeline.replay(options.replay) { [self] progress in
                    guard let size = progress.totalBytes, size > 0 else { return }
                    let part = min(1, Double(progress.bytes) / Double(size))
                    if part >= 1 { done.wrappingAdd(1, ordering: .relaxed) }
                    let finished = Double(min(done.load(ordering: .relaxed), options.replay.count))
                    state.withLock { $0.progress = min(1, part >= 1 ? finished / total : (finished + part) / total) }
                }
                for (path, trouble) in troubles { note(CaptureTrouble(path: path, trouble: trouble).sentence) }
                try store.flush()
            } else {
                try pipeline.capture(onReady: { [self] interfaces in
                    state.withLock { $0.sources = interfaces.map(\.name) }
                })
            }
        } catch let error as any Explained {
            note(error.sentence)
            logger.error("the agent ended", metadata: ["why": "\(error.sentence)"])
            state.withLock { $0.failure = Failure(error.exitCode, what: error.what, why: error.why, mend: error.mend) }
        } catch {
            note("\(error)")
        }
        state.withLock { $0.isComplete = true }
    }

    /// Ends capture, hands on what is in the stages, commits, closes.
    func stop() {
        pipeline?.stop()
        state.withLock { $0.thread }?.join()
        for collector in statistics { collector.stop() }
        receiver?.stop()
        decoders?.stop()
        server.stop()
        poller.stop()
        ingester.flush()
        ingester.stop()
        live.stop()
        store.close()
        directory.dispose()
    }

    var failure: Failure? { state.withLock { $0.failure } }
    var isComplete: Bool { state.withLock { $0.isComplete } }

    private func note(_ sentence: String) {
        state.withLock { if $0.notes.count < 20, !$0.notes.contains(sentence) { $0.notes.append(sentence) } }
    }

    // MARK: - What it tells of itself

    private func status() -> EngineStatus {
        var status = EngineStatus()
        status.version = Main.version
        status.mode = pipeline == nil ? .server : options.isReplay ? .replay : .live
        status.pid = getpid()
        state.withLock {
            status.sources = $0.sources
            status.notes = $0.notes
            status.progress = $0.progress
            status.isComplete = $0.isComplete && options.isReplay
        }
        var losses: [EngineStatus.Loss] = []
        func lose(_ place: String, _ count: UInt64) {
            if count > 0 { losses.append(EngineStatus.Loss(place: place, count: count)) }
        }
        if let counters = pipeline?.counters() {
            for loss in counters.lostPackets + counters.lostRecords { lose(loss.place, loss.count) }
        }
        for queue in ingester.queues { lose("queue \(queue.name)", queue.counters.overwritten) }
        let ingested = ingester.counters
        lose("rows over the ingester's throttle", ingested.l4.dropped + ingested.l7.dropped)
        let stored = store.counters()
        lose("rows the store dropped", stored.rowsDropped)
        lose("rows lost by an earlier crash", stored.rowsLost)
        if let problem = stored.problem { status.notes.append(problem.sentence) }
        if let receiver { lose("frames that were invalid", receiver.counters.invalid) }
        status.losses = losses.sorted { $0.count > $1.count }
        return status
    }
}

/// A weak reference as a value.
struct Weak: Sendable {
    weak var value: Engine?

    init(_ value: Engine?) { self.value = value }
}

/// RFC 3339 in UTC, whole seconds.
func timeText(seconds: UInt64) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return
        "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
}
