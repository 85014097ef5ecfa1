/// Positions of entries by hash: open addressing, linear probing, backward-shift delete; it holds no keys itself.
///
/// A slot is the upper 28 bits of the hash, 12 bits of the round it was written in and 24 bits of position. Slots of
/// earlier rounds are empty, so that emptying the table touches none of them. The home of a slot follows from its own
/// bits, so that growth and removal need not look at the entries. The owner compares keys in its dense entries. Load
/// stays at or under one half. Not safe for several threads.
struct PositionTable: ~Copyable {
    private var slots: UnsafeMutablePointer<UInt64>
    private var mask: Int
    /// Slots that the memory holds; `mask` may use only the first of them.
    private var room: Int
    /// Of the current round, where a slot has it. Round 0 is that of no table.
    private var stamp = PositionTable.firstStamp
    private(set) var count = 0

    private static var tagShift: UInt64 { 36 }
    private static var tagMask: UInt64 { 0xffff_fff0_0000_0000 }
    private static var roundMask: UInt64 { 0x0000_000f_ff00_0000 }
    private static var firstStamp: UInt64 { 1 << 24 }
    /// Positions lie below it.
    private static var positionLimit: UInt64 { 1 << 24 }

    init(capacity: Int = 1024) {
        room = 16
        while room < capacity { room <<= 1 }
        slots = PositionTable.empty(room)
        mask = room - 1
    }

    private static func empty(_ size: Int) -> UnsafeMutablePointer<UInt64> {
        let slots = LargePages.allocate(size * 8).bindMemory(to: UInt64.self, capacity: size)
        slots.initialize(repeating: 0, count: size)
        return slots
    }

    deinit { slots.deallocate() }

    /// Address of the first slot that `find` will read, for a prefetch.
    @inline(__always)
    func home(of hash: UInt64) -> UnsafeRawPointer { UnsafeRawPointer(slots + homeIndex(hash)) }

    /// Position whose hash fits and for which `matches` says yes; nil = not there.
    @inline(__always)
    func find(_ hash: UInt64, _ matches: (Int) -> Bool) -> Int? {
        let wanted = PositionTable.tagMask & hash | stamp
        var index = homeIndex(hash)
        while true {
            let difference = slots[index] ^ wanted
            if difference < PositionTable.positionLimit {
                let position = Int(truncatingIfNeeded: difference)
                if matches(position) { return position }
            } else if difference & PositionTable.roundMask != 0 {
                return nil
            }
            index = (index &+ 1) & mask
        }
    }

    /// The position that one of the first slots of this hash with a fitting tag holds, unverified; -1 = none. For
    /// prefetches.
    @inline(__always)
    func likelyPosition(_ hash: UInt64) -> Int {
        let wanted = PositionTable.tagMask & hash | stamp
        var index = homeIndex(hash)
        for _ in 0..<4 {
            let difference = slots[index] ^ wanted
            if difference < PositionTable.positionLimit { return Int(truncatingIfNeeded: difference) }
            if difference & PositionTable.roundMask != 0 { return -1 }
            index = (index &+ 1) & mask
        }
        return -1
    }

    /// Adds a position that `find` did not find.
    /// - Parameter position: below 2^24.
    @inline(__always)
    mutating func insert(_ hash: UInt64, position: Int) {
        if (count &+ 1) &* 2 > mask { grow() }
        place(slot(hash, position))
        count &+= 1
    }

    /// Removes a position that is present under this hash.
    mutating func remove(_ hash: UInt64, position: Int) {
        guard var hole = indexOf(slot(hash, position)) else { return }
        count &-= 1
        var index = (hole &+ 1) & mask
        while isUsed(slots[index]) {
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
        if let index = indexOf(slot(hash, from)) { slots[index] = slot(hash, to) }
    }

    /// Empties the table. One that was sparse is smaller from now on: what is dense stays in the caches.
    mutating func removeAll() {
        guard count > 0 else { return }
        if count &* 4 < mask { mask >>= 1 }
        count = 0
        beginRound()
    }

    /// Empties the table and gives it the memory for `capacity` positions.
    mutating func reset(capacity: Int) {
        var size = 16
        while size < capacity * 2 + 2 { size <<= 1 }
        guard size != room else { return removeAll() }
        slots.deallocate()
        slots = PositionTable.empty(size)
        room = size
        mask = size - 1
        count = 0
        stamp = PositionTable.firstStamp
    }

    @inline(__always)
    private func homeIndex(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash >> PositionTable.tagShift) & mask
    }

    @inline(__always)
    private func slot(_ hash: UInt64, _ position: Int) -> UInt64 {
        PositionTable.tagMask & hash | stamp | UInt64(truncatingIfNeeded: position)
    }

    @inline(__always)
    private func isUsed(_ slot: UInt64) -> Bool { (slot ^ stamp) & PositionTable.roundMask == 0 }

    @inline(__always)
    private func indexOf(_ wanted: UInt64) -> Int? {
        var index = homeIndex(wanted)
        while slots[index] != wanted {
            guard isUsed(slots[index]) else { return nil }
            index = (index &+ 1) & mask
        }
        return index
    }

    @inline(__always)
    private mutating func place(_ slot: UInt64) {
        var index = homeIndex(slot)
        while isUsed(slots[index]) { index = (index &+ 1) & mask }
        slots[index] = slot
    }

    private mutating func beginRound() {
        stamp &+= PositionTable.firstStamp
        if stamp > PositionTable.roundMask {
            slots.update(repeating: 0, count: room)
            stamp = PositionTable.firstStamp
        }
    }

    @inline(never)
    private mutating func grow() {
        let kept = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        defer { kept.deallocate() }
        var length = 0
        for index in 0...mask where isUsed(slots[index]) {
            kept[length] = slots[index]
            length += 1
        }
        mask = mask << 1 | 1
        if mask < room {
            beginRound()
        } else {
            slots.deallocate()
            room = mask + 1
            slots = PositionTable.empty(room)
            stamp = PositionTable.firstStamp
        }
        for index in 0..<length { place(kept[index] & ~PositionTable.roundMask | stamp) }
    }
}
