package import Model

/// Where rows are kept. Nothing outside a backend knows its SQL.
///
/// `write` never blocks and is called from decoder threads; the other calls may take their time.
package protocol Store: AnyObject, Sendable {
    /// Takes rows over; when the store is behind by more than its bound, the oldest waiting rows are dropped and
    /// counted.
    func write(_ batch: RowBatch)
    /// Waits for room instead of dropping, for replays. Drops all the same while writing fails.
    func writeWaiting(_ batch: RowBatch)
    /// Returns when all rows taken over so far are committed.
    /// - Throws: an explained error (exit code 8) when they could not be.
    func flush() throws
    /// Runs one reading statement over the tables of the catalogue.
    /// - Throws: an explained error with the backend's reason.
    func query(_ sql: String, limits: QueryLimits) throws -> QueryAnswer
    /// What is stored, for `show tables` and the Self view.
    func tables() throws -> [StoredTableInfo]
    /// Changes how long a table is kept; hours.
    func setRetention(table: String, hours: Int) throws
    func counters() -> StoreCounters
    /// Numbers of Prometheus names and values, kept with the rows that have them.
    var prometheusNames: PrometheusNames { get }
    /// Commits, stops the writer and closes. Rows that cannot be written are counted as dropped.
    func close()
}

/// Bounds of one query.
package struct QueryLimits: Sendable {
    package var maxRows: Int
    package var timeoutMs: Int

    package init(maxRows: Int = 10_000, timeoutMs: Int = 10_000) {
        self.maxRows = maxRows
        self.timeoutMs = timeoutMs
    }
}

package struct QueryAnswer: Sendable {
    package var table: ResultTable
    /// More rows would have come.
    package var isCut: Bool
    package var elapsedUs: UInt64
}

package struct StoredTableInfo: Sendable, Equatable {
    /// `database.table`.
    package var name: String
    package var rows: UInt64
    package var partitions: Int
    /// Start of the oldest partition, seconds since 1970; 0 when empty.
    package var oldest: UInt64
    package var ttlHours: Int
}

/// Counters since the start. Source: ingester.md 10 (`ckwriter`).
package struct StoreCounters: Sendable, Equatable {
    /// Rows committed (`write-success-count`).
    package var rowsWritten: UInt64 = 0
    /// Rows given up (`write-failed-count`): the queue was full, or writing failed too long.
    package var rowsDropped: UInt64 = 0
    /// Rows of an earlier run that were taken over but not committed before it died.
    package var rowsLost: UInt64 = 0
    package var commits: UInt64 = 0
    /// Transactions that failed and were tried again (`retry-count`).
    package var retries: UInt64 = 0
    package var partitionsDropped: UInt64 = 0
    /// Rows waiting now.
    package var rowsWaiting: UInt64 = 0
    package var bytesUsed: UInt64 = 0
    /// Last failure of the writer, nil while writing works.
    package var problem: Failure?

    package init() {}
}

/// Rows of one table on their way to the store.
package struct RowBatch: Sendable {
    package enum Rows: Sendable {
        case l4([L4FlowLogRow])
        case l7([L7FlowLogRow])
        case network([NetworkRow])
        case networkMap([NetworkMapRow])
        case application([ApplicationRow])
        case applicationMap([ApplicationMapRow])
        case trafficPolicy([TrafficPolicyRow])
        case stats([StatsRow])
        case extMetrics([ExtMetricsRow])
        case samples([SampleRow])
        case events([EventRow])
        case profiles([ProfileRow])
        case logs([LogRow])
        case packets([PacketBatchRow])
    }

    package let table: TableSchema
    package let rows: Rows

    package init(_ table: TableSchema, _ rows: Rows) {
        self.table = table
        self.rows = rows
    }

    package static func flows(_ rows: [L4FlowLogRow]) -> RowBatch { RowBatch(Catalogue.l4FlowLog, .l4(rows)) }
    package static func requests(_ rows: [L7FlowLogRow]) -> RowBatch { RowBatch(Catalogue.l7FlowLog, .l7(rows)) }

    package var count: Int {
        switch rows {
        case .l4(let rows): rows.count
        case .l7(let rows): rows.count
        case .network(let rows): rows.count
        case .networkMap(let rows): rows.count
        case .application(let rows): rows.count
        case .applicationMap(let rows): rows.count
        case .trafficPolicy(let rows): rows.count
        case .stats(let rows): rows.count
        case .extMetrics(let rows): rows.count
        case .samples(let rows): rows.count
        case .events(let rows): rows.count
        case .profiles(let rows): rows.count
        case .logs(let rows): rows.count
        case .packets(let rows): rows.count
        }
    }
}
