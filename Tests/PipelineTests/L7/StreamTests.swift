import Model
import Samples
import Testing

@testable import Pipeline

/// Messages over segments: order, repetitions, gaps, cuts at any byte, several in one segment. Source: RFC 9293 3.
@Suite struct StreamTests {
    /// Segments of one connection at places of their own.
    struct Wire: ~Copyable {
        var engine: L7Engine
        let slot: Int32
        var out = L7Output()
        var timeNs: UInt64 = 1_000_000_000
        /// Wraps soon.
        static let start: UInt32 = .max - 10

        init(_ proto: L7Protocol, isShaken: Bool = true, _ change: (inout L7Settings) -> Void = { _ in }) {
            var settings = L7Settings()
            settings.restrict(to: proto)
            settings.reassembly.isEnabled = true
            change(&settings)
            engine = L7Engine(settings: settings)
            var flow = L7FlowIdentity(flowID: 1, serverIP: IPAddress(v4: 1), serverPort: 80)
            if isShaken { (flow.clientSeq, flow.serverSeq) = (Self.start, Self.start) }
            slot = engine.open(flow: flow, nowSec: 1)
        }

        /// - Parameters:
        ///   - at: offset in the stream.
        ///   - length: on the wire, when less was captured.
        ///   - ack: offset in the other stream.
        @discardableResult
        mutating func put(
            _ bytes: some Sequence<UInt8>, at: Int, fromServer: Bool = false, length: Int = 0, ack: Int? = nil
        ) -> L7ParseOutcome.Result {
            timeNs += 1_000_000
            var packet = L7Packet()
            packet.timeNs = timeNs
            packet.direction = fromServer ? .serverToClient : .clientToServer
            (packet.portSrc, packet.portDst) = fromServer ? (80, 40000) : (40000, 80)
            packet.tcpSeq = Self.start &+ UInt32(at)
            packet.tcpLength = UInt32(length)
            if let ack { packet.tcpAck = Self.start &+ UInt32(ack) }
            let payload = Array(bytes)
            packet.capturedByte = UInt32(payload.count)
            return engine.parse(slot: slot, packet: packet, payload: payload.span.bytes, into: &out).result
        }

        var resources: [String] { out.messages.all.map(\.log.requestResource) }
    }

    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
    static func get(_ path: String) -> [UInt8] { bytes("GET \(path) HTTP/1.1\r\nHost: h\r\n\r\n") }

    // MARK: - Order

    @Test func segmentsOutOfOrder() {
        let all = Self.get("/a") + Self.get("/b")
        var wire = Wire(.http1)
        wire.put(all[20...], at: 20)
        #expect(wire.out.messages.all.isEmpty)
        wire.put(all[5..<20], at: 5)
        wire.put(all[..<5], at: 0)
        #expect(wire.resources == ["/a", "/b"])
        #expect(wire.engine.counters.earlySegments == 2)
        #expect(wire.engine.counters.sequenceGaps == 0)
    }

    @Test func repetitionsAndOverlaps() {
        let all = Self.get("/a") + Self.get("/b") + Self.get("/c")
        var wire = Wire(.http1)
        wire.put(all[..<30], at: 0)
        #expect(wire.put(all[..<30], at: 0) == .skipped)
        #expect(wire.put(all[29..<30], at: 29) == .skipped, "a keepalive")
        // Sent again together with more.
        wire.put(all[10..<70], at: 10)
        wire.put(all[60...], at: 60)
        #expect(wire.resources == ["/a", "/b", "/c"])
    }

    @Test func gapThatTheReceiverDoesNotHave() {
        let all = Self.get("/a") + Self.get("/b")
        var wire = Wire(.http1)
        wire.put(all[..<10], at: 0)
        wire.put(Self.get("/b"), at: all.count / 2)
        wire.put(Self.bytes("HTTP/1.1 200 OK\r\n\r\n"), at: 0, fromServer: true, ack: 10)
        #expect(wire.engine.counters.sequenceGaps == 0)
        // What was received and not captured does not come.
        wire.put(Self.bytes("HTTP/1.1 200 OK\r\n\r\n"), at: 19, fromServer: true, ack: all.count)
        #expect(wire.engine.counters.sequenceGaps == 1)
        #expect(wire.resources.contains("/b"))
    }

    @Test func gapAtTheEnd() {
        var wire = Wire(.http1)
        wire.put(Self.get("/a"), at: 0)
        wire.put(Self.get("/b"), at: 5000)
        _ = wire.engine.close(slot: wire.slot, into: &wire.out)
        #expect(wire.resources == ["/a", "/b"])
    }

