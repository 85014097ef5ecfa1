import Testing

@testable import Pipeline

/// Source: agent-flow.md 4.2.
struct ReceiveRulesTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func timesThatJumpAheadAreTheClocks() {
        var rule = TimeGuard()
        let now = 1_000_000 * Self.second
        func corrected(_ time: UInt64) -> UInt64 { rule.corrected(time, clock: { now }) }
        // The first packet is ahead of everything before, not of the clock.
        #expect(corrected(now - 5) == now - 5)
        #expect(corrected(now + 59 * Self.second) == now + 59 * Self.second)
        // A minute ahead of the clock, but not of the packet before.
        #expect(corrected(now + 110 * Self.second) == now + 110 * Self.second)
        #expect(corrected(now + 171 * Self.second) == now)
        // Backward steps are left to others, and the newest time stays.
        #expect(corrected(now - 100 * Self.second) == now - 100 * Self.second)
        #expect(corrected(now + 169 * Self.second) == now + 169 * Self.second)
    }

    @Test func bucketGivesTheRateAndASecondOfSlack() {
        var bucket = PacketBucket(perSecond: 1000, nowNs: 0)
        #expect(bucket.take(5000, nowNs: 0) == 1000)
        #expect(bucket.take(1, nowNs: Self.second / 10 - 1) == 0)
        #expect(bucket.take(5000, nowNs: Self.second / 10) == 100)
        #expect(bucket.take(5000, nowNs: Self.second * 35 / 100) == 200)
        #expect(bucket.take(5000, nowNs: Self.second * 4 / 10) == 100)
        // Never more than a second's worth, however long nothing came.
        #expect(bucket.take(5000, nowNs: Self.second * 3600) == 1000)
    }

    @Test func bucketOfFewAndOfNoLimit() {
        var few = PacketBucket(perSecond: 3, nowNs: 0)
        #expect(few.take(100, nowNs: 0) == 10)
        #expect(few.take(100, nowNs: Self.second / 10) == 1)
        var unlimited = PacketBucket(perSecond: 0, nowNs: 0)
        #expect(unlimited.take(1 << 40, nowNs: 0) == 1 << 40)
    }
}
