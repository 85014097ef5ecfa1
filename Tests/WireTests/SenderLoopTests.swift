import Logging
import Model
import Synchronization
import Testing

@testable import Pipeline
@testable import ServerCore
@testable import Wire

#if canImport(Glibc)
    import Glibc
#endif

/// A receiver that decodes the three hot types and stats.
private final class Ingester: Sendable {
    struct Held: Sendable {
        var documents: [Document] = []
        var flows: [TaggedFlow] = []
        var l7: [L7FlowLog] = []
        var stats: [StatsRecord] = []
        var payloads: [ReceivedPayload] = []
        var errors = 0
    }

    let receiver: Receiver
    private let held = Mutex(Held())

    var all: Held { held.withLock { $0 } }

    init(port: UInt16 = 0) throws {
        var settings = Receiver.Settings()
        settings.port = port
        settings.batchAgeMs = 0
        receiver = Receiver(settings)
        receiver.handle(.metrics) { [self] in take($1, Document.self) { $0.documents += $1 } }
        receiver.handle(.l4Log) { [self] in take($1, TaggedFlow.self) { $0.flows += $1 } }
        receiver.handle(.l7Log) { [self] in take($1, L7FlowLog.self) { $0.l7 += $1 } }
        receiver.handle(.agentStats) { [self] in take($1, StatsRecord.self) { $0.stats += $1 } }
        receiver.handle(.serverStats) { [self] in take($1, StatsRecord.self) { $0.stats += $1 } }
        try receiver.start()
    }

    private func take<Record: WireDecodable>(
        _ batch: [ReceivedPayload], _: Record.Type, _ add: (inout Held, [Record]) -> Void
    ) {
        for payload in batch {
            let decoded = Record.decodeAll(payload.bytes.span.bytes)
            held.withLock { held in
                add(&held, decoded.records)
                held.errors += decoded.errors
                held.payloads.append(payload)
            }
        }
    }
}

private func settings(_ port: UInt16, replay: Bool) -> SenderSink.Settings {
    var settings = SenderSink.Settings(destination: Destination(host: "127.0.0.1", port: port))
    settings.isReplay = replay
    settings.identity = FrameIdentity(agentID: 7, teamID: 1, orgID: 1)
    settings.finishTimeoutMs = 3000
    return settings
}

private func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<500 {
        if condition() { return true }
        usleep(10_000)
    }
    return condition()
}

@Suite(.serialized)
struct SenderLoopTests {
    private func records(_ seed: UInt64, _ count: Int) -> ([Document], [TaggedFlow], [L7FlowLog]) {
        var random = Seeded(seed)
        return (
            (0..<count).map { _ in random.document() }, (0..<count).map { _ in random.flow() },
            (0..<count).map { _ in random.l7Log() }
        )
    }

    /// Everything that goes in comes out, in order, through queues smaller than the load.
    @Test(arguments: [false, true])
    func replayLosesNothing(ownConnections: Bool) throws {
        let ingester = try Ingester()
        defer { ingester.receiver.stop() }
        let (documents, flows, l7) = records(61, 1500)
        var settings = settings(ingester.receiver.port, replay: true)
        settings.hasOwnConnections = ownConnections
        settings.documentQueueSize = 256
        settings.flowQueueSize = 256
        settings.l7QueueSize = 256
        let sink = SenderSink(settings)
        try sink.start()
        for start in stride(from: 0, to: 1500, by: 500) {
            sink.send(documents: Array(documents[start..<(start + 500)]))
            sink.send(flowLogs: Array(flows[start..<(start + 500)]))
            sink.send(l7Logs: Array(l7[start..<(start + 500)]))
        }
        try sink.finish()
        ingester.receiver.stop()

        let got = ingester.all
        #expect(got.errors == 0)
        #expect(got.documents.map(described) == documents.map(described))
        #expect(got.flows.map(described) == flows.map(described))
        #expect(got.l7.map(described) == l7.map(described))
        #expect(got.payloads.allSatisfy { $0.agentID == 7 && $0.orgID == 1 && $0.teamID == 1 && !$0.isDamaged })
        #expect(sink.lost == 0)
        let counters = sink.l7.takeCounters()
        #expect(counters.rx == 1500 && counters.tx > 0 && counters.dropped == 0)
        #expect(counters.compressionRatio > 10, "l7 logs are compressed")
        #expect(sink.documents.takeCounters().compressionRatio == 0)
    }

