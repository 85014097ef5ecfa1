import CLinux
import Synchronization

/// One window slot of a generator: quadruples by key, their rarer counters beside them.
///
/// When its time is over it travels to the collector as it is, so nothing is copied between the two.
struct QuadrupleSlot: ~Copyable {
    var positions = PositionTable()
    var entries = BlockArray<FlowMeterWithFlow>()
    var responses = BlockArray<ResponsePart>()
    var l7 = BlockArray<L7Part>()
    var setups = BlockArray<SetupPart>()
    var faults = BlockArray<FaultPart>()
    var ends = BlockArray<FlowEnds>()
    /// Seconds since 1970; set when the slot leaves its generator.
    var startSeconds: UInt32 = 0
    /// Whether any of its flows has a known end.
    var hasKnownEnds = false
    /// Whether pairs of its quadruples may be one document.
    var mayMergePairs = false

    @inline(__always)
    func view(_ position: Int) -> QuadrupleView {
        let entry = UnsafePointer(entries[position])
        let parts = entry.pointee.parts
        let setup = setups.numbered(parts.setup)
        return QuadrupleView(
            entry: entry, response: responses.numbered(parts.response), l7: l7.numbered(parts.l7), setup: setup,
            fault: setup.flatMap { faults.numbered(Int($0.pointee.fault)) })
    }

    @inline(__always)
    func fault(of entry: UnsafePointer<FlowMeterWithFlow>) -> UnsafePointer<FaultPart>? {
        setups.numbered(entry.pointee.parts.setup).flatMap { faults.numbered(Int($0.pointee.fault)) }
    }

    @inline(__always)
    func ends(of entry: UnsafePointer<FlowMeterWithFlow>) -> UnsafePointer<FlowEnds>? {
        guard entry.pointee.flow.hasEnds else { return nil }
        return setups.numbered(entry.pointee.parts.setup).flatMap { ends.numbered(Int($0.pointee.ends)) }
    }

    /// Asks the caches for the response times of an entry; -1 = none.
    @inline(__always)
    func prefetchResponse(of position: Int) {
        guard position >= 0, let part = responses.numbered(entries[position].pointee.parts.response) else { return }
        dft_prefetch(part)
    }

    @inline(__always)
    func key(of entry: UnsafePointer<FlowMeterWithFlow>) -> QuadrupleKey {
        QuadrupleKey(entry.pointee.flow, gpids: ends(of: entry)?.pointee.gpids ?? 0)
    }

    mutating func removeAll() {
        positions.removeAll()
        entries.removeAll()
        responses.removeAll()
        l7.removeAll()
        setups.removeAll()
        faults.removeAll()
        ends.removeAll()
        hasKnownEnds = false
        mayMergePairs = false
    }

    /// Gives memory back; to be called when empty.
    mutating func shrink(to room: Int) {
        entries.shrink(to: room)
        responses.shrink(to: room)
        l7.shrink(to: room)
        setups.shrink(to: room)
        faults.shrink(to: room)
        ends.shrink(to: room)
        positions.reset(capacity: room)
    }
}

/// A slot with quadruples on its way to the collector, in one thread or through a queue; exactly one holds it.
/// Its memory goes back to the pool with the last reference, also when a full queue drops it.
package final class FilledSlot: @unchecked Sendable {
    let slot: UnsafeMutablePointer<QuadrupleSlot>
    private let pool: SlotPool

    init(_ slot: UnsafeMutablePointer<QuadrupleSlot>, _ pool: SlotPool) {
        self.slot = slot
        self.pool = pool
    }

    deinit { pool.put(slot) }

    package var count: Int { slot.pointee.entries.count }
}

/// Empty slots of one generator whose memory is used again.
final class SlotPool: Sendable {
    /// A slot that nobody else holds, which is why it may change threads.
    private struct Spare: @unchecked Sendable {
        let slot: UnsafeMutablePointer<QuadrupleSlot>
    }

    private struct State {
        var spare: [Spare] = []
        var shrinker = ShrinkRule()
    }

    private static var mostSpare: Int { 4 }

    private let state = Mutex(State())

    deinit {
        state.withLock { state in
            for spare in state.spare { SlotPool.free(spare.slot) }
        }
    }

    func take() -> UnsafeMutablePointer<QuadrupleSlot> {
        if let spare = state.withLock({ $0.spare.popLast() }) { return spare.slot }
        let slot = UnsafeMutablePointer<QuadrupleSlot>.allocate(capacity: 1)
        slot.initialize(to: QuadrupleSlot())
        return slot
    }

    func put(_ slot: UnsafeMutablePointer<QuadrupleSlot>) {
        let length = slot.pointee.entries.count
        slot.pointee.removeAll()
        let capacity = slot.pointee.entries.capacity
        let room = state.withLock { $0.shrinker.room(after: length, capacity: capacity) }
        if let room { slot.pointee.shrink(to: room) }
        let spare = Spare(slot: slot)
        let isKept = state.withLock { state in
            guard state.spare.count < SlotPool.mostSpare else { return false }
            state.spare.append(spare)
            return true
        }
        if !isKept { SlotPool.free(slot) }
    }

    static func free(_ slot: UnsafeMutablePointer<QuadrupleSlot>) {
        slot.deinitialize(count: 1)
        slot.deallocate()
    }
}
