/// When counters are read: once in each interval, at its first second. Source: integration.md 3.1.
struct StatsSchedule: Sendable {
    let intervalSeconds: UInt64
    private var lastSeconds: UInt64 = 0

    init(intervalSeconds: UInt64) { self.intervalSeconds = max(intervalSeconds, 1) }

    /// - Parameter nowSeconds: wall clock, seconds since 1970; may step back, which also ends an interval.
    mutating func isDue(nowSeconds: UInt64) -> Bool {
        guard nowSeconds / intervalSeconds != lastSeconds / intervalSeconds else { return false }
        lastSeconds = nowSeconds
        return true
    }
}
