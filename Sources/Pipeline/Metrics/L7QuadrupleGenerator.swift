import Model

/// The facts of an entry's flow; the pointers are valid during a call only.
package struct AppFlowView {
    let facts: UnsafePointer<FlowFacts>
    let ends: UnsafePointer<FlowEnds>?
    /// Of the source end, behind a NAT.
    let portSrc: UInt16
}

/// Takes what an L7 generator flushes, in the order of first appearance.
package protocol AppMeterSink: ~Copyable {
    /// - Parameters:
    ///   - entry, flow: valid during the call only.
    ///   - isImmediate: the flow ended, so the entry did not wait for its slot and must not move the window.
    mutating func add(_ entry: UnsafePointer<AppEntry>, _ flow: AppFlowView, endpoint: String, isImmediate: Bool)
}

/// Merges L7 counters by flow and endpoint in slots of one second or one minute.
///
/// Source: agent-flow.md 15; windows as in 13.1.
package struct L7QuadrupleGenerator: ~Copyable {
    private let settings: FlowMetricsSettings
    private var window: SlotWindow
    /// By ring position.
    private let slots: UnsafeMutablePointer<AppSlot>
    private var counters = GeneratorCounters()

    package init(slotSeconds: UInt32, slots: Int, delay: UInt32, settings: FlowMetricsSettings) {
        self.settings = settings
        window = SlotWindow(slotSeconds: slotSeconds, slots: slots, delay: delay)
        self.slots = .allocate(capacity: window.slots)
        for index in 0..<window.slots { (self.slots + index).initialize(to: AppSlot()) }
    }

    package static func perSecond(_ delays: MetricsDelays, _ settings: FlowMetricsSettings) -> L7QuadrupleGenerator {
        let delay = delays.secondGenerator
        return L7QuadrupleGenerator(slotSeconds: 1, slots: Int(delay), delay: delay, settings: settings)
    }

    package static func perMinute(_ delays: MetricsDelays, _ settings: FlowMetricsSettings) -> L7QuadrupleGenerator {
        L7QuadrupleGenerator(slotSeconds: 60, slots: 2, delay: delays.minuteGenerator, settings: settings)
    }

    deinit {
        slots.deinitialize(count: window.slots)
        slots.deallocate()
    }

    package mutating func tick<Sink: AppMeterSink & ~Copyable>(seconds: UInt32, into sink: inout Sink) {
        window.begin(at: seconds)
        _ = move(to: seconds, into: &sink)
    }

    package mutating func flushAll<Sink: AppMeterSink & ~Copyable>(into sink: inout Sink) {
        guard window.start != nil else { return }
        for index in 0..<window.slots { slots[window.ringPosition(index)].flush(into: &sink) }
        window.move(by: UInt32(window.slots))
    }

    package mutating func takeCounters() -> GeneratorCounters {
        defer { counters = GeneratorCounters() }
        for index in 0..<window.slots {
            counters.stashTotalLength += UInt64(slots[index].entries.count)
            counters.stashTotalCapacity += UInt64(slots[index].entries.capacity)
        }
        return counters
    }

    /// Where `add` will put counters, unless the window moves before.
    @inline(__always)
    func place(of stats: UnsafePointer<L7Stats>) -> AppPlace {
        let time = max(stats.pointee.timeSeconds, window.start ?? 0)
        return AppPlace(slots + window.ringPosition(window.slot(of: time)), timeSpanSlots: timeSpanSlots(stats))
    }

    @inline(__always)
    mutating func add<Sink: AppMeterSink & ~Copyable>(
        _ record: UnsafePointer<AppRecord>, _ place: AppPlace, into sink: inout Sink
    ) {
        let time = record.pointee.stats.pointee.timeSeconds
        if window.start == nil { window.begin(at: time) }
        guard move(to: time, into: &sink) else { return }
        let slot = slots + window.ringPosition(window.slot(of: time))
        guard let flow = insert(record, place, slot), record.pointee.endsFlow else { return }
        slot.pointee.sendFlow(flow, hash: record.pointee.flowHash, into: &sink)
    }

    @inline(__always)
    private func timeSpanSlots(_ stats: UnsafePointer<L7Stats>) -> UInt32 {
        let (time, span) = (stats.pointee.timeSeconds, stats.pointee.timeSpanSeconds)
        if span == 0 { return 0 }
        return time / window.slotSeconds - (time >= span ? time - span : 0) / window.slotSeconds
    }

    /// Adds counters to their entry. Returns their flow; nil when the slot has none and none may be added.
    @inline(__always)
    private mutating func insert(
        _ record: UnsafePointer<AppRecord>, _ place: AppPlace, _ slot: UnsafeMutablePointer<AppSlot>
    ) -> Int? {
        let stats = record.pointee.stats
        let flowHash = record.pointee.flowHash
        guard record.pointee.isCounted else { return slot.pointee.renewFlow(stats, hash: flowHash) }
        if let flow = slot.pointee.merge(stats, hash: place.hash, timeSpanSlots: place.timeSpanSlots) { return flow }
        guard let flow = slot.pointee.renewFlow(stats, hash: flowHash) ?? addFlow(stats, flowHash, slot) else {
            return nil
        }
        if slot.pointee.entries.count < settings.maxEntriesPerSlot {
            slot.pointee.addEntry(stats, hash: place.hash, timeSpanSlots: place.timeSpanSlots, flow: flow)
        } else {
            counters.dropByCapacity &+= 1
        }
        return flow
    }

    private mutating func addFlow(
        _ stats: UnsafePointer<L7Stats>, _ flowHash: UInt64, _ slot: UnsafeMutablePointer<AppSlot>
    ) -> Int? {
        guard slot.pointee.flows.count < settings.maxEntriesPerSlot else {
            counters.dropByCapacity &+= 1
            return nil
        }
        return slot.pointee.addFlow(stats, hash: flowHash)
    }

    @inline(__always)
    private mutating func move<Sink: AppMeterSink & ~Copyable>(to time: UInt32, into sink: inout Sink) -> Bool {
        switch window.step(to: time) {
        case .open: return true
        case .late:
            counters.dropBeforeWindow &+= 1
            return false
        case .due(let due, let advance):
            for index in 0..<due { slots[window.ringPosition(index)].flush(into: &sink) }
            window.move(by: advance)
            let lag = UInt64(time &- (window.start ?? time))
            counters.windowDelayNs = max(counters.windowDelayNs, lag &* 1_000_000_000)
            return true
        }
    }
}