    @Test func earlySegmentsAreBounded() {
        var wire = Wire(.http1)
        for number in 1...100 { wire.put([UInt8](repeating: 120, count: 1000), at: number * 2000) }
        #expect(wire.engine.counters.sequenceGaps > 0)
        wire = Wire(.http1) { $0.reassembly.maxWaiting = 0 }
        wire.put(Self.get("/a"), at: 5000)
        #expect(wire.resources == ["/a"])
        #expect(wire.engine.counters.reassemblyOverflow == 1)
    }

    @Test func aNewConnectionBeginsAnywhere() {
        var wire = Wire(.http1)
        wire.put(Self.get("/a"), at: 0)
        wire.engine.restart(slot: wire.slot)
        wire.put(Self.get("/b"), at: 1 << 30)
        #expect(wire.resources == ["/a", "/b"])
    }

    // MARK: - Beginnings

    @Test func beginningIsKeptUntilItIsRecognised() {
        let all = Self.get("/a")
        for cut in 1..<all.count {
            var wire = Wire(.http1, isShaken: false)
            #expect(wire.put(all[..<cut], at: 0) == .held)
            wire.put(all[cut...], at: cut)
            #expect(wire.resources == ["/a"])
        }
    }

    @Test func unknownBeginningsAreGivenUp() {
        var wire = Wire(.http1)
        #expect(wire.put(Self.bytes("GET"), at: 0) == .held)
        #expect(wire.put(Self.bytes("TING"), at: 3) == .held)
        wire.put(Self.bytes("x"), at: 0, fromServer: true)
        #expect(wire.engine.counters.unrecognised == 1)
        // Nothing of HTTP begins so, and nothing is as long.
        #expect(wire.put(Self.bytes("1234"), at: 7) == .unknown)
        wire = Wire(.http1)
        #expect(wire.put(Self.bytes("GET ") + [UInt8](repeating: 120, count: 1100), at: 0) == .unknown)
        #expect(wire.out.messages.all.isEmpty)
    }

    @Test func withoutReassemblyNothingIsKept() {
        var wire = Wire(.http1) { $0.reassembly.isEnabled = false }
        #expect(wire.put(Self.bytes("GET /a HT"), at: 0) == .unknown)
        #expect(wire.put(Self.get("/a"), at: 5000) == .parsed)
        #expect(wire.put(Self.get("/a"), at: 5000) == .parsed)
    }

    @Test func whatTheSnapLengthCutsIsNotWaitedFor() {
        var wire = Wire(.http1)
        let all = Self.get("/a")
        wire.put(all.dropLast(4), at: 0, length: all.count)
        #expect(wire.resources == ["/a"])
        wire.put(Self.get("/b"), at: all.count)
        #expect(wire.resources == ["/a", "/b"])
    }

    // MARK: - HTTP/1

    /// Every way to send these messages in two segments gives the same.
    static let pipelines: [(proto: L7Protocol, requests: [UInt8], answers: [UInt8])] = [
        (
            .http1, get("/a") + bytes("POST /b HTTP/1.1\r\nContent-Length: 10\r\n\r\nGET /x HTT") + get("/c"),
            bytes("HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone")
                + bytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 OK\r\nContent-Length: 14\r\n\r\nHTTP/1.1 500 X")
                + bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nHTTP/1.1\r\n0\r\nA: b\r\n\r\n")
        ),
        (
            .redis, bytes("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$4\r\nHGET\r\n$1\r\nh\r\n"),
            bytes("+PONG\r\n*2\r\n$3\r\n+-:\r\n%1\r\n+a\r\n:1\r\n-ERR none\r\n")
        ),
        (
            .nats, bytes("PUB a 5\r\nPING\n\r\nSUB b 1\r\nPUB c 0\r\n\r\n"),
            bytes("MSG b 1 3\r\n+OK\r\n+OK\r\nPONG\r\n")
        ),
    ]

    @Test(arguments: pipelines.indices)
    func pipelinesCutAnywhere(_ number: Int) {
        let (proto, requests, answers) = Self.pipelines[number]
        var whole = Wire(proto)
        whole.put(requests, at: 0)
        whole.put(answers, at: 0, fromServer: true)
        let expected = Conversation.joined(whole.out.messages.all).map(Self.told).sorted()
        #expect(expected.count >= 3)
        for cut in 1..<max(requests.count, answers.count) {
            var wire = Wire(proto)
            let (first, second) = (min(cut, requests.count), min(cut, answers.count))
            wire.put(requests[..<first], at: 0)
            wire.put(requests[first...], at: first)
            wire.put(answers[..<second], at: 0, fromServer: true)
            wire.put(answers[second...], at: second, fromServer: true)
            _ = wire.engine.close(slot: wire.slot, into: &wire.out)
            #expect(Conversation.joined(wire.out.messages.all).map(Self.told).sorted() == expected, "\(cut)")
        }
    }

