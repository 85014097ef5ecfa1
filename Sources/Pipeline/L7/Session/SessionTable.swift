import CLinux
import Model

/// Messages that wait for their partner, at fixed numbers. Memory grows in chunks, so that a waiting message stays where
/// it is, and places are used again, the latest first.
struct SessionTable: ~Copyable {
    struct Entry {
        var key = PairIndex.Key(high: 0, low: 0)
        var timeoutSec: UInt64 = 0
        /// Neighbours among the entries of the same timeout; -1 = none. `older`: next unused one of an unused entry.
        var newer: Int32 = -1
        var older: Int32 = -1
        var isUsed = false
    }

    private struct Chunk {
        let entries: UnsafeMutablePointer<Entry>
        /// Initialised where the entry is used.
        let messages: UnsafeMutablePointer<L7Message>
    }

    private static let chunkBits = 6
    private static let chunkSize = 1 << chunkBits

    private var chunks: [Chunk] = []
    private var firstUnused: Int32 = -1

    deinit {
        for chunk in chunks {
            for at in 0..<Self.chunkSize where chunk.entries[at].isUsed {
                (chunk.messages + at).deinitialize(count: 1)
            }
            chunk.entries.deallocate()
            chunk.messages.deallocate()
        }
    }

    /// - Precondition: `number` came from `insert`. The pointers hold as long as the table.
    @inline(__always)
    func entry(_ number: Int32) -> UnsafeMutablePointer<Entry> {
        chunks[Int(number) >> Self.chunkBits].entries + (Int(number) & (Self.chunkSize - 1))
    }

    @inline(__always)
    func message(_ number: Int32) -> UnsafeMutablePointer<L7Message> {
        chunks[Int(number) >> Self.chunkBits].messages + (Int(number) & (Self.chunkSize - 1))
    }

    /// Asks the caches for an entry and its message.
    @inline(__always)
    func prefetch(_ number: Int32) {
        dft_prefetch(entry(number))
        let message = UnsafeRawPointer(message(number))
        for line in 0..<(MemoryLayout<L7Message>.stride + 63) / 64 { dft_prefetch(message + line * 64) }
    }

    /// Moves a message in.
    mutating func insert(_ entry: Entry, moving message: UnsafeMutablePointer<L7Message>) -> Int32 {
        if firstUnused < 0 { grow() }
        let number = firstUnused
        let place = self.entry(number)
        firstUnused = place.pointee.older
        place.pointee = entry
        place.pointee.isUsed = true
        self.message(number).moveInitialize(from: message, count: 1)
        return number
    }

    /// Gives up the place of a message that was moved out.
    mutating func free(_ number: Int32) {
        let place = entry(number)
        place.pointee.isUsed = false
        place.pointee.older = firstUnused
        firstUnused = number
    }

    private mutating func grow() {
        let chunk = Chunk(
            entries: .allocate(capacity: Self.chunkSize), messages: .allocate(capacity: Self.chunkSize))
        let first = Int32(truncatingIfNeeded: chunks.count << Self.chunkBits)
        chunk.entries.initialize(repeating: Entry(), count: Self.chunkSize)
        for at in 0..<Self.chunkSize - 1 { chunk.entries[at].older = first + Int32(at) + 1 }
        chunks.append(chunk)
        firstUnused = first
    }
}
