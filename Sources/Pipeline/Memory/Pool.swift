/// Slots of one plain type, addressed by index, allocated in chunks that never move and are reused when freed.
///
/// Accesses are unchecked in release builds: indices come from the pool itself. Chunks behind the first lie on large pages
/// where the kernel has them: flows are looked up at random, and small pages cost a table walk each.
struct Pool<Element: BitwiseCopyable>: ~Copyable {
    private static var chunkBits: Int { 14 }

    private var chunks: [UnsafeMutablePointer<Element>] = []
    private var free: [Int32] = []
    private var used = 0
    private let initial: Element

    init(initial: Element) {
        self.initial = initial
    }

    deinit {
        for chunk in chunks { chunk.deallocate() }
    }

    var count: Int { used - free.count }

    @inline(__always)
    subscript(index: Int32) -> UnsafeMutablePointer<Element> {
        let position = Int(index)
        return chunks[position >> Pool.chunkBits] + (position & ((1 << Pool.chunkBits) &- 1))
    }

    /// A slot holding the initial value.
    mutating func take() -> Int32 {
        let index: Int32
        if let reused = free.popLast() {
            index = reused
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
        free.append(index)
    }
}
