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
    private var window: SlotWindow
    /// By ring position.
    private var slots: UnsafeMutablePointer<UnsafeMutablePointer<QuadrupleSlot>>
    private let pool = SlotPool()
    private var counters = GeneratorCounters()

    /// - Parameter slotSeconds: 1 or 60. `slots` x `slotSeconds` must cover `delay`.
    package init(slotSeconds: UInt32, slots: Int, delay: UInt32, settings: FlowMetricsSettings) {
        self.settings = settings
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
            counters.stashTotalLength += UInt64(slots[index].pointee.entries.count)
            counters.stashTotalCapacity += UInt64(slots[index].pointee.entries.capacity)
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
        let slot = slots[window.ringPosition(window.slot(of: time))]
        insert(flow, key, hash, time, slot)
    }

    /// The open slot that `add` will use for a record of this second, unless the window moves before.
    @inline(__always)
    func likelySlot(_ seconds: UInt32) -> UnsafeMutablePointer<QuadrupleSlot> {
        slots[window.ringPosition(window.slot(of: max(seconds, window.start ?? 0)))]
    }

    @inline(__always)
    private mutating func insert(
        _ flow: UnsafePointer<TaggedFlow>, _ key: QuadrupleKey, _ hash: UInt64, _ time: UInt32,
        _ slot: UnsafeMutablePointer<QuadrupleSlot>
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
            slot.pointee.positions.insert(hash, position: position)
        }
        entry.pointee.timeSeconds = time
        addCounters(flow, entry, slot)
        countConnection(flow, entry)
    }

    /// Source: agent-flow.md 13.3.
    @inline(__always)
    private func addCounters(
        _ flow: UnsafePointer<TaggedFlow>, _ entry: UnsafeMutablePointer<FlowMeterWithFlow>,
        _ slot: UnsafeMutablePointer<QuadrupleSlot>
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
        guard l7.pointee.hasCounts else { return }
        slot.pointee.l7.part(&entry.pointee.l7, L7Part()).pointee.stats.merge(l7.pointee)
    }

    @inline(__always)
    private func addPerformance(
        _ flow: UnsafePointer<TaggedFlow>, _ proto: UInt8, _ entry: UnsafeMutablePointer<FlowMeterWithFlow>,
        _ slot: UnsafeMutablePointer<QuadrupleSlot>
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
            let ring = window.ringPosition(index)
            let slot = slots[ring]
            guard slot.pointee.entries.count > 0 else { continue }
            slot.pointee.startSeconds = window.startOfSlot(index)
            slots[ring] = pool.take()
            sink.take(FilledSlot(slot, pool))
        }
    }
}
