import Capture
import Model
import Testing

@testable import Pipeline

/// Source: agent-flow.md 1 (queue 0.1 and the semantics of queues), 17 (blocks, batches of 64).
struct RawPacketQueueTests {
    /// Frames over one buffer, each filled with its number.
    private final class Frames {
        let buffer: UnsafeMutableRawBufferPointer
        let frames: UnsafeMutableBufferPointer<CaptureFrame>

        init(_ count: Int, bytes: Int) {
            buffer = .allocate(byteCount: count * bytes, alignment: 1)
            frames = .allocate(capacity: count)
            for number in 0..<count {
                let part = UnsafeMutableRawBufferPointer(rebasing: buffer[(number * bytes)..<((number + 1) * bytes)])
                part.initializeMemory(as: UInt8.self, repeating: UInt8(truncatingIfNeeded: number))
                var frame = CaptureFrame()
                frame.bytes = UnsafeRawBufferPointer(part)
                frame.wire = bytes + 4
                frame.timeNs = UInt64(number)
                frame.interface = 3
                frames.initializeElement(at: number, to: frame)
            }
        }

        func put(into queue: RawPacketQueue) {
            withExtendedLifetime(self) { queue.put(UnsafeBufferPointer(frames)) }
        }

        deinit {
            buffer.deallocate()
            frames.deallocate()
        }
    }

    private static func batches(_ queue: RawPacketQueue) -> [RawBatch] {
        if case .items(let batches) = queue.receive(timeoutMs: 0) { batches } else { [] }
    }

    @Test func copiesInBatchesOf64() {
        let queue = RawPacketQueue(settings: RawQueueSettings())
        do {
            let frames = Frames(150, bytes: 100)
            frames.put(into: queue)
            for index in 0..<frames.buffer.count { frames.buffer[index] = 0xee }
        }
        let batches = Self.batches(queue)
        #expect(batches.map(\.frames.count) == [64, 64, 22])
        let copies = batches.flatMap { Array($0.frames) }
        #expect(copies.map(\.timeNs) == (0..<150).map { UInt64($0) })
        #expect(copies.allSatisfy { $0.wire == 104 && $0.interface == 3 && $0.bytes.count == 100 })
        for (number, copy) in copies.enumerated() {
            #expect(copy.bytes.allSatisfy { $0 == UInt8(number) }, "\(number)")
        }
    }

    @Test func blocksHoldWhatFits() {
        var settings = RawQueueSettings()
        settings.blockBytes = 1
        let queue = RawPacketQueue(settings: settings)
        Frames(5, bytes: 30_000).put(into: queue)
        #expect(Self.batches(queue).map(\.frames.count) == [2, 2, 1], "never less than the longest packet")
    }

    /// The oldest packets go, and all that came is either read or counted overwritten.
    @Test func fullQueuesOverwriteAndCount() {
        var settings = RawQueueSettings()
        settings.packets = 1024
        let queue = RawPacketQueue(settings: settings)
        let frames = Frames(64, bytes: 60)
        for _ in 0..<20 { frames.put(into: queue) }
        var reading = queue.reading()
        #expect(reading.name == "0.1-raw-packet-to-flow-generator")
        #expect(reading.capacity == 1024 && reading.waiting == 1024)
        #expect(reading.totals.in == 1280 && reading.totals.overwritten == 256 && reading.totals.out == 0)
        #expect(reading.totals.pending == 1024)
        queue.close()
        #expect(Self.batches(queue).reduce(0) { $0 + $1.frames.count } == 1024)
        reading = queue.reading()
        #expect(reading.totals.out == 1024 && reading.totals.in == reading.totals.out + reading.totals.overwritten)
        #expect(reading.waiting == 0)
        if case .terminated = queue.receive(timeoutMs: 0) {} else { Issue.record("closed, but not told") }
    }

    /// What it lost is among the packets that are in no flow.
    @Test func lossesAreTold() {
        var totals = QueueCounters()
        totals.in = 10
        totals.overwritten = 4
        var dispatcher = DispatcherCounters(number: 2)
        dispatcher.queue = QueueReading(name: "q", totals: totals, waiting: 0, capacity: 64)
        var counters = PipelineCounters()
        counters.set([dispatcher])
        #expect(counters.lostPackets.map(\.count) == [4])
        var stats = PipelineStats()
        let record = stats.records(counters).first { $0.module == "queue" }
        #expect(record?.tags == [.init("index", "2"), .init("module", "q")])
        #expect(record?.metrics.first { $0.name == "overwritten" }?.value == 4)
        // One that took the number over counts on.
        var next = DispatcherCounters(number: 2)
        next.queue = QueueReading(name: "q", totals: totals, waiting: 0, capacity: 64)
        next.add(dispatcher.ended)
        counters.set([next])
        #expect(counters.lostPackets.map(\.count) == [8])
    }
}
