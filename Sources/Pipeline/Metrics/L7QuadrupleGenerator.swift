package import Model

/// Takes what an L7 generator flushes, in the order of first appearance.
package protocol AppMeterSink: ~Copyable {
    /// - Parameters:
    ///   - isImmediate: the flow ended, so the entry did not wait for its slot and must not move the window.
    ///   - entry: `flow`: valid during the call only.
    mutating func add(_ entry: borrowing AppMeterWithFlow, _ flow: UnsafePointer<MiniFlow>, isImmediate: Bool)
}

/// L7 counters of one flow, endpoint and direction in one window slot. Source: agent-flow.md 15.
package struct AppMeterWithFlow: Sendable {
    package var meter = AppMeter()
    package var endpoint = ""
    package var endpointHash: UInt64 = 0
    /// Second of the latest counters merged in, seconds since 1970.
    package var timeSeconds: UInt32 = 0
    /// Slots that the document is shifted back.
    package var timeSpanSlots: UInt32 = 0
    package var l7Protocol: UInt8 = 0
    package var bizType: UInt8 = 0
    package var isReversed = false
    package var isActiveSrc = false
    package var isActiveDst = false
    /// Flow record of the slot, and the next entry of that flow; -1 = none. Within a slot only.
    var flowPosition: Int32 = -1
    var nextOfFlow: Int32 = -1
    /// False once it was sent ahead of its slot.
    var isWaiting = true
}

