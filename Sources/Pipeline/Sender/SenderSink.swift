package import Logging
package import Model
package import Wire

/// The record sink of an agent that reports over the network: four queues, four senders. Source: wire.md 5,
/// agent-flow.md 1.
///
/// Live it never blocks: a full queue overwrites its oldest records and counts them. In a replay it waits for room, and
/// the first failed connect or write ends the sending with an error that `finish` throws.
package final class SenderSink: RecordSink {
    package struct Settings: Sendable {
        package var destination: Destination
        package var identity = FrameIdentity()
        package var isReplay = false
        /// `outputs.socket.multiple_sockets_to_ingester`.
        package var hasOwnConnections = false
        /// `outputs.compression.l4_flow_log`.
        package var compressesFlows = false
        /// `outputs.compression.l7_flow_log`.
        package var compressesL7 = true
        /// `global.communication.max_throughput_to_ingester`, Mbit/s; 0 = off. Not applied to a replay.
        package var maxThroughputMbps: UInt64 = 100
        /// `global.communication.ingester_traffic_overflow_action`.
        package var overflow = SenderShared.Overflow.wait
        /// `outputs.flow_metrics.tunning.sender_queue_size`.
        package var documentQueueSize = 65536
        /// Trap: `processors.flow_log.tunning.flow_generator_queue_size`, not a sender's key.
        package var flowQueueSize = 65536
        /// `outputs.flow_log.tunning.collector_queue_size`.
        package var l7QueueSize = 65536
        package var link = DataLink.Settings()
        /// How long `finish` waits for the server to have read everything.
        package var finishTimeoutMs = 10_000

        package init(destination: Destination) {
            self.destination = destination
        }
    }

    package let documents: UniformSender<Document>
    package let flows: UniformSender<TaggedFlow>
    package let l7: UniformSender<L7FlowLog>
    package let stats: UniformSender<StatsRecord>
    /// Also for further senders of the same agent.
    package let shared: SenderShared
    private let settings: Settings

    package init(
        _ settings: Settings, logger: Logger = Logger(label: "dftop.sender"),
        raise: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) {
        self.settings = settings
        var link = settings.link
        if settings.isReplay { link.backsOff = false }
        shared = SenderShared(
            links: SenderLinks(
                destination: settings.destination, isMultiple: settings.hasOwnConnections, settings: link,
                logger: logger),
            limiter: ThroughputLimiter(
                megabits: settings.isReplay ? 0 : settings.maxThroughputMbps, nowNs: monotonicNs()),
            identity: settings.identity, overflow: settings.overflow, isReplay: settings.isReplay, logger: logger,
            raise: raise)
        documents = UniformSender(
            type: .metrics,
            queue: OverwriteQueue(name: "3-doc-to-collector-sender", capacity: settings.documentQueueSize),
            isCompressing: false, shared: shared)
        flows = UniformSender(
            type: .l4Log,
            queue: OverwriteQueue(name: "3-flowlog-to-collector-sender", capacity: settings.flowQueueSize),
            isCompressing: settings.compressesFlows, shared: shared)
        l7 = UniformSender(
            type: .l7Log,
            queue: OverwriteQueue(name: "2-protolog-to-collector-sender", capacity: settings.l7QueueSize),
            isCompressing: settings.compressesL7, shared: shared)
        stats = UniformSender(
            type: .agentStats, queue: OverwriteQueue(name: "0-stats-to-sender", capacity: 4096), group: .s,
            isCompressing: false, shared: shared)
    }

    /// Starts the senders. A replay connects first.
    /// - Throws: in a replay, when the server cannot be reached.
    package func start() throws(Failure) {
        if settings.isReplay {
            switch shared.links.link(.own(queue: documents.queue.name)).connectNow() {
            case .sent: break
            case .notConnected:
                throw .unreachable(settings.destination, "no destination is set")
            case .connectFailed(let why), .writeFailed(let why):
                throw .unreachable(settings.destination, why)
            }
        }
        documents.start()
        flows.start()
        l7.start()
        stats.start()
    }

    package func send(documents batch: [Document]) { put(batch, documents.queue) }
    package func send(flowLogs batch: [TaggedFlow]) { put(batch, flows.queue) }
    package func send(l7Logs batch: [L7FlowLog]) { put(batch, l7.queue) }
    package func send(stats batch: [StatsRecord]) { put(batch, stats.queue) }

    private func put<Record>(_ batch: [Record], _ queue: OverwriteQueue<Record>) {
        guard settings.isReplay else { return queue.put(batch) }
        if shared.failure != nil || !queue.putWaiting(batch) { shared.lose(batch.count) }
    }

    /// Lets the senders send what they hold without waiting for silence.
    package func flush() {
        documents.queue.wake()
        flows.queue.wake()
        l7.queue.wake()
        stats.queue.wake()
    }

    /// Sends everything that was queued, waits until the server has read it, and closes.
    /// - Throws: in a replay, the failure that made records be lost; live, losses are only counted.
    package func finish() throws(Failure) {
        documents.queue.close()
        flows.queue.close()
        l7.queue.close()
        stats.queue.close()
        if !settings.isReplay { for link in shared.links.all { link.stop() } }
        documents.finish()
        flows.finish()
        l7.finish()
        stats.finish()
        for link in shared.links.all {
            let trouble = link.finish(timeoutMs: settings.finishTimeoutMs)
            if let trouble, settings.isReplay { shared.fail(.unreachable(link.destination, trouble)) }
        }
        if let failure = shared.failure { throw failure }
    }

    /// Records that a failed replay could not hand on; those in flight when the connection broke are not among them.
    package var lost: UInt64 { shared.lost }
}
