import Model

/// The last step of minute logs: batches in one array, whose memory is used again unless the receiver keeps it.
/// Batches are small enough to stay in the first cache. One thread at a time.
final class LogOutlet {
    private static var batchSize: Int { 32 }

    private let receive: ([TaggedFlow]) -> Void
    private var batch: [TaggedFlow] = []

    init(_ receive: @escaping ([TaggedFlow]) -> Void) { self.receive = receive }

    /// Moves the log out of its place and sends it when its batch is full.
    @inline(__always)
    func add(moving flow: UnsafeMutablePointer<TaggedFlow>) {
        if batch.capacity < Self.batchSize { batch.reserveCapacity(Self.batchSize) }
        // From its place into the batch, without a copy in between.
        batch.append(contentsOf: UnsafeBufferPointer(start: flow, count: 1))
        flow.deinitialize(count: 1)
        if batch.count == Self.batchSize { flush() }
    }

    /// Sends a batch that is not full as well.
    func flush() {
        guard !batch.isEmpty else { return }
        receive(batch)
        batch.removeAll(keepingCapacity: true)
    }
}
