import Model
import Testing

@testable import Pipeline

@Suite struct DubboTests {
    static func frame(
        _ flags: UInt8, status: UInt8 = 0, id: UInt64 = 7, _ body: [UInt8], length: Int? = nil
    ) -> [UInt8] {
        let length = UInt32(length ?? body.count)
        return [0xda, 0xbb, flags, status] + (0..<8).map { UInt8(truncatingIfNeeded: id >> (56 - 8 * $0)) }
            + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + body
    }

    static func hessian(_ texts: [String]) -> [UInt8] {
        texts.flatMap { text -> [UInt8] in
            let bytes = Array(text.utf8)
            return
                (bytes.count < 32 ? [UInt8(bytes.count)] : [0x30 | UInt8(bytes.count >> 8), UInt8(bytes.count & 255)])
                + bytes
        }
    }

    static let call = ["2.0.2", "com.x.S", "0.0.0", "get"]
    private static let sw8 = "1-dHJhY2U=-c2Vn-3-a"

    @Test func hessianRequestAndResponse() {
        var bench = L7ParserTests.Bench(.dubbo)
        let request = Self.frame(
            0xc2, id: 0x1_0000_0007, Self.hessian(Self.call + ["Ljava/lang/String;", "sw8", Self.sw8]))
        let isDetected = DubboParser.detects(request.span.bytes)
        #expect(isDetected)
        let message = bench.feed(request).1.first
        #expect(message?.type == .request && message?.sessionID == 7)
        #expect(message?.log.version == "2.0.2")
        #expect(message?.log.requestType == "get")
        #expect(message?.log.requestDomain == "com.x.S" && message?.log.requestResource == "com.x.S")
        #expect(message?.log.endpoint == "com.x.S/get")
        #expect(message?.log.trace?.traceIDs == ["trace"])
        #expect(message?.log.trace?.spanID == "seg-3")
        #expect(message?.log.ext?.attributeValues == ["HESSIAN2"])
        let answer = bench.feed(Self.frame(0x02, status: 40, [0x91]), .serverToClient).1.first
        #expect(answer?.type == .response && answer?.log.responseCode == 40)
        #expect(answer?.log.responseStatus == L7ResponseStatus.clientError.rawValue)
        #expect(answer?.log.responseLength == 1)
    }

    @Test(
        arguments: [
            (20, .ok), (30, .clientError), (31, .serverError), (40, .clientError), (50, .serverError),
            (60, .serverError),
            (70, .serverError), (80, .serverError), (90, .clientError), (100, .serverError), (21, .ok),
        ] as [(UInt8, L7ResponseStatus)])
    func status(_ code: UInt8, _ status: L7ResponseStatus) {
        var bench = L7ParserTests.Bench(.dubbo)
        let answer = bench.feed(Self.frame(2, status: code, [0]), .serverToClient).1.first
        #expect(answer?.log.responseStatus == status.rawValue)
    }

