import Model
import Samples
import Testing

@testable import Pipeline

@Suite struct MemcachedTests {
    typealias D = SampleData

    @Test(arguments: [
        ("get foo\r\n", true), ("set a 0 0 3\r\n", true), ("set a 0 0 3\r\nabc\r\n", true),
        ("cas a 0 0 1 7\r\nx\r\n", true),
        ("set a 0 0\r\n", false), ("set a 0 0 x\r\n", false), ("get\r\n", false), ("GET / HTTP/1.1\r\n", false),
        ("get foo", false), ("gets a b c\r\n", true), ("incr a 5\r\n", true), ("incr a b\r\n", false),
        ("delete key\u{1}\r\n", false), ("getter a\r\n", false), ("touch a 9\r\n", true), ("quit\r\n", false),
    ])
    func detection(_ text: String, _ expected: Bool) {
        let bytes = D.text(text)
        let context = L7ParseContext(
            direction: .clientToServer, l4Protocol: .tcp, payloadSize: bytes.count, mayWait: false)
        #expect(MemcachedParser.detects(bytes.span.bytes, context) == expected)
    }

    @Test(
        arguments: [
            ("STORED", 0, ""), ("NOT_STORED", 0, ""), ("EXISTS", 0, ""), ("NOT_FOUND", 5, ""), ("DELETED", 0, ""),
            ("TOUCHED", 0, ""),
            ("18446744073709551615", 0, ""), ("END", 0, ""), ("ERROR", 4, ""), ("CLIENT_ERROR bad format", 4, "bad"),
            ("SERVER_ERROR out of memory", 3, "out"),
        ] as [(String, UInt8, String)])
    func answers(_ line: String, _ status: UInt8, _ exception: String) {
        var flow = Conversation(.memcached, follows: false)
        flow.send(D.text("get a\r\n"))
        let log = flow.answer(D.text(line + "\r\n")).first?.log
        #expect(log?.responseResult == line)
        #expect(log?.responseStatus == status)
        #expect(log?.responseException == exception)
        #expect(log?.capturedResponseByte == UInt32(line.utf8.count + 2))
    }

    @Test func severalOfAPayload() {
        var flow = Conversation(.memcached, follows: false)
        let all = flow.send(D.text("set a 0 0 3\r\nabc\r\nget a b\r\nquit\r\n"))
        #expect(all.map(\.log.requestResource) == ["set a 0 0 3", "get a b"])
        #expect(all.map(\.log.requestType) == ["set", "get"])
        #expect(all.map(\.log.capturedRequestByte) == [18, 9])
        #expect(all.map(\.hasStats) == [true, false], "the first one is counted")
        let answers = flow.answer(D.text("STORED\r\nVALUE a 0 3\r\nabc\r\nVALUE b 0 1\r\nx\r\nEND\r\n"))
        #expect(answers.map(\.log.responseResult) == ["STORED", "VALUE a 0 3"])
        #expect(answers.map(\.log.capturedResponseByte) == [8, 39])
        #expect(Set(answers.map(\.log.base.rrtNs)) == [1_000_000])
        #expect(flow.answer(D.text("VALUE a 0 3\r\nab")).first?.log.capturedResponseByte == 15)
        #expect(flow.answer(D.text("VALUE a 0 x\r\nab")).isEmpty)
        #expect(flow.send(D.text("bar\r\n")).isEmpty)
    }

    @Test func everyCommandFindsItsAnswer() {
        var flow = Conversation(.memcached)
        var all = flow.send(
            D.text("set a 0 0 3 noreply\r\nabc\r\nget a b\r\nstats\r\nversion\r\nincr a 1\r\nget c\r\n"))
        all += flow.answer(
            D.text("VALUE a 0 3\r\nabc\r\nVALUE b 0 1\r\nx\r\nEND\r\nSTAT pid 1\r\nSTAT up 2\r\nEND\r\nVERSION 1.6\r\n")
        )
        all += flow.answer(D.text("CLIENT_ERROR cannot increment\r\nEND\r\n"))
        let logs = Conversation.joined(all)
        #expect(logs.map(\.requestResource) == ["set a 0 0 3 noreply", "get a b", "incr a 1", "get c"])
        #expect(logs.map(\.responseResult) == ["", "VALUE a 0 3", "CLIENT_ERROR cannot increment", "END"])
    }

    @Test func longValuesArePassedOver() {
        var flow = Conversation(.memcached)
        let value = String(repeating: "END\r\n", count: 2000)
        let set = D.text("set a 0 0 10000\r\n" + value + "\r\nget a\r\n")
        let found = D.text("STORED\r\nVALUE a 0 10000\r\n" + value + "\r\nEND\r\n")
        var all: [L7Message] = []
        for start in stride(from: 0, to: set.count, by: 1448) {
            all += flow.send(Array(set[start..<min(start + 1448, set.count)]))
        }
        for start in stride(from: 0, to: found.count, by: 1448) {
            all += flow.answer(Array(found[start..<min(start + 1448, found.count)]))
        }
        let logs = Conversation.joined(all)
        #expect(logs.map(\.requestResource) == ["set a 0 0 10000", "get a"])
        #expect(logs.map(\.responseResult) == ["STORED", "VALUE a 0 10000"])
    }

    @Test func binaryProtocol() {
        let tail = [UInt8](repeating: 0, count: 8)
        let get: [UInt8] = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5] + tail + D.text("k")
        let missing: [UInt8] = [0x81, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 5] + tail + D.text("Not found")
        for follows in [true, false] {
            var flow = Conversation(.memcached, follows: follows)
            let request = flow.send(get).first
            #expect(request?.log.requestResource == "get k")
            let answer = flow.answer(missing).first
            #expect(answer?.log.responseCode == 1)
            #expect(answer?.log.responseResult == "Key not found")
            #expect(answer?.sessionID == request?.sessionID)
        }
    }
}
