import Model
import Testing

@testable import Pipeline

@Suite struct BrpcTests {
    static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }
    static func field(_ number: UInt8, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }

    static func frame(_ meta: [UInt8], _ content: String = "data") -> [UInt8] {
        Array("PRPC".utf8) + [0, 0, 0, UInt8(meta.count + content.utf8.count), 0, 0, 0, UInt8(meta.count)] + meta
            + Array(content.utf8)
    }

    /// Correlation id 5 << 32.
    static let correlation: [UInt8] = [0x20, 0x80, 0x80, 0x80, 0x80, 0x50]
    static let call = field(1, field(1, "pkg.Echo") + field(2, "Say") + [0x18, 9])
    static let request = frame(call + correlation)

    @Test func requestAndResponse() {
        let isDetected = BrpcParser.detects(Self.request.span.bytes)
        #expect(isDetected)
        var bench = L7ParserTests.Bench(.brpc)
        let message = bench.feed(Self.request).1.first
        #expect(message?.type == .request && message?.sessionID == 5)
        #expect(message?.log.requestType == "Say" && message?.log.requestResource == "pkg.Echo")
        #expect(message?.log.endpoint == "pkg.Echo/Say" && message?.log.ext?.xRequestID0 == "9")
        #expect(message?.log.requestLength == Int32(Self.request.count))
        let failed = Self.frame(Self.field(2, [8, 0xe9, 7] + Self.field(2, "no such")) + Self.correlation, "")
        let answer = bench.feed(failed, .serverToClient).1.first
        #expect(answer?.log.responseCode == 1001 && answer?.log.responseException == "no such")
        #expect(answer?.log.responseStatus == L7ResponseStatus.serverError.rawValue)
    }

    @Test func sessionKeepsItsStatusUnlessItFails() {
        var bench = L7ParserTests.Bench(.brpc)
        for (response, status) in [([UInt8](), L7ResponseStatus.unknown), ([8, 1], .serverError)] {
            guard var session = bench.feed(Self.request).1.first,
                let answer = bench.feed(Self.frame(Self.field(2, response) + Self.correlation), .serverToClient).1.first
            else {
                Issue.record("not parsed")
                return
            }
            // The engine's part, which merging goes by.
            session.l7Protocol = .brpc
            withUnsafePointer(to: answer) { session.merge($0) }
            #expect(session.log.responseStatus == status.rawValue)
        }
    }

    @Test func traceIDsOnlyWhereOneIsWanted() {
        var bench = L7ParserTests.Bench(.brpc)
        let entry = Self.field(9, Self.field(1, "TraceParent") + Self.field(2, "00-aa-bb-01"))
        #expect(bench.feed(Self.frame(Self.call + entry)).1.first?.log.trace?.traceIDs == [])
        #expect(bench.feed(Self.frame(Self.call + entry)).1.first?.log.trace?.spanID == "bb")
        bench.settings.trace.collectsSeveralTraceIDs = false
        #expect(bench.feed(Self.frame(Self.call + entry)).1.first?.log.trace?.traceIDs == ["aa"])
    }

    @Test(
        arguments: [
            (frame(field(2, [8, 0])), false), (frame(correlation), false), (frame([0x0a, 99, 1]), false),
            (Array("PRPD".utf8) + request.dropFirst(4), false), (Array(request.prefix(20)), false), (request, true),
        ] as [([UInt8], Bool)])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        let found = BrpcParser.detects(bytes.span.bytes)
        #expect(found == expected)
    }

    @Test func severalAndCutMessages() {
        var bench = L7ParserTests.Bench(.brpc)
        let two = Self.request + Self.request
        #expect(bench.feed(two, mayWait: true).1.map(\.tcpSeqOffset) == [0, UInt32(Self.request.count)])
        for count in [2, 20, two.count - 1] {
            #expect(bench.feed(Array(two.prefix(count)), mayWait: true).0 == .incomplete, "\(count)")
        }
        #expect(bench.feed(Array(Self.request.dropLast(2))).0 == .parsed)
    }
}
