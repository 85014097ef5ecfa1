package import Model

/// Takes what a generator flushes, slot by slot, in the order in which quadruples first appeared.
package protocol MeterSink: ~Copyable {
    /// - Parameter view: valid during the call only.
    mutating func add(_ view: QuadrupleView)
}

/// Merges second flow records by quadruple in slots of one second or one minute (`SubQuadGen`).
///
/// A value without a clock: time comes with each record (`flowStatTime`) or tick. Slots are emptied in order into the
/// sink given with the call. Source: agent-flow.md 13.
package struct QuadrupleGenerator: ~Copyable {
    struct Slot: ~Copyable {
        var positions = PositionTable()
        var entries = BlockArray<FlowMeterWithFlow>()
        var performance = BlockArray<PerformancePart>()
        var anomalies = BlockArray<AnomalyPart>()
        var l7 = BlockArray<L7Part>()
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
        let found = slot.pointee.positions.find(hash) {
            key.equals(QuadrupleKey(slot.pointee.entries[$0].pointer(to: \.flow).unsafelyUnwrapped))
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
            FlowMeterWithFlow.initialize(entry, flow, hash: hash)
            slot.pointee.positions.insert(hash, position: position) { slot.pointee.entries[$0].pointee.hash }
        }
        entry.pointee.timeSeconds = time
        addCounters(flow, entry, slot)
        countConnection(flow, entry)
    }

    /// Source: agent-flow.md 13.3.
    @inline(__always)
    private func addCounters(
        _ flow: UnsafePointer<TaggedFlow>, _ entry: UnsafeMutablePointer<FlowMeterWithFlow>,
        _ slot: UnsafeMutablePointer<Slot>
    ) {
        let signal = flow.pointee.signalSource
        let proto = flow.pointee.key.proto
        if signal == Raw.packet || signal == Raw.xflow {
            FlowMeterWithFlow.addTraffic(flow, to: entry)
            let closeType = flow.pointee.closeType
            if proto == Raw.tcp, AnomalyPart.counts(closeType) {
                slot.pointee.anomalies.part(&entry.pointee.anomaly, AnomalyPart()).pointee.counts[Int(closeType)] &+= 1
            }
            if flow.pointee.hasPerfStats { addPerformance(flow, proto, entry, slot) }
        }
        guard flow.pointee.hasPerfStats, settings.apmMetrics else { return }
        guard flow.pointee.perf.l7Protocol != 0 || signal == Raw.otel else { return }
        let l7 = flow.pointer(to: \.perf.l7).unsafelyUnwrapped
        guard !l7.pointee.isEmpty else { return }
        slot.pointee.l7.part(&entry.pointee.l7, L7Part()).pointee.stats.merge(l7.pointee)
    }

    @inline(__always)
    private func addPerformance(
        _ flow: UnsafePointer<TaggedFlow>, _ proto: UInt8, _ entry: UnsafeMutablePointer<FlowMeterWithFlow>,
        _ slot: UnsafeMutablePointer<Slot>
    ) {
        let tcp = flow.pointer(to: \.perf.tcp).unsafelyUnwrapped
        entry.pointee.syn &+= tcp.pointee.synCount
        entry.pointee.synAck &+= tcp.pointee.synAckCount
        if proto == Raw.tcp || proto == Raw.icmp || proto == Raw.icmpv6 {
            guard tcp.pointee.hasMeasurements else { return }
            let part = slot.pointee.performance.part(&entry.pointee.performance, PerformancePart())
            PerformancePart.add(tcp, to: part)
        } else if tcp.pointee.art.max > 0 {
            let part = slot.pointee.performance.part(&entry.pointee.performance, PerformancePart())
            PerformancePart.addResponse(tcp, to: part, countsResponses: settings.countsUDPResponses)
        }
    }

    /// The merge rule of loads. Source: agent-flow.md 13.5.
    @inline(__always)
    private func addLoad(_ flow: UnsafePointer<TaggedFlow>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>) {
        let signal = flow.pointee.signalSource
        let counts = signal == Raw.packet || signal == Raw.xflow
        let new: UInt32 = counts && flow.pointee.isNewFlow ? 1 : 0
        let closed: UInt32 = counts && flow.pointee.closeType != Raw.forcedReport ? 1 : 0
        let load = entry.pointee.flowCount &+ new
        entry.pointee.load = load
        entry.pointee.flowCount = load > closed ? load &- closed : 0
    }

    @inline(__always)
    private func countConnection(
        _ flow: UnsafePointer<TaggedFlow>, _ entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) {
        let proto = flow.pointee.key.proto
        guard proto == Raw.tcp || proto == Raw.udp, settings.npmMetricsConcurrent,
            flow.pointee.signalSource == Raw.packet
        else { return }
        let isNew = flow.pointee.isNewFlow
        if flow.pointee.closeType == Raw.forcedReport {
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
        let hasLoads = settings.npmMetricsConcurrent
        for position in 0..<count {
            if hasLoads, position + 16 < count {
                connections.prefetchHome(slot.pointee.entries[position + 16].pointee.hash)
                connections.prefetchEntry(slot.pointee.entries[position + 8].pointee.hash)
            }
            let entry = slot.pointee.entries[position]
            finish(entry, endSeconds)
            sink.add(
                QuadrupleView(
                    entry: UnsafePointer(entry), performance: slot.pointee.performance.part(entry.pointee.performance),
                    anomaly: slot.pointee.anomalies.part(entry.pointee.anomaly),
                    l7: slot.pointee.l7.part(entry.pointee.l7)))
        }
        connections.sweep(steps: connections.count / 8 + 1, nowSeconds: endSeconds)
        slot.pointee.positions.removeAll()
        slot.pointee.entries.removeAll()
        slot.pointee.performance.removeAll()
        slot.pointee.anomalies.removeAll()
        slot.pointee.l7.removeAll()
        if let room = shrinker.room(after: count, capacity: slot.pointee.entries.capacity) {
            slot.pointee.entries.shrink(to: room)
            slot.pointee.performance.shrink(to: room)
            slot.pointee.anomalies.shrink(to: room)
            slot.pointee.l7.shrink(to: room)
            slot.pointee.positions.reset(capacity: room)
        }
    }

    /// Connections and active hosts, known only when the slot is complete. Source: agent-flow.md 13.5, 13.6.
    @inline(__always)
    private mutating func finish(_ entry: UnsafeMutablePointer<FlowMeterWithFlow>, _ endSeconds: UInt32) {
        guard entry.pointee.flow.signalSource != Raw.ebpf else { return }
        let proto = entry.pointee.flow.proto
        if settings.npmMetricsConcurrent, proto == Raw.tcp || proto == Raw.udp {
            let load = connections.update(
                entry.pointer(to: \.flow).unsafelyUnwrapped, hash: entry.pointee.hash, sum: entry.pointee.connectionSum,
                living: entry.pointee.connectionLiving,
                isKnown: entry.pointee.hasConnections, timeSeconds: entry.pointee.timeSeconds, nowSeconds: endSeconds)
            entry.pointee.load = load
            let closed = entry.pointee.closedFlow
            entry.pointee.flowCount = load > closed ? load &- closed : 0
        }
        // The memory of possible hosts exists only without this aggregation, and only this aggregation asks for it.
        guard settings.inactiveIPAggregation else { return }
        entry.pointee.isActiveSrc = entry.pointee.flow.isDeviceSrc
        entry.pointee.isActiveDst = entry.pointee.flow.isDeviceDst
    }
}
