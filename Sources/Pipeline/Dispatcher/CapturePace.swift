import Model
import Synchronization

/// The limit of packets a second that all dispatchers of a capture share.
final class CapturePace: Sendable {
    /// Tokens that a dispatcher takes at once, so that it seldom asks.
    static let portion = 256

    private let isLimited: Bool
    private let bucket: Mutex<PacketBucket>

    /// - Parameter perSecond: 0 = no limit.
    init(perSecond: Int) {
        isLimited = perSecond > 0
        bucket = Mutex(PacketBucket(perSecond: perSecond, nowNs: monotonicNs()))
    }

    /// How many packets may pass now, at most `CapturePace.portion`.
    func take() -> Int {
        guard isLimited else { return CapturePace.portion }
        return bucket.withLock { $0.take(CapturePace.portion, nowNs: monotonicNs()) }
    }
}
