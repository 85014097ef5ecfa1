/// SplitMix64: small, fast, and the same on every machine, so that a seed names a file.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// A number in `0..<bound`.
    mutating func below(_ bound: Int) -> Int {
        Int((UInt64(UInt32(truncatingIfNeeded: next())) &* UInt64(bound)) >> 32)
    }

    mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    /// True in `perMille` of thousand cases.
    mutating func chance(_ perMille: Int) -> Bool { below(1000) < perMille }

    /// Index of the share that was drawn; `shares` need not add up to anything.
    mutating func pick(_ shares: [Int]) -> Int {
        var left = below(shares.reduce(0, +))
        for (index, share) in shares.enumerated() {
            if left < share { return index }
            left -= share
        }
        return shares.count - 1
    }
}
