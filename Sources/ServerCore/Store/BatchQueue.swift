import Glibc

/// Batches waiting for the store's writer, bounded by rows.
///
/// `@unchecked Sendable`: every stored property is touched only while `lock` is held.
final class BatchQueue: @unchecked Sendable {
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let maxRows: Int
    private var batches: [RowBatch] = []
    private var head = 0
    private var rows = 0
    private var closed = false
    private var waitsForRoom = true
    /// Ticks of `wake`, so that a request between two waits is not missed.
    private var wakeUps = 0

    init(maxRows: Int) {
        self.maxRows = maxRows
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(lock)
        changed.deallocate()
        lock.deallocate()
    }

    /// Adds a batch. Returns the batches that had to go: the oldest ones, or the new one once closed.
    func put(_ batch: RowBatch, waiting: Bool) -> [RowBatch] {
        let size = batch.count
        guard size > 0 else { return [] }
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if waiting {
            while rows > 0, rows + size > maxRows, waitsForRoom, !closed { pthread_cond_wait(changed, lock) }
        }
        guard !closed else { return [batch] }
        var dropped: [RowBatch] = []
        while rows + size > maxRows, let oldest = popFirst() { dropped.append(oldest) }
        batches.append(batch)
        rows += size
        pthread_cond_broadcast(changed)
        return dropped
    }

    /// The oldest batch; nil after `timeoutMs`, on a wake-up, or when closed and empty.
    func take(timeoutMs: Int) -> RowBatch? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if head == batches.count, timeoutMs > 0 {
            var deadline = timespec()
            clock_gettime(CLOCK_MONOTONIC, &deadline)
            deadline.tv_sec += timeoutMs / 1000
            deadline.tv_nsec += (timeoutMs % 1000) * 1_000_000
            if deadline.tv_nsec >= 1_000_000_000 {
                deadline.tv_sec += 1
                deadline.tv_nsec -= 1_000_000_000
            }
            let seen = wakeUps
            while head == batches.count, !closed, wakeUps == seen {
                if pthread_cond_timedwait(changed, lock, &deadline) == ETIMEDOUT { break }
            }
        }
        return popFirst()
    }

    /// Whether writers wait for room at all: not while the store cannot write.
    func setWaiting(_ waits: Bool) {
        pthread_mutex_lock(lock)
        waitsForRoom = waits
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(lock)
    }

    func wake() {
        pthread_mutex_lock(lock)
        wakeUps += 1
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(lock)
    }

    func close() {
        pthread_mutex_lock(lock)
        closed = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(lock)
    }

    var isClosed: Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return closed
    }

    var waitingRows: Int {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return rows
    }

    private func popFirst() -> RowBatch? {
        guard head < batches.count else { return nil }
        let first = batches[head]
        head += 1
        if head == batches.count || head >= 256 {
            batches.removeFirst(head)
            head = 0
        }
        rows -= first.count
        pthread_cond_broadcast(changed)
        return first
    }
}
