import Model
import Testing

@testable import ServerCore
@testable import Wire

struct GoTextTests {
    @Test(arguments: [
        (1e6, "1e+06"), (100_000, "100000"), (1.5, "1.5"), (-0.25, "-0.25"), (123_456_789, "1.23456789e+08"),
        (1e-5, "1e-05"), (0.0001, "0.0001"), (0, "0"), (1e21, "1e+21"), (2, "2"),
    ])
    func numbers(value: Double, text: String) { #expect(GoText.number(value) == text) }

    @Test(arguments: [(1e6, "1000000"), (1e21, "1e+21"), (1e-7, "1e-7"), (0.5, "0.5"), (1.25e-9, "1.25e-9")])
    func jsonNumbers(value: Double, text: String) { #expect(GoText.jsonNumber(value) == text) }

    @Test func texts() {
        #expect(GoText.json("a<b>\"\\\n\u{1}é") == "\"a\\u003cb\\u003e\\\"\\\\\\n\\u0001é\"")
        #expect(GoText.base64([1, 2, 3, 4]) == "AQIDBA==")
    }
}

struct RFC3339Tests {
    @Test(
        arguments: [
            ("2023-11-14T22:13:20Z", 1_700_000_000_000_000), ("2023-11-15T00:13:20.5+02:00", 1_700_000_000_500_000),
            ("1970-01-01T00:00:00Z", 0), ("2024-02-29t12:00:00.1234567-01:30", 1_709_213_400_123_456),
        ] as [(String, UInt64)])
    func times(text: String, micros: UInt64) { #expect(RFC3339.micros(text) == micros) }

    @Test(arguments: [
        "", "2023-11-14", "2023-11-14 22:13:20Z", "2023-13-14T22:13:20Z", "2023-11-14T22:13:20",
        "2023-11-14T22:13:20.Z",
        "1969-12-31T23:59:59Z", "2023-11-14T22:13:20Zx",
    ])
    func others(text: String) { #expect(RFC3339.micros(text) == nil) }
}

struct JSONReaderTests {
    private func read(_ text: String) -> (values: [JSONValue], isWhole: Bool) {
        var reader = JSONReader(Array(text.utf8))
        var values: [JSONValue] = []
        let isWhole = reader.forEachElement { values.append($0) }
        return (values, isWhole)
    }

    @Test func values() {
        let (values, isWhole) = read(#" [ {"a": [1, -2.5e1, "\u00e9\ud83d\ude00\n"], "b": {}, "a": null}, true ] "#)
        #expect(isWhole && values.count == 2)
        #expect(values[0].goText == "map[a:[1 -25 é😀\n] a:<nil> b:map[]]")
        #expect(values[0]["a"] == .null && values[1] == .bool(true))
    }

    @Test(arguments: [
        "", "[", "[1", "[1,", "[1,]", "[{]", "[\"a", "[\"\\q\"]", "[\"\\u12\"]", "[tru]", "{}", "[1 2]", "[{\"a\" 1}]",
        "[+1]",
        "[\"\u{1}\"]",
    ])
    func broken(text: String) { #expect(!read(text).isWhole) }

    @Test func whatStandsBeforeAMistakeStays() {
        #expect(read("[1,2,x").values == [.number(1), .number(2)])
        #expect(!read(String(repeating: "[", count: 100_000)).isWhole)
    }
}

/// Changed and cut texts: every decoder takes them, or counts them.
struct ForeignTextTests {
    @Test func nothingTraps() {
        let seeds = [
            #"[{"timestamp":"2023-11-14T22:13:20Z","message":"a\u00e9","json":{"x":[1,{"y":null}]},"metrics":{"m":"1"}}]"#,
            "2023-11-14T22:13:20+00:00 node d[1]: [INFO] m text of it", "svc%7Benv%3Dprod%7D",
            "--b\r\nContent-Disposition: form-data; name=\"profile\"\r\n\r\nxyz\r\n--b--",
        ].map { Array($0.utf8) }
        var state: UInt64 = 1
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<20_000 {
            var bytes = seeds[random(seeds.count)]
            for _ in 0...random(4) where !bytes.isEmpty {
                let at = random(bytes.count)
                switch random(3) {
                case 0: bytes[at] = UInt8(random(256))
                case 1: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random(8)))
                default: bytes.insert(contentsOf: bytes[at...].prefix(random(16)), at: at)
                }
            }
            var reader = JSONReader(bytes)
            _ = reader.forEachElement { _ = TextLogDecoder.applicationRow($0, teamID: 1) }
            let text = String(decoding: bytes, as: UTF8.self)
            _ = TextLogDecoder.agentRow(text)
            _ = ProfileKey(text)
            _ = ProfileDecoder.formPart(bytes, "multipart/form-data; boundary=b")
        }
    }
}

struct ExternalRowTests {
    @Test(
        arguments: [
            ("http://nacos:8848/nacos/v1/ns/instance/list", "/nacos/v1/ns/instance/list"), ("http://example.com", "/"),
            ("example.com/x", nil), ("", nil), ("http://", nil),
        ] as [(String, String?)])
    func paths(url: String, path: String?) { #expect(SpanReading.path(ofURL: url) == path) }

    @Test(
        arguments: [
            ("fatal", 2), ("CRIT", 2), ("Error4", 3), ("warning", 4), ("info2", 5), ("debu", 6), ("TRACE3", 7),
            ("debu2", 8),
            ("info5", 8), ("", 8), ("notice", 8),
        ] as [(String, UInt8)])
    func severities(level: String, number: UInt8) { #expect(TextLogDecoder.severity(of: level) == number) }

    @Test func linesOfAgents() throws {
        let row = try #require(TextLogDecoder.agentRow("2023-11-14T22:13:20+00:00 n d[1]: [DEBU] m a b"))
        #expect(row.severity == 6 && row.body == "a b" && row.appService == "n" && row.kind == .agent)
        #expect(TextLogDecoder.agentRow("2023-11-14T22:13:20+00:00 n d[1]: [TRACE] m a b") == nil)
        #expect(TextLogDecoder.agentRow("2023-11-14T22:13:20+00:00 n d[1]: [INFO] m") == nil)
    }

    @Test func profileNames() {
        let key = ProfileKey("svc%7Benv%3Dprod, a=b=c,x%7D")
        #expect(key.service == "svc")
        #expect(key.labels.map(\.name) == ["env", "a"] && key.labels.map(\.value) == ["prod", "b=c"])
        #expect(ProfileKey("50%").service == "50%")
    }

    @Test func skyWalkingNamesSpans() {
        var span = OTLPSpan()
        span.attributes = [
            OTLPAttribute("sw8.segment_id", .string("seg")), OTLPAttribute("sw8.span_id", .int(3)),
            OTLPAttribute("sw8.trace_id", .string("t")),
        ]
        span.links = [
            [OTLPAttribute("refType", .string("CrossProcess")), OTLPAttribute("sw8.parent_span_id", .string("1"))],
            [
                OTLPAttribute("refType", .string("CrossThread")), OTLPAttribute("sw8.parent_span_id", .string("2")),
                OTLPAttribute("sw8.parent_segment_id", .string("up")),
            ],
        ]
        let reading = SpanReading(span, resource: [])
        #expect(reading.spanID == "seg-3" && reading.parentSpanID == "up-2" && reading.traceID == "t")
    }

    @Test func protocolsOfSpans() {
        func proto(_ attributes: [(String, String)]) -> (UInt8, Bool) {
            var span = OTLPSpan()
            span.attributes = attributes.map { OTLPAttribute($0.0, .string($0.1)) }
            let reading = SpanReading(span, resource: [])
            return (reading.l7Protocol, reading.isTLS)
        }
        #expect(proto([("db.system", "sql")]) == (60, false))
        #expect(proto([("http.scheme", "https")]) == (0, true))
        #expect(proto([("http.scheme", "http"), ("http.flavor", "1.1")]) == (20, false))
        #expect(proto([("db.system", "memcached")]) == (0, false))
        #expect(proto([("http.route", "/")]) == (20, false))
    }
}

struct PrometheusNamesTests {
    @Test func numbersStayAndEnd() {
        let names = PrometheusNames(maxEntries: 3, maxTextBytes: 1000)
        let first = names.numbers(metric: "m", labels: [("a", "1"), ("b", "2")], columns: 8)
        #expect(first == .init(metricID: 1, labels: [1, 2]))
        #expect(names.numbers(metric: "m", labels: [("b", "2")], columns: 8) == .init(metricID: 1, labels: [0, 2]))
        #expect(names.numbers(metric: "m", labels: [("c", "1")], columns: 2) == nil)
        let entries = names.takeUnsaved()
        #expect(entries.count == 8 && names.takeUnsaved().isEmpty)
        let later = PrometheusNames(maxEntries: 3)
        later.restore(entries)
        #expect(later.numbers(metric: "m", labels: [("b", "2")], columns: 8) == .init(metricID: 1, labels: [0, 2]))
        #expect(names.numbers(metric: "m", labels: [("a", "3")], columns: 8) != nil)
        #expect(names.numbers(metric: "m", labels: [("a", "4")], columns: 8) == nil)
    }
}

struct FileAggregateTests {
    private func transfer(_ startMs: UInt64, _ name: String = "f") -> (EventRow, EventRow.File) {
        var row = EventRow()
        row.startUs = startMs * 1000
        row.endUs = row.startUs + 10
        var file = EventRow.File()
        file.bytes = 5
        file.directory = "/d/"
        file.name = name
        return (row, file)
    }

    @Test func gapsAndChangesEndIt() {
        var aggregate = FileAggregate()
        func add(_ startMs: UInt64) -> [EventRow] {
            let (row, file) = transfer(startMs)
            return aggregate.add(row, file, pid: 1, rootPID: 9, nowMs: 0)
        }
        #expect(add(1000).isEmpty && add(1050).isEmpty)
        let done = add(1200)
        #expect(done.count == 1)
        guard case .fileAggregate(let file, let root, let count) = done.first?.detail else {
            Issue.record("no merged row")
            return
        }
        #expect(file.bytes == 10 && root == 9 && count == 2)
        #expect(aggregate.takeOld(nowMs: 2999).isEmpty)
        #expect(aggregate.take(agentID: 0, path: "/d/g").isEmpty)
        #expect(aggregate.take(agentID: 0, path: "/d/f").count == 1)
        #expect(add(1300).isEmpty && aggregate.takeOld(nowMs: 3000).count == 1)
    }

    @Test func aPathOfAnyLengthIsTold() {
        var aggregate = FileAggregate()
        let (row, file) = transfer(1000, String(repeating: "x", count: 10_000))
        let done = aggregate.add(row, file, pid: 1, rootPID: 9, nowMs: 0)
        guard case .fileAggregate(let told, _, let count) = done.first?.detail else {
            Issue.record("the transfer is lost")
            return
        }
        #expect(done.count == 1 && told.bytes == 5 && count == 1)
        #expect(aggregate.takeAll().isEmpty)
    }
}