    /// No server: told before anything is read.
    @Test func replayWithoutServer() throws {
        let ingester = try Ingester()
        let port = ingester.receiver.port
        ingester.receiver.stop()
        let sink = SenderSink(settings(port, replay: true))
        #expect {
            try sink.start()
        } throws: { ($0 as? Failure)?.exitCode == .unreachable }
        let nowhere = SenderSink(SenderSink.Settings(destination: Destination(host: "", port: 1)))
        try nowhere.start()
        try nowhere.finish()
    }

    /// The server goes away in the middle: the writer is not blocked, the loss is counted and reported.
    @Test func replayReportsALostServer() throws {
        let ingester = try Ingester()
        let (documents, _, _) = records(62, 2000)
        var settings = settings(ingester.receiver.port, replay: true)
        settings.documentQueueSize = 64
        let sink = SenderSink(settings)
        try sink.start()
        sink.send(documents: Array(documents.prefix(10)))
        sink.flush()
        #expect(eventually { ingester.all.documents.count == 10 })
        ingester.receiver.stop()
        for _ in 0..<5 { sink.send(documents: documents) }
        sink.flush()
        do {
            try sink.finish()
            Issue.record("the loss was not reported")
        } catch {
            #expect(error.exitCode == .unreachable)
            #expect(error.sentence.contains("127.0.0.1"))
            #expect(sink.lost > 0 && sink.lost <= 10_000)
        }
    }

    /// Live: without a server nothing blocks and the queue overwrites; with one again the senders find it.
    @Test func liveReconnects() throws {
        let first = try Ingester()
        let port = first.receiver.port
        let sink = SenderSink(settings(port, replay: false))
        let (documents, _, l7) = records(63, 50)
        try sink.start()
        sink.send(documents: documents)
        sink.flush()
        #expect(eventually { first.all.documents.count == 50 })
        first.receiver.stop()

        let second = try Ingester(port: port)
        defer { second.receiver.stop() }
        // The connection had worked, so there is no back-off and the hang-up is seen before the frame is written.
        sink.shared.identity = FrameIdentity(agentID: 8, teamID: 2, orgID: 3)
        sink.send(l7Logs: l7)
        sink.flush()
        #expect(eventually { second.all.l7.count == 50 })
        #expect(second.all.payloads.allSatisfy { $0.agentID == 8 && $0.teamID == 2 && $0.orgID == 3 })
        try sink.finish()
    }

    @Test func liveWithoutServerDoesNotBlock() throws {
        let gone = try Ingester()
        let port = gone.receiver.port
        gone.receiver.stop()
        let raised = Atomic<UInt64>(0)
        var settings = settings(port, replay: false)
        settings.documentQueueSize = 64
        let sink = SenderSink(settings) { raised.bitwiseOr($0, ordering: .relaxed) }
        try sink.start()
        let (documents, _, _) = records(64, 100)
        for _ in 0..<50 { sink.send(documents: documents) }
        sink.flush()
        #expect(eventually { raised.load(ordering: .relaxed) & SenderException.analyzerSocketError != 0 })
        try sink.finish()
        #expect(sink.documents.queue.snapshot().totals.in == 5000)
        #expect(sink.documents.takeCounters().dropped == 1, "later frames are within the back-off")
    }

    /// Another destination takes effect at the next frame, in spite of a running back-off.
    @Test func newDestination() throws {
        let gone = try Ingester()
        let port = gone.receiver.port
        gone.receiver.stop()
        let ingester = try Ingester()
        defer { ingester.receiver.stop() }
        let sink = SenderSink(settings(port, replay: false))
        try sink.start()
        let (documents, _, _) = records(65, 10)
        sink.send(documents: documents)
        sink.flush()
        #expect(eventually { sink.documents.takeCounters().dropped == 1 })
        sink.shared.links.set(destination: Destination(host: "127.0.0.1", port: ingester.receiver.port))
        sink.send(documents: documents)
        sink.flush()
        #expect(eventually { ingester.all.documents.count == 10 })
        sink.shared.links.set(isMultiple: true)
        sink.send(documents: documents)
        sink.flush()
        #expect(eventually { ingester.all.documents.count == 20 })
        try sink.finish()
    }

    /// Further senders use the same parts: stats of type 10 over the shared connection.
    @Test func statsSender() throws {
        let ingester = try Ingester()
        defer { ingester.receiver.stop() }
        let sink = SenderSink(settings(ingester.receiver.port, replay: false))
        try sink.start()
        let stats = UniformSender(
            type: .agentStats, queue: OverwriteQueue<StatsRecord>(name: "0-stats-to-sender", capacity: 4096), group: .s,
            isCompressing: false, shared: sink.shared)
        stats.start()
        var record = StatsRecord()
        record.timestamp = 1_700_000_000
        record.name = "deepflow_agent_collect_sender"
        record.tags = [.init("host", "node-1")]
        record.metrics = [.init("rx", 10)]
        stats.queue.put([record])
        stats.finish()
        try sink.finish()
        #expect(eventually { ingester.all.stats == [record] })
    }

    /// A frame that a real agent could have sent, over a real socket.
    @Test(.enabled(if: SpecTable.isWanted, "no spec tables: set DFTOP_SPEC"))
    func frameTable() throws {
        let ingester = try Ingester()
        defer { ingester.receiver.stop() }
        let link = DataLink(
            destination: Destination(host: "127.0.0.1", port: ingester.receiver.port), settings: DataLink.Settings(),
            logger: Logger(label: "test"))
        var count: UInt64 = 0
        for row in try SpecTable.rows("frames.tsv") where row[0] != "server_dfstats_udp" {
            let outcome = SpecTable.bytes(row[2]).withUnsafeBytes { link.send($0) }
            #expect(outcome == .sent)
            if row[0] != "empty" { count += 1 }
        }
        #expect(link.finish(timeoutMs: 3000) == nil)
        ingester.receiver.stop()
        let got = ingester.all
        #expect(got.documents.count == 3 && got.flows.count == 1 && got.l7.count == 2 && got.stats.count == 1)
        #expect(got.errors == 0)
        let counters = ingester.receiver.counters
        #expect(counters.rxPackets == count && counters.invalid == 1 && counters.inflateErrors == 0)
        #expect(counters.unregistered == count - 5)
    }
}
