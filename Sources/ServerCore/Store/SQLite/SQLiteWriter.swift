import CSQLite
import Glibc
import Logging
import Model

/// The writing connection with its partitions and prepared statements. Owned by the store's thread.
final class SQLiteWriter {
    /// Layout of the file; another number is moved aside.
    static let layoutVersion: Int64 = 1
    /// SQLite joins at most 500 selects in a view.
    static let maxPartitions = 480
    /// Pages given back to the file system per look at retention.
    private static let vacuumPages = 20_000

    /// Tables and roll-ups of the catalogue.
    static let tables: [SQLiteTable] = Catalogue.all.flatMap { SQLiteTable.all(of: $0) }
    private static let tablesOfSchema: [String: [SQLiteTable]] = Dictionary(
        uniqueKeysWithValues: Catalogue.all.map { ($0.name, SQLiteTable.all(of: $0)) })

    let identity: UInt64
    private(set) var committedRows: [String: UInt64] = [:]
    private let path: String
    private let logger: Logger
    private let connection: SQLiteConnection
    private let dictionary: StringDictionary
    let prometheusNames: PrometheusNames
    private let namesTables: PrometheusTables
    private let setLedger: SQLiteStatement
    private let beginStatement: SQLiteStatement
    private let commitStatement: SQLiteStatement
    /// Starts of the partitions of each table, ascending.
    private var partitions: [String: [UInt64]] = [:]
    /// Columns of each partition, by its name, in its order.
    private var layouts: [String: [Int]] = [:]
    /// Both as they were when the transaction began to change them.
    private var before: (partitions: [String: [UInt64]], layouts: [String: [Int]])?
    /// Tables whose view is to be made anew before the commit.
    private var staleViews: Set<String> = []
    /// Statements by partition; the few latest ones of each table stay.
    private var inserters: [String: RowInserter] = [:]
    private var inserterOrder: [String] = []
    private var isOpen = false
    private var openedAtMs: UInt64 = 0
    private var openRows: [String: UInt64] = [:]
    private var openCount = 0
    /// Numbers that this transaction gives to the tables of Prometheus names.
    private var savedNames: [PrometheusNames.Entry] = []
    /// Of what was observed, and of what agents and servers tell of themselves.
    private var newestSeconds: UInt64 = 0
    private var newestOwnSeconds: UInt64 = 0

    /// - Throws: `SQLiteError`; `isDamage` of it tells a file that is no database.
    init(path: String, logger: Logger) throws {
        self.path = path
        self.logger = logger
        connection = try SQLiteConnection(path: path)
        // Page size and vacuum mode count only for a file that is still empty.
        try connection.execute(
            """
            PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
            PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 2000;
            PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY
            """)
        let version = try connection.number("PRAGMA user_version")
        guard version == 0 || version == Self.layoutVersion else {
            throw SQLiteError(code: SQLITE_NOTADB, message: "the layout of another version (\(version))")
        }
        try connection.execute(
            """
            BEGIN IMMEDIATE;
            CREATE TABLE IF NOT EXISTS store (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS ledger (name TEXT PRIMARY KEY, rows INTEGER NOT NULL);
            CREATE TABLE IF NOT EXISTS partition (
                name TEXT NOT NULL, start INTEGER NOT NULL, PRIMARY KEY (name, start)) WITHOUT ROWID;
            PRAGMA user_version = \(Self.layoutVersion);
            INSERT OR IGNORE INTO store VALUES ('identity', \(Int64.random(in: 1...Int64.max)));
            COMMIT
            """)
        identity = UInt64(bitPattern: try connection.number("SELECT value FROM store WHERE name = 'identity'"))
        dictionary = try StringDictionary(connection: connection)
        namesTables = try PrometheusTables(connection: connection)
        prometheusNames = PrometheusNames()
        prometheusNames.restore(try namesTables.all())
        setLedger = try connection.prepare(
            "INSERT INTO ledger VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET rows = excluded.rows", persistent: true)
        beginStatement = try connection.prepare("BEGIN IMMEDIATE", persistent: true)
        commitStatement = try connection.prepare("COMMIT", persistent: true)
        let counted = try connection.prepare("SELECT name, rows FROM ledger")
        while try counted.step() { committedRows[counted.text(0)] = UInt64(clamping: counted.int(1)) }
        let known = try connection.prepare("SELECT name, start FROM partition ORDER BY start")
        while try known.step() { partitions[known.text(0), default: []].append(UInt64(clamping: known.int(1))) }
        for table in Self.tables {
            for start in partitions[table.name] ?? [] { try readLayout(of: table, start: start) }
        }
    }

