import Model

/// What parsers write to: the messages of a batch of packets, in packet order, and the texts that they share.
package struct L7Output: ~Copyable {
    package var messages = L7MessageBatch()
    var texts = TextCache()
    /// What a TLS handshake took that ended with the last payload, µs; 0 = none did.
    package var tlsRttUs: UInt32 = 0
    /// Offset from which on the last payload waits for more; `Int.max` = all of it was read.
    var rest = Int.max

    package init() {}
}

/// Messages in one block of memory that is used again, so that each is made in place and moved out.
package struct L7MessageBatch: ~Copyable {
    private var base: UnsafeMutablePointer<L7Message>
    private var capacity = 64
    package private(set) var count = 0
    /// A new message. It owns nothing on the heap, so that a copy of its bytes is another one.
    private let blank: UnsafeMutablePointer<L7Message>

    package init() {
        base = .allocate(capacity: capacity)
        blank = .allocate(capacity: 1)
        blank.initialize(to: L7Message())
    }

    deinit {
        base.deinitialize(count: count)
        base.deallocate()
        blank.deinitialize(count: 1)
        blank.deallocate()
    }

    package var isEmpty: Bool { count == 0 }

    /// A copy of all messages, for those who only look on.
    package var all: [L7Message] { Array(UnsafeBufferPointer(start: base, count: count)) }

    /// - Precondition: `at` is one of the messages. The pointer holds until the next `add`.
    @inline(__always)
    package subscript(_ at: Int) -> UnsafeMutablePointer<L7Message> { base + at }

    /// A new message at the end. The pointer holds until the next `add`.
    @inline(__always)
    mutating func add() -> UnsafeMutablePointer<L7Message> {
        if count == capacity { grow() }
        let place = base + count
        UnsafeMutableRawPointer(place).copyMemory(from: blank, byteCount: MemoryLayout<L7Message>.size)
        count &+= 1
        return place
    }

    /// Sum of the statistics of the messages from `first` on.
    @inline(__always)
    func stats(from first: Int) -> L7PerfStats {
        var sum = L7PerfStats()
        for at in first..<count where base[at].hasStats { sum.merge(base[at].stats) }
        return sum
    }

    package mutating func append(_ message: consuming L7Message) {
        if count == capacity { grow() }
        (base + count).initialize(to: message)
        count &+= 1
    }

    /// Drops what stands at `start` and behind.
    mutating func truncate(to start: Int) {
        guard start < count else { return }
        (base + start).deinitialize(count: count &- start)
        count = start
    }

    package mutating func removeAll() { truncate(to: 0) }

    @inline(__always)
    func forEach(_ body: (UnsafePointer<L7Message>) -> Void) {
        for at in 0..<count { body(base + at) }
    }

    /// Empties the batch: `body` moves each message out of its place.
    @inline(__always)
    mutating func drain(_ body: (UnsafeMutablePointer<L7Message>) -> Void) {
        for at in 0..<count { body(base + at) }
        count = 0
    }

    /// Empties the batch into an array of its own, for another thread.
    package mutating func takeAll() -> [L7Message] {
        let taken = count
        count = 0
        return [L7Message](unsafeUninitializedCapacity: taken) { [base] place, number in
            if let start = place.baseAddress { start.moveInitialize(from: base, count: taken) }
            number = taken
        }
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<L7Message>.allocate(capacity: capacity &* 2)
        larger.moveInitialize(from: base, count: count)
        base.deallocate()
        base = larger
        capacity &*= 2
    }
}
