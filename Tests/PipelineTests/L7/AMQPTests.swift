import Model
import Testing

@testable import Pipeline

/// AMQP 0-9-1 by its specification: frames of 4.2.3, methods of its XML.
@Suite struct AMQPTests {
    static let header: [UInt8] = Array("AMQP".utf8) + [0, 0, 9, 1]

    static func be16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    static func be32(_ value: Int) -> [UInt8] { be16(value >> 16) + be16(value & 0xffff) }
    static func short(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
    static func long(_ text: String) -> [UInt8] { be32(text.utf8.count) + Array(text.utf8) }

    static func frame(_ type: UInt8, _ body: [UInt8], channel: Int = 1) -> [UInt8] {
        [type] + be16(channel) + be32(body.count) + body + [0xce]
    }

    static func method(_ classID: Int, _ id: Int, _ arguments: [UInt8] = []) -> [UInt8] {
        frame(1, be16(classID) + be16(id) + arguments)
    }

    @Test func detection() {
        for (bytes, expected) in [
            (Self.header, true), (Array(Self.header.dropLast()), false), (Array("AMQP".utf8) + [0, 1, 0, 0], false),
            (Self.method(10, 10), false),
        ] {
            let found = AMQPParser.detects(bytes.span.bytes)
            #expect(found == expected)
        }
    }

    struct MethodCase {
        var bytes: [UInt8]
        var type: LogMessageType
        var name = ""
        var endpoint = ""
    }

    /// Behind the reserved number.
    static func names(_ names: String...) -> [UInt8] { [0, 0] + names.flatMap(short) }

    static let delivery = [UInt8](repeating: 0, count: 9)

    static let methodCases: [MethodCase] = [
        MethodCase(bytes: method(50, 10, names("q")), type: .request, name: "Queue.Declare", endpoint: "q"),
        MethodCase(bytes: method(50, 11, short("q")), type: .response, endpoint: "q"),
        MethodCase(
            bytes: method(50, 20, names("q", "ex", "rk")), type: .request, name: "Queue.Bind", endpoint: "ex.rk"),
        MethodCase(bytes: method(60, 40, names("", "hello")), type: .session, endpoint: ".hello"),
        MethodCase(
            bytes: method(60, 60, short("tag") + delivery + short("ex") + short("")), type: .session, endpoint: "ex."),
        MethodCase(bytes: method(60, 71, delivery + short("ex") + short("k")), type: .response, endpoint: "ex.k"),
        MethodCase(bytes: method(60, 72, [0]), type: .response),
        MethodCase(bytes: method(10, 61), type: .session),
        MethodCase(bytes: method(90, 20), type: .request, name: "Tx.Commit"),
        MethodCase(bytes: method(85, 11), type: .response),
        MethodCase(bytes: method(40, 30, names("a", "b", "k")), type: .request, name: "Exchange.Bind", endpoint: ".k"),
        MethodCase(bytes: frame(8, [], channel: 0), type: .session),
    ]

    @Test(arguments: methodCases)
    func methods(_ wanted: MethodCase) {
        var bench = L7ParserTests.Bench(.amqp)
        let (result, out) = bench.feed(wanted.bytes)
        #expect(result == .parsed && out.count == 1)
        guard let message = out.first else { return }
        #expect(message.type == wanted.type)
        #expect(message.log.requestType == wanted.name)
        #expect(message.log.endpoint == wanted.endpoint)
        #expect(message.log.requestResource == wanted.endpoint)
        #expect(message.log.version == "v0.9.1")
        let length = Int32(wanted.bytes.count)
        #expect(message.log.requestLength == (wanted.type == .request ? length : -1))
        #expect(message.log.responseLength == (wanted.type == .response ? length : -1))
    }

    @Test func virtualHostUntilTheConnectionIsClosed() {
        var bench = L7ParserTests.Bench(.amqp)
        #expect(bench.feed(Self.header).1.first?.log.requestDomain == "")
        #expect(bench.feed(Self.method(10, 40, Self.short("/shop") + [0, 0])).1.first?.log.requestDomain == "/shop")
        #expect(bench.feed(Self.method(20, 10, [0])).1.first?.log.requestDomain == "/shop")
        #expect(bench.feed(Self.method(10, 51)).1.first?.log.requestDomain == "/shop")
        #expect(bench.feed(Self.frame(8, [])).1.first?.log.requestDomain == "")
    }

    @Test func closedChannelAnswersAndAsks() {
        var bench = L7ParserTests.Bench(.amqp)
        let close = Self.method(20, 40, Self.be16(404) + Self.short("NOT_FOUND") + [0, 50, 0, 10])
        let (_, out) = bench.feed(close, .serverToClient)
        #expect(out.map(\.type) == [.response, .request])
        guard out.count == 2 else { return }
        #expect(out[0].log.responseLength == 0)
        #expect(out[0].log.responseStatus == L7ResponseStatus.clientError.rawValue)
        #expect(out[0].log.responseCode == 404)
        #expect(out[0].log.responseException == "NOT_FOUND")
        #expect(out[1].log.requestType == "Channel.Close")
        #expect(out[1].log.responseStatus == L7ResponseStatus.unknown.rawValue)
    }

    @Test(arguments: [
        (200, LogMessageType.request, L7ResponseStatus.ok), (320, .response, .serverError),
        (530, .response, .clientError), (541, .response, .serverError),
    ])
    func closedConnection(_ code: Int, _ type: LogMessageType, _ status: L7ResponseStatus) {
        var bench = L7ParserTests.Bench(.amqp)
        let (_, out) = bench.feed(Self.method(10, 50, Self.be16(code) + Self.short("bye") + [0, 0, 0, 0]))
        #expect(out.first?.type == type)
        #expect(out.first?.log.responseStatus == status.rawValue)
        #expect(out.first?.log.responseResult == (status == .ok ? "bye" : ""))
        #expect(out.first?.log.responseException == (status == .ok ? "" : "bye"))
    }

    @Test func returnedMessage() {
        var bench = L7ParserTests.Bench(.amqp)
        let text = Self.be16(312) + Self.short("NO_ROUTE") + Self.short("ex") + Self.short("k")
        let (_, out) = bench.feed(Self.method(60, 50, text), .serverToClient)
        #expect(out.first?.type == .session)
        #expect(out.first?.log.endpoint == "ex.k")
        #expect(out.first?.log.responseStatus == L7ResponseStatus.clientError.rawValue)
    }

    /// Content header of Basic with a table of properties.
    static func content(_ table: [UInt8], flags: Int = 0xa000) -> [UInt8] {
        var body = be16(60) + [UInt8](repeating: 0, count: 10) + be16(flags)
        if flags & 0x8000 != 0 { body += short("text/plain") }
        if flags & 0x4000 != 0 { body += short("utf-8") }
        return frame(2, body + be32(table.count) + table)
    }

    static func entry(_ name: String, _ type: Unicode.Scalar, _ value: [UInt8]) -> [UInt8] {
        short(name) + [UInt8(truncatingIfNeeded: type.value)] + value
    }

    static let traceparent = entry("traceparent", "S", long("00-aa-bb-01"))
    static let tables: [(table: [UInt8], trace: String?, span: String?)] = [
        (entry("n", "I", [0, 0, 0, 1]) + traceparent, "aa", "bb"),
        (entry("sw8", "S", long("1-dHJhY2U=-c2Vn-3-x")) + entry("v", "V", []), "trace", "seg-3"),
        (entry("sw3", "S", long("t|s")), "t", "s"),
        (entry("sw6", "S", long("1-dHJhY2U=")), "trace", ""),
        (entry("sw8", "S", long("1-dHJhY2U=-c2Vn-3")) + traceparent, "aa", "bb"),
        (entry("a", "A", [0, 0, 0, 2, 1, 2]) + entry("traceparent", "t", [1]), nil, nil),
    ]

    @Test(arguments: tables)
    func traceHeaders(_ table: [UInt8], _ trace: String?, _ span: String?) {
        for flags in [0xa000, 0xe000, 0x2000] {
            var bench = L7ParserTests.Bench(.amqp)
            let (_, out) = bench.feed(Self.content(table, flags: flags))
            #expect(out.first?.log.trace?.traceIDs.first == trace)
            #expect(out.first?.log.trace?.spanID == span)
        }
    }

    @Test func severalFramesAndCuts() {
        let publish = Self.method(60, 40, [0, 0] + Self.short("ex") + Self.short("k") + [0])
        let header = Self.content([])
        let all = publish + header + Self.frame(3, Array("hello".utf8))
        var bench = L7ParserTests.Bench(.amqp)
        #expect(bench.feed(all).1.count == 3)
        for count in publish.count + 1..<all.count where count != publish.count + header.count {
            #expect(bench.feed(Array(all[..<count]), mayWait: true).0 == .incomplete)
            let (result, out) = bench.feed(Array(all[..<count]))
            #expect(result == .parsed && out.count < 3)
        }
        #expect(bench.feed(Self.method(60, 99)).0 == .failed)
        #expect(bench.feed(publish + Self.method(10, 99)).1.count == 1, "what is not known ends the payload")
        #expect(bench.feed([5, 0, 1, 0, 0, 0, 0, 0xce]).0 == .failed)
    }

    @Test func sessionKeepsWhatTheRequestKnew() {
        var bench = L7ParserTests.Bench(.amqp)
        let (_, request) = bench.feed(Self.method(10, 50, Self.be16(200) + Self.short("bye") + [0, 0, 0, 0]))
        let (_, response) = bench.feed(Self.method(10, 50, Self.be16(541) + Self.short("no") + [0, 0, 0, 0]))
        guard var session = request.first, let answer = response.first else { return }
        session.l7Protocol = .amqp
        withUnsafePointer(to: answer) { session.merge($0) }
        #expect(session.log.responseStatus == L7ResponseStatus.ok.rawValue, "only an unknown status is filled in")
        #expect(session.log.responseLength == answer.log.responseLength)
    }
}
