/// The one seam between agent and server: what the agent's pipeline has made, in batches, in order.
///
/// Implemented by the uniform senders (network), the in-process hand-over to the ingester, and by `dftop print`.
/// Called from the pipeline's stage threads, each kind from one thread at a time. An implementation must not block
/// on a slow consumer in live mode: it queues, and drops the oldest with a count. Source: design.md 4.
package protocol RecordSink: AnyObject, Sendable {
    /// Per-second (flag bit 0) and per-minute documents.
    func send(documents: [Document])
    /// One-minute flow logs after the throttle.
    func send(flowLogs: [TaggedFlow])
    /// Joined sessions and unpaired messages after the throttle.
    func send(l7Logs: [L7FlowLog])
    /// Counters of the agent itself, about every ten seconds. Most sinks ignore them.
    func send(stats: [StatsRecord])
    /// Whether documents are to be made at all; asked once, when the stages are set up.
    var wantsDocuments: Bool { get }
    /// Whether requests are to be joined and logged at all; asked once. The counters of flows and documents do not depend on it.
    var wantsL7Logs: Bool { get }
    /// Whether `observe(secondFlows:)` is to be called at all.
    var wantsSecondFlows: Bool { get }
    /// Per-second flow records as they leave the flow table; for live screens and `--interval 1s`. Most sinks ignore them.
    func observe(secondFlows: [TaggedFlow])
    /// Hands on whatever is buffered; called at the end of a replay and at shutdown.
    func flush()
}

extension RecordSink {
    package var wantsDocuments: Bool { true }
    package var wantsL7Logs: Bool { true }
    package var wantsSecondFlows: Bool { false }
    package func send(stats: [StatsRecord]) {}
    package func observe(secondFlows: [TaggedFlow]) {}
    package func flush() {}
}
