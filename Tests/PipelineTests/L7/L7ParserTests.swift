import Model
import Testing

@testable import Pipeline

/// Rules of the parsers that the capture vectors do not reach.
@Suite struct L7ParserTests {
    /// One parser fed by hand.
    struct Bench: ~Copyable {
        var parser: L7Parser
        var settings = L7Settings()
        var obfuscator = SQLObfuscationCache()
        var l4 = L4Protocol.tcp

        init(_ proto: L7Protocol) { parser = L7Parser(proto) ?? .none }

        mutating func feed(
            _ bytes: [UInt8], _ direction: PacketDirection = .clientToServer, mayWait: Bool = false
        ) -> (L7ParseResult, [L7Message]) {
            var out = L7Output()
            let context = L7ParseContext(
                direction: direction, l4Protocol: l4, payloadSize: bytes.count, mayWait: mayWait)
            if mayWait, isCut(bytes.span.bytes, direction) { return (.incomplete, []) }
            let result = parser.parse(bytes.span.bytes, context, settings, &obfuscator, into: &out)
            return (result, out.messages.all)
        }

        /// The last message of a protocol that tells its length goes on behind the bytes.
        private func isCut(_ bytes: RawSpan, _ direction: PacketDirection) -> Bool {
            var at = 0
            while at < bytes.byteCount {
                switch parser.frame(bytes, at, direction) {
                case .next(let next): at = next
                case .cut: return true
                case .foreign: return false
                }
            }
            return at > bytes.byteCount
        }

        /// Of a payload by itself.
        static func context(_ count: Int) -> L7ParseContext {
            L7ParseContext(direction: .clientToServer, l4Protocol: .tcp, payloadSize: count, mayWait: false)
        }

        mutating func feed(
            _ text: String, _ direction: PacketDirection = .clientToServer, mayWait: Bool = false
        ) -> (L7ParseResult, [L7Message]) { feed(Array(text.utf8), direction, mayWait: mayWait) }
    }

