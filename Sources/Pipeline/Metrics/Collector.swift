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
    /// Hashes of the quadruples that are next to be finished.
    private let hashes: UnsafeMutablePointer<UInt64>
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
        hashes = .allocate(capacity: DocumentOutlet.batchSize)
    }

    deinit { hashes.deallocate() }

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
        let writer = DocumentWriter(slot: slot, flags: flags, rules: rules)
        if rules.showsAll, !slot.pointee.hasKnownEnds, !slot.pointee.mayMergePairs {
            deliverPairs(writer, to: outlet)
        } else {
            plan(writer)
            counters.out &+= UInt64(plan.count)
            outlet.send(plan.count) { first, documents in
                for index in 0..<documents.count {
                    writer.write(plan.item(first + index), plan, documents.baseAddress.unsafelyUnwrapped + index)
                }
            }
            plan.removeAll()
        }
        let endSeconds = slot.pointee.startSeconds &+ window.slotSeconds
        connections.sweep(slotSeconds: window.slotSeconds, nowSeconds: endSeconds)
    }

    /// Each quadruple is one document: its pair.
    private mutating func deliverPairs(_ writer: DocumentWriter, to outlet: DocumentOutlet) {
        let count = writer.slot.pointee.entries.count
        counters.out &+= UInt64(count)
        outlet.send(count) { first, documents in
            prepareLoads(writer.slot, first, documents.count)
            for index in 0..<documents.count {
                let load = load(writer.slot, first + index, hash: hashes[index])
                let reference = DocumentPlan.Reference(first + index, isSingle: false)
                writer.write(reference, load: load, documents.baseAddress.unsafelyUnwrapped + index)
            }
        }
    }

    private mutating func plan(_ writer: DocumentWriter) {
        let slot = writer.slot
        let count = slot.pointee.entries.count
        for first in stride(from: 0, to: count, by: DocumentOutlet.batchSize) {
            let length = min(DocumentOutlet.batchSize, count - first)
            prepareLoads(slot, first, length)
            for index in 0..<length {
                plan.append(load(slot, first + index, hash: hashes[index]))
                planDocuments(writer, first + index)
            }
        }
    }

    /// Source: agent-flow.md 14.2.
    @inline(__always)
    private mutating func planDocuments(_ writer: DocumentWriter, _ position: Int) {
        let flow = UnsafePointer(writer.slot.pointee.entries[position].pointer(to: \.flow).unsafelyUnwrapped)
        let (isActiveSrc, isActiveDst) = (writer.isActive(flow, .src), writer.isActive(flow, .dst))
        if settings.inactiveIPAggregation, !isActiveSrc, !isActiveDst {
            counters.dropInactive &+= 1
            return
        }
        if flow.pointee.hasKnownEnd {
            let (srcDirection, dstDirection) = (flow.pointee.srcDirection, flow.pointee.dstDirection)
            let isActive = srcDirection != 0 ? isActiveSrc : isActiveDst
            if srcDirection | dstDirection <= Raw.sideLocal, !settings.inactiveIPAggregation || isActive {
                put(DocumentPlan.Reference(position, isSingle: true), writer)
            }
            guard flow.pointee.signalSource <= Raw.xflow else { return }
        }
        let pair = DocumentPlan.Reference(position, isSingle: false)
        if rules.showsAll, !writer.slot.pointee.mayMergePairs {
            if !plan.add(pair, limit: settings.maxEntriesPerSlot) { counters.dropByCapacity &+= 1 }
        } else {
            put(pair, writer)
        }
    }

    @inline(__always)
    private mutating func put(_ reference: DocumentPlan.Reference, _ writer: DocumentWriter) {
        let isKept = plan.add(reference, writer.key(reference), limit: settings.maxEntriesPerSlot) {
            writer.key($0)
        }
        if !isKept { counters.dropByCapacity &+= 1 }
    }

    /// Hashes of the next quadruples, and what `load` will read of them is asked for.
    @inline(__always)
    private func prepareLoads(_ slot: UnsafeMutablePointer<QuadrupleSlot>, _ first: Int, _ count: Int) {
        guard settings.npmMetricsConcurrent else { return }
        for index in 0..<count {
            hashes[index] = slot.pointee.key(of: slot.pointee.entries[first + index]).hash
            connections.prefetchHome(hashes[index])
        }
        for index in 0..<count { connections.prefetchEntry(hashes[index]) }
    }

    /// The load of a quadruple, known only when its slot is complete. Source: agent-flow.md 13.5.
    @inline(__always)
    private mutating func load(
        _ slot: UnsafeMutablePointer<QuadrupleSlot>, _ position: Int, hash: UInt64
    ) -> DocumentWriter.Load {
        let entry = UnsafePointer(slot.pointee.entries[position])
        guard settings.npmMetricsConcurrent, entry.pointee.flow.hasConnections else {
            guard let fault = slot.pointee.fault(of: entry) else { return DocumentWriter.Load() }
            return DocumentWriter.Load(load: fault.pointee.load, flowCount: fault.pointee.flowCount)
        }
        var new = Int32(truncatingIfNeeded: entry.pointee.newFlow)
        var closed = Int32(truncatingIfNeeded: entry.pointee.closedFlow)
        if let fault = slot.pointee.fault(of: entry) {
            new &-= Int32(truncatingIfNeeded: fault.pointee.sampledNew)
            closed &-= Int32(truncatingIfNeeded: fault.pointee.sampledClosed)
        }
        let load = connections.update(
            slot.pointee.key(of: entry), hash: hash, sum: new, living: new &- closed,
            timeSeconds: slot.pointee.startSeconds &+ UInt32(entry.pointee.second),
            nowSeconds: slot.pointee.startSeconds &+ window.slotSeconds)
        let allClosed = entry.pointee.closedFlow
        return DocumentWriter.Load(load: load, flowCount: load > allClosed ? load &- allClosed : 0)
    }
}
