import Model

/// An L7 entry with its flow's facts, for the queues between threads.
package struct AppMeterItem: Sendable {
    var entry: AppEntry
    var flow: MiniFlow
    var endpoint: String
    var isImmediate: Bool
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

    mutating func add(
        _ entry: UnsafePointer<AppEntry>, _ flow: UnsafePointer<MiniFlow>, endpoint: String, isImmediate: Bool
    ) {
        batch.append(
            AppMeterItem(entry: entry.pointee, flow: flow.pointee, endpoint: endpoint, isImmediate: isImmediate))
        if batch.count == 1024 { flush() }
    }

    mutating func flush() {
        guard !batch.isEmpty else { return }
        queue.put([batch])
        batch = []
    }
}
