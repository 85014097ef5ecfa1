import Model

/// A quadruple with its parts as a value, for the queues between threads.
package struct QuadrupleItem: BitwiseCopyable, Sendable {
    private var entry: FlowMeterWithFlow
    private var performance: PerformancePart
    private var anomaly: AnomalyPart
    private var l7: L7Part

    init(_ view: QuadrupleView) {
        entry = view.entry.pointee
        performance = view.performance?.pointee ?? PerformancePart()
        anomaly = view.anomaly?.pointee ?? AnomalyPart()
        l7 = view.l7?.pointee ?? L7Part()
    }

    /// Shows the item as the generator showed it. - Parameter body: must not keep the view.
    static func show(_ item: UnsafePointer<QuadrupleItem>, _ body: (QuadrupleView) -> Void) {
        guard let entry = item.pointer(to: \.entry) else { return }
        let none = FlowMeterWithFlow.none
        body(
            QuadrupleView(
                entry: entry,
                performance: item.pointee.entry.performance == none ? nil : item.pointer(to: \.performance),
                anomaly: item.pointee.entry.anomaly == none ? nil : item.pointer(to: \.anomaly),
                l7: item.pointee.entry.l7 == none ? nil : item.pointer(to: \.l7)))
    }
}

/// An L7 entry with its flow's facts, for the queues between threads.
package struct AppMeterItem: Sendable {
    var entry: AppMeterWithFlow
    var flow: MiniFlow
    var isImmediate: Bool
}

/// Collects what a generator flushes into batches of at most 1024 for a queue.
struct QuadrupleBatcher: ~Copyable, MeterSink {
    private let queue: OverwriteQueue<[QuadrupleItem]>
    private var batch: [QuadrupleItem] = []

    init(_ queue: OverwriteQueue<[QuadrupleItem]>) { self.queue = queue }

    mutating func add(_ view: QuadrupleView) {
        batch.append(QuadrupleItem(view))
        if batch.count == 1024 { flush() }
    }

    mutating func flush() {
        guard !batch.isEmpty else { return }
        queue.put([batch])
        batch = []
    }
}

struct AppMeterBatcher: ~Copyable, AppMeterSink {
    private let queue: OverwriteQueue<[AppMeterItem]>
    private var batch: [AppMeterItem] = []

    init(_ queue: OverwriteQueue<[AppMeterItem]>) { self.queue = queue }

    mutating func add(_ entry: borrowing AppMeterWithFlow, _ flow: UnsafePointer<MiniFlow>, isImmediate: Bool) {
        batch.append(AppMeterItem(entry: copy entry, flow: flow.pointee, isImmediate: isImmediate))
        if batch.count == 1024 { flush() }
    }

    mutating func flush() {
        guard !batch.isEmpty else { return }
        queue.put([batch])
        batch = []
    }
}
