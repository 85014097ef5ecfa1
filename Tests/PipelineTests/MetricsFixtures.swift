import Model

@testable import Pipeline

/// Keeps what the stages send.
final class RecordingSink: RecordSink, @unchecked Sendable {
    private(set) var documents: [Document] = []
    private(set) var logs: [TaggedFlow] = []
    private(set) var largestBatch = 0

    func send(documents: [Document]) {
        largestBatch = max(largestBatch, documents.count)
        self.documents += documents
    }

    func send(flowLogs: [TaggedFlow]) {
        largestBatch = max(largestBatch, flowLogs.count)
        logs += flowLogs
    }

    func send(l7Logs: [L7FlowLog]) {}

    var seconds: [Document] { documents.filter { $0.flags & Document.perSecond != 0 } }
    var minutes: [Document] { documents.filter { $0.flags & Document.perSecond == 0 } }
}

extension Document {
    var flowMeter: FlowMeter {
        if case .flow(let meter) = meter { return meter }
        return FlowMeter()
    }

    var appMeter: AppMeter {
        if case .app(let meter) = meter { return meter }
        return AppMeter()
    }
}

/// 2023-11-14 22:13:20, the 20th second of its minute.
let baseSeconds: UInt64 = 1_700_000_000

enum Flows {
    /// A TCP record 10.0.0.1:40000 -> 10.0.0.2:80 with one packet each way.
    static func tcp(id: UInt64 = 1, at second: UInt64, started: UInt64? = nil) -> TaggedFlow {
        var flow = TaggedFlow()
        flow.flowID = id
        flow.key.ipSrc = IPAddress(v4: 0x0a00_0001)
        flow.key.ipDst = IPAddress(v4: 0x0a00_0002)
        flow.key.portSrc = 40_000
        flow.key.portDst = 80
        flow.key.proto = IPProtocol.tcp
        flow.key.tapType = CaptureNetworkType.cloud
        flow.key.macSrc = 0x0000_5e00_0001
        flow.key.macDst = 0x0000_5e00_0002
        flow.key.tapPort = 0x1234
        flow.ethType = EtherType.ipv4
        flow.src.realIP = flow.key.ipSrc
        flow.src.realPort = 40_000
        flow.dst.realIP = flow.key.ipDst
        flow.dst.realPort = 80
        flow.src.packetCount = 1
        flow.src.totalPacketCount = 1
        flow.src.byteCount = 100
        flow.dst.packetCount = 1
        flow.dst.totalPacketCount = 1
        flow.dst.byteCount = 200
        flow.startTimeNs = (started ?? second) * 1_000_000_000
        flow.flowStatTimeNs = second * 1_000_000_000
        flow.endTimeNs = second * 1_000_000_000 + 500
        flow.closeType = CloseType.forcedReport.rawValue
        flow.hasPerfStats = true
        flow.perf.l4Protocol = L4Protocol.tcp.rawValue
        return flow
    }

    static func udp(id: UInt64 = 1, at second: UInt64) -> TaggedFlow {
        var flow = tcp(id: id, at: second)
        flow.key.proto = IPProtocol.udp
        flow.perf.l4Protocol = L4Protocol.udp.rawValue
        return flow
    }

    static func l7(
        _ flow: TaggedFlow, at second: UInt64, endpoint: String = "/a", isReversed: Bool = false, requests: UInt32 = 1
    ) -> L7Stats {
        var stats = L7Stats(
            flow, l7Protocol: L7Protocol.http1.rawValue, timeSeconds: UInt32(second), isReversed: isReversed)
        stats.setEndpoint(endpoint)
        stats.stats.requestCount = requests
        stats.stats.responseCount = requests
        return stats
    }
}

/// Runs records through the stages in one batch and ends the replay.
func replay(
    _ flows: [TaggedFlow], l7Stats: [L7Stats] = [], _ change: (inout MetricsSettings) -> Void = { _ in }
) -> RecordingSink {
    var settings = MetricsSettings()
    change(&settings)
    let sink = RecordingSink()
    let stage = MetricsStage(settings: settings, sink: sink)
    stage.handle(flows: flows)
    stage.handle(l7Stats: l7Stats)
    stage.finish()
    return sink
}
