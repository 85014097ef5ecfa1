/// Counts of microseconds in buckets of an eighth of an octave and more exact below 8: percentiles within 9 %.
struct LatencyHistogram: Sendable {
    private var counts: [UInt32] = Array(repeating: 0, count: LatencyHistogram.buckets)
    private(set) var total: UInt64 = 0

    /// 8 exact values, then 29 octaves of 8.
    private static let buckets = 8 + 29 * 8

    mutating func add(_ us: UInt64) {
        let index = LatencyHistogram.bucket(of: us)
        counts[index] &+= 1
        total &+= 1
    }

    mutating func merge(_ other: LatencyHistogram) {
        guard other.total > 0 else { return }
        for index in counts.indices { counts[index] &+= other.counts[index] }
        total &+= other.total
    }

    mutating func clear() {
        guard total > 0 else { return }
        for index in counts.indices { counts[index] = 0 }
        total = 0
    }

    /// Microseconds that the given part of the values does not exceed; 0 when empty. The middle of the bucket.
    func percentile(_ part: Double) -> Double {
        guard total > 0 else { return 0 }
        let rank = max(1, UInt64((Double(total) * part).rounded(.up)))
        var sum: UInt64 = 0
        for (index, count) in counts.enumerated() where count > 0 {
            sum &+= UInt64(count)
            if sum >= rank { return LatencyHistogram.middle(of: index) }
        }
        return LatencyHistogram.middle(of: counts.count - 1)
    }

    private static func bucket(of us: UInt64) -> Int {
        guard us >= 8 else { return Int(us) }
        let exponent = 63 - us.leadingZeroBitCount
        let within = Int(us >> UInt64(exponent - 3)) & 7
        return min(buckets - 1, 8 + (exponent - 3) * 8 + within)
    }

    private static func middle(of index: Int) -> Double {
        guard index >= 8 else { return Double(index) }
        let exponent = (index - 8) / 8 + 3
        let within = UInt64((index - 8) % 8)
        let low = (8 + within) << UInt64(exponent - 3)
        let width = UInt64(1) << UInt64(exponent - 3)
        return Double(low) + Double(width - 1) / 2
    }
}
