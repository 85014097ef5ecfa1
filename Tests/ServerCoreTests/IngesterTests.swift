import Foundation
import Model
import Samples
import ServerCore
import Testing
import Wire

/// Keeps rows as text lines, by table.
private final class LineStore: Store, @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [String: [String]] = [:]
    func write(_ batch: RowBatch) {
        let printer = CSVRowPrinter(table: batch.table)
        switch batch.rows {
        case .l4(let rows): rows.forEach { printer.append($0) }
        case .l7(let rows): rows.forEach { printer.append($0) }
        case .network(let rows): rows.forEach { printer.append($0) }
        case .networkMap(let rows): rows.forEach { printer.append($0) }
        case .application(let rows): rows.forEach { printer.append($0) }
        case .applicationMap(let rows): rows.forEach { printer.append($0) }
        case .trafficPolicy(let rows): rows.forEach { printer.append($0) }
        case .stats(let rows): rows.forEach { printer.append($0) }
        case .extMetrics(let rows): rows.forEach { printer.append($0) }
        case .samples(let rows): rows.forEach { printer.append($0) }
        case .events(let rows): rows.forEach { printer.append($0) }
        case .profiles(let rows): rows.forEach { printer.append($0) }
        case .logs(let rows): rows.forEach { printer.append($0) }
        case .packets(let rows): rows.forEach { printer.append($0) }
        }
        let text = printer.takeText().split(separator: "\n").map(String.init)
        lock.withLock { lines[batch.table.name, default: []] += text }
    }
    func writeWaiting(_ batch: RowBatch) { write(batch) }
    func flush() throws {}
    func query(_ sql: String, limits: QueryLimits) throws -> QueryAnswer { throw Failure(.failed, what: "", why: "") }
    func tables() throws -> [StoredTableInfo] { [] }
    func setRetention(table: String, hours: Int) throws {}
    func counters() -> StoreCounters { StoreCounters() }
    let prometheusNames = PrometheusNames()
    func close() {}
    var all: [String: [String]] { lock.withLock { lines } }
}

@Suite struct IngesterTests {
    private func frame<Record: WireEncodable>(_ records: [Record]) -> [UInt8] {
        var writer = WireWriter()
        for record in records { writer.appendRecord(record) }
        return writer.bytes
    }

    @Test func bothWaysGiveTheSameRows() throws {
        var flows = (0..<50).map { SampleRecords.flow($0, isIPv6: $0 % 5 == 0) }
        flows[3].src.realIP = IPAddress(v4: 0x0102_0304)
        flows[3].src.realPort = 99
        flows[4].src.realIP = IPAddress(high: 0x2001 << 48, low: 5)
        flows[6].tunnel.type = 1
        flows[6].tunnel.txIP0 = 77
        flows[7].tunnel.txIP0 = 77
        flows[8].hasPerfStats = false
        flows[9].extra = FlowExtra(requestDomain: "a.b", aclGids: [1, 2], aggregatedFlowIDs: [5, 6])
        var logs = (0..<50).map { SampleRecords.log($0) }
        logs[1].ext = L7Ext()
        logs[1].ext?.attributeNames = ["x"]
        logs[1].ext?.attributeValues = ["y"]
        logs[2].trace = L7Trace()
        logs[2].trace?.traceIDs = ["t1", "t2"]
        logs[3].base.messageType = 0
        logs[4].base.isIPv6 = true
        logs[4].base.ipSrc = IPAddress(high: 1, low: 2)
        let documents = (0..<40).map {
            SampleRecords.document($0, second: 1_700_000_040, perSecond: $0 % 2 == 0, isApplication: $0 % 3 == 0)
        }

        let direct = LineStore()
        let ingester = Ingester(store: direct, settings: .replay)
        ingester.send(flowLogs: flows)
        ingester.send(l7Logs: logs)
        ingester.send(documents: documents)
        ingester.flush()
        ingester.stop()

        let wired = LineStore()
        let second = Ingester(store: wired, settings: .replay)
        second.send(flowLogs: TaggedFlow.decodeAll(frame(flows).span.bytes).records)
        second.send(l7Logs: L7FlowLog.decodeAll(frame(logs).span.bytes).records)
        second.send(documents: Document.decodeAll(frame(documents).span.bytes).records)
        second.flush()
        second.stop()

        #expect(Set(direct.all.keys) == Set(wired.all.keys))
        for (table, lines) in direct.all {
            #expect(lines.count == wired.all[table]?.count)
            for (one, other) in zip(lines, wired.all[table] ?? []) { #expect(one == other, "\(table)") }
        }
        #expect(direct.all["l4_flow_log"]?.count == 50 && direct.all["l7_flow_log"]?.count == 50)
        #expect(ingester.counters.l4.rows == 50 && ingester.counters.metrics.records == 40)
    }

    /// Which table statistics go to. Source: ingester.md 6.2.
    @Test func statisticsOfAgentsAndServers() throws {
        var record = StatsRecord(
            "deepflow_agent_flow_map", tags: [.init("id", "0"), .init("host", "node-1")],
            metrics: [.init("new", 3), .init("flow_delay", 0.5)])
        record.timestamp = 1_700_000_010
        var foreign = record
        foreign.name = "other"
        foreign.orgID = 2
        foreign.teamID = 7
        let line = { (time: String, name: String, team: Int) in
            "\(time),\(name),\(team),"
        }
        let store = LineStore()
        let ingester = Ingester(store: store, settings: .replay)
        ingester.send(stats: [record, foreign])
        ingester.flush()
        ingester.stop()
        let rows = try #require(store.all["deepflow_collector"])
        #expect(rows.count == 2)
        #expect(rows[0].hasPrefix(line("2023-11-14T22:13:30.000000Z", "deepflow_agent_flow_map", 1)), "\(rows[0])")
        #expect(rows[0].contains("flow_delay") && rows[0].contains("node-1"))
        #expect(rows[1].hasPrefix(line("2023-11-14T22:13:30.000000Z", "other", 7)))
        #expect(ingester.counters.stats.rows == 2 && ingester.counters.stats.records == 2)
        #expect(store.all["deepflow_server"] == nil)
    }

    @Test func randomBytesDoNoHarm() {
        var random = SystemRandomNumberGenerator()
        let store = LineStore()
        let ingester = Ingester(store: store, settings: .replay)
        for round in 0..<2000 {
            var bytes: [UInt8]
            switch round % 4 {
            case 0: bytes = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...255) }
            case 1: bytes = frame([SampleRecords.log(round)])
            case 2: bytes = frame([SampleRecords.flow(round)])
            default: bytes = frame([SampleRecords.document(round, second: 1)])
            }
            for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255)
            }
            ingester.send(flowLogs: TaggedFlow.decodeAll(bytes.span.bytes).records)
            ingester.send(l7Logs: L7FlowLog.decodeAll(bytes.span.bytes).records)
            ingester.send(documents: Document.decodeAll(bytes.span.bytes).records)
        }
        ingester.flush()
        ingester.stop()
        #expect(ingester.counters.l7.records > 0)
    }
}
