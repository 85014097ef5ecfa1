import Model
import Samples
import Testing

@testable import Pipeline

/// Handshakes record by record. Source: agent-l7-protocols.md 24, RFC 5246 7.3, RFC 8446 2.
@Suite struct TLSTests {
    typealias TLS = SampleTLS

    struct Bench: ~Copyable {
        var parser = TLSParser()
        var timeUs: UInt64 = 1000
        var tlsRttUs: UInt32 = 0

        mutating func feed(
            _ bytes: [UInt8], _ direction: PacketDirection = .clientToServer
        ) -> [L7Message] { result(bytes, direction, mayWait: false).messages }

        /// Payloads are 100 µs apart.
        mutating func result(
            _ bytes: [UInt8], _ direction: PacketDirection = .clientToServer, mayWait: Bool
        ) -> (result: L7ParseResult, messages: [L7Message]) {
            var out = L7Output()
            var context = L7ParseContext(
                direction: direction, l4Protocol: .tcp, payloadSize: bytes.count, mayWait: mayWait)
            context.timeUs = timeUs
            timeUs += 100
            let result = parser.parse(bytes.span.bytes, context, into: &out)
            if out.tlsRttUs != 0 { tlsRttUs = out.tlsRttUs }
            return (result, out.messages.all)
        }
    }

    private static func attributes(_ message: L7Message?) -> [String: String] {
        guard let ext = message?.log.ext else { return [:] }
        return Dictionary(zip(ext.attributeNames, ext.attributeValues)) { $1 }
    }

    private static let hello = TLS.record(
        22, TLS.clientHello(name: "shop.example", protocols: ["h2", "http/1.1"], versions: [0x1a1a, 0x0304, 0x0303]))
    private static let flight12 =
        TLS.record(22, TLS.serverHello(suite: 0xc02f, name: "h2"))
        + TLS.record(22, TLS.certificates([TLS.certificate, [1, 2, 3]]))
        + TLS.record(22, TLS.message(12, [1, 2, 3]) + TLS.message(14, []))

    @Test(arguments: [
        (hello, true), (Array(hello[..<60]), true), (Array(hello[..<8]), false), (flight12, false),
        (TLS.record(23, hello), false), (TLS.alert(40), false), ([0x16, 2] + hello[2...], false),
        (TLS.record(22, TLS.message(1, [UInt8](repeating: 0xff, count: 60))), false),
    ])
    func detection(_ bytes: [UInt8], _ expected: Bool) {
        let context = L7ParseContext(
            direction: .clientToServer, l4Protocol: .tcp, payloadSize: bytes.count, mayWait: false)
        #expect(TLSParser.detects(bytes.span.bytes, context) == expected)
        if expected { #expect(TLSParser.mayDetect(bytes.span.bytes.le32(at: 0))) }
    }

    @Test func version12() {
        var bench = Bench()
        let request = bench.feed(Self.hello).first
        #expect(request?.type == .request)
        #expect(request?.log.requestType == "ClientHello")
        #expect(request?.log.requestDomain == "shop.example")
        #expect(request?.log.requestResource == "shop.example")
        #expect(request?.log.version == "1.3")
        #expect(Self.attributes(request) == ["client_alpn": "h2,http/1.1"])
        let answer = bench.feed(Self.flight12, .serverToClient).first
        #expect(answer?.type == .response)
        #expect(answer?.log.requestType == "ServerHello|Certificate|ServerKeyExchange|ServerHelloDone")
        #expect(answer?.log.version == "1.2")
        #expect(answer?.log.responseStatus == L7ResponseStatus.ok.rawValue)
        #expect(
            Self.attributes(answer) == [
                "cipher_suite": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "server_alpn": "h2",
                "server_cert_not_before": "2026-11-28T05:06:09Z", "server_cert_not_after": "2028-11-28T05:06:09Z",
                "server_cert_common_name": "shop.example", "server_cert_dns_names": "shop.example,*.shop.example",
            ])
        #expect(answer?.log.ext?.metricsNames == ["server_cert_valid_days"])
        #expect(answer?.log.ext?.metricsValues == [731])
        #expect(bench.feed(TLS.record(22, TLS.message(16, [1])) + TLS.changeCipherSpec + TLS.finished).isEmpty)
        #expect(bench.tlsRttUs == 0)
        #expect(bench.feed(TLS.changeCipherSpec + TLS.finished, .serverToClient).isEmpty)
        #expect(bench.tlsRttUs == 300)
        #expect(bench.feed(TLS.secret).isEmpty)
    }

    @Test func resumption12() {
        var bench = Bench()
        _ = bench.feed(Self.hello)
        let answer = bench.result(
            TLS.record(22, TLS.serverHello(suite: 0x1)) + TLS.changeCipherSpec + TLS.finished, .serverToClient,
            mayWait: true)
        #expect(answer.result == .parsed)
        #expect(answer.messages.map(\.log.requestType) == ["ServerHello"])
        _ = bench.feed(TLS.changeCipherSpec + TLS.finished)
        #expect(bench.tlsRttUs == 200)
    }

