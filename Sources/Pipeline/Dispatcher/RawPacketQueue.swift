import Capture
package import Model
import Synchronization

/// Between the two threads of a dispatcher: frames copied out of the engine, so that a slow flow table holds up no ring.
/// Source: agent-flow.md 1 (queue 0.1), 5.1, 17.
final class RawPacketQueue: Sendable {
    /// Packets of a batch at most.
    static let batch = 64

    private let blockBytes: Int
    private let queue: OverwriteQueue<RawBatch>
    private let totals = Mutex(QueueCounters())

    init(settings: RawQueueSettings) {
        // The longest packet has to fit.
        blockBytes = max(settings.blockBytes, 65_536)
        queue = OverwriteQueue(
            name: "0.1-raw-packet-to-flow-generator", capacity: max(settings.packets / RawPacketQueue.batch, 16)
        ) { $0.frames.count }
    }

    /// Copies the frames. Never waits: the oldest batches are overwritten.
    func put(_ frames: UnsafeBufferPointer<CaptureFrame>) {
        var batches: [RawBatch] = []
        var first = 0
        while first < frames.count {
            var (end, bytes) = (first, 0)
            while end < frames.count, end - first < RawPacketQueue.batch,
                end == first || bytes + frames[end].bytes.count <= blockBytes
            {
                bytes += frames[end].bytes.count
                end += 1
            }
            batches.append(RawBatch(copying: UnsafeBufferPointer(rebasing: frames[first..<end]), bytes: bytes))
            first = end
        }
        queue.put(batches)
    }

    func receive(timeoutMs: Int) -> OverwriteQueue<RawBatch>.Received { queue.receive(max: 16, timeoutMs: timeoutMs) }

    /// Lets the reader take what is left, then tells it to end.
    func close() { queue.close() }

    /// Sums since the start, with the greatest length since the last reading.
    func reading() -> QueueReading {
        let period = queue.takeCounters()
        let sums = totals.withLock { totals in
            totals.in &+= period.in
            totals.out &+= period.out
            totals.overwritten &+= period.overwritten
            totals.pending = period.pending
            return totals
        }
        return QueueReading(
            name: queue.name, totals: sums, waiting: queue.snapshot().waiting,
            capacity: queue.capacity * RawPacketQueue.batch)
    }
}

/// Copies of frames in one block of memory, which lives as long as the batch.
///
/// `@unchecked Sendable`: nothing is written after `init`.
final class RawBatch: @unchecked Sendable {
    let frames: UnsafeBufferPointer<CaptureFrame>
    private let block: UnsafeMutableRawPointer

    /// - Parameter bytes: of all frames together.
    init(copying frames: UnsafeBufferPointer<CaptureFrame>, bytes: Int) {
        block = .allocate(byteCount: max(bytes, 1), alignment: 16)
        let copies = UnsafeMutableBufferPointer<CaptureFrame>.allocate(capacity: frames.count)
        var offset = 0
        for index in 0..<frames.count {
            var frame = frames[index]
            let place = block + offset
            if let base = frame.bytes.baseAddress { place.copyMemory(from: base, byteCount: frame.bytes.count) }
            frame.bytes = UnsafeRawBufferPointer(start: place, count: frame.bytes.count)
            copies.initializeElement(at: index, to: frame)
            offset += frame.bytes.count
        }
        self.frames = UnsafeBufferPointer(copies)
    }

    deinit {
        frames.deallocate()
        block.deallocate()
    }
}

/// A queue as its owner reads it.
package struct QueueReading: Sendable, Equatable {
    package let name: String
    /// Since the start, with the greatest length since the last reading.
    package var totals: QueueCounters
    package var waiting: Int
    package var capacity: Int

    package init(name: String, totals: QueueCounters, waiting: Int, capacity: Int) {
        self.name = name
        self.totals = totals
        self.waiting = waiting
        self.capacity = capacity
    }

    /// - Parameter earlier: of the same period.
    mutating func keepGreatest(of earlier: QueueReading) {
        totals.pending = max(totals.pending, earlier.totals.pending)
    }

    /// Of a queue that was there before.
    mutating func add(_ earlier: QueueReading) {
        totals.in &+= earlier.totals.in
        totals.out &+= earlier.totals.out
        totals.overwritten &+= earlier.totals.overwritten
    }
}
