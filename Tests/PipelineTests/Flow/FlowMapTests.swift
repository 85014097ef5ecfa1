import Model
import Testing

@testable import Pipeline

private typealias Step = (ms: UInt64, fromServer: Bool, flags: UInt8, payload: UInt16)

/// Source: agent-flow.md 10.3, 19.4.
struct FlowMapTests {
    private static let endings: [(name: String, steps: [Step], close: CloseType)] = [
        ("SYN only", [(0, false, 0x02, 0)], .clientSynRepeat),
        ("SYN, reversed RST", [(0, false, 0x02, 0), (10, true, 0x04, 0)], .serverReset),
        (
            "SYN, PSH-ACK, reversed FIN-ACK", [(0, false, 0x02, 0), (1, false, 0x18, 10), (2, true, 0x11, 0)],
            .clientHalfClose
        ),
        (
            "handshake, FIN and FIN of the server",
            [(0, false, 0x02, 0), (1, true, 0x12, 0), (2, false, 0x10, 0), (3, true, 0x11, 0), (4, true, 0x11, 0)],
            .clientHalfClose
        ),
        (
            "orderly close",
            [
                (0, false, 0x02, 0), (1, true, 0x12, 0), (2, false, 0x10, 0), (3, false, 0x11, 0), (4, true, 0x11, 0),
                (5, false, 0x10, 0),
            ], .finish
        ),
    ]

    @Test(arguments: endings.indices) func closeTypes(index: Int) {
        let ending = FlowMapTests.endings[index]
        var bench = FlowTableBench()
        for step in ending.steps {
            bench.inject(
                FlowTableBench.packet(
                    atMs: step.ms, fromServer: step.fromServer, flags: step.flags, payload: step.payload))
        }
        bench.finish()
        #expect(bench.records.last?.closeType == ending.close.rawValue, "\(ending.name)")
        #expect(bench.records.filter { $0.closeType != CloseType.forcedReport.rawValue }.count == 1)
    }

    /// Whatever way a flow ends, what it took from pools goes back.
    @Test(arguments: endings.indices) func partsAreGivenBack(index: Int) {
        var bench = FlowTableBench()
        for port: UInt16 in [1, 2, 3] {
            for step in FlowMapTests.endings[index].steps {
                var packet = FlowTableBench.packet(
                    atMs: step.ms, fromServer: step.fromServer, flags: step.flags, payload: step.payload,
                    clientPort: port)
                if port == 2 { packet.ethType = EtherType.ipv6 }
                if port == 3 { packet.toaSrcPort = 7 }
                bench.inject(packet)
            }
        }
        #expect(bench.partsInUse > 0)
        bench.finish()
        #expect(bench.partsInUse == 0)
    }

    /// Ranges of sequence numbers outlive reports while there are gaps, and go with the flow.
    @Test func gapsAreKeptAcrossReports() {
        var bench = FlowTableBench()
        for (ms, seq) in [(0, 100), (1, 300), (2, 500), (2500, 700)] as [(UInt64, UInt32)] {
            bench.inject(FlowTableBench.packet(atMs: ms, flags: 0x10, seq: seq, payload: 100))
        }
        bench.inject(FlowTableBench.packet(atMs: 4500, flags: 0x10, seq: 350, payload: 50))
        bench.tick(ms: 8000)
        #expect(bench.records.map(\.perf.tcp.totalRetrans) == [0, 0, 1])
        #expect(bench.partsInUse == 2)
        bench.finish()
        #expect(bench.partsInUse == 0)
    }

    /// A second handshake of an open connection is one of retransmissions, also when the first was reported long ago.
    @Test func handshakeIsRemembered() {
        var bench = FlowTableBench()
        for ms: UInt64 in [0, 5000] {
            bench.inject(FlowTableBench.packet(atMs: ms, flags: 0x02, seq: 1))
            bench.inject(FlowTableBench.packet(atMs: ms + 1, fromServer: true, flags: 0x12, seq: 1, ack: 2))
            bench.inject(FlowTableBench.packet(atMs: ms + 2, flags: 0x10, seq: 2, ack: 2))
            bench.tick(ms: ms + 4000)
            #expect(bench.partsInUse == 0)
        }
        #expect(bench.records.map(\.perf.tcp.retransSyn) == [0, 1])
        #expect(bench.records.map(\.perf.tcp.retransSynAck) == [0, 1])
    }

