package import Model

/// The ingester: records from agents, over the network or from this process, to rows in the store.
///
/// In one process the pipeline hands its records to `send`, as values; over the network a `Receiver` fills the decode
/// queues with payloads (`NetworkDecoders`). Both ways end in the same decoders. Source: ingester.md 1, 4, 5.
package final class Ingester: RecordSink {
    package struct Settings: Sendable {
        /// Rows a second that each of the log tables may take, all decoders together; 0 switches sampling off.
        /// Source: ingester.md 5.5.
        package var throttle = 50_000
        /// Own limits of the two kinds when not 0.
        package var l4Throttle = 0
        package var l7Throttle = 0
        package var throttleBucketSeconds: UInt64 = 3
        /// Threads a kind. Source: ingester.md 1.
        package var metricsDecoders = 4
        package var logDecoders = 2
        package var metricsQueueSize = 10_240
        package var logQueueSize = 4096
        package var statsDecoders = 2
        package var statsQueueSize = 4096
        /// Of each type that agents take from others or make themselves: points, samples, profiles, events, logs, packets.
        package var externalDecoders = 2
        package var externalQueueSize = 4096
        /// Second documents are not stored (`disable-second-write`).
        package var dropsSecondDocuments = false
        /// Nothing is dropped: producers wait for the store, and sampling is off. For replays.
        package var isReplay = false

        package init() {}

        /// One decoder a kind: an agent in the same process.
        package static var embedded: Settings {
            var settings = Settings()
            settings.metricsDecoders = 1
            settings.logDecoders = 1
            settings.statsDecoders = 1
            settings.externalDecoders = 1
            return settings
        }

        package static var replay: Settings {
            var settings = embedded
            settings.isReplay = true
            settings.throttle = 0
            return settings
        }
    }

    let settings: Settings
    let store: any Store
    package let rows: RowMaker
    let tally = IngesterTally()
    private let documents: DecodeStage<Document>
    private let flows: DecodeStage<TaggedFlow>
    private let requests: DecodeStage<L7FlowLog>
    private let stats: DecodeStage<StatsRecord>

    package init(store: any Store, rows: RowMaker = RowMaker(), settings: Settings = .embedded) {
        self.settings = settings
        self.store = store
        self.rows = rows
        let tally = self.tally
        documents = DecodeStage(
            name: "in-metrics", capacity: settings.metricsQueueSize,
            decoder: { Ingester.metricsDecoder(store, rows, settings, tally) },
            take: { $0.take($1, teamID: 1) }, tick: { $0.flush() })
        flows = DecodeStage(
            name: "in-l4", capacity: settings.logQueueSize,
            decoder: { Ingester.flowDecoder(store, rows, settings, tally, decoders: 1) },
            take: { $0.take($1, teamID: 1) }, tick: { $0.tick() }, flush: { $0.flush() })
        requests = DecodeStage(
            name: "in-l7", capacity: settings.logQueueSize,
            decoder: { Ingester.requestDecoder(store, rows, settings, tally, decoders: 1) },
            take: { $0.take($1, teamID: 1) }, tick: { $0.tick() }, flush: { $0.flush() })
        stats = DecodeStage(
            name: "in-stats", capacity: settings.statsQueueSize,
            decoder: { Ingester.statsDecoder(store, settings, tally) },
            take: { $0.take($1, teamID: 1, isServer: false) }, tick: { _ in })
    }

    package func send(documents batch: [Document]) { documents.put(batch, waiting: settings.isReplay) }
    package func send(flowLogs batch: [TaggedFlow]) { flows.put(batch, waiting: settings.isReplay) }
    package func send(l7Logs batch: [L7FlowLog]) { requests.put(batch, waiting: settings.isReplay) }
    package func send(stats batch: [StatsRecord]) { stats.put(batch, waiting: settings.isReplay) }

    /// Statistics of this server itself. They are few and the store never blocks: no queue.
    package func send(serverStats batch: [StatsRecord]) {
        Ingester.statsDecoder(store, settings, tally).take(batch, teamID: 1, isServer: true)
    }

    /// Returns when everything sent before has gone to the store; the store's own `flush` commits it.
    package func flush() {
        documents.flush()
        flows.flush()
        requests.flush()
        stats.flush()
    }

    /// Ends the in-process decoders after what they hold. The store stays open.
    package func stop() {
        documents.stop()
        flows.stop()
        requests.stop()
        stats.stop()
    }

    package var counters: IngesterCounters { tally.snapshot }

    package var storeCounters: StoreCounters { store.counters() }

    /// Counters of the in-process decode queues, by name; batches are counted, not records.
    package var queues: [(name: String, counters: QueueCounters, waiting: Int)] {
        [documents.state, flows.state, requests.state, stats.state]
    }

    // MARK: Decoders

    static func metricsDecoder(
        _ store: any Store, _ rows: RowMaker, _ settings: Settings, _ tally: IngesterTally
    ) -> MetricsDecoder {
        MetricsDecoder(
            dropsSecondDocuments: settings.dropsSecondDocuments, tally: tally, platform: rows.platformSnapshot,
            emit: { settings.isReplay ? store.writeWaiting($0) : store.write($0) })
    }

    static func statsDecoder(_ store: any Store, _ settings: Settings, _ tally: IngesterTally) -> StatsDecoder {
        StatsDecoder(tally: tally, emit: { settings.isReplay ? store.writeWaiting($0) : store.write($0) })
    }

    static func flowDecoder(
        _ store: any Store, _ rows: RowMaker, _ settings: Settings, _ tally: IngesterTally, decoders: Int
    ) -> LogDecoder<TaggedFlow, L4FlowLogRow> {
        LogDecoder(
            capacity: capacity(settings, own: settings.l4Throttle, decoders: decoders),
            bucketSeconds: settings.throttleBucketSeconds, counters: \.l4, tally: tally,
            platform: rows.platformSnapshot, bypasses: { $0.bypassesThrottle },
            makeRow: { rows.row($0, teamID: $1, platform: $2) },
            emit: { settings.isReplay ? store.writeWaiting(.flows($0)) : store.write(.flows($0)) })
    }

    static func requestDecoder(
        _ store: any Store, _ rows: RowMaker, _ settings: Settings, _ tally: IngesterTally, decoders: Int
    ) -> LogDecoder<L7FlowLog, L7FlowLogRow> {
        LogDecoder(
            capacity: capacity(settings, own: settings.l7Throttle, decoders: decoders),
            bucketSeconds: settings.throttleBucketSeconds, counters: \.l7, tally: tally,
            platform: rows.platformSnapshot, bypasses: { _ in false },
            makeRow: { rows.row($0, teamID: $1, platform: $2) },
            emit: { settings.isReplay ? store.writeWaiting(.requests($0)) : store.write(.requests($0)) })
    }

    static func spanDecoder(
        _ store: any Store, _ rows: RowMaker, _ settings: Settings, _ tally: IngesterTally, decoders: Int
    ) -> SpanDecoder {
        SpanDecoder(
            log: LogDecoder(
                capacity: capacity(settings, own: 0, decoders: decoders),
                bucketSeconds: settings.throttleBucketSeconds, counters: \.openTelemetry, tally: tally,
                platform: rows.platformSnapshot, bypasses: { _ in false },
                makeRow: { rows.row($0, teamID: $1, platform: $2) }, emit: { store.write(.requests($0)) }))
    }

    private static func capacity(_ settings: Settings, own: Int, decoders: Int) -> Int? {
        let rate = own != 0 ? own : settings.throttle
        guard rate > 0, !settings.isReplay else { return nil }
        return max(1, rate / max(1, decoders)) * Int(settings.throttleBucketSeconds)
    }
}
