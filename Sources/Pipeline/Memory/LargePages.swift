import Glibc

/// Memory for what is looked up at random: on small pages each look costs a walk through the page tables as well.
enum LargePages {
    private static let size = 2 << 20

    /// Uninitialised memory, aligned to a cache line at least; on large pages if `wanted`, if it fills some, and if the
    /// kernel has them. To be freed by `deallocate`.
    static func allocate(_ bytes: Int, wanted: Bool = true) -> UnsafeMutableRawPointer {
        guard wanted, bytes >= size else { return .allocate(byteCount: bytes, alignment: 64) }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: size)
        // Only a hint: without it the memory works as well.
        madvise(memory, bytes, MADV_HUGEPAGE)
        return memory
    }
}
