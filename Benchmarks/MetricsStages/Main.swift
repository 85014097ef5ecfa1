import Glibc
import Model
import Pipeline

/// CPU time of the stages behind the flow table, in nanoseconds a second record.
///
/// The records are those that a minute of the packet benchmark's traffic makes: about 21,000 flows a second, nearly
/// every one with a quadruple of its own, seven to eight records each. They are made before the clock starts, a
/// second at a time.
@main
struct MetricsBench {
    static func main() {
        let seconds = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 60 : 60
        let only = CommandLine.arguments.count > 2 ? CommandLine.arguments[2] : ""
        for (name, settings) in cases where only.isEmpty || name == only {
            let sink = CountingSink()
            let stage = MetricsStage(settings: settings, sink: sink)
            var traffic = FlowTraffic(newFlowsPerSecond: 2_820, seed: 7)
            var spentNs: UInt64 = 0
            var records = 0
            for second in 0..<seconds {
                let batches = traffic.second(second)
                let start = cpuNs()
                for batch in batches {
                    stage.handle(flows: batch)
                    records += batch.count
                }
                spentNs += cpuNs() - start
            }
            let start = cpuNs()
            stage.finish()
            spentNs += cpuNs() - start
            let perRecord = Double(spentNs) / Double(records)
            print(
                "\(name): \(Int(perRecord)) ns/record, \(records) records, \(sink.documents) documents, "
                    + "\(sink.logs) logs, peak \(peakMiB()) MiB")
        }
        print("strides: flow \(MemoryLayout<TaggedFlow>.stride), document \(MemoryLayout<Document>.stride)")
    }

    private static var cases: [(String, MetricsSettings)] {
        let all = MetricsSettings()
        var logsOnly = all
        logsOnly.metrics.isEnabled = false
        var minuteOnly = all
        minuteOnly.metrics.secondMetrics = false
        minuteOnly.flowLog.captureNetworkTypes = [-1]
        var metricsOnly = all
        metricsOnly.flowLog.captureNetworkTypes = [-1]
        return [
            ("flow-aggr", logsOnly), ("minute", minuteOnly), ("second+minute", metricsOnly), ("all", all),
        ]
    }

    private static func cpuNs() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    private static func peakMiB() -> Int {
        var usage = rusage()
        getrusage(0, &usage)
        return usage.ru_maxrss / 1024
    }
}

/// Reads one field of each record, as a writer would at least do.
final class CountingSink: RecordSink {
    nonisolated(unsafe) var documents = 0
    nonisolated(unsafe) var logs = 0
    nonisolated(unsafe) var bytes: UInt64 = 0

    func send(documents: [Document]) { self.documents += documents.count }
    func send(flowLogs: [TaggedFlow]) { logs += flowLogs.count }
    func send(l7Logs: [L7FlowLog]) {}
}

/// Second records of random flows.
struct FlowTraffic {
    private struct Open {
        var flow: TaggedFlow
        var recordsLeft: Int
    }

    private var open: [Open] = []
    private var state: UInt64
    private var nextID: UInt64 = 1
    private let newFlows: Int
    private let baseSeconds = 1_700_000_000

    init(newFlowsPerSecond: Int, seed: UInt64) {
        newFlows = newFlowsPerSecond
        state = seed
    }

    mutating func second(_ index: Int) -> [[TaggedFlow]] {
        let nowNs = UInt64(baseSeconds + index) * 1_000_000_000
        for _ in 0..<newFlows { open.append(begin(nowNs)) }
        var batches: [[TaggedFlow]] = []
        var batch: [TaggedFlow] = []
        batch.reserveCapacity(1024)
        for number in open.indices {
            batch.append(report(number, nowNs))
            if batch.count == 1024 {
                batches.append(batch)
                batch = []
                batch.reserveCapacity(1024)
            }
        }
        if !batch.isEmpty { batches.append(batch) }
        open.removeAll { $0.recordsLeft == 0 }
        return batches
    }

    private mutating func begin(_ nowNs: UInt64) -> Open {
        var flow = TaggedFlow()
        flow.flowID = nextID
        nextID += 1
        flow.key.ipSrc = IPAddress(v4: 0x0a00_0100 + UInt32(random() % 20_000))
        flow.key.ipDst = IPAddress(v4: 0x0a80_0100 + UInt32(random() % 2_000))
        flow.key.portSrc = UInt16(1024 + random() % 60_000)
        let isTCP = random() % 100 < 74
        flow.key.portDst = isTCP ? 80 : 53
        flow.key.proto = isTCP ? 6 : 17
        flow.key.tapType = 3
        flow.ethType = EtherType.ipv4
        flow.src.realIP = flow.key.ipSrc
        flow.dst.realIP = flow.key.ipDst
        flow.src.realPort = flow.key.portSrc
        flow.dst.realPort = flow.key.portDst
        flow.src.l3EpcID = -2
        flow.dst.l3EpcID = -2
        flow.startTimeNs = nowNs + random() % 1_000_000_000
        flow.isNewFlow = true
        flow.hasPerfStats = true
        flow.perf.l4Protocol = isTCP ? 1 : 2
        flow.directionScore = 200
        return Open(flow: flow, recordsLeft: 2 + Int(random() % 12))
    }

    private mutating func report(_ number: Int, _ nowNs: UInt64) -> TaggedFlow {
        open[number].recordsLeft -= 1
        let isLast = open[number].recordsLeft == 0
        var flow = open[number].flow
        open[number].flow.isNewFlow = false
        flow.flowStatTimeNs = nowNs
        flow.endTimeNs = nowNs
        flow.closeType = (isLast ? CloseType.finish : .forcedReport).rawValue
        guard !isLast else { return flow }
        flow.src.packetCount = 2
        flow.dst.packetCount = 2
        flow.src.byteCount = 400
        flow.dst.byteCount = 900
        flow.src.totalPacketCount = 2
        flow.dst.totalPacketCount = 2
        if flow.isNewFlow {
            flow.perf.tcp.rttClient.add(100)
            flow.perf.tcp.rttServer.add(50)
            flow.perf.tcp.rtt = 150
        }
        if random() % 2 == 0 {
            flow.perf.tcp.srt.add(70)
            flow.perf.tcp.art.add(900)
        }
        return flow
    }

    private mutating func random() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
