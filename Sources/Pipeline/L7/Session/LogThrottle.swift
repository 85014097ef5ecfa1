package import Model

/// Lets through a number of logs a second; of the rest a random sample replaces what waits. Source: agent-l7.md 9.5.
///
/// The random numbers come from a fixed seed, so that a replay gives the same rows every time.
package struct LogThrottle {
    private static let bufferSize = 1024
    private static let refillNs: UInt64 = 100_000_000

    /// Logs a second; 0 = unlimited.
    package private(set) var rate: UInt64
    /// statsd `throttle-drop`
    package private(set) var dropped: UInt64 = 0
    private var tokens: UInt64
    private var lastRefillNs: UInt64 = 0
    private var buffer: [L7FlowLog] = []
    private var periodCount: UInt64 = 0
    private var random: UInt64 = 0x9e37_79b9_7f4a_7c15

    package init(rate: UInt64) {
        self.rate = rate
        tokens = Self.capacity(rate)
    }

    /// Changes the rate in place; the tokens stay, up to the new capacity.
    package mutating func set(rate new: UInt64) {
        rate = new
        tokens = min(tokens, Self.capacity(new))
    }

    private static func refill(_ rate: UInt64) -> UInt64 { max(1, rate / 10) }
    private static func capacity(_ rate: UInt64) -> UInt64 { refill(rate) &* 10 }

    package mutating func offer(_ log: consuming L7FlowLog, nowNs: UInt64, into out: inout [L7FlowLog]) {
        guard rate > 0 else {
            out.append(log)
            return
        }
        periodCount &+= 1
        if acquire(nowNs) {
            buffer.append(log)
            if buffer.count >= Self.bufferSize {
                flush(into: &out)
                periodCount = 0
            }
            return
        }
        dropped &+= 1
        let at = nextRandom() % max(periodCount, 1)
        if at < UInt64(buffer.count) { buffer[Int(at)] = log }
    }

    /// After each batch; the period goes on.
    package mutating func flush(into out: inout [L7FlowLog]) {
        // Mostly all before has left: the two change places.
        if out.isEmpty {
            swap(&out, &buffer)
        } else {
            out.append(contentsOf: buffer)
            buffer.removeAll(keepingCapacity: true)
        }
    }

    private mutating func acquire(_ nowNs: UInt64) -> Bool {
        if lastRefillNs == 0 || nowNs < lastRefillNs { lastRefillNs = nowNs }
        let periods = (nowNs - lastRefillNs) / Self.refillNs
        if periods > 0 {
            tokens = min(Self.capacity(rate), tokens &+ min(periods, 10) &* Self.refill(rate))
            lastRefillNs &+= periods &* Self.refillNs
        }
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }

    private mutating func nextRandom() -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random
    }
}
