import EngineAPI
import Model
import Testing

@testable import TUI

/// Keys in, effects out: no terminal, no engine.
@Suite struct ApplicationTests {
    static let columns = [
        "flow_id", "ip_0", "client_port", "ip_1", "server_port", "protocol", "l7_protocol", "state", "close_type",
        "byte_rate", "bytes", "rtt", "l7_request", "l7_error", "retrans",
    ]

    static func row(_ id: Int) -> [FieldValue] {
        [
            .uint(UInt64(id)), .text("10.0.0.\(id % 250)"), .uint(UInt64(40_000 + id)), .text("192.168.1.\(id % 9)"),
            .uint(80), .uint(6), .uint(id % 2 == 0 ? 20 : 0), .text("open"), .uint(0), .real(Double(id) * 1000),
            .uint(UInt64(id) * 1500), .uint(UInt64(id) * 40), .uint(UInt64(id % 7)), .uint(UInt64(id % 3)), .uint(0),
        ]
    }

    static func page(_ query: ListQuery, count: Int = 1000) -> ListPage {
        let ids = Array(query.offset..<min(count, query.offset + query.limit)).map { count - $0 }
        return ListPage(
            kind: query.kind, columns: columns, rows: ids.map { row($0) }, ids: ids.map { UInt64($0) },
            offset: query.offset, matched: count, total: count, clockUs: 1_700_000_000_000_000)
    }

    /// On the flows with a first page there.
    static func onFlows(rows: Int = 24, columns: Int = 80) -> Application {
        var app = Application(rows: rows, columns: columns)
        _ = app.handle(.tick, nowMs: 1000)
        answer(app.handle(.key(.char("2")), nowMs: 1001), &app)
        return app
    }

    /// Gives every list question its page.
    static func answer(_ effects: [Effect], _ app: inout Application) {
        var effects = effects
        while let effect = effects.first {
            effects.removeFirst()
            guard case .ask(let slot, let question) = effect else { continue }
            if case .list(let query) = question {
                effects += app.handle(.answered(slot, question, .list(page(query))), nowMs: app.nowMs)
            }
            if case .freeze = question {
                effects += app.handle(.answered(slot, question, .snapshot(9)), nowMs: app.nowMs)
            }
        }
    }

    @discardableResult
    static func press(_ keys: [Key], _ app: inout Application) -> [Effect] {
        var all: [Effect] = []
        for key in keys {
            let effects = app.handle(.key(key), nowMs: app.nowMs + 1)
            all += effects
            answer(effects, &app)
        }
        return all
    }

    @Test func startsOnTheOverviewAndAsks() {
        var app = Application(rows: 24, columns: 80)
        #expect(app.handle(.tick, nowMs: 5) == [.ask(.status, .status), .ask(.overview, .overview(seconds: 600))])
        #expect(app.handle(.tick, nowMs: 500).isEmpty)
        #expect(app.handle(.tick, nowMs: 1005).count == 2)
    }

    @Test func movesAndFetchesRowsAhead() {
        var app = Self.onFlows()
        #expect(app[.flows].page?.rows.count == 60)
        Self.press([.down, .char("j"), .up], &app)
        #expect(app[.flows].selected == 1)
        Self.press([.pageDown], &app)
        #expect(app[.flows].selected == 21)
        #expect(app[.flows].top == 20)
        Self.press([.end], &app)
        #expect(app[.flows].selected == 999)
        #expect(app[.flows].top == 980)
        #expect(app[.flows].row(at: 999)?.id == 1)
        Self.press([.home, .up], &app)
        #expect(app[.flows].selected == 0)
        #expect(app[.flows].top == 0)
    }

    @Test func staysWithItsRowWhileTheListMoves() {
        var app = Self.onFlows()
        Self.press([.down, .down], &app)
        let id = app[.flows].row(at: 2)?.id
        let query = app[.flows].query(.flows, height: app.bodyHeight)
        var page = Self.page(query)
        page.rows.insert(Self.row(5000), at: 0)
        page.ids.insert(5000, at: 0)
        page.matched += 1
        _ = app.handle(.answered(.list(.flows), .list(query), .list(page)), nowMs: 2000)
        #expect(app[.flows].selected == 3)
        #expect(app[.flows].row(at: 3)?.id == id)
    }

