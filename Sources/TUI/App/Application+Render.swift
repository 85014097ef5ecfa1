import EngineAPI
import Model

/// Drawing: the state becomes cells, nothing else happens.
extension Application {
    func render() -> Surface {
        var surface = Surface(rows: rows, columns: columns)
        guard rows >= 8, columns >= 30 else {
            surface.put("too small: \(columns)x\(rows)", row: 0, column: 0, style: .warn)
            return surface
        }
        drawTabs(on: &surface)
        if let kind = activeKind {
            drawList(kind, on: &surface)
        } else {
            drawOverview(on: &surface)
        }
        switch overlay {
        case .none: drawStatus(on: &surface)
        case .help(let top):
            drawHelp(top, on: &surface)
            drawStatus(on: &surface)
        case .sort(let selected):
            drawSort(selected, on: &surface)
            drawStatus(on: &surface)
        case .export(let selected):
            drawExport(selected, on: &surface)
            drawStatus(on: &surface)
        case .detail(let state):
            DetailView.draw(state, paused: isPaused, on: &surface)
            drawStatus(on: &surface)
        case .filter(let input): drawFilter(input, on: &surface)
        case .command(let input): drawCommand(input, on: &surface)
        }
        return surface
    }

    // MARK: Tabs

    /// Where the tabs stand, for drawing and for the mouse.
    func tabs() -> [(view: ViewID, text: String, range: Range<Int>)] {
        var start = 6
        return ViewID.present.map { view in
            let text = columns >= 76 ? " \(view.rawValue) \(view.title) " : " \(view.rawValue)\(view.title.prefix(4)) "
            defer { start += text.count }
            return (view, text, start..<(start + text.count))
        }
    }

    private func drawTabs(on surface: inout Surface) {
        surface.fill(row: 0, style: .tab)
        surface.put("dftop", row: 0, column: 0, style: .barStrong)
        var end = 6
        for tab in tabs() {
            surface.put(
                tab.text, row: 0, column: tab.range.lowerBound, style: tab.view == view ? .tabActive : .tab)
            end = tab.range.upperBound
        }
        let clockUs = status?.clockUs ?? 0
        guard clockUs > 0 else { return }
        let clock = Units.time(us: clockUs)
        let full = Units.date(us: clockUs) + " " + clock
        let host = status?.hostname ?? ""
        let room = columns - end - 1
        for text in ["\(host)  \(full)", full, clock] where text.count <= room {
            surface.put(text, row: 0, column: columns - text.count, style: .tab)
            break
        }
    }

    // MARK: Status

    private func drawStatus(on surface: inout Surface) {
        let row = rows - 1
        surface.fill(row: row, style: .bar)
        var column = 0
        let put = { (text: String, style: Style, surface: inout Surface) in
            column += surface.put(text, row: row, column: column, style: style)
        }
        if isPaused {
            put(" PAUSED ", .barAlert, &surface)
        } else {
            put(modeText(), .barStrong, &surface)
        }
        if let message {
            let style: Style = message.style == .error ? .barAlert : .barStrong
            put(" " + message.text, style, &surface)
            return
        }
        if let refusal = statusRefusal {
            put(" " + refusal.sentence, .barAlert, &surface)
            return
        }
        guard let status else { return }
        if status.lost > 0 {
            put(" lost \(Units.count(Double(status.lost))) ", .barAlert, &surface)
        }
        let hints = hintText()
        let facts = factTexts(status)
        for fact in facts where column + fact.count + 2 + hints.count < columns {
            put("  " + fact, .bar, &surface)
        }
        let room = columns - column - 1
        guard hints.count <= room else { return }
        surface.put(hints, row: row, column: columns - hints.count, style: .bar)
    }

    private func modeText() -> String {
        guard let status else { return " … " }
        switch status.mode {
        case .live: return " LIVE "
        case .server: return " SERVER "
        case .replay:
            if status.isComplete { return " REPLAY done " }
            return status.progress.map { " REPLAY \(Units.percent(min(0.999, $0))) " } ?? " REPLAY "
        }
    }

    private func factTexts(_ status: EngineStatus) -> [String] {
        var facts: [String] = []
        let live = !(status.mode == .replay && status.isComplete)
        if live {
            facts.append("\(Units.rate(status.packetsPerSecond)) pkt/s \(Units.byteRate(status.bytesPerSecond))")
        }
        facts.append("\(Units.count(Double(status.flows))) flows")
        let sources = status.sources.map { source in
            status.mode == .replay ? String(source.split(separator: "/").last ?? "") : source
        }
        if !sources.isEmpty { facts.append(TextWidth.truncated(sources.joined(separator: ","), to: 30)) }
        for note in status.notes { facts.append(note) }
        return facts
    }

