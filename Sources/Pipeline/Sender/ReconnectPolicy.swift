/// When a sender may try to connect: 10 to 14 s after an attempt that failed, at once after a connection that had
/// worked. Source: wire.md 5.3.
package struct ReconnectPolicy: Sendable, Equatable {
    package static let base: UInt64 = 10
    package static let spread: UInt64 = 5

    private var failedAt: UInt64 = 0
    private var backOff: UInt64 = 0

    package init() {}

    /// - Parameter now: wall clock in seconds; a clock that was set back ends the back-off.
    package mutating func mayConnect(now: UInt64) -> Bool {
        if now < failedAt { backOff = 0 }
        return now &- failedAt >= backOff || backOff == 0
    }

    package mutating func failed(now: UInt64, random: UInt64) {
        failedAt = now
        backOff = Self.base + random % Self.spread
    }

    /// Connected, or the destination has changed.
    package mutating func reset() { self = ReconnectPolicy() }
}
