import Model

/// An L7 entry with its flow's facts, for the queues between threads.
package struct AppMeterItem: Sendable {
    var entry: AppEntry
    var flow: FlowFacts
    var ends: FlowEnds?
    var portSrc: UInt16
    var endpoint: String
    var isImmediate: Bool

    /// Hands the entry on.
    func send<Sink: AppMeterSink & ~Copyable>(to sink: inout Sink) {
        withUnsafePointer(to: flow) { facts in
            withUnsafePointer(to: ends ?? FlowEnds()) { ends in
                let view = AppFlowView(facts: facts, ends: self.ends == nil ? nil : ends, portSrc: portSrc)
                withUnsafePointer(to: entry) {
                    sink.add($0, view, endpoint: endpoint, isImmediate: isImmediate)
                }
            }
        }
    }
}

/// Hands a generator's slots to a queue.
struct SlotQueuer: ~Copyable, MeterSink {
    private let queue: OverwriteQueue<FilledSlot>

    init(_ queue: OverwriteQueue<FilledSlot>) { self.queue = queue }

    mutating func take(_ slot: FilledSlot) { queue.put([slot]) }
}

/// Collects what an L7 generator flushes into batches of at most 1024 for a queue.
struct AppMeterBatcher: ~Copyable, AppMeterSink {
    private let queue: OverwriteQueue<[AppMeterItem]>
    private var batch: [AppMeterItem] = []

    init(_ queue: OverwriteQueue<[AppMeterItem]>) { self.queue = queue }

    mutating func add(_ entry: UnsafePointer<AppEntry>, _ flow: AppFlowView, endpoint: String, isImmediate: Bool) {
        batch.append(
            AppMeterItem(
                entry: entry.pointee, flow: flow.facts.pointee, ends: flow.ends?.pointee, portSrc: flow.portSrc,
                endpoint: endpoint, isImmediate: isImmediate))
        if batch.count == 1024 { flush() }
    }

    mutating func flush() {
        guard !batch.isEmpty else { return }
        queue.put([batch])
        batch = []
    }
}
