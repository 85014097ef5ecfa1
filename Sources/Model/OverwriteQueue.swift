#if canImport(Glibc)
    import Glibc
#endif

/// Counters of one queue since the last `take`, in the reference's names. Source: agent-flow.md 1, ingester.md 1.1.
package struct QueueCounters: Sendable, Equatable {
    package var `in`: UInt64 = 0
    package var out: UInt64 = 0
    package var overwritten: UInt64 = 0
    /// Most items waiting at once.
    package var pending: UInt64 = 0

    package init() {}
}

/// A bounded ring between threads that never blocks its writers: when full, the oldest items are overwritten and
/// counted. Many writers, one reader, batches both ways.
///
/// `@unchecked Sendable`: every stored property is touched only while `lock` is held.
package final class OverwriteQueue<Item: Sendable>: @unchecked Sendable {
    package enum Received: Sendable {
        case items([Item])
        case timedOut
        /// Closed and empty: the reader ends.
        case terminated
    }

    package let name: String
    package let capacity: Int

    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let arrived: UnsafeMutablePointer<pthread_cond_t>
    private let freed: UnsafeMutablePointer<pthread_cond_t>
    private let weigh: (@Sendable (Item) -> Int)?
    /// Power of two; grows with the number of items that wait, up to the capacity.
    private var ring: [Item?]
    private var head = 0
    private var count = 0
    /// Records in the ring.
    private var waiting: UInt64 = 0
    private var isClosed = false
    private var isWoken = false
    private var period = QueueCounters()
    private var totals = QueueCounters()

    /// - Parameters:
    ///   - capacity: items, rounded up to a power of two.
    ///   - weigh: records of an item, when the items are batches; the counters then count records.
    package init(name: String, capacity: Int, weigh: (@Sendable (Item) -> Int)? = nil) {
        self.weigh = weigh
        var size = 1
        while size < capacity { size <<= 1 }
        self.name = name
        self.capacity = size
        ring = Array(repeating: nil, count: min(size, 1024))
        lock = .allocate(capacity: 1)
        arrived = .allocate(capacity: 1)
        freed = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(arrived, &attributes)
        pthread_cond_init(freed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(arrived)
        pthread_cond_destroy(freed)
        pthread_mutex_destroy(lock)
        arrived.deallocate()
        freed.deallocate()
        lock.deallocate()
    }

    /// Adds a batch; overwrites the oldest items when there is no room. Items put after `close` are counted overwritten.
    package func put(_ items: [Item]) {
        guard !items.isEmpty else { return }
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        period.in += weight(items[...])
        guard !isClosed else {
            period.overwritten += weight(items[...])
            return
        }
        let kept = items.count > capacity ? items[(items.count - capacity)...] : items[...]
        period.overwritten += weight(items.dropLast(kept.count))
        let excess = count + kept.count - capacity
        if excess > 0 {
            for _ in 0..<excess { dropOldest() }
        }
        append(kept)
    }

    /// Adds a batch, waiting for room: for replays, where nothing may be lost. Returns false once closed.
    package func putWaiting(_ items: [Item]) -> Bool {
        var rest = items[...]
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        period.in += weight(rest)
        while !rest.isEmpty {
            while count == capacity, !isClosed { pthread_cond_wait(freed, lock) }
            if isClosed {
                period.overwritten += weight(rest)
                return false
            }
            let room = min(capacity - count, rest.count)
            append(rest.prefix(room))
            rest = rest.dropFirst(room)
        }
        return true
    }

    /// Waits for items, at most `timeoutMs`.
    package func receive(max: Int = 1024, timeoutMs: Int) -> Received {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if count == 0, !isClosed, !isWoken {
            var deadline = timespec()
            clock_gettime(CLOCK_MONOTONIC, &deadline)
            deadline.tv_sec += timeoutMs / 1000
            deadline.tv_nsec += (timeoutMs % 1000) * 1_000_000
            if deadline.tv_nsec >= 1_000_000_000 {
                deadline.tv_sec += 1
                deadline.tv_nsec -= 1_000_000_000
            }
            while count == 0, !isClosed, !isWoken {
                if pthread_cond_timedwait(arrived, lock, &deadline) == ETIMEDOUT { break }
            }
        }
        guard count > 0 else {
            isWoken = false
            return isClosed ? .terminated : .timedOut
        }
        let taken = min(count, max)
        var out: [Item] = []
        out.reserveCapacity(taken)
        for _ in 0..<taken {
            if let item = ring[head] { out.append(item) }
            ring[head] = nil
            head = (head + 1) & (ring.count - 1)
        }
        count -= taken
        let records = weight(out[...])
        waiting -= records
        period.out += records
        pthread_cond_broadcast(freed)
        return .items(out)
    }

    /// Lets the reader take what is left and then see a time-out at once, so that it hands on what it holds.
    package func wake() {
        pthread_mutex_lock(lock)
        isWoken = true
        pthread_cond_signal(arrived)
        pthread_mutex_unlock(lock)
    }

    /// Lets the reader take what is left, then tells it to end.
    package func close() {
        pthread_mutex_lock(lock)
        isClosed = true
        pthread_cond_broadcast(arrived)
        pthread_cond_broadcast(freed)
        pthread_mutex_unlock(lock)
    }

    /// Counters since the last call.
    package func takeCounters() -> QueueCounters {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        let taken = period
        totals.in += taken.in
        totals.out += taken.out
        totals.overwritten += taken.overwritten
        totals.pending = max(totals.pending, taken.pending)
        period = QueueCounters()
        period.pending = waiting
        return taken
    }

    /// Counters since the start, without touching the period, and the items waiting now.
    package func snapshot() -> (totals: QueueCounters, waiting: Int) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        var sum = totals
        sum.in += period.in
        sum.out += period.out
        sum.overwritten += period.overwritten
        sum.pending = max(sum.pending, period.pending)
        return (sum, Int(waiting))
    }

    private func weight(_ items: ArraySlice<Item>) -> UInt64 {
        guard let weigh else { return UInt64(items.count) }
        return items.reduce(0) { $0 + UInt64(weigh($1)) }
    }

    /// Counts what it drops.
    private func dropOldest() {
        let records = ring[head].map { item in weigh.map { UInt64($0(item)) } ?? 1 } ?? 0
        period.overwritten += records
        waiting -= records
        ring[head] = nil
        head = (head + 1) & (ring.count - 1)
        count -= 1
    }

    private func append(_ items: ArraySlice<Item>) {
        if count + items.count > ring.count { grow(to: count + items.count) }
        var tail = (head + count) & (ring.count - 1)
        for item in items {
            ring[tail] = item
            tail = (tail + 1) & (ring.count - 1)
        }
        count += items.count
        waiting += weight(items)
        period.pending = max(period.pending, waiting)
        pthread_cond_signal(arrived)
    }

    /// Room for `needed` items, which are at most the capacity.
    private func grow(to needed: Int) {
        var size = ring.count
        while size < needed { size <<= 1 }
        var larger: [Item?] = []
        larger.reserveCapacity(size)
        for position in 0..<count { larger.append(ring[(head + position) & (ring.count - 1)]) }
        larger.append(contentsOf: repeatElement(nil, count: size - count))
        ring = larger
        head = 0
    }
}
