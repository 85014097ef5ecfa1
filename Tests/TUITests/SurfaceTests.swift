import EngineAPI
import Testing

@testable import TUI

@Suite struct SurfaceTests {
    @Test(arguments: [
        ("hello", 5, "hello"), ("hello!", 5, "hell…"), ("", 3, ""), ("abc", 0, ""), ("ab", 1, "…"),
        ("漢字かな", 8, "漢字かな"), ("漢字かな", 7, "漢字か…"), ("漢字かな", 6, "漢字…"), ("漢字", 1, "…"),
        ("a\u{301}bc", 3, "abc"), ("a\tb\nc", 5, "a b c"), ("\u{1b}[31mred", 8, "·[31mred"),
        ("a\u{202e}b", 3, "a·b"), ("\u{0}\u{7f}\u{9b}", 3, "···"),
    ])
    func truncates(text: String, width: Int, expected: String) {
        let shown = TextWidth.truncated(text, to: width)
        #expect(shown == expected)
        #expect(TextWidth.width(of: shown) <= width)
    }

    @Test func wideCharactersNeverBreakCells() {
        var surface = Surface(rows: 1, columns: 6)
        surface.put("漢字漢", row: 0, column: 0)
        #expect(surface.text(row: 0) == "漢字漢")
        surface.put("x", row: 0, column: 1)
        #expect(surface.text(row: 0) == " x字漢")
        surface.put("y", row: 0, column: 2)
        #expect(surface.text(row: 0) == " xy 漢")
        surface.set("漢", width: 2, row: 0, column: 5, style: .plain)
        #expect(surface.text(row: 0) == " xy")
        for column in 0..<6 { #expect(surface[0, column].width == 1) }
    }

    @Test func alignsAndPads() {
        var surface = Surface(rows: 2, columns: 10)
        #expect(surface.put("12", row: 0, column: 2, width: 5, alignment: .right) == 5)
        #expect(surface.text(row: 0) == "     12")
        #expect(surface.put("ab", row: 1, column: 8, width: 9, style: .bad, pads: true) == 2)
        #expect(surface.put("outside", row: 5, column: 0) == 0)
        #expect(surface.put("outside", row: 0, column: -1) == 0)
        surface.fill(row: 0, column: 8, width: .max, style: .bar)
        #expect(surface[0, 9].style == .bar)
    }

    @Test func drawsFrames() {
        var surface = Surface(rows: 3, columns: 12)
        surface.frame(row: 0, column: 0, height: 3, width: 12, title: "Sort")
        #expect(surface.text == "┌─ Sort ───┐\n│          │\n└──────────┘")
    }

    /// Whatever the data holds, a row stays as wide as the screen and without anything that moves a cursor.
    @Test func anyScalarFitsItsCells() {
        var seed: UInt64 = 3
        for _ in 0..<2000 {
            var text = ""
            for _ in 0..<20 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let value = UInt32(truncatingIfNeeded: seed >> 40) & 0x1fffff
                if let scalar = Unicode.Scalar(seed >> 63 == 0 ? value & 0xfff : value) {
                    text.unicodeScalars.append(scalar)
                }
            }
            var surface = Surface(rows: 1, columns: 17)
            surface.put(text, row: 0, column: 3, width: 11)
            var width = 0
            for column in 0..<17 {
                let cell = surface[0, column]
                width += Int(cell.width)
                #expect(cell.scalar.value >= 32 && !(0x7f...0x9f).contains(cell.scalar.value))
                if column > 0, cell.width == 0 { #expect(surface[0, column - 1].width == 2) }
            }
            #expect(width == 17)
        }
    }
}

@Suite struct UnitsTests {
    @Test func durations() {
        let cases: [(Double, String)] = [
            (0, "0"), (0.5, "0.5us"), (1, "1us"), (850, "850us"), (999.6, "1000us"), (1000, "1.00ms"), (1234, "1.23ms"),
            (9_999, "10.0ms"), (35_200, "35.2ms"), (120_000, "120ms"), (999_600, "1.00s"), (1_240_000, "1.24s"),
            (75_300_000, "75.3s"), (125_000_000, "2m05s"), (11_040_000_000, "3h04m"), (183_600_000_000, "2d03h"),
            (.infinity, "0"), (-5, "0"),
        ]
        for (us, text) in cases { #expect(Units.duration(us) == text) }
    }

    @Test func counts() {
        let cases: [(Double, String)] = [
            (0, "0"), (7, "7"), (999, "999"), (999.7, "1.0k"), (1234, "1.2k"), (12_345, "12k"), (999_700, "1.0M"),
            (5e9, "5.0G"), (1e20, "100000P"),
        ]
        for (value, text) in cases { #expect(Units.count(value) == text) }
        #expect(Units.bytes(1536) == "1.5kB")
        #expect(Units.byteRate(0.2) == "0")
        #expect(Units.byteRate(2_000_000) == "2.0MB/s")
        #expect(Units.rate(0.25) == "0.3")
        #expect(Units.rate(0.04) == "0.04")
        #expect(Units.percent(0.005) == "0.5%")
        #expect(Units.percent(1) == "100%")
        #expect(Units.grouped(1_234_567) == "1,234,567")
    }
}

@Suite struct BrailleChartTests {
    @Test func drawsAnArea() {
        var surface = Surface(rows: 2, columns: 4)
        BrailleChart.draw(
            [0, 1, 2, 4, 8, 8, 0, 0], top: 8, row: 0, column: 0, height: 2, width: 4, style: .chartTraffic,
            on: &surface)
        #expect(surface.text == "  ⣿\n⢀⣼⣿⣀")
    }

    @Test func fitsAndRounds() {
        #expect(BrailleChart.fit([1, 2], to: 4) == [0, 0, 1, 2])
        #expect(BrailleChart.fit([1, 5, 2, 3, 9, 0], to: 3) == [5, 3, 9])
        #expect(BrailleChart.niceTop(7) == 8)
        #expect(BrailleChart.niceTop(120) == 150)
        #expect(BrailleChart.niceTop(0.012) == 0.015)
        #expect(BrailleChart.niceTop(0) == 0)
        #expect(BrailleChart.sparkline([0, 1, 8], width: 4) == "▁▁▁█")
    }
}

@Suite struct LineEditorTests {
    @Test func editsLikeAShell() {
        var line = LineEditor("proto:http")
        for key: Key in [.char(" "), .char("x"), .left, .backspace, .end, .backspace, .home, .char("!")] {
            _ = line.handle(key)
        }
        #expect(line.text == "!proto:http")
        #expect(line.cursor == 1)
        _ = line.handle(.end)
        #expect(line.handle(.control("w")) == .text)
        #expect(line.text.isEmpty)
        #expect(line.handle(.function(1)) == nil)
        #expect(line.handle(.backspace) == .cursor)
    }

    @Test func scrollsWithTheCursor() {
        var surface = Surface(rows: 1, columns: 12)
        let line = LineEditor("abcdefghijklmnop")
        line.draw(prompt: "/", row: 0, on: &surface)
        #expect(surface.text(row: 0) == "/ghijklmnop")
        #expect(surface.cursor?.column == 11)
    }
}

@Suite struct ListLayoutTests {
    @Test(arguments: [20, 40, 80, 120, 200, 300])
    func fitsTheScreen(width: Int) {
        for kind in [ListSpec.of(.flows), .of(.requests), .of(.services), .of(.own), .of(.interfaces), .of(.map)] {
            let layout = ListLayout(kind.columns, wanted: kind.columns.map { _ in 60 }, width: width)
            #expect(!layout.placed.isEmpty)
            var end = -1
            for place in layout.placed {
                #expect(place.start > end)
                end = place.start + place.width - 1
            }
            #expect(end < width)
        }
    }

    @Test func importantColumnsStay() {
        let columns = ListSpec.of(.flows).columns
        let titles = { (width: Int) in
            ListLayout(columns, wanted: columns.map { _ in 0 }, width: width).placed.map { columns[$0.column].title }
        }
        #expect(titles(80).contains("CLIENT") && titles(80).contains("RTT") && titles(80).contains("STATE"))
        #expect(!titles(80).contains("VLAN"))
        #expect(titles(240).contains("VLAN"))
        #expect(titles(60).starts(with: ["CLIENT", "SERVER", "PROTO"]))
    }
}
