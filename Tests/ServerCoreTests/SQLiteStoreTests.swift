import Foundation
import Model
import Samples
import ServerCore
import Testing

@Suite(.serialized) struct SQLiteStoreTests {
    let maker = RowMaker()

    private func settings(_ change: (inout SQLiteStore.Settings) -> Void = { _ in }) -> SQLiteStore.Settings {
        var settings = SQLiteStore.Settings()
        settings.clock = .newestRow
        change(&settings)
        return settings
    }

    private func requests(_ range: Range<Int>, second: UInt64 = 1_700_000_000) -> RowBatch {
        .requests(range.map { maker.row(SampleRecords.log($0, second: second)) })
    }

    private func one(_ store: SQLiteStore, _ sql: String) throws -> FieldValue? {
        try store.query(sql).table.rows.first?.first
    }

    @Test func anotherToolReadsTheSameRows() throws {
        let folder = ScratchFolder()
        let path = folder.file("dftop.db")
        let store = try SQLiteStore(path: path, settings: settings())
        let logs = (0..<300).map { maker.row(SampleRecords.log($0)) }
        let flows = (0..<100).map { maker.row(SampleRecords.flow($0, isIPv6: $0 % 4 == 0)) }
        store.write(.requests(logs))
        store.write(.flows(flows))
        try store.flush()
        store.close()

        // The rows as the encoder gives them, and as Python reads them from the file through the views.
        try compare(logs, Catalogue.l7FlowLog, path: path)
        try compare(flows, Catalogue.l4FlowLog, path: path)
    }

    private func compare(_ rows: [some TableRow], _ table: TableSchema, path: String) throws {
        let script = """
            import json, sqlite3, sys
            db = sqlite3.connect(sys.argv[1])
            rows = db.execute('SELECT * FROM "%s" ORDER BY _id' % sys.argv[2])
            names = [c[0] for c in rows.description]
            for row in rows:
                shown = {int: 'i%d', float: 'r%r', str: 't%s', type(None): 'n%s'}
                print(json.dumps({n: 'b' + v.hex() if isinstance(v, bytes) else shown[type(v)] % v
                                  for n, v in zip(names, row)}))
            """
        guard let text = output(of: "python3", ["-c", script, path, table.name]) else {
            print("skipped: no python3")
            return
        }
        let lines = text.split(separator: "\n")
        #expect(lines.count == rows.count)
        for (row, line) in zip(rows, lines) {
            let read = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            #expect(read.count == table.columns.count)
            var fields = StoredForm()
            row.encode(into: &fields)
            for (column, expected) in zip(table.columns, fields.values) {
                let value = read[column.name] as? String
                #expect(value == expected, "\(table.name).\(column.name)")
            }
        }
    }

    @Test func viewsBearTheCatalogueColumns() throws {
        let folder = ScratchFolder()
        let store = try SQLiteStore(path: folder.file("dftop.db"), settings: settings())
        for table in Catalogue.all {
            let answer = try store.query("SELECT * FROM \(table.database).\"\(table.name)\"")
            #expect(answer.table.columns == table.columns.map(\.name), "\(table.name)")
        }
        #expect(try store.query("SELECT * FROM flow_metrics.network.1h").table.columns.contains("byte"))
        #expect(try store.tables().count >= Catalogue.all.count)
        store.close()
    }

