/// A bounded map that forgets the entry used longest ago. Memory grows with the number of entries up to the capacity.
struct LRUTable<Key: Hashable, Value> {
    private struct Node {
        var key: Key
        var value: Value
        /// Towards the most recently used; -1 = none.
        var newer: Int32
        var older: Int32
    }

    private var index: [Key: Int32] = [:]
    private var nodes: [Node] = []
    private var free: [Int32] = []
    private var newest: Int32 = -1
    private var oldest: Int32 = -1
    let capacity: Int

    init(capacity: Int) { self.capacity = max(1, capacity) }

    var count: Int { index.count }

    /// Position of a key for `subscript(position:)`, valid until the next insertion or removal.
    @inline(__always)
    func position(of key: Key) -> Int? { index[key].map(Int.init) }

    subscript(position at: Int) -> Value {
        get { nodes[at].value }
        _modify { yield &nodes[at].value }
    }

    mutating func touch(position at: Int) {
        let node = Int32(truncatingIfNeeded: at)
        guard newest != node else { return }
        unlink(node)
        linkNewest(node)
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
        if index.count >= capacity, oldest >= 0 {
            let node = nodes[Int(oldest)]
            evicted = (node.key, node.value)
            remove(node.key)
        }
        let at: Int32
        if let reused = free.popLast() {
            at = reused
            nodes[Int(at)] = Node(key: key, value: value, newer: -1, older: -1)
        } else {
            at = Int32(truncatingIfNeeded: nodes.count)
            nodes.append(Node(key: key, value: value, newer: -1, older: -1))
        }
        index[key] = at
        linkNewest(at)
        return evicted
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        guard let at = index.removeValue(forKey: key) else { return nil }
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
