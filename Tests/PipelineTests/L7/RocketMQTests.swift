import Model
import Testing

@testable import Pipeline

/// RocketMQ remoting protocol: both forms of the header.
@Suite struct RocketMQTests {
    static func be16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    static func be32(_ value: Int) -> [UInt8] { be16(value >> 16 & 0xffff) + be16(value & 0xffff) }

    static func frame(_ header: [UInt8], body: [UInt8] = [], type: Int = 0) -> [UInt8] {
        be32(4 + header.count + body.count) + be32(type << 24 | header.count) + header + body
    }

    static func json(
        code: Int, flag: Int = 0, opaque: Int = 7, remark: String? = nil, fields: String = "", body: [UInt8] = []
    ) -> [UInt8] {
        var text = #"{"code":\#(code),"extFields":{\#(fields)},"flag":\#(flag),"language":"JAVA","#
        text += #""opaque":\#(opaque),"#
        if let remark { text += #""remark":"\#(remark)","# }
        text += #""serializeTypeCurrentRPC":"JSON","version":293}"#
        return frame(Array(text.utf8), body: body)
    }

    static func binary(code: Int, flag: Int, opaque: Int, remark: String, fields: [(String, String)]) -> [UInt8] {
        var ext: [UInt8] = []
        for (name, value) in fields {
            ext += be16(name.utf8.count) + Array(name.utf8) + be32(value.utf8.count) + Array(value.utf8)
        }
        var header = be16(code) + [9] + be16(293)
        header += be32(opaque) + be32(flag)
        header += be32(remark.utf8.count) + Array(remark.utf8)
        header += be32(ext.count) + ext
        return frame(header, type: 1)
    }

    @Test func sentMessage() {
        let fields =
            #""a":"makers","b":"topic","e":"3","#
            + #""i":"UNIQ_KEY\u0001k1\u0002traceparent\u000100-aa-bb-01\u0002WAIT\u0001true""#
        var bench = L7ParserTests.Bench(.rocketMQ)
        let bytes = Self.json(code: 310, fields: fields, body: Array("hello".utf8))
        let (result, out) = bench.feed(bytes)
        #expect(result == .parsed && out.count == 1)
        guard let message = out.first else { return }
        #expect(message.type == .request)
        #expect(message.sessionID == 7 && message.hasSessionID)
        #expect(message.log.requestType == "SEND_MESSAGE_V2")
        #expect(message.log.version == "V4_4_0")
        #expect(message.log.requestDomain == "makers")
        #expect(message.log.requestResource == "topic")
        #expect(message.log.endpoint == "topic-3")
        #expect(message.log.requestLength == Int32(bytes.count - 4))
        #expect(message.log.ext?.requestID == 7)
        #expect(message.log.ext?.xRequestID0 == "k1" && message.log.ext?.xRequestID1 == "k1")
        #expect(message.log.trace?.traceIDs == ["aa"] && message.log.trace?.spanID == "bb")
    }

    @Test(arguments: [
        (0, "SUCCESS", L7ResponseStatus.ok), (17, "no topic", .clientError), (1, "", .serverError), (19, "", .ok),
        (999, "x", .parseFailed),
    ])
    func answers(_ code: Int, _ remark: String, _ status: L7ResponseStatus) {
        for bytes in [
            Self.json(code: code, flag: 1, remark: remark),
            Self.binary(code: code, flag: 1, opaque: 7, remark: remark, fields: [("msgId", "1")]),
        ] {
            var bench = L7ParserTests.Bench(.rocketMQ)
            let (_, out) = bench.feed(bytes, .serverToClient)
            #expect(out.first?.type == .response)
            #expect(out.first?.log.responseStatus == status.rawValue)
            #expect(out.first?.log.responseCode == Int32(code))
            #expect(out.first?.log.responseException == remark)
            #expect(out.first?.log.requestType == "")
        }
    }

    @Test func oneWay() {
        var bench = L7ParserTests.Bench(.rocketMQ)
        let fields = [("consumerGroup", "takers"), ("topic", "t"), ("queueId", "0")]
        let (_, out) = bench.feed(Self.binary(code: 15, flag: 2, opaque: -1, remark: "", fields: fields))
        #expect(out.first?.type == .session)
        #expect(out.first?.log.requestDomain == "takers")
        #expect(out.first?.log.endpoint == "t-0")
        #expect(out.first?.log.responseStatus == L7ResponseStatus.ok.rawValue)
        #expect(out.first?.log.responseCode == 0)
        #expect(out.first?.log.ext?.requestID == .max)
    }

    @Test func traceOfAPulledMessage() {
        let properties = "KEY\u{1}k\u{2}sw8\u{1}1-dHJhY2U=-c2Vn-3-x\u{2}"
        var body = [UInt8](repeating: 0, count: 84)
        body += Self.be32(2)
        body += [1, 2, 1, 116]
        body += Self.be16(properties.utf8.count) + Array(properties.utf8)
        var bench = L7ParserTests.Bench(.rocketMQ)
        let (_, out) = bench.feed(Self.json(code: 0, flag: 1, remark: "FOUND", body: body), .serverToClient)
        #expect(out.first?.log.ext?.xRequestID0 == "k")
        #expect(out.first?.log.trace?.traceIDs == ["trace"])
        #expect(out.first?.log.trace?.spanID == "seg-3")
    }

    @Test(arguments: [
        (0, "V3_0_0_SNAPSHOT"), (15, "V3_0_0_FINAL"), (16, "V3_0_1_SNAPSHOT"), (17, "V3_0_1"), (293, "V4_4_0"),
        (395, "V4_9_1"), (611, "V5_9_9"), (612, ""), (-1, ""),
    ])
    func versions(_ number: Int, _ name: String) { #expect(RocketMQVersion.name(number) == name) }

    @Test func detection() {
        let cases: [([UInt8], Bool)] = [
            (Self.json(code: 34), true), (Self.json(code: 5), false), (Self.json(code: 0, flag: 1), true),
            (Self.json(code: 34, flag: 4), false), (Self.frame(Array("{}".utf8)), false), ([0, 0, 0, 0, 0, 0], false),
            (Self.binary(code: 105, flag: 0, opaque: 1, remark: "", fields: []), true),
            (Self.frame([UInt8](repeating: 0, count: 40), type: 1), false),
        ]
        for (bytes, expected) in cases {
            let found = RocketMQParser.detects(bytes.span.bytes)
            #expect(found == expected)
            if expected { #expect(RocketMQParser.mayDetect(bytes.span.bytes.le32(at: 0))) }
        }
    }

    @Test func severalAndCut() {
        let first = Self.json(code: 34)
        let all = first + Self.json(code: 0, flag: 1, opaque: 8, body: [1, 2, 3])
        var bench = L7ParserTests.Bench(.rocketMQ)
        #expect(bench.feed(all).1.count == 2)
        for count in first.count + 1..<all.count {
            #expect(bench.feed(Array(all[..<count]), mayWait: true).0 == .incomplete)
            #expect(bench.feed(Array(all[..<count])).0 == .parsed)
        }
        // A body may end behind the payload: its length is what is there.
        #expect(bench.feed(Array(all.dropLast())).1.last?.log.responseLength == Int32(all.count - first.count - 5))
    }
}
