import Model
import Samples
import Testing

@testable import Pipeline

@Suite struct KafkaTests {
    typealias D = SampleData

    private static func produce(_ batch: [UInt8], acknowledgements: Int = 1) -> [UInt8] {
        D.be16(0xffff) + D.be16(acknowledgements) + D.be32(100) + D.be32(1) + D.kafkaText("orders") + D.be32(1)
            + D.be32(3)
            + D.be32(batch.count) + batch
    }

    private static let versions = D.kafkaRequest(18, 3, 1, [0] + D.compact("lib") + D.compact("1") + [0])

    @Test(arguments: [
        (versions, true), (D.kafkaRequest(18, 0, 1), true), (D.kafkaRequest(18, 3, 1, [0] + D.compact("lib")), false),
        (D.kafkaRequest(3, 9, 1, [0]), false), (D.kafkaRequest(0, 7, 1, produce([])), true),
        (D.kafkaRequest(18, 0, 1, client: ""), false), (D.kafkaRequest(18, 0, 1) + [0], false),
        (D.kafkaRequest(18, 99, 1), false), ([0, 0, 0, 0, 0, 0], false),
        (D.kafkaRequest(11, 2, 1, D.kafkaText("g")), true),
        (D.kafkaRequest(0, 7, 1, Array(produce([]).dropLast(2))), false),
    ])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        let context = L7ParseContext(
            direction: .clientToServer, l4Protocol: .tcp, payloadSize: bytes.count, mayWait: false)
        #expect(KafkaParser.detects(bytes.span.bytes, context) == expected)
    }

    @Test func produceWithTraces() {
        var flow = Conversation(.kafka)
        let batch = D.recordBatch([("traceparent", "00-aa-bb-01"), ("other", "x"), ("sw8", "1-YQ==-Yg==-3-x")])
        let request = flow.send(D.kafkaRequest(0, 7, 5, Self.produce(batch))).first?.log
        #expect(request?.requestType == "Produce")
        #expect(request?.endpoint == "orders-0")
        #expect(request?.requestDomain == "orders")
        #expect(request?.requestResource == "")
        #expect(request?.trace?.traceIDs == ["aa", "a"])
        #expect(request?.trace?.spanID == "b-3")
        let response = flow.answer(
            D.kafkaResponse(
                5,
                D.be32(1) + D.kafkaText("orders") + D.be32(1) + D.be32(3) + D.be16(6) + D.be64(9) + D.be64(1)
                    + D.be64(1)))
        #expect(response.first?.log.requestResource == "orders-3:9")
        #expect(response.first?.log.responseCode == 6)
        #expect(response.first?.log.responseStatus == L7ResponseStatus.serverError.rawValue)
        #expect(response.first?.log.version == "7")
        #expect(flow.answer(D.kafkaResponse(5)).isEmpty, "an unknown id")
    }

    @Test func aNullKeyHidesTraces() {
        var flow = Conversation(.kafka)
        let batch = D.recordBatch([("sw8", "1-YQ==-Yg==-3-x")], hasKey: false)
        #expect(flow.send(D.kafkaRequest(0, 7, 5, Self.produce(batch))).first?.log.trace == nil)
    }

    @Test func theSessionKnowsThePartition() {
        var flow = Conversation(.kafka)
        var all = flow.send(D.kafkaRequest(0, 7, 5, Self.produce([])))
        all += flow.answer(
            D.kafkaResponse(
                5,
                D.be32(1) + D.kafkaText("orders") + D.be32(1) + D.be32(3) + D.be16(0) + D.be64(9) + D.be64(1)
                    + D.be64(1)))
        let logs = Conversation.joined(all)
        #expect(logs.map(\.endpoint) == ["orders-3"])
        #expect(logs.map(\.requestResource) == ["orders-3:9"])
    }

    /// Layout of a Fetch request and its response in every version.
    @Test(arguments: 0...16)
    func fetch(_ version: Int) {
        let isFlexible = version >= 12
        let tags: [UInt8] = isFlexible ? [0] : []
        let one: [UInt8] = isFlexible ? [2] : D.be32(1)
        let topic =
            version >= 13
            ? (1...16).map { UInt8($0) } : isFlexible ? D.compact("logs") : D.kafkaText("logs")
        let prefix = version < 3 ? 12 : version == 3 ? 16 : version < 7 ? 17 : version < 15 ? 25 : 21
        var body = tags + [UInt8](repeating: 0, count: prefix) + one + topic + one + D.be32(4)
        if version >= 9 { body += D.be32(0) }
        body += D.be64(77)
        body += [UInt8](repeating: 0, count: version >= 12 ? 16 : version >= 5 ? 12 : 4) + tags + tags
        let name = version >= 13 ? "01020304-0506-0708-090a-0b0c0d0e0f10" : "logs"
        var flow = Conversation(.kafka)
        let request = flow.send(D.kafkaRequest(1, version, 9, body)).first?.log
        #expect(request?.requestResource == "\(name)-4:77")
        #expect(request?.endpoint == "\(name)-4")
        var answer =
            tags + (version >= 1 ? D.be32(0) : []) + (version >= 7 ? D.be16(0) + D.be32(0) : []) + one + topic + one
        answer +=
            D.be32(4) + D.be16(1) + D.be64(80) + (version >= 4 ? D.be64(80) : []) + (version >= 5 ? D.be64(0) : [])
        if version >= 4 { answer += one + D.be64(1) + D.be64(2) + tags }
        if version >= 11 { answer += D.be32(-1) }
        answer += (isFlexible ? [4] : D.be32(3)) + [1, 2, 3] + tags + tags
        let response = flow.answer(D.kafkaResponse(9, answer)).first?.log
        #expect(response?.responseCode == 1)
        #expect(response?.requestDomain == name)
        #expect(response?.requestResource == "")
    }

    @Test(
        arguments: [
            (11, 1, [UInt8](), [0, 25]), (11, 2, [], [0, 0, 0, 0, 0, 25]), (11, 7, [0], [0, 0, 0, 0, 0, 0, 25]),
            (13, 0, [], [0, 25]), (13, 4, [0], [0, 0, 0, 0, 0, 0, 25]), (14, 1, [], [0, 0, 0, 0, 0, 25]),
            (14, 5, [0], [0, 0, 0, 0, 0, 0, 25]),
        ] as [(Int, Int, [UInt8], [UInt8])])
    func groups(_ key: Int, _ version: Int, _ tags: [UInt8], _ answer: [UInt8]) {
        var flow = Conversation(.kafka)
        let name = tags.isEmpty ? D.kafkaText("group") : D.compact("group")
        let request = flow.send(D.kafkaRequest(key, version, 3, tags + name)).first?.log
        #expect(request?.ext?.attributeValues == ["group"])
        #expect(flow.answer(D.kafkaResponse(3, answer)).first?.log.responseCode == 25)
    }

    @Test func severalRequestsAndOtherKinds() {
        var flow = Conversation(.kafka)
        flow.send(Self.versions)
        #expect(flow.answer(D.kafkaResponse(1, [0, 0, 1])).first?.log.responseStatus == L7ResponseStatus.ok.rawValue)
        let all = flow.send(D.kafkaRequest(3, 9, 2, [0]) + D.kafkaRequest(12, 4, 3, [0]))
        #expect(all.map(\.log.requestType) == ["Metadata", "Heartbeat"])
        let answers = flow.answer(D.kafkaResponse(3, [0, 0]) + D.kafkaResponse(2, [0]))
        #expect(answers.map(\.log.requestType) == ["Heartbeat", "Metadata"])
        #expect(answers.map(\.log.responseCode) == [-2, -2])
        #expect(answers.map(\.sessionID) == [3, 2])
    }

    @Test func longMessagesArePassedOver() {
        var flow = Conversation(.kafka)
        flow.send(Self.versions)
        let long = D.kafkaRequest(0, 7, 5, Self.produce([UInt8](repeating: 3, count: 9000)))
        var all = flow.send(Array(long[..<1448]))
        for start in stride(from: 1448, to: long.count, by: 1448) {
            let part = Array(long[start..<min(start + 1448, long.count)])
            all += flow.send(part.count == 1448 ? part : part + D.kafkaRequest(12, 4, 6, [0]))
        }
        #expect(all.map(\.log.requestType) == ["Produce", "Heartbeat"])
    }
}
