import Synchronization

/// Row ids: `(seconds << 32) | (analyzer << 22) | counter`, the counter taken from one source per table family.
/// Source: ingester.md 3.
package final class RowIDs: Sendable {
    private let analyzer: UInt64
    private let counter: Atomic<UInt32>

    /// - Parameters:
    ///   - analyzerID: number of this server; its low 10 bits are used.
    ///   - start: the counter before the first id.
    package init(analyzerID: UInt16 = 0, start: UInt32 = 0) {
        analyzer = UInt64(analyzerID & 0x3ff) << 22
        counter = Atomic(start)
    }

    package func next(seconds: UInt64) -> UInt64 {
        let number = counter.wrappingAdd(1, ordering: .relaxed).newValue
        return (seconds & 0xffff_ffff) << 32 | analyzer | UInt64(number & 0x3f_ffff)
    }
}
