/// Slots of flows by hash: open addressing with linear probing and backward shift on removal.
///
/// A cell holds hash and slot, so that a search looks at a flow only when its whole hash fits.
struct FlowTable: ~Copyable {
    /// A walk over the flows of one hash.
    struct Search {
        let hash: UInt32
        fileprivate var step = 0

        @inline(__always)
        init(hash: UInt32) { self.hash = hash }
    }

    /// hash << 32 | slot + 1; 0 = empty.
    private var cells: UnsafeMutablePointer<UInt64>
    private var mask: Int
    /// Where the next look at the searches begins.
    private var lookedUpTo = 0

    /// - Parameter cells: wanted at the start; rounded up to a power of two.
    init(cells wanted: Int) {
        var size = 1024
        while size < wanted, size < 1 << 30 { size <<= 1 }
        cells = FlowTable.empty(size)
        mask = size - 1
    }

    deinit { cells.deallocate() }

    private static func empty(_ size: Int) -> UnsafeMutablePointer<UInt64> {
        let cells = LargePages.allocate(size * 8).bindMemory(to: UInt64.self, capacity: size)
        cells.initialize(repeating: 0, count: size)
        return cells
    }

    /// Where a search for `hash` begins.
    @inline(__always)
    func home(of hash: UInt32) -> UnsafePointer<UInt64> { UnsafePointer(cells + (Int(hash) & mask)) }

    /// The next flow of the hash, oldest first; -1 = no more.
    @inline(__always)
    func next(_ search: inout Search) -> Int32 {
        while true {
            let cell = cells[(Int(search.hash) &+ search.step) & mask]
            if cell == 0 { return -1 }
            search.step &+= 1
            if UInt32(truncatingIfNeeded: cell >> 32) == search.hash { return Int32(truncatingIfNeeded: cell) &- 1 }
        }
    }

    /// - Parameter count: flows in the table with this one; the table is kept at most half full.
    mutating func insert(_ index: Int32, hash: UInt32, count: Int) {
        if count * 2 > mask + 1 { grow() }
        var slot = Int(hash) & mask
        while cells[slot] != 0 { slot = (slot + 1) & mask }
        cells[slot] = UInt64(hash) << 32 | UInt64(UInt32(index + 1))
    }

    private mutating func grow() {
        let oldSize = mask + 1
        let old = cells
        cells = FlowTable.empty(oldSize * 2)
        mask = oldSize * 2 - 1
        for position in 0..<oldSize where old[position] != 0 {
            var slot = Int(old[position] >> 32) & mask
            while cells[slot] != 0 { slot = (slot + 1) & mask }
            cells[slot] = old[position]
        }
        old.deallocate()
    }

    /// Most cells that a search has to look at, among a part of the table; the next call takes the next part.
    mutating func longestSearch() -> Int {
        let looked = min(mask + 1, 1 << 16)
        var longest = 0
        for step in 0..<looked {
            let position = (lookedUpTo + step) & mask
            guard cells[position] != 0 else { continue }
            longest = max(longest, (position - Int(cells[position] >> 32)) & mask + 1)
        }
        lookedUpTo = (lookedUpTo + looked) & mask
        return longest
    }

    mutating func remove(_ index: Int32, hash: UInt32) {
        let wanted = UInt64(hash) << 32 | UInt64(UInt32(index + 1))
        var hole = Int(hash) & mask
        while cells[hole] != wanted {
            guard cells[hole] != 0 else { return }
            hole = (hole + 1) & mask
        }
        var next = (hole + 1) & mask
        while cells[next] != 0 {
            let home = Int(cells[next] >> 32) & mask
            if (next - home) & mask >= (next - hole) & mask {
                cells[hole] = cells[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        cells[hole] = 0
    }
}
