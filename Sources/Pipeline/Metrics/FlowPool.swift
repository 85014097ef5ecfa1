import Model

/// Records of flows at fixed addresses, each on cache lines of its own; freed nodes are used again first, while they are
/// still in the cache.
struct FlowPool: ~Copyable {
    private static var blockShift: Int { 8 }
    private static var nodeBytes: Int { (MemoryLayout<MinuteFlow>.size + 63) & ~63 }
    private static var blockBytes: Int { nodeBytes << blockShift }

    private var blocks: [UnsafeMutableRawPointer] = []
    private var free: [Int32] = []
    private var used: Int32 = 0
    private var parts = MinuteParts()
    private(set) var count = 0

    var capacity: Int { blocks.count << Self.blockShift }
    /// Slots that records have taken beside their nodes.
    var partCount: Int { parts.count }

    deinit {
        // The owner has released or deinitialised every node; what remains are raw blocks.
        for block in blocks { BlockArena.free(block, Self.blockBytes) }
    }

    @inline(__always)
    subscript(_ number: Int32) -> UnsafeMutablePointer<MinuteFlow> {
        let number = Int(number)
        let block = blocks.withUnsafeBufferPointer { $0[number >> Self.blockShift] }
        return (block + (number & ((1 << Self.blockShift) &- 1)) &* Self.nodeBytes)
            .assumingMemoryBound(to: MinuteFlow.self)
    }

    /// A new node with a record, last of its slot.
    mutating func add(_ flow: UnsafePointer<TaggedFlow>, flowTime: UInt32, previous: Int32) -> Int32 {
        let number = take()
        let node = self[number]
        node.initialize(to: MinuteFlow(flowTime: flowTime, previous: previous))
        parts.write(flow, to: node)
        return number
    }

    /// Copies a node's record into memory that is not initialised.
    @inline(__always)
    func read(_ number: Int32, into flow: UnsafeMutablePointer<TaggedFlow>) { parts.read(self[number], into: flow) }

    /// Replaces a node's record.
    @inline(__always)
    mutating func write(_ flow: UnsafePointer<TaggedFlow>, to number: Int32) { parts.write(flow, to: self[number]) }

    /// Gives back a node, its record and what that took.
    mutating func release(_ number: Int32) {
        let node = self[number]
        parts.release(node)
        node.deinitialize(count: 1)
        count -= 1
        free.append(number)
    }

    private mutating func take() -> Int32 {
        count += 1
        if let number = free.popLast() { return number }
        if Int(used) == capacity {
            let block = BlockArena.allocate(Self.blockBytes)
            for number in 0..<(1 << Self.blockShift) {
                (block + number * Self.nodeBytes).bindMemory(to: MinuteFlow.self, capacity: 1)
            }
            blocks.append(block)
        }
        used += 1
        return used - 1
    }
}
