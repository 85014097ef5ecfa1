import Model
import Testing

@testable import Pipeline

@Suite struct SomeIPTests {
    static func message(
        _ type: UInt8, code: UInt8 = 0, service: UInt16 = 0x1234, method: UInt16 = 7, body: [UInt8] = [1, 2]
    ) -> [UInt8] {
        [
            UInt8(service >> 8), UInt8(service & 255), UInt8(method >> 8), UInt8(method & 255), 0, 0, 0,
            UInt8(body.count + 8),
        ]
            + [0, 3, 0, 5, 1, 2, type, code] + body
    }

    @Test(
        arguments: [
            (0x00, 0, "Request", .request, .unknown, ""), (0x80, 0, "Response", .response, .ok, "No error occurred"),
            (0x81, 2, "Error", .response, .clientError, "The requested Service ID is unknown"),
            (0x80, 1, "Response", .response, .serverError, "An unspecified error occurred"),
            (0x81, 10, "Error", .response, .clientError, "An unexpected message type was received"),
            (0x01, 0, "RequestNoReturn", .session, .unknown, ""), (0x02, 0, "Notification", .session, .unknown, ""),
            (0x20, 0, "TpRequest", .request, .unknown, ""),
        ] as [(UInt8, UInt8, String, LogMessageType, L7ResponseStatus, String)])
    func kinds(
        _ type: UInt8, _ code: UInt8, _ name: String, _ expected: LogMessageType, _ status: L7ResponseStatus,
        _ text: String
    ) {
        var bench = L7ParserTests.Bench(.someIp)
        let fromServer = type & 0x80 != 0 || type == 2
        let message = bench.feed(
            Self.message(type, code: code, body: [0, 0, 0, 1, 9]), fromServer ? .serverToClient : .clientToServer
        ).1.first
        #expect(message?.type == expected && message?.isReversed == false)
        #expect(message?.log.requestType == name && message?.log.version == "Protocol 1 Interface 2")
        #expect(message?.log.requestResource == "4660" && message?.log.endpoint == "7")
        #expect(message?.log.ext?.requestID == 5 && message?.log.ext?.attributeValues == ["3"])
        #expect(message?.log.responseStatus == status.rawValue && message?.log.responseException == text)
        let turned = bench.feed(
            Self.message(type, code: code, body: [0, 0, 0, 1, 9]), fromServer ? .clientToServer : .serverToClient
        ).1.first
        #expect(turned?.isReversed == true)
    }

    @Test(
        arguments: [
            (message(0), true), (message(0x80), true), (message(0) + message(2), true),
            (message(0, body: []) + [0, 0], true),
            (message(0, code: 1), false), (message(3), false), (message(0x80, code: 0x60), false),
            (message(0) + [UInt8](repeating: 0, count: 16), false), (Array(message(0).dropLast()), false),
            (Array(message(0).prefix(15)), false),
        ] as [([UInt8], Bool)])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        let context = L7ParseContext(
            direction: .clientToServer, l4Protocol: .udp, payloadSize: bytes.count, mayWait: false)
        let found = SomeIPParser.detects(bytes.span.bytes, context)
        #expect(found == expected)
    }

    @Test func severalCutSegmentsAndCookies() {
        var bench = L7ParserTests.Bench(.someIp)
        let cookie = Self.message(1, service: 0xffff, method: 0, body: [])
        let (_, out) = bench.feed(cookie + Self.message(0) + Self.message(0x20, body: [0, 0, 0x10, 1, 7]))
        #expect(out.count == 1 && out.first?.tcpSeqOffset == 16)
        #expect(bench.feed(Array(Self.message(0).dropLast()), mayWait: true).0 == .incomplete)
        #expect(bench.feed(Array(Self.message(0).dropLast())).0 == .parsed)
    }
}
