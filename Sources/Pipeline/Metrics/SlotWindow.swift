/// The moving window of the quadruple generators: which slots are open, when they are due. Source: agent-flow.md 13.1.
struct SlotWindow: Sendable {
    enum Step: Equatable, Sendable {
        /// Before the window: a counted drop.
        case late
        case open
        /// So many slots at the front are due, in order; then the window moves on by `advance`.
        case due(slots: Int, advance: UInt32)
    }

    let slotSeconds: UInt32
    let slots: Int
    let delay: UInt32
    /// Start of the first open slot, seconds since 1970; nil before the first time is known.
    private(set) var start: UInt32?
    /// Ring position of the first open slot.
    private(set) var head = 0

    init(slotSeconds: UInt32, slots: Int, delay: UInt32) {
        self.slotSeconds = slotSeconds
        self.slots = max(slots, 1)
        self.delay = delay
    }

    /// Two minutes before the minute of the first time seen.
    mutating func begin(at clock: UInt32) {
        guard start == nil else { return }
        let minute = clock / 60 * 60
        start = minute >= 120 ? minute - 120 : 0
    }

    @inline(__always)
    func step(to time: UInt32) -> Step {
        guard let start else { return .late }
        if time < start { return .late }
        let elapsed = time &- start
        if elapsed < delay { return .open }
        let due = (elapsed &- delay) / slotSeconds &+ 1
        return .due(slots: min(Int(due), slots), advance: due)
    }

    /// Seconds since 1970 at which slot `index` of the window starts.
    func startOfSlot(_ index: Int) -> UInt32 { (start ?? 0) &+ UInt32(index) &* slotSeconds }

    @inline(__always)
    func ringPosition(_ index: Int) -> Int {
        let position = head &+ index
        return position >= slots ? position &- slots : position
    }

    mutating func move(by advance: UInt32) {
        guard let begun = start else { return }
        start = begun &+ advance &* slotSeconds
        head = (head + Int(advance % UInt32(slots))) % slots
    }

    /// Slot of an accepted time; the last one for what lies beyond.
    @inline(__always)
    func slot(of time: UInt32) -> Int {
        guard let start else { return 0 }
        return min(Int((time &- start) / slotSeconds), slots &- 1)
    }
}

/// Of a generator, since the last `take`. Source: agent-flow.md 17.
package struct GeneratorCounters: Sendable, Equatable {
    /// Greatest distance of the window's start behind a record, ns.
    package var windowDelayNs: UInt64 = 0
    /// Greatest age of a flow record when it came in, ns.
    package var flowDelayNs: UInt64 = 0
    package var dropBeforeWindow: UInt64 = 0
    /// Records of new keys refused because a slot was full.
    package var dropByCapacity: UInt64 = 0
    package var stashTotalLength: UInt64 = 0
    package var stashTotalCapacity: UInt64 = 0

    package init() {}
}
