import EngineAPI
import Glibc
import Model
import Testing

@testable import TUI

/// Whole screens as text, at 80x24 and 200x50, compared with what was looked at and found good.
@Suite(.serialized) struct ScreenTests {
    init() {
        setenv("TZ", "UTC", 1)
        tzset()
    }

    private static func status() -> EngineStatus {
        var status = EngineStatus()
        status.sources = ["eth0", "lo"]
        status.hostname = "node-7"
        status.clockUs = 1_700_000_000_000_000
        status.flows = 1000
        status.packetsPerSecond = 12_345
        status.bytesPerSecond = 3_400_000
        return status
    }

    private func app(_ view: Character, rows: Int, columns: Int) -> Application {
        var app = Application(rows: rows, columns: columns)
        _ = app.handle(.tick, nowMs: 1000)
        _ = app.handle(.answered(.status, .status, .status(Self.status())), nowMs: 1001)
        ApplicationTests.answer(app.handle(.key(.char(view)), nowMs: 1002), &app)
        return app
    }

    private func expect(_ surface: Surface, _ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for (row, line) in lines.enumerated() {
            #expect(surface.text(row: row) == line, "row \(row)", sourceLocation: sourceLocation)
        }
    }

    private static let overview: Overview = {
        var overview = Overview()
        overview.newestSecond = 1_700_000_000
        let wave = (0..<600).map { Double($0 % 20) }
        overview.packets = wave.map { $0 * 100 }
        overview.bytes = wave.map { $0 * 50_000 }
        overview.activeFlows = wave.map { _ in 40 }
        overview.newFlows = wave
        overview.requests = wave.map { $0 * 3 }
        overview.errors = wave.map { $0 == 19 ? 2 : 0 }
        overview.latency = wave.map { $0 * 1000 }
        overview.maxLatency = wave.map { $0 * 4000 }
        overview.totals.packets = 1_234_567
        overview.totals.bytes = 987_654_321
        overview.totals.flows = 4321
        overview.totals.requests = 9876
        overview.totals.errors = 54
        overview.talkers = [.init(name: "10.0.0.1", value: 2_500_000), .init(name: "fe80::1", value: 1200)]
        overview.services = [
            .init(name: "nginx 10.0.0.2:80 HTTP", value: 57, errors: 2, latency: 19_000),
            .init(name: "a-service-with-a-very-long-name.example 192.168.1.1:3306 MySQL", value: 0.4, latency: 250_000),
        ]
        overview.protocols = [.init(name: "HTTP", value: 2_000_000)]
        return overview
    }()

    @Test func flowsAt80() {
        expect(app("2", rows: 24, columns: 80).render(), Screens.flows80)
    }

    @Test func flowsAt200() {
        expect(app("2", rows: 50, columns: 200).render(), Screens.flows200)
    }

    @Test func overviewAt80() {
        var app = app("1", rows: 24, columns: 80)
        _ = app.handle(
            .answered(.overview, .overview(seconds: 600), .overview(Self.overview)), nowMs: 1003)
        expect(app.render(), Screens.overview80)
    }

    @Test func emptyListsSayWhatToDo() {
        var app = app("3", rows: 24, columns: 80)
        let query = app[.requests].query(.requests, height: app.bodyHeight)
        let page = ListPage(kind: .requests, columns: ["time"])
        _ = app.handle(.answered(.list(.requests), .list(query), .list(page)), nowMs: 1003)
        #expect(app.render().text.contains("No requests yet. They appear when a known protocol is seen."))
        let filtering: [Key] = [.char("/"), .char("x"), .enter]
        for key in filtering { _ = app.handle(.key(key), nowMs: 1004) }
        let filtered = app[.requests].query(.requests, height: app.bodyHeight)
        _ = app.handle(.answered(.list(.requests), .list(filtered), .list(page)), nowMs: 1005)
        #expect(app.render().text.contains("Nothing fits the filter: x"))
        #expect(app.render().text.contains("Esc removes it"))
    }

    @Test func lossAndRefusalsAreSeen() {
        var app = app("2", rows: 24, columns: 80)
        var status = Self.status()
        status.losses = [.init(place: "queue x", count: 12_345)]
        _ = app.handle(.answered(.status, .status, .status(status)), nowMs: 1003)
        #expect(app.render().text(row: 23).contains("lost 12k"))
        _ = app.handle(
            .answered(
                .status, .status, .failed(Refusal(.unreachable, what: "no engine", why: "it ended", mend: "start it"))),
            nowMs: 1004)
        #expect(app.render().text(row: 23).contains("no engine: it ended; start it"))
    }

    @Test func menusAndHelpFitSmallScreens() {
        for (rows, columns) in [(24, 80), (10, 40), (5, 20), (50, 200)] {
            var app = app("2", rows: rows, columns: columns)
            for keys: [Key] in [[.char("s")], [.escape, .char("e")], [.escape, .char("?")], [.pageDown], [.escape]] {
                for key in keys { _ = app.handle(.key(key), nowMs: 2000) }
                let surface = app.render()
                #expect(surface.rows == rows && surface.columns == columns)
            }
        }
        #expect(Application(rows: 3, columns: 20).render().text.contains("too small"))
    }

    @Test func hostileTextsStayInTheirCells() {
        var app = app("2", rows: 24, columns: 80)
        let query = app[.flows].query(.flows, height: app.bodyHeight)
        var page = ApplicationTests.page(query, count: 3)
        page.rows[0][1] = .text("\u{1b}]0;owned\u{7}\u{202e}漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字")
        page.rows[1][7] = .text("a\u{0}\nb\u{301}")
        _ = app.handle(.answered(.list(.flows), .list(query), .list(page)), nowMs: 1003)
        let surface = app.render()
        for row in 0..<24 {
            var width = 0
            for column in 0..<80 {
                width += Int(surface[row, column].width)
                #expect(surface[row, column].scalar.value >= 32 && surface[row, column].scalar.value != 0x1b)
            }
            #expect(width == 80)
        }
    }
}
