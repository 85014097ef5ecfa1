import EngineAPI
package import Model

/// One stage or queue of the engine as its owner reports it: sums since the start.
package struct OwnCounter: Sendable, Equatable {
    /// `capture`, `queue`, `flow`, `store` and the like.
    package var group: String
    package var name: String
    package var `in`: UInt64
    package var out: UInt64
    package var dropped: UInt64
    /// Waiting now, and how much may wait; 0 = no queue.
    package var pending: UInt64
    package var capacity: UInt64
    package var note: String
    /// Everything that the stage counts, by the names of its statistics.
    package var counters: [StatsRecord.Metric] = []

    package init(
        group: String, name: String, in: UInt64 = 0, out: UInt64 = 0, dropped: UInt64 = 0, pending: UInt64 = 0,
        capacity: UInt64 = 0, note: String = "", counters: [StatsRecord.Metric] = []
    ) {
        self.group = group
        self.name = name
        self.in = `in`
        self.out = out
        self.dropped = dropped
        self.pending = pending
        self.capacity = capacity
        self.note = note
        self.counters = counters
    }
}

/// The last two readings of the engine's counters, for rates.
struct OwnReadings {
    private var last: [OwnCounter] = []
    private var lastNs: UInt64 = 0
    private var rates: [String: (in: Double, out: Double, dropped: Double)] = [:]

    static let columns = [
        "group", "name", "in_rate", "out_rate", "in", "out", "dropped", "drop_rate", "pending", "capacity", "note",
    ]
    private static let named = NamedFields.Columns(columns)

    mutating func take(_ counters: [OwnCounter], nowNs: UInt64) {
        if nowNs > lastNs, lastNs != 0 {
            let seconds = Double(nowNs - lastNs) / 1e9
            let before = Dictionary(last.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
            let rate = { (now: UInt64, then: UInt64) in now >= then ? Double(now - then) / seconds : 0 }
            rates = [:]
            for counter in counters {
                guard let then = before[counter.key] else { continue }
                rates[counter.key] = (
                    rate(counter.in, then.in), rate(counter.out, then.out), rate(counter.dropped, then.dropped)
                )
            }
        }
        last = counters
        lastNs = nowNs
    }

    var rows: [NamedRecord] {
        last.enumerated().map { index, counter in
            let rate = rates[counter.key] ?? (0, 0, 0)
            return NamedRecord(
                id: UInt64(index + 1),
                fields: NamedFields(
                    columns: OwnReadings.named,
                    values: [
                        .text(counter.group), .text(counter.name), .real(rate.in), .real(rate.out),
                        .uint(counter.in), .uint(counter.out), .uint(counter.dropped), .real(rate.dropped),
                        .uint(counter.pending), .uint(counter.capacity > 1 << 40 ? 0 : counter.capacity),
                        .text(counter.note),
                    ]), more: counter.counters.map { Detail.Field($0.name, OwnReadings.value($0.value)) })
        }
    }

    /// Counters are whole numbers, ratios are not.
    private static func value(_ number: Double) -> FieldValue {
        UInt64(exactly: number).map { .uint($0) } ?? .real(number)
    }

    var losses: [EngineStatus.Loss] {
        last.filter { $0.dropped > 0 }.map { EngineStatus.Loss(place: "\($0.group) \($0.name)", count: $0.dropped) }
            .sorted { $0.count > $1.count }
    }
}

extension OwnCounter {
    fileprivate var key: String { group + "/" + name }
}
