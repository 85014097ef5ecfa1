import Model
import Testing

@testable import Pipeline

/// Pulsar binary protocol by PulsarApi.proto.
@Suite struct PulsarTests {
    static func be32(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(value >> (24 - 8 * $0) & 255) } }

    static func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127) | 128] + varint(value >> 7)
    }

    static func number(_ field: Int, _ value: Int) -> [UInt8] { varint(field << 3) + varint(value) }

    static func block(_ field: Int, _ bytes: [UInt8]) -> [UInt8] {
        varint(field << 3 | 2) + varint(bytes.count) + bytes
    }

    static func text(_ field: Int, _ text: String) -> [UInt8] { block(field, Array(text.utf8)) }

    static func frame(_ type: Int, _ body: [UInt8], field: Int? = nil, message: [UInt8] = []) -> [UInt8] {
        let command = number(1, type) + block(field ?? type, body)
        return be32(4 + command.count + message.count) + be32(command.count) + command + message
    }

    static func message(_ metadata: [UInt8], _ payload: [UInt8] = [1, 2]) -> [UInt8] {
        [0x0e, 0x01, 9, 9, 9, 9] + be32(metadata.count) + metadata + payload
    }

    @Test func connectionIsKnown() {
        var bench = L7ParserTests.Bench(.pulsar)
        let connect = Self.text(1, "client") + Self.number(4, 25) + Self.text(6, "broker:6650")
        let (_, first) = bench.feed(Self.frame(2, connect))
        #expect(first.first?.log.version == "21", "never above what is known")
        #expect(first.first?.log.requestDomain == "broker:6650")
        #expect(first.first?.hasSessionID == false)
        let (_, second) = bench.feed(Self.frame(3, Self.text(1, "server") + Self.number(2, 19)), .serverToClient)
        #expect(second.first?.type == .response)
        #expect(second.first?.log.version == "19")
        #expect(second.first?.log.requestDomain == "broker:6650")
    }

    @Test func topicsByNumber() {
        var bench = L7ParserTests.Bench(.pulsar)
        let producer = Self.text(1, "persistent://public/default/orders") + Self.number(2, 4) + Self.number(3, 9)
        let (_, opened) = bench.feed(Self.frame(5, producer))
        #expect(opened.first?.log.endpoint == "orders")
        #expect(opened.first?.sessionID == 9)
        let send = Self.number(1, 4) + Self.number(2, 258) + Self.block(9, Self.number(1, 5) + Self.number(2, 6))
        let properties = Self.block(4, Self.text(1, "TRACEPARENT") + Self.text(2, "00-aa-bb-01"))
        let bytes = Self.frame(6, send, message: Self.message(Self.text(1, "p") + properties))
        let (_, sent) = bench.feed(bytes)
        #expect(sent.first?.type == .request)
        #expect(sent.first?.log.requestResource == "orders")
        let pairedBy: UInt32 = 4 << 16 | 258
        #expect(sent.first?.sessionID == pairedBy)
        #expect(sent.first?.log.ext?.xRequestID0 == "5:6:-1:-1")
        #expect(sent.first?.log.requestLength == Int32(bytes.count - 4))
        #expect(sent.first?.log.trace?.traceIDs == ["aa"])
        var subscribe = Self.text(1, "t") + Self.text(2, "s")
        subscribe += Self.number(3, 0) + Self.number(4, 4) + Self.number(5, 2)
        #expect(bench.feed(Self.frame(4, subscribe)).1.first?.log.endpoint == "t")
        let flow = bench.feed(Self.frame(11, Self.number(1, 4) + Self.number(2, 100))).1.first
        #expect(flow?.log.endpoint == "t" && flow?.type == .session)
        #expect(flow?.log.requestLength ?? 0 > 0)
    }

    static let errorCases: [(type: Int, body: [UInt8], id: UInt32, code: Int32)] = [
        (14, number(1, 3) + number(2, 11) + text(3, "gone"), 3, 11),
        (24, number(4, 3) + number(6, 6) + text(7, "gone"), 3, 6),
        (22, number(2, 3) + number(4, 6) + text(5, "gone"), 3, 6),
        (8, number(1, 1) + number(2, 2) + number(3, 9) + text(4, "gone"), 65538, 9),
        (63, number(1, 3) + number(2, 1) + text(3, "gone"), 3, 1),
    ]

    @Test(arguments: errorCases)
    func errors(_ type: Int, _ body: [UInt8], _ id: UInt32, _ code: Int32) {
        var bench = L7ParserTests.Bench(.pulsar)
        let (_, out) = bench.feed(Self.frame(type, body), .serverToClient)
        #expect(out.first?.type == .response)
        #expect(out.first?.sessionID == id)
        #expect(out.first?.log.responseCode == code)
        #expect(out.first?.log.responseException == "gone")
        #expect(out.first?.log.responseStatus == L7ResponseStatus.serverError.rawValue)
    }

    @Test func statusOfSessions() {
        for (type, expected) in [(13, L7ResponseStatus.unknown), (14, .serverError)] {
            var bench = L7ParserTests.Bench(.pulsar)
            let (_, request) = bench.feed(Self.frame(15, Self.number(1, 1) + Self.number(2, 5)))
            let (_, response) = bench.feed(
                Self.frame(type, Self.number(1, 5) + (type == 14 ? Self.number(2, 1) : [])), .serverToClient)
            guard var session = request.first, let answer = response.first else { return }
            session.l7Protocol = .pulsar
            withUnsafePointer(to: answer) { session.merge($0) }
            #expect(session.log.responseStatus == expected.rawValue)
        }
    }

    @Test func detection() {
        let ping = Self.frame(18, [])
        let cases: [([UInt8], Bool)] = [
            (ping, true), (Array(ping.dropLast()), false), (Self.frame(18, [], field: 19), false),
            (Self.frame(41, []), false),
            ([0, 0, 0, 0, 0, 0], false), (Self.frame(18, [], message: [1, 2, 3]), false),
            (Self.frame(55, Self.number(1, 1)), false), (Self.frame(55, Self.number(1, 1), field: 53), true),
        ]
        for (bytes, expected) in cases {
            let found = PulsarParser.detects(bytes.span.bytes)
            #expect(found == expected)
            if expected { #expect(PulsarParser.mayDetect(bytes.span.bytes.le32(at: 0))) }
        }
    }

    @Test func severalAndCut() {
        let first = Self.frame(18, [])
        let all = first + Self.frame(6, Self.number(1, 1) + Self.number(2, 2), message: Self.message([8, 1]))
        var bench = L7ParserTests.Bench(.pulsar)
        #expect(bench.feed(all).1.count == 2)
        for count in first.count + 1..<all.count {
            #expect(bench.feed(Array(all[..<count]), mayWait: true).0 == .incomplete)
            #expect(bench.feed(Array(all[..<count])).0 == .parsed)
        }
    }
}
