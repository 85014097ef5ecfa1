package import Model

/// Takes what a generator flushes, slot by slot, in the order in which quadruples first appeared.
package protocol MeterSink: ~Copyable {
    /// - Parameter entry: valid during the call only.
    mutating func add(_ entry: UnsafePointer<FlowMeterWithFlow>)
}

/// Merges second flow records by quadruple in slots of one second or one minute (`SubQuadGen`).
///
/// A value without a clock: time comes with each record (`flowStatTime`) or tick. Slots are emptied in order into the
/// sink given with the call. Source: agent-flow.md 13.
package struct QuadrupleGenerator: ~Copyable {
    struct Slot: ~Copyable {
        var positions = PositionTable()
        var entries = BlockArray<FlowMeterWithFlow>()
    }

    private let settings: FlowMetricsSettings
    private var window: SlotWindow
    private var slots: UnsafeMutablePointer<Slot>
    private var connections: ConnectionTable
    private var counters = GeneratorCounters()
    private var shrinker = ShrinkRule()

    /// - Parameter slotSeconds: 1 or 60. `slots` x `slotSeconds` must cover `delay`.
    package init(slotSeconds: UInt32, slots: Int, delay: UInt32, settings: FlowMetricsSettings) {
        self.settings = settings
        window = SlotWindow(slotSeconds: slotSeconds, slots: slots, delay: delay)
        self.slots = .allocate(capacity: window.slots)
        for index in 0..<window.slots { (self.slots + index).initialize(to: Slot()) }
        connections = ConnectionTable(limit: settings.maxConnections)
    }

    package static func perSecond(_ delays: MetricsDelays, _ settings: FlowMetricsSettings) -> QuadrupleGenerator {
        let delay = delays.secondGenerator
        return QuadrupleGenerator(slotSeconds: 1, slots: Int(delay), delay: delay, settings: settings)
    }

    package static func perMinute(_ delays: MetricsDelays, _ settings: FlowMetricsSettings) -> QuadrupleGenerator {
        QuadrupleGenerator(slotSeconds: 60, slots: 2, delay: delays.minuteGenerator, settings: settings)
    }

    deinit {
        slots.deinitialize(count: window.slots)
        slots.deallocate()
    }

    /// One record of the flow table.
    package mutating func handle<Sink: MeterSink & ~Copyable>(_ flow: borrowing TaggedFlow, into sink: inout Sink) {
        withUnsafePointer(to: flow) { flow in
            let key = QuadrupleKey(flow)
            add(flow, key, hash: key.hash, into: &sink)
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
            counters.stashTotalLength += UInt64(slots[index].entries.count)
            counters.stashTotalCapacity += UInt64(slots[index].entries.capacity)
        }
        return counters
    }

    @inline(__always)
    mutating func add<Sink: MeterSink & ~Copyable>(
        _ flow: UnsafePointer<TaggedFlow>, _ key: QuadrupleKey, hash: UInt64, into sink: inout Sink
    ) {
        let time = UInt32(truncatingIfNeeded: flow.pointee.flowStatTimeNs / 1_000_000_000)
        if window.start == nil { window.begin(at: time) }
        guard move(to: time, into: &sink) else { return }
        let slot = slots + window.ringPosition(window.slot(of: time))
        insert(flow, key, hash, time, slot)
    }

    /// Memory that `add` will read for this hash and second.
    @inline(__always)
    func prefetchTable(_ hash: UInt64, seconds: UInt32) -> UnsafeRawPointer {
        slots[window.ringPosition(window.slot(of: max(seconds, window.start ?? 0)))].positions.home(of: hash)
    }

    @inline(__always)
    func prefetchEntry(_ hash: UInt64, seconds: UInt32) -> UnsafeRawPointer? {
        let slot = slots + window.ringPosition(window.slot(of: max(seconds, window.start ?? 0)))
        let position = slot.pointee.positions.likelyPosition(hash)
        return position < 0 ? nil : UnsafeRawPointer(slot.pointee.entries[position])
    }

    @inline(__always)
    private mutating func insert(
        _ flow: UnsafePointer<TaggedFlow>, _ key: QuadrupleKey, _ hash: UInt64, _ time: UInt32,
        _ slot: UnsafeMutablePointer<Slot>
    ) {
        let found = withUnsafePointer(to: key) { key in
            slot.pointee.positions.find(hash) {
                key.pointee.equals(slot.pointee.entries[$0].pointer(to: \.key).unsafelyUnwrapped)
            }
        }
        let entry: UnsafeMutablePointer<FlowMeterWithFlow>
        if let found {
            entry = slot.pointee.entries[found]
            addLoad(flow, to: entry)
        } else {
            let position = slot.pointee.entries.count
            guard position < settings.maxEntriesPerSlot else {
                counters.dropByCapacity &+= 1
                return
            }
            entry = slot.pointee.entries.append()
            FlowMeterWithFlow.initialize(entry, key, flow)
            slot.pointee.positions.insert(hash, position: position) { slot.pointee.entries[$0].pointee.key.hash }
        }
        entry.pointee.timeSeconds = time
        FlowMeterWithFlow.add(flow, to: entry, settings)
        countConnection(flow, entry)
    }

    /// The merge rule of loads. Source: agent-flow.md 13.5.
    @inline(__always)
    private func addLoad(_ flow: UnsafePointer<TaggedFlow>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>) {
        let signal = flow.pointee.signalSource
        let counts = signal == SignalSource.packet.rawValue || signal == SignalSource.xflow.rawValue
        let new: UInt64 = counts && flow.pointee.isNewFlow ? 1 : 0
        let closed: UInt64 = counts && flow.pointee.closeType != CloseType.forcedReport.rawValue ? 1 : 0
        let load = entry.pointee.flowCount &+ new
        entry.pointee.meter.load = load
        entry.pointee.flowCount = load > closed ? load &- closed : 0
    }

    @inline(__always)
    private func countConnection(
        _ flow: UnsafePointer<TaggedFlow>, _ entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) {
        let proto = flow.pointee.key.proto
        guard proto == IPProtocol.tcp || proto == IPProtocol.udp, settings.npmMetricsConcurrent,
            flow.pointee.signalSource == SignalSource.packet.rawValue
        else { return }
        let isNew = flow.pointee.isNewFlow
        if flow.pointee.closeType == CloseType.forcedReport.rawValue {
            guard isNew else { return }
            entry.pointee.connectionSum &+= 1
            entry.pointee.connectionLiving &+= 1
        } else if isNew {
            entry.pointee.connectionSum &+= 1
        } else {
            entry.pointee.connectionLiving &-= 1
        }
        entry.pointee.hasConnections = true
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
            flushSlot(slots + window.ringPosition(index), endSeconds: window.startOfSlot(index + 1), into: &sink)
        }
    }

    private mutating func flushSlot<Sink: MeterSink & ~Copyable>(
        _ slot: UnsafeMutablePointer<Slot>, endSeconds: UInt32, into sink: inout Sink
    ) {
        let count = slot.pointee.entries.count
        guard count > 0 else { return }
        for position in 0..<count {
            let entry = slot.pointee.entries[position]
            finish(entry, endSeconds)
            sink.add(entry)
        }
        connections.sweep(steps: connections.count / 8 + 1, nowSeconds: endSeconds)
        slot.pointee.positions.removeAll()
        slot.pointee.entries.removeAll()
        if let room = shrinker.room(after: count, capacity: slot.pointee.entries.capacity) {
            slot.pointee.entries.shrink(to: room)
            slot.pointee.positions.reset(capacity: room)
        }
    }

    /// Connections and active hosts, known only when the slot is complete. Source: agent-flow.md 13.5, 13.6.
    @inline(__always)
    private mutating func finish(_ entry: UnsafeMutablePointer<FlowMeterWithFlow>, _ endSeconds: UInt32) {
        guard entry.pointee.flow.signalSource != SignalSource.ebpf.rawValue else { return }
        let proto = entry.pointee.flow.proto
        if settings.npmMetricsConcurrent, proto == IPProtocol.tcp || proto == IPProtocol.udp {
            let key = entry.pointer(to: \.key).unsafelyUnwrapped
            let load = connections.update(
                key, hash: key.pointee.hash, sum: entry.pointee.connectionSum, living: entry.pointee.connectionLiving,
                isKnown: entry.pointee.hasConnections, timeSeconds: entry.pointee.timeSeconds, nowSeconds: endSeconds)
            entry.pointee.meter.load = load
            let closed = entry.pointee.meter.closedFlow
            entry.pointee.flowCount = load > closed ? load &- closed : 0
        }
        // The memory of possible hosts exists only without this aggregation, and only this aggregation asks for it.
        guard settings.inactiveIPAggregation else { return }
        entry.pointee.isActiveSrc = entry.pointee.flow.isDeviceSrc
        entry.pointee.isActiveDst = entry.pointee.flow.isDeviceDst
    }
}
