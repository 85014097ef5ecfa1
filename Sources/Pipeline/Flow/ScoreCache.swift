import Model

/// Fixed-size least-recently-used map of scores: a small index by hash over a doubly linked list of entries.
///
/// Most ends that are asked for are clients without a score: the index alone answers these, since its cells hold twenty
/// bits of the hash.
struct ScoreCache: ~Copyable {
    /// Half a cache line.
    private struct Entry: BitwiseCopyable {
        var key = ServiceTable.Key(ip: IPAddress(), epc: 0, port: 0)
        var newer: Int16 = -1
        /// The next free one of a free entry.
        var older: Int16 = -1
        var score: UInt8 = 0
    }

    private static let indexBits: UInt32 = 12

    private let entries: UnsafeMutablePointer<Entry>
    /// Twenty bits of the hash << 12 | entry + 1; 0 = empty. Linear probing, backward shift on removal.
    private let cells: UnsafeMutablePointer<UInt32>
    private let shift: UInt32
    private let mask: Int
    private let capacity: Int
    private var newest: Int16 = -1
    private var oldest: Int16 = -1
    private var free: Int16 = -1
    private var used = 0

    /// - Parameter capacity: 4095 at most.
    init(capacity: Int) {
        precondition(capacity < 1 << ScoreCache.indexBits)
        self.capacity = capacity
        entries = .allocate(capacity: capacity)
        entries.initialize(repeating: Entry(), count: capacity)
        var bits: UInt32 = 4
        while 1 << bits < capacity * 2 { bits += 1 }
        cells = .allocate(capacity: 1 << Int(bits))
        cells.initialize(repeating: 0, count: 1 << Int(bits))
        shift = 32 - bits
        mask = 1 << Int(bits) - 1
    }

    deinit {
        entries.deallocate()
        cells.deallocate()
    }

    /// 0 for a key without score.
    mutating func get(_ key: ServiceTable.Key) -> UInt8 {
        let index = find(key, ScoreCache.hash(key))
        guard index >= 0 else { return 0 }
        touch(index)
        return entries[Int(index)].score
    }

    mutating func set(_ key: ServiceTable.Key, _ score: UInt8) {
        let hash = ScoreCache.hash(key)
        var index = find(key, hash)
        if index < 0 {
            index = take()
            entries[Int(index)].key = key
            var cell = home(of: hash)
            while cells[cell] != 0 { cell = (cell &+ 1) & mask }
            cells[cell] = hash | UInt32(index + 1)
            link(index)
        } else {
            touch(index)
        }
        entries[Int(index)].score = score
    }

    mutating func remove(_ key: ServiceTable.Key) {
        let index = find(key, ScoreCache.hash(key))
        guard index >= 0 else { return }
        detach(index)
        entries[Int(index)].older = free
        free = index
    }

    /// Twenty bits, at their place in a cell.
    @inline(__always)
    private static func hash(_ key: ServiceTable.Key) -> UInt32 {
        var hash = (key.ip.low ^ key.ip.high &* 0x9e37_79b9_7f4a_7c15) &+ UInt64(key.port) << 32
        hash = (hash ^ hash >> 29 ^ UInt64(UInt16(bitPattern: key.epc))) &* 0xbf58_476d_1ce4_e5b9
        return UInt32(truncatingIfNeeded: hash >> 32) & ~(1 << indexBits - 1)
    }

    @inline(__always)
    private func home(of cell: UInt32) -> Int { Int(cell >> shift) }

    @inline(__always)
    private func find(_ key: ServiceTable.Key, _ hash: UInt32) -> Int16 {
        var at = home(of: hash)
        while cells[at] != 0 {
            let index = Int16(truncatingIfNeeded: cells[at] & (1 << ScoreCache.indexBits - 1)) &- 1
            if (cells[at] ^ hash) >> ScoreCache.indexBits == 0, entries[Int(index)].key == key { return index }
            at = (at &+ 1) & mask
        }
        return -1
    }

    private mutating func take() -> Int16 {
        if free >= 0 {
            let index = free
            free = entries[Int(index)].older
            return index
        }
        if used < capacity {
            used += 1
            return Int16(used - 1)
        }
        let index = oldest
        detach(index)
        return index
    }

    /// Out of the list and out of the index.
    private mutating func detach(_ index: Int16) {
        unlink(index)
        let wanted = ScoreCache.hash(entries[Int(index)].key) | UInt32(index + 1)
        var hole = home(of: wanted)
        while cells[hole] != wanted { hole = (hole + 1) & mask }
        var next = (hole + 1) & mask
        while cells[next] != 0 {
            if (next - home(of: cells[next])) & mask >= (next - hole) & mask {
                cells[hole] = cells[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        cells[hole] = 0
    }

    @inline(__always)
    private mutating func touch(_ index: Int16) {
        guard index != newest else { return }
        unlink(index)
        link(index)
    }

    private mutating func link(_ index: Int16) {
        entries[Int(index)].newer = -1
        entries[Int(index)].older = newest
        if newest >= 0 { entries[Int(newest)].newer = index }
        newest = index
        if oldest < 0 { oldest = index }
    }

    private mutating func unlink(_ index: Int16) {
        let newer = entries[Int(index)].newer
        let older = entries[Int(index)].older
        if newer >= 0 { entries[Int(newer)].older = older } else { newest = older }
        if older >= 0 { entries[Int(older)].newer = newer } else { oldest = newer }
    }
}
