import Model
import Testing

@testable import Pipeline

/// UDP and ICMP performance. Source: agent-flow.md 11.2, 11.3, 19.3.
struct DatagramPerfTests {
    private static func udp(_ steps: [(us: UInt64, fromServer: Bool)]) -> UDPPerf {
        var perf = UDPPerf()
        for step in steps {
            var packet = FlowTableBench.packet(
                atMs: 0, fromServer: step.fromServer, proto: IPProtocol.udp, payload: 30)
            packet.timeNs += step.us * 1000
            #expect(perf.parse(&packet, direction: step.fromServer ? .serverToClient : .clientToServer))
        }
        return perf
    }

    private static func report(_ perf: inout UDPPerf) -> TCPPerfStats {
        var stats = TCPPerfStats()
        perf.report(into: &stats)
        return stats
    }

    @Test func requestAndReply() {
        var perf = DatagramPerfTests.udp([(0, false), (24_416, true)])
        #expect(perf.isUpdated)
        let stats = DatagramPerfTests.report(&perf)
        #expect(stats.art.max == 24_416 && stats.art.sum == 24_416 && stats.art.count == 1)
        #expect(!perf.isUpdated)
    }

    /// Two requests, two replies: from the second request to the first reply.
    @Test func continuousPackets() {
        var perf = DatagramPerfTests.udp([(0, false), (7, false), (24_416, true), (30_000, true)])
        let stats = DatagramPerfTests.report(&perf)
        #expect(stats.art.max == 24_409 && stats.art.count == 1)
    }

    @Test func aReplyAloneIsNothing() {
        let perf = DatagramPerfTests.udp([(0, true)])
        #expect(!perf.isUpdated)
    }

    @Test func emptyPayloadsAreNotForL7() {
        var perf = UDPPerf()
        var packet = FlowTableBench.packet(atMs: 0, proto: IPProtocol.udp)
        #expect(!perf.parse(&packet, direction: .clientToServer))
    }

    /// Without anything to report the pending request is kept; a report forgets it.
    @Test func aReportForgetsTheRequest() {
        var perf = DatagramPerfTests.udp([(0, false), (10, true), (20, false)])
        _ = DatagramPerfTests.report(&perf)
        var late = FlowTableBench.packet(atMs: 1, fromServer: true, proto: IPProtocol.udp, payload: 30)
        _ = perf.parse(&late, direction: .serverToClient)
        #expect(!perf.isUpdated)
    }

    @Test(
        .enabled(if: CaptureVectors.arePresent, "the L4 captures are absent"),
        arguments: [
            ("udp_normal", UInt32(24_416)), ("udp_continuous_packet", 24_409),
        ])
    func captures(name: String, art: UInt32) throws {
        let packets = try CaptureVectors.packets(name)
        var perf = UDPPerf()
        for packet in packets {
            var packet = packet
            let isClient = packet.ipSrc == packets[0].ipSrc
            _ = perf.parse(&packet, direction: isClient ? .clientToServer : .serverToClient)
        }
        let stats = DatagramPerfTests.report(&perf)
        #expect(stats.art.max == art && stats.art.count == 1)
    }

    private static func echo(atMs: UInt64, reply: Bool, number: UInt32) -> MetaPacket {
        var packet = FlowTableBench.packet(atMs: atMs, fromServer: reply, proto: IPProtocol.icmp, payload: 56)
        packet.l4Protocol = .icmp
        packet.icmpType = reply ? 0 : 8
        packet.icmpIDSeq = number
        return packet
    }

    @Test func echoesArePairedInEitherOrder() {
        let perf = ICMPPerf()
        for packet in [
            DatagramPerfTests.echo(atMs: 0, reply: false, number: 1),
            DatagramPerfTests.echo(atMs: 3, reply: true, number: 1),
            // The reply is captured first, with the later time.
            DatagramPerfTests.echo(atMs: 14, reply: true, number: 2),
            DatagramPerfTests.echo(atMs: 10, reply: false, number: 2),
            // A reply before its request, and one that took too long, are not counted.
            DatagramPerfTests.echo(atMs: 20, reply: true, number: 3),
            DatagramPerfTests.echo(atMs: 21, reply: false, number: 3),
            DatagramPerfTests.echo(atMs: 30, reply: false, number: 4),
            DatagramPerfTests.echo(atMs: 30_031, reply: true, number: 4),
        ] {
            var packet = packet
            perf.parse(&packet)
        }
        var stats = TCPPerfStats()
        perf.report(into: &stats)
        #expect(stats.srt.count == 2 && stats.srt.max == 4000 && stats.srt.sum == 7000)
    }

    /// Of more than sixteen that wait the oldest is forgotten; the others survive a report.
    @Test func sixteenEchoesWait() {
        let perf = ICMPPerf()
        for number in 0..<17 {
            var packet = DatagramPerfTests.echo(atMs: UInt64(number), reply: false, number: UInt32(number))
            perf.parse(&packet)
        }
        var stats = TCPPerfStats()
        perf.report(into: &stats)
        #expect(stats.srt.count == 0)
        for number in 0..<17 {
            var packet = DatagramPerfTests.echo(atMs: 100, reply: true, number: UInt32(number))
            perf.parse(&packet)
        }
        perf.report(into: &stats)
        #expect(stats.srt.count == 16)
    }
}
