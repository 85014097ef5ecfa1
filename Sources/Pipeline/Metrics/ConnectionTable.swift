import CLinux

/// Connections that were still living when their window slot was flushed, by quadruple; what the next slot starts from.
///
/// The slots themselves hold only what they add, so nothing moves from slot to slot: an entry is read and written when
/// a slot with its key is flushed, and forgotten 300 s after the last time that happened.
/// Source: agent-flow.md 13.5.
struct ConnectionTable: ~Copyable {
    struct Entry: BitwiseCopyable {
        var key: QuadrupleKey
        var living: Int32
        var timeSeconds: UInt32
    }

    static var idleSeconds: UInt32 { 300 }

    private var positions = PositionTable(capacity: 1024)
    private var entries = BlockArray<Entry>()
    private var cursor = 0
    private let limit: Int
    /// Entries given up because the table was full.
    private(set) var evictions: UInt64 = 0

    init(limit: Int) { self.limit = max(limit, 1) }

    var count: Int { entries.count }

    /// Asks ahead for what `update` will read: some keys before it the table's slot, some later the entry.
    @inline(__always)
    func prefetchHome(_ hash: UInt64) { dft_prefetch(positions.home(of: hash)) }

    @inline(__always)
    func prefetchEntry(_ hash: UInt64) {
        let position = positions.likelyPosition(hash)
        if position >= 0 { dft_prefetch(entries[position]) }
    }

    /// Applies one slot's changes to a key. Returns the concurrent connections of that slot, at least 1.
    /// - Parameters:
    ///   - sum: connections that began in the slot; `living`: those that began minus those that ended.
    mutating func update(
        _ key: QuadrupleKey, hash: UInt64, sum: Int32, living: Int32, timeSeconds: UInt32, nowSeconds: UInt32
    ) -> UInt32 {
        guard let found = positions.find(hash, { key.equals(entries[$0].pointee.key) }) else {
            if living > 0 { insert(key, hash, living, timeSeconds, nowSeconds) }
            return UInt32(max(sum, 1))
        }
        let entry = entries[found]
        let isIdle = nowSeconds > entry.pointee.timeSeconds &+ Self.idleSeconds
        let carried = isIdle ? 0 : entry.pointee.living
        let left = carried &+ living
        if left > 0 {
            entry.pointee.living = left
            entry.pointee.timeSeconds = max(entry.pointee.timeSeconds, timeSeconds)
        } else {
            remove(found, hash)
        }
        return UInt32(max(carried &+ sum, 1))
    }

    /// Forgets idle entries; called once a slot, so that a full round takes about as long as entries may be idle.
    mutating func sweep(slotSeconds: UInt32, nowSeconds: UInt32) {
        sweep(steps: entries.count * Int(slotSeconds) / Int(Self.idleSeconds) + 1, nowSeconds: nowSeconds)
    }

    private mutating func sweep(steps: Int, nowSeconds: UInt32) {
        var left = min(steps, entries.count)
        while left > 0, entries.count > 0 {
            left -= 1
            if cursor >= entries.count { cursor = 0 }
            let entry = entries[cursor]
            if nowSeconds > entry.pointee.timeSeconds &+ Self.idleSeconds {
                remove(cursor, entry.pointee.key.hash)
            } else {
                cursor += 1
            }
        }
    }

    private mutating func insert(
        _ key: QuadrupleKey, _ hash: UInt64, _ living: Int32, _ timeSeconds: UInt32, _ nowSeconds: UInt32
    ) {
        if entries.count >= limit {
            sweep(steps: 64, nowSeconds: nowSeconds)
            if entries.count >= limit {
                if cursor >= entries.count { cursor = 0 }
                remove(cursor, entries[cursor].pointee.key.hash)
                cursor += 1
                evictions &+= 1
            }
        }
        let position = entries.count
        let entry = entries.append()
        entry.initialize(to: Entry(key: key, living: living, timeSeconds: timeSeconds))
        positions.insert(hash, position: position)
    }

    /// Fills the hole with the last entry.
    private mutating func remove(_ position: Int, _ hash: UInt64) {
        positions.remove(hash, position: position)
        let last = entries.count - 1
        if position != last {
            let moved = entries[last].pointee
            entries[position].pointee = moved
            positions.relocate(moved.key.hash, from: last, to: position)
        }
        entries.removeLast()
    }
}
