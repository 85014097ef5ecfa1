package import Capture

/// Of frames between the engine and the dispatcher, since the start. Source: agent-flow.md 4.1, 4.2.
package struct ReceiveCounters: Sendable, Equatable {
    /// What the kernel counted; its packets are those read and those it dropped.
    package var kernel = KernelStatistics()
    package var rxAll: UInt64 = 0
    package var rxAllBytes: UInt64 = 0
    /// Shorter than an Ethernet header with a tag; not among `rxAll`.
    package var tooShort: UInt64 = 0
    /// Waits of 1 ms because more packets came than are allowed a second.
    package var getTokenFailed: UInt64 = 0
    /// Faults of the engine.
    package var errors: UInt64 = 0

    package init() {}

    mutating func add(_ other: ReceiveCounters) {
        kernel.add(other.kernel)
        rxAll &+= other.rxAll
        rxAllBytes &+= other.rxAllBytes
        tooShort &+= other.tooShort
        getTokenFailed &+= other.getTokenFailed
        errors &+= other.errors
    }
}

/// Times of packets that jump ahead are not believed. Source: agent-flow.md 4.2, rule 3.
struct TimeGuard {
    private static let jumpNs: UInt64 = 60_000_000_000

    /// Newest time that was let through.
    private var newestNs: UInt64 = 0

    /// The time to go on with: the packet's, or the clock's when it is over a minute ahead of both the packets before
    /// and the clock.
    @inline(__always)
    mutating func corrected(_ timeNs: UInt64, clock: () -> UInt64) -> UInt64 {
        var time = timeNs
        if time > newestNs &+ TimeGuard.jumpNs {
            let now = clock()
            if time > now &+ TimeGuard.jumpNs { time = now }
        }
        if time > newestNs { newestNs = time }
        return time
    }
}

/// A rate of packets with a second's worth of slack. Source: agent-flow.md 4.2, rule 4.
struct PacketBucket {
    private static let refillNs: UInt64 = 100_000_000

    /// Tokens every 100 ms; 0 = no limit.
    private let refill: Int
    private let capacity: Int
    private var tokens: Int
    private var refilledNs: UInt64

    /// - Parameter perSecond: 0 = no limit. The bucket begins full.
    init(perSecond: Int, nowNs: UInt64) {
        refill = perSecond > 0 ? max(1, perSecond / 10) : 0
        capacity = refill * 10
        tokens = capacity
        refilledNs = nowNs
    }

    /// Takes as many tokens as there are, at most `count`.
    mutating func take(_ count: Int, nowNs: UInt64) -> Int {
        guard refill > 0 else { return count }
        if nowNs >= refilledNs &+ PacketBucket.refillNs {
            let times = (nowNs &- refilledNs) / PacketBucket.refillNs
            refilledNs &+= times &* PacketBucket.refillNs
            tokens = min(capacity, tokens + refill * Int(min(times, 10)))
        }
        let taken = min(count, tokens)
        tokens -= taken
        return taken
    }
}
