import Model
import Samples
import Testing

@testable import Pipeline

@Suite struct MQTTTests {
    typealias D = SampleData

    private static let openings: [[UInt8]] = [D.connect(), D.connect(3, name: "MQIsdp"), D.connect(5)]
    private static let others: [[UInt8]] = [
        D.connect(6), D.connect(4, name: "MQTx"), D.publish("a"), Array(D.connect().dropLast()),
        [0x11] + Array(D.connect().dropFirst()), [0x10, 0xff, 0xff, 0xff, 0xff, 1],
    ]

    private func detects(_ bytes: [UInt8]) -> Bool { MQTTParser.detects(bytes.span.bytes) }

    @Test func detection() {
        for bytes in Self.openings { #expect(detects(bytes), "\(bytes)") }
        for bytes in Self.others { #expect(!detects(bytes), "\(bytes)") }
    }

    @Test(arguments: [(3, "3.1"), (4, "3.1.1"), (5, "5.0")] as [(UInt8, String)])
    func connection(_ level: UInt8, _ version: String) {
        var flow = Conversation(.mqtt, follows: false)
        let log = flow.send(D.connect(level, client: "me", name: level == 3 ? "MQIsdp" : "MQTT")).first?.log
        #expect(log?.requestType == "CONNECT")
        #expect(log?.requestDomain == "me")
        #expect(log?.version == version)
        let refused = flow.answer(D.mqtt(0x20, level == 5 ? [0, 0x88, 0] : [0, 3])).first?.log
        #expect(refused?.responseStatus == L7ResponseStatus.serverError.rawValue)
        #expect(refused?.responseCode == (level == 5 ? 0x88 : 3))
    }

    @Test(arguments: [(0, 0), (1, 4), (2, 4), (3, 3), (4, 4), (5, 4), (6, 6)] as [(UInt8, UInt8)])
    func returnCodes(_ code: UInt8, _ status: UInt8) {
        #expect(MQTTPacket.status(code: code, level: 4).rawValue == status)
    }

    @Test func theLastPacketGivesTheTypeOfAll() {
        var flow = Conversation(.mqtt, follows: false)
        flow.send(D.connect())
        let all = flow.send(D.publish("a", qos: 1, id: 1) + D.publish("b"))
        #expect(all.map(\.type) == [.response, .response])
        #expect(all.map(\.log.requestLength) == [7, -1])
        #expect(all.map(\.log.responseLength) == [-1, 5])
        #expect(flow.send(D.publish("a", qos: 1, id: 1) + [0x30, 5]).isEmpty, "one that is cut spoils all")
        #expect(flow.send([0x38] + Array(D.publish("a").dropFirst())).isEmpty, "repeated without acknowledgement")
    }

    @Test(arguments: [4, 5] as [UInt8])
    func exchanges(_ level: UInt8) {
        var flow = Conversation(.mqtt)
        let none: [UInt8] = level == 5 ? [0] : []
        var all = flow.send(D.connect(level)) + flow.answer(D.mqtt(0x20, [0, 0] + none))
        let subscribe = D.mqtt(0x82, D.be16(9) + none + D.kafkaText("a/#") + [1] + D.kafkaText("b") + [0])
        all += flow.send(
            subscribe + D.publish("q1", qos: 1, id: 1, none) + D.publish("q2", qos: 2, id: 2, none)
                + D.publish("q0", none))
        all += flow.answer(D.acknowledge(5, 2) + D.mqtt(0x90, D.be16(9) + none + [1, 0]) + D.acknowledge(4, 1))
        all += flow.send(D.acknowledge(6, 2) + [0xc0, 0]) + flow.answer([0xd0, 0] + D.acknowledge(7, 2))
        // The server has identifiers of its own.
        all += flow.answer(D.publish("s", qos: 1, id: 1, none)) + flow.send(D.acknowledge(4, 1) + [0xe0, 0])
        let logs = Conversation.joined(all)
        let session = LogMessageType.session.rawValue
        let pairs = logs.filter { $0.base.messageType == session && $0.requestType != "DISCONNECT" }
        #expect(
            pairs.map(\.requestType).sorted() == [
                "CONNECT", "PINGREQ", "PUBLISH", "PUBLISH", "PUBLISH", "PUBREL", "SUBSCRIBE",
            ])
        #expect(pairs.map(\.requestResource).filter { !$0.isEmpty }.sorted() == ["a/#,b", "q1", "q2", "s"])
        #expect(logs.filter { $0.base.messageType != session }.map(\.requestResource) == ["q0"])
    }

    @Test func longPublishShowsItsTopic() {
        var flow = Conversation(.mqtt)
        flow.send(D.connect())
        let long = D.publish("big", qos: 1, id: 4, [UInt8](repeating: 0x30, count: 9000))
        var all = flow.send(Array(long[..<1448]))
        for start in stride(from: 1448, to: long.count, by: 1448) {
            let part = Array(long[start..<min(start + 1448, long.count)])
            all += flow.send(part.count == 1448 ? part : part + D.publish("next"))
        }
        #expect(all.map(\.log.requestResource) == ["big", "next"])
    }
}
