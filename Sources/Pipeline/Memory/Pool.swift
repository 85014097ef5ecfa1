/// Slots of one plain type, addressed by index, allocated in chunks that never move and are reused when freed.
///
/// Accesses are unchecked in release builds: indices come from the pool itself. Chunks behind the first lie on large pages
/// where the kernel has them: flows are looked up at random, and small pages cost a table walk each.
struct Pool<Element: BitwiseCopyable>: ~Copyable {
    private static var chunkBits: Int { 14 }

    private var chunks: [UnsafeMutablePointer<Element>] = []
    /// The free slot given back last, -1 = none; each holds the number of the one before it.
    private var firstFree: Int32 = -1
    private var used = 0
    private(set) var count = 0
    private let initial: Element

    init(initial: Element) {
        self.initial = initial
    }

    deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    @inline(__always)
    subscript(index: Int32) -> UnsafeMutablePointer<Element> {
        let position = Int(index)
        return chunks[position >> Pool.chunkBits] + (position & ((1 << Pool.chunkBits) &- 1))
    }

    /// A slot holding the initial value.
    mutating func take() -> Int32 {
        let index: Int32
        count &+= 1
        if firstFree >= 0 {
            index = firstFree
            firstFree = link(of: index).pointee
        } else {
            if used >> Pool.chunkBits == chunks.count {
                let bytes = MemoryLayout<Element>.stride << Pool.chunkBits
                chunks.append(
                    LargePages.allocate(bytes, wanted: used > 0)
                        .bindMemory(to: Element.self, capacity: 1 << Pool.chunkBits))
            }
            index = Int32(used)
            used += 1
        }
        self[index].initialize(to: initial)
        return index
    }

    mutating func give(back index: Int32) {
        count &-= 1
        link(of: index).pointee = firstFree
        firstFree = index
    }

    /// In the memory of a free slot, at its very end: what the owner wrote in front of it stays readable.
    @inline(__always)
    private func link(of index: Int32) -> UnsafeMutablePointer<Int32> {
        let end = MemoryLayout<Element>.stride &- MemoryLayout<Int32>.size
        return (UnsafeMutableRawPointer(self[index]) + end).assumingMemoryBound(to: Int32.self)
    }
}
