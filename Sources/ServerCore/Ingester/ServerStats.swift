package import Model
import Wire

/// The ingester's own counters as statistics of a server: what was counted since the last reading.
/// Source: ingester.md 6.2, 10; wire.md 8.
///
/// Counters of the store are those of its one writer. Times of decoders are not measured and so absent.
package struct ServerStats: Sendable {
    /// What the parts of a server have counted since their start.
    package struct Sources: Sendable {
        package var ingester = IngesterCounters()
        package var receiver: ReceiverCounters?
        package var store = StoreCounters()
        package var queues: [(name: String, counters: QueueCounters, waiting: Int)] = []

        package init() {}
    }

    private typealias Metric = StatsRecord.Metric

    private static let prefix = "deepflow_server_ingester_"
    private var last = Sources()

    package init() {}

    package mutating func records(_ now: Sources) -> [StatsRecord] {
        defer { last = now }
        var records: [StatsRecord] = []
        for (type, path) in IngesterCounters.decoders {
            let (sum, before) = (now.ingester[keyPath: path], last.ingester[keyPath: path])
            records.append(
                ServerStats.record(
                    "decoder", [("msg_type", type), ("thread", "0")],
                    [
                        ("count", sum.records &- before.records), ("drop_count", sum.dropped &- before.dropped),
                        ("err_count", sum.errors &- before.errors), ("raw_count", sum.payloads &- before.payloads),
                    ]))
        }
        records.append(
            ServerStats.record(
                "unmarshaller", [("thread", "0")],
                [
                    ("doc_count", now.ingester.metrics.records &- last.ingester.metrics.records),
                    ("drop_doc_count", now.ingester.metrics.dropped &- last.ingester.metrics.dropped),
                    ("err_doc_count", now.ingester.metrics.errors &- last.ingester.metrics.errors),
                    ("expired_doc_count", now.ingester.expiredDocuments &- last.ingester.expiredDocuments),
                    ("future_doc_count", now.ingester.futureDocuments &- last.ingester.futureDocuments),
                ]))
        records.append(
            ServerStats.record(
                "ckwriter", [("name", "sqlite"), ("table", "all"), ("thread", "0")],
                [
                    ("org_invalid_count", now.ingester.unknownOrg &- last.ingester.unknownOrg),
                    ("retry_count", now.store.retries &- last.store.retries),
                    ("write_failed_count", now.store.rowsDropped &- last.store.rowsDropped),
                    ("write_success_count", now.store.rowsWritten &- last.store.rowsWritten),
                ]))
        if let receiver = now.receiver {
            let before = last.receiver ?? ReceiverCounters()
            // The name is the reference's.
            records.append(
                ServerStats.record(
                    "recviver", [],
                    [
                        ("invalid", receiver.invalid &- before.invalid),
                        ("rx_packets", receiver.rxPackets &- before.rxPackets),
                        ("unregistered", receiver.unregistered &- before.unregistered),
                    ]))
            // Types without a decoder: what they brought is counted, and dropped.
            for (type, frames) in receiver.unregisteredTypes.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                let count = frames &- (before.unregisteredTypes[type] ?? 0)
                records.append(
                    ServerStats.record(
                        "decoder", [("msg_type", type.ingesterName), ("thread", "0")],
                        [("count", 0), ("drop_count", count), ("err_count", 0), ("raw_count", count)]))
            }
        }
        for (index, queue) in now.queues.enumerated() {
            // Several decoders of a kind have queues of one name, always in the same order.
            let before = index < last.queues.count ? last.queues[index].counters : QueueCounters()
            records.append(
                ServerStats.record(
                    "queue", [("index", "\(index)"), ("module", queue.name)],
                    [
                        ("in", queue.counters.in &- before.in), ("out", queue.counters.out &- before.out),
                        ("overwritten", queue.counters.overwritten &- before.overwritten),
                        ("pending", UInt64(clamping: queue.waiting)),
                    ]))
        }
        return records
    }

    private static func record(
        _ module: String, _ tags: [(name: String, value: String)], _ counters: [(name: String, value: UInt64)]
    ) -> StatsRecord {
        StatsRecord(
            prefix + module, tags: tags.map { .init($0.name, $0.value) },
            metrics: counters.map { Metric($0.name, Double($0.value)) })
    }
}