    // MARK: - HTTP/1

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", true), ("GET / HTTP/0.9\r\n", true), ("LINK /x HTTP/1.0\r\n", true),
        ("GET /x HTTP/2.0\r\n", false), ("HTTP/1.1 200 OK\r\n\r\n", false), ("GET / HTTP/1.1", false),
        ("GETS / HTTP/1.1\r\n", false), ("EXTENSION-METHOD / HTTP/1.1\r\n", true), ("get / HTTP/1.1\r\n", false),
    ])
    func httpDetection(_ text: String, _ expected: Bool) {
        let bytes = Array(text.utf8)
        let found = HTTP1Parser.detects(bytes.span.bytes)
        #expect(found == expected)
    }

    @Test func httpRequestWithTags() {
        var bench = Bench(.http1)
        bench.settings.trace.set(clientIPHeaders: ["X-Real-IP"])
        bench.settings.trace.set(xRequestIDHeaders: ["X-Request-ID"])
        bench.settings.set(httpCustomFields: ["x-user-id"])
        let (result, out) = bench.feed(
            "POST /api/v1/users?id=1 HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\nX-Real-IP: 1.2.3.4\r\n"
                + "x-request-id: r1\r\nTraceParent: 00-aa-bb-01\r\nX-User-Id: 7\r\nEmpty:\r\n\r\nhello")
        #expect(result == .parsed)
        guard let message = out.first else { return }
        #expect(message.type == .request)
        #expect(message.log.requestType == "POST")
        #expect(message.log.requestDomain == "shop")
        #expect(message.log.requestResource == "/api/v1/users?id=1")
        #expect(message.log.endpoint == "/api/v1")
        #expect(message.log.requestLength == 5)
        #expect(message.log.ext?.clientIP == "1.2.3.4")
        #expect(message.log.ext?.xRequestID0 == "r1")
        #expect(message.log.ext?.attributeNames == ["x_user_id"])
        #expect(message.log.trace?.traceIDs == ["aa"])
        #expect(message.log.trace?.spanID == "bb")
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n\r\n", 200, L7ResponseStatus.ok), ("HTTP/1.0 404 \r\n\r\n", 404, .clientError),
        ("HTTP/1.1 503 x\r\n\r\n", 503, .serverError), ("HTTP/1.1 101 Switch\r\n\r\n", 101, .ok),
    ])
    func httpStatus(_ text: String, _ code: Int32, _ status: L7ResponseStatus) {
        var bench = Bench(.http1)
        let (result, out) = bench.feed(text, .serverToClient)
        #expect(result == .parsed)
        #expect(out.first?.log.responseCode == code)
        #expect(out.first?.log.responseStatus == status.rawValue)
    }

    @Test(arguments: [
        "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 404\r\n\r\n", "HTTP/1.1 999 x\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "nonsense", "HTTP/1.1 200 OK",
    ])
    func httpRefusedResponse(_ text: String) {
        var bench = Bench(.http1)
        #expect(bench.feed(text, .serverToClient).0 == .failed)
    }

    @Test func httpErrorCapture() {
        var bench = Bench(.http1)
        bench.settings.rawCapture.errorResponsePayload = 3
        bench.settings.rawCapture.errorResponseHeader = 12
        let (_, request) = bench.feed("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
        let (_, response) = bench.feed("HTTP/1.1 500 Bad\r\nA: b\r\n\r\noops", .serverToClient)
        guard var session = request.first, let answer = response.first else { return }
        #expect(session.standalone().ext?.attributeNames == ["request_header", "request_payload"])
        withUnsafePointer(to: answer) { session.merge($0) }
        let log = session.standalone()
        #expect(
            log.ext?.attributeNames == ["request_header", "request_payload", "response_header", "response_payload"])
        #expect(log.ext?.attributeValues == ["", "", "HTTP/1.1 500", "oop"])
        #expect(log.responseCode == 500)
    }

    // MARK: - DNS

    /// Header, one question, then raw records.
    static func dns(
        flags: UInt16, name: [UInt8] = [1, 97, 0], type: UInt16 = 1, class_: UInt16 = 1, answers: [[UInt8]] = []
    ) -> [UInt8] {
        let be = { (value: UInt16) -> [UInt8] in [UInt8(value >> 8), UInt8(value & 255)] }
        return be(0x1234) + be(flags) + be(1) + be(UInt16(answers.count)) + be(0) + be(0) + name + be(type) + be(class_)
            + answers.flatMap { $0 }
    }

    static func record(type: UInt16, _ data: [UInt8], name: [UInt8] = [0xc0, 12], ttl: UInt8 = 9) -> [UInt8] {
        name + [UInt8(type >> 8), UInt8(type & 255), 0, 1, 0, 0, 0, ttl, 0, UInt8(data.count)] + data
    }

    @Test(arguments: [
        (record(type: 1, [10, 0, 0, 1]), "A=10.0.0.1 TTL=9"), (record(type: 2, [1, 98, 0xc0, 12]), "NS=b.a TTL=9"),
        (record(type: 12, [0]), "PTR= TTL=9"), (record(type: 5, [0xc0, 12]), "CNAME"),
        (record(type: 16, [2, 104, 105]), "TXT"),
        (record(type: 28, [32, 1, 13, 184] + [UInt8](repeating: 0, count: 11) + [1]), "AAAA=2001:db8::1 TTL=9"),
        (record(type: 999, [1, 2]), "Unknown(999)"), (record(type: 1, []), "A"),
    ])
    func dnsAnswer(_ answer: [UInt8], _ expected: String) {
        var bench = Bench(.dns)
        bench.l4 = .udp
        let (result, out) = bench.feed(Self.dns(flags: 0x8180, answers: [answer]), .serverToClient)
        #expect(result == .parsed)
        #expect(out.first?.log.responseResult == expected)
        #expect(out.first?.log.responseStatus == L7ResponseStatus.ok.rawValue)
    }

    @Test(arguments: [
        dns(flags: 0x0140), dns(flags: 0x0100, type: 999), dns(flags: 0x0100, class_: 5),
        dns(flags: 0x0100, name: [0xc0, 12]), dns(flags: 0x0100, name: [5, 97, 0]),
        dns(flags: 0x8180, answers: [record(type: 1, [1, 2, 3])]), Array(dns(flags: 0x0100).dropLast()),
        dns(flags: 0x8180, answers: [record(type: 6, [0, 0, 1])]),
    ])
    func dnsMalformed(_ bytes: [UInt8]) {
        var bench = Bench(.dns)
        bench.l4 = .udp
        #expect(bench.feed(bytes).0 == .failed)
    }

    @Test(
        arguments: [
            (0x8180, 0, L7ResponseStatus.ok), (0x8183, 3, .clientError), (0x8182, 2, .serverError),
            (0x8181, 1, .clientError),
            (0x818f, 17, .serverError),
        ] as [(UInt16, Int32, L7ResponseStatus)])
    func dnsStatus(_ flags: UInt16, _ code: Int32, _ status: L7ResponseStatus) {
        var bench = Bench(.dns)
        bench.l4 = .udp
        let (_, out) = bench.feed(Self.dns(flags: flags), .serverToClient)
        #expect(out.first?.log.responseCode == code)
        #expect(out.first?.log.responseStatus == status.rawValue)
        bench.settings.unconcernedDNSSuffixes = DNSSuffixes(["a"])
        #expect(
            bench.feed(Self.dns(flags: flags), .serverToClient).1.first?.log.responseStatus
                == L7ResponseStatus.ok.rawValue)
    }

    @Test func dnsOverTCPWaitsForTheRest() {
        var bench = Bench(.dns)
        let message = Self.dns(flags: 0x0100)
        let framed = [0, UInt8(message.count)] + message
        #expect(bench.feed(Array(framed.dropLast(3)), mayWait: true).0 == .incomplete)
        #expect(bench.feed(framed, mayWait: true).1.count == 1)
        let two = bench.feed(framed + framed, mayWait: true).1
        #expect(two.map(\.tcpSeqOffset) == [0, UInt32(framed.count)])
    }

    // MARK: - MySQL

    static func mysql(_ sequence: UInt8, _ body: [UInt8]) -> [UInt8] {
        [UInt8(body.count & 255), UInt8(body.count >> 8), 0, sequence] + body
    }

    static func query(_ text: String, command: UInt8 = 3) -> [UInt8] { mysql(0, [command] + Array(text.utf8)) }

    @Test func mysqlErrorKeepsTheRequestPending() {
        var bench = Bench(.mysql)
        #expect(bench.feed(Self.query("select 1")).1.first?.log.requestType == "COM_QUERY")
        let error = Self.mysql(1, [0xff, 0x28, 0x04, 35] + Array("42000bad syntax".utf8))
        let (_, failed) = bench.feed(error, .serverToClient)
        #expect(failed.first?.log.responseCode == 1064)
        #expect(failed.first?.log.responseException == "bad syntax")
        #expect(failed.first?.log.responseStatus == L7ResponseStatus.serverError.rawValue)
        let ok = Self.mysql(1, [0, 0, 0, 2, 0, 0, 0])
        #expect(bench.feed(ok, .serverToClient).1.count == 1, "the pending request answers once more")
        #expect(bench.feed(ok, .serverToClient).1.isEmpty)
    }

    @Test func mysqlRowsOfASession() {
        var bench = Bench(.mysql)
        guard var session = bench.feed(Self.query("update t set a=1")).1.first,
            let response = bench.feed(Self.mysql(1, [0, 0xfc, 0, 2, 0, 2, 0, 0, 0]), .serverToClient).1.first
        else { return }
        #expect(response.log.rowEffect == 0 && response.skipSend)
        withUnsafePointer(to: response) { session.merge($0) }
        #expect(session.log.rowEffect == 512)
        #expect(session.log.ext?.requestID ?? 0 == 0)
        #expect(session.log.endpoint == "UPDATE t")
    }

    @Test func mysqlPlaceholders() {
        for (text, count) in [
            ("SELECT * FROM t WHERE a = ? AND b=?", 2), ("a > ?", 0), ("a >?", 1), ("a LIKE ?", 1),
            ("a IN (?, ?,?)", 3), ("INSERT INTO t VALUES (?, ?), (?,?)", 4), ("a in (?)", 0),
            ("SELECT ?", 0), ("a <>?", 1),
        ] {
            let bytes = Array(text.utf8)
            let found = MySQLPlaceholders.count(bytes.span.bytes, 0..<bytes.count)
            #expect(found == count, "\(text)")
        }
    }

    @Test func mysqlExecuteParameters() {
        var bench = Bench(.mysql)
        _ = bench.feed(Self.query("SELECT a FROM t WHERE a = ? AND b = ?", command: 22))
        let head: [UInt8] = [23, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
        let execute = Self.mysql(0, head + [3, 0, 254, 0] + [1, 0, 0, 0] + [2, 104, 105])
        let (_, out) = bench.feed(execute)
        #expect(out.first?.log.requestResource == "Long(1) , hi")
        #expect(out.first?.log.ext?.requestID == 5)
        #expect(bench.feed(execute).1.first?.log.requestResource == "", "the count is used once")
    }

    @Test func mysqlTraceInComment() {
        var bench = Bench(.mysql)
        let (_, out) = bench.feed(Self.query("/* traceparent: 00-aa-bb-01 */ select * from t"))
        #expect(out.first?.log.trace?.traceIDs == ["aa"])
        #expect(out.first?.log.trace?.spanID == "bb")
        #expect(out.first?.log.endpoint == "SELECT t")
        #expect(bench.feed(Self.query("select '-- traceparent 00-x-y-z' from t")).1.first?.log.trace == nil)
    }

    @Test func mysqlMariaDBLogin() {
        var body: [UInt8] =
            [0x84, 0xa2, 0xbe, 0x81, 0, 0, 0, 0x40, 45] + [UInt8](repeating: 0, count: 19) + [7, 0, 0, 0]
        body += Array("root".utf8) + [0, 0]
        let login = Self.mysql(1, body)
        let isDetected = MySQLParser.detects(login.span.bytes, Bench.context(login.count), L7Settings())
        #expect(isDetected)
        var bench = Bench(.mysql)
        #expect(bench.feed(login).1.first?.log.requestResource == "Login username: root")
    }

    /// COM_QUERY `select name from users where id = 1 ...`, made with python's zlib.
    static let compressedQuery: [UInt8] = [
        67, 0, 0, 0, 100, 0, 0, 120, 156, 75, 96, 96, 96, 96, 46, 78, 205, 73, 77, 46,
        81, 200, 75, 204, 77, 85, 72, 43, 202, 207, 85, 40, 45, 78, 45, 42, 86, 40, 207, 72,
        45, 74, 85, 200, 76, 81, 176, 85, 48, 84, 200, 47, 130, 176, 140, 224, 44, 99, 56, 203,
        4, 206, 50, 133, 179, 204, 224, 44, 115, 0, 215, 86, 28, 94,
    ]

    @Test func mysqlCompressionStartsBehindTheLogin() {
        var body: [UInt8] = [0x20, 0x82, 0, 0, 0, 0, 0, 0x40, 45] + [UInt8](repeating: 0, count: 19) + [7, 0, 0, 0]
        body += Array("root".utf8) + [0, 0]
        var bench = Bench(.mysql)
        #expect(bench.feed(Self.mysql(1, body)).1.count == 1)
        #expect(bench.feed(Self.mysql(2, [0xfe, 1, 2]), .serverToClient).1.isEmpty, "another way to log in")
        #expect(bench.feed(Self.mysql(4, [0, 0, 0, 2, 0, 0, 0]), .serverToClient).1.count == 1)
        let query = bench.feed(Self.compressedQuery).1.first
        #expect(query?.log.endpoint == "SELECT users")
        let ok = Self.mysql(1, [0, 3, 0, 2, 0, 0, 0])
        let answer = bench.feed([UInt8(ok.count), 0, 0, 1, 0, 0, 0] + ok, .serverToClient).1.first
        #expect(answer?.log.responseStatus == L7ResponseStatus.ok.rawValue)
    }

    @Test func mysqlCompressedFlowIsDetected() {
        let isDetected = MySQLParser.detects(
            Self.compressedQuery.span.bytes, Bench.context(Self.compressedQuery.count), L7Settings())
        #expect(isDetected)
        var bench = Bench(.mysql)
        #expect(bench.feed(Self.compressedQuery).1.first?.log.requestType == "COM_QUERY")
        bench = Bench(.mysql)
        bench.settings.decompressesMySQL = false
        #expect(bench.feed(Self.compressedQuery).0 == .failed)
        let answer = bench.feed(Self.compressedQuery, .serverToClient).1.first
        #expect(answer?.log.responseStatus == L7ResponseStatus.parseFailed.rawValue)
    }

    @Test func mysqlUnknownCommandIsQuiet() {
        var bench = Bench(.mysql)
        let (result, out) = bench.feed(Self.mysql(0, [9]))
        #expect(result == .parsed && out.isEmpty)
        #expect(bench.feed(Self.query("nonsense here")).0 == .failed)
    }

    // MARK: - Redis

    static func redis(_ words: [String]) -> String {
        "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
    }

    @Test(arguments: [
        (["AUTH", "u", "p"], "AUTH ?"), (["HELLO", "3", "AUTH", "u", "p", "SETNAME", "n"], "HELLO 3 AUTH ?"),
        (["SET", "k", "v", "EX", "10"], "SET k ? EX 10"), (["HSETNX", "k", "f", "v"], "HSETNX k f ?"),
        (["LINSERT", "k", "BEFORE", "p", "v"], "LINSERT k BEFORE p ?"), (["SADD", "k", "a", "b"], "SADD k ?"),
        (["GEOADD", "k", "1", "2", "m", "3", "4", "n"], "GEOADD k 1 2 ? 3 4 ?"),
        (["hset", "k", "f", "v", "g", "w"], "hset k f ? g ?"), (["MSET", "a", "1", "b", "2"], "MSET a ? b ?"),
        (["CONFIG", "SET", "a", "1", "b", "2"], "CONFIG SET a ? b ?"), (["CONFIG", "GET", "a"], "CONFIG GET a"),
        (["BITFIELD", "k", "SET", "i5", "1", "9", "GET", "i5", "1"], "BITFIELD k SET i5 1 ? GET i5 1"),
        (["ZADD", "k", "nx", "CH", "1", "a", "2", "b"], "ZADD k nx CH 1 ? 2 ?"), (["GET", "k"], "GET k"),
        (["SET", "k"], "SET k"),
    ])
    func redisObfuscation(_ words: [String], _ expected: String) {
        var bench = Bench(.redis)
        #expect(bench.feed(Self.redis(words)).1.first?.log.requestResource == expected)
        bench.settings.obfuscated = []
        #expect(bench.feed(Self.redis(words)).1.first?.log.requestResource == words.joined(separator: " "))
    }

    @Test(arguments: [
        ("*1\r\n$4\r\nPING\r\n", true), ("*2\r\n$6\r\nCLIENT\r\n$4\r\nLIST\r\n", true),
        ("*2\r\n$6\r\nCLIENT\r\n$4\r\nNONE\r\n", false), ("*1\r\n$6\r\nCLIENT\r\n", false),
        ("*1\r\n$7\r\nCOMMAND\r\n", true), ("*1\r\n$5\r\nHELLO\r\n*1\r\n", true), ("*1\r\n$4\r\nPINK\r\n", false),
        ("*1\r\n$4\r\nPIN", false), ("PING\r\n", false), ("*2\r\n$-1\r\n$4\r\nPING\r\n", false),
    ])
    func redisDetection(_ text: String, _ expected: Bool) {
        let bytes = Array(text.utf8)
        let found = RedisParser.detects(bytes.span.bytes, Bench.context(bytes.count))
        #expect(found == expected)
    }

    @Test func redisResponses() {
        for (text, result, status, exception) in [
            ("+OK\r\n", "+ Simple string", L7ResponseStatus.ok, ""), (":1\r\n", ": Integer", .ok, ""),
            ("-ERR bad\r\n", "- Simple error", .serverError, "-ERR bad"),
            ("!5\r\nERR x\r\n", "! Bulk error", .serverError, "!ERR x"), ("*2\r\n$5\r\nhe", "* Array", .ok, ""),
            ("%1\r\n", "% Map", .ok, ""), ("_\r\n", "_ Nulls", .ok, ""),
        ] {
            var bench = Bench(.redis)
            #expect(bench.feed(text, .serverToClient).0 == .failed, "nothing pending")
            _ = bench.feed(Self.redis(["GET", "k"]))
            let (_, out) = bench.feed(text, .serverToClient)
            #expect(out.first?.log.responseResult == result)
            #expect(out.first?.log.responseStatus == status.rawValue)
            #expect(out.first?.log.responseException == exception)
            #expect(bench.feed(text, .serverToClient).0 == .failed, "one response a request")
        }
        var bench = Bench(.redis)
        _ = bench.feed(Self.redis(["GET", "k"]))
        let long = bench.feed("-" + String(repeating: "x", count: 300) + "\r\n", .serverToClient).1.first
        #expect(long?.log.responseException.count == 259)
    }

    @Test func redisEmptyArgument() {
        var bench = Bench(.redis)
        bench.settings.obfuscated = []
        #expect(bench.feed(Self.redis(["SET", "", "v"])).1.first?.log.requestResource == "SET v")
    }
}
