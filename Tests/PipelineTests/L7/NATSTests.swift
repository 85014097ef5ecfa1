import Model
import Testing

@testable import Pipeline

/// NATS client protocol as documented at docs.nats.io.
@Suite struct NATSTests {
    static let info =
        #"INFO {"server_id":"S","server_name":"n\u0031","version":"2.10","go":"go1","host":"::","port":4222,"#
        + #""headers":true,"max_payload":1048576,"connect_urls":["a","b"]} "# + "\r\n"
    static let connect =
        #"CONNECT {"verbose":false,"pedantic":false,"name":"","version":"1.2"}"# + "\r\n"

    static let detectionCases: [(text: String, isDetected: Bool)] = [
        (info, true), (connect, true), ("SUB foo 1\r\n", true), ("sub foo q 1\r\n", true),
        ("UNSUB 1 5\r\n", true), ("PUB foo 5\r\nhello\r\n", true), ("MSG foo 1 in 5\r\nhello\r\n", true),
        ("PING\r\n", false), ("+OK\r\n", false), ("-ERR 'x'\r\n", false), ("PUB foo 5\r\nhell\r\n", false),
        ("PUB foo bar 5 6\r\nhello\r\n", false), ("SUB foo\r\n", false), ("INFO {}\r\n", false),
        ("INFO sip:x SIP/2.0\r\n", false), ("PUBLISH foo 1\r\n", false),
        ("HPUB foo 12 17\r\nNATS/1.0\r\n\r\nhello\r\n", true),
        ("HPUB foo 18 17\r\nNATS/1.0\r\n\r\nhello\r\n", false),
    ]

    @Test(arguments: detectionCases)
    func detection(_ text: String, _ expected: Bool) {
        let bytes = Array(text.utf8)
        let found = NATSParser.detects(bytes.span.bytes)
        #expect(found == expected)
        if expected { #expect(NATSParser.mayDetect(bytes.span.bytes.le32(at: 0))) }
    }

    @Test func serverIsKnownAfterInfo() {
        var bench = L7ParserTests.Bench(.nats)
        #expect(bench.feed("PING\r\n").1.first?.log.version == "")
        let (_, out) = bench.feed(Self.info)
        #expect(out.first?.type == .request)
        #expect(out.first?.log.requestDomain == "n1")
        #expect(out.first?.log.version == "2.10")
        #expect(out.first?.log.requestLength == Int32(Self.info.utf8.count))
        let (_, answer) = bench.feed(Self.connect)
        #expect(answer.first?.type == .response)
        #expect(answer.first?.log.version == "2.10", "of the server, not of the client")
    }

    @Test func verbs() {
        let verbs: [(String, String, LogMessageType, String, String)] = [
            ("PUB a.b.c r 2\r\nhi\r\n", "PUB", .session, "a.b.c", "a"),
            ("MSG a.b 9 2\r\nhi\r\n", "MSG", .session, "a.b", "a"), ("SUB x q 9\r\n", "SUB", .session, "x", "x"),
            ("UNSUB 9\r\n", "UNSUB", .session, "", ""), ("PING\r\n", "PING", .request, "", ""),
            ("PONG\r\n", "PONG", .response, "", ""), ("+OK\r\n", "OK", .session, "", ""),
            ("-ERR 'Unknown Protocol Operation'\r\n", "ERR", .session, "", ""),
        ]
        for (text, name, type, subject, endpoint) in verbs {
            var bench = L7ParserTests.Bench(.nats)
            let (_, out) = bench.feed(text)
            #expect(out.count == 1)
            #expect(out.first?.log.requestType == name)
            #expect(out.first?.type == type)
            #expect(out.first?.log.requestResource == subject)
            #expect(out.first?.log.endpoint == endpoint)
            #expect(out.first?.log.responseStatus == L7ResponseStatus.unknown.rawValue)
        }
    }

    @Test func traceInHeaders() {
        let head = "NATS/1.0\r\nTraceParent: 00-aa-bb-01\r\nother: x\r\n\r\n"
        let text = "HMSG a 1 \(head.utf8.count) \(head.utf8.count + 2)\r\n\(head)hi\r\n"
        var bench = L7ParserTests.Bench(.nats)
        let (_, out) = bench.feed(text)
        #expect(out.first?.log.trace?.traceIDs == ["aa"])
        #expect(out.first?.log.trace?.spanID == "bb")
    }

    @Test func severalMessagesAndCuts() {
        let first = "PUB a 5\r\nhello\r\n"
        let all = first + "PING\r\n" + "MSG a 1 4\r\na\r\nb\r\n"
        var bench = L7ParserTests.Bench(.nats)
        #expect(bench.feed(all).1.map(\.log.requestType) == ["PUB", "PING", "MSG"])
        for count in first.utf8.count + 1..<all.utf8.count where count != first.utf8.count + 6 {
            let part = Array(all.utf8.prefix(count))
            #expect(bench.feed(part, mayWait: true).0 == .incomplete)
            #expect(bench.feed(part).0 == .parsed)
        }
        #expect(bench.feed("hello world\r\n", mayWait: true).0 == .failed)
        #expect(bench.feed("PING x\r\n").0 == .failed)
    }

    static let objects: [(text: String, members: [String], isComplete: Bool)] = [
        ("{}", [], true), (#"{"a":1,"b":"x"}"#, ["a=1", "b=x"], true),
        (#" { "a" : [1,{"c":"}"}] , "b":null } "#, [#"a=[1,{"c":"}"}]"#, "b=null"], true),
        (#"{"a":"x\"y"}"#, [#"a=x"y"#], true), (#"{"a":1"#, [], false), (#"{"a"}"#, [], false),
        (#"{"a":1 "b":2}"#, [#"a=1 "b":2"#], true),
        (#"{"a":"\u00e4\ud83d\ude00\ud800"}"#, ["a=ä😀\u{fffd}"], true), ("{,}", [], false), ("[]", [], false),
    ]

    @Test(arguments: objects)
    func jsonMembers(_ text: String, _ expected: [String], _ isComplete: Bool) {
        let bytes = Array(text.utf8)
        var found: [String] = []
        guard var object = JSONObject(bytes.span.bytes, 0..<bytes.count) else {
            #expect(!isComplete)
            return
        }
        while let member = object.next(bytes.span.bytes) {
            let span = bytes.span.bytes
            found.append(span.text(member.name) + "=" + span.jsonText(member.value))
        }
        #expect(found == expected)
        #expect(object.isComplete == isComplete)
    }
}