    @Test func filtersAsOneTypes() {
        var app = Self.onFlows()
        Self.press([.char("/")], &app)
        let effects = Self.press("proto:http".map { Key.char($0) }, &app)
        // `proto:` alone is no filter yet; each further text that is one goes to the engine.
        #expect(app[.flows].filter == "proto:http")
        let asked = effects.compactMap { effect -> String? in
            guard case .ask(.list(.flows), .list(let query)) = effect else { return nil }
            return query.filter
        }
        #expect(asked.first == "p")
        #expect(asked.last == "proto:http")
        #expect(!asked.contains("proto:"))
        Self.press([.char("x")], &app)
        guard case .filter(let input) = app.overlay else {
            Issue.record("the filter line is gone")
            return
        }
        #expect(input.error?.position == 6)
        #expect(app[.flows].filter == "proto:http")
        #expect(app.render().text(row: 22).hasPrefix("✗ there is no protocol 'httpx'"))
        Self.press([.enter], &app)
        guard case .filter = app.overlay else {
            Issue.record("a wrong filter was accepted")
            return
        }
        Self.press([.backspace, .enter], &app)
        guard case .none = app.overlay else {
            Issue.record("the filter line is still there")
            return
        }
        Self.press([.escape], &app)
        #expect(app[.flows].filter.isEmpty)
    }

    @Test func escapePutsTheFilterBack() {
        var app = Self.onFlows()
        Self.press([.char("/")] + "tcp".map { Key.char($0) } + [.enter, .char("/"), .char("x"), .escape], &app)
        #expect(app[.flows].filter == "tcp")
        Self.press([.char("/"), .control("u"), .up], &app)
        guard case .filter(let input) = app.overlay else { return }
        #expect(input.line.text == "tcp")
    }

    @Test func completesWithTab() {
        var app = Self.onFlows()
        Self.press([.char("/")] + "prot".map { Key.char($0) } + [.tab] + "mys".map { Key.char($0) } + [.tab], &app)
        #expect(app[.flows].filter == "proto:mysql")
    }

    @Test func sortsByKeysMenuMouseAndCommand() {
        var app = Self.onFlows()
        Self.press([.char("S")], &app)
        #expect(app[.flows].sort == "byte_rate")
        #expect(!app[.flows].isDescending)
        Self.press([.char("s"), .home, .enter], &app)
        #expect(app[.flows].sort == "ip_0")
        #expect(!app[.flows].isDescending)
        Self.press([.char(">")], &app)
        #expect(app[.flows].sort == "ip_1")
        let header = app.render().text(row: 2)
        guard let place = header.firstRange(of: "RTT") else {
            Issue.record("no RTT column")
            return
        }
        let column = header.distance(from: header.startIndex, to: place.lowerBound)
        Self.press([.mouse(.init(action: .press, row: 2, column: column))], &app)
        #expect(app[.flows].sort == "rtt")
        #expect(app[.flows].isDescending)
        Self.press([.char(":")] + "sort bytes asc".map { Key.char($0) } + [.enter], &app)
        #expect(app[.flows].sort == "bytes")
        #expect(!app[.flows].isDescending)
    }

    @Test func pausesAndGoesOn() {
        var app = Self.onFlows()
        let pausing = Self.press([.char(" ")], &app)
        #expect(pausing.first == .ask(.freeze(.flows), .freeze(.flows)))
        #expect(app.isPaused)
        #expect(app[.flows].query(.flows, height: 20).snapshot == 9)
        #expect(app.render().text(row: 23).hasPrefix(" PAUSED"))
        // Time asks for nothing but the status; scrolling still does.
        #expect(app.handle(.tick, nowMs: app.nowMs + 5000) == [.ask(.status, .status)])
        let going = Self.press([.char(" ")], &app)
        #expect(going.first == .ask(.release(9), .release(snapshot: 9)))
        #expect(!app.isPaused)
    }

    @Test func opensDetailsAndComesBack() {
        var app = Self.onFlows()
        let effects = Self.press([.down, .enter], &app)
        #expect(effects.last == .ask(.detail, .detail(kind: .flows, id: 999, snapshot: nil)))
        let detail = Detail(
            title: "a -> b", sections: [.init("Traffic", [.init("byte_tx", .uint(1500)), .init("rtt", .uint(0))])])
        _ = app.handle(
            .answered(.detail, .detail(kind: .flows, id: 999, snapshot: nil), .detail(detail)), nowMs: app.nowMs)
        let text = app.render().text
        #expect(text.contains("bytes sent"))
        #expect(text.contains("1,500 B (1.5kB)"))
        #expect(text.contains("not measured"))
        #expect(Self.press([.char("y")], &app).contains { if case .copy = $0 { true } else { false } })
        Self.press([.escape], &app)
        guard case .none = app.overlay else {
            Issue.record("details stay")
            return
        }
        // A late answer opens nothing.
        _ = app.handle(
            .answered(.detail, .detail(kind: .flows, id: 999, snapshot: nil), .detail(detail)), nowMs: app.nowMs)
        guard case .none = app.overlay else {
            Issue.record("a late answer opened the details again")
            return
        }
    }

