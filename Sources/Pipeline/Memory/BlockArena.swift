import Glibc
import Synchronization

/// Blocks of memory cut out of large pages, for tables that grow and shrink by blocks and are looked up at random.
///
/// A freed block gives its memory back to the kernel and keeps its place for the next block of the same size. Shared by
/// all threads: tables ask for blocks of hundreds of entries, so that the lock is taken seldom.
enum BlockArena {
    private struct State {
        /// The rest of the newest slab: address and bytes.
        var next: UInt = 0
        var left = 0
        /// Addresses of free blocks by size.
        var free: [Int: [UInt]] = [:]
    }

    private static let slabBytes = 8 << 20
    private static let pageBytes: UInt = 4096
    private static let state = Mutex(State())

    /// Uninitialised memory, aligned to a cache line, to be given back by `free` with the same size.
    /// - Parameter bytes: less than 8 MiB.
    static func allocate(_ bytes: Int) -> UnsafeMutableRawPointer {
        let size = rounded(bytes)
        precondition(size > 0 && size <= slabBytes)
        let address = state.withLock { state in
            if let address = state.free[size]?.popLast() { return address }
            if state.left < size {
                state.next = UInt(bitPattern: LargePages.allocate(slabBytes))
                state.left = slabBytes
            }
            defer {
                state.next += UInt(size)
                state.left -= size
            }
            return state.next
        }
        // Never null: slabs and what is cut from them are memory of this process.
        return UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
    }

    static func free(_ block: UnsafeMutableRawPointer, _ bytes: Int) {
        let size = rounded(bytes)
        let address = UInt(bitPattern: block)
        let first = (address + pageBytes - 1) & ~(pageBytes - 1)
        let end = (address + UInt(size)) & ~(pageBytes - 1)
        if first < end, let start = UnsafeMutableRawPointer(bitPattern: first) {
            madvise(start, Int(end - first), MADV_DONTNEED)
        }
        state.withLock { $0.free[size, default: []].append(address) }
    }

    private static func rounded(_ bytes: Int) -> Int { (bytes + 63) & ~63 }
}
