import CSQLite
import Glibc
import Model
import Synchronization

/// Reading connections: kept open between queries, at most `maxIdle` of them, each used by one query at a time.
///
/// A query may only read. Its statement is refused when it would write, attach or change settings; it ends at its
/// limits of rows and time.
final class SQLiteReaders: Sendable {
    private static let maxIdle = 4
    private let path: String
    private let idle = Mutex<[Reader]>([])

    /// `@unchecked Sendable`: a reader is in the idle list or with exactly one query, never both.
    private final class Reader: @unchecked Sendable {
        let connection: SQLiteConnection
        var deadlineNs: UInt64 = 0

        init(path: String) throws {
            connection = try SQLiteConnection(path: path, isReadOnly: true)
            try connection.execute("PRAGMA query_only = 1; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY")
            QueryFunctions.register(on: connection)
            sqlite3_set_authorizer(connection.handle, { _, action, first, _, _, _ in authorize(action, first) }, nil)
            sqlite3_progress_handler(
                connection.handle, 20_000,
                { context in
                    guard let context else { return 0 }
                    let reader = Unmanaged<Reader>.fromOpaque(context).takeUnretainedValue()
                    return monotonicNs() > reader.deadlineNs ? 1 : 0
                }, Unmanaged.passUnretained(self).toOpaque())
        }
    }

    init(path: String) { self.path = path }

    func closeAll() { idle.withLock { $0.removeAll() } }

    func query(_ sql: String, limits: QueryLimits) throws -> QueryAnswer {
        let started = monotonicNs()
        return try withReader { reader in
            reader.deadlineNs = started &+ UInt64(max(1, limits.timeoutMs)) * 1_000_000
            let statement: SQLiteStatement
            do {
                statement = try reader.connection.prepare(QualifiedNames.removeDatabases(from: sql))
            } catch let error as SQLiteError {
                let isRefused = error.code & 0xff == SQLITE_AUTH
                throw Failure(
                    isRefused ? .notPermitted : .usage, what: "cannot run the query",
                    why: isRefused ? "only reading statements are allowed" : error.message,
                    mend: "see `dfctl show tables` for names")
            }
            guard sqlite3_stmt_readonly(statement.handle) != 0 else {
                throw Failure(.notPermitted, what: "cannot run the query", why: "only reading statements are allowed")
            }
            return try collect(statement, limits: limits, startedNs: started)
        }
    }

    private func collect(
        _ statement: SQLiteStatement, limits: QueryLimits, startedNs: UInt64
    ) throws -> QueryAnswer {
        let handle = statement.handle
        let count = sqlite3_column_count(handle)
        var table = ResultTable()
        table.columns = (0..<count).map { sqlite3_column_name(handle, $0).map { String(cString: $0) } ?? "" }
        var isCut = false
        do {
            while try statement.step() {
                if table.rows.count >= limits.maxRows {
                    isCut = true
                    break
                }
                table.rows.append((0..<count).map { value(handle, $0) })
            }
        } catch let error as SQLiteError {
            if error.code & 0xff == SQLITE_INTERRUPT {
                throw Failure(
                    .failed, what: "the query was stopped", why: "it took longer than \(limits.timeoutMs) ms",
                    mend: "narrow the time range, or query a roll-up such as \"network.1h\"")
            }
            throw Failure(.failed, what: "the query failed", why: error.message)
        }
        return QueryAnswer(table: table, isCut: isCut, elapsedUs: (monotonicNs() &- startedNs) / 1000)
    }

    /// IPv6 addresses are the only blobs of 16 bytes; they are shown as text.
    private func value(_ handle: OpaquePointer, _ column: Int32) -> FieldValue {
        switch sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: return .int(sqlite3_column_int64(handle, column))
        case SQLITE_FLOAT: return .real(sqlite3_column_double(handle, column))
        case SQLITE_NULL: return .null
        case SQLITE_BLOB:
            let bytes = UnsafeRawBufferPointer(
                start: sqlite3_column_blob(handle, column), count: Int(sqlite3_column_bytes(handle, column)))
            if let address = IPAddress(octets: bytes) { return .text(address.text(v6: true)) }
            return .text(bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined())
        default:
            guard let start = sqlite3_column_text(handle, column) else { return .null }
            let length = Int(sqlite3_column_bytes(handle, column))
            return .text(String(decoding: UnsafeBufferPointer(start: start, count: length), as: UTF8.self))
        }
    }

    func tables(ttl: [String: Int]) throws -> [StoredTableInfo] {
        try withReader { reader in
            reader.deadlineNs = .max
            var starts: [String: [UInt64]] = [:]
            let list = try reader.connection.prepare("SELECT name, start FROM partition ORDER BY start")
            while try list.step() { starts[list.text(0), default: []].append(UInt64(clamping: list.int(1))) }
            return try SQLiteWriter.tables.map { table in
                let mine = starts[table.name] ?? []
                // Row numbers only grow in plain tables, so their last one is the count.
                let rows = try mine.reduce(UInt64(0)) { sum, start in
                    let name = quoted(table.partitionName(start: start))
                    let what = table.rollupSeconds == nil ? "ifnull(max(rowid), 0)" : "count(*)"
                    return sum + UInt64(clamping: try reader.connection.number("SELECT \(what) FROM \(name)"))
                }
                return StoredTableInfo(
                    name: "\(table.schema.database).\(table.name)", rows: rows, partitions: mine.count,
                    oldest: mine.first ?? 0, ttlHours: ttl[table.name] ?? table.ttlHours)
            }
        }
    }

    private func withReader<Result>(_ body: (Reader) throws -> Result) throws -> Result {
        let reader: Reader
        do {
            reader = try idle.withLock { $0.popLast() } ?? Reader(path: path)
        } catch let error as SQLiteError {
            throw Failure(.failed, what: "cannot read the store \(path)", why: error.message)
        }
        defer {
            idle.withLock { if $0.count < Self.maxIdle { $0.append(reader) } }
        }
        do {
            return try body(reader)
        } catch let error as SQLiteError {
            throw Failure(.failed, what: "cannot read the store \(path)", why: error.message)
        }
    }
}

/// What a query may do: read, select, call functions, recurse. `load_extension` and settings stay shut.
private func authorize(_ action: Int32, _ first: UnsafePointer<CChar>?) -> Int32 {
    switch action {
    case SQLITE_SELECT, SQLITE_READ, SQLITE_FUNCTION, SQLITE_RECURSIVE, SQLITE_TRANSACTION: return SQLITE_OK
    case SQLITE_PRAGMA:
        let name = first.map { String(cString: $0) } ?? ""
        return name == "table_info" || name == "table_xinfo" ? SQLITE_OK : SQLITE_DENY
    default: return SQLITE_DENY
    }
}
