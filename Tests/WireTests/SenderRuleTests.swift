import Testing

@testable import Pipeline
@testable import Wire

/// `#expect` cannot look into calls that change their receiver.
private func check(
    _ condition: Bool, _ why: Comment? = nil, location: SourceLocation = #_sourceLocation
) {
    #expect(condition, why, sourceLocation: location)
}

/// Rules of the senders as values: no socket, no clock. wire.md 5.
struct SenderRuleTests {
    @Test func flushBySize() {
        var rule = FlushRule(nowNs: 0)
        check(!rule.appended(count: 262_144))
        check(rule.appended(count: 262_145), "strictly more than 256 KiB")
        check(!rule.appended(count: 100))
    }

    @Test func flushByAge() {
        var rule = FlushRule(nowNs: 5)
        rule.batchArrived(nowNs: 10_000_000_004)
        check(!rule.appended(count: 100))
        rule.batchArrived(nowNs: 10_000_000_005)
        check(rule.appended(count: 100), "the first record after ten seconds")
        check(!rule.appended(count: 100), "once")
        rule.batchArrived(nowNs: 20_000_000_004)
        check(!rule.appended(count: 100))
    }

    @Test func backOff() {
        var policy = ReconnectPolicy()
        check(policy.mayConnect(now: 1000))
        policy.failed(now: 1000, random: 4)
        check(!policy.mayConnect(now: 1013))
        check(policy.mayConnect(now: 1014))
        policy.failed(now: 1014, random: 5)
        check(!policy.mayConnect(now: 1023))
        check(policy.mayConnect(now: 1024))
        policy.failed(now: 1024, random: 0)
        check(policy.mayConnect(now: 1000), "a clock set back ends the back-off")
        policy.failed(now: 1024, random: 0)
        policy.reset()
        check(policy.mayConnect(now: 1024))
    }

    /// wire.md 10.7.
    @Test func tokenBucket() {
        var bucket = TokenBucket(rate: 1000, nowNs: 0)
        check(bucket.take(1000, nowNs: 0))
        check(!bucket.take(1, nowNs: 0))
        check(!bucket.take(1, nowNs: 99_999_999))
        check(!bucket.take(101, nowNs: 100_000_000))
        check(bucket.take(100, nowNs: 100_000_000))
        check(!bucket.take(1, nowNs: 150_000_000))
        check(bucket.take(1000, nowNs: 60_000_000_000), "full again, and no fuller")
        check(!bucket.take(1, nowNs: 60_000_000_000))
    }

    @Test func megabits() {
        let limiter = ThroughputLimiter(megabits: 100, nowNs: 0)
        #expect(limiter.take(13_107_200, nowNs: 0))
        #expect(!limiter.take(1, nowNs: 0))
        #expect(limiter.take(1_310_720, nowNs: 100_000_000))
        #expect(!limiter.take(1, nowNs: 100_000_000))
        limiter.set(megabits: 0, nowNs: 0)
        #expect(limiter.take(.max, nowNs: 0) && !limiter.isLimited)
        limiter.set(megabits: 1, nowNs: 0)
        #expect(limiter.take(10_000_000, nowNs: 0), "a frame above a second's budget takes all of it")
        #expect(!limiter.take(1, nowNs: 0))
    }

    @Test func compressionRatio() {
        var counters = SenderCounters()
        #expect(counters.compressionRatio == 0)
        counters.rawBytes = 1000
        counters.txBytes = 248
        #expect(counters.compressionRatio == 75)
    }

    @Test(arguments: [
        ("10.1.2.3", "10.1.2.3", 20033), ("server:1234", "server", 1234), ("[::1]:9", "::1", 9), ("::1", "::1", 20033),
        ("[2001:db8::1]", "2001:db8::1", 20033),
    ])
    func destinations(text: String, host: String, port: Int) {
        #expect(Destination(text) == Destination(host: host, port: UInt16(port)))
    }

    @Test(arguments: ["", ":1", "h:", "h:0", "h:70000", "h:x", "[::1", "[::1]9"])
    func badDestinations(text: String) {
        #expect(Destination(text) == nil)
    }
}
