/// When a stash gives memory back: never under 1024 entries or twice the longest of the last ten flushes.
/// Source: agent-flow.md 17.
struct ShrinkRule: Sendable {
    private var lengths = InlineArray<10, Int>(repeating: 0)
    private var next = 0
    private(set) var shrinks: UInt64 = 0

    /// Entries to keep room for, when the capacity is more than that; nil = leave it.
    mutating func room(after length: Int, capacity: Int) -> Int? {
        lengths[next] = length
        next = next == 9 ? 0 : next + 1
        var longest = 0
        for index in 0..<10 { longest = max(longest, lengths[index]) }
        let room = max(1024, longest * 2)
        // A block of slack, so that the rounding to blocks does not shrink and grow in turns.
        guard capacity > room + 256 else { return nil }
        shrinks &+= 1
        return room
    }
}