    /// Makes the file ready for this run: counts from zero again, and every table has its view.
    /// - Parameter lost: rows lost by the last run, added to what the file remembers.
    func begin(lost: UInt64) throws {
        try open()
        try connection.execute(
            """
            DELETE FROM ledger;
            INSERT INTO store VALUES ('lost', \(lost))
                ON CONFLICT(name) DO UPDATE SET value = value + excluded.value
            """)
        committedRows = [:]
        for table in Self.tables { staleViews.insert(table.name) }
        try commit()
    }

    func isCommitDue(rows: Int, ms: Int) -> Bool {
        isOpen && (openCount >= rows || monotonicNs() / 1_000_000 >= openedAtMs + UInt64(ms))
    }

    /// Inserts a batch and its roll-ups into the open transaction.
    func insert(_ batch: RowBatch) throws {
        try open()
        guard let tables = Self.tablesOfSchema[batch.table.name] else { return }
        for table in tables {
            switch batch.rows {
            case .l4(let rows): try insert(rows, table)
            case .l7(let rows): try insert(rows, table)
            case .network(let rows): try insert(rows, table)
            case .networkMap(let rows): try insert(rows, table)
            case .application(let rows): try insert(rows, table)
            case .applicationMap(let rows): try insert(rows, table)
            case .trafficPolicy(let rows): try insert(rows, table)
            case .stats(let rows): try insert(rows, table)
            case .extMetrics(let rows): try insert(rows, table)
            case .samples(let rows): try insert(rows, table)
            case .events(let rows): try insert(rows, table)
            case .profiles(let rows): try insert(rows, table)
            case .logs(let rows): try insert(rows, table)
            case .packets(let rows): try insert(rows, table)
            }
        }
        openRows[batch.table.name, default: 0] += UInt64(batch.count)
        openCount += batch.count
    }

    private func insert<Row: StoredRow>(_ rows: [Row], _ table: SQLiteTable) throws {
        var start = UInt64.max
        var inserter: RowInserter?
        var newest: UInt64 = 0
        defer { noteNewest(newest, of: table) }
        for row in rows {
            let seconds = row.seconds
            let wanted = table.start(of: seconds)
            if wanted != start || inserter == nil {
                start = wanted
                inserter = try self.inserter(table, start: wanted, rows)
            }
            if seconds > newest { newest = seconds }
            guard let first = inserter, try !first.insert(row) else { continue }
            let grown = try add(first.missing, to: table, partition: first.partition)
            inserter = grown
            _ = try grown.insert(row)
        }
    }

    private func noteNewest(_ seconds: UInt64, of table: SQLiteTable) {
        if table.schema.holdsStatistics {
            newestOwnSeconds = max(newestOwnSeconds, seconds)
        } else {
            newestSeconds = max(newestSeconds, seconds)
        }
    }

    private func open() throws {
        guard !isOpen else { return }
        try beginStatement.run()
        isOpen = true
        openedAtMs = monotonicNs() / 1_000_000
        before = nil
    }

    func commit() throws {
        guard isOpen else { return }
        for table in Self.tables where staleViews.contains(table.name) { try replaceView(of: table) }
        savedNames += prometheusNames.takeUnsaved()
        try namesTables.insert(savedNames)
        for (table, rows) in openRows {
            setLedger.bind(1, table)
            setLedger.bind(2, Int64(clamping: committedRows[table, default: 0] + rows))
            try setLedger.run()
        }
        try commitStatement.run()
        for (table, rows) in openRows { committedRows[table, default: 0] += rows }
        dictionary.committed()
        savedNames = []
        ended()
    }

