/// The slot of a collector: exactly one is open. Source: agent-flow.md 14.1.
struct CollectorWindow: Sendable {
    enum Step: Equatable, Sendable {
        case late
        case open
        /// The open slot is over, another one has begun.
        case over
    }

    let slotSeconds: UInt32
    let delay: UInt32
    private(set) var start: UInt32?

    init(slotSeconds: UInt32, delay: UInt32) {
        self.slotSeconds = slotSeconds
        self.delay = delay
    }

    @inline(__always)
    mutating func step(to time: UInt32) -> Step {
        // Before the first record there is nothing to flush, so the slot is that of the record.
        guard let begun = start else {
            start = time / slotSeconds * slotSeconds
            return .open
        }
        if time < begun { return .late }
        if time &- begun < slotSeconds { return .open }
        start = time / slotSeconds * slotSeconds
        return .over
    }

    /// The time of a tick as a record's time would be.
    func tickTime(_ clock: UInt32) -> UInt32 {
        let lag = slotSeconds == 1 ? delay : delay - min(delay, 60)
        return clock > lag ? clock - lag : 0
    }
}
