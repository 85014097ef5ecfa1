import Model
import Samples
import Testing

@testable import Pipeline

/// Packets through the flow table. Source: agent-flow.md 8, 10.3, 19.4.
struct FlowMapVectorTests {
    private typealias Step = (ms: UInt64, fromServer: Bool, flags: UInt8)

    /// How connections end, with the flags of 19.4's captures. C = client, S = server.
    private static let endings: [(name: String, steps: [Step], close: CloseType)] = [
        ("SYN-ACK repeated", [(0, true, 0x12), (1000, true, 0x12), (2000, true, 0x12)], .serverSynAckRepeat),
        ("SYN, ACK of the server", [(0, false, 0x02), (1, true, 0x10)], .clientSourcePortReuse),
        ("SYN, ACK of the server, RST", [(0, false, 0x02), (1, true, 0x10), (2, false, 0x04)], .clientSourcePortReuse),
        (
            "accept queue full",
            [
                (0, false, 0x02), (1, true, 0x12), (2, false, 0x10), (1000, true, 0x12), (1001, false, 0x10),
                (3000, true, 0x12), (3001, false, 0x10),
            ], .serverQueueLack
        ),
        (
            "accept queue full, then reset",
            [
                (0, false, 0x02), (1, true, 0x12), (2, false, 0x10), (1000, true, 0x12), (1500, true, 0x12),
                (1600, true, 0x12), (2000, true, 0x04),
            ], .serverQueueLack
        ),
        (
            "a second SYN-ACK, then reset",
            [(0, false, 0x02), (1, true, 0x12), (2, false, 0x10), (1000, true, 0x12), (2000, true, 0x04)], .tcpClientRst
        ),
        ("heartbeat", [(0, false, 0x02), (1, true, 0x12), (2, false, 0x10), (3, false, 0x14)], .tcpFinClientRst),
        ("reset in the handshake", [(0, false, 0x02), (1, true, 0x12), (2, false, 0x04)], .tcpFinClientRst),
        (
            "the client gives up", [(0, false, 0x02), (1, true, 0x12), (2, false, 0x18), (3, false, 0x04)],
            .tcpClientRst
        ),
        ("SYN and reset of the client", [(0, false, 0x02), (1, false, 0x04)], .clientEstablishReset),
        (
            "the server resets its handshake", [(0, false, 0x02), (1, true, 0x12), (2, true, 0x04)],
            .serverEstablishReset
        ),
        ("reset by the server", [(0, false, 0x18), (1, true, 0x18), (2, true, 0x04)], .tcpServerRst),
        ("reset by the client", [(0, false, 0x18), (1, true, 0x18), (2, false, 0x04)], .tcpClientRst),
        ("the client closes", [(0, false, 0x18), (1, true, 0x18), (2, false, 0x11)], .serverHalfClose),
        ("idle", [(0, false, 0x18), (1, true, 0x18)], .timeout),
        ("impossible flags", [(0, false, 0x18), (1, true, 0x3f)], .unknown),
    ]

    @Test(arguments: endings.indices) func closeTypes(index: Int) {
        let ending = FlowMapVectorTests.endings[index]
        var bench = FlowTableBench()
        for step in ending.steps {
            bench.inject(
                FlowTableBench.packet(
                    atMs: step.ms, fromServer: step.fromServer, flags: step.flags,
                    payload: step.flags & TCPFlags.psh != 0 ? 10 : 0))
        }
        bench.finish()
        #expect(bench.records.last?.closeType == ending.close.rawValue, "\(ending.name)")
        #expect(bench.counters.new == 1 && bench.counters.closed == 1)
    }

    @Test func flagsOfBothEnds() {
        var bench = FlowTableBench()
        bench.inject(FlowTableBench.packet(atMs: 0, flags: 0x02))
        bench.inject(FlowTableBench.packet(atMs: 10, fromServer: true, flags: 0x04))
        bench.finish()
        #expect(bench.records.last?.src.totalTCPFlags == 0x02)
        #expect(bench.records.last?.dst.totalTCPFlags == 0x04)
    }

