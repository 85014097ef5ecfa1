import Model
import Synchronization

/// Hands every record to several sinks, in order.
final class FanOutSink: RecordSink {
    private let sinks: [any RecordSink]

    init(_ sinks: [any RecordSink]) { self.sinks = sinks }

    var wantsDocuments: Bool { sinks.contains { $0.wantsDocuments } }
    var wantsL7Logs: Bool { sinks.contains { $0.wantsL7Logs } }
    var wantsSecondFlows: Bool { sinks.contains { $0.wantsSecondFlows } }
    func send(documents: [Document]) { for sink in sinks { sink.send(documents: documents) } }
    func send(flowLogs: [TaggedFlow]) { for sink in sinks { sink.send(flowLogs: flowLogs) } }
    func send(l7Logs: [L7FlowLog]) { for sink in sinks { sink.send(l7Logs: l7Logs) } }
    func send(stats: [StatsRecord]) { for sink in sinks { sink.send(stats: stats) } }
    func observe(secondFlows: [TaggedFlow]) {
        for sink in sinks where sink.wantsSecondFlows { sink.observe(secondFlows: secondFlows) }
    }
    func flush() { for sink in sinks { sink.flush() } }
}

/// Counts records and drops them: for measuring the agent alone.
final class CountingSink: RecordSink {
    struct Totals: Sendable {
        var documents = 0
        var flowLogs = 0
        var l7Logs = 0
    }

    private let state = Mutex(Totals())
    var totals: Totals { state.withLock { $0 } }

    func send(documents: [Document]) { state.withLock { $0.documents += documents.count } }
    func send(flowLogs: [TaggedFlow]) { state.withLock { $0.flowLogs += flowLogs.count } }
    func send(l7Logs: [L7FlowLog]) { state.withLock { $0.l7Logs += l7Logs.count } }
}