/// Merges L7 counters by flow and endpoint in slots of one second or one minute.
///
/// A flow's facts are kept once a slot and are those of its latest counters; entries hang on it.
/// Source: agent-flow.md 15; windows as in 13.1.
package struct L7QuadrupleGenerator: ~Copyable {
    struct FlowRecord: BitwiseCopyable {
        var flow: MiniFlow
        var flowID: UInt64
        var firstEntry: Int32
        var lastEntry: Int32
    }

    struct Slot: ~Copyable {
        var flowPositions = PositionTable(capacity: 256)
        var flows = BlockArray<FlowRecord>()
        var entryPositions = PositionTable(capacity: 256)
        var entries: [AppMeterWithFlow] = []
    }

    private let settings: FlowMetricsSettings
    private var window: SlotWindow
    private var slots: UnsafeMutablePointer<Slot>
    private var counters = GeneratorCounters()

    package init(slotSeconds: UInt32, slots: Int, delay: UInt32, settings: FlowMetricsSettings) {
        self.settings = settings
        window = SlotWindow(slotSeconds: slotSeconds, slots: slots, delay: delay)
        self.slots = .allocate(capacity: window.slots)
        for index in 0..<window.slots { (self.slots + index).initialize(to: Slot()) }
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

    package mutating func handle<Sink: AppMeterSink & ~Copyable>(_ stats: borrowing L7Stats, into sink: inout Sink) {
        window.begin(at: stats.timeSeconds)
        guard move(to: stats.timeSeconds, into: &sink) else { return }
        let slot = slots + window.ringPosition(window.slot(of: stats.timeSeconds))
        let meter = L7QuadrupleGenerator.meter(stats, settings)
        guard let flow = flowPosition(stats, slot, mayAdd: !meter.isEmpty) else { return }
        if !meter.isEmpty { insert(stats, meter, flow, slot) }
        let closeType = stats.flow.closeType
        guard closeType != CloseType.unknown.rawValue, closeType != CloseType.forcedReport.rawValue else { return }
        sendFlow(flow, slot, into: &sink)
    }

    package mutating func tick<Sink: AppMeterSink & ~Copyable>(seconds: UInt32, into sink: inout Sink) {
        window.begin(at: seconds)
        _ = move(to: seconds, into: &sink)
    }

    package mutating func flushAll<Sink: AppMeterSink & ~Copyable>(into sink: inout Sink) {
        guard window.start != nil else { return }
        for index in 0..<window.slots { flush(slots + window.ringPosition(index), into: &sink) }
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

    /// Counters as an application meter; empty for what makes no document.
    private static func meter(_ stats: borrowing L7Stats, _ settings: FlowMetricsSettings) -> AppMeter {
        var meter = AppMeter()
        let isOTel = stats.flow.signalSource == SignalSource.otel.rawValue
        // An unknown protocol makes documents only for OTel, so the counts that the reference makes up are left out.
        guard settings.apmMetrics, stats.l7Protocol != 0 || isOTel else { return meter }
        meter.request = stats.stats.requestCount
        meter.response = stats.stats.responseCount
        meter.directionScore = stats.flow.directionScore
        meter.rrt.max = stats.stats.rrtMax
        meter.rrt.sum = stats.stats.rrtSum
        meter.rrt.count = stats.stats.rrtCount
        meter.clientError = stats.stats.errClientCount
        meter.serverError = stats.stats.errServerCount
        meter.timeout = stats.stats.errTimeout
        return meter
    }

    /// The flow's record in the slot, with its facts renewed; nil when there is none and none may be added.
    private mutating func flowPosition(
        _ stats: borrowing L7Stats, _ slot: UnsafeMutablePointer<Slot>, mayAdd: Bool
    ) -> Int32? {
        let flowID = stats.flowID
        let hash = MetricsHash.word(flowID)
        if let found = slot.pointee.flowPositions.find(hash, { slot.pointee.flows[$0].pointee.flowID == flowID }) {
            slot.pointee.flows[found].pointee.flow = stats.flow
            return Int32(truncatingIfNeeded: found)
        }
        guard mayAdd else { return nil }
        let position = slot.pointee.flows.count
        guard position < settings.maxEntriesPerSlot else {
            counters.dropByCapacity &+= 1
            return nil
        }
        slot.pointee.flows.append().initialize(
            to: FlowRecord(flow: stats.flow, flowID: flowID, firstEntry: -1, lastEntry: -1))
        slot.pointee.flowPositions.insert(hash, position: position) {
            MetricsHash.word(slot.pointee.flows[$0].pointee.flowID)
        }
        return Int32(truncatingIfNeeded: position)
    }

    private mutating func insert(
        _ stats: borrowing L7Stats, _ meter: AppMeter, _ flow: Int32, _ slot: UnsafeMutablePointer<Slot>
    ) {
        let time = stats.timeSeconds
        let first = time >= stats.timeSpanSeconds ? time - stats.timeSpanSeconds : 0
        var entry = AppMeterWithFlow()
        entry.timeSpanSlots = time / window.slotSeconds - first / window.slotSeconds
        entry.endpointHash = stats.endpointHash
        entry.l7Protocol = stats.l7Protocol
        entry.bizType = stats.bizType
        entry.isReversed = stats.isReversed
        entry.flowPosition = flow
        let hash = L7QuadrupleGenerator.hash(entry)
        if let found = slot.pointee.entryPositions.find(hash, { slot.pointee.entries[$0].isSame(as: entry) }) {
            slot.pointee.entries[found].meter.merge(meter)
            slot.pointee.entries[found].timeSeconds = time
            return
        }
        let position = slot.pointee.entries.count
        guard position < settings.maxEntriesPerSlot else {
            counters.dropByCapacity &+= 1
            return
        }
        entry.meter = meter
        entry.timeSeconds = time
        entry.endpoint = stats.endpoint
        slot.pointee.entries.append(entry)
        slot.pointee.entryPositions.insert(hash, position: position) {
            L7QuadrupleGenerator.hash(slot.pointee.entries[$0])
        }
        let record = slot.pointee.flows[Int(flow)]
        if record.pointee.lastEntry >= 0 {
            slot.pointee.entries[Int(record.pointee.lastEntry)].nextOfFlow = Int32(truncatingIfNeeded: position)
        } else {
            record.pointee.firstEntry = Int32(truncatingIfNeeded: position)
        }
        record.pointee.lastEntry = Int32(truncatingIfNeeded: position)
    }

    private static func hash(_ entry: borrowing AppMeterWithFlow) -> UInt64 {
        let kind = UInt64(entry.l7Protocol) << 16 | UInt64(entry.bizType) << 8 | (entry.isReversed ? 1 : 0)
        let place = UInt64(UInt32(bitPattern: entry.flowPosition)) << 32 | UInt64(entry.timeSpanSlots)
        return MetricsHash.mix(entry.endpointHash ^ kind &* MetricsHash.k0, place)
    }

    /// Sends the entries of an ended flow at once.
    private mutating func sendFlow<Sink: AppMeterSink & ~Copyable>(
        _ flow: Int32, _ slot: UnsafeMutablePointer<Slot>, into sink: inout Sink
    ) {
        let record = slot.pointee.flows[Int(flow)]
        guard let facts = record.pointer(to: \.flow) else { return }
        var number = Int(record.pointee.firstEntry)
        while number >= 0 {
            let entry = activated(slot.pointee.entries[number], facts)
            sink.add(entry, facts, isImmediate: true)
            // The entry stays in place, forgotten: later counters of this key start a new one.
            let hash = L7QuadrupleGenerator.hash(entry)
            slot.pointee.entryPositions.remove(hash, position: number) {
                L7QuadrupleGenerator.hash(slot.pointee.entries[$0])
            }
            slot.pointee.entries[number].isWaiting = false
            slot.pointee.entries[number].endpoint = ""
            number = Int(slot.pointee.entries[number].nextOfFlow)
        }
        record.pointee.firstEntry = -1
        record.pointee.lastEntry = -1
    }

    private mutating func move<Sink: AppMeterSink & ~Copyable>(to time: UInt32, into sink: inout Sink) -> Bool {
        switch window.step(to: time) {
        case .open: return true
        case .late:
            counters.dropBeforeWindow &+= 1
            return false
        case .due(let due, let advance):
            for index in 0..<due { flush(slots + window.ringPosition(index), into: &sink) }
            window.move(by: advance)
            return true
        }
    }

    private func flush<Sink: AppMeterSink & ~Copyable>(
        _ slot: UnsafeMutablePointer<Slot>, into sink: inout Sink
    ) {
        for number in 0..<slot.pointee.entries.count where slot.pointee.entries[number].isWaiting {
            let position = Int(slot.pointee.entries[number].flowPosition)
            guard let facts = slot.pointee.flows[position].pointer(to: \.flow) else { continue }
            sink.add(activated(slot.pointee.entries[number], facts), facts, isImmediate: false)
        }
        slot.pointee.flowPositions.removeAll()
        slot.pointee.flows.removeAll()
        slot.pointee.entryPositions.removeAll()
        slot.pointee.entries.removeAll(keepingCapacity: slot.pointee.entries.count > 64)
    }

    /// Source: agent-flow.md 13.6; see `QuadrupleGenerator`.
    private func activated(_ entry: AppMeterWithFlow, _ flow: UnsafePointer<MiniFlow>) -> AppMeterWithFlow {
        guard settings.inactiveIPAggregation else { return entry }
        var out = entry
        out.isActiveSrc = flow.pointee.isDeviceSrc
        out.isActiveDst = flow.pointee.isDeviceDst
        return out
    }
}

extension AppMeterWithFlow {
    fileprivate func isSame(as other: AppMeterWithFlow) -> Bool {
        flowPosition == other.flowPosition && endpointHash == other.endpointHash && bizType == other.bizType
            && timeSpanSlots == other.timeSpanSlots && isReversed == other.isReversed
            && l7Protocol == other.l7Protocol
    }
}
