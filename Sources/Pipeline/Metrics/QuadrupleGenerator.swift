package import Model

/// Takes what a generator flushes, slot by slot; quadruples lie in the order in which they first appeared.
package protocol MeterSink: ~Copyable {
    mutating func take(_ slot: FilledSlot)
}

/// Merges second flow records by quadruple in slots of one second or one minute (`SubQuadGen`).
///
/// A value without a clock: time comes with each record (`flowStatTime`) or tick. Slots are emptied in order into the
/// sink given with the call. Source: agent-flow.md 13.
package struct QuadrupleGenerator: ~Copyable {
    private let settings: FlowMetricsSettings
    private let limit: Int
    private var window: SlotWindow
    /// By ring position.
    private var slots: UnsafeMutablePointer<UnsafeMutablePointer<QuadrupleSlot>>
    private let pool = SlotPool()
    private var counters = GeneratorCounters()

    /// - Parameter slotSeconds: 1 or 60. `slots` x `slotSeconds` must cover `delay`.
    package init(slotSeconds: UInt32, slots: Int, delay: UInt32, settings: FlowMetricsSettings) {
        self.settings = settings
        limit = min(settings.maxEntriesPerSlot, PartNumbers.limit)
        window = SlotWindow(slotSeconds: slotSeconds, slots: slots, delay: delay)
        self.slots = .allocate(capacity: window.slots)
        for index in 0..<window.slots { (self.slots + index).initialize(to: pool.take()) }
    }

    package static func perSecond(_ delays: MetricsDelays, _ settings: FlowMetricsSettings) -> QuadrupleGenerator {
        let delay = delays.secondGenerator
        return QuadrupleGenerator(slotSeconds: 1, slots: Int(delay), delay: delay, settings: settings)
    }

    package static func perMinute(_ delays: MetricsDelays, _ settings: FlowMetricsSettings) -> QuadrupleGenerator {
        QuadrupleGenerator(slotSeconds: 60, slots: 2, delay: delays.minuteGenerator, settings: settings)
    }

    deinit {
        for index in 0..<window.slots { SlotPool.free(slots[index]) }
        slots.deallocate()
    }

    /// One record of the flow table.
    package mutating func handle<Sink: MeterSink & ~Copyable>(_ flow: borrowing TaggedFlow, into sink: inout Sink) {
        withUnsafePointer(to: flow) { flow in
            withUnsafePointer(to: MeteredRecord(flow, apmMetrics: settings.apmMetrics)) { add($0, into: &sink) }
        }
    }

    /// An empty tick: slots whose delay is over at this time are flushed.
    package mutating func tick<Sink: MeterSink & ~Copyable>(seconds: UInt32, into sink: inout Sink) {
        window.begin(at: seconds)
        _ = move(to: seconds, into: &sink)
    }

    /// Flushes every slot: the end of a replay.
    package mutating func flushAll<Sink: MeterSink & ~Copyable>(into sink: inout Sink) {
        guard window.start != nil else { return }
        flush(slots: window.slots, into: &sink)
        window.move(by: UInt32(window.slots))
    }

    /// Counters since the last call.
    package mutating func takeCounters() -> GeneratorCounters {
        defer { counters = GeneratorCounters() }
        for index in 0..<window.slots {
            counters.stashTotalLength += UInt64(slots[index].pointee.entries.count)
            counters.stashTotalCapacity += UInt64(slots[index].pointee.entries.capacity)
        }
        return counters
    }

    @inline(__always)
    mutating func add<Sink: MeterSink & ~Copyable>(_ record: UnsafePointer<MeteredRecord>, into sink: inout Sink) {
        let time = record.pointee.seconds
        if window.start == nil { window.begin(at: time) }
        guard move(to: time, into: &sink) else { return }
        let index = window.slot(of: time)
        let second = UInt8(truncatingIfNeeded: time &- window.startOfSlot(index))
        let slot = slots[window.ringPosition(index)]
        if !slot.pointee.add(record, second: second, limit: limit, settings) { counters.dropByCapacity &+= 1 }
    }

    /// The open slot that `add` will use for a record of this second, unless the window moves before.
    @inline(__always)
    func likelySlot(_ seconds: UInt32) -> UnsafeMutablePointer<QuadrupleSlot> {
        slots[window.ringPosition(window.slot(of: max(seconds, window.start ?? 0)))]
    }

    /// False = too late, counted.
    @inline(__always)
    private mutating func move<Sink: MeterSink & ~Copyable>(to time: UInt32, into sink: inout Sink) -> Bool {
        switch window.step(to: time) {
        case .open: return true
        case .late:
            counters.dropBeforeWindow &+= 1
            return false
        case .due(let due, let advance):
            flush(slots: due, into: &sink)
            window.move(by: advance)
            let lag = UInt64(time &- (window.start ?? time))
            counters.windowDelayNs = max(counters.windowDelayNs, lag &* 1_000_000_000)
            return true
        }
    }

    @inline(never)
    private mutating func flush<Sink: MeterSink & ~Copyable>(slots due: Int, into sink: inout Sink) {
        for index in 0..<due {
            let ring = window.ringPosition(index)
            let slot = slots[ring]
            guard slot.pointee.entries.count > 0 else { continue }
            slot.pointee.startSeconds = window.startOfSlot(index)
            slots[ring] = pool.take()
            sink.take(FilledSlot(slot, pool))
        }
    }
}
