import CLinux

/// Finds the number of an entry by two words. Open addressing with deletion by shifting back; grows by doubling.
struct PairIndex: ~Copyable {
    struct Key: Equatable {
        var high: UInt64
        var low: UInt64
    }

    private struct Cell {
        var key: Key
        /// -1 = empty.
        var value: Int32
    }

    private var cells: UnsafeMutablePointer<Cell>
    private var mask: Int
    private(set) var count = 0

    init() {
        cells = Self.empty(64)
        mask = 63
    }

    deinit { cells.deallocate() }

    private static func empty(_ size: Int) -> UnsafeMutablePointer<Cell> {
        let cells = LargePages.allocate(size * MemoryLayout<Cell>.stride).bindMemory(to: Cell.self, capacity: size)
        cells.initialize(repeating: Cell(key: Key(high: 0, low: 0), value: -1), count: size)
        return cells
    }

    @inline(__always)
    private func home(_ key: Key) -> Int {
        var mix = key.high &* 0x9e37_79b9_7f4a_7c15 ^ (key.low &+ 0x94d0_49bb_1331_11eb)
        mix ^= mix >> 32
        mix = mix &* 0xd6e8_feb8_6659_fd93
        mix ^= mix >> 32
        return Int(truncatingIfNeeded: mix) & mask
    }

    /// Asks the caches for the cell where the search for a key begins.
    @inline(__always)
    func prefetch(_ key: Key) { dft_prefetch(cells + home(key)) }

    /// Number under a key; -1 = none.
    func find(_ key: Key) -> Int32 {
        var at = home(key)
        while cells[at].value >= 0 {
            if cells[at].key == key { return cells[at].value }
            at = (at &+ 1) & mask
        }
        return -1
    }

    /// The key must not be there yet.
    mutating func insert(_ key: Key, _ value: Int32) {
        if count &* 4 >= mask &* 3 { grow() }
        var at = home(key)
        while cells[at].value >= 0 { at = (at &+ 1) & mask }
        cells[at] = Cell(key: key, value: value)
        count &+= 1
    }

    /// Removes a key and returns its number; -1 = it was not there.
    mutating func remove(_ key: Key) -> Int32 {
        var hole = home(key)
        while cells[hole].value >= 0, cells[hole].key != key { hole = (hole &+ 1) & mask }
        let removed = cells[hole].value
        guard removed >= 0 else { return -1 }
        count &-= 1
        var at = (hole &+ 1) & mask
        while cells[at].value >= 0 {
            // A cell may move back unless its home lies between the hole and itself.
            if (at &- home(cells[at].key)) & mask >= (at &- hole) & mask {
                cells[hole] = cells[at]
                hole = at
            }
            at = (at &+ 1) & mask
        }
        cells[hole].value = -1
        return removed
    }

    private mutating func grow() {
        let (old, size) = (cells, mask + 1)
        cells = Self.empty(size * 2)
        mask = size * 2 - 1
        count = 0
        for number in 0..<size where old[number].value >= 0 { insert(old[number].key, old[number].value) }
        old.deallocate()
    }
}