    @Test func queriesReadAndNothingElse() throws {
        let folder = ScratchFolder()
        let store = try SQLiteStore(path: folder.file("dftop.db"), settings: settings())
        store.write(requests(0..<1000))
        try store.flush()
        let top = try store.query(
            """
            SELECT endpoint, count(*) AS n, sum(response_status = 3) AS failed -- flow_log.x stays
            FROM flow_log.l7_flow_log WHERE time >= 1700000000 AND 'flow_log.l7_flow_log' != '' GROUP BY 1
            """)
        #expect(top.table.columns == ["endpoint", "n", "failed"])
        #expect(top.table.rows == [[.text("/api/v1/items"), .int(1000), .int(20)]])
        #expect(try one(store, "SELECT ip_text(ip4_1) FROM l7_flow_log LIMIT 1") == .text("192.168.0.2"))
        #expect(try one(store, "SELECT enum_text('l7_protocol', l7_protocol) FROM l7_flow_log") == .text("HTTP"))
        #expect(try one(store, "SELECT time_text(time) FROM l7_flow_log") == .text("2023-11-14T22:13:20.000000Z"))
        #expect(try store.query("SELECT 1 FROM l7_flow_log", limits: QueryLimits(maxRows: 10)).isCut)
        for bad in [
            "DELETE FROM dictionary", "DROP VIEW l7_flow_log", "ATTACH '/tmp/x.db' AS x",
            "PRAGMA journal_mode = DELETE",
            "INSERT INTO ledger VALUES ('x', 1)", "VACUUM INTO '/tmp/x'", "CREATE TEMP TABLE t (a)",
        ] {
            #expect(throws: Failure.self, "\(bad)") { try store.query(bad) }
        }
        let slow = #expect(throws: Failure.self) {
            try store.query(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
                limits: QueryLimits(timeoutMs: 50))
        }
        #expect(slow?.why.contains("longer than 50 ms") == true)
        #expect(throws: Failure.self) { try store.query("SELECT * FROM nowhere") }
        store.close()
    }

    @Test func rollupsAddUpTheMinutes() throws {
        let folder = ScratchFolder()
        let store = try SQLiteStore(path: folder.file("dftop.db"), settings: settings())
        let builder = DocumentRowBuilder()
        var rows: [NetworkMapRow] = []
        let hour: UInt32 = 1_700_000_000 / 3600 * 3600
        for minute in 0..<120 {
            for client in 0..<5 {
                let document = SampleRecords.document(client, second: hour + UInt32(minute * 60))
                if case .success(.networkMap(let row)) = builder.row(document, teamID: 1) { rows.append(row) }
            }
        }
        store.write(RowBatch(Catalogue.networkMap1m, .networkMap(Array(rows[..<200]))))
        try store.flush()
        store.write(RowBatch(Catalogue.networkMap1m, .networkMap(Array(rows[200...]))))
        try store.flush()
        let hours = try store.query(
            """
            SELECT time, byte_tx, packet, rtt_sum, rtt_max, direction_score, ip_text(ip4_0) FROM "network_map.1h"
            ORDER BY 1, ip4_0
            """)
        #expect(hours.table.rows.count == 10)
        #expect(
            hours.table.rows.first
                == [.int(Int64(hour)), .int(6000), .int(60), .real(600), .int(10), .int(0), .text("10.0.0.1")])
        #expect(
            hours.table.rows.last
                == [.int(Int64(hour) + 3600), .int(6000), .int(60), .real(840), .int(14), .int(4), .text("10.0.0.5")])
        #expect(try one(store, "SELECT sum(byte_tx) FROM \"network_map.1d\"") == .int(60_000))
        #expect(try one(store, "SELECT count(*) FROM flow_metrics.\"network_map.1m\"") == .int(600))
        store.close()
    }

    @Test func oldPartitionsGo() throws {
        let folder = ScratchFolder()
        let path = folder.file("dftop.db")
        let store = try SQLiteStore(path: path, settings: settings { $0.retentionMs = 50 })
        for hour in 0..<80 { store.write(requests(0..<10, second: 1_700_000_000 + UInt64(hour) * 3600)) }
        try store.flush()
        try wait { store.counters().partitionsDropped == 7 }
        #expect(try one(store, "SELECT count(*) FROM l7_flow_log") == .int(730))
        #expect(try one(store, "SELECT min(time) FROM l7_flow_log") == .int(1_700_000_000 + 7 * 3600))
        try store.setRetention(table: "flow_log.l7_flow_log", hours: 1)
        try wait { store.counters().partitionsDropped == 78 }
        #expect(try one(store, "SELECT count(*) FROM l7_flow_log") == .int(20))
        #expect(throws: Failure.self) { try store.setRetention(table: "nothing", hours: 1) }
        store.close()
    }

    /// A server's own counters are of now, the capture that an agent replays to it is of years ago.
    @Test func statisticsDoNotAgeWhatWasObserved() throws {
        let folder = ScratchFolder()
        let store = try SQLiteStore(
            path: folder.file("dftop.db"),
            settings: settings {
                $0.retentionMs = 50
                $0.clock = .wall
            })
        func counters(second: UInt64) -> RowBatch {
            var record = StatsRecord("deepflow_agent_flow_map", tags: [], metrics: [.init("new", 1)])
            record.timestamp = second
            return RowBatch(Catalogue.deepflowCollector, .stats([StatsRow(record: record, teamID: 1)]))
        }
        let now = UInt64(Date().timeIntervalSince1970)
        store.write(requests(0..<10, second: 1_500_000_000))
        store.write(counters(second: now - 9 * 24 * 3600))
        store.write(counters(second: now))
        try store.flush()
        // Counters themselves go after a week.
        try wait { store.counters().partitionsDropped == 1 }
        #expect(try one(store, "SELECT count(*) FROM l7_flow_log") == .int(10))
        #expect(try one(store, "SELECT count(*) FROM deepflow_collector") == .int(1))
        store.close()
    }

    @Test func sizeIsBounded() throws {
        let folder = ScratchFolder()
        let path = folder.file("dftop.db")
        let store = try SQLiteStore(
            path: path,
            settings: settings {
                $0.retentionMs = 50
                $0.maxBytes = 4 << 20
            })
        for hour in 0..<10 {
            store.write(requests(0..<4000, second: 1_700_000_000 + UInt64(hour) * 3600))
            try store.flush()
        }
        try wait { store.counters().bytesUsed > 0 && store.counters().bytesUsed <= 4 << 20 }
        #expect(store.counters().partitionsDropped > 0)
        #expect(try one(store, "SELECT max(time) FROM l7_flow_log") == .int(1_700_000_000 + 9 * 3600))
        store.close()
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        #expect(size <= 6 << 20)
    }

    @Test func wildClocksCannotFillTheFileWithTables() throws {
        let folder = ScratchFolder()
        let store = try SQLiteStore(path: folder.file("dftop.db"), settings: settings())
        try store.setRetention(table: "l7_flow_log", hours: 1_000_000)
        for day in 1...700 { store.write(requests(0..<1, second: UInt64(day) * 86_400)) }
        try store.flush()
        #expect(try one(store, "SELECT count(*) FROM l7_flow_log") == .int(700))
        let info = try #require(try store.tables().first { $0.name == "flow_log.l7_flow_log" })
        #expect(info.partitions <= 480 && info.rows == 700)
        store.close()
    }

    @Test func rowsOfAKilledProcessAreCounted() async throws {
        let folder = ScratchFolder()
        let path = folder.file("dftop.db")
        let file = FileManager.default.temporaryDirectory.appending(path: "dftop-kill-path")
        try path.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let file = FileManager.default.temporaryDirectory.appending(path: "dftop-kill-path")
            let path = try String(contentsOf: file, encoding: .utf8)
            var settings = SQLiteStore.Settings()
            settings.clock = .newestRow
            let store = try SQLiteStore(path: path, settings: settings)
            let maker = RowMaker()
            var number = 0
            let end = Date(timeIntervalSinceNow: 2.5)
            while Date() < end {
                store.write(.requests((number..<number + 50).map { maker.row(SampleRecords.log($0)) }))
                number += 50
                usleep(2000)
            }
            try "\(number)".write(toFile: path + ".count", atomically: true, encoding: .utf8)
            kill(getpid(), SIGKILL)
        }
        let taken = try #require(UInt64(try String(contentsOfFile: path + ".count", encoding: .utf8)))
        let store = try SQLiteStore(path: path, settings: settings())
        guard case .int(let kept)? = try one(store, "SELECT count(*) FROM l7_flow_log") else {
            throw Failure(.failed, what: "no count", why: "")
        }
        #expect(UInt64(kept) + store.counters().rowsLost == taken)
        #expect(kept > 0)
        #expect(store.counters().rowsLost < taken * 3 / 4)
        // The next start counts nothing twice, and the file is sound.
        store.write(requests(0..<10))
        try store.flush()
        store.close()
        let again = try SQLiteStore(path: path, settings: settings())
        #expect(again.counters().rowsLost == 0)
        #expect(try one(again, "SELECT count(*) FROM l7_flow_log") == .int(kept + 10))
        again.close()
        if let check = output(of: "sqlite3", [path, "PRAGMA integrity_check"]) { #expect(check == "ok\n") }
    }

    @Test func aFullDiskIsSurvived() throws {
        let mount = "/tmp/dftop-full-\(getpid())"
        try FileManager.default.createDirectory(atPath: mount, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: mount) }
        guard getuid() == 0, output(of: "mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", mount]) != nil else {
            print("skipped: mounting a small tmpfs needs root")
            return
        }
        defer { _ = output(of: "umount", ["-l", mount]) }
        let store = try SQLiteStore(
            path: mount + "/dftop.db",
            settings: settings {
                $0.retryMs = 50
                $0.maxWaitingRows = 5000
                $0.commitRows = 2000
            })
        var taken = 0
        var problem: Failure?
        for start in stride(from: 0, to: 60_000, by: 1000) {
            store.write(requests(start..<start + 1000))
            taken += 1000
            do { try store.flush() } catch { problem = error as? Failure }
            if problem != nil, start > 40_000 { break }
        }
        let failure = try #require(problem)
        #expect(failure.exitCode == .partlyDone)
        #expect(!failure.mend.isEmpty)
        let counters = store.counters()
        #expect(counters.rowsWritten > 1000)
        #expect(counters.rowsDropped > 0 && counters.retries > 0 && counters.problem != nil)
        // What was committed can be read while the disk is full ...
        #expect(try one(store, "SELECT count(*) FROM l7_flow_log") == .int(Int64(counters.rowsWritten)))
        // ... and writing goes on once there is room.
        #expect(output(of: "mount", ["-o", "remount,size=200m", mount]) != nil)
        try wait { store.counters().problem == nil }
        try store.flush()
        let after = store.counters()
        #expect(after.rowsWritten + after.rowsDropped == UInt64(taken))
        store.close()
        let again = try SQLiteStore(path: mount + "/dftop.db", settings: settings())
        #expect(again.counters().rowsLost == 0)
        again.close()
    }

    @Test func oneProcessAtATimeAndDamageIsMovedAside() throws {
        let folder = ScratchFolder()
        let path = folder.file("dftop.db")
        let store = try SQLiteStore(path: path, settings: settings())
        let conflict = #expect(throws: Failure.self) { try SQLiteStore(path: path, settings: settings()) }
        #expect(conflict?.exitCode == .conflict)
        store.close()
        try Data(repeating: 7, count: 10_000).write(to: URL(filePath: path))
        let fresh = try SQLiteStore(path: path, settings: settings())
        fresh.write(requests(0..<5))
        try fresh.flush()
        #expect(try one(fresh, "SELECT count(*) FROM l7_flow_log") == .int(5))
        fresh.close()
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(names.contains { $0.hasPrefix("dftop.db.damaged-") })
        #expect(throws: Failure.self) { try SQLiteStore(path: "/nowhere/dftop.db", settings: settings()) }
    }

    private func wait(_ condition: () -> Bool) throws {
        let end = Date(timeIntervalSinceNow: 10)
        while !condition() {
            if Date() > end { throw Failure(.failed, what: "waited 10 s in vain", why: "") }
            usleep(10_000)
        }
    }
}

/// Values as the file must hold them, as the Python script above writes them.
private struct StoredForm: RowEncoder {
    var values: [String] = []
    mutating func uint(_ value: UInt64) { values.append("i\(Int64(bitPattern: value))") }
    mutating func int(_ value: Int64) { values.append("i\(value)") }
    mutating func real(_ value: Double) { values.append("r\(value)") }
    mutating func text(_ value: String) { values.append("t" + value) }
    mutating func time(seconds: UInt64) { uint(seconds) }
    mutating func time(micros: UInt64) { uint(micros) }
    mutating func ip4(_ value: UInt32) { uint(UInt64(value)) }
    mutating func ip6(_ value: IPAddress) {
        values.append("b" + value.octets.map { String(format: "%02x", $0) }.joined())
    }
    mutating func mac(_ value: UInt64) { uint(value) }
    mutating func texts(_ values: [String]) { self.values.append("t" + FieldValue.list(values.map { .text($0) }).json) }
    mutating func uints(_ values: [UInt64]) { self.values.append("t" + FieldValue.list(values.map { .uint($0) }).json) }
    mutating func reals(_ values: [Double]) { self.values.append("t" + FieldValue.list(values.map { .real($0) }).json) }
    mutating func null() { values.append("nNone") }
}
