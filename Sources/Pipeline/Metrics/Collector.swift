import CLinux
import Model

/// Of a collector, since the last `take`. Source: agent-flow.md 17.
package struct CollectorCounters: Sendable, Equatable {
    package var windowDelayNs: UInt64 = 0
    package var flowDelayNs: UInt64 = 0
    package var `in`: UInt64 = 0
    package var out: UInt64 = 0
    package var dropBeforeWindow: UInt64 = 0
    package var dropInactive: UInt64 = 0
    /// New documents refused because the slot was full.
    package var dropByCapacity: UInt64 = 0
    package var stashLength: UInt64 = 0
    package var stashCapacity: UInt64 = 0
    package var stashShrinks: UInt64 = 0

    package init() {}
}

/// Turns the quadruples of a slot into documents: for each end that is known, and for the pair.
///
/// A slot waits as it came from the generator until its window is over; documents are written only when their batch
/// leaves. Source: agent-flow.md 13.5, 13.6, 14.
package struct Collector: ~Copyable, MeterSink {
    private let settings: FlowMetricsSettings
    private let rules: TagRules
    private let flags: UInt32
    private var window: CollectorWindow
    private var connections: ConnectionTable
    private var held: FilledSlot?
    /// Slots whose window is over, in order, for `deliver`.
    private var ready: [FilledSlot] = []
    private var plan = DocumentPlan()
    private var counters = CollectorCounters()
    private var shrinksTaken: UInt64 = 0
    /// Clock of the delays, seconds since 1970; 0 = they are not measured.
    var clockSeconds: UInt32 = 0

    /// - Parameter slotSeconds: 1 or 60.
    package init(slotSeconds: UInt32, delay: UInt32, settings: FlowMetricsSettings, identity: MetricsIdentity) {
        self.settings = settings
        rules = TagRules(identity, settings)
        flags = slotSeconds == 1 ? Document.perSecond : 0
        window = CollectorWindow(slotSeconds: slotSeconds, delay: delay)
        connections = ConnectionTable(limit: settings.maxConnections)
    }

    package mutating func take(_ slot: FilledSlot) {
        counters.in &+= UInt64(slot.count)
        counters.flowDelayNs = max(counters.flowDelayNs, age(of: slot.slot.pointee.startSeconds))
        switch window.step(to: slot.slot.pointee.startSeconds) {
        case .late:
            counters.dropBeforeWindow &+= UInt64(slot.count)
            return
        case .over, .open: release()
        }
        held = slot
    }

    /// - Parameter seconds: clock, seconds since 1970.
    package mutating func tick(seconds: UInt32) {
        guard window.start != nil else { return }
        if case .over = window.step(to: window.tickTime(seconds)) { release() }
    }

    /// Ends the open slot: the end of a replay.
    package mutating func flushAll() { release() }

    package mutating func takeCounters() -> CollectorCounters {
        defer { counters = CollectorCounters() }
        counters.stashLength = UInt64(held?.count ?? 0)
        counters.stashCapacity = UInt64(plan.capacity)
        counters.stashShrinks = plan.shrinks - shrinksTaken
        shrinksTaken = plan.shrinks
        return counters
    }

    /// Sends the documents of the slots that are over, oldest first, and gives the slots back.
    mutating func deliver(to outlet: DocumentOutlet) {
        while !ready.isEmpty {
            let slot = ready.removeFirst()
            deliver(slot.slot, to: outlet)
        }
    }

    private mutating func release() {
        guard let held else { return }
        counters.windowDelayNs = max(counters.windowDelayNs, age(of: held.slot.pointee.startSeconds))
        ready.append(held)
        self.held = nil
    }

    /// Nanoseconds from the start of a slot until now.
    private func age(of startSeconds: UInt32) -> UInt64 {
        clockSeconds > startSeconds ? UInt64(clockSeconds - startSeconds) * 1_000_000_000 : 0
    }

    private mutating func deliver(_ slot: UnsafeMutablePointer<QuadrupleSlot>, to outlet: DocumentOutlet) {
        plan(slot)
        counters.out &+= UInt64(plan.count)
        let writer = DocumentWriter(slot: slot, flags: flags, rules: rules)
        outlet.send(plan.count) { number, document in writer.write(plan.item(number), plan, document) }
        plan.removeAll()
    }

    private mutating func plan(_ slot: UnsafeMutablePointer<QuadrupleSlot>) {
        let count = slot.pointee.entries.count
        let endSeconds = slot.pointee.startSeconds &+ window.slotSeconds
        let hasLoads = settings.npmMetricsConcurrent
        for position in 0..<count {
            if hasLoads, position + 16 < count {
                connections.prefetchHome(slot.pointee.entries[position + 16].pointee.hash)
                connections.prefetchEntry(slot.pointee.entries[position + 8].pointee.hash)
            }
            let entry = slot.pointee.entries[position]
            finish(entry, endSeconds)
            planDocuments(entry, position, slot)
        }
        connections.sweep(steps: connections.count / 8 + 1, nowSeconds: endSeconds)
    }

    /// Source: agent-flow.md 14.2.
    @inline(__always)
    private mutating func planDocuments(
        _ entry: UnsafeMutablePointer<FlowMeterWithFlow>, _ position: Int, _ slot: UnsafeMutablePointer<QuadrupleSlot>
    ) {
        let isActiveSrc = entry.pointee.isActiveSrc
        let isActiveDst = entry.pointee.isActiveDst
        if settings.inactiveIPAggregation, !isActiveSrc, !isActiveDst {
            counters.dropInactive &+= 1
            return
        }
        let srcDirection = entry.pointee.flow.srcDirection
        let dstDirection = entry.pointee.flow.dstDirection
        if (srcDirection == 0) != (dstDirection == 0) {
            let isActive = srcDirection != 0 ? isActiveSrc : isActiveDst
            if srcDirection | dstDirection <= Raw.sideLocal, !settings.inactiveIPAggregation || isActive {
                put(DocumentPlan.Reference(position, isSingle: true), slot)
            }
            let signal = entry.pointee.flow.signalSource
            guard signal == Raw.packet || signal == Raw.xflow else { return }
        }
        put(DocumentPlan.Reference(position, isSingle: false), slot)
    }

    @inline(__always)
    private mutating func put(_ reference: DocumentPlan.Reference, _ slot: UnsafeMutablePointer<QuadrupleSlot>) {
        let writer = DocumentWriter(slot: slot, flags: flags, rules: rules)
        let isKept = plan.add(reference, writer.key(reference), limit: settings.maxEntriesPerSlot) {
            writer.key($0)
        }
        if !isKept { counters.dropByCapacity &+= 1 }
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
