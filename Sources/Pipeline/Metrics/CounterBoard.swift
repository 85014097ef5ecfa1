import Synchronization

/// Where a stage thread leaves its counters and readers take them.
final class CounterBoard<Counters: StageCounters>: Sendable {
    private let counters = Mutex(Counters())

    func publish(_ newer: Counters) { counters.withLock { $0.merge(newer) } }

    /// Counters since the last call; lengths as last published.
    func take() -> Counters {
        counters.withLock { counters in
            defer { counters = Counters() }
            return counters
        }
    }
}
