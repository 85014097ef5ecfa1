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
    /// In a free slot.
    private let linkOffset: Int

    /// - Parameter linkOffset: four bytes of a slot that may be written while it is free; by default the last ones. What
    ///   the owner wrote elsewhere stays readable.
    init(initial: Element, linkOffset: Int = MemoryLayout<Element>.stride - MemoryLayout<Int32>.size) {
        self.initial = initial
        self.linkOffset = linkOffset
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
        guard firstFree >= 0 else { return takeUnused() }
        let index = takeFree()
        self[index].initialize(to: initial)
        return index
    }

    /// As `take`, where slots are given back only with the initial value in them, and links lie outside of the fields:
    /// memory that the owner does not use is not touched.
    @inline(__always)
    mutating func takeClean() -> Int32 { firstFree >= 0 ? takeFree() : takeUnused() }

    @inline(__always)
    private mutating func takeFree() -> Int32 {
        let index = firstFree
        count &+= 1
        firstFree = link(of: index).pointee
        return index
    }

    @inline(never)
    private mutating func takeUnused() -> Int32 {
        if used >> Pool.chunkBits == chunks.count {
            let bytes = MemoryLayout<Element>.stride << Pool.chunkBits
            chunks.append(
                LargePages.allocate(bytes, wanted: used > 0)
                    .bindMemory(to: Element.self, capacity: 1 << Pool.chunkBits))
        }
        let index = Int32(used)
        used += 1
        count &+= 1
        self[index].initialize(to: initial)
        return index
    }

    mutating func give(back index: Int32) {
        count &-= 1
        link(of: index).pointee = firstFree
        firstFree = index
    }

    @inline(__always)
    private func link(of index: Int32) -> UnsafeMutablePointer<Int32> {
        (UnsafeMutableRawPointer(self[index]) + linkOffset).assumingMemoryBound(to: Int32.self)
    }
}
