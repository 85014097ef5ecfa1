import CSQLite
import Glibc
package import Logging
import Model
import Synchronization

/// The embedded store: one SQLite file in WAL mode, one writer thread, reading connections on demand.
///
/// Rows are committed at least every second, together with the number of rows committed so far; what a killed process
/// had taken over beyond that is counted as lost at the next start. Source: design.md 5, ingester.md 8.
package final class SQLiteStore: Store {
    package struct Settings: Sendable {
        /// Rows that may wait for the writer; more are dropped, oldest first. A waiting request costs about 1 KB.
        package var maxWaitingRows = 65_536
        /// A transaction is committed at this many rows ...
        package var commitRows = 20_000
        /// ... or at this age.
        package var commitMs = 1000
        /// Bytes of the database before the oldest partitions go; nil for no bound.
        package var maxBytes: UInt64? = 10 << 30
        /// What "now" means for retention by age: the wall clock, or (for replays) the newest row.
        package var clock = Clock.wall
        /// Time to go on after a failed write before it is tried again.
        package var retryMs = 1000
        /// Failed attempts in a row before waiting writers are let go and rows are dropped.
        package var maxRetries = 3
        /// Milliseconds between two looks at retention.
        package var retentionMs = 30_000

        package enum Clock: Sendable { case wall, newestRow }

        package init() {}
    }

    package let path: String
    package let prometheusNames: PrometheusNames
    let settings: Settings
    private let logger: Logger
    private let queue: BatchQueue
    private let ledger: LossLedger
    private let shared: Mutex<Shared>
    private let readers: SQLiteReaders
    private let lockDescriptor: Int32
    private let thread: Mutex<StageThread?>

    /// What the writer tells the others.
    private struct Shared {
        var counters = StoreCounters()
        /// Batches taken over and batches finished, for `flush`.
        var rowsTaken: UInt64 = 0
        var rowsDone: UInt64 = 0
        var ttlHours: [String: Int] = [:]
        var isClosed = false
    }

    /// Opens or creates the database; a file that is no database (any more) is moved aside, never deleted.
    /// - Throws: an explained error: the folder cannot be written, or another process has the store open.
    package init(path: String, settings: Settings = Settings(), logger: Logger = Logger(label: "store")) throws {
        self.path = path
        self.settings = settings
        self.logger = logger
        lockDescriptor = try SQLiteStore.lock(path)
        var left: [String: LossLedger.Entry] = [:]
        let writer: SQLiteWriter
        do {
            writer = try SQLiteStore.openWriter(path: path, settings: settings, logger: logger)
            ledger = try LossLedger(
                path: path + ".accepted", identity: writer.identity, tables: Catalogue.all.map(\.name), left: &left)
        } catch {
            Glibc.close(lockDescriptor)
            throw SQLiteStore.explained(error, what: "cannot open the store \(path)")
        }
        prometheusNames = writer.prometheusNames
        var start = Shared()
        start.counters.rowsLost = SQLiteStore.lostRows(left, committed: writer.committedRows, logger: logger)
        shared = Mutex(start)
        queue = BatchQueue(maxRows: settings.maxWaitingRows)
        readers = SQLiteReaders(path: path)
        thread = Mutex(nil)
        do {
            try writer.begin(lost: start.counters.rowsLost)
        } catch {
            Glibc.close(lockDescriptor)
            throw SQLiteStore.explained(error, what: "cannot write the store \(path)")
        }
        // The writer belongs to its thread from here on.
        nonisolated(unsafe) let handedOver = writer
        thread.withLock { $0 = StageThread(name: "store") { [self] in run(handedOver) } }
    }

    package func write(_ batch: RowBatch) { put(batch, waiting: false) }

    package func writeWaiting(_ batch: RowBatch) { put(batch, waiting: true) }

    private func put(_ batch: RowBatch, waiting: Bool) {
        let count = batch.count
        guard count > 0 else { return }
        ledger.accept(batch.table.name, count)
        shared.withLock { $0.rowsTaken += UInt64(count) }
        drop(queue.put(batch, waiting: waiting))
    }

    private func drop(_ batches: [RowBatch]) {
        guard !batches.isEmpty else { return }
        var rows = 0
        for batch in batches {
            ledger.drop(batch.table.name, batch.count)
            rows += batch.count
        }
        shared.withLock {
            $0.counters.rowsDropped += UInt64(rows)
            $0.rowsDone += UInt64(rows)
        }
    }

    package func flush() throws {
        let goal = shared.withLock { $0.rowsTaken }
        let failuresBefore = shared.withLock { $0.counters.retries }
        while true {
            queue.wake()
            let (done, counters, isClosed) = shared.withLock { ($0.rowsDone, $0.counters, $0.isClosed) }
            if done >= goal || isClosed {
                if let problem = counters.problem { throw problem }
                return
            }
            if let problem = counters.problem, counters.retries >= failuresBefore + UInt64(settings.maxRetries) {
                throw problem
            }
            usleep(2000)
        }
    }

    package func query(_ sql: String, limits: QueryLimits = QueryLimits()) throws -> QueryAnswer {
        try readers.query(sql, limits: limits)
    }

    package func tables() throws -> [StoredTableInfo] {
        let ttl = shared.withLock { $0.ttlHours }
        return try readers.tables(ttl: ttl)
    }

    package func setRetention(table: String, hours: Int) throws {
        guard hours >= 1 else {
            throw Failure(.usage, what: "cannot keep \(table) for \(hours) h", why: "the least is 1 hour")
        }
        let wanted = table.split(separator: ".", maxSplits: 1).last.map(String.init) ?? table
        guard let found = SQLiteWriter.tables.first(where: { $0.name == table || $0.name == wanted }) else {
            throw Failure(
                .notFound, what: "no table \(table)", why: "the catalogue does not have it",
                mend: "see `dfctl show tables`")
        }
        shared.withLock { $0.ttlHours[found.name] = hours }
        queue.wake()
    }

    package func counters() -> StoreCounters {
        var counters = shared.withLock { $0.counters }
        counters.rowsWaiting = UInt64(queue.waitingRows)
        return counters
    }

    package func close() {
        guard let writer = thread.withLock({ $0.take() }) else { return }
        queue.close()
        writer.join()
        shared.withLock { $0.isClosed = true }
        readers.closeAll()
        Glibc.close(lockDescriptor)
    }

    // MARK: Writer thread

    private func run(_ writer: SQLiteWriter) {
        var state = WriterState(retentionAtMs: monotonicNs() / 1_000_000 + 1000)
        while true {
            if state.isFailing {
                let isClosing = queue.isClosed
                if isClosing, state.failures >= settings.maxRetries {
                    drop(state.giveUp())
                    continue
                }
                usleep(useconds_t(min(settings.retryMs, isClosing ? 100 : 60_000)) * 1000)
                do {
                    // One by one, so that what fits is kept.
                    writer.recover()
                    while let batch = state.pending.first {
                        try writer.insert(batch)
                        try writer.commit()
                        keptFirst(&state)
                    }
                    committed(&state)
                } catch {
                    failed(writer, &state, error)
                }
                continue
            }
            let batch = queue.take(timeoutMs: settings.commitMs)
            do {
                if let batch {
                    state.add(batch)
                    try writer.insert(batch)
                }
                if batch == nil || writer.isCommitDue(rows: settings.commitRows, ms: settings.commitMs) {
                    try writer.commit()
                    committed(&state)
                }
                if monotonicNs() / 1_000_000 >= state.retentionAtMs {
                    try writer.commit()
                    committed(&state)
                    try retain(writer)
                    state.retentionAtMs = monotonicNs() / 1_000_000 + UInt64(settings.retentionMs)
                }
            } catch {
                failed(writer, &state, error)
            }
            if batch == nil, !state.isFailing, queue.isClosed, queue.waitingRows == 0 {
                writer.close()
                return
            }
        }
    }

    private func committed(_ state: inout WriterState) {
        let rows = UInt64(state.pendingRows)
        let hadFailed = state.isFailing
        state.committed()
        if hadFailed { queue.setWaiting(true) }
        shared.withLock {
            $0.rowsDone += rows
            $0.counters.rowsWritten += rows
            if rows > 0 { $0.counters.commits += 1 }
            $0.counters.problem = nil
        }
    }

    /// The oldest batch in hand was committed alone while the store recovers.
    private func keptFirst(_ state: inout WriterState) {
        let rows = UInt64(state.keptFirst())
        shared.withLock {
            $0.rowsDone += rows
            $0.counters.rowsWritten += rows
            $0.counters.commits += 1
        }
    }

    private func retain(_ writer: SQLiteWriter) throws {
        let ttl = shared.withLock { $0.ttlHours }
        let dropped = try writer.retain(ttlHours: ttl, maxBytes: settings.maxBytes, clock: settings.clock)
        let used = try writer.bytesUsed()
        shared.withLock {
            $0.counters.partitionsDropped += UInt64(dropped)
            $0.counters.bytesUsed = used
        }
    }

    private func failed(_ writer: SQLiteWriter, _ state: inout WriterState, _ error: any Error) {
        writer.rollback()
        let problem = SQLiteStore.explained(error, what: "cannot write the store \(path)")
        state.failures += 1
        if state.failures == 1 {
            logger.error("store cannot write", metadata: ["why": "\(problem.why)", "path": "\(path)"])
        }
        // Long broken: nobody waits for room any more; a full queue drops its oldest rows, counted.
        if state.failures >= settings.maxRetries { queue.setWaiting(false) }
        shared.withLock {
            $0.counters.retries += 1
            $0.counters.problem = problem
        }
        // Waiting does not heal anything but a disk: these rows are given up so that later ones may pass.
        let mayHeal = (error as? SQLiteError)?.isDiskTrouble ?? false
        if !mayHeal, state.failures >= settings.maxRetries { drop(state.giveUp()) }
    }

    // MARK: Opening

    private static func lock(_ path: String) throws -> Int32 {
        let descriptor = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(
                errno == EACCES || errno == EPERM ? .notPermitted : .failed, what: "cannot open the store \(path)",
                why: String(cString: strerror(errno)), mend: "choose a writable folder by --data-dir")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(descriptor)
            throw Failure(
                .conflict, what: "cannot open the store \(path)", why: "another process has it open",
                mend: "`dftop attach` shows the running one; --data-dir chooses another folder")
        }
        return descriptor
    }

    private static func openWriter(path: String, settings: Settings, logger: Logger) throws -> SQLiteWriter {
        do {
            return try SQLiteWriter(path: path, logger: logger)
        } catch let error as SQLiteError where error.isDamage {
            let aside = path + ".damaged-\(wallClockNs() / 1_000_000_000)"
            logger.error(
                "store is damaged and moved aside", metadata: ["why": "\(error.message)", "to": "\(aside)"])
            guard rename(path, aside) == 0 else { throw error }
            unlink(path + "-wal")
            unlink(path + "-shm")
            return try SQLiteWriter(path: path, logger: logger)
        }
    }

    private static func lostRows(
        _ left: [String: LossLedger.Entry], committed: [String: UInt64], logger: Logger
    ) -> UInt64 {
        var lost: UInt64 = 0
        for (table, entry) in left {
            let safe = entry.dropped &+ (committed[table] ?? 0)
            guard entry.accepted > safe else { continue }
            lost += entry.accepted - safe
            logger.warning(
                "rows of the last run were not committed",
                metadata: ["table": "\(table)", "rows": "\(entry.accepted - safe)"])
        }
        return lost
    }

    private static func explained(_ error: any Error, what: String) -> Failure {
        if let failure = error as? Failure { return failure }
        guard let error = error as? SQLiteError else {
            return Failure(.failed, what: what, why: "\(error)")
        }
        switch error.code & 0xff {
        case SQLITE_FULL:
            return Failure(
                .partlyDone, what: what, why: "the disk is full", mend: "free space or move --data-dir elsewhere")
        case SQLITE_IOERR:
            return Failure(
                .partlyDone, what: what, why: error.message, mend: "check the disk, or move --data-dir elsewhere")
        case SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN:
            return Failure(
                .notPermitted, what: what, why: error.message, mend: "choose a writable folder by --data-dir")
        default:
            return Failure(.failed, what: what, why: error.message)
        }
    }
}

/// What the writer thread has in hand.
private struct WriterState {
    var retentionAtMs: UInt64
    /// Batches of the open transaction, kept until it is committed.
    private(set) var pending: [RowBatch] = []
    private(set) var pendingRows = 0
    /// Failed attempts in a row. While there are any, no more rows are taken from the queue, which is bounded.
    var failures = 0
    var isFailing: Bool { failures > 0 }

    init(retentionAtMs: UInt64) { self.retentionAtMs = retentionAtMs }

    mutating func add(_ batch: RowBatch) {
        pending.append(batch)
        pendingRows += batch.count
    }

    /// Forgets the oldest batch and returns its rows.
    mutating func keptFirst() -> Int {
        let rows = pending.removeFirst().count
        pendingRows -= rows
        return rows
    }

    mutating func committed() {
        pending.removeAll(keepingCapacity: true)
        pendingRows = 0
        failures = 0
    }

    mutating func giveUp() -> [RowBatch] {
        defer { committed() }
        return pending
    }
}
