import Model
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// A queue of batches and the thread that decodes them.
///
/// `flush` waits until the thread has taken everything put before it and emptied its caches.
final class DecodeStage<Record: Sendable>: Sendable {
    private enum Item: Sendable {
        case records([Record])
        case flush(Int)
    }

    private let queue: OverwriteQueue<Item>
    private let done: FlushGate
    private let thread: StageThread

    /// - Parameters:
    ///   - decoder: makes the decoder, on the stage's own thread.
    ///   - tick: called at least once a second; `flush` at the end and when asked to, `tick` when nil.
    init<Decoder>(
        name: String, capacity: Int, decoder: @escaping @Sendable () -> Decoder,
        take: @escaping @Sendable (Decoder, [Record]) -> Void, tick: @escaping @Sendable (Decoder) -> Void,
        flush: (@Sendable (Decoder) -> Void)? = nil
    ) {
        let queue = OverwriteQueue<Item>(name: name, capacity: capacity)
        let done = FlushGate()
        let flush = flush ?? tick
        self.queue = queue
        self.done = done
        thread = StageThread(name: name) {
            let decoder = decoder()
            var tickedNs = monotonicNs()
            while true {
                switch queue.receive(max: 64, timeoutMs: 1000) {
                case .items(let items):
                    for item in items {
                        switch item {
                        case .records(let records): take(decoder, records)
                        case .flush(let number):
                            flush(decoder)
                            done.reached(number)
                        }
                    }
                case .timedOut: break
                case .terminated:
                    flush(decoder)
                    return done.end()
                }
                let now = monotonicNs()
                if now &- tickedNs >= 1_000_000_000 {
                    tick(decoder)
                    tickedNs = now
                }
            }
        }
    }

    func put(_ records: [Record], waiting: Bool) {
        guard !records.isEmpty else { return }
        if waiting { _ = queue.putWaiting([.records(records)]) } else { queue.put([.records(records)]) }
    }

    func flush() {
        let number = done.next()
        // A busy live queue may overwrite the request: then it is made again.
        repeat { _ = queue.putWaiting([.flush(number)]) } while !done.wait(for: number, ms: 1000)
    }

    func stop() {
        queue.close()
        thread.join()
    }

    var state: (name: String, counters: QueueCounters, waiting: Int) {
        let snapshot = queue.snapshot()
        return (queue.name, snapshot.totals, snapshot.waiting)
    }
}

/// Lets callers wait until a numbered request has been served.
final class FlushGate: Sendable {
    private struct State {
        var asked = 0
        var served = 0
        var hasEnded = false
    }

    private let state = Mutex(State())

    func next() -> Int {
        state.withLock { state in
            state.asked += 1
            return state.asked
        }
    }

    func reached(_ number: Int) { state.withLock { $0.served = max($0.served, number) } }

    func end() { state.withLock { $0.hasEnded = true } }

    /// Rarely called and never on a hot path: it looks every millisecond. False when the time is over.
    func wait(for number: Int, ms: Int) -> Bool {
        for _ in 0..<ms {
            if state.withLock({ $0.served >= number || $0.hasEnded }) { return true }
            usleep(1000)
        }
        return false
    }
}
