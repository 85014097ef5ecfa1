import Model
import Testing

@testable import Pipeline

@Suite struct PingTests {
    static func echo(_ type: UInt8, code: UInt8 = 0, data: Int = 56) -> [UInt8] {
        [type, code, 0xaa, 0xbb, 0x12, 0x34, 0, 9] + [UInt8](repeating: 1, count: data)
    }

    @Test(arguments: [(8, 0), (128, 129)] as [(UInt8, UInt8)])
    func requestAndReply(_ request: UInt8, _ reply: UInt8) {
        var bench = L7ParserTests.Bench(.ping)
        bench.l4 = .icmp
        let message = bench.feed(Self.echo(request)).1.first
        #expect(message?.type == .request && message?.sessionID == 0x1234_0009)
        #expect(message?.log.requestResource == "4660" && message?.log.ext?.requestID == 9)
        #expect(message?.log.requestLength == 56)
        #expect(message?.log.responseStatus == L7ResponseStatus.unknown.rawValue)
        let answer = bench.feed(Self.echo(reply, data: 0), .serverToClient).1.first
        #expect(answer?.type == .response && answer?.isReversed == false)
        #expect(answer?.log.responseLength == 0 && answer?.log.responseStatus == L7ResponseStatus.ok.rawValue)
        #expect(bench.feed(Self.echo(request), .serverToClient).1.first?.isReversed == true)
    }

    @Test(arguments: [echo(3), echo(8, code: 1), echo(135), Array(echo(8).prefix(7)), []])
    func otherMessages(_ bytes: [UInt8]) {
        let found = PingParser.detects(bytes.span.bytes)
        #expect(!found)
        var bench = L7ParserTests.Bench(.ping)
        #expect(bench.feed(bytes).0 == .failed)
    }

    /// From the engine: ICMP has no ports, and a reply that comes first tells who is the server.
    @Test func engineReadsEchoesOnly() {
        var settings = L7Settings()
        settings.enabled = [.http1]
        let without = L7Engine(settings: settings)
        let readsWithout = without.readsEchoes
        #expect(!readsWithout)
        settings.enabled = [.ping]
        var engine = L7Engine(settings: settings)
        let reads = engine.readsEchoes
        #expect(reads)
        var out = L7Output()
        let slot = engine.open(flow: L7FlowIdentity(flowID: 1, serverIP: IPAddress(v4: 1), serverPort: 0), nowSec: 1)
        var packet = L7Packet()
        packet.l4Protocol = .icmp
        packet.timeNs = 1_000_000_000
        let reply = Self.echo(129)
        let outcome = engine.parse(slot: slot, packet: packet, payload: reply.span.bytes, into: &out)
        #expect(outcome.result == .parsed && outcome.contradictsFlow && outcome.l7Protocol == .ping)
    }
}