    private func hintText() -> String {
        switch overlay {
        case .detail(let state):
            let more = state.kind == .services || state.kind == .map ? "r requests  f flows  " : ""
            return more + "y copy  e export  Esc back "
        case .help: return "PgDn more  any key back "
        case .sort, .export: return "Enter choose  Esc back "
        case .none, .filter, .command: break
        }
        guard let kind = activeKind else { return "? help  q quit " }
        if isPaused { return "Space go on  ? help " }
        return (self[kind].filter.isEmpty ? "/ filter" : "Esc all") + "  s sort  Enter more  ? help "
    }

    // MARK: Overview

    private func drawOverview(on surface: inout Surface) {
        guard let overview, overview.newestSecond > 0 else {
            var lines = ["No packets yet."]
            if let status {
                if !status.sources.isEmpty { lines.append("Listening on \(status.sources.joined(separator: ", ")).") }
                lines += status.notes
            } else if let statusRefusal {
                lines = [statusRefusal.what + ":", statusRefusal.why + ".", statusRefusal.mend + "."]
            }
            drawEmpty(lines, on: &surface)
            return
        }
        OverviewView.draw(overview, status: status, on: &surface)
    }

    private func drawEmpty(_ lines: [String], on surface: inout Surface) {
        let start = max(2, rows / 2 - lines.count)
        for (index, line) in lines.enumerated() {
            let shown = TextWidth.truncated(line, to: columns - 2)
            let column = max(1, (columns - TextWidth.width(of: shown)) / 2)
            surface.put(shown, row: start + index, column: column, style: index == 0 ? .strong : .dim)
        }
    }

    // MARK: Lists

    func layout(_ kind: ListKind) -> ListLayout {
        let state = self[kind]
        return ListLayout(
            Array(ListSpec.of(kind).columns.dropFirst(state.shift)), wanted: Array(state.wanted.dropFirst(state.shift)),
            width: columns)
    }

    private func drawList(_ kind: ListKind, on surface: inout Surface) {
        let spec = ListSpec.of(kind)
        let state = self[kind]
        drawTitle(spec, state, on: &surface)
        let layout = layout(kind)
        let sorted = sortedColumn(kind)
        for place in layout.placed {
            let column = spec.columns[place.column + state.shift]
            let isSorted = sorted == place.column + state.shift
            let isDescending = state.sort.isEmpty ? kind != .interfaces : state.isDescending
            let title = isSorted ? column.title + (isDescending ? "▼" : "▲") : column.title
            surface.put(
                title.count > place.width ? column.title : title, row: 2, column: place.start, width: place.width,
                style: isSorted ? .headerSorted : .header, alignment: column.alignment)
        }
        if let refusal = state.refusal {
            drawEmpty([refusal.what, refusal.why, refusal.mend].filter { !$0.isEmpty }, on: &surface)
            return
        }
        guard let page = state.page else {
            drawEmpty(["…"], on: &surface)
            return
        }
        guard page.matched > 0 else {
            let lines =
                state.filter.isEmpty
                ? [spec.empty] + (status?.notes ?? [])
                : [
                    "Nothing fits the filter: \(state.filter)",
                    "Esc removes it, / changes it. All in all there are \(page.total).",
                ]
            drawEmpty(lines, on: &surface)
            return
        }
        for line in 0..<bodyHeight {
            let position = state.top + line
            guard position < page.matched else { break }
            let row = Application.chromeAbove + line
            let isSelected = position == state.selected
            if isSelected { surface.fill(row: row, style: .selected) }
            guard let reader = state.row(at: position)?.reader else {
                surface.put("…", row: row, column: 0, style: .dim)
                continue
            }
            for place in layout.placed {
                let column = spec.columns[place.column + state.shift]
                surface.put(
                    column.text(reader, width: place.width), row: row, column: place.start, width: place.width,
                    style: isSelected ? .selected : column.style(reader), alignment: column.alignment)
            }
        }
    }

    private func drawTitle(_ spec: ListSpec, _ state: ListState, on surface: inout Surface) {
        var column = 0
        if view == .meta {
            for kind in Application.metaKinds {
                let title = kind == .processes ? "Processes" : ListSpec.of(kind).title
                column += surface.put(
                    " \(title) ", row: 1, column: column, style: kind == metaKind ? .tabActive : .dim)
            }
            column += surface.put("  m next ", row: 1, column: column, style: .dim)
        } else {
            column += surface.put(spec.title, row: 1, column: column, style: .title)
        }
        var parts: [String] = []
        if let page = state.page {
            let all = Units.grouped(UInt64(max(0, page.total)))
            let some = Units.grouped(UInt64(max(0, page.matched)))
            parts.append(page.matched == page.total ? all : "\(some) of \(all)")
            if page.matched > bodyHeight { parts.append("row \(Units.grouped(UInt64(state.selected + 1)))") }
            if !page.note.isEmpty { parts.append(page.note) }
        }
        column += surface.put("  " + parts.joined(separator: ", "), row: 1, column: column, style: .dim)
        guard !state.filter.isEmpty else { return }
        let text = "filter " + state.filter
        let room = max(0, columns - column - 2)
        let shown = TextWidth.truncated(text, to: room)
        surface.put(shown, row: 1, column: columns - TextWidth.width(of: shown), style: .key)
    }

