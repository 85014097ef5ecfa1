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
    private struct Prepared: BitwiseCopyable {
        var slot: UnsafeMutablePointer<AppSlot>
        var flowHash: UInt64
        var hash: UInt64
        /// As the tables had it before the group; -1 = none.
        var position = -1
        /// Makes documents; else it can only end its flow.
        var isCounted: Bool
    }

    static var groupSize: Int { 16 }

    private let settings: FlowMetricsSettings
    private var window: SlotWindow
    /// By ring position.
    private let slots: UnsafeMutablePointer<AppSlot>
    private let prepared: UnsafeMutablePointer<Prepared>
    private var counters = GeneratorCounters()

    package init(slotSeconds: UInt32, slots: Int, delay: UInt32, settings: FlowMetricsSettings) {
        self.settings = settings
        window = SlotWindow(slotSeconds: slotSeconds, slots: slots, delay: delay)
        self.slots = .allocate(capacity: window.slots)
        prepared = .allocate(capacity: Self.groupSize)
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
        prepared.deallocate()
    }

    /// A batch of any size, in groups whose memory is asked for ahead.
    package mutating func handle<Sink: AppMeterSink & ~Copyable>(
        _ batch: UnsafeBufferPointer<L7Stats>, into sink: inout Sink
    ) {
        guard let base = batch.baseAddress else { return }
        for first in stride(from: 0, to: batch.count, by: Self.groupSize) {
            let group = base + first
            let count = min(Self.groupSize, batch.count - first)
            for index in 0..<count { prepare(group + index, prepared + index) }
            for index in 0..<count {
                let next = prepared + index
                next.pointee.position = next.pointee.slot.pointee.prefetchEntry(
                    next.pointee.hash, flowHash: next.pointee.flowHash, isCounted: next.pointee.isCounted)
            }
            for index in 0..<count {
                let next = prepared + index
                next.pointee.slot.pointee.prefetchFlow(next.pointee.position, isCounted: next.pointee.isCounted)
            }
            for index in 0..<count { add(group + index, prepared[index], into: &sink) }
        }
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

    @inline(__always)
    private func prepare(_ stats: UnsafePointer<L7Stats>, _ prepared: UnsafeMutablePointer<Prepared>) {
        let time = max(stats.pointee.timeSeconds, window.start ?? 0)
        let slot = slots + window.ringPosition(window.slot(of: time))
        let flowHash = MetricsHash.word(stats.pointee.flowID)
        let hash = AppEntry.hash(
            flowHash: flowHash, endpointHash: stats.pointee.endpointHash, l7Protocol: stats.pointee.l7Protocol,
            bizType: stats.pointee.bizType, isReversed: stats.pointee.isReversed, timeSpanSlots: timeSpanSlots(stats))
        let isCounted = makesDocuments(stats)
        prepared.initialize(to: Prepared(slot: slot, flowHash: flowHash, hash: hash, isCounted: isCounted))
        slot.pointee.prefetchTable(hash, flowHash: flowHash, isCounted: isCounted)
    }

    @inline(__always)
    private func timeSpanSlots(_ stats: UnsafePointer<L7Stats>) -> UInt32 {
        let (time, span) = (stats.pointee.timeSeconds, stats.pointee.timeSpanSeconds)
        if span == 0 { return 0 }
        return time / window.slotSeconds - (time >= span ? time - span : 0) / window.slotSeconds
    }

    @inline(__always)
    private mutating func add<Sink: AppMeterSink & ~Copyable>(
        _ stats: UnsafePointer<L7Stats>, _ prepared: Prepared, into sink: inout Sink
    ) {
        window.begin(at: stats.pointee.timeSeconds)
        guard move(to: stats.pointee.timeSeconds, into: &sink) else { return }
        let slot = slots + window.ringPosition(window.slot(of: stats.pointee.timeSeconds))
        guard let flow = insert(stats, prepared, slot) else { return }
        let closeType = stats.pointee.closeType
        guard closeType != 0, closeType != Raw.forcedReport else { return }
        slot.pointee.sendFlow(flow, hash: prepared.flowHash, into: &sink)
    }

    /// Adds counters to their entry. Returns their flow; nil when the slot has none and none may be added.
    @inline(__always)
    private mutating func insert(
        _ stats: UnsafePointer<L7Stats>, _ prepared: Prepared, _ slot: UnsafeMutablePointer<AppSlot>
    ) -> Int? {
        let (flowHash, hash) = (prepared.flowHash, prepared.hash)
        guard prepared.isCounted else { return slot.pointee.renewFlow(stats, hash: flowHash) }
        let span = timeSpanSlots(stats)
        if let flow = slot.pointee.merge(stats, hash: hash, timeSpanSlots: span) { return flow }
        guard let flow = slot.pointee.renewFlow(stats, hash: flowHash) ?? addFlow(stats, flowHash, slot) else {
            return nil
        }
        if slot.pointee.entries.count < settings.maxEntriesPerSlot {
            slot.pointee.addEntry(stats, hash: hash, timeSpanSlots: span, flow: flow)
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

    /// An unknown protocol makes documents only for OTel, so the counts that the reference makes up are left out.
    @inline(__always)
    private func makesDocuments(_ stats: UnsafePointer<L7Stats>) -> Bool {
        guard settings.apmMetrics, stats.pointee.l7Protocol != 0 || stats.pointee.flow.signalSource == Raw.otel else {
            return false
        }
        return !AppEntry.isEmpty(stats)
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
