import Model
import Samples
import ServerCore

#if canImport(Glibc)
    import Glibc
#endif

/// What rows cost, per table: to make them of records, to print them, and to store them. CPU time of the process.
///
/// `storebench [ROWS] [FOLDER]`: a line a table with microseconds a row and bytes a row on disk.
@main
struct StoreBenchmark {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        let count = arguments.first.flatMap { Int($0) } ?? 200_000
        let folder = arguments.dropFirst().first ?? "/tmp/storebench-\(getpid())"
        mkdir(folder, 0o700)
        defer {
            for suffix in ["", "-wal", "-shm", ".lock", ".accepted"] { unlink("\(folder)/store.db\(suffix)") }
            rmdir(folder)
        }
        print("table                 make_us   csv_us  json_us  store_us  rows/s  bytes/row")
        let maker = RowMaker()
        let platform = PlatformData()
        let logs = (0..<count).map { SampleRecords.log($0, second: second($0)) }
        try measure(Catalogue.l7FlowLog, logs, folder, RowBatch.requests) { maker.row($0, platform: platform) }
        let flows = (0..<count).map { SampleRecords.flow($0, second: second($0)) }
        try measure(Catalogue.l4FlowLog, flows, folder, RowBatch.flows) { maker.row($0, platform: platform) }

        let builder = DocumentRowBuilder()
        func network(_ document: Document) -> NetworkMapRow? {
            guard case .success(.networkMap(let row)) = builder.row(document, teamID: 1) else { return nil }
            return row
        }
        func application(_ document: Document) -> ApplicationMapRow? {
            guard case .success(.applicationMap(let row)) = builder.row(document, teamID: 1) else { return nil }
            return row
        }
        let paths = (0..<count).map { document($0, isApplication: false) }
        let services = (0..<count).map { document($0, isApplication: true) }
        for table in [Catalogue.networkMap1s, Catalogue.networkMap1m] {
            try measure(table, paths, folder, { RowBatch(table, .networkMap($0)) }) { network($0) }
        }
        for table in [Catalogue.applicationMap1s, Catalogue.applicationMap1m] {
            try measure(table, services, folder, { RowBatch(table, .applicationMap($0)) }) { application($0) }
        }
    }

    /// 5,000 records a second, as a busy node makes them.
    private static func second(_ number: Int) -> UInt64 { 1_700_000_000 + UInt64(number / 5000) }

    private static func document(_ number: Int, isApplication: Bool) -> Document {
        SampleRecords.document(
            number % 5000, second: 1_700_000_040 + UInt32(number / 5000) * 60, isApplication: isApplication)
    }

    private static func measure<Record, Row: StoredRow>(
        _ table: TableSchema, _ records: [Record], _ folder: String, _ batch: ([Row]) -> RowBatch,
        _ make: (Record) -> Row?
    ) throws {
        var rows: [Row] = []
        rows.reserveCapacity(records.count)
        let made = cpu { rows = records.compactMap(make) }
        let csv = CSVRowPrinter(table: table)
        let csvTime = cpu {
            for row in rows {
                csv.append(row)
                if csv.output.count > 1 << 20 { csv.output.removeAll() }
            }
        }
        let json = JSONRowPrinter(table: table)
        let jsonTime = cpu {
            for row in rows {
                json.append(row)
                if json.output.count > 1 << 20 { json.output.removeAll() }
            }
        }
        for suffix in ["", "-wal", "-shm", ".lock", ".accepted"] { unlink("\(folder)/store.db\(suffix)") }
        var settings = SQLiteStore.Settings()
        settings.clock = .newestRow
        settings.retentionMs = 1
        let store = try SQLiteStore(path: "\(folder)/store.db", settings: settings)
        let empty = try bytes(store)
        let started = monotonicNs()
        var failure: (any Error)?
        let stored = cpu {
            for start in stride(from: 0, to: rows.count, by: 4096) {
                store.writeWaiting(batch(Array(rows[start..<min(start + 4096, rows.count)])))
            }
            do { try store.flush() } catch { failure = error }
        }
        if let failure { throw failure }
        let wall = Double(monotonicNs() - started) / 1e9
        let used = try bytes(store) - empty
        store.close()
        let count = Double(rows.count)
        print(
            pad(table.name, 21), number(made / count), number(csvTime / count), number(jsonTime / count),
            number(stored / count), " \(Int(count / wall))", "  \(Int(Double(used) / count))")
    }

    private static func bytes(_ store: SQLiteStore) throws -> UInt64 {
        for _ in 0..<1000 {
            try store.flush()
            usleep(2000)
            if store.counters().bytesUsed > 0 { break }
        }
        usleep(1_100_000)
        try store.flush()
        usleep(20_000)
        return store.counters().bytesUsed
    }

    /// CPU microseconds of all threads.
    private static func cpu(_ body: () -> Void) -> Double {
        let before = usage()
        body()
        return usage() - before
    }

    private static func usage() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }

    private static func number(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        let text = "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
        return String(repeating: " ", count: max(0, 8 - text.count)) + text
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
