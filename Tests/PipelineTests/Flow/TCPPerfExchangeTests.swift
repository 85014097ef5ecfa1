import Model
import Testing

@testable import Pipeline

/// Synthetic vectors of agent-flow.md 19.1.
struct TCPPerfExchangeTests {
    private static func run(
        _ steps: [(fromServer: Bool, flags: UInt8, seq: UInt32, ack: UInt32, payload: UInt16, second: UInt64)]
    ) -> TCPPerfStats {
        var perf = TCPPerf()
        var counts = TCPCounts()
        var counters = FlowPerfCounters()
        var lists = Pool(initial: SequenceList())
        for step in steps {
            var packet = FlowTableBench.packet(
                atMs: step.second * 1000, fromServer: step.fromServer, flags: step.flags, seq: step.seq, ack: step.ack,
                payload: step.payload)
            packet.dataOffset = 5
            _ = perf.parse(
                &packet, direction: step.fromServer ? .serverToClient : .clientToServer, counts: &counts, lists: &lists,
                counters: &counters)
        }
        var stats = TCPPerfStats()
        perf.report(&counts, isReversed: false, into: &stats)
        return stats
    }

    @Test func longExchangeWithoutPush() {
        let stats = TCPPerfExchangeTests.run([
            (false, 0x02, 111, 0, 0, 3333), (true, 0x12, 1111, 112, 0, 3334), (false, 0x10, 112, 1112, 0, 3344),
            (false, 0x10, 112, 1112, 100, 3350), (true, 0x10, 1112, 212, 100, 3354), (true, 0x10, 1112, 212, 0, 3358),
            (true, 0x18, 1212, 212, 500, 3384), (false, 0x10, 212, 1712, 0, 3400), (false, 0x10, 212, 1712, 200, 3454),
            (true, 0x10, 1712, 412, 0, 3554), (true, 0x10, 1712, 412, 300, 3560),
        ])
        #expect(stats.rttClient.max == 10_000_000 && stats.rttServer.max == 1_000_000 && stats.rtt == 11_000_000)
        #expect(stats.tx.zeroWin == 4 && stats.rx.zeroWin == 5)
        #expect(stats.synCount == 1 && stats.synAckCount == 1)
        #expect(stats.srt.count == 0 && stats.art.count == 0 && stats.cit.count == 0 && stats.totalRetrans == 0)
    }

    @Test func doubleHandshake() {
        let stats = TCPPerfExchangeTests.run([
            (false, 0x02, 111, 0, 0, 3333), (false, 0x02, 111, 0, 0, 3334), (true, 0x12, 1111, 112, 0, 3335),
            (true, 0x12, 1111, 112, 0, 3336), (false, 0x10, 112, 1112, 0, 3344), (false, 0x10, 112, 1112, 0, 3354),
        ])
        #expect(stats.rttClient.count == 1 && stats.rttClient.max == 9_000_000)
        #expect(stats.rttServer.count == 2 && stats.rttServer.max == 3_000_000)
        #expect(stats.rtt == 11_000_000)
    }

    @Test func noPushNoResponseTimes() {
        let stats = TCPPerfExchangeTests.run([
            (false, 0x02, 111, 0, 0, 3333), (true, 0x12, 1111, 112, 0, 3334), (false, 0x10, 112, 1112, 0, 3344),
            (true, 0x10, 1112, 112, 0, 3354),
        ])
        #expect(stats.rttClient.count == 1 && stats.rttClient.max == 10_000_000)
        #expect(stats.rttServer.count == 1 && stats.rttServer.max == 1_000_000)
        #expect(stats.rtt == 11_000_000)
    }

