import Model
import Testing

@testable import Pipeline

/// Minute logs. Source: agent-flow.md 16, 19.5.
@Suite struct MetricsFlowAggrTests {
    private let ns: UInt64 = 1_000_000_000

    @Test func minutesAreTheFlowsOwn() {
        // Starts at second 20 of the minute: records up to +59 belong to its first log.
        var first = Flows.tcp(at: baseSeconds)
        first.isNewFlow = true
        let flows = [
            first, Flows.tcp(at: baseSeconds + 59, started: baseSeconds),
            Flows.tcp(at: baseSeconds + 60, started: baseSeconds),
        ]
        let logs = replay(flows).logs
        #expect(logs.count == 2)
        #expect(logs.map(\.src.packetCount) == [2, 1])
        #expect(logs.map(\.startTimeNs) == [baseSeconds * ns, (baseSeconds + 60) * ns])
        #expect(logs.map(\.endTimeNs) == [(baseSeconds + 60) * ns, (baseSeconds + 120) * ns])
        #expect(logs.map(\.isNewFlow) == [true, false])
    }

    @Test func aNewFlowKeepsItsStartAndEndsOnAWholeSecond() {
        var flow = Flows.tcp(at: baseSeconds)
        flow.isNewFlow = true
        flow.startTimeNs += 250_000_000
        let log = replay([flow]).logs[0]
        #expect(log.startTimeNs == baseSeconds * ns + 250_000_000)
        #expect(log.endTimeNs == (baseSeconds + 60) * ns)
    }

    @Test func endedFlowsLeaveAtOnce() {
        let sink = RecordingSink()
        let stage = MetricsStage(sink: sink)
        var end = Flows.tcp(at: baseSeconds + 1, started: baseSeconds)
        end.closeType = CloseType.finish.rawValue
        stage.handle(flows: [Flows.tcp(at: baseSeconds), end])
        stage.tick(nowNs: (baseSeconds + 1) * ns)
        #expect(sink.logs.count == 1)
        #expect(sink.logs.first?.endTimeNs == end.endTimeNs)
        stage.finish()
        #expect(sink.logs.count == 1)
    }

    @Test func mergeRules() throws {
        var first = Flows.tcp(at: baseSeconds)
        first.lastKeepaliveSeq = 10
        first.lastKeepaliveAck = 11
        first.src.byteCount = 10
        first.src.tcpFlags = 2
        first.src.totalTCPFlags = 2
        first.src.gpid = 5
        first.synSeq = 77
        first.hasPerfStats = false
        first.directionScore = 100
        first.extra = FlowExtra(requestDomain: "a", aclGids: [1])
        var second = Flows.tcp(at: baseSeconds + 1, started: baseSeconds)
        second.lastKeepaliveAck = 21
        second.src.byteCount = 20
        second.src.totalByteCount = 30
        second.src.tcpFlags = 16
        second.src.totalTCPFlags = 18
        second.perf.tcp.srt.add(9)
        second.perf.l7Protocol = 20
        second.synSeq = 88
        second.directionScore = 255
        second.vlan = 3
        second.extra = FlowExtra(aclGids: [1, 2])
        var third = second
        third.flowStatTimeNs += ns
        third.perf.tcp.srt = LatencyStats()
        third.perf.tcp.srt.add(4)
        third.vlan = 0
        let logs = replay([first, second, third]).logs
        try #require(logs.count == 1)
        let log = logs[0]
        #expect(log.lastKeepaliveSeq == 10)
        #expect(log.lastKeepaliveAck == 21)
        #expect(log.src.byteCount == 50)
        #expect(log.src.totalByteCount == 30)
        #expect(log.src.tcpFlags == 18)
        #expect(log.src.totalTCPFlags == 2, "total flags are those of the first record")
        #expect(log.src.gpid == 5)
        #expect(log.synSeq == 77)
        #expect(log.directionScore == 100)
        #expect(log.vlan == 3)
        #expect(log.hasPerfStats)
        #expect(log.perf.tcp.srt.max == 9)
        #expect(log.perf.tcp.srt.sum == 13)
        #expect(log.perf.l7Protocol == 20)
        #expect(log.extra?.requestDomain == "a")
        #expect(log.extra?.aclGids == [1, 2])
    }

    @Test func aReversedRecordTurnsTheStoredFlow() throws {
        var first = Flows.tcp(at: baseSeconds)
        first.perf.tcp.tx.retrans = 3
        first.perf.tcp.rttClient.add(100)
        var second = Flows.tcp(at: baseSeconds + 1, started: baseSeconds)
        swap(&second.key.ipSrc, &second.key.ipDst)
        swap(&second.key.portSrc, &second.key.portDst)
        swap(&second.src, &second.dst)
        second.isReversed = true
        let logs = replay([first, second]).logs
        try #require(logs.count == 1)
        #expect(logs[0].key.portSrc == 80)
        #expect(logs[0].src.byteCount == 400)
        #expect(logs[0].dst.byteCount == 200)
        #expect(logs[0].perf.tcp.rx.retrans == 3)
        #expect(logs[0].perf.tcp.rttServer.sum == 100)
        #expect(logs[0].perf.tcp.rttClient.max == 100, "maxima keep their side, as in the reference")
        #expect(logs[0].isReversed)
    }

