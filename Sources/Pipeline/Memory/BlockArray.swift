/// Entries of plain bytes in the order of insertion, at addresses that stay until `removeAll`.
///
/// Grows by blocks of 256 entries that are kept for reuse, so that steady state allocates nothing and growth copies
/// nothing.
struct BlockArray<Entry: BitwiseCopyable>: ~Copyable {
    static var blockShift: Int { 8 }
    static var blockSize: Int { 1 << blockShift }
    private static var blockBytes: Int { MemoryLayout<Entry>.stride << blockShift }
    /// Blocks that come alone, so that small tables do not begin a large page.
    private static var smallBlocks: Int { 4 }

    private var blocks: UnsafeMutablePointer<UnsafeMutablePointer<Entry>>
    private var blockCount = 0
    private var blockRoom = 64
    private(set) var count = 0

    init() { blocks = .allocate(capacity: 64) }

    deinit {
        for index in 0..<blockCount { free(index) }
        blocks.deallocate()
    }

    /// Entries that fit without a new block.
    var capacity: Int { blockCount << Self.blockShift }

    @inline(__always)
    subscript(_ position: Int) -> UnsafeMutablePointer<Entry> {
        blocks[position >> Self.blockShift] + (position & (Self.blockSize &- 1))
    }

    /// Room for one more entry, uninitialised.
    @inline(__always)
    mutating func append() -> UnsafeMutablePointer<Entry> {
        if count == capacity { addBlock() }
        let entry = self[count]
        count &+= 1
        return entry
    }

    mutating func removeLast() { count &-= 1 }

    /// The entry of a number that counts from one; nil for zero.
    @inline(__always)
    func numbered(_ number: Int) -> UnsafePointer<Entry>? {
        number == 0 ? nil : UnsafePointer(self[number &- 1])
    }

    mutating func removeAll() { count = 0 }

    /// Frees blocks beyond `capacity` entries; to be called when empty.
    mutating func shrink(to capacity: Int) {
        let kept = (capacity + Self.blockSize - 1) >> Self.blockShift
        while blockCount > max(kept, 1) {
            blockCount -= 1
            free(blockCount)
        }
    }

    @inline(never)
    private mutating func addBlock() {
        if blockCount == blockRoom {
            let wider = UnsafeMutablePointer<UnsafeMutablePointer<Entry>>.allocate(capacity: blockRoom * 2)
            wider.moveInitialize(from: blocks, count: blockCount)
            blocks.deallocate()
            blocks = wider
            blockRoom *= 2
        }
        // On cache lines, so that entries of whole lines touch no others.
        let block: UnsafeMutableRawPointer =
            blockCount < Self.smallBlocks
            ? .allocate(byteCount: Self.blockBytes, alignment: 64) : BlockArena.allocate(Self.blockBytes)
        blocks[blockCount] = block.bindMemory(to: Entry.self, capacity: Self.blockSize)
        blockCount += 1
    }

    private func free(_ number: Int) {
        let block = UnsafeMutableRawPointer(blocks[number])
        if number < Self.smallBlocks { block.deallocate() } else { BlockArena.free(block, Self.blockBytes) }
    }
}