    func rollback() {
        setLedger.reset()
        if sqlite3_get_autocommit(connection.handle) == 0 { try? connection.execute("ROLLBACK") }
        dictionary.rolledBack()
        prometheusNames.giveBack(savedNames)
        savedNames = []
        if let before { (partitions, layouts) = before }
        inserters.removeAll()
        inserterOrder.removeAll()
        ended()
    }

    private func ended() {
        isOpen = false
        openRows.removeAll(keepingCapacity: true)
        openCount = 0
        before = nil
        staleViews.removeAll()
    }

    /// Before another attempt: gives the space of the write-ahead log back, which may be all that is missing.
    func recover() {
        try? connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    func close() {
        inserters.removeAll()
        try? connection.execute("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)")
    }

    // MARK: Partitions

    private func inserter<Row: StoredRow>(_ table: SQLiteTable, start wanted: UInt64, _ rows: [Row]) throws
        -> RowInserter
    {
        let start = try partition(table, start: wanted, rows)
        return try inserter(table, partition: table.partitionName(start: start))
    }

    private func inserter(_ table: SQLiteTable, partition name: String) throws -> RowInserter {
        if let known = inserters[name] { return known }
        let made = try RowInserter(
            table: table, partition: name, layout: layouts[name] ?? [], connection: connection, dictionary: dictionary)
        inserters[name] = made
        inserterOrder.append(name)
        if inserterOrder.count > 64 { inserters[inserterOrder.removeFirst()] = nil }
        return made
    }

    /// The partition of a start, made when it is missing. At the bound the nearest existing one takes the rows, so
    /// that a peer with a wild clock cannot fill the file with tables.
    private func partition<Row: StoredRow>(_ table: SQLiteTable, start: UInt64, _ rows: [Row]) throws -> UInt64 {
        let known = partitions[table.name] ?? []
        if known.last == start || known.contains(start) { return start }
        if known.count >= Self.maxPartitions {
            return known.min { distance($0, start) < distance($1, start) } ?? start
        }
        // Columns of the latest partition, and what the first rows need.
        var probe = ColumnProbe(columns: table.schema.columns)
        for row in rows.prefix(256) { probe.look(at: row) }
        var needed = Set(known.last.flatMap { layouts[table.partitionName(start: $0)] } ?? [])
        needed.insert(table.schema.timeIndex)
        let layout = table.kept.filter { needed.contains($0) || probe.isNeeded[$0] }

        remember()
        let name = table.partitionName(start: start)
        for sql in table.createPartition(name, layout: layout) { try connection.execute(sql) }
        try connection.execute("INSERT INTO partition VALUES ('\(table.name)', \(start))")
        partitions[table.name] = (known + [start]).sorted()
        layouts[name] = layout
        staleViews.insert(table.name)
        return start
    }

    /// Gives a partition columns that a row needs.
    private func add(_ missing: [Int], to table: SQLiteTable, partition: String) throws -> RowInserter {
        remember()
        forget(inserter: partition)
        for position in missing {
            try connection.execute(table.addColumn(position, to: partition))
            layouts[partition, default: []].append(position)
        }
        staleViews.insert(table.name)
        return try inserter(table, partition: partition)
    }

    private func remember() {
        if before == nil { before = (partitions, layouts) }
    }

    private func forget(inserter name: String) {
        inserters[name] = nil
        inserterOrder.removeAll { $0 == name }
    }

    private func distance(_ one: UInt64, _ other: UInt64) -> UInt64 { one > other ? one - other : other - one }

    private func replaceView(of table: SQLiteTable) throws {
        let parts = (partitions[table.name] ?? []).map { start -> (name: String, layout: [Int]) in
            let name = table.partitionName(start: start)
            return (name, layouts[name] ?? [])
        }
        try connection.execute("DROP VIEW IF EXISTS \(quoted(table.name))")
        try connection.execute(table.createView(over: parts))
    }

    /// A partition with columns that the catalogue does not have any more cannot take rows; it is dropped.
    private func readLayout(of table: SQLiteTable, start: UInt64) throws {
        let partition = table.partitionName(start: start)
        let info = try connection.prepare("SELECT name FROM pragma_table_info('\(partition)')")
        var layout: [Int] = []
        while try info.step() {
            let name = info.text(0)
            if name == "_key", table.rollupSeconds != nil { continue }
            guard let position = table.schema.index(of: name), table.kept.contains(position) else {
                info.reset()
                logger.warning("partition of another catalogue is dropped", metadata: ["partition": "\(partition)"])
                return try drop(table, start: start)
            }
            layout.append(position)
        }
        layouts[partition] = layout
    }

    // MARK: Retention

    /// Drops partitions that are too old, then the oldest ones until the file is within its bound; the newest one of
    /// each table always stays. Gives free pages back. Returns how many went. Source: ingester.md 8.2, 8.4.
    func retain(ttlHours: [String: Int], maxBytes: UInt64?, clock: SQLiteStore.Settings.Clock) throws -> Int {
        let wall = wallClockNs() / 1_000_000_000
        var dropped = 0
        for table in Self.tables {
            // Never beyond the newest row: a capture of last year that an agent replays is not old at once. Statistics,
            // which go by the wall clock, do not make it old either.
            let newest = table.schema.holdsStatistics ? newestOwnSeconds : newestSeconds
            let now = clock == .wall ? min(wall, newest) : newest
            let keptSeconds = UInt64(ttlHours[table.name] ?? table.ttlHours) * 3600
            for start in partitions[table.name] ?? [] where start + table.spanSeconds + keptSeconds <= now {
                try drop(table, start: start)
                dropped += 1
            }
        }
        try commit()
        if let maxBytes {
            while try bytesUsed() > maxBytes, let (table, start) = oldestDroppable() {
                try drop(table, start: start)
                try commit()
                dropped += 1
            }
        }
        if try connection.number("PRAGMA freelist_count") > 0 {
            let vacuum = try connection.prepare("PRAGMA incremental_vacuum(\(Self.vacuumPages))")
            while try vacuum.step() {}
        }
        return dropped
    }

    /// Bytes of pages that hold something.
    func bytesUsed() throws -> UInt64 {
        let pages = try connection.number("PRAGMA page_count") - connection.number("PRAGMA freelist_count")
        return UInt64(clamping: pages * (try connection.number("PRAGMA page_size")))
    }

    /// Raw rows before roll-ups, oldest first.
    private func oldestDroppable() -> (SQLiteTable, UInt64)? {
        for wantsRollup in [false, true] {
            var best: (SQLiteTable, UInt64)?
            for table in Self.tables where (table.rollupSeconds != nil) == wantsRollup {
                guard let starts = partitions[table.name], starts.count > 1, let oldest = starts.first else { continue }
                if best.map({ oldest < $0.1 }) ?? true { best = (table, oldest) }
            }
            if let best { return best }
        }
        return nil
    }

    private func drop(_ table: SQLiteTable, start: UInt64) throws {
        try open()
        logger.info("partition is dropped", metadata: ["table": "\(table.name)", "start": "\(start)"])
        remember()
        let name = table.partitionName(start: start)
        forget(inserter: name)
        partitions[table.name]?.removeAll { $0 == start }
        layouts[name] = nil
        // The old view would name a table that is gone.
        try connection.execute("DROP VIEW IF EXISTS \(quoted(table.name))")
        staleViews.insert(table.name)
        try connection.execute("DELETE FROM partition WHERE name = '\(table.name)' AND start = \(start)")
        try connection.execute("DROP TABLE IF EXISTS \(quoted(name))")
    }
}
