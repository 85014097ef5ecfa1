import Model
import ServerCore
import Testing

/// Source: ingester.md 6.2, 10; wire.md 8.
struct ServerStatsTests {
    @Test func countsSinceTheLastReading() throws {
        var stats = ServerStats()
        var sources = ServerStats.Sources()
        sources.ingester.l7.records = 10
        sources.ingester.unknownOrg = 1
        sources.store.rowsWritten = 100
        sources.receiver = ReceiverCounters()
        sources.receiver?.rxPackets = 7
        sources.queues = [("l4_log", QueueCounters(), 0), ("l4_log", QueueCounters(), 2)]
        sources.queues[1].counters.in = 5
        _ = stats.records(sources)
        sources.ingester.l7.records = 14
        sources.store.rowsWritten = 130
        sources.receiver?.rxPackets = 9
        sources.queues[1].counters.in = 6
        let records = stats.records(sources)
        func value(_ name: String, _ counter: String, _ tag: String = "") -> Double? {
            records.first { record in
                record.name == name && (tag.isEmpty || record.tags.contains { $0.value == tag })
            }?.metrics.first { $0.name == counter }?.value
        }
        #expect(value("deepflow_server_ingester_decoder", "count", "l7_log") == 4)
        #expect(value("deepflow_server_ingester_decoder", "count", "l4_log") == 0)
        #expect(value("deepflow_server_ingester_ckwriter", "write_success_count") == 30)
        #expect(value("deepflow_server_ingester_ckwriter", "org_invalid_count") == 0)
        #expect(value("deepflow_server_ingester_recviver", "rx_packets") == 2)
        #expect(value("deepflow_server_ingester_queue", "in", "1") == 1)
        #expect(value("deepflow_server_ingester_queue", "pending", "1") == 2)
        for record in records {
            #expect(record.tags.map(\.name) == record.tags.map(\.name).sorted(), "\(record.name)")
            #expect(record.metrics.map(\.name) == record.metrics.map(\.name).sorted(), "\(record.name)")
            #expect(!record.metrics.contains { $0.name.contains("-") })
        }
    }

    @Test func withoutAReceiver() {
        var stats = ServerStats()
        #expect(!stats.records(ServerStats.Sources()).contains { $0.name.hasSuffix("recviver") })
    }
}
