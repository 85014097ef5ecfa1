/// Reservoir sampling of rows by time buckets: of everything offered in a bucket at most `capacity` rows stay, each with
/// the same chance. Source: ingester.md 5.5.
///
/// Rows of the bucket may be taken early while the bucket is not on its way to overflow, so that they are stored within
/// a second; a slot taken early cannot be replaced any more, and a newcomer that draws it is dropped.
struct Reservoir<Row> {
    enum Offer: Equatable {
        case appended
        /// The newcomer stays in place of another row; counts as a drop.
        case replaced
        case dropped
    }

    let capacity: Int
    let bucketSeconds: UInt64
    private var rows: [Row] = []
    /// Slots of this bucket that have been taken already.
    private var taken = 0
    private var offered: UInt64 = 0
    private var bucket: UInt64 = 0

    init(capacity: Int, bucketSeconds: UInt64 = 3) {
        self.capacity = max(1, capacity)
        self.bucketSeconds = max(1, bucketSeconds)
    }

    /// Everything that waits, once the bucket of `nowSeconds` is another one. To be asked before `offer`.
    mutating func turn(nowSeconds: UInt64) -> [Row] {
        let current = nowSeconds / bucketSeconds
        guard current != bucket else { return [] }
        bucket = current
        taken = 0
        offered = 0
        return takeAll()
    }

    mutating func offer<Random: RandomNumberGenerator>(_ row: Row, using random: inout Random) -> Offer {
        offered += 1
        if taken + rows.count < capacity {
            rows.append(row)
            return .appended
        }
        let slot = Int(UInt64.random(in: 0..<offered, using: &random))
        guard slot < capacity, slot >= taken else { return .dropped }
        rows[slot - taken] = row
        return .replaced
    }

    /// The rows so far, when at their pace the bucket will stay below its capacity.
    mutating func takeEarly(nowSeconds: UInt64) -> [Row] {
        let elapsed = nowSeconds % bucketSeconds + 1
        guard offered * bucketSeconds < UInt64(capacity) * elapsed else { return [] }
        taken += rows.count
        return takeAll()
    }

    mutating func takeAll() -> [Row] {
        defer { rows = [] }
        return rows
    }
}
