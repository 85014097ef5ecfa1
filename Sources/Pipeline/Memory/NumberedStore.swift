/// Values at fixed numbers in one block of memory that grows by doubling: an array whose owner vouches for the numbers.
///
/// For tables whose links are their own and never come from outside.
struct NumberedStore<Value>: ~Copyable {
    private var base: UnsafeMutablePointer<Value>
    private var capacity = 64
    private(set) var count = 0

    init() { base = .allocate(capacity: capacity) }

    deinit {
        base.deinitialize(count: count)
        base.deallocate()
    }

    /// - Precondition: `number` is below `count`.
    subscript(_ number: Int) -> Value {
        @inline(__always) _read { yield base[number] }
        @inline(__always) _modify { yield &base[number] }
    }

    /// Holds until the next `append`.
    @inline(__always)
    func pointer(_ number: Int) -> UnsafeMutablePointer<Value> { base + number }

    @inline(__always)
    func contains(_ number: Int) -> Bool { number >= 0 && number < count }

    mutating func append(_ value: consuming Value) {
        if count == capacity {
            let larger = LargePages.allocate(MemoryLayout<Value>.stride &* capacity &* 2)
                .bindMemory(to: Value.self, capacity: capacity &* 2)
            larger.moveInitialize(from: base, count: count)
            base.deallocate()
            base = larger
            capacity &*= 2
        }
        (base + count).initialize(to: value)
        count &+= 1
    }
}