    @Test(
        arguments: [
            (frame(0xc2, hessian(call)), true), (frame(0xe2, [0x4e]), false), (frame(0x42, hessian(call)), false),
            (frame(0xc2, status: 20, hessian(call)), false), (Array(frame(0xc2, []).dropLast()), false),
            ([0xda, 0xba] + [UInt8](repeating: 0xc2, count: 20), false),
        ] as [([UInt8], Bool)])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        let found = DubboParser.detects(bytes.span.bytes)
        #expect(found == expected)
    }

    @Test func readingStopsAtWhatDoesNotDecode() {
        var bench = L7ParserTests.Bench(.dubbo)
        let empty = bench.feed(Self.frame(0xc2, Self.hessian(["2.0.2", "com.x.S", "", "get", "x"]))).1.first
        #expect(empty?.log.requestResource == "com.x.S" && empty?.log.requestType == "")
        #expect(empty?.log.endpoint == "")
        let cut = bench.feed(Self.frame(0xc2, Self.hessian(["2.0.2"]) + [9, 1], length: 90)).1.first
        #expect(cut?.log.version == "2.0.2" && cut?.log.requestLength == 90)
    }

    @Test func otherSerializations() {
        let java =
            [0xac, 0xed, 0, 5, 0x77, 40]
            + Self.call.flatMap { [0, 0, 0, UInt8($0.utf8.count), 0, UInt8($0.utf8.count)] + Array($0.utf8) }
            + Array("sw8".utf8) + [0x74, 0, UInt8(Self.sw8.utf8.count)] + Array(Self.sw8.utf8)
        let kryo =
            Self.call.flatMap { text in text.utf8.dropLast() + [(text.utf8.last ?? 0) | 0x80] }
            + [UInt8](repeating: 0, count: 60)
        let fastjson =
            Self.call.flatMap { text -> [UInt8] in
                [0, 0, 0, UInt8(text.utf8.count + 1), 0x49 + UInt8(text.utf8.count)] + Array(text.utf8)
            } + Array("sw8".utf8) + [0x49 + UInt8(Self.sw8.utf8.count)] + Array(Self.sw8.utf8)
        for (id, body, name, trace) in [
            (3, java, "JAVA", "trace"), (8, kryo, "KRYO", nil), (25, kryo, "KRYO_", nil),
            (23, fastjson, "FASTJSON2", "trace"),
        ] as [(UInt8, [UInt8], String, String?)] {
            var bench = L7ParserTests.Bench(.dubbo)
            let message = bench.feed(Self.frame(0xc0 | id, body)).1.first
            #expect(message?.log.version == "2.0.2", "\(name)")
            #expect(message?.log.endpoint == "com.x.S/get", "\(name)")
            #expect(message?.log.ext?.attributeValues == [name])
            #expect(message?.log.trace?.traceIDs.first == trace, "\(name)")
        }
        var bench = L7ParserTests.Bench(.dubbo)
        let unknown = bench.feed(Self.frame(0xc5, Self.hessian(Self.call))).1.first
        #expect(unknown?.log.ext?.attributeValues == ["5"] && unknown?.log.version == "")
    }

    @Test func kryoIsReadInItsFirstHalf() {
        var bench = L7ParserTests.Bench(.dubbo)
        let body = Self.call.flatMap { text in text.utf8.dropLast() + [(text.utf8.last ?? 0) | 0x80] }
        let message = bench.feed(Self.frame(0xc8, body)).1.first
        #expect(message?.log.version == "2.0.2" && message?.log.requestType == "")
    }

    @Test func configuredAttachmentsInTheirSpelling() {
        var bench = L7ParserTests.Bench(.dubbo)
        bench.settings.trace.set(traceNames: ["EagleEye-TraceID", "traceparent", "sw8"])
        bench.settings.trace.set(spanNames: ["EagleEye-SpanID"])
        let body = Self.hessian(
            Self.call + [
                "L;", "sw8", Self.sw8, "traceparent", "00-a-b-01", "EagleEye-TraceID", "t1", "EagleEye-SpanID", "-5",
            ])
        let message = bench.feed(Self.frame(0xc2, body)).1.first
        #expect(message?.log.trace?.traceIDs == ["t1", "trace"])
        #expect(message?.log.trace?.spanID == "-5")
        bench.settings.trace.collectsSeveralTraceIDs = false
        #expect(bench.feed(Self.frame(0xc2, body)).1.first?.log.trace?.traceIDs == ["t1"])
    }

    @Test func severalAndCutMessages() {
        var bench = L7ParserTests.Bench(.dubbo)
        let one = Self.frame(0xc2, id: 1, Self.hessian(Self.call + ["x"]))
        let all = one + Self.frame(0xe2, [0x4e]) + Self.frame(0xc2, id: 2, Self.hessian(Self.call + ["x"]))
        let (result, out) = bench.feed(all, mayWait: true)
        #expect(result == .parsed)
        #expect(out.map(\.sessionID) == [1, 2])
        #expect(out.map(\.tcpSeqOffset) == [0, UInt32(one.count + 17)])
        for count in [1, 10, one.count - 1, one.count + 3] {
            let cut = bench.feed(Array(all.prefix(count)), mayWait: true)
            #expect(cut.0 == .incomplete && cut.1.isEmpty, "\(count)")
        }
        #expect(bench.feed([0, 0, 0, 0, 0, 0], mayWait: true).0 == .failed, "padding")
        #expect(bench.feed(Self.frame(0xe2, [0x4e])).0 == .failed, "a heart-beat")
    }

    @Test func serverThatCallsItsClient() {
        var bench = L7ParserTests.Bench(.dubbo)
        let message = bench.feed(Self.frame(0xc2, Self.hessian(Self.call + ["x"])), .serverToClient).1.first
        #expect(message?.type == .request && message?.isReversed == true)
    }
}