    @Test func clientResetAfterASuccessIsANormalEnd() {
        var first = Flows.tcp(at: baseSeconds)
        first.perf.l7Protocol = 20
        first.perf.l7.responseCount = 1
        var end = Flows.tcp(at: baseSeconds + 1, started: baseSeconds)
        end.closeType = CloseType.tcpClientRst.rawValue
        #expect(replay([first, end]).logs.map(\.closeType) == [20])
        first.perf.l7.errClientCount = 1
        #expect(replay([first, end]).logs.map(\.closeType) == [9])
    }

    @Test func healthChecksArePutTogether() throws {
        func check(_ id: UInt64, at second: UInt64, stored: Bool) -> [TaggedFlow] {
            var report = Flows.tcp(id: id, at: second)
            report.key.portSrc = UInt16(50_000 + id)
            report.src.totalByteCount = 100
            var end = report
            end.closeType = CloseType.tcpFinClientRst.rawValue
            end.src.byteCount = 0
            end.synSeq = UInt32(id)
            return stored ? [report, end] : [end]
        }
        let merged = replay(check(1, at: baseSeconds, stored: true) + check(2, at: baseSeconds + 1, stored: true)).logs
        try #require(merged.count == 1)
        #expect(merged[0].flowID == 1)
        #expect(merged[0].extra?.aggregatedFlowIDs == [2])
        #expect(merged[0].src.byteCount == 200)
        #expect(merged[0].src.totalByteCount == 200)
        #expect(merged[0].key.portSrc == 0)
        #expect(merged[0].src.realPort == 0)
        // A flow that ends within its first report takes the place of the others.
        let replaced = replay(check(1, at: baseSeconds, stored: true) + check(2, at: baseSeconds + 1, stored: false))
            .logs
        #expect(replaced.map(\.flowID) == [2])
        let apart = replay(check(1, at: baseSeconds, stored: true) + check(2, at: baseSeconds + 1, stored: true)) {
            $0.flowLog.aggregatesHealthChecks = false
        }
        #expect(apart.logs.count == 2)
    }

    @Test func filtersByNetworkAndObservationPoint() {
        let flow = Flows.tcp(at: baseSeconds)
        #expect(replay([flow]) { $0.flowLog.captureNetworkTypes = [3] }.logs.count == 1)
        #expect(replay([flow]) { $0.flowLog.captureNetworkTypes = [4] }.logs.isEmpty)
        #expect(replay([flow]) { $0.flowLog.captureNetworkTypes = [-1] }.logs.isEmpty)
        #expect(replay([flow]) { $0.flowLog.captureNetworkTypes = [0, -1] }.logs.isEmpty)
        #expect(replay([flow]) { $0.flowLog.ignoredObservationPoints = [0] }.logs.isEmpty)
        var other = flow
        other.signalSource = SignalSource.ebpf.rawValue
        #expect(replay([other]).logs.isEmpty)
    }

    @Test func lateRecordsAreDropped() {
        let sink = RecordingSink()
        let stage = MetricsStage(sink: sink)
        stage.handle(flows: [Flows.tcp(id: 1, at: baseSeconds + 68), Flows.tcp(id: 2, at: baseSeconds)])
        stage.handle(flows: [Flows.tcp(id: 3, at: baseSeconds + 69), Flows.tcp(id: 4, at: baseSeconds)])
        stage.finish()
        #expect(sink.logs.map(\.flowID) == [2, 1, 3])
        let reading = stage.takeReadings().first { $0.module == "flow_aggr" }
        #expect(reading?.counters.contains(NamedCounter("drop-before-window", 1)) == true)
    }

    @Test func theThrottleKeepsAFairSample() {
        var flows: [TaggedFlow] = []
        for index in 0..<1_000 {
            var flow = Flows.tcp(id: UInt64(index), at: baseSeconds / 4 * 4)
            flow.closeType = CloseType.finish.rawValue
            flows.append(flow)
        }
        let change: (inout MetricsSettings) -> Void = { $0.flowLog.throttlePerSecond = 100 }
        let first = replay(flows, change).logs.map(\.flowID)
        #expect(first.count == 400)
        #expect(Set(first).count == 400)
        #expect(first == replay(flows, change).logs.map(\.flowID), "the same seed keeps the same logs")
        let late = first.filter { $0 >= 500 }.count
        #expect((140...260).contains(late), "half of the kept logs come from the second half")
    }
}
