import Model
import Testing

@testable import Pipeline

@Suite struct TarsTests {
    static func packet(_ fields: [UInt8]) -> [UInt8] { [0, 0, 0, UInt8(fields.count + 4)] + fields }
    static func text(_ tag: UInt8, _ text: String) -> [UInt8] {
        [tag << 4 | 6, UInt8(text.utf8.count)] + Array(text.utf8)
    }

    static let request = packet(
        [0x10, 1, 0x2c, 0x3c, 0x42, 0, 1, 0, 2] + text(5, "App.Srv.Obj") + text(6, "get") + [0x7d, 0, 0x0c])

    static func response(_ result: [UInt8]) -> [UInt8] {
        packet([0x10, 3, 0x2c, 0x31, 1, 0, 0x4c] + result + [0x6d, 0, 0x0c])
    }

    @Test func requestAndResponse() {
        var bench = L7ParserTests.Bench(.tars)
        let message = bench.feed(Self.request).1.first
        #expect(message?.type == .request && message?.hasSessionID == false)
        #expect(message?.log.version == "1" && message?.log.ext?.requestID == 0x10002)
        #expect(message?.log.requestType == "get" && message?.log.requestResource == "App.Srv.Obj")
        #expect(message?.log.endpoint == "App.Srv.Obj/get")
        #expect(message?.log.requestLength == Int32(Self.request.count) && message?.log.responseLength == 0)
        #expect(message?.ownBytes == UInt32(Self.request.count))
        let answer = bench.feed(Self.response([0x5c]), .serverToClient).1.first
        #expect(answer?.type == .response && answer?.log.version == "3" && answer?.log.ext?.requestID == 256)
        #expect(answer?.log.responseStatus == L7ResponseStatus.ok.rawValue && answer?.log.responseCode == 0)
    }

    @Test(
        arguments: [
            ([0x50, 0xff], -1, .serverError), ([0x50, 0xf6], -10, .clientError), ([0x50, 0xf4], -12, .clientError),
            ([0x50, 0xf3], -99, .serverError), ([0x51, 1, 0], -99, .serverError), ([0x50, 0xf7], -9, .serverError),
            ([], L7FlowLog.noCode, .unknown),
        ] as [([UInt8], Int32, L7ResponseStatus)])
    func status(_ field: [UInt8], _ code: Int32, _ status: L7ResponseStatus) {
        var bench = L7ParserTests.Bench(.tars)
        let answer = bench.feed(Self.response(field), .serverToClient).1.first
        #expect(answer?.log.responseCode == code && answer?.log.responseStatus == status.rawValue)
    }

    @Test(
        arguments: [
            (request, true), (response([0x5c]), false), (packet([0x10, 2] + request.dropFirst(6)), false),
            (packet(Array(request.dropFirst(4).prefix(22))), false), (Array(request.prefix(20)), false),
            (packet([0x10, 1, 0x2c, 0x3c, 0x4c] + text(5, "a b") + text(6, "c")), false),
        ] as [([UInt8], Bool)])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        for l4 in [L4Protocol.tcp, .udp] {
            let context = L7ParseContext(
                direction: .clientToServer, l4Protocol: l4, payloadSize: bytes.count, mayWait: false)
            let found = TarsParser.detects(bytes.span.bytes, context)
            #expect(found == expected)
        }
    }

    @Test func cutMessages() {
        var bench = L7ParserTests.Bench(.tars)
        for count in [3, 20, Self.request.count - 1] {
            #expect(bench.feed(Array(Self.request.prefix(count)), mayWait: true).0 == .incomplete, "\(count)")
        }
        #expect(bench.feed(Array(Self.request.dropLast())).0 == .parsed)
        #expect(bench.feed(Self.request + Self.request, mayWait: true).1.count == 1)
        #expect(bench.feed([0, 0, 0, 0, 0, 0]).0 == .failed, "padding")
    }
}
