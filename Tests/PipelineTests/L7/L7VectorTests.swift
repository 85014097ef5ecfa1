import Foundation
import Model
import Testing

@testable import Pipeline

@Suite struct L7VectorTests {
    static let protocols: Set<String> = [
        "http", "http2", "grpc", "dns", "mysql", "redis", "kafka", "mongodb", "memcached", "postgresql", "mqtt",
        "sofarpc", "dubbo", "fastcgi", "brpc", "tars", "someip", "amqp", "nats", "openwire", "rocketmq", "pulsar",
        "zmtp",
    ]
    /// The server may speak first, and is taken for the client then (agent-l7.md 4.4, trap).
    static let serverFirst: Set<String> = ["nats", "openwire", "zmtp"]

    /// One flow per 5-tuple, recognised by the engine like live traffic.
    @Test(arguments: TestVectors.cases(protocols).filter(\.isBlackbox))
    func engine(_ vector: TestVectors.Case) throws {
        let capture = try TestVectors.capture(vector.pcap)
        var engine = L7Engine(settings: try TestVectors.settings(vector))
        var out = L7Output()
        var stats = L7PerfStats()
        var otherServers: Set<UInt16> = []
        var slots: [String: Int32] = [:]
        let serverPort = capture.first.portDst
        for packet in capture.packets {
            // Both ends may have one port.
            // A flow to another port begins with its client.
            let isOther = packet.portSrc != serverPort && packet.portDst != serverPort
            if isOther, !otherServers.contains(packet.portSrc) { otherServers.insert(packet.portDst) }
            let toServer =
                isOther
                ? otherServers.contains(packet.portDst)
                : packet.portDst == serverPort
                    && (packet.portSrc != serverPort || packet.ipSrc == capture.first.ipSrc)
            let (server, client) = toServer ? (packet.ipDst, packet.ipSrc) : (packet.ipSrc, packet.ipDst)
            let clientPort = toServer ? packet.portSrc : packet.portDst
            let key = "\(client) \(clientPort) \(server)"
            let nowSec = UInt32(packet.timeNs / 1_000_000_000)
            let slot =
                slots[key]
                ?? engine.open(
                    flow: L7FlowIdentity(
                        flowID: UInt64(slots.count + 1), serverIP: server, serverPort: serverPort,
                        isIPv6: packet.isIPv6), nowSec: nowSec)
            slots[key] = slot
            let first = out.messages.count
            let outcome = engine.parse(
                slot: slot, packet: packet.l7Packet(toServer: toServer), payload: packet.payload.span.bytes, into: &out)
            #expect(
                !outcome.contradictsFlow || Self.serverFirst.contains(vector.proto),
                "packet \(packet.number)")
            stats.merge(out.messages.stats(from: first))
        }
        try compare(vector, out.messages.all, stats)
    }

    /// One parser for the whole file, as the reference does; for captures that a pipeline cannot reproduce.
    @Test(arguments: TestVectors.cases(protocols).filter { !$0.isBlackbox })
    func parserAlone(_ vector: TestVectors.Case) throws {
        let capture = try TestVectors.capture(vector.pcap)
        let settings = try TestVectors.settings(vector)
        let proto = try #require(L7Protocol.named(vector.proto))
        var parser = try #require(L7Parser(proto))
        var obfuscator = SQLObfuscationCache()
        var rrt = RrtCache(capacity: 8192)
        var out = L7Output()
        var stats = L7PerfStats()
        let first = capture.first
        for packet in capture.packets {
            let isByMac = vector.name == "171-mysql"
            let toServer = isByMac ? packet.macSrc == first.macSrc : packet.portDst == first.portDst
            let context = L7ParseContext(
                direction: toServer ? .clientToServer : .serverToClient, l4Protocol: packet.l4,
                payloadSize: packet.payload.count, mayWait: false)
            let start = out.messages.count
            _ = parser.parse(packet.payload.span.bytes, context, settings, &obfuscator, into: &out)
            for number in start..<out.messages.count {
                let message = out.messages[number]
                if message.pointee.type == .response, message.pointee.log.endpoint.isEmpty {
                    message.pointee.log.endpoint =
                        rrt.requestEndpoint(
                            flow: 0, sessionID: nil, isReversed: false, timeUs: packet.timeNs / 1000)?.text ?? ""
                }
                let item = RrtCache.Item(
                    flow: 0, sessionID: nil, isReversed: false, type: message.pointee.type,
                    direction: context.direction, status: message.pointee.log.responseStatus,
                    timeUs: packet.timeNs / 1000, isOnBlacklist: false, needsAggregation: true, merge: nil,
                    endpoint: message.pointee.log.endpoint)
                if let counted = rrt.account(item, rrtTimeoutUs: 10_000_000) { stats.merge(counted) }
                message.pointee.l7Protocol = proto
            }
        }
        try compare(vector, out.messages.all, stats)
    }

    private func compare(_ vector: TestVectors.Case, _ messages: [L7Message], _ stats: L7PerfStats) throws {
        if let file = vector.messagesFile {
            let expected = try TestVectors.load(file)
            #expect(messages.count == expected.count)
            for (number, (want, message)) in zip(expected, messages).enumerated() {
                let have = TestVectors.columns(message)
                for (key, value) in want where !["extra", "attribute_names", "attribute_values"].contains(key) {
                    if key.hasPrefix("captured_"), vector.name == "large-response" || vector.name == "truncate-1024" {
                        continue
                    }
                    if !vector.isBlackbox, key.hasPrefix("captured_") { continue }
                    #expect(
                        TestVectors.same(value, have[key]),
                        "message \(number + 1): \(key) expected \(value) got \(have[key] ?? "nothing")")
                }
                if let names = want["attribute_names"] as? [String],
                    let values = want["attribute_values"] as? [String]
                {
                    let log = message.standalone()
                    for (name, value) in zip(names, values) {
                        if name == "rpc_service" {
                            #expect(log.ext?.rpcService == value, "message \(number + 1): \(name)")
                            continue
                        }
                        let at = log.ext?.attributeNames.firstIndex(of: name)
                        #expect(at.map { log.ext?.attributeValues[$0] } == value, "message \(number + 1): \(name)")
                    }
                }
            }
        }
        if let file = vector.flowFile {
            let expect = try #require(try TestVectors.load(file).first?["expect"] as? [String: Int])
            let have: [String: Int] = [
                "l7_request": Int(stats.requestCount), "l7_response": Int(stats.responseCount),
                "l7_client_error": Int(stats.errClientCount), "l7_server_error": Int(stats.errServerCount),
                "rrt_count": Int(stats.rrtCount), "rrt_sum": Int(stats.rrtSum), "rrt_max": Int(stats.rrtMax),
            ]
            for (key, value) in expect { #expect(have[key] == value, "\(key)") }
        }
    }
}