    @Test func oneDatagramFinishes() {
        var bench = FlowTableBench()
        bench.inject(FlowTableBench.packet(atMs: 0, proto: IPProtocol.udp, payload: 8))
        bench.finish()
        #expect(bench.records.last?.closeType == CloseType.finish.rawValue)
    }

    @Test func establishedFlowIsReportedAndStays() {
        var bench = FlowTableBench()
        for step: Step in [(0, false, 0x02, 0), (1, true, 0x12, 0), (2, false, 0x10, 0)] {
            bench.inject(FlowTableBench.packet(atMs: step.ms, fromServer: step.fromServer, flags: step.flags))
        }
        bench.tick(ms: 10_000)
        #expect(bench.records.map(\.closeType) == [CloseType.forcedReport.rawValue])
        #expect(bench.records.first?.directionScore == 255)
        #expect(bench.concurrent == 1)
    }

    /// Every packet offered is in exactly one record or one drop counter.
    @Test func nothingIsLostUnderALimit() {
        var bench = FlowTableBench { $0.concurrentFlowLimit = 50 }
        var seed: UInt64 = 11
        var offered: UInt64 = 0
        var bytes: UInt64 = 0
        for index in 0..<20_000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let random = seed >> 33
            let packet = FlowTableBench.packet(
                atMs: UInt64(index), fromServer: random & 1 == 1,
                flags: [0x02, 0x12, 0x10, 0x18, 0x11, 0x04, 0x3f][Int(random % 7)],
                seq: UInt32(truncatingIfNeeded: seed), payload: UInt16(random % 1400),
                clientPort: 40000 + UInt16(random >> 8 & 127))
            offered += 1
            bytes += UInt64(packet.packetLen)
            bench.inject(packet)
        }
        bench.finish()
        let counted = bench.records.reduce(UInt64(0)) { $0 + $1.src.packetCount + $1.dst.packetCount }
        let countedBytes = bench.records.reduce(UInt64(0)) { $0 + $1.src.byteCount + $1.dst.byteCount }
        #expect(bench.counters.dropByCapacity > 0)
        #expect(counted + bench.counters.dropByCapacity + bench.counters.dropByWindow == offered)
        #expect(countedBytes + bench.counters.dropByCapacityBytes + bench.counters.dropByWindowBytes == bytes)
        #expect(bench.counters.new == bench.counters.closed)
    }

    @Test func latePacketsAreCountedOut() {
        var bench = FlowTableBench()
        bench.inject(FlowTableBench.packet(atMs: 60_000, flags: 0x02))
        bench.inject(FlowTableBench.packet(atMs: 1000, flags: 0x10))
        #expect(bench.counters.dropByWindow == 1)
        #expect(bench.counters.dropByWindowBytes == 54)
    }
}

/// The look-ahead asks for whole cache lines and counts on this.
struct FlowLayoutTests {
    @Test func fieldsLieOnTheirCacheLines() {
        #expect(MemoryLayout<FlowNode>.stride == 256)
        // The pool writes behind the fields of a free slot.
        #expect(MemoryLayout<FlowNode>.size <= 252)
        #expect(MemoryLayout<FlowNode>.offset(of: \.recentNs) == 64)
        #expect(MemoryLayout<FlowNode>.offset(of: \.src) == 128)
        #expect(MemoryLayout<FlowNode>.offset(of: \.flowID) == 192)
        #expect(MemoryLayout<UDPPerf>.size <= MemoryLayout<TCPPerf>.size)
        #expect(MemoryLayout<FlowPeriod>.stride == 64 && MemoryLayout<FlowPeriod>.size <= FlowPeriod.linkOffset)
        #expect(MemoryLayout<TCPPeriod>.stride == 256)
        #expect(MemoryLayout<TCPPeriod>.offset(of: \.counts) == 64)
        #expect(MemoryLayout<TCPCounts>.offset(of: \.rare) == 64)
    }
}
