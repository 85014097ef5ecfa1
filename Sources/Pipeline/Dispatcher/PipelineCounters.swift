package import Model

/// What an agent's parts have counted, as one value; taken now and then for screens and statistics.
package struct PipelineCounters: Sendable {
    package var dispatcher = Dispatcher.Counters()
    package var flowMap = FlowMap.Counters()
    package var concurrentFlows = 0
    package var sessions = SessionAggregator.Counters()
    /// Readings of the metrics stages since they were last taken.
    package var stages: [StageReading] = []
    package var queues: [(name: String, totals: QueueCounters, waiting: Int, capacity: Int)] = []

    package init() {}
}