    // MARK: Popups

    private func drawHelp(_ top: Int, on surface: inout Surface) {
        let lines = helpLines()
        for row in 1..<(rows - 1) { surface.fill(row: row, style: .plain) }
        surface.put("Help: \(view.title)", row: 1, column: 0, style: .title)
        for row in 0..<max(0, rows - 4) {
            guard row + top < lines.count else { break }
            let line = lines[row + top]
            surface.put(line.text, row: row + 2, column: 0, style: line.style)
            if line.nameWidth > 0 { surface.restyle(row: row + 2, column: 0, width: line.nameWidth, style: .key) }
        }
        let below = lines.count - top - (rows - 4)
        if below > 0 {
            surface.put(
                "\(below) more lines below", row: rows - 2, column: 0, width: columns, style: .dim, alignment: .right)
        }
    }

    private func drawSort(_ selected: Int, on surface: inout Surface) {
        guard let kind = activeKind else { return }
        let spec = ListSpec.of(kind)
        drawMenu(
            "Sort by", spec.columns.map { "\($0.title.padded(to: 10)) \(DetailView.title(of: $0.sort))" },
            selected: selected, on: &surface)
    }

    private func drawExport(_ selected: Int, on surface: inout Surface) {
        let matched = activeKind.map { self[$0].matched } ?? 0
        drawMenu(
            "Export \(Units.grouped(UInt64(matched))) rows", Application.exportChoices.map(\.title), selected: selected,
            on: &surface)
    }

    private func drawMenu(_ title: String, _ items: [String], selected: Int, on surface: inout Surface) {
        let height = min(items.count + 2, rows - 4)
        let width = min(columns - 4, max(title.count + 6, (items.map(\.count).max() ?? 10) + 4))
        let row = max(1, (rows - height) / 2)
        let column = max(0, (columns - width) / 2)
        surface.frame(row: row, column: column, height: height, width: width, title: title)
        let visible = max(0, height - 2)
        let top = min(max(0, selected - visible + 1), max(0, items.count - visible))
        for line in 0..<visible where line + top < items.count {
            let isSelected = line + top == selected
            surface.put(
                " " + items[line + top], row: row + 1 + line, column: column + 1, width: width - 2,
                style: isSelected ? .selected : .plain, pads: true)
        }
    }

    // MARK: Typed lines

    private func drawFilter(_ input: FilterInput, on surface: inout Surface) {
        let row = rows - 1
        input.line.draw(prompt: "filter: ", row: row, on: &surface)
        surface.fill(row: row - 1, style: .plain)
        // While a word grows into one of the candidates, these help more than the complaint.
        if let error = input.error, input.insists || input.completion?.candidates.isEmpty != false {
            // The caret stands under the place where it fits, else the sentence says where.
            surface.put("✗ \(error.why); \(error.mend)", row: row - 1, column: 0, width: columns, style: .error)
            let place = 8 + error.position
            if place < columns {
                surface.restyle(row: row, column: place, width: min(error.length, columns - place), style: .error)
            }
            return
        }
        if let error = input.error, 8 + error.position < columns {
            surface.restyle(row: row, column: 8 + error.position, width: error.length, style: .error)
        }
        var column = 0
        for (index, candidate) in (input.completion?.candidates ?? []).enumerated() {
            let isChosen = input.chosen == index
            let length = TextWidth.width(of: candidate.text) + 2
            guard column + length <= columns else { break }
            column += surface.put(
                " \(candidate.text) ", row: row - 1, column: column, style: isChosen ? .selected : .dim)
        }
        if let only = input.completion?.candidates.first, input.completion?.candidates.count == 1, !only.help.isEmpty {
            surface.put("  " + only.help, row: row - 1, column: column, width: columns - column, style: .dim)
        }
    }

    private func drawCommand(_ input: CommandInput, on surface: inout Surface) {
        let row = rows - 1
        input.line.draw(prompt: ":", row: row, on: &surface)
        surface.fill(row: row - 1, style: .plain)
        var text = input.message
        if text.isEmpty {
            let word = input.line.text.prefix { $0 != " " }
            let found = Application.commands.filter { $0.name.hasPrefix(word) }
            text =
                found.count == 1 && !word.isEmpty
                ? "\(found[0].usage): \(found[0].help)" : found.map(\.name).joined(separator: "  ")
        }
        surface.put(text, row: row - 1, column: 0, width: columns, style: .dim)
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }
}
