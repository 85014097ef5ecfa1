/// A key that brings its own fixed, cheap hash.
protocol MixedKey: Equatable {
    /// All bits of the key, mixed.
    var mixed: UInt64 { get }
}

extension Int: MixedKey {
    var mixed: UInt64 { MetricsHash.word(UInt64(bitPattern: Int64(self))) }
}

/// A bounded map that forgets the entry used longest ago. Memory grows with the number of entries up to the capacity.
///
/// Open addressing over the numbers of the nodes, with deletion by shifting back. Keys come from the network; the capacity
/// bounds what crafted collisions can cost.
struct LRUTable<Key: MixedKey, Value> {
    private struct Node {
        var key: Key
        var hash: UInt64
        var value: Value
        /// Towards the most recently used; -1 = none.
        var newer: Int32
        var older: Int32
    }

    /// Node number by home position; -1 = empty. Never more than three quarters full.
    private var cells: [Int32] = Array(repeating: -1, count: 64)
    private(set) var count = 0
    private var nodes: [Node] = []
    private var free: [Int32] = []
    private var newest: Int32 = -1
    private var oldest: Int32 = -1
    let capacity: Int

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Position of a key for `subscript(position:)`, valid until the next insertion or removal.
    @inline(__always)
    func position(of key: Key) -> Int? {
        let at = Int(cells[cell(of: key, key.mixed)])
        return at < 0 ? nil : at
    }

    /// Where the key stands among the cells, or the empty cell where it would go.
    @inline(__always)
    private func cell(of key: Key, _ hash: UInt64) -> Int {
        let mask = cells.count &- 1
        var at = Int(truncatingIfNeeded: hash) & mask
        while cells[at] >= 0 {
            let node = Int(cells[at])
            if nodes[node].hash == hash, nodes[node].key == key { return at }
            at = (at &+ 1) & mask
        }
        return at
    }

    private mutating func grow() {
        let old = cells
        cells = Array(repeating: -1, count: old.count * 2)
        let mask = cells.count &- 1
        for node in old where node >= 0 {
            var at = Int(truncatingIfNeeded: nodes[Int(node)].hash) & mask
            while cells[at] >= 0 { at = (at &+ 1) & mask }
            cells[at] = node
        }
    }

    /// Empties a cell; later cells of the same run move back.
    private mutating func clear(cell: Int) {
        let mask = cells.count &- 1
        var hole = cell
        var at = (hole &+ 1) & mask
        while cells[at] >= 0 {
            let home = Int(truncatingIfNeeded: nodes[Int(cells[at])].hash) & mask
            if (at &- home) & mask >= (at &- hole) & mask {
                cells[hole] = cells[at]
                hole = at
            }
            at = (at &+ 1) & mask
        }
        cells[hole] = -1
    }

    subscript(position at: Int) -> Value {
        get { nodes[at].value }
        _modify { yield &nodes[at].value }
    }

    @inline(__always)
    mutating func touch(position at: Int) {
        let node = Int32(truncatingIfNeeded: at)
        guard newest != node else { return }
        let front = newest
        let (newer, older) = nodes.withUnsafeMutableBufferPointer { nodes in
            // Not the newest: there is a newer one, and the table is not empty.
            let (newer, older) = (nodes[at].newer, nodes[at].older)
            nodes[Int(newer)].older = older
            if older >= 0 { nodes[Int(older)].newer = newer }
            nodes[at].older = front
            nodes[at].newer = -1
            nodes[Int(front)].newer = node
            return (newer, older)
        }
        if older < 0 { oldest = newer }
        newest = node
    }

    /// Value of a key, which becomes the most recently used.
    mutating func get(_ key: Key) -> Value? {
        guard let at = position(of: key) else { return nil }
        touch(position: at)
        return nodes[at].value
    }

    /// Inserts or overwrites; the key becomes the most recently used. Returns what had to leave for it.
    @discardableResult
    mutating func put(_ key: Key, _ value: Value) -> (key: Key, value: Value)? {
        if let at = position(of: key) {
            nodes[at].value = value
            touch(position: at)
            return nil
        }
        var evicted: (Key, Value)?
        if count >= capacity, oldest >= 0 {
            let node = nodes[Int(oldest)]
            evicted = (node.key, node.value)
            remove(node.key)
        }
        if count &* 4 >= cells.count &* 3 { grow() }
        let hash = key.mixed
        let cell = cell(of: key, hash)
        let at: Int32
        if let reused = free.popLast() {
            at = reused
            nodes[Int(at)] = Node(key: key, hash: hash, value: value, newer: -1, older: -1)
        } else {
            at = Int32(truncatingIfNeeded: nodes.count)
            nodes.append(Node(key: key, hash: hash, value: value, newer: -1, older: -1))
        }
        cells[cell] = at
        count &+= 1
        linkNewest(at)
        return evicted
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        let cell = cell(of: key, key.mixed)
        let at = cells[cell]
        guard at >= 0 else { return nil }
        clear(cell: cell)
        count &-= 1
        unlink(at)
        free.append(at)
        return nodes[Int(at)].value
    }

    private mutating func unlink(_ at: Int32) {
        let node = nodes[Int(at)]
        if node.newer >= 0 { nodes[Int(node.newer)].older = node.older } else if newest == at { newest = node.older }
        if node.older >= 0 { nodes[Int(node.older)].newer = node.newer } else if oldest == at { oldest = node.newer }
        nodes[Int(at)].newer = -1
        nodes[Int(at)].older = -1
    }

    private mutating func linkNewest(_ at: Int32) {
        nodes[Int(at)].older = newest
        nodes[Int(at)].newer = -1
        if newest >= 0 { nodes[Int(newest)].newer = at }
        newest = at
        if oldest < 0 { oldest = at }
    }
}