    @Test func version13() {
        var bench = Bench()
        _ = bench.feed(Self.hello)
        let answer = bench.result(
            TLS.record(22, TLS.serverHello(suite: 0x1301, chosen: 0x0304)) + TLS.changeCipherSpec + TLS.secret,
            .serverToClient, mayWait: true
        ).messages
        #expect(answer.map(\.log.version) == ["1.3"])
        #expect(Self.attributes(answer.first) == ["cipher_suite": "TLS_AES_128_GCM_SHA256"])
        #expect(bench.tlsRttUs == 0)
        #expect(bench.feed(TLS.changeCipherSpec + TLS.secret).isEmpty)
        #expect(bench.tlsRttUs == 200)
    }

    /// The server's flight waits until it is whole, and so does a hello.
    @Test func segments() {
        var bench = Bench()
        for end in [4, 20, Self.hello.count - 1] {
            let part = bench.result(Array(Self.hello[..<end]), mayWait: true)
            #expect(part.result == (end < 5 ? .failed : .incomplete))
        }
        #expect(bench.result(Self.hello, mayWait: true).messages.count == 1)
        let first = TLS.record(22, TLS.serverHello(suite: 0xc02f, name: "h2")).count
        for end in [first, first + 200, Self.flight12.count - 1] {
            #expect(bench.result(Array(Self.flight12[..<end]), .serverToClient, mayWait: true).result == .incomplete)
        }
        #expect(bench.result(Self.flight12, .serverToClient, mayWait: true).messages.count == 1)
    }

    /// One handshake message in two records, and a certificate of which the end is missing.
    @Test func piecesThatCannotWait() {
        var bench = Bench()
        let message = Array(Self.hello[5...])
        let request = bench.feed(TLS.record(22, Array(message[..<50])) + TLS.record(22, Array(message[50...])))
        #expect(request.map(\.log.requestDomain) == ["shop.example"])
        let cut = Self.flight12[..<(TLS.record(22, TLS.serverHello(suite: 0xc02f, name: "h2")).count + 250)]
        let answer = bench.feed(Array(cut), .serverToClient)
        #expect(Self.attributes(answer.first)["server_cert_not_after"] == "2028-11-28T05:06:09Z")
        #expect(Self.attributes(answer.first)["server_cert_common_name"] == "shop.example")
    }

    @Test func alerts() {
        var bench = Bench()
        _ = bench.feed(Self.hello)
        #expect(bench.feed(TLS.alert(112, level: 1), .serverToClient).isEmpty)
        let refused = bench.feed(TLS.alert(40), .serverToClient).first
        #expect(refused?.type == .response)
        #expect(refused?.log.responseStatus == L7ResponseStatus.serverError.rawValue)
        #expect(refused?.log.responseResult == "handshake_failure")

        var other = Bench()
        _ = other.feed(Self.hello)
        _ = other.feed(Self.flight12, .serverToClient)
        let told = other.feed(TLS.alert(48)).first
        #expect(told?.type == .session)
        #expect(told?.needsSessionAggregation == false)
        #expect(told?.log.responseStatus == L7ResponseStatus.clientError.rawValue)
        #expect(told?.log.responseCode == 48)
        #expect(told?.log.responseResult == "unknown_ca")
        #expect(told?.log.requestDomain == "shop.example")
    }

    @Test func clientCertificate() {
        var bench = Bench()
        _ = bench.feed(Self.hello)
        _ = bench.feed(Self.flight12, .serverToClient)
        let sent = bench.feed(
            TLS.record(22, TLS.certificates([TLS.certificate]) + TLS.message(16, [1]) + TLS.message(15, [2]))
                + TLS.changeCipherSpec + TLS.finished
        ).first
        #expect(sent?.type == .session)
        #expect(sent?.log.requestType == "Certificate|ClientKeyExchange|CertificateVerify")
        #expect(Self.attributes(sent)["client_cert_not_before"] == "2026-11-28T05:06:09Z")
        #expect(sent?.log.ext?.metricsNames == ["client_cert_valid_days"])
    }

    /// Both halves in one record.
    @Test func joined() {
        var bench = Bench()
        var logs: [L7FlowLog] = []
        var sessions = SessionAggregator(settings: .init())
        var time: UInt64 = 1_000_000_000
        for bytes in [bench.feed(Self.hello), bench.feed(Self.flight12, .serverToClient)] {
            for var message in bytes {
                message.l7Protocol = .tls
                message.log.base.l7Protocol = L7Protocol.tls.rawValue
                message.log.base.messageType = message.type.rawValue
                message.log.base.startTimeNs = time
                message.log.base.endTimeNs = time
                time += 5000
                sessions.add(message, nowNs: 0, into: &logs)
            }
        }
        sessions.flush(asTimeout: false, nowNs: 0, into: &logs)
        #expect(logs.map(\.version) == ["1.2"])
        #expect(
            logs.map(\.requestType) == ["ClientHello|ServerHello|Certificate|ServerKeyExchange|ServerHelloDone"])
        #expect(logs.first?.requestDomain == "shop.example")
    }

    @Test func names() {
        #expect(TLSCipherSuite.name(0xc0ab) == "TLS_PSK_DHE_WITH_AES_256_CCM_8")
        #expect(TLSCipherSuite.name(0x2f) == "TLS_RSA_WITH_AES_128_CBC_SHA")
        #expect(TLSCipherSuite.name(0x1305) == "TLS_AES_128_CCM_8_SHA256")
        #expect(TLSCipherSuite.name(0xfefe) == "Unknown(0xfefe)")
    }
}