    /// Flow ends by protocol and how long they wait. Source: agent-flow.md 8.4, 8.5, 10.1.
    @Test(arguments: [
        (IPProtocol.udp, false, UInt64(5)), (IPProtocol.udp, true, 5), (IPProtocol.icmp, false, 5),
        (IPProtocol.icmp, true, 35),
    ])
    func idleTimes(proto: UInt8, isAnswered: Bool, seconds: UInt64) throws {
        var bench = FlowTableBench()
        let ns = FlowTableBench.startNs
        bench.inject(FlowTableBench.packet(atMs: 0, proto: proto, payload: 10))
        if isAnswered { bench.inject(FlowTableBench.packet(atMs: 0, fromServer: true, proto: proto, payload: 10)) }
        bench.finish()
        let last = try #require(bench.records.last)
        #expect(last.closeType == CloseType.finish.rawValue)
        #expect(last.endTimeNs == ns + seconds * 1_000_000_000)
        // The record of the end belongs to the second of the end and counts no packets of its own.
        #expect(last.flowStatTimeNs == last.endTimeNs / 1_000_000_000 * 1_000_000_000)
        #expect(last.src.packetCount == 0 && last.src.totalPacketCount == 1)
    }

    @Test func arpFlowFinishes() {
        var bench = FlowTableBench()
        var packet = FlowTableBench.packet(atMs: 0, proto: 0)
        packet.ethType = EtherType.arp
        packet.portSrc = 0
        packet.portDst = 0
        bench.inject(packet)
        var reply = packet
        swap(&reply.macSrc, &reply.macDst)
        swap(&reply.ipSrc, &reply.ipDst)
        bench.inject(reply)
        bench.finish()
        #expect(bench.records.last?.closeType == CloseType.finish.rawValue)
        #expect(bench.counters.new == 1)
        #expect(bench.records.last?.dst.totalPacketCount == 1)
    }

    @Test func aSynAckAloneTurnsTheFlow() {
        var bench = FlowTableBench()
        // Sent by the end that is the destination of what follows: port 80 as source.
        bench.inject(FlowTableBench.packet(atMs: 0, fromServer: true, flags: 0x12))
        bench.finish()
        let first = bench.records.first
        #expect(first?.key.portDst == 80)
        #expect(first?.perf.tcp.tx.zeroWin == 0 && first?.perf.tcp.rx.zeroWin == 1)
        #expect(first?.isReversed == false, "a reversal by the first packet is no reversal")
        #expect(first?.isActiveService == true)
    }

    @Test(
        .enabled(if: CaptureVectors.arePresent, "the L4 captures are absent"),
        arguments: [
            ("tcp-one-syn", CloseType.clientSynRepeat), ("tcp-n-syn-ack", .serverSynAckRepeat),
            ("l4-source-port-reuse", .clientSourcePortReuse), ("server-reset", .serverReset),
            ("server-queue-lack", .serverQueueLack), ("server-no-response", .clientEstablishReset),
        ])
    func captures(name: String, close: CloseType) throws {
        let packets = try CaptureVectors.packets(name)
        var bench = FlowTableBench(startNs: packets[0].timeNs)
        for packet in packets { bench.inject(packet) }
        bench.finish()
        #expect(bench.records.last?.closeType == close.rawValue)
    }

    @Test(.enabled(if: CaptureVectors.arePresent, "the L4 captures are absent"))
    func latenciesOfOneRequest() throws {
        let packets = try CaptureVectors.packets("http")
        var bench = FlowTableBench(startNs: packets[0].timeNs)
        for packet in packets { bench.inject(packet) }
        bench.finish()
        let tcp = try #require(bench.records.first).perf.tcp
        #expect(tcp.rttClient.max == 114 && tcp.rttServer.max == 44 && tcp.srt.max == 12)
        #expect(tcp.rtt == 158 && tcp.art.max == 149 && tcp.cit.max == 272 && tcp.finCount == 2)
    }

