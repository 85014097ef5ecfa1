import Model
import Testing

@testable import Pipeline

/// No bytes may stop the engine. Seeds are fixed, so that a failure can be repeated.
@Suite struct L7FuzzTests {
    struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var value = state
            value ^= value >> 33
            value = value &* 0xff51_afd7_ed55_8ccd
            return value ^ value >> 33
        }
    }

    static let protocols = L7Parser.order

    @Test(arguments: protocols)
    func randomBytes(_ proto: L7Protocol) {
        var random = Random(state: UInt64(proto.rawValue))
        for _ in 0..<4000 {
            let count = Int.random(in: 0...200, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            throwAt(proto, [(bytes, Bool.random(using: &random))], &random)
        }
    }

    @Test(arguments: TestVectors.cases(L7VectorTests.protocols))
    func mutatedVectors(_ vector: TestVectors.Case) throws {
        let capture = try TestVectors.capture(vector.pcap)
        let proto = try #require(L7Protocol.named(vector.proto))
        var random = Random(state: UInt64(vector.name.utf8.reduce(7) { $0 &* 31 &+ Int($1) } & 0xffff))
        let packets = capture.packets.prefix(24).map {
            (Array($0.payload.prefix(1500)), $0.portDst == capture.first.portDst)
        }
        for _ in 0..<60 {
            let changed = packets.map { (Self.mutate($0.0, &random), $0.1) }
            throwAt(proto, changed, &random)
        }
    }

    private static func mutate(_ payload: [UInt8], _ random: inout Random) -> [UInt8] {
        var bytes = payload
        for _ in 0..<Int.random(in: 0...6, using: &random) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[at] = [0, 0xff, 0x7f, 0x80, 13, 10].randomElement(using: &random) ?? 0
            case 2: bytes.removeSubrange(at...)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
            default: bytes.remove(at: at)
            }
        }
        return bytes
    }

    /// Detector, engine with and without reassembly, join.
    private func throwAt(_ proto: L7Protocol, _ payloads: [([UInt8], Bool)], _ random: inout Random) {
        var settings = L7Settings()
        settings.restrict(to: proto)
        settings.obfuscated = [.http1, .mysql, .redis]
        settings.reassembly.isEnabled = Bool.random(using: &random)
        settings.reassembly.maxWaiting = 2
        settings.inferenceMaxRetries = 10_000
        var engine = L7Engine(settings: settings)
        var sessions = SessionAggregator(settings: .init())
        var out = L7Output()
        var logs: [L7FlowLog] = []
        let slot = engine.open(
            flow: L7FlowIdentity(flowID: 1, serverIP: IPAddress(v4: 1), serverPort: 80), nowSec: 1)
        var context = L7ParseContext(direction: .clientToServer, l4Protocol: .tcp, payloadSize: 0, mayWait: true)
        var alone = L7Parser(proto) ?? .none
        var obfuscator = SQLObfuscationCache()
        var seq: UInt32 = .max - 50
        for (number, (bytes, toServer)) in payloads.enumerated() {
            var packet = L7Packet()
            packet.timeNs = 1_000_000_000 + UInt64(number) * 1000
            packet.direction = toServer ? .clientToServer : .serverToClient
            packet.portSrc = toServer ? 40000 : 80
            packet.portDst = toServer ? 80 : 40000
            packet.tcpSeq = seq
            packet.l4Protocol = proto == .dns && Bool.random(using: &random) ? .udp : .tcp
            seq &+= UInt32(bytes.count)
            _ = engine.parse(slot: slot, packet: packet, payload: bytes.span.bytes, into: &out)
            context.direction = packet.direction
            context.mayWait = Bool.random(using: &random)
            context.tcpSeq = packet.tcpSeq
            _ = alone.parse(bytes.span.bytes, context, settings, &obfuscator, into: &out)
        }
        _ = engine.close(slot: slot, into: &out)
        for message in out.messages.all { sessions.add(message, nowNs: 0, into: &logs) }
        sessions.endBatch(nowNs: 0, into: &logs)
        sessions.flush(asTimeout: true, nowNs: 0, into: &logs)
        #expect(logs.count <= out.messages.count)
        #expect(sessions.count == 0)
    }
}
