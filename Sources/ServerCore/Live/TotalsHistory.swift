import Model

/// Sums over all flows by the second, for charts.
struct TotalsHistory {
    static let length = 600

    struct Second: Sendable {
        var second: UInt64 = 0
        var packets: UInt64 = 0
        var bytes: UInt64 = 0
        var activeFlows: UInt64 = 0
        var newFlows: UInt64 = 0
        var requests: UInt64 = 0
        var errors: UInt64 = 0
        var rrtSum: UInt64 = 0
        var rrtCount: UInt64 = 0
        var rrtMax: UInt32 = 0
        var retransmissions: UInt64 = 0
    }

    private var ring = Array(repeating: Second(), count: TotalsHistory.length)
    private(set) var newest: UInt64 = 0
    private(set) var total = Second()

    mutating func add(_ flow: TaggedFlow, second: UInt64, isNew: Bool) {
        newest = max(newest, second)
        TotalsHistory.count(flow, isNew, in: &total)
        let slot = Int(second % UInt64(TotalsHistory.length))
        guard ring[slot].second <= second else { return }
        if ring[slot].second < second { ring[slot] = Second(second: second) }
        TotalsHistory.count(flow, isNew, in: &ring[slot])
    }

    private static func count(_ flow: TaggedFlow, _ isNew: Bool, in sum: inout Second) {
        sum.packets &+= flow.src.packetCount &+ flow.dst.packetCount
        sum.bytes &+= flow.src.byteCount &+ flow.dst.byteCount
        sum.activeFlows &+= 1
        if isNew { sum.newFlows &+= 1 }
        let l7 = flow.perf.l7
        sum.requests &+= UInt64(l7.requestCount)
        sum.errors &+= UInt64(l7.errClientCount) &+ UInt64(l7.errServerCount) &+ UInt64(l7.errTimeout)
        sum.rrtSum &+= l7.rrtSum
        sum.rrtCount &+= UInt64(l7.rrtCount)
        sum.rrtMax = max(sum.rrtMax, l7.rrtMax)
        sum.retransmissions &+= UInt64(flow.perf.tcp.tx.retrans) &+ UInt64(flow.perf.tcp.rx.retrans)
    }

    /// The seconds up to `last`, oldest first, silent ones as zeros.
    func seconds(_ count: Int, upTo last: UInt64) -> [Second] {
        let count = min(max(0, count), TotalsHistory.length)
        return (0..<count).map { index in
            let back = UInt64(count - 1 - index)
            guard last >= back else { return Second() }
            let second = last - back
            let slot = ring[Int(second % UInt64(TotalsHistory.length))]
            return slot.second == second ? slot : Second(second: second)
        }
    }
}
