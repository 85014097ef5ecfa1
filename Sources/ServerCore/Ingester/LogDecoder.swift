import Model
import Wire

/// Records of one kind to rows of one table, through the throttle. One a thread; shared by the network and the
/// in-process way. Source: ingester.md 5.
final class LogDecoder<Record: Sendable, Row: StoredRow> {
    /// Rows handed to the store at once. Source: ingester.md 5.5.
    static var chunk: Int { 16_384 }

    private let makeRow: (Record, UInt16, PlatformData) -> Row
    private let bypasses: (Row) -> Bool
    private let platform: () -> PlatformData
    private let emit: ([Row]) -> Void
    private let counters: WritableKeyPath<IngesterCounters, IngesterCounters.Decoder>
    private let tally: IngesterTally
    private let wallSeconds: () -> UInt64
    private var reservoir: Reservoir<Row>?
    private var cache: [Row] = []
    private var random = SystemRandomNumberGenerator()

    /// - Parameter capacity: rows a bucket may keep; nil switches the throttle off.
    init(
        capacity: Int?, bucketSeconds: UInt64, counters: WritableKeyPath<IngesterCounters, IngesterCounters.Decoder>,
        tally: IngesterTally, platform: @escaping () -> PlatformData,
        wallSeconds: @escaping () -> UInt64 = { wallClockNs() / 1_000_000_000 },
        bypasses: @escaping (Row) -> Bool, makeRow: @escaping (Record, UInt16, PlatformData) -> Row,
        emit: @escaping ([Row]) -> Void
    ) {
        reservoir = capacity.map { Reservoir(capacity: $0, bucketSeconds: bucketSeconds) }
        self.counters = counters
        self.tally = tally
        self.platform = platform
        self.wallSeconds = wallSeconds
        self.bypasses = bypasses
        self.makeRow = makeRow
        self.emit = emit
    }

    /// Counts a payload that was read elsewhere.
    func countPayload(errors: Int) {
        tally.add { [counters] in
            $0[keyPath: counters].payloads += 1
            $0[keyPath: counters].errors += UInt64(errors)
        }
    }

    func take(_ records: [Record], teamID: UInt16) {
        let now = wallSeconds()
        let platform = self.platform()
        var dropped: UInt64 = 0
        if let full = reservoir?.turn(nowSeconds: now) { emitChunks(full) }
        for record in records {
            let row = makeRow(record, teamID, platform)
            if reservoir == nil || bypasses(row) {
                cache.append(row)
                if cache.count >= Self.chunk { emitCache() }
            } else if reservoir?.offer(row, using: &random) != .appended {
                dropped += 1
            }
        }
        tally.add { [counters] in
            $0[keyPath: counters].records += UInt64(records.count)
            $0[keyPath: counters].dropped += dropped
        }
        // At once, unless the bucket is on its way to overflow: a row that waits here is not counted by the store yet.
        tick(now)
    }

    /// Hands on what need not wait any longer; called at least once a second.
    func tick() { tick(wallSeconds()) }

    private func tick(_ now: UInt64) {
        if let full = reservoir?.turn(nowSeconds: now) { emitChunks(full) }
        if let early = reservoir?.takeEarly(nowSeconds: now) { emitChunks(early) }
        emitCache()
    }

    /// Hands on everything: at the end and when asked to.
    func flush() {
        if let rest = reservoir?.takeAll() { emitChunks(rest) }
        emitCache()
    }

    private func emitCache() {
        guard !cache.isEmpty else { return }
        let rows = cache
        cache = []
        emitChunks(rows)
    }

    private func emitChunks(_ rows: [Row]) {
        guard !rows.isEmpty else { return }
        tally.add { [counters] in $0[keyPath: counters].rows += UInt64(rows.count) }
        if rows.count <= Self.chunk { return emit(rows) }
        for start in stride(from: 0, to: rows.count, by: Self.chunk) {
            emit(Array(rows[start..<min(start + Self.chunk, rows.count)]))
        }
    }
}

extension LogDecoder where Record: WireDecodable {
    /// Reads an inflated payload and takes its records. What was read before an error stays.
    func take(payload: [UInt8], teamID: UInt16) {
        let batch = Record.decodeAll(payload.span.bytes)
        countPayload(errors: batch.errors)
        take(batch.records, teamID: teamID)
    }
}