    /// SYN, SYN, SYN-ACK, SYN-ACK, ACK, ACK: the times of 19.4's capture of a repeated handshake.
    @Test func repeatedHandshake() {
        let steps: [(us: UInt64, fromServer: Bool, flags: UInt8, seq: UInt32, ack: UInt32)] = [
            (0, false, 0x02, 10, 0), (500, false, 0x02, 10, 0), (943, true, 0x12, 70, 11), (1886, true, 0x12, 70, 11),
            (2198, false, 0x10, 11, 71), (2300, false, 0x10, 11, 71),
        ]
        var bench = PerfBench()
        var lists = Pool(initial: SequenceList())
        for step in steps {
            var packet = FlowTableBench.packet(
                atMs: 0, fromServer: step.fromServer, flags: step.flags, seq: step.seq, ack: step.ack)
            packet.timeNs += step.us * 1000
            bench.run([packet], lists: &lists)
        }
        let stats = bench.report()
        #expect(stats.rttServer.count == 2 && stats.rttServer.sum == 2829 && stats.rttServer.max == 1886)
        #expect(stats.rttClient.count == 1 && stats.rttClient.max == 1255)
        #expect(stats.rtt == 2198)
        #expect(stats.synCount == 2 && stats.synAckCount == 2 && stats.retransSyn == 1 && stats.retransSynAck == 1)
        #expect(stats.totalRetrans == 2 && stats.tx.retrans == 1 && stats.rx.retrans == 1)
    }

    /// A server that speaks first: the client's answer counts as its response time and as its idle time, both 28837 µs.
    @Test func theClientAnswersTheServersPush() {
        let steps: [(us: UInt64, fromServer: Bool, flags: UInt8, seq: UInt32, ack: UInt32, payload: UInt16)] = [
            (0, false, 0x02, 10, 0, 0), (477, true, 0x12, 70, 11, 0), (670, false, 0x10, 11, 71, 0),
            (1000, true, 0x18, 71, 11, 20), (29_837, false, 0x18, 11, 91, 30),
        ]
        var bench = PerfBench()
        var lists = Pool(initial: SequenceList())
        for step in steps {
            var packet = FlowTableBench.packet(
                atMs: 0, fromServer: step.fromServer, flags: step.flags, seq: step.seq, ack: step.ack,
                payload: step.payload)
            packet.timeNs += step.us * 1000
            packet.window = 100
            bench.run([packet], lists: &lists)
        }
        #expect(bench.totals(isReversed: true).art.max == 28_837)
        let stats = bench.report()
        #expect(stats.art.count == 0 && stats.cit.max == 28_837 && stats.cit.count == 1)
        #expect(stats.rttServer.max == 477 && stats.rttClient.max == 193 && stats.rtt == 670)
    }

    /// Which sets of flags are looked at. Source: agent-flow.md 19.1, "interest filter".
    @Test(arguments: [
        (UInt8(0x3a), true), (0x38, true), (0x04, false), (0x01, false), (0x06, false), (0x08, false), (0x10, true),
    ])
    func interestFilter(flags: UInt8, isSeen: Bool) {
        var bench = PerfBench()
        var lists = Pool(initial: SequenceList())
        var packet = FlowTableBench.packet(atMs: 0, flags: flags, seq: 1, ack: 1)
        packet.window = 0
        bench.run([packet], lists: &lists)
        // A zero window is counted of every packet that is looked at, outside of a handshake.
        let counts = bench.report()
        #expect((counts.tx.zeroWin == 1) == isSeen, "\(flags)")
        let isAbnormal = [0x01, 0x06, 0x08].contains(flags)
        #expect(bench.counters.ignoredPackets == (isAbnormal ? 1 : 0))
    }

    /// Limits of 11.1: handshake and application 30 s, system 10 s; nothing above counts.
    @Test func responseTimesHaveLimits() {
        func answer(afterMs: UInt64, ackOnly: Bool) -> TCPPerfStats {
            var bench = PerfBench()
            var lists = Pool(initial: SequenceList())
            bench.run(
                [
                    FlowTableBench.packet(atMs: 0, flags: 0x18, seq: 100, ack: 500, payload: 10),
                    FlowTableBench.packet(atMs: 0, fromServer: true, flags: 0x10, seq: 500, ack: 110),
                    FlowTableBench.packet(atMs: 1, flags: 0x18, seq: 110, ack: 500, payload: 10),
                    FlowTableBench.packet(
                        atMs: 1 + afterMs, fromServer: true, flags: ackOnly ? 0x10 : 0x18, seq: 500, ack: 120,
                        payload: ackOnly ? 0 : 10),
                ], lists: &lists)
            return bench.report()
        }
        #expect(answer(afterMs: 10_000, ackOnly: true).srt.max == 10_000_000)
        #expect(answer(afterMs: 10_001, ackOnly: true).srt.count == 0)
        #expect(answer(afterMs: 30_000, ackOnly: false).art.max == 30_000_000)
        #expect(answer(afterMs: 30_001, ackOnly: false).art.count == 0)
    }
}