    private static func told(_ log: L7FlowLog) -> String {
        "\(log.requestType) \(log.requestResource) \(log.responseCode) \(log.responseResult) \(log.responseException)"
    }

    @Test func answersOfAPipelineFindTheirRequests() {
        var wire = Wire(.http1)
        wire.put(Self.get("/a") + Self.bytes("HEAD /b HTTP/1.1\r\n\r\n") + Self.get("/c"), at: 0)
        wire.put(
            Self.bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                + Self.bytes("HTTP/1.1 204 OK\r\nContent-Length: 99\r\n\r\n")
                + Self.bytes("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), at: 0, fromServer: true)
        let rows = Conversation.joined(wire.out.messages.all)
        #expect(rows.map { "\($0.requestResource) \($0.responseCode)" }.sorted() == ["/a 200", "/b 204", "/c 404"])
    }

    @Test func aBodyIsNoMessage() {
        var wire = Wire(.http1)
        let head = Self.bytes("POST /up HTTP/1.1\r\nContent-Length: 3000\r\n\r\n")
        wire.put(head, at: 0)
        var at = head.count
        for piece in 0..<3 {
            wire.put((Self.get("/no") + [UInt8](repeating: 120, count: 1000)).prefix(1000), at: at + piece * 1000)
        }
        at += 3000
        wire.put(Self.get("/next"), at: at)
        #expect(wire.resources == ["/up", "/next"])
    }

    // MARK: - Others

    @Test func longRedisValues() {
        var wire = Wire(.redis) { $0.obfuscated = [] }
        let value = String(repeating: "*1\r\n", count: 1000)
        let set = Self.bytes("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000\r\n\(value)\r\n")
        let all = set + Self.bytes("*1\r\n$4\r\nPING\r\n")
        for start in stride(from: 0, to: all.count, by: 700) {
            wire.put(all[start..<min(start + 700, all.count)], at: start)
        }
        #expect(wire.out.messages.all.map(\.log.requestType) == ["SET", "PING"])
    }

    @Test func rowsOfALargeMySQLResult() {
        func packet(_ sequence: UInt8, _ body: [UInt8]) -> [UInt8] {
            [UInt8(body.count & 255), UInt8(body.count >> 8), 0, sequence] + body
        }
        var wire = Wire(.mysql)
        let query = packet(0, [3] + Self.bytes("select a from t"))
        wire.put(query[..<7], at: 0)
        wire.put(query[7...], at: 7)
        var result = packet(1, [1]) + packet(2, Self.bytes("def")) + packet(3, [0xfe, 0, 0, 2, 0])
        for row in 0..<100 { result += packet(UInt8(4 + row), [0, 0xff, 0xfe] + [UInt8](repeating: 1, count: 40)) }
        result += packet(104, [0xfe, 0, 0, 2, 0])
        for start in stride(from: 0, to: result.count, by: 333) {
            wire.put(result[start..<min(start + 333, result.count)], at: start, fromServer: true)
        }
        wire.put(query, at: query.count)
        #expect(wire.out.messages.all.map(\.type) == [.request, .response, .request])
        #expect(wire.out.messages.all[1].log.responseStatus == L7ResponseStatus.ok.rawValue)
    }

    @Test func dataFollowHeadersInTheNextSegment() {
        typealias H2 = SampleHTTP2
        var wire = Wire(.http2)
        let head = H2.preface + H2.settings + H2.headers(1, H2.request("/a", isPost: true))
        let all = head + H2.data(1, 9)
        wire.put(head, at: 0)
        #expect(wire.out.messages.all.isEmpty)
        wire.put(all[head.count...], at: head.count)
        #expect(wire.out.messages.all.map(\.log.requestLength) == [9])
        // Nothing follows when the server speaks.
        let open = H2.headers(3, H2.request("/b", isPost: true))
        wire.put(open, at: all.count)
        wire.put(H2.settings, at: 0, fromServer: true)
        #expect(wire.out.messages.all.map(\.log.requestLength) == [9, 0])
    }

    @Test func linesOfRequests() {
        var line = RequestLine()
        #expect(line.add(isMarked: true) == nil)
        let second = line.add(isMarked: false)
        #expect(second != nil && line.count == 2)
        #expect(line.next?.id == nil && line.next?.isMarked == true)
        line.removeFirst()
        #expect(line.next?.id == second && line.next?.isMarked == false)
        line.removeFirst()
        #expect(line.next == nil)
        for _ in 0..<33 { _ = line.add(isMarked: false) }
        #expect(line.count == 1)
    }
}