    @Test func drillsFromAFlowToItsRequests() {
        var app = Self.onFlows()
        Self.press([.char("r")], &app)
        #expect(app.view == .requests)
        #expect(app[.requests].filter == "flow:1000")
    }

    @Test func changesViewsAndSaysWhatIsMissing() {
        var app = Self.onFlows()
        for (key, view) in [
            ("1", ViewID.overview), ("3", .requests), ("4", .metrics), ("5", .map), ("8", .meta), ("0", .own),
        ] {
            Self.press([.char(Character(key))], &app)
            #expect(app.view == view)
        }
        Self.press([.char("6")], &app)
        #expect(app.view == .own)
        #expect(app.message?.text.hasPrefix("Traces is not part of this build; it has 1 Overview") == true)
        Self.press([.tab], &app)
        #expect(app.view == .overview)
        Self.press([.backTab], &app)
        #expect(app.view == .own)
        Self.press([.char("8"), .char("8")], &app)
        #expect(app.metaKind == .processes)
        Self.press([.mouse(.init(action: .press, row: 0, column: 20))], &app)
        #expect(app.view == .flows)
    }

    @Test func exportsAndQuits() {
        var app = Self.onFlows()
        let effects = Self.press([.char("e"), .down, .enter], &app)
        guard case .export(let job)? = effects.last else {
            Issue.record("nothing to export")
            return
        }
        #expect(job.format == .csv && job.row == nil && job.query.offset == 0)
        #expect(job.path.hasPrefix("./dftop-flows-") && job.path.hasSuffix(".csv"))
        let command = Self.press([.char(":")] + "export /tmp/x.csv".map { Key.char($0) } + [.enter], &app)
        #expect(
            command.contains {
                if case .export(let job) = $0 { job.path == "/tmp/x.csv" && job.format == .csv } else { false }
            })
        _ = app.handle(.exported(.success(ExportResult(path: "f", rows: 3, matched: 9))), nowMs: app.nowMs)
        #expect(app.message?.text == "wrote 3 rows (the first of 9) to f")
        #expect(Self.press([.char("q")], &app) == [.quit])
        #expect(Self.press([.control("c")], &app) == [.quit])
        #expect(Self.press([.char(":"), .char("q"), .enter], &app).last == .quit)
    }

    @Test func exportsTextsAnyReaderTakes() {
        let columns = ["l7_protocol", "request_resource", "time", "request_id"]
        let rows: [[FieldValue]] = [[.uint(20), .text("/a,\"b\"\n\u{1}"), .uint(1_700_000_000_000_001), .null]]
        #expect(
            Export.json(columns, rows)
                == "{\"l7_protocol\":20,\"l7_protocol_str\":\"HTTP\",\"request_resource\":\"/a,\\\"b\\\"\\n\\u0001\","
                + "\"time\":\"2023-11-14T22:13:20.000001Z\"}\n")
        #expect(
            Export.csv(columns, rows)
                == "l7_protocol,request_resource,time,request_id\n20,\"/a,\"\"b\"\"\n\u{1}\",2023-11-14T22:13:20.000001Z,\n"
        )
        #expect(Terminal.base64(Array("any carnal pleas".utf8)) == "YW55IGNhcm5hbCBwbGVhcw==")
    }

    @Test func survivesAnyKeysAndSizes() {
        let keys: [Key] =
            "12345678900/?:sSeyrfq<>mjkhlgG []x\u{6f22}".map { Key.char($0) } + [
                .enter, .escape, .tab, .backTab, .backspace, .delete, .up, .down, .left, .right, .pageUp, .pageDown,
                .home, .end, .function(1), .control("u"), .control("w"),
                .mouse(.init(action: .press, row: 5, column: 5)),
                .mouse(.init(action: .doublePress, row: 2, column: 40)),
                .mouse(.init(action: .wheelDown, row: 5, column: 5)),
            ]
        var seed: UInt64 = 11
        var app = Self.onFlows()
        for step in 0..<4000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            if step % 50 == 49 {
                _ = app.handle(
                    .resize(rows: Int(seed >> 40) % 60, columns: Int(seed >> 50) % 220), nowMs: app.nowMs)
            }
            Self.press([keys[Int(seed >> 33) % keys.count]], &app)
            if step % 5 == 0 { _ = app.render() }
        }
    }
}
