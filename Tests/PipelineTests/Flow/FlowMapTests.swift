import Model
import Testing

@testable import Pipeline

/// Builds the packets of one flow and collects what a flow table makes of them.
private struct FlowBench: ~Copyable {
    private static let startNs: UInt64 = 1_700_000_000_000_000_000
    private var map: FlowMap
    private(set) var records: [TaggedFlow] = []

    init(_ change: (inout FlowMap.Settings) -> Void = { _ in }) {
        var settings = FlowMap.Settings()
        change(&settings)
        map = FlowMap(
            settings: settings, labeler: EndpointLabeler(),
            l7: L7Stage(engine: L7Engine(settings: L7Settings()), isEnabled: false),
            clockNs: FlowBench.startNs)
    }

    var counters: FlowMap.Counters { map.counters }
    var concurrent: Int { map.concurrentFlows }

    static func packet(
        atMs: UInt64, fromServer: Bool = false, proto: UInt8 = IPProtocol.tcp, flags: UInt8 = 0, seq: UInt32 = 0,
        ack: UInt32 = 0,
        payload: UInt16 = 0, clientPort: UInt16 = 40000
    ) -> MetaPacket {
        var packet = MetaPacket()
        packet.timeNs = startNs + atMs * 1_000_000
        packet.ethType = EtherType.ipv4
        packet.proto = proto
        packet.l4Protocol = proto == IPProtocol.tcp ? .tcp : proto == IPProtocol.udp ? .udp : .unknown
        let client = IPAddress(v4: 0x0a00_0001)
        let server = IPAddress(v4: 0x0a00_0002)
        packet.ipSrc = fromServer ? server : client
        packet.ipDst = fromServer ? client : server
        packet.portSrc = fromServer ? 80 : clientPort
        packet.portDst = fromServer ? clientPort : 80
        packet.macSrc = fromServer ? 2 : 1
        packet.macDst = fromServer ? 1 : 2
        packet.tcpFlags = flags
        packet.dataOffset = 5
        packet.seq = seq
        packet.ack = ack
        packet.l4PayloadLen = payload
        packet.payloadLen = payload
        packet.packetLen = 54 + UInt32(payload)
        packet.l2End0 = true
        packet.l2End1 = true
        return packet
    }

    mutating func inject(_ packet: MetaPacket) {
        var packet = packet
        let frame = [UInt8](repeating: 0, count: 14)
        let hash = FlowMap.hash(&packet)
        map.inject(&packet, hash: hash, frame: frame.span.bytes)
        collect()
    }

    mutating func tick(ms: UInt64) {
        while !map.advance(to: FlowBench.startNs + ms * 1_000_000) { collect() }
        collect()
    }

    mutating func finish() {
        while let next = map.nextSecondNs {
            while !map.advance(to: next) { collect() }
            collect()
        }
        collect()
    }

    private mutating func collect() {
        var batch: [TaggedFlow] = []
        map.drainOutput { flows, _ in batch += Array(flows) }
        records += batch
    }
}

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
        var bench = FlowBench()
        for step in ending.steps {
            bench.inject(
                FlowBench.packet(atMs: step.ms, fromServer: step.fromServer, flags: step.flags, payload: step.payload))
        }
        bench.finish()
        #expect(bench.records.last?.closeType == ending.close.rawValue, "\(ending.name)")
        #expect(bench.records.filter { $0.closeType != CloseType.forcedReport.rawValue }.count == 1)
    }

    @Test func oneDatagramFinishes() {
        var bench = FlowBench()
        bench.inject(FlowBench.packet(atMs: 0, proto: IPProtocol.udp, payload: 8))
        bench.finish()
        #expect(bench.records.last?.closeType == CloseType.finish.rawValue)
    }

    @Test func establishedFlowIsReportedAndStays() {
        var bench = FlowBench()
        for step: Step in [(0, false, 0x02, 0), (1, true, 0x12, 0), (2, false, 0x10, 0)] {
            bench.inject(FlowBench.packet(atMs: step.ms, fromServer: step.fromServer, flags: step.flags))
        }
        bench.tick(ms: 10_000)
        #expect(bench.records.map(\.closeType) == [CloseType.forcedReport.rawValue])
        #expect(bench.records.first?.directionScore == 255)
        #expect(bench.concurrent == 1)
    }

    /// Every packet offered is in exactly one record or one drop counter.
    @Test func nothingIsLostUnderALimit() {
        var bench = FlowBench { $0.concurrentFlowLimit = 50 }
        var seed: UInt64 = 11
        var offered: UInt64 = 0
        var bytes: UInt64 = 0
        for index in 0..<20_000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let random = seed >> 33
            let packet = FlowBench.packet(
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
        var bench = FlowBench()
        bench.inject(FlowBench.packet(atMs: 60_000, flags: 0x02))
        bench.inject(FlowBench.packet(atMs: 1000, flags: 0x10))
        #expect(bench.counters.dropByWindow == 1)
        #expect(bench.counters.dropByWindowBytes == 54)
    }
}

/// The look-ahead asks for whole cache lines and counts on this.
struct FlowLayoutTests {
    @Test func fieldsLieOnTheirCacheLines() {
        #expect(MemoryLayout<FlowNode>.stride == 384)
        #expect(MemoryLayout<FlowNode>.offset(of: \.macSrc) == 64)
        #expect(MemoryLayout<FlowNode>.offset(of: \.src) == FlowNode.srcOffset)
        #expect(MemoryLayout<FlowNode>.offset(of: \.dst) == FlowNode.dstOffset)
        #expect(MemoryLayout<TCPPerf>.stride == 256)
    }
}

/// Synthetic vectors of agent-flow.md 19.1.
struct TCPPerfTests {
    private static func run(
        _ steps: [(fromServer: Bool, flags: UInt8, seq: UInt32, ack: UInt32, payload: UInt16, second: UInt64)]
    ) -> TCPPerfStats {
        var perf = TCPPerf()
        var counters = FlowPerfCounters()
        var lists = Pool(initial: SequenceList())
        for step in steps {
            var packet = FlowBench.packet(
                atMs: step.second * 1000, fromServer: step.fromServer, flags: step.flags, seq: step.seq, ack: step.ack,
                payload: step.payload)
            packet.dataOffset = 5
            _ = perf.parse(
                &packet, direction: step.fromServer ? .serverToClient : .clientToServer, lists: &lists,
                counters: &counters)
        }
        var stats = TCPPerfStats()
        perf.report(isReversed: false, into: &stats)
        return stats
    }

    @Test func longExchangeWithoutPush() {
        let stats = TCPPerfTests.run([
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
        let stats = TCPPerfTests.run([
            (false, 0x02, 111, 0, 0, 3333), (false, 0x02, 111, 0, 0, 3334), (true, 0x12, 1111, 112, 0, 3335),
            (true, 0x12, 1111, 112, 0, 3336), (false, 0x10, 112, 1112, 0, 3344), (false, 0x10, 112, 1112, 0, 3354),
        ])
        #expect(stats.rttClient.count == 1 && stats.rttClient.max == 9_000_000)
        #expect(stats.rttServer.count == 2 && stats.rttServer.max == 3_000_000)
        #expect(stats.rtt == 11_000_000)
    }
}
