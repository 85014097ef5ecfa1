import Model
import Testing

@testable import Pipeline

/// Tables of agent-l7.md 2.2, 3, 11.
@Suite struct L7TextTests {
    struct EndpointCase: Sendable {
        var path: String
        var rules: [HTTPEndpointSettings.Rule]?
        var expected: String
    }

    static let api = [HTTPEndpointSettings.Rule(prefix: "/api", keepSegments: 1)]
    static let two = api + [HTTPEndpointSettings.Rule(prefix: "/api/v1/users", keepSegments: 4)]

    @Test(arguments: [
        EndpointCase(path: "", rules: nil, expected: "/"),
        EndpointCase(path: "api/v1/users", rules: nil, expected: "/api/v1"),
        EndpointCase(path: "/api/v1/users/123?query=456", rules: nil, expected: "/api/v1"),
        EndpointCase(path: "///././/api/v1//.//./users/123?query=456", rules: nil, expected: "///././/api/v1"),
        EndpointCase(path: "/api/v1/users/123", rules: api, expected: "/api"),
        EndpointCase(path: "/app/v1/x", rules: api, expected: ""),
        EndpointCase(path: "/api/v1/users/123", rules: two, expected: "/api/v1/users/123"),
        EndpointCase(path: "/api/v1/users?x", rules: two, expected: "/api/v1/users"),
        EndpointCase(path: "/api/v1/123", rules: two, expected: "/api"),
        EndpointCase(path: "/api/v1/users", rules: [.init(prefix: "", keepSegments: 3)], expected: "/api/v1/users"),
        EndpointCase(path: "/a/b/c", rules: [.init(prefix: "", keepSegments: 0)], expected: "/a/b"),
    ])
    func endpoint(_ example: EndpointCase) {
        var settings = HTTPEndpointSettings()
        if let rules = example.rules { settings.set(rules: rules) }
        #expect(settings.endpoint(of: example.path) == example.expected)
    }

    /// Ill-formed bytes become what the standard library makes of them, in every combination of lead and continuation.
    @Test func repairedText() {
        let edges: [UInt8] = [
            0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
            0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
        ]
        var wrong = 0
        func check(_ bytes: [UInt8]) {
            let text = bytes.span.bytes.text(0..<bytes.count)
            if !text.utf8.elementsEqual(String(decoding: bytes, as: UTF8.self).utf8) { wrong += 1 }
        }
        for a in edges {
            for b in edges {
                for c in edges {
                    for d in edges { check([0x61, a, b, c, d]) }
                    check([a, b, c])
                }
            }
        }
        var random: UInt64 = 7
        for length in 0..<300 {
            check(
                (0..<length).map { _ in
                    random = random &* 6_364_136_223_846_793_005 &+ 1
                    return UInt8(truncatingIfNeeded: random >> 56)
                })
        }
        #expect(wrong == 0)
    }

    @Test func disabledEndpointIsEmpty() {
        var settings = HTTPEndpointSettings()
        settings.isDisabled = true
        #expect(settings.endpoint(of: "/a/b") == "")
    }

    @Test(arguments: [
        ("DELETE FROM table WHERE id = 1;", "DELETE FROM table WHERE id = ?;"),
        (
            "UPDATE table SET column1 = value1, column2 = value2, column3 = value3 WHERE id = 1;",
            "UPDATE table SET column1 = ?, column2 = ?, column3 = ? WHERE id = ?;"
        ),
        (
            "INSERT INTO table (column1, column2, column3) VALUES (value1, value2, value3);",
            "INSERT INTO table (column1, column2, column3) VALUES (?);"
        ),
        ("SELECT * FROM t LIMIT 1 OFFSET 2;", "SELECT * FROM t LIMIT ? OFFSET ?;"),
        ("SELECT * FROM t WHERE id is Null;", "SELECT * FROM t WHERE id is ?;"),
        ("age != 100 OR count <> 100", "age <> ? OR count <> ?"),
        ("id NOT IN(1,2,3)", "id NOT IN(?)"),
        ("CREATE TABLE 'quote''andunquote'''", "CREATE TABLE ?"),
        ("json_column ->'x'", "json_column ->?"),
        ("MERGE INTO Employees AS target USING x", "MERGE INTO Employees AS ? USING x"),
        ("SELECT * FROM t WHERE name = 'hell", "SELECT * FROM t WHERE name = ?"),
        ("SELECT * FROM t WHERE c = a + b", "SELECT * FROM t WHERE c = ? + b"),
        ("SELECT * FROM t WHERE c IS NOT NULL", "SELECT * FROM t WHERE c IS ? NULL"),
        ("SELECT * FROM t WHERE n = N'x' AND m = X'41'", "SELECT * FROM t WHERE n = ? AND m = ?"),
        ("INSERT INTO t VALUES (N'x'), (1)", "INSERT INTO t VALUES (?), (?)"),
        ("SELECT \"a\" FROM t /* 1 */ WHERE \"b\" = \"c\"", "SELECT \"a\" FROM t /* 1 */ WHERE \"b\" = ?"),
        ("SELECT a FROM t WHERE b = (1 + (2)) AND c = 3", "SELECT a FROM t WHERE b = (?) AND c = ?"),
        ("SELECT `limit` FROM t", "SELECT `limit` FROM t"),
        ("SELECT a FROM t", "SELECT a FROM t"),
        ("SELECT a FROM t WHERE b =", "SELECT a FROM t WHERE b ="),
    ])
    func obfuscation(_ sql: String, _ expected: String) {
        var cache = SQLObfuscationCache()
        #expect(cache.obfuscated(sql) == expected)
        #expect(cache.obfuscated(sql) == expected, "from the cache")
    }

