import Model
import Samples
import Testing

@testable import Pipeline

/// Frames, streams and header fields. Source: agent-l7-protocols.md 2, RFC 9113.
@Suite struct HTTP2Tests {
    /// One connection whose bytes are counted like TCP does.
    struct Bench: ~Copyable {
        var parser = HTTP2Parser(.http2)
        var settings = L7Settings()
        var seqs: [PacketDirection: UInt32] = [.clientToServer: .max - 20, .serverToClient: 7]

        /// - Parameter lost: bytes before these that were not captured.
        mutating func feed(
            _ bytes: [UInt8], _ direction: PacketDirection = .clientToServer, lost: Int = 0, mayWait: Bool = false
        ) -> [L7Message] { result(bytes, direction, lost: lost, mayWait: mayWait).messages }

        mutating func result(
            _ bytes: [UInt8], _ direction: PacketDirection = .clientToServer, lost: Int = 0, mayWait: Bool = false
        ) -> (result: L7ParseResult, messages: [L7Message]) {
            var out = L7Output()
            let seq = (seqs[direction] ?? 0) &+ UInt32(truncatingIfNeeded: lost)
            let context = L7ParseContext(
                direction: direction, l4Protocol: .tcp, payloadSize: bytes.count, mayWait: mayWait, tcpSeq: seq,
                followsStream: mayWait)
            let result = parser.parse(bytes.span.bytes, context, settings, into: &out)
            if result != .incomplete { seqs[direction] = seq &+ UInt32(min(bytes.count, out.rest)) }
            return (result, out.messages.all)
        }
    }

    typealias H2 = SampleHTTP2

    // MARK: - Detection

