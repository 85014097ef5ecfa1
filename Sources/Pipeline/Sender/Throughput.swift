import Synchronization

/// The budget of bytes of all senders together. Ticks of 100 ms, a second of budget at most. Source: wire.md 5.4.
package struct TokenBucket: Sendable, Equatable {
    package static let tickNs: UInt64 = 100_000_000

    private let quantum: UInt64
    private let capacity: UInt64
    private var tokens: UInt64
    private var tickedNs: UInt64

    /// - Parameter rate: bytes a second, more than 0.
    package init(rate: UInt64, nowNs: UInt64) {
        quantum = max(1, rate / 10)
        capacity = quantum * 10
        tokens = capacity
        tickedNs = nowNs
    }

    /// Takes `cost` bytes out of the budget, or nothing.
    ///
    /// What is larger than a second's budget costs a full bucket: in the reference such a frame can never pass, so that
    /// a small limit would stop the data for good.
    package mutating func take(_ cost: UInt64, nowNs: UInt64) -> Bool {
        if nowNs > tickedNs {
            let ticks = (nowNs - tickedNs) / Self.tickNs
            tickedNs += ticks * Self.tickNs
            // A tick that would overfill the bucket adds nothing.
            tokens += min(ticks, (capacity - tokens) / quantum) * quantum
        }
        let price = min(cost, capacity)
        guard price <= tokens else { return false }
        tokens -= price
        return true
    }
}

/// One bucket shared by all senders; no limit when the rate is 0.
package final class ThroughputLimiter: Sendable {
    private let bucket: Mutex<TokenBucket?>

    /// - Parameter megabits: Mbit/s, each of them 131 072 bytes; 0 = off.
    package init(megabits: UInt64, nowNs: UInt64) {
        bucket = Mutex(Self.bucket(megabits, nowNs))
    }

    /// A changed rate starts with a full bucket.
    package func set(megabits: UInt64, nowNs: UInt64) {
        bucket.withLock { $0 = Self.bucket(megabits, nowNs) }
    }

    package var isLimited: Bool { bucket.withLock { $0 != nil } }

    package func take(_ bytes: Int, nowNs: UInt64) -> Bool {
        bucket.withLock { $0?.take(UInt64(bytes), nowNs: nowNs) ?? true }
    }

    private static func bucket(_ megabits: UInt64, _ nowNs: UInt64) -> TokenBucket? {
        megabits == 0 ? nil : TokenBucket(rate: min(megabits, 1 << 30) << 17, nowNs: nowNs)
    }
}
