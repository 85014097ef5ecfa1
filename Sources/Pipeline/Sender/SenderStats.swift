package import Model
import Wire

/// What the senders have done since the last reading. Source: wire.md 5.5, tables/agent_counters.tsv.
extension SenderSink {
    /// `collect_sender` of each message type, and the queues in front of them.
    package func takeStats() -> [StatsRecord] {
        takeStats(documents) + takeStats(flows) + takeStats(l7) + takeStats(stats)
    }

    private func takeStats<Record>(_ sender: UniformSender<Record>) -> [StatsRecord] {
        let sent = sender.takeCounters()
        let type = sender.type.agentName ?? sender.type.ingesterName
        return [
            StatsRecord(
                module: "collect_sender", tags: [.init("type", type)],
                [
                    .init("rx", counted: sent.rx), .init("tx", counted: sent.tx),
                    .init("tx-bytes", counted: sent.txBytes),
                    .init("compression-ratio", sent.compressionRatio), .init("dropped", counted: sent.dropped),
                    .init("waited", counted: sent.waited),
                ]),
            StatsRecord(
                queue: sender.queue.name, index: "0", sender.queue.takeCounters(), since: QueueCounters()),
        ]
    }
}