    @Test(arguments: [
        (H2.preface, true), (H2.preface + H2.settings, true), (H2.settings, false),
        (H2.headers(1, H2.request("/")), true), (H2.settings + H2.headers(3, H2.request("/a"), flags: 5), true),
        // An answer, an even stream, no stream, a reserved bit, a flag without meaning, trailers.
        (H2.headers(1, [0x88]), false), (H2.headers(2, H2.request("/")), false), (H2.headers(0, [0x82]), false),
        (H2.headers(0x8000_0001, H2.request("/")), false), (H2.headers(1, H2.request("/"), flags: 0x44), false),
        (H2.headers(1, H2.passing("grpc-status", "0")), false), (H2.headers(1, [0x82, 0x86, 0x80]), false),
        (H2.data(1, 20), false), (Array("GET / HTTP/1.1\r\n\r\n".utf8), false), ([0x82], false),
    ])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        #expect(HTTP2Parser.detects(bytes.span.bytes, L7Settings()) == expected)
        if expected, bytes.count >= 4 {
            #expect(HTTP2Parser.mayDetect(bytes.span.bytes.le32(at: 0)))
        }
    }

    // MARK: - Messages

    @Test func requestAndAnswer() {
        var bench = Bench()
        bench.settings.trace.set(clientIPHeaders: ["x-real-ip"])
        bench.settings.set(httpCustomFields: ["x-user-id"])
        let block =
            H2.request("/api/v1/users?id=1") + H2.field("traceparent", "00-aa-bb-01") + H2.field("x-real-ip", "1.2.3.4")
            + H2.field("x-user-id", "7")
        let requests = bench.feed(H2.preface + H2.settings + H2.headers(1, block, flags: 5))
        #expect(requests.count == 1)
        guard let request = requests.first else { return }
        #expect(request.type == .request)
        #expect(request.l7Protocol == .http2)
        #expect(request.sessionID == 1 && request.hasSessionID)
        #expect(request.tcpSeqOffset == UInt32(H2.preface.count + H2.settings.count))
        #expect(request.log.version == "2")
        #expect(request.log.requestType == "GET")
        #expect(request.log.requestDomain == "shop:80")
        #expect(request.log.requestResource == "/api/v1/users?id=1")
        #expect(request.log.endpoint == "/api/v1")
        #expect(request.log.requestLength == 0)
        #expect(request.log.trace?.traceIDs == ["aa"])
        #expect(request.log.ext?.clientIP == "1.2.3.4")
        #expect(request.log.ext?.attributeNames == ["x_user_id"])
        let answers = bench.feed(
            H2.headers(1, [0x8d] + H2.field(28, "9")) + H2.data(1, 9), .serverToClient)
        #expect(answers.count == 1)
        #expect(answers.first?.type == .response)
        #expect(answers.first?.log.responseCode == 404)
        #expect(answers.first?.log.responseStatus == L7ResponseStatus.clientError.rawValue)
        #expect(answers.first?.log.responseLength == 9)
        #expect(answers.first?.log.requestType == "_RESPONSE_DATA")
    }

    /// Fields of earlier blocks are told by number, in each direction for itself.
    @Test func dynamicTable() {
        var bench = Bench()
        bench.settings.trace.set(xRequestIDHeaders: ["x-request-id"])
        _ = bench.feed(H2.headers(1, H2.request("/first") + H2.field("x-request-id", "r1") + H2.field("other", "o")))
        // 62 other, 63 x-request-id, 64 authority, 65 path.
        let second = bench.feed(H2.headers(3, [0x82, 0x86, 0xc1, 0xc0, 0xbf, 0xbe]))
        #expect(second.first?.log.requestResource == "/first")
        #expect(second.first?.log.requestDomain == "shop:80")
        #expect(second.first?.log.ext?.xRequestID0 == "r1")
        // A name by number, with another value.
        let third = bench.feed(H2.headers(5, [0x82, 0x86, 0x7f, 0x00, 0x02] + Array("r2".utf8)))
        #expect(third.first?.log.ext?.xRequestID0 == "r2")
        let answer = bench.feed(H2.headers(1, [0x88, 0xbf]), .serverToClient)
        #expect(answer.first?.log.ext?.xRequestID1 ?? "" == "")
    }

    @Test func severalStreams() {
        var bench = Bench()
        let requests = bench.feed(
            H2.headers(1, H2.request("/a"), flags: 5) + H2.headers(3, H2.request("/b"), flags: 5)
                + H2.headers(5, H2.request("/c", isPost: true)) + H2.data(5, 4))
        #expect(requests.map(\.log.requestResource) == ["/a", "/b", "/c"])
        #expect(requests.map(\.log.requestLength) == [0, 0, 4])
        // Woven into each other; control frames between them.
        let answers = bench.feed(
            H2.headers(1, [0x88]) + H2.headers(3, [0x89], flags: 5) + H2.frame(8, 0, 0, [0, 0, 1, 0])
                + H2.data(1, 5, ends: false) + H2.headers(5, [0x8e]) + H2.data(1, 7) + H2.data(5, 2)
                + H2.frame(3, 0, 5, [0, 0, 0, 0]), .serverToClient)
        #expect(answers.map(\.sessionID) == [1, 3, 5])
        #expect(answers.map(\.log.responseCode) == [200, 204, 500])
        #expect(answers.map(\.log.responseLength) == [7, 0, 2])
    }

    @Test func paddedPrioritisedAndContinued() {
        var bench = Bench()
        let block = H2.request("/padded")
        let padded = [3] + [0, 0, 0, 0, 16] + block + [0, 0, 0]
        let whole = bench.feed(
            H2.headers(1, padded, flags: 0x2d) + H2.headers(3, Array(block[..<4]), flags: 1)
                + H2.frame(9, 0, 3, Array(block[4..<9])) + H2.frame(9, 4, 3, Array(block[9...])))
        #expect(whole.map(\.log.requestResource) == ["/padded", "/padded"])
        // The pieces may come in several segments.
        var pieces = bench.feed(H2.headers(5, Array(block[..<6]), flags: 1))
        pieces += bench.feed(H2.frame(9, 4, 5, Array(block[6...])))
        #expect(pieces.map(\.log.requestResource) == ["/padded"])
        #expect(bench.feed(H2.frame(9, 4, 7, block)).isEmpty)
    }

    @Test func interimAnswersAndTrailersAreNone() {
        var bench = Bench()
        _ = bench.feed(H2.headers(1, H2.request("/a"), flags: 5))
        #expect(bench.feed(H2.headers(1, H2.field(8, "103")), .serverToClient).isEmpty)
        let both = bench.feed(H2.headers(1, H2.field(8, "100")) + H2.headers(1, [0x88]), .serverToClient)
        #expect(both.map(\.log.responseCode) == [200])
        #expect(bench.feed(H2.data(1, 10, ends: false), .serverToClient).isEmpty)
        #expect(bench.feed(H2.headers(1, H2.field("checksum", "1"), flags: 5), .serverToClient).isEmpty)
    }

    /// Promised requests fill the table of the answers.
    @Test func pushPromise() {
        var bench = Bench()
        let promise = [0, 0, 0, 2] + [0x82, 0x86] + H2.field("x-a", "1") + H2.field(8, "201")
        #expect(bench.feed(H2.frame(5, 4, 1, promise), .serverToClient).isEmpty)
        #expect(bench.feed(H2.headers(1, [0xbe], flags: 5), .serverToClient).first?.log.responseCode == 201)
    }

    // MARK: - Segments

    @Test func bodiesOverSeveralSegments() {
        var bench = Bench()
        let long = H2.headers(1, [0x88]) + H2.data(1, 300) + H2.headers(3, [0x8d], flags: 5)
        #expect(bench.feed(Array(long[..<100]), .serverToClient).first?.log.responseLength == 300)
        #expect(bench.feed(Array(long[100..<200]), .serverToClient).isEmpty)
        #expect(bench.feed(Array(long[200...]), .serverToClient).map(\.log.responseCode) == [404])
    }

    @Test func cutHeadersWait() {
        let bytes = H2.headers(1, H2.request("/a"), flags: 5) + H2.headers(3, H2.request("/b"), flags: 5)
        for end in (bytes.count / 2 + 1)..<bytes.count {
            var bench = Bench()
            #expect(bench.feed(Array(bytes[..<end]), mayWait: true).map(\.log.requestResource) == ["/a"])
            #expect(bench.feed(Array(bytes[(bytes.count / 2)...]), mayWait: true).map(\.log.requestResource) == ["/b"])
        }
        var bench = Bench()
        #expect(bench.feed(bytes, mayWait: true).map(\.log.requestResource) == ["/a", "/b"])
        // Data does not wait.
        let request = H2.headers(5, H2.request("/c", isPost: true))
        #expect(bench.feed(request + H2.data(5, 50).prefix(30), mayWait: true).map(\.log.requestLength) == [50])
    }

    /// What is there of a block that is cut counts, and nothing of it is taken for a later field.
    @Test func cutHeadersThatCannotWait() {
        var bench = Bench()
        let block = H2.request("/a/b") + H2.field("filler", String(repeating: "x", count: 60))
        let bytes = H2.headers(1, block, flags: 5)
        #expect(bench.feed(Array(bytes[..<40])).first?.log.requestResource == "/a/b")
        #expect(bench.feed(Array(bytes[40...])).isEmpty)
        let next = bench.feed(H2.headers(3, [0x82, 0x86, 0xbf], flags: 5))
        #expect(next.count == 1)
        #expect(next.first?.log.requestResource == "")
    }

    @Test func lostSegments() {
        var bench = Bench()
        _ = bench.feed(H2.headers(1, H2.request("/known"), flags: 4) + H2.data(1, 100).prefix(20))
        // Lost within a body: nothing of the headers is missing.
        let body = bench.feed([UInt8](repeating: 0, count: 9) + H2.headers(3, [0x82, 0x86, 0xbf]), lost: 80)
        #expect(body.map(\.log.requestResource) == ["/known"])
        // Lost between frames: the table is unknown from here on.
        let frames = bench.feed(H2.headers(5, [0x82, 0x86, 0xbf] + H2.field(4, "/new")), lost: 50)
        #expect(frames.map(\.log.requestResource) == ["/new"])
        #expect(bench.feed(H2.headers(7, [0x82, 0x86, 0xbf])).map(\.log.requestResource) == [""])
        #expect(bench.feed(H2.headers(9, [0x82, 0x86, 0xbe])).map(\.log.requestResource) == ["/new"])
        // What comes late is read for itself.
        #expect(bench.feed(H2.headers(11, H2.request("/late")), lost: -200).map(\.log.requestResource) == ["/late"])
    }

    @Test func bytesThatAreNoFrames() {
        var bench = Bench()
        #expect(bench.result([UInt8](repeating: 0xee, count: 40)).result == .failed)
        #expect(bench.feed(H2.headers(1, H2.request("/a"))).count == 1)
        let broken = bench.result(H2.headers(3, H2.request("/b")) + H2.headers(5, [0x82, 0x80]))
        #expect(broken.messages.map(\.log.requestResource) == ["/b"])
    }

    /// HTTP/1 becomes HTTP/2 by an upgrade.
    @Test func upgrade() {
        var parser = L7Parser.http1(HTTP1Parser())
        var obfuscator = SQLObfuscationCache()
        var out = L7Output()
        let bytes = H2.preface + H2.settings + H2.headers(3, H2.request("/a"))
        let context = L7ParseContext(
            direction: .clientToServer, l4Protocol: .tcp, payloadSize: bytes.count, mayWait: false)
        #expect(parser.parse(bytes.span.bytes, context, L7Settings(), &obfuscator, into: &out) == .parsed)
        #expect(parser.spoken == .http2)
        #expect(out.messages.all.map(\.log.requestResource) == ["/a"])
    }

    // MARK: - gRPC and Triple

    private static let grpcRequest = H2.request("/shop.Cart/Add", isPost: true) + H2.field(31, "application/grpc")

    @Test func grpcWithoutStreams() {
        var bench = Bench()
        let request = bench.feed(H2.headers(1, Self.grpcRequest) + H2.data(1, 12)).first
        #expect(request?.l7Protocol == .grpc)
        #expect(bench.parser.l7Protocol == .grpc)
        #expect(request?.log.requestType == "POST")
        #expect(request?.log.requestResource == "shop.Cart")
        #expect(request?.log.endpoint == "/shop.Cart/Add")
        #expect(request?.log.ext?.rpcService == "shop.Cart")
        #expect(request?.log.requestLength == 12)
        let answer = bench.feed(
            H2.headers(1, [0x88]) + H2.data(1, 5, ends: false) + H2.headers(1, H2.field("grpc-status", "5"), flags: 5),
            .serverToClient)
        #expect(answer.map(\.type) == [.response])
        #expect(answer.first?.log.responseCode == 200)
        #expect(answer.first?.log.responseStatus == L7ResponseStatus.ok.rawValue)
        #expect(bench.feed(H2.data(1, 5, ends: false), .serverToClient).isEmpty)
        #expect(bench.feed(H2.headers(3, H2.field("grpc-status", "0"), flags: 5), .serverToClient).isEmpty)
    }

    @Test(arguments: [
        (0, L7ResponseStatus.ok), (5, .clientError), (16, .clientError), (2, .serverError), (14, .serverError),
    ])
    func grpcStreams(_ code: Int, _ status: L7ResponseStatus) {
        var bench = Bench()
        bench.settings.readsGRPCStreams = true
        #expect(bench.feed(H2.headers(1, Self.grpcRequest)).map(\.type) == [.request])
        let sent = bench.feed(H2.data(1, 9))
        #expect(sent.map(\.type) == [.session])
        #expect(sent.first?.log.requestType == "_REQUEST_DATA")
        #expect(sent.first?.log.requestLength == 9)
        let head = bench.feed(H2.headers(1, [0x88]) + H2.data(1, 7, ends: false), .serverToClient)
        #expect(head.map(\.type) == [.session])
        #expect(head.first?.log.requestType == "_RESPONSE_HEADER")
        #expect(head.first?.log.responseLength == 7)
        #expect(head.first?.log.responseCode == 200)
        let more = bench.feed(H2.data(1, 8, ends: false) + H2.data(1, 3, ends: false), .serverToClient)
        #expect(more.map(\.type) == [.session])
        #expect(more.first?.log.requestType == "_RESPONSE_DATA")
        let end = bench.feed(H2.headers(1, H2.field("grpc-status", "\(code)"), flags: 5), .serverToClient)
        #expect(end.map(\.type) == [.response])
        #expect(end.first?.log.responseCode == Int32(code))
        #expect(end.first?.log.responseStatus == status.rawValue)
    }

    @Test func triple() {
        var bench = Bench()
        let request = bench.feed(
            H2.headers(1, Self.grpcRequest + H2.field("tri-service-version", "1.2")) + H2.data(1, 3)
        ).first
        #expect(request?.l7Protocol == .triple)
        #expect(request?.log.version == "1.2")
        #expect(request?.log.requestResource == "/shop.Cart/Add")
        #expect(request?.log.endpoint == "/shop.Cart/Add")
        #expect(request?.log.ext?.rpcService == "shop.Cart")
        // Known from the first request on.
        #expect(bench.feed(H2.headers(3, Self.grpcRequest)).first?.l7Protocol == .triple)
    }
}
