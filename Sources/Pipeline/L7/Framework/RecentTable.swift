import CLinux

/// A key that brings its own fixed, cheap hash.
protocol MixedKey: Equatable {
    /// All bits of the key, mixed.
    var mixed: UInt64 { get }
}

extension Int: MixedKey {
    var mixed: UInt64 { MetricsHash.word(UInt64(bitPattern: Int64(self))) }
}

/// A bounded map that forgets what was not used lately. Memory grows with the number of entries up to the capacity.
///
/// What leaves is found by second chance: a hand goes round, passes over each entry used since its last visit, and takes
/// the first other one. That is close to the entry used longest ago, and a use costs one store where a list in order of
/// use costs four cache misses. Open addressing over the numbers of the entries, with deletion by shifting back. Keys come
/// from the network; the capacity bounds what crafted collisions can cost.
struct RecentTable<Key: MixedKey, Value>: ~Copyable {
    struct Node {
        var key: Key
        var value: Value
        /// Upper half of the key's hash; its lowest bits are the place among the cells.
        var hash: UInt32
        var isRecent: Bool
        /// False: among the free ones.
        var isUsed = true
    }

    /// Node number by home position; -1 = empty. Never more than three quarters full.
    private var cells: UnsafeMutablePointer<Int32>
    private var mask = 63
    private var nodes = NumberedStore<Node>()
    private var free: [Int32] = []
    private var hand = 0
    private(set) var count = 0
    let capacity: Int

    init(capacity: Int) {
        self.capacity = max(1, capacity)
        cells = Self.empty(64)
    }

    deinit { cells.deallocate() }

    private static func empty(_ size: Int) -> UnsafeMutablePointer<Int32> {
        let cells = UnsafeMutablePointer<Int32>.allocate(capacity: size)
        cells.initialize(repeating: -1, count: size)
        return cells
    }

    @inline(__always)
    private static func hash(_ key: Key) -> UInt32 { UInt32(truncatingIfNeeded: key.mixed >> 32) }

    /// Position of a key for `subscript(position:)`, valid until the next insertion or removal.
    @inline(__always)
    func position(of key: Key) -> Int? {
        let at = Int(cells[cell(of: key, Self.hash(key))])
        return at < 0 ? nil : at
    }

    /// As above, quickly if the key still stands where it was.
    @inline(__always)
    func position(of key: Key, formerly at: Int) -> Int? {
        if nodes.contains(at) {
            let node = nodes.pointer(at)
            if node.pointee.isUsed, node.pointee.key == key { return at }
        }
        return position(of: key)
    }

    /// Asks the caches for what stands at a former position.
    @inline(__always)
    func prefetch(formerly at: Int) {
        if nodes.contains(at) { dft_prefetch(nodes.pointer(at)) }
    }

    /// Where the key stands among the cells, or the empty cell where it would go.
    @inline(__always)
    private func cell(of key: Key, _ hash: UInt32) -> Int {
        var at = Int(hash) & mask
        while cells[at] >= 0 {
            let node = nodes.pointer(Int(cells[at]))
            if node.pointee.hash == hash, node.pointee.key == key { return at }
            at = (at &+ 1) & mask
        }
        return at
    }

    private mutating func grow() {
        let old = cells
        let size = mask &+ 1
        cells = Self.empty(size * 2)
        mask = size * 2 - 1
        for position in 0..<size where old[position] >= 0 {
            var at = Int(nodes[Int(old[position])].hash) & mask
            while cells[at] >= 0 { at = (at &+ 1) & mask }
            cells[at] = old[position]
        }
        old.deallocate()
    }

    /// Empties a cell; later cells of the same run move back.
    private mutating func clear(cell: Int) {
        var hole = cell
        var at = (hole &+ 1) & mask
        while cells[at] >= 0 {
            let home = Int(nodes[Int(cells[at])].hash) & mask
            if (at &- home) & mask >= (at &- hole) & mask {
                cells[hole] = cells[at]
                hole = at
            }
            at = (at &+ 1) & mask
        }
        cells[hole] = -1
    }

    /// The value at a position, which counts as used.
    subscript(position at: Int) -> Value {
        @inline(__always)
        mutating get {
            nodes.pointer(at).pointee.isRecent = true
            return nodes.pointer(at).pointee.value
        }
        @inline(__always)
        _modify {
            nodes.pointer(at).pointee.isRecent = true
            yield &nodes.pointer(at).pointee.value
        }
    }

    /// Value of a key, which counts as used.
    mutating func get(_ key: Key) -> Value? {
        guard let at = position(of: key) else { return nil }
        return self[position: at]
    }

    /// Inserts or overwrites. Returns what had to leave for it.
    @discardableResult
    mutating func put(_ key: Key, _ value: Value) -> (key: Key, value: Value)? {
        if let at = position(of: key) {
            self[position: at] = value
            return nil
        }
        let evicted = count >= capacity ? evict() : nil
        if count &* 4 >= mask &* 3 { grow() }
        let node = Node(key: key, value: value, hash: Self.hash(key), isRecent: false)
        let cell = cell(of: key, node.hash)
        if let reused = free.popLast() {
            nodes[Int(reused)] = node
            cells[cell] = reused
        } else {
            cells[cell] = Int32(truncatingIfNeeded: nodes.count)
            nodes.append(node)
        }
        count &+= 1
        return evicted
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        let cell = cell(of: key, Self.hash(key))
        let at = cells[cell]
        guard at >= 0 else { return nil }
        clear(cell: cell)
        count &-= 1
        free.append(at)
        nodes[Int(at)].isUsed = false
        return nodes[Int(at)].value
    }

    /// Removes an entry of a full table: every node is in use.
    private mutating func evict() -> (key: Key, value: Value) {
        while nodes[hand].isRecent {
            nodes[hand].isRecent = false
            hand = (hand &+ 1) % nodes.count
        }
        let leaving = (key: nodes[hand].key, value: nodes[hand].value)
        hand = (hand &+ 1) % nodes.count
        remove(leaving.key)
        return leaving
    }
}
