/// When a sender's buffer leaves: above 256 KiB, at the first record after ten seconds, or when nothing came for
/// three. Source: wire.md 5.2.
package struct FlushRule: Sendable, Equatable {
    /// Soft bound of the plain buffer with its header, in bytes; checked after a record was appended.
    package static let bufferLimit = 262_144
    package static let maxAgeNs: UInt64 = 10_000_000_000
    /// Silence after which the queue's reader hands on what it holds.
    package static let silenceMs = 3000
    package static let batch = 1024

    private var markNs: UInt64
    private var isDue = false

    /// - Parameter nowNs: monotonic time, as everywhere here.
    package init(nowNs: UInt64) {
        markNs = nowNs
    }

    package mutating func batchArrived(nowNs: UInt64) {
        guard nowNs &- markNs >= Self.maxAgeNs, nowNs >= markNs else { return }
        markNs = nowNs
        isDue = true
    }

    /// True when the buffer, now of `count` bytes, must leave.
    package mutating func appended(count: Int) -> Bool {
        guard isDue || count > Self.bufferLimit else { return false }
        isDue = false
        return true
    }
}