    /// Six datagrams of 3000 bytes, each in three fragments: those without ports are a flow of their own.
    @Test func fragmentsOfDatagrams() {
        var bench = FlowTableBench()
        for number in 0..<6 {
            let datagram = SampleFrames.udp(5000, 6000, [UInt8](repeating: 7, count: 3000))
            for (index, range) in [0..<1480, 1480..<2960, 2960..<3008].enumerated() {
                var ip = SampleFrames.ipv4(17, Array(datagram[range]))
                let flags = (index < 2 ? 0x2000 : 0) | index * 1480 / 8
                ip.replaceSubrange(6..<8, with: SampleFrames.be16(flags))
                let frame = SampleFrames.ethernet(0x0800) + ip
                var packet = MetaPacket()
                #expect(PacketParser.parse(frame.span.bytes, link: .ethernet, originalLength: 0, into: &packet))
                packet.timeNs = FlowTableBench.startNs + UInt64(number) * 1_000_000
                bench.inject(packet)
            }
        }
        bench.finish()
        #expect(bench.counters.new == 2)
        #expect(bench.records.reduce(0) { $0 + $1.src.l3ByteCount } == 3008 * 6)
        #expect(bench.records.reduce(0) { $0 + $1.src.l4ByteCount } == 3000 * 6)
        #expect(Set(bench.records.map(\.key.portDst)) == [0, 6000])
    }

    /// Traffic that is not a cloud's: the VLAN makes flows apart, unless told otherwise.
    @Test(arguments: [(false, UInt64(2)), (true, 1)]) func vlans(ignoresVlan: Bool, flows: UInt64) {
        var bench = FlowTableBench { $0.ignoresIDCVlan = ignoresVlan }
        for vlan: UInt16 in [0, 100] {
            var packet = FlowTableBench.packet(atMs: 0, proto: IPProtocol.udp, payload: 8)
            packet.tapType = 4
            packet.vlan = vlan
            bench.inject(packet)
        }
        bench.finish()
        #expect(bench.counters.new == flows)
    }

    /// MACs tell flows of a cloud apart, except where told otherwise. Source: agent-flow.md 8.3, rule 7.
    @Test func macs() {
        func flows(
            ends: (Bool, Bool), second: (src: UInt64, dst: UInt64), tapPort: UInt64 = 0x55,
            _ change: (inout FlowMap.Settings) -> Void = { _ in }
        ) -> UInt64 {
            var bench = FlowTableBench(change)
            for (src, dst) in [(UInt64(1), UInt64(2)), second] {
                var packet = FlowTableBench.packet(atMs: 0, proto: IPProtocol.udp, payload: 8)
                (packet.macSrc, packet.macDst) = (src, dst)
                (packet.l2End0, packet.l2End1) = ends
                packet.tapPort = tapPort
                bench.inject(packet)
            }
            return bench.counters.new
        }
        // Seen at the source: only its MAC counts; at the destination the other one; elsewhere none.
        #expect(flows(ends: (true, false), second: (1, 9)) == 1)
        #expect(flows(ends: (true, false), second: (9, 2)) == 2)
        #expect(flows(ends: (false, true), second: (9, 2)) == 1)
        #expect(flows(ends: (false, true), second: (1, 9)) == 2)
        #expect(flows(ends: (false, false), second: (8, 9)) == 1)
        // Without a capture port both count.
        #expect(flows(ends: (true, false), second: (1, 9), tapPort: 0) == 2)
        #expect(flows(ends: (true, false), second: (1, 9)) { $0.ignoresL2End = true } == 2)
        #expect(flows(ends: (true, true), second: (8, 9)) { $0.ignoresMac = true } == 1)
        // A gateway's capture port.
        #expect(flows(ends: (true, true), second: (8, 9), tapPort: 1 << 60 | 0x55) == 1)
    }

