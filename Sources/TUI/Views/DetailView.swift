import EngineAPI
import Model

/// One row in full: sections of names and values, then tables.
enum DetailView {
    struct Line: Sendable, Equatable {
        var text: String
        /// Cells from the start that are the name of a value.
        var nameWidth = 0
        var style = Style.plain
    }

    static func lines(_ state: DetailState, width: Int) -> [Line] {
        guard let detail = state.detail else {
            if let refusal = state.refusal {
                return wrapped(refusal.sentence, width: width).map { Line(text: $0, style: .warn) }
            }
            return [Line(text: "…", style: .dim)]
        }
        var lines: [Line] = []
        let nameWidth = min(
            26, detail.sections.flatMap(\.fields).map { TextWidth.width(of: title(of: $0.name)) }.max() ?? 0)
        for section in detail.sections {
            if !lines.isEmpty { lines.append(Line(text: "")) }
            if !section.name.isEmpty { lines.append(Line(text: section.name, style: .header)) }
            for field in section.fields {
                let value = ValueFormat.of(field.name).long(field.value)
                let name = padded(title(of: field.name), to: nameWidth)
                let rows = wrapped(value, width: max(10, width - nameWidth - 4))
                for (index, row) in rows.enumerated() {
                    let head = index == 0 ? name : String(repeating: " ", count: nameWidth)
                    lines.append(Line(text: "  " + head + "  " + row, nameWidth: nameWidth + 3))
                }
            }
        }
        for table in detail.tables {
            if !lines.isEmpty { lines.append(Line(text: "")) }
            lines.append(Line(text: table.title, style: .header))
            lines += DetailView.lines(of: table.table, width: width)
        }
        if let refusal = state.refusal {
            lines.insert(Line(text: refusal.why + "; these are its last values", style: .warn), at: 0)
        }
        return lines
    }

    static func draw(_ state: DetailState, paused: Bool, on surface: inout Surface) {
        surface.fill(row: 1, style: .plain)
        let title = state.detail?.title ?? "Details"
        surface.put(title, row: 1, column: 0, width: surface.columns, style: .title)
        let height = surface.rows - 3
        let lines = lines(state, width: surface.columns)
        for row in 0..<max(0, height) {
            surface.fill(row: row + 2, style: .plain)
            let index = row + state.top
            guard index < lines.count else { continue }
            let line = lines[index]
            surface.put(line.text, row: row + 2, column: 0, style: line.style)
            if line.nameWidth > 0 { surface.restyle(row: row + 2, column: 0, width: line.nameWidth, style: .accent) }
        }
        if lines.count > height, state.top + height < lines.count {
            surface.put(
                "\(lines.count - state.top - height) more lines below", row: surface.rows - 2,
                column: max(0, surface.columns - 24), width: 24, style: .dim, alignment: .right)
        }
    }

    /// `response_duration` as people say it.
    static func title(of column: String) -> String {
        switch column {
        case "ip_0": "client"
        case "ip_1": "server"
        case "process_kname_0": "client process"
        case "process_kname_1": "server process"
        case "process_id_0": "client pid"
        case "process_id_1": "server pid"
        case "mac_0": "client mac"
        case "mac_1": "server mac"
        case "byte_tx": "bytes sent"
        case "byte_rx": "bytes received"
        case "packet_tx": "packets sent"
        case "packet_rx": "packets received"
        case "l7_protocol": "application protocol"
        case "l7_request": "requests"
        case "l7_response": "responses"
        case "l7_error": "errors"
        case "l7_client_error": "client errors"
        case "l7_server_error": "server errors"
        case "l7_timeout": "timeouts"
        case "rrt_avg": "response time, mean"
        case "rrt_p50": "response time, median"
        case "rrt_p95": "response time, 95 %"
        case "rrt_max": "response time, longest"
        case "response_duration": "response time"
        case "rtt": "round trip"
        case "srt_avg": "system response, mean"
        case "srt_max": "system response, longest"
        case "art_avg": "app response, mean"
        case "art_max": "app response, longest"
        case "retrans_tx": "retransmitted, client"
        case "retrans_rx": "retransmitted, server"
        default: column.replacing("_", with: " ")
        }
    }

    private static func padded(_ text: String, to width: Int) -> String {
        let shown = TextWidth.truncated(text, to: width)
        return shown + String(repeating: " ", count: max(0, width - TextWidth.width(of: shown)))
    }

    /// A sentence in rows of at most `width` cells, broken between words.
    static func wrappedWords(_ text: String, width: Int) -> [String] {
        var rows = [""]
        for word in text.split(separator: " ") {
            let last = rows[rows.count - 1]
            if last.isEmpty {
                rows[rows.count - 1] = String(word)
            } else if TextWidth.width(of: last) + 1 + TextWidth.width(of: String(word)) <= width {
                rows[rows.count - 1] += " " + word
            } else {
                rows.append(String(word))
            }
        }
        return rows
    }

    /// Cuts a long value into rows of at most `width` cells; at most 200 rows.
    static func wrapped(_ text: String, width: Int) -> [String] {
        guard TextWidth.width(of: text) > width else { return [text] }
        var rows: [String] = []
        var row = String.UnicodeScalarView()
        var used = 0
        for cell in TextWidth.cells(of: text) {
            if used + cell.width > width {
                rows.append(String(row))
                row = String.UnicodeScalarView()
                used = 0
                if rows.count >= 200 { return rows + ["…"] }
            }
            row.append(cell.scalar)
            used += cell.width
        }
        if !row.isEmpty { rows.append(String(row)) }
        return rows
    }

    /// A small table with columns as wide as their content; the last texts are cut to fit.
    private static func lines(of table: ResultTable, width: Int) -> [Line] {
        let formats = table.columns.map { ValueFormat.of($0) }
        let cells = table.rows.map { row in zip(formats, row).map { $0.short($1) } }
        var widths = table.columns.map { TextWidth.width(of: title(of: $0)) }
        for row in cells {
            for (index, cell) in row.enumerated() {
                widths[index] = min(80, max(widths[index], TextWidth.width(of: cell)))
            }
        }
        // The widest column gives way first.
        while widths.reduce(2, { $0 + $1 + 2 }) > width, let widest = widths.max(), widest > 8,
            let index = widths.firstIndex(of: widest)
        {
            widths[index] -= 1
        }
        let isNumber = zip(table.columns, formats).map { name, format in
            switch format {
            case .count, .bytes, .byteRate, .rate, .duration, .ratio, .number: true
            case .text: name == "response_code"
            default: false
            }
        }
        let line = { (row: [String]) -> String in
            var out = "  "
            for (index, cell) in row.enumerated() where index < widths.count {
                let shown = TextWidth.truncated(cell, to: widths[index])
                let blank = String(repeating: " ", count: max(0, widths[index] - TextWidth.width(of: shown)))
                out += (isNumber[index] ? blank + shown : shown + blank) + "  "
            }
            return out
        }
        return [Line(text: line(table.columns.map { title(of: $0) }), style: .dim)] + cells.map { Line(text: line($0)) }
    }
}
