import Model

/// A flow record that waits for the end of its minute, linked with the others of its window slot.
struct MinuteFlow {
    /// Of `flow`, near the head of the node for comparisons.
    var flowID: UInt64
    /// Start of the flow's own minute, seconds since 1970.
    var flowTime: UInt32
    /// Neighbours in the slot as node numbers; -1 = none.
    var previous: Int32
    var next: Int32
    var flow: TaggedFlow

    /// Writes a new node, last of its slot, without a copy in between.
    @inline(__always)
    static func initialize(
        _ node: UnsafeMutablePointer<MinuteFlow>, _ flow: UnsafePointer<TaggedFlow>, flowTime: UInt32, previous: Int32
    ) {
        node.pointer(to: \.flowID).unsafelyUnwrapped.initialize(to: flow.pointee.flowID)
        node.pointer(to: \.flowTime).unsafelyUnwrapped.initialize(to: flowTime)
        node.pointer(to: \.previous).unsafelyUnwrapped.initialize(to: previous)
        node.pointer(to: \.next).unsafelyUnwrapped.initialize(to: -1)
        node.pointer(to: \.flow).unsafelyUnwrapped.initialize(from: flow, count: 1)
    }
}

/// Nodes at fixed addresses; freed ones are used again first, while they are still in the cache.
struct FlowPool: ~Copyable {
    private static var blockShift: Int { 8 }
    private static var blockBytes: Int { MemoryLayout<MinuteFlow>.stride << blockShift }

    private var blocks: [UnsafeMutablePointer<MinuteFlow>] = []
    private var free: [Int32] = []
    private var used: Int32 = 0
    private(set) var count = 0

    var capacity: Int { blocks.count << Self.blockShift }

    deinit {
        // The owner has taken every flow out; what remains are raw blocks.
        for block in blocks { BlockArena.free(block, Self.blockBytes) }
    }

    @inline(__always)
    subscript(_ number: Int32) -> UnsafeMutablePointer<MinuteFlow> {
        let number = Int(number)
        return blocks.withUnsafeBufferPointer { $0[number >> Self.blockShift] }
            + (number & ((1 << Self.blockShift) &- 1))
    }

    /// A node whose memory is not initialised.
    mutating func take() -> Int32 {
        count += 1
        if let number = free.popLast() { return number }
        if Int(used) == capacity {
            blocks.append(
                BlockArena.allocate(Self.blockBytes).bindMemory(to: MinuteFlow.self, capacity: 1 << Self.blockShift))
        }
        used += 1
        return used - 1
    }

    /// Gives back a node whose flow was moved out.
    mutating func release(_ number: Int32) {
        count -= 1
        free.append(number)
    }
}