    @Test func captureAndNATSourcePortsOfOneFlow() {
        var bench = FlowTableBench()
        var packet = FlowTableBench.packet(atMs: 0, flags: 0x02)
        packet.tapPort = 0x55
        bench.inject(packet)
        // The client's address behind a load balancer, in an option of its next packet.
        var real = FlowTableBench.packet(atMs: 1, flags: 0x10)
        real.tapPort = 0x55 | UInt64(NATSource.toa) << 36
        real.toaSrcPort = 1234
        real.toaSrcIP = 0x0102_0304
        bench.inject(real)
        var other = FlowTableBench.packet(atMs: 2, flags: 0x10)
        other.tapPort = 0x56
        bench.inject(other)
        bench.finish()
        #expect(bench.counters.new == 2)
        let flow = bench.records.first { $0.src.natSource == NATSource.toa }
        #expect(flow?.src.realIP == IPAddress(v4: 0x0102_0304))
        #expect(flow?.src.realPort == 1234)
        #expect(flow?.dst.realPort == 80 && flow?.dst.natSource == 0)
        #expect(flow?.key.tapPort == 0x55 | UInt64(NATSource.toa) << 36)
    }

    /// Sequence of the keepalive: one byte or none just before what the other side waits for.
    @Test func keepalives() {
        var bench = FlowTableBench()
        bench.inject(FlowTableBench.packet(atMs: 0, flags: 0x18, seq: 100, ack: 500, payload: 10))
        bench.inject(FlowTableBench.packet(atMs: 1, fromServer: true, flags: 0x10, seq: 500, ack: 110))
        bench.inject(FlowTableBench.packet(atMs: 2, flags: 0x10, seq: 110, ack: 500))
        bench.inject(FlowTableBench.packet(atMs: 3, flags: 0x10, seq: 109, ack: 500, payload: 1))
        bench.finish()
        #expect(bench.records.last?.lastKeepaliveSeq == 109)
        #expect(bench.records.last?.lastKeepaliveAck == 500)
    }

