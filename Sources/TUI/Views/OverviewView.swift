import EngineAPI
import Model

/// Charts of the last minutes and the busiest of now.
enum OverviewView {
    private struct Chart {
        let title: String
        let style: Style
        let values: [Double]
        let text: (Double) -> String
    }

    /// Draws on rows `1 ..< surface.rows - 1`.
    static func draw(_ overview: Overview, status: EngineStatus?, on surface: inout Surface) {
        let height = surface.rows - 2
        guard height > 4, surface.columns > 20 else { return }
        let charts = [
            Chart(title: "Bytes/s", style: .chartTraffic, values: overview.bytes) { Units.byteRate($0) },
            Chart(title: "Requests/s", style: .chartRequests, values: overview.requests) { Units.rate($0) },
            Chart(title: "Packets/s", style: .chartTraffic, values: overview.packets) { Units.rate($0) },
            Chart(title: "Response time", style: .chartLatency, values: overview.latency) { Units.duration($0) },
            Chart(title: "Active flows", style: .chartFlows, values: overview.activeFlows) { Units.count($0) },
            Chart(title: "Errors/s", style: .chartErrors, values: overview.errors) { Units.rate($0) },
        ]
        let across = surface.columns >= 150 ? 3 : 2
        let down = (charts.count + across - 1) / across
        // Half of the screen, but each chart at least a title and two rows.
        let chartHeight = max(3, min(11, height * 55 / 100 / down))
        let width = (surface.columns - (across - 1) * 2) / across
        for (index, chart) in charts.enumerated() {
            let row = 1 + index / across * chartHeight
            guard row + chartHeight <= surface.rows - 1 else { break }
            draw(
                chart, whole: overview.isWholeCapture, row: row, column: index % across * (width + 2),
                height: chartHeight, width: width, on: &surface)
        }
        let tablesAt = 1 + down * chartHeight
        let left = surface.rows - 1 - tablesAt
        guard left >= 2 else { return }
        drawTotals(overview, row: tablesAt, on: &surface)
        drawBusy(overview, row: tablesAt + 1, height: left - 1, on: &surface)
    }

    private static func draw(
        _ chart: Chart, whole: Bool, row: Int, column: Int, height: Int, width: Int, on surface: inout Surface
    ) {
        // Live: as many seconds as dots. A replay: all of it.
        var values = chart.values
        let points = width * 2
        if whole {
            if let first = values.firstIndex(where: { $0 > 0 }) { values.removeFirst(first) }
            if values.count < points, !values.isEmpty { values = stretched(values, to: points) }
        } else if values.count > points {
            values.removeFirst(values.count - points)
        }
        let largest = values.max() ?? 0
        let top = BrailleChart.niceTop(largest)
        let latest = whole ? largest : chart.values.last ?? 0
        var next = column
        next += surface.put(chart.title + " ", row: row, column: next, width: width, style: .strong)
        surface.put(
            chart.text(latest), row: row, column: next, width: max(0, column + width - next), style: chart.style)
        let legend = whole ? "max of capture" : "max \(chart.text(largest))"
        let legendWidth = min(legend.count, max(0, width - 24))
        surface.put(
            legend, row: row, column: column + width - legendWidth, width: legendWidth, style: .dim,
            alignment: .right)
        BrailleChart.draw(
            values, top: top, row: row + 1, column: column, height: height - 1, width: width, style: chart.style,
            on: &surface)
    }

    /// Each value repeated, so that a short capture fills the chart.
    private static func stretched(_ values: [Double], to count: Int) -> [Double] {
        (0..<count).map { values[$0 * values.count / count] }
    }

    private static func drawTotals(_ overview: Overview, row: Int, on surface: inout Surface) {
        let totals = overview.totals
        let parts: [(String, String)] = [
            ("packets", Units.count(Double(totals.packets))), ("", Units.bytes(Double(totals.bytes))),
            ("flows", Units.count(Double(totals.flows))), ("requests", Units.count(Double(totals.requests))),
            ("errors", Units.count(Double(totals.errors))),
            ("retransmitted", Units.count(Double(totals.retransmissions))),
        ]
        surface.fill(row: row, style: .frame, scalar: "─")
        var column = 1
        column += surface.put(" since the start: ", row: row, column: column, style: .dim)
        for (name, value) in parts {
            let length = name.count + value.count + 3
            guard column + length < surface.columns else { break }
            column += surface.put(
                value, row: row, column: column, style: name == "errors" && totals.errors > 0 ? .bad : .strong)
            column += surface.put(name.isEmpty ? "  " : " \(name)  ", row: row, column: column, style: .dim)
        }
    }

    private static func drawBusy(_ overview: Overview, row: Int, height: Int, on surface: inout Surface) {
        let width = surface.columns
        let wide = width >= 110
        let services = wide ? width / 2 : width * 56 / 100
        let protocols = wide ? width / 5 : 0
        let talkers = width - services - protocols - (wide ? 4 : 2)
        let amount = { (value: Double) in
            overview.isWholeCapture ? Units.bytes(value) : Units.byteRate(value)
        }
        table(
            "Busiest services", overview.services, row: row, column: 0, height: height, width: services, on: &surface,
            heads: [overview.isWholeCapture ? "REQ" : "REQ/S", overview.isWholeCapture ? "ERR" : "ERR/S", "RRT"],
            widths: [6, 6, 7]
        ) { busy in
            [
                (overview.isWholeCapture ? Units.count(busy.value) : Units.rate(busy.value), Style.plain),
                (busy.errors <= 0 ? "" : Units.rate(busy.errors), .bad),
                (busy.latency <= 0 ? "" : Units.duration(busy.latency), busy.latency >= 100_000 ? .warn : .plain),
            ]
        }
        table(
            "Top talkers", overview.talkers, row: row, column: services + 2, height: height, width: talkers,
            on: &surface, heads: [overview.isWholeCapture ? "BYTES" : "RATE"], widths: [8]
        ) { [(amount($0.value), .plain)] }
        if wide {
            table(
                "Protocols", overview.protocols, row: row, column: services + talkers + 4, height: height,
                width: protocols, on: &surface, heads: [overview.isWholeCapture ? "BYTES" : "RATE"], widths: [8]
            ) { [(amount($0.value), .plain)] }
        }
    }

    private static func table(
        _ title: String, _ items: [Overview.Busy], row: Int, column: Int, height: Int, width: Int,
        on surface: inout Surface, heads: [String], widths: [Int], cells: (Overview.Busy) -> [(String, Style)]
    ) {
        guard height >= 1 else { return }
        let numbers = widths.reduce(0) { $0 + $1 + 1 }
        let nameWidth = max(4, width - numbers)
        surface.put(title, row: row, column: column, width: nameWidth, style: .header)
        var next = column + nameWidth
        for (head, size) in zip(heads, widths) {
            surface.put(head, row: row, column: next + 1, width: size, style: .header, alignment: .right)
            next += size + 1
        }
        if items.isEmpty { surface.put("none yet", row: row + 1, column: column, width: width, style: .dim) }
        for (line, item) in items.prefix(height - 1).enumerated() {
            surface.put(item.name, row: row + 1 + line, column: column, width: nameWidth)
            var next = column + nameWidth
            for (cell, size) in zip(cells(item), widths) {
                surface.put(
                    cell.0, row: row + 1 + line, column: next + 1, width: size, style: cell.1, alignment: .right)
                next += size + 1
            }
        }
    }
}
