import Model
import Testing

@testable import Pipeline

/// ZeroMQ message transport protocol by RFC 23 and RFC 37.
@Suite struct ZMTPTests {
    static let signature: [UInt8] = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]

    /// Minor version, mechanism, as-server, filler.
    static func rest(_ minor: UInt8 = 1, _ mechanism: String = "NULL") -> [UInt8] {
        [minor] + Array(mechanism.utf8) + [UInt8](repeating: 0, count: 20 - mechanism.utf8.count + 32)
    }

    static let greeting = signature + [3] + rest()

    static func command(_ name: String, _ data: [UInt8] = []) -> [UInt8] {
        [4, UInt8(1 + name.utf8.count + data.count), UInt8(name.utf8.count)] + Array(name.utf8) + data
    }

    static func ready(_ type: String) -> [UInt8] {
        let name = Array("Socket-Type".utf8)
        return command("READY", [UInt8(name.count)] + name + [0, 0, 0, UInt8(type.utf8.count)] + Array(type.utf8))
    }

    static func message(_ text: String, more: Bool = false) -> [UInt8] {
        [more ? 1 : 0, UInt8(text.utf8.count)] + Array(text.utf8)
    }

    @Test func detection() {
        let cases: [([UInt8], Bool)] = [
            (Self.signature, true), (Self.greeting, true), (Self.rest(), true), ([3] + Self.rest(0, "CURVE"), true),
            (Self.rest(2), false), (Self.rest(1, "NONE"), false), (Self.ready("REQ"), true),
            (Self.command("HELLO", [0, 0]), true), (Self.command("UNHEARDOF"), false), (Self.message("hello"), false),
            (Array(Self.ready("REQ").dropLast()), false), ([0xff] + [UInt8](repeating: 9, count: 8) + [0x7f], false),
            ([0, 0, 0, 0, 0, 0], false),
        ]
        for (bytes, expected) in cases {
            let found = ZMTPParser.detects(bytes.span.bytes)
            #expect(found == expected)
            if expected { #expect(ZMTPParser.mayDetect(bytes.span.bytes.le32(at: 0))) }
        }
    }

    @Test func greetings() {
        let cases: [([UInt8], String)] = [
            (Self.signature, ""), (Self.signature + [3], "3"), (Self.greeting, "3.1"), (Self.rest(0), "3.0"),
            ([3] + Self.rest(1, "PLAIN"), "3.1"),
        ]
        for (bytes, version) in cases {
            var bench = L7ParserTests.Bench(.zmtp)
            let (result, out) = bench.feed(bytes)
            #expect(result == .parsed && out.count == 1, "a part is sent alone, too")
            #expect(out.first?.log.requestType == "Greeting")
            #expect(out.first?.log.version == version)
        }
    }

    @Test func requestAndReply() {
        var bench = L7ParserTests.Bench(.zmtp)
        #expect(bench.feed(Self.greeting + Self.ready("REQ")).1.count == 2)
        #expect(bench.feed(Self.greeting + Self.ready("REP"), .serverToClient).1.count == 2)
        let (_, request) = bench.feed(Self.message("", more: true) + Self.message("hello"))
        #expect(request.map(\.type) == [.request], "the delimiter tells nothing")
        #expect(request.first?.log.requestLength == 5)
        let (_, reply) = bench.feed(Self.message("world"), .serverToClient)
        #expect(reply.map(\.type) == [.response])
        #expect(reply.first?.log.responseLength == 5)
    }

    @Test func subscriptions() {
        var bench = L7ParserTests.Bench(.zmtp)
        _ = bench.feed(Self.ready("SUB"))
        let (_, out) = bench.feed(Self.command("SUBSCRIBE", Array("news".utf8)))
        #expect(out.first?.log.requestResource == "news")
        #expect(out.first?.log.requestDomain == "news")
        let (_, messages) = bench.feed(Self.message("news", more: true) + Self.message("1"), .serverToClient)
        #expect(messages.map(\.type) == [.session, .session])
    }

    @Test func errors() {
        let reason: [UInt8] = [3] + Array("400".utf8)
        let cases: [([UInt8], PacketDirection, L7ResponseStatus)] = [
            (Self.command("ERROR", reason), .serverToClient, .serverError),
            (Self.command("ERROR", reason), .clientToServer, .clientError),
            ([4, 9] + Array("^RROR".utf8) + reason, .serverToClient, .serverError),
        ]
        for (bytes, direction, status) in cases {
            var bench = L7ParserTests.Bench(.zmtp)
            let (_, out) = bench.feed(bytes, direction)
            #expect(out.first?.log.responseException == "400")
            #expect(out.first?.log.responseStatus == status.rawValue)
        }
    }

    @Test func cuts() {
        let all = Self.ready("REQ") + Self.message("hello")
        var bench = L7ParserTests.Bench(.zmtp)
        for count in Self.ready("REQ").count + 1..<all.count {
            #expect(bench.feed(Array(all[..<count]), mayWait: true).0 == .incomplete)
        }
        #expect(bench.feed(all, mayWait: true).1.count == 2)
    }

    @Test func restOfALargeMessageIsPassedOver() {
        var bench = L7ParserTests.Bench(.zmtp)
        let large: [UInt8] = [2, 0, 0, 0, 0, 0, 0, 0x10, 0] + [UInt8](repeating: 0, count: 4096)
        let start = bench.feed(Array(large[..<1000]))
        #expect(start.1.isEmpty, "it is logged as a whole only")
        #expect(bench.feed(Array(large[1000..<3000])).1.isEmpty)
        let (_, out) = bench.feed(Array(large[3000...]) + Self.message("next"))
        #expect(out.count == 1)
        #expect(out.first?.log.requestLength == 4)
        #expect(bench.feed([3]).0 == .failed)
    }
}
