import Model
import Samples
import Testing

@testable import Pipeline

@Suite struct MongoDBTests {
    typealias D = SampleData

    private static let ping = D.bson([D.bsonInt("ping", 1), D.bsonText("$db", "admin")])

    @Test(arguments: [
        (D.mongoMessage(7, ping), true), (D.mongoMessage(7, to: 3, ping), false),
        (D.mongoMessage(7, ping) + [0], false),
        (Array(D.mongoMessage(7, ping).prefix(30)), true), (D.mongo(2013, 7, D.le32(8) + [0] + ping), false),
        (D.mongo(2004, 1, D.le32(0) + D.cString("a.b") + D.le32(0) + D.le32(1) + ping), true),
        (D.mongo(2004, 1, D.le32(0) + D.cString("ab") + D.le32(0) + D.le32(1) + ping), false),
        (D.mongo(1, 1, D.le32(0) + ping), false), (D.mongo(2014, 1, D.le32(0) + ping), false),
    ])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        let context = L7ParseContext(
            direction: .clientToServer, l4Protocol: .tcp, payloadSize: bytes.count, mayWait: false)
        #expect(MongoDBParser.detects(bytes.span.bytes, context) == expected)
    }

    @Test func documents() {
        let document = D.bson([
            D.element(1, "d", [0, 0, 0, 0, 0, 0, 0xf8, 0x3f]), D.element(3, "e", D.bson([])),
            D.element(4, "l", D.bson([])),
            D.element(4, "m", D.bson([D.bsonInt("0", -1), D.bsonText("1", "x")])),
            D.element(5, "b", D.le32(2) + [4, 1, 2]), D.element(7, "o", [UInt8](repeating: 0xab, count: 12)),
            D.element(8, "t", [1]), D.element(9, "w", D.le32(0) + D.le32(0)), D.element(10, "n", []),
            D.element(11, "r", D.cString("^a") + D.cString("i")), D.element(17, "s", D.le32(3) + D.le32(9)),
            D.element(18, "i", D.le32(-2) + D.le32(-1)), D.element(0x7f, "x", []), D.element(0xff, "y", []),
        ])
        let text = BSONText.of(document.span.bytes, 0..<document.count).text
        #expect(
            text
                == "{ \"d\": 1.5, \"e\": {}, \"l\": [], \"m\": [-1, \"x\"], \"b\": Binary(0x4, AQI=), "
                + "\"o\": ObjectId(\"abababababababababababab\"), \"t\": true, \"w\": DateTime(\"1970-01-01 0:00:00.0 +00:00:00\"), "
                + "\"n\": null, \"r\": /^a/i, \"s\": Timestamp(9, 3), \"i\": -2, \"x\": MaxKey, \"y\": MinKey }")
        for count in 0..<document.count {
            let cut = BSONText.of(document.span.bytes, 0..<count).text
            #expect(cut.utf8.count <= text.utf8.count + 8)
        }
    }

    @Test(arguments: [
        (1.0, "1"), (-0.5, "-0.5"), (1e21, "1000000000000000000000"), (1.5e-7, "0.00000015"),
        (1e300, "1" + String(repeating: "0", count: 300)),
        (.infinity, "inf"), (123456.789, "123456.789"), (0, "0"), (-1.25e17, "-125000000000000000"),
    ])
    func numbers(_ value: Double, _ text: String) { #expect(RustNumber.text(value) == text) }

    /// Cases of the BSON decimal128 test suite.
    @Test(
        arguments: [
            (0x3040_0000_0000_0000, 1, "1"), (0xb040_0000_0000_0000, 1, "-1"),
            (0x302e_0000_0000_0000, 0x4d2, "0.000001234"),
            (0x303c_0000_0000_0000, 12345, "123.45"), (0x3042_0000_0000_0000, 1, "1E+1"),
            (0x7c00_0000_0000_0000, 0, "NaN"),
            (0xf800_0000_0000_0000, 0, "-Infinity"), (0x3002_0000_0000_0000, 1, "1E-31"),
            (0x3044_0000_0000_0000, 123, "1.23E+4"),
        ] as [(UInt64, UInt64, String)])
    func decimals(_ high: UInt64, _ low: UInt64, _ text: String) {
        #expect(Decimal128Text.of(high: high, low: low) == text)
    }

    @Test func errors() {
        var flow = Conversation(.mongodb)
        let request = flow.send(D.mongoMessage(7, Self.ping)).first
        #expect(request?.log.requestResource == "{ \"ping\": 1, \"$db\": \"admin\" }")
        let answer = flow.answer(
            D.mongoMessage(
                90, to: 7, D.bson([D.bsonInt("ok", 0), D.bsonText("errmsg", "no such command"), D.bsonInt("code", 59)]))
        ).first
        #expect(answer?.log.responseCode == 59)
        #expect(answer?.log.responseException == "no such command")
        #expect(answer?.log.responseStatus == L7ResponseStatus.clientError.rawValue)
        #expect(answer?.log.responseResult == "")
        #expect(answer?.sessionID == request?.sessionID)
    }

    @Test func legacyOperations() {
        var flow = Conversation(.mongodb, follows: false)
        let query = flow.send(D.mongo(2004, 1, D.le32(0) + D.cString("a.b") + D.le32(0) + D.le32(1) + Self.ping)).first?
            .log
        #expect(query?.requestType == "OP_QUERY")
        #expect(query?.requestResource == "{ \"ping\": 1, \"$db\": \"admin\" }")
        for (flags, exception) in [(0, "CursorNotFound"), (1, "QueryFailure"), (2, "ShardConfigStale"), (8, "")] {
            let reply = flow.answer(D.mongo(1, 9, to: 1, D.le32(flags) + [UInt8](repeating: 0, count: 16) + Self.ping))
                .first?.log
            #expect(reply?.responseException == exception)
            #expect(reply?.ext?.requestID == 1)
        }
        let insert = flow.send(D.mongo(2002, 2, D.le32(0) + D.cString("a.b") + Self.ping)).first?.log
        #expect(insert?.responseException == "a.b")
        #expect(insert?.requestResource == query?.requestResource)
        let update = flow.send(D.mongo(2001, 3, D.le32(0) + D.cString("a.b") + D.le32(1) + Self.ping)).first?.log
        #expect(update?.requestResource == query?.requestResource)
        let more = flow.send(D.mongo(2005, 4, D.le32(0) + D.cString("a.b") + [UInt8](repeating: 0, count: 20))).first?
            .log
        // The length, 44, and the NUL behind it.
        #expect(more?.requestResource == ",")
    }

    @Test func longDocumentsAndSequences() {
        var flow = Conversation(.mongodb)
        let insert = D.bson([D.bsonText("insert", "c")])
        let row = D.bson([D.bsonText("v", String(repeating: "x", count: 6000))])
        let bytes = D.mongo(
            2013, 7, D.le32(0) + [0] + insert + [1] + D.le32(4 + 10 + row.count) + D.cString("documents") + row)
        var all = flow.send(Array(bytes[..<1448]))
        for start in stride(from: 1448, to: bytes.count, by: 1448) {
            let part = Array(bytes[start..<min(start + 1448, bytes.count)])
            all += flow.send(
                part.count == 1448 ? part : part + D.mongoMessage(8, Self.ping) + D.mongoMessage(9, flags: 2, Self.ping)
            )
        }
        #expect(all.map { $0.log.ext?.requestID } == [7, 8, 9])
        #expect(all.first?.log.requestResource == "{ \"insert\": \"c\" }")
        #expect(all.map(\.needsSessionAggregation) == [true, true, false])
    }
}