    @Test(arguments: [
        ("select 1", true), ("  /* c */ Update t", true), ("BEGIN", true), ("XA END", true), ("WITH a AS (x)", false),
        ("SELECTED", false), ("SELECTX 1", false), ("(select 1)", false), ("", false), ("/* open", false),
        ("\r\n\tinsert", true), ("TRUNCATE t", false),
    ])
    func mysqlStatement(_ text: String, _ expected: Bool) {
        let bytes = Array(text.utf8)
        let found = SQLStatement.isMySQL(bytes.span.bytes, 0..<bytes.count)
        #expect(found == expected)
    }

    @Test(arguments: [
        ("WITH a AS (x)", true), ("TRUNCATE t", true), ("BEGIN", false), ("COPY t", false), ("select 1", true),
        ("MATERIALIZED x", true),
    ])
    func postgresqlStatement(_ text: String, _ expected: Bool) {
        let bytes = Array(text.utf8)
        let found = SQLStatement.isPostgreSQL(bytes.span.bytes, 0..<bytes.count)
        #expect(found == expected)
    }

    @Test(arguments: [
        ("SELECT * FROM `tbl`", "SELECT tbl"), ("select a from b where c", "SELECT b"),
        ("SELECT a FROM b, (SELECT c FROM d)", "SELECT d)"), ("UPDATE `t` SET a=1", "UPDATE t"),
        ("INSERT IGNORE INTO `t`(a) VALUES(1)", "INSERT t"),
        ("delete from test_table  where id=1", "DELETE test_table"),
        ("ALTER TABLE t ADD c int", "ALTER t"), ("CREATE TABLE `x`(a int)", "CREATE x"), ("DROP TABLE y", "DROP y"),
        ("Login username: root", "Login username: root"), ("/* a b */ SELECT * FROM t", "SELECT t"),
        ("/*x*/ SELECT * FROM t", ""), ("SHOW WARNINGS", ""), ("SELECT 1", ""),
    ])
    func sqlEndpoint(_ text: String, _ expected: String) { #expect(SQLEndpoint.of(text) == expected) }

    struct TraceCase: Sendable {
        var name: String
        var value: String
        var trace: String?
        var span: String?
    }

    @Test(arguments: [
        TraceCase(name: "traceparent", value: " 00-4bf9-00f0-01 ", trace: "4bf9", span: "00f0"),
        TraceCase(name: "TraceParent", value: "00", trace: nil, span: nil),
        TraceCase(name: "sw8", value: "1-dHJhY2U=-c2Vn-3-x", trace: "trace", span: "seg-3"),
        TraceCase(name: "sw8", value: "1-tr.ace-s.eg-3", trace: "tr.ace", span: "s.eg-3"),
        TraceCase(name: "sw6", value: "1-dHJhY2U=-c2Vn", trace: "trace", span: nil),
        TraceCase(name: "sw3", value: "a|b|c|d|e|f|g|h", trace: "h", span: "a-b"),
        TraceCase(name: "uber-trace-id", value: "t:s0:s:1", trace: "t", span: "s"),
        TraceCase(name: "b3", value: "t-s-1", trace: "t", span: "s"),
        TraceCase(name: "X-B3-TraceId", value: "abc", trace: "abc", span: "abc"),
        TraceCase(name: "new_rpc_trace_context", value: "tcid=1&spid=2&x=3", trace: "1", span: "2"),
        TraceCase(name: "new_rpc_trace_context", value: "tcid=1", trace: nil, span: nil),
        TraceCase(name: "x-tingyun.tid", value: "abc", trace: nil, span: nil),
        TraceCase(name: "x-own", value: " abc ", trace: "abc", span: "abc"),
    ])
    func traceHeader(_ example: TraceCase) {
        let name = TraceName(example.name)
        let value = Array(example.value.utf8)
        let trace = name.traceID(value.span.bytes, 0..<value.count)
        let span = name.spanID(value.span.bytes, 0..<value.count)
        #expect(trace == example.trace)
        #expect(span == example.span)
    }

    @Test func tagsKeepPriority() {
        var tags = TagCollector()
        tags.addTrace("second", priority: 129, several: true)
        tags.addTrace("first", priority: 128, several: true)
        tags.addTrace("second", priority: 130, several: true)
        tags.addTrace("", priority: 1, several: true)
        #expect(tags.allTraceIDs(distinct: true) == ["first", "second"])
        tags.addTrace("third", priority: 131, several: false)
        #expect(tags.allTraceIDs(distinct: false) == ["first", "second", "second"])
        tags.addTrace("zero", priority: 127, several: false)
        tags.addTrace("fourth", priority: 140, several: true)
        #expect(tags.firstTraceIDs == ["zero", "first", "second"])
        tags.setSpan("late", priority: 129)
        tags.setSpan("early", priority: 128)
        tags.setSpan("same", priority: 128)
        #expect(tags.spanID == "early")
    }

    @Test(arguments: [
        ("a.node.net", true), ("node.net", true), ("frontnode.net", false), ("x.svc.cluster.local", true),
        ("cluster.local", false), ("", false),
    ])
    func dnsSuffix(_ name: String, _ expected: Bool) {
        #expect(DNSSuffixes(["node.net", "svc.cluster.local"]).contains(name) == expected)
    }

    @Test func names() {
        #expect(L7Names.parser("bRPC") == nil)
        #expect(L7Names.parser("Brpc") == .brpc)
        #expect(L7Names.parser("http") == nil)
        #expect(L7Names.key("HTTPS") == .http1)
        #expect(L7Names.key("Some/IP") == .someIp)
        #expect(L7Names.key("nonsense") == .unknown)
        let set = L7ProtocolSet(parserNames: ["HTTP", "DNS", "nonsense"])
        #expect(set.contains(.http1) && set.contains(.dns) && !set.contains(.redis) && !set.contains(.unknown))
    }

    @Test func portFilters() {
        var filters = L7PortFilters()
        #expect(filters[.dns].contains(53) && filters[.dns].contains(5353) && !filters[.dns].contains(54))
        #expect(filters[.http1].contains(1) && filters[.http1].contains(65535))
        #expect(filters.apply(["HTTP": "80, 8000-8010", "bRPC": "1", "DNS": "x"]) == ["DNS: x"])
        #expect(filters[.http1].contains(8005) && !filters[.http1].contains(8011) && filters[.dns].contains(53))
        #expect(portRanges("") == [] && portRanges("5-3") == nil && portRanges("1-2-3") == nil)
    }

    @Test func blacklist() {
        var list = L7Blacklist()
        list.add(.http1, field: .endpoint, operator: .prefix, value: "/health")
        list.add(.http1, field: .requestType, operator: .equal, value: "OPTIONS")
        list.add(.http1, field: .requestDomain, operator: .prefix, value: "x")
        list.add(.http1, field: .requestDomain, operator: .equal, value: "x")
        list.add(.http1, field: .requestResource, operator: .prefix, value: "")
        var message = L7Message()
        message.l7Protocol = .http1
        #expect(!list.contains(message))
        message.log.endpoint = "/healthz"
        #expect(list.contains(message))
        message.log.endpoint = "/x"
        message.log.requestDomain = "xy"
        #expect(!list.contains(message), "the later rule of the same value wins")
        message.log.requestType = "OPTIONS"
        #expect(list.contains(message))
        message.l7Protocol = .redis
        #expect(!list.contains(message))
    }
}
