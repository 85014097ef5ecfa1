import Capture
import Model
import Pipeline
import ServerCore
import Synchronization
import Wire

/// What the engine tells of its own parts, for the Self view and `dfctl show counters`.
extension Engine {
    func ownCounters() -> [OwnCounter] {
        var out: [OwnCounter] = []
        if let counters = pipeline?.counters() { addPipeline(counters, to: &out) }
        for queue in ingester.queues + (decoders?.states ?? []) {
            out.append(
                OwnCounter(
                    group: "ingester", name: queue.name, in: queue.counters.in, out: queue.counters.out,
                    dropped: queue.counters.overwritten, pending: UInt64(queue.waiting)))
        }
        let ingested = ingester.counters
        for (type, path) in IngesterCounters.decoders {
            let counters = ingested[keyPath: path]
            out.append(
                OwnCounter(
                    group: "ingester", name: "decoder \(type)", in: counters.records, out: counters.rows,
                    dropped: counters.dropped,
                    note: counters.errors > 0 ? "\(counters.errors) errors" : ""))
        }
        if let receiver {
            let counters = receiver.counters
            out.append(
                OwnCounter(
                    group: "receiver", name: "ingester_recviver", in: counters.rxPackets + counters.rxDatagrams,
                    out: counters.rxPackets + counters.rxDatagrams, dropped: counters.invalid + counters.refusedFrames,
                    note: "\(receiver.agents.count) agent entries"))
        }
        for (type, frames) in (receiver?.counters.unregisteredTypes ?? [:]).sorted(by: {
            $0.key.rawValue < $1.key.rawValue
        }) {
            out.append(
                OwnCounter(
                    group: "receiver", name: "frames \(type.ingesterName)", in: frames, dropped: frames,
                    note: "this type is not stored"))
        }
        let stored = store.counters()
        out.append(
            OwnCounter(
                group: "store", name: "writer", in: stored.rowsWritten + stored.rowsDropped + stored.rowsWaiting,
                out: stored.rowsWritten, dropped: stored.rowsDropped + stored.rowsLost, pending: stored.rowsWaiting,
                note: "\(stored.commits) commits, \(stored.bytesUsed >> 20) MiB"))
        return out
    }

    private func addPipeline(_ counters: PipelineCounters, to out: inout [OwnCounter]) {
        var stats = PipelineStats()
        let records = stats.records(counters)
        /// All counters of the first record of a module whose tags have these values: kinds, queues, dispatchers.
        func named(_ module: String, _ values: String...) -> [StatsRecord.Metric] {
            records.first { record in
                record.module == module && values.allSatisfy { value in record.tags.contains { $0.value == value } }
            }?.metrics ?? []
        }
        for reading in counters.dispatchers {
            // The only one needs no number.
            let number = counters.dispatchers.count > 1 ? " \(reading.number)" : ""
            let id = "\(reading.number)"
            out.append(captureCounter("dispatcher\(number)", reading.dispatcher, named("dispatcher", id)))
            if let queue = reading.queue {
                out.append(queueCounter(queue, named("queue", queue.name, id), number))
            }
            let flows = reading.flowMap
            out.append(
                OwnCounter(
                    group: "flow", name: "flow-map packets\(number)",
                    in: flows.packets + flows.dropByWindow + flows.dropByCapacity,
                    out: flows.packets, dropped: flows.dropByWindow + flows.dropByCapacity,
                    note: "invalid TCP \(flows.perf.invalidPackets), unknown L7 \(flows.perf.unknownL7Protocol)",
                    counters: named("flow_perf", id)))
            out.append(
                OwnCounter(
                    group: "flow", name: "flow-map flows\(number)", in: flows.new, out: flows.closed,
                    pending: UInt64(max(0, reading.concurrentFlows)),
                    capacity: UInt64(clamping: options.config.pipeline.flow.concurrentFlowLimit),
                    counters: named("flow_map", id)))
        }
        let sessions = counters.sessions
        out.append(
            OwnCounter(
                group: "l7", name: "l7_session_aggr", in: sessions.receive, out: sessions.receive &- sessions.merge,
                dropped: sessions.throttleDrop + sessions.overLimit, pending: UInt64(clamping: sessions.cached),
                note: "merged \(sessions.merge)", counters: named("l7_session_aggr")))
        for stage in counters.stages {
            let pairs = stage.counters.map { ($0.name, $0.value) }
            let values = Dictionary(pairs, uniquingKeysWith: { first, _ in first })
            let drops = stage.counters.filter { $0.name.hasPrefix("drop") }.reduce(UInt64(0)) { $0 &+ $1.value }
            out.append(
                OwnCounter(
                    group: "metrics", name: stage.kind.isEmpty ? stage.module : "\(stage.module) \(stage.kind)",
                    in: values["in"] ?? 0, out: values["out"] ?? 0, dropped: drops,
                    pending: values["stash-len"] ?? values["stash-total-len"] ?? 0,
                    capacity: values["stash-capacity"] ?? values["stash-total-capacity"] ?? 0,
                    counters: stage.kind.isEmpty ? named(stage.module) : named(stage.module, stage.kind)))
        }
        for queue in counters.queues {
            let reading = QueueReading(
                name: queue.name, totals: queue.totals, waiting: queue.waiting, capacity: queue.capacity)
            out.append(queueCounter(reading, named("queue", queue.name)))
        }
    }

    /// - Parameter number: of its dispatcher, where there are several.
    private func queueCounter(
        _ queue: QueueReading, _ named: [StatsRecord.Metric], _ number: String = ""
    ) -> OwnCounter {
        OwnCounter(
            group: "queue", name: queue.name + number, in: queue.totals.in, out: queue.totals.out,
            dropped: queue.totals.overwritten, pending: UInt64(queue.waiting), capacity: UInt64(queue.capacity),
            counters: named)
    }

    private func captureCounter(
        _ name: String, _ counters: Dispatcher.Counters, _ named: [StatsRecord.Metric]
    ) -> OwnCounter {
        let received = counters.receive
        let unread = received.tooShort + counters.invalidPackets + counters.unknownLinks
        var notes = ["packets; invalid \(unread), retired \(counters.retired)"]
        if received.kernel.freezes > 0 { notes.append("ring full \(received.kernel.freezes) times") }
        if received.getTokenFailed > 0 { notes.append("held back by max_capture_pps \(received.getTokenFailed) ms") }
        if received.errors > 0 { notes.append("\(received.errors) faults") }
        return OwnCounter(
            group: "capture", name: name, in: counters.rx + received.tooShort + received.kernel.drops,
            out: counters.rx, dropped: received.kernel.drops + counters.retired + unread,
            note: notes.joined(separator: ", "), counters: named)
    }
}

extension StatsCollector {
    /// Of a server's ingester and what feeds it.
    convenience init(
        of ingester: Ingester, _ receiver: Receiver?, _ decoders: NetworkDecoders?, settings: Settings
    ) {
        self.init(settings: settings) { ingester.send(serverStats: $0) }
        let stats = Mutex(ServerStats())
        register("ingester") {
            var sources = ServerStats.Sources()
            sources.ingester = ingester.counters
            sources.receiver = receiver?.counters
            sources.store = ingester.storeCounters
            sources.queues = ingester.queues + (decoders?.states ?? [])
            return stats.withLock { $0.records(sources) }
        }
    }
}
