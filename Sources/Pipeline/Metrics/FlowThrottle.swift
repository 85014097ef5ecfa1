import Model

/// SplitMix64: small, seeded, the same on every run.
struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    /// Uniform in 0..<bound by the high half of a product; the bias of 2^-32 does not matter for sampling.
    mutating func index(below bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }
}

/// Reservoir sampling of flow logs in buckets of four seconds. Source: agent-flow.md 16.3.
struct FlowThrottle {
    private static var bucketShift: UInt32 { 2 }

    private let capacity: Int
    private var generator: SeededGenerator
    private var bucket: UInt32 = 0
    private var periodCount = 0
    private(set) var kept: [TaggedFlow] = []
    /// Logs that did not find room, whichever of them was given up.
    private(set) var dropped: UInt64 = 0

    /// - Parameter perSecond: outside 100...1000000 the default of 10000 holds.
    init(perSecond: UInt32, seed: UInt64) {
        let rate = (100...1_000_000).contains(perSecond) ? perSecond : 10_000
        capacity = Int(rate) << Int(Self.bucketShift)
        generator = SeededGenerator(seed: seed)
    }

    /// True when a bucket has ended and `kept` must be taken.
    mutating func advance(to seconds: UInt32) -> Bool {
        let now = seconds >> Self.bucketShift
        guard now != bucket else { return false }
        bucket = now
        return !kept.isEmpty
    }

    mutating func take() -> [TaggedFlow] {
        defer {
            kept = []
            periodCount = 0
        }
        return kept
    }

    mutating func add(_ flow: consuming TaggedFlow) {
        periodCount += 1
        if kept.count < capacity {
            kept.append(flow)
            return
        }
        dropped &+= 1
        let index = generator.index(below: periodCount)
        if index < capacity { kept[index] = flow }
    }
}