    /// Statistics of a second leave two seconds later, or with the flow's next packet. Source: agent-flow.md 8.2.
    @Test func secondsOfAFlow() {
        var bench = FlowTableBench()
        bench.inject(FlowTableBench.packet(atMs: 100, proto: IPProtocol.udp, payload: 8))
        bench.tick(ms: 1999)
        #expect(bench.records.isEmpty)
        bench.tick(ms: 2000)
        #expect(bench.records.count == 1)
        bench.inject(FlowTableBench.packet(atMs: 2500, proto: IPProtocol.udp, payload: 8))
        bench.inject(FlowTableBench.packet(atMs: 2900, proto: IPProtocol.udp, payload: 8))
        bench.inject(FlowTableBench.packet(atMs: 3100, proto: IPProtocol.udp, payload: 8))
        #expect(bench.records.map(\.src.packetCount) == [1, 2])
        #expect(bench.records.map(\.isNewFlow) == [true, false])
        // A late packet, still inside the window, belongs to its own second.
        bench.inject(FlowTableBench.packet(atMs: 2950, proto: IPProtocol.udp, payload: 8))
        #expect(bench.records.map(\.src.packetCount) == [1, 2, 1])
        bench.finish()
        #expect(
            bench.records.map { $0.flowStatTimeNs / 1_000_000_000 - FlowTableBench.startNs / 1_000_000_000 } == [
                0, 2, 3, 2, 8,
            ])
    }

    /// Flows by the time of their last packet: what has waited longer than its idle time is taken out, the rest stays.
    @Test func timedOutPartition() {
        var bench = FlowTableBench()
        for (index, second) in [10, 20, 40, 60, 60, 60].enumerated() {
            bench.inject(
                FlowTableBench.packet(
                    atMs: UInt64(second) * 1000, proto: IPProtocol.udp, payload: 8, clientPort: 40_000 + UInt16(index)))
        }
        #expect(bench.counters.closed == 3)
        #expect(bench.concurrent == 3)
    }

    /// Without metrics nothing is reported by the second; the last record holds all that was counted, without
    /// performance. Source: agent-flow.md 8.6.
    @Test func onlyTheLastRecord() throws {
        var bench = FlowTableBench { $0.reportsEachSecond = false }
        bench.inject(FlowTableBench.packet(atMs: 0, flags: 0x02))
        bench.inject(FlowTableBench.packet(atMs: 1500, fromServer: true, flags: 0x12))
        bench.inject(FlowTableBench.packet(atMs: 3000, flags: 0x10))
        bench.finish()
        let only = try #require(bench.records.first)
        #expect(bench.records.count == 1)
        #expect(only.src.packetCount == 2 && only.dst.packetCount == 1)
        #expect(only.src.tcpFlags == 0x12 && only.dst.tcpFlags == 0x12)
        #expect(only.perf.tcp == TCPPerfStats())
    }

    /// Performance is told only where something was measured. Source: agent-flow.md 8.6.
    @Test func protocolOfPerformance() {
        var bench = FlowTableBench { $0.countsL4Performance = true }
        var packet = FlowTableBench.packet(atMs: 0, flags: 0x10, seq: 1, ack: 1)
        packet.window = 100
        bench.inject(packet)
        packet.timeNs += 1_000_000_000
        packet.tcpFlags = 0x11
        bench.inject(packet)
        packet.timeNs += 1_000_000_000
        packet.tcpFlags = 0x10
        bench.inject(packet)
        bench.finish()
        // Nothing yet, a FIN, and from then on the protocol stays.
        #expect(bench.records.map(\.perf.l4Protocol) == [0, 1, 1, 1])
        #expect(bench.records.map(\.perf.tcp.finCount) == [0, 1, 0, 0])
        #expect(bench.records.allSatisfy { $0.hasPerfStats })
    }

    @Test(arguments: [false, true]) func performanceCanBeOff(isL7Enabled: Bool) {
        var bench = FlowTableBench(isL7Enabled: isL7Enabled) { $0.countsL4Performance = false }
        bench.inject(FlowTableBench.packet(atMs: 0, flags: 0x02))
        bench.finish()
        // Statistics exist for L7 alone as well.
        #expect(bench.records.allSatisfy { $0.hasPerfStats == isL7Enabled && $0.perf.tcp.synCount == 0 })
    }

    /// An ICMP echo reply as first packet turns the flow; trap: in IPv6 the number of the reply is another.
    @Test(arguments: [(UInt8(0), true), (8, false), (129, false)]) func echoReplyFirst(type: UInt8, isTurned: Bool) {
        var bench = FlowTableBench()
        var packet = FlowTableBench.packet(atMs: 0, proto: IPProtocol.icmp, payload: 8)
        packet.l4Protocol = .icmp
        packet.icmpType = type
        bench.inject(packet)
        bench.finish()
        #expect((bench.records.first?.src.packetCount == 0) == isTurned)
    }

    /// A message that turns its flow round is logged as seen from the flow's new ends. Source: agent-flow.md 12.
    @Test func observationPointOfATurnedFlow() throws {
        let server = EndpointLabeler.Local(mac: 0x0200_0000_0304, ip: IPAddress(v4: 0x0a01_0101))
        var map = FlowMap(
            settings: FlowMap.Settings(), labeler: EndpointLabeler(forwardTable: [server]),
            l7: L7Stage(engine: L7Engine(settings: L7Settings())), clockNs: FlowTableBench.startNs)
        // The server's acknowledgement is captured first: it is taken for the client until a request comes to it.
        let request = Array("GET /a HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        let frames = [
            SampleFrames.ipv4(6, SampleFrames.tcp(from: 6000, to: 5000, flags: 0x10, payload: [])),
            SampleFrames.ipv4(6, SampleFrames.tcp(from: 5000, to: 6000, payload: request), from: 2, to: 1),
        ]
        for (index, ip) in frames.enumerated() {
            let frame = SampleFrames.ethernet(0x0800) + ip
            var packet = MetaPacket()
            try #require(PacketParser.parse(frame.span.bytes, link: .ethernet, originalLength: 0, into: &packet))
            packet.timeNs = FlowTableBench.startNs + UInt64(index)
            if index == 1 { swap(&packet.macSrc, &packet.macDst) }
            if index == 0 { packet.macSrc = server.mac } else { packet.macDst = server.mac }
            packet.l2End0 = index == 0
            packet.l2End1 = index == 1
            let hash = FlowMap.hash(&packet)
            map.inject(&packet, hash: hash, frame: frame.span.bytes)
        }
        #expect(map.counters.new == 1)
        let messages = map.l7.output.messages.all
        try #require(messages.count == 1)
        #expect(messages[0].log.base.tapSide == TapSide.server.rawValue)
        #expect(messages[0].log.base.portDst == 6000)
    }
}
