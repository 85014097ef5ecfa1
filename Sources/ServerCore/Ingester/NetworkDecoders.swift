package import Model
import Synchronization
import Wire

/// Decoders of payloads that a receiver has taken from agents. They end in the same decoders as records of this
/// process. Source: ingester.md 1, 3, 4, 5.
package final class NetworkDecoders: Sendable {
    /// Databases of other organisations do not exist in the embedded store. Source: ingester.md 3.
    static let knownOrg: UInt16 = 1

    private let queues: [OverwriteQueue<ReceivedPayload>]
    private let threads: [StageThread]

    /// Registers queues for all types that have tables, and starts their threads. Before `receiver.start()`. Frames of
    /// other types are counted by the receiver.
    package init(_ ingester: Ingester, receiver: Receiver) {
        let settings = ingester.settings
        let store = ingester.store
        let rows = ingester.rows
        let tally = ingester.tally
        var threads: [StageThread] = []
        var queues: [OverwriteQueue<ReceivedPayload>] = []

        func register<Decoder>(
            _ type: MessageType, decoders: Int, size: Int, decoder: @escaping @Sendable () -> Decoder,
            counters: @escaping @Sendable (inout IngesterCounters) -> Void,
            take: @escaping @Sendable (Decoder, ReceivedPayload) -> Void, tick: @escaping @Sendable (Decoder) -> Void,
            flush: @escaping @Sendable (Decoder) -> Void
        ) {
            let own = (0..<max(1, decoders)).map { _ in
                OverwriteQueue<ReceivedPayload>(name: Receiver.queueName(type), capacity: size)
            }
            receiver.register(type, queues: own)
            queues += own
            for queue in own {
                threads.append(
                    StageThread(name: "de-\(type.ingesterName)") {
                        NetworkDecoders.run(
                            queue, decoder: decoder(), tally: tally, countBad: counters, take: take, tick: tick,
                            flush: flush)
                    })
            }
        }

        register(
            .metrics, decoders: settings.metricsDecoders, size: settings.metricsQueueSize,
            decoder: { Ingester.metricsDecoder(store, rows, settings, tally) },
            counters: { $0.metrics.errors += 1 }, take: { $0.take(payload: $1.bytes, teamID: $1.teamID) },
            tick: { $0.flush() }, flush: { $0.flush() })
        register(
            .l4Log, decoders: settings.logDecoders, size: settings.logQueueSize,
            decoder: { Ingester.flowDecoder(store, rows, settings, tally, decoders: settings.logDecoders) },
            counters: { $0.l4.errors += 1 }, take: { $0.take(payload: $1.bytes, teamID: $1.teamID) },
            tick: { $0.tick() }, flush: { $0.flush() })
        register(
            .l7Log, decoders: settings.logDecoders, size: settings.logQueueSize,
            decoder: { Ingester.requestDecoder(store, rows, settings, tally, decoders: settings.logDecoders) },
            counters: { $0.l7.errors += 1 }, take: { $0.take(payload: $1.bytes, teamID: $1.teamID) },
            tick: { $0.tick() }, flush: { $0.flush() })
        for (type, isServer) in [(MessageType.agentStats, false), (.serverStats, true)] {
            register(
                type, decoders: settings.statsDecoders, size: settings.statsQueueSize,
                decoder: { Ingester.statsDecoder(store, settings, tally) },
                counters: { $0.stats.errors += 1 },
                take: { $0.take(payload: $1.bytes, teamID: $1.teamID, isServer: isServer) }, tick: { _ in },
                flush: { _ in })
        }
        for (type, isCompressed) in [(MessageType.openTelemetry, false), (.openTelemetryCompressed, true)] {
            register(
                type, decoders: settings.logDecoders, size: settings.logQueueSize,
                decoder: { Ingester.spanDecoder(store, rows, settings, tally, decoders: settings.logDecoders) },
                counters: { $0.openTelemetry.errors += 1 },
                take: {
                    $0.take(
                        payload: $1.bytes, isCompressed: isCompressed, agentID: $1.agentID, teamID: $1.teamID)
                }, tick: { $0.tick() }, flush: { $0.flush() })
        }
        let emit: @Sendable (RowBatch) -> Void = { store.write($0) }
        let platform: @Sendable () -> PlatformData = { rows.platformSnapshot() }
        register(
            .prometheus, decoders: 1, size: settings.externalQueueSize,
            decoder: {
                PrometheusDecoder(tally: tally, names: store.prometheusNames, platform: platform, emit: emit)
            },
            counters: { $0.prometheus.errors += 1 },
            take: { $0.take(payload: $1.bytes, agentID: $1.agentID, teamID: $1.teamID) }, tick: { _ in },
            flush: { _ in })
        register(
            .telegraf, decoders: settings.externalDecoders, size: settings.externalQueueSize,
            decoder: { TelegrafDecoder(tally: tally, platform: platform, emit: emit) },
            counters: { $0.telegraf.errors += 1 },
            take: { $0.take(payload: $1.bytes, agentID: $1.agentID, teamID: $1.teamID) }, tick: { _ in },
            flush: { _ in })
        register(
            .profile, decoders: settings.externalDecoders, size: settings.externalQueueSize,
            decoder: { ProfileDecoder(tally: tally, platform: platform, emit: emit) },
            counters: { $0.profile.errors += 1 },
            take: { $0.take(payload: $1.bytes, agentID: $1.agentID, teamID: $1.teamID) }, tick: { _ in },
            flush: { _ in })
        register(
            .procEvent, decoders: settings.externalDecoders, size: settings.externalQueueSize,
            decoder: { EventDecoder(tally: tally, ids: rows.eventIDs, platform: platform, emit: emit) },
            counters: { $0.procEvent.errors += 1 },
            take: { $0.take(payload: $1.bytes, agentID: $1.agentID, teamID: $1.teamID) }, tick: { $0.tick() },
            flush: { $0.flush() })
        register(
            .k8sEvent, decoders: 1, size: settings.externalQueueSize,
            decoder: { EventDecoder(tally: tally, ids: rows.eventIDs, platform: platform, emit: emit) },
            counters: { $0.k8sEvent.errors += 1 },
            take: { $0.takeKubernetes(payload: $1.bytes, agentID: $1.agentID, teamID: $1.teamID) },
            tick: { _ in }, flush: { _ in })
        for type in [MessageType.agentLog, .syslog] {
            register(
                type, decoders: settings.externalDecoders, size: settings.externalQueueSize,
                decoder: { TextLogDecoder(tally: tally, ids: rows.logIDs, platform: platform, emit: emit) },
                counters: { $0.agentLog.errors += 1 },
                take: { $0.takeAgentLog(payload: $1.bytes, agentID: $1.agentID, teamID: $1.teamID) },
                tick: { _ in }, flush: { _ in })
        }
        register(
            .applicationLog, decoders: settings.externalDecoders, size: settings.externalQueueSize,
            decoder: { TextLogDecoder(tally: tally, ids: rows.logIDs, platform: platform, emit: emit) },
            counters: { $0.applicationLog.errors += 1 },
            take: { $0.takeApplicationLog(payload: $1.bytes, agentID: $1.agentID, teamID: $1.teamID) },
            tick: { _ in }, flush: { _ in })
        register(
            .rawPcap, decoders: settings.externalDecoders, size: settings.externalQueueSize,
            decoder: { PacketBatchDecoder(tally: tally, emit: emit) },
            counters: { $0.rawPcap.errors += 1 },
            take: { $0.take(payload: $1.bytes, agentID: $1.agentID, teamID: $1.teamID) }, tick: { _ in },
            flush: { _ in })
        self.queues = queues
        self.threads = threads
    }

    private static func run<Decoder>(
        _ queue: OverwriteQueue<ReceivedPayload>, decoder: Decoder, tally: IngesterTally,
        countBad: (inout IngesterCounters) -> Void, take: (Decoder, ReceivedPayload) -> Void, tick: (Decoder) -> Void,
        flush: (Decoder) -> Void
    ) {
        var tickedNs = monotonicNs()
        while true {
            switch queue.receive(max: 64, timeoutMs: 1000) {
            case .items(let payloads):
                for payload in payloads {
                    // Frames of the shortest header name none.
                    guard payload.orgID == knownOrg || payload.type == .syslog else {
                        tally.add { $0.unknownOrg += 1 }
                        continue
                    }
                    guard !payload.isDamaged else {
                        tally.add(countBad)
                        continue
                    }
                    take(decoder, payload)
                }
            case .timedOut: break
            case .terminated: return flush(decoder)
            }
            let now = monotonicNs()
            if now &- tickedNs >= 1_000_000_000 {
                tick(decoder)
                tickedNs = now
            }
        }
    }

    /// Decodes what waits and ends. After `receiver.stop()`.
    package func stop() {
        for queue in queues { queue.close() }
        for thread in threads { thread.join() }
    }

    /// Counters of the decode queues, by name; payloads are counted, not records.
    package var states: [(name: String, counters: QueueCounters, waiting: Int)] {
        queues.map { queue in
            let snapshot = queue.snapshot()
            return (queue.name, snapshot.totals, snapshot.waiting)
        }
    }
}
