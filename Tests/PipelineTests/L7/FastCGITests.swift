import Model
import Testing

@testable import Pipeline

@Suite struct FastCGITests {
    static func record(_ type: UInt8, _ content: [UInt8], id: UInt8 = 1, padding: UInt8 = 0) -> [UInt8] {
        [1, type, 0, id, UInt8(content.count >> 8), UInt8(content.count & 255), padding, 0] + content
            + [UInt8](repeating: 0, count: Int(padding))
    }

    static func params(_ pairs: [(String, String)], id: UInt8 = 1) -> [UInt8] {
        record(
            4,
            pairs.flatMap { name, value -> [UInt8] in
                let long = value.utf8.count > 127
                let length = UInt8(truncatingIfNeeded: value.utf8.count)
                return [UInt8(name.utf8.count)] + (long ? [0x80, 0, UInt8(value.utf8.count >> 8), length] : [length])
                    + Array(name.utf8) + Array(value.utf8)
            }, id: id, padding: 3)
    }

    static let begin = record(1, [0, 1, 0, 0, 0, 0, 0, 0])
    static let get = [
        ("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/a?b=1"), ("HTTP_HOST", "h:80"), ("DOCUMENT_URI", "/i.php"),
    ]

    static func output(_ text: String, id: UInt8 = 1) -> [UInt8] {
        record(6, Array(text.utf8), id: id) + record(3, [0, 0, 0, 0, 0, 0, 0, 0], id: id)
    }

    @Test func requestAndResponse() {
        let bytes = Self.begin + Self.params(Self.get) + Self.record(4, []) + Self.record(5, [])
        let isDetected = FastCGIParser.detects(bytes.span.bytes)
        #expect(isDetected)
        var bench = L7ParserTests.Bench(.fastCGI)
        let message = bench.feed(bytes).1.first
        #expect(message?.type == .request && message?.sessionID == 1 && message?.tcpSeqOffset == 16)
        #expect(message?.log.version == "1" && message?.log.requestType == "GET")
        #expect(message?.log.requestDomain == "h:80" && message?.log.requestResource == "/a?b=1")
        #expect(message?.log.endpoint == "/i.php")
        let answer = bench.feed(Self.output("Status: 404 Not Found\r\nA: b\r\n\r\nx"), .serverToClient).1.first
        #expect(answer?.type == .response && answer?.log.responseCode == 404)
        #expect(answer?.log.responseStatus == L7ResponseStatus.clientError.rawValue)
    }

    @Test(
        arguments: [
            ("Content-type: text/html\r\n\r\n", 200), ("A: b\r\nStatus: 503 x\r\n\r\n", 503),
            ("A: b\r\n\r\nStatus: 500 x\r\n", 200),
            ("status: 500 x\r\n\r\n", 200), ("Status: 20\r\n\r\n", nil), ("Status: abc\r\n\r\n", nil),
            ("no header", nil),
            (": x\r\n\r\n", nil), ("A:\r\n\r\n", nil), ("", nil),
        ] as [(String, Int32?)])
    func responseCode(_ text: String, _ code: Int32?) {
        var bench = L7ParserTests.Bench(.fastCGI)
        #expect(bench.feed(Self.output(text), .serverToClient).1.first?.log.responseCode == code)
    }

    @Test func parameters() {
        var bench = L7ParserTests.Bench(.fastCGI)
        bench.settings.trace.set(traceNames: ["http_traceparent", "sw8"])
        bench.settings.trace.set(xRequestIDHeaders: ["http_x_request_id"])
        let long = String(repeating: "v", count: 300)
        let message = bench.feed(
            Self.params([
                ("REQUEST_METHOD", "POST"), ("SCRIPT_NAME", "/s"), ("REQUEST_URI", ""), ("LONG", long),
                ("HTTP_TRACEPARENT", "t1"), ("HTTP_X_REQUEST_ID", "r1"), ("CONTENT_LENGTH", "12"),
            ])
        ).1.first
        #expect(message?.log.requestResource == "/s" && message?.log.endpoint == "")
        #expect(message?.log.trace?.traceIDs == ["t1"] && message?.log.ext?.xRequestID0 == "r1")
        #expect(bench.feed(Self.params(Self.get + [("CONTENT_LENGTH", "x")])).0 == .failed)
        #expect(bench.feed(Self.params([("REQUEST_URI", "/")])).0 == .failed)
    }

    @Test(
        arguments: [
            (params(get), true), (begin, false), (params([("REQUEST_METHOD", "BREW")]), false),
            (output("A: b\r\n"), false),
            (record(6, [1]) + params(get), false), (record(12, []) + params(get), false),
            ([2] + params(get).dropFirst(), false),
        ] as [([UInt8], Bool)])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        let found = FastCGIParser.detects(bytes.span.bytes)
        #expect(found == expected)
    }

    @Test func severalAndCutMessages() {
        var bench = L7ParserTests.Bench(.fastCGI)
        let one = Self.begin + Self.params(Self.get) + Self.record(4, [])
        let (_, out) = bench.feed(
            one + Self.record(1, [UInt8](repeating: 0, count: 8), id: 2) + Self.params(Self.get, id: 2))
        #expect(out.map(\.sessionID) == [1, 2])
        #expect(bench.feed(Array(one.prefix(60)), mayWait: true).0 == .incomplete)
        #expect(
            bench.feed(one + Self.record(5, [UInt8](repeating: 65, count: 99)).prefix(30), mayWait: true).0
                == .incomplete)
        let answers = Self.output("A: b\r\n\r\n") + Self.output("Status: 302 x\r\n\r\n", id: 2)
        #expect(bench.feed(answers, .serverToClient).1.map(\.log.responseCode) == [200, 302])
        #expect(
            bench.feed(Array(Self.output("A: b\r\nC: d").prefix(15)), .serverToClient, mayWait: true).0 == .incomplete)
    }
}
