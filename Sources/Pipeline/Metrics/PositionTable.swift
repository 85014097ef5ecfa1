/// Positions of entries by hash: open addressing, linear probing, backward-shift delete; it holds no keys itself.
///
/// A slot is the upper 32 bits of the hash and 32 bits of position + 1; 0 is empty. The home of a slot follows from
/// its own bits, so that growth and removal need not look at the entries. The owner compares keys in its dense
/// entries. Load stays at or under one half. Not safe for several threads.
struct PositionTable: ~Copyable {
    private var slots: UnsafeMutablePointer<UInt64>
    private var mask: Int
    private(set) var count = 0

    private static var tagMask: UInt64 { 0xffff_ffff_0000_0000 }

    init(capacity: Int = 1024) {
        var size = 16
        while size < capacity { size <<= 1 }
        slots = PositionTable.empty(size)
        mask = size - 1
    }

    private static func empty(_ size: Int) -> UnsafeMutablePointer<UInt64> {
        let slots = LargePages.allocate(size * 8).bindMemory(to: UInt64.self, capacity: size)
        slots.initialize(repeating: 0, count: size)
        return slots
    }

    deinit { slots.deallocate() }

    var capacity: Int { mask + 1 }

    /// Address of the first slot that `find` will read, for a prefetch.
    @inline(__always)
    func home(of hash: UInt64) -> UnsafeRawPointer { UnsafeRawPointer(slots + homeIndex(hash)) }

    /// Position whose hash fits and for which `matches` says yes; nil = not there.
    @inline(__always)
    func find(_ hash: UInt64, _ matches: (Int) -> Bool) -> Int? {
        let tag = hash >> 32
        var index = homeIndex(hash)
        while true {
            let slot = slots[index]
            if slot == 0 { return nil }
            if slot >> 32 == tag {
                let position = Int(truncatingIfNeeded: slot & 0xffff_ffff) &- 1
                if matches(position) { return position }
            }
            index = (index &+ 1) & mask
        }
    }

    /// The position that one of the first slots of this hash with a fitting tag holds, unverified; -1 = none. For
    /// prefetches.
    @inline(__always)
    func likelyPosition(_ hash: UInt64) -> Int {
        var index = homeIndex(hash)
        for _ in 0..<4 {
            let slot = slots[index]
            if slot >> 32 == hash >> 32 { return Int(truncatingIfNeeded: slot & 0xffff_ffff) &- 1 }
            if slot == 0 { return -1 }
            index = (index &+ 1) & mask
        }
        return -1
    }

    /// Adds a position that `find` did not find.
    @inline(__always)
    mutating func insert(_ hash: UInt64, position: Int) {
        if (count &+ 1) &* 2 > mask { grow() }
        place((hash & PositionTable.tagMask) | UInt64(truncatingIfNeeded: position &+ 1))
        count &+= 1
    }

    /// Removes a position that is present under this hash.
    mutating func remove(_ hash: UInt64, position: Int) {
        let wanted = (hash & PositionTable.tagMask) | UInt64(truncatingIfNeeded: position &+ 1)
        var hole = homeIndex(hash)
        while slots[hole] != wanted {
            if slots[hole] == 0 { return }
            hole = (hole &+ 1) & mask
        }
        count &-= 1
        var index = (hole &+ 1) & mask
        while slots[index] != 0 {
            // Moves back what may lie in the hole: its home is not between hole and index.
            if (index &- homeIndex(slots[index])) & mask >= (index &- hole) & mask {
                slots[hole] = slots[index]
                hole = index
            }
            index = (index &+ 1) & mask
        }
        slots[hole] = 0
    }

    /// Points the slot of `from` to `to`, after the owner moved its entry.
    mutating func relocate(_ hash: UInt64, from: Int, to: Int) {
        let wanted = (hash & PositionTable.tagMask) | UInt64(truncatingIfNeeded: from &+ 1)
        var index = homeIndex(hash)
        while slots[index] != wanted {
            if slots[index] == 0 { return }
            index = (index &+ 1) & mask
        }
        slots[index] = (hash & PositionTable.tagMask) | UInt64(truncatingIfNeeded: to &+ 1)
    }

    mutating func removeAll() {
        guard count > 0 else { return }
        slots.update(repeating: 0, count: mask + 1)
        count = 0
    }

    /// Empties the table and gives it the size for `capacity` positions.
    mutating func reset(capacity: Int) {
        var size = 16
        while size < capacity * 2 + 2 { size <<= 1 }
        guard size != mask + 1 else { return removeAll() }
        slots.deallocate()
        slots = PositionTable.empty(size)
        mask = size - 1
        count = 0
    }

    @inline(__always)
    private func homeIndex(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 32) & mask }

    @inline(__always)
    private mutating func place(_ slot: UInt64) {
        var index = homeIndex(slot)
        while slots[index] != 0 { index = (index &+ 1) & mask }
        slots[index] = slot
    }

    @inline(never)
    private mutating func grow() {
        let old = slots
        let size = mask + 1
        slots = PositionTable.empty(size * 2)
        mask = size * 2 - 1
        for index in 0..<size where old[index] != 0 { place(old[index]) }
        old.deallocate()
    }
}
