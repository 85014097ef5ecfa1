import Model
import Testing

@testable import Pipeline

@Suite struct SofaRPCTests {
    private static func be(_ value: Int, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
    }

    static func request(
        _ fields: [(String, String)], content: [UInt8] = [], type: UInt8 = 1, command: Int = 1,
        className: String = "com.x.SofaRequest"
    ) -> [UInt8] {
        let header = fields.flatMap { key, value in
            be(key.utf8.count, 4) + Array(key.utf8) + be(value.utf8.count, 4) + Array(value.utf8)
        }
        return [1, type] + be(command, 2) + [1] + be(9, 4) + [1] + be(3000, 4) + be(className.utf8.count, 2)
            + be(header.count, 2) + be(content.count, 4) + Array(className.utf8) + header + content
    }

    static func response(status: Int) -> [UInt8] {
        [1, 0, 0, 2, 1] + be(9, 4) + [1] + be(status, 2) + be(1, 2) + be(0, 2) + be(2, 4) + Array("aok".utf8)
    }

    static let names = [("sofa_head_target_service", "com.x.S:1.0"), ("sofa_head_method_name", "get")]

    @Test func requestAndResponse() {
        let bytes = Self.request(
            Self.names + [
                ("rpc_trace_context.sofaTraceId", "t1"), ("new_rpc_trace_context", "tcid=t2&spid=0.1&pspid=0&x=y"),
            ])
        let isDetected = SofaRPCParser.detects(bytes.span.bytes)
        #expect(isDetected)
        var bench = L7ParserTests.Bench(.sofaRPC)
        let message = bench.feed(bytes).1.first
        #expect(message?.type == .request && message?.sessionID == 9)
        #expect(message?.log.endpoint == "com.x.S:1.0/get")
        #expect(message?.log.requestDomain == "")
        #expect(message?.log.requestLength == Int32(bytes.count - 22))
        #expect(message?.log.responseLength == 0 && message?.log.responseCode == 0)
        #expect(message?.log.trace?.traceIDs == ["t2"])
        #expect(message?.log.trace?.spanID == "0.1" && message?.log.trace?.parentSpanID == "0")
        let answer = bench.feed(Self.response(status: 0), .serverToClient).1.first
        #expect(answer?.type == .response && answer?.sessionID == 9)
        #expect(answer?.log.responseStatus == L7ResponseStatus.ok.rawValue && answer?.log.responseLength == 3)
        guard var session = message, let answer else { return }
        withUnsafePointer(to: answer) { session.merge($0) }
        #expect(session.log.responseLength == 3 && session.log.responseCode == 0)
    }

    @Test(arguments: [(0, L7ResponseStatus.ok), (8, .clientError), (1, .serverError), (7, .serverError)])
    func status(_ code: Int, _ status: L7ResponseStatus) {
        var bench = L7ParserTests.Bench(.sofaRPC)
        let answer = bench.feed(Self.response(status: code), .serverToClient).1.first
        #expect(answer?.log.responseStatus == status.rawValue && answer?.log.responseCode == Int32(code))
    }

    /// Class definition, object and fields, as a draft of Hessian 2 and as its final form write them.
    @Test(arguments: [
        [0x4f, 0x91, 0x53, 0x93] as [UInt8], [0x43, 1, 0x53, 0x93] as [UInt8],
    ])
    func namesInHessianContent(_ definition: [UInt8]) {
        let isDraft = definition[0] == 0x4f
        let content =
            definition + DubboTests.hessian(["targetAppName", "methodName", "targetServiceUniqueName"])
            + (isDraft ? [0x6f, 0x90] : [0x60]) + [0x4e]
            + DubboTests.hessian(["get", "com.x.S:1.0", "sofaTraceId", "t9"])
        let bytes = Self.request([("rpc_trace_context.sofaTraceId", "t1")], content: content)
        let isDetected = SofaRPCParser.detects(bytes.span.bytes)
        #expect(isDetected)
        var bench = L7ParserTests.Bench(.sofaRPC)
        let message = bench.feed(bytes).1.first
        #expect(message?.log.endpoint == "com.x.S:1.0/get")
        #expect(message?.log.trace?.traceIDs == ["t1", "t9"])
    }

    @Test(
        arguments: [
            (request([]), false), (request(names, className: ""), false), (request(names, className: "a b"), false),
            (request(names, command: 0), false), (request(names, type: 0), false),
            (Array(request(names).prefix(60)), false), (request(names), true), (request(names, content: [0]), true),
            (Array(request(names, content: [0, 0]).dropLast()), true),
        ] as [([UInt8], Bool)])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        let found = SofaRPCParser.detects(bytes.span.bytes)
        #expect(found == expected)
    }

    @Test func heartbeatsOneWayAndCuts() {
        var bench = L7ParserTests.Bench(.sofaRPC)
        #expect(bench.feed(Self.request([], command: 0)).0 == .failed)
        #expect(bench.feed(Self.request(Self.names, type: 2)).1.first?.type == .session)
        let two = Self.request(Self.names) + Self.request(Self.names)
        #expect(bench.feed(two, mayWait: true).1.count == 2)
        for count in [1, 21, two.count - 1] {
            #expect(bench.feed(Array(two.prefix(count)), mayWait: true).0 == .incomplete, "\(count)")
        }
        #expect(bench.feed(Array(two.prefix(70))).0 == .parsed)
        let answer = Self.response(status: 0)
        #expect(bench.feed(answer, .serverToClient, mayWait: true).0 == .parsed)
        #expect(bench.feed(Array(answer.dropLast()), .serverToClient, mayWait: true).0 == .incomplete)
    }
}
