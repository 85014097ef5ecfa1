import EngineAPI
import Model

extension Application {
    /// Keys go to what lies on top, then to the view, then to all.
    mutating func handle(_ key: Key) -> [Effect] {
        if key == .control("c") { return [.quit] }
        if key == .control("z") { return [.suspend] }
        switch overlay {
        case .none: return handleView(key)
        case .help(let top): return handleHelp(key, top)
        case .sort(let selected): return handleSort(key, selected)
        case .detail(let state): return handleDetail(key, state)
        case .filter(let input): return handleFilter(key, input)
        case .command(let input): return handleCommand(key, input)
        case .export(let selected): return handleExport(key, selected)
        }
    }

    /// Nil: not a key that all views share.
    private mutating func handleShared(_ key: Key) -> [Effect]? {
        switch key {
        case .char("q"): return [.quit]
        case .char("?"), .function(1):
            overlay = .help(top: 0)
            return []
        case .char(":"):
            overlay = .command(CommandInput())
            return []
        case .char("D"):
            guard settings.canDetach else {
                say("there is nothing to detach from: the engine runs elsewhere, or needs this terminal", .warn)
                return []
            }
            return [.detach]
        case .tab, .backTab:
            let views = ViewID.present
            let place = views.firstIndex(of: view) ?? 0
            let step = key == .tab ? 1 : views.count - 1
            overlay = .none
            view = views[(place + step) % views.count]
            return ask()
        case .char(let digit) where digit.isASCII && digit.isNumber:
            guard let number = digit.wholeNumberValue, let next = ViewID(rawValue: number) else { return nil }
            return show(next)
        case .mouse(let mouse) where mouse.row == 0 && mouse.action == .press:
            return tabs().first { $0.range.contains(mouse.column) }.map { show($0.view) } ?? []
        default: return nil
        }
    }

    private mutating func handleView(_ key: Key) -> [Effect] {
        if let effects = handleShared(key) { return effects }
        guard let kind = activeKind else { return handleOverview(key) }
        if view == .meta {
            switch key {
            case .char("m"), .char("]"): return nextMeta()
            case .char("["): return nextMeta(by: -1)
            case .mouse(let mouse) where mouse.action == .press && mouse.row == 1: return nextMeta()
            default: break
            }
        }
        return handleList(key, kind)
    }

    private mutating func handleOverview(_ key: Key) -> [Effect] {
        switch key {
        case .char(" "):
            isOverviewPaused.toggle()
            return isOverviewPaused ? [] : ask()
        case .char("/"):
            let effects = show(.flows)
            return effects + beginFilter(.flows)
        default: return []
        }
    }

    // MARK: Lists

    private mutating func handleList(_ key: Key, _ kind: ListKind) -> [Effect] {
        let height = bodyHeight
        let selected = self[kind].selected
        switch key {
        case .up, .char("k"): return move(kind, to: selected - 1)
        case .down, .char("j"): return move(kind, to: selected + 1)
        case .pageUp, .control("b"): return page(kind, by: -height)
        case .pageDown, .control("f"): return page(kind, by: height)
        case .control("u"): return page(kind, by: -height / 2)
        case .control("d"): return page(kind, by: height / 2)
        case .home, .char("g"): return move(kind, to: 0)
        case .end, .char("G"): return move(kind, to: self[kind].matched - 1)
        case .left, .char("h"):
            self[kind].shift = max(0, self[kind].shift - 1)
            return []
        case .right, .char("l"):
            let hidden = ListSpec.of(kind).columns.count - layout(kind).placed.count
            if hidden > self[kind].shift { self[kind].shift += 1 }
            return []
        case .enter: return open(kind)
        case .char("/"): return beginFilter(kind)
        case .escape:
            guard !self[kind].filter.isEmpty else { return [] }
            return setFilter("", kind)
        case .char("s"):
            overlay = .sort(selected: sortedColumn(kind) ?? 0)
            return []
        case .char("S"):
            if self[kind].sort.isEmpty, let column = sortedColumn(kind) {
                // The engine's own order has a direction of its own; from here on it is ours.
                self[kind].sort = ListSpec.of(kind).columns[column].sort
                self[kind].isDescending = kind == .interfaces
            } else {
                self[kind].isDescending.toggle()
            }
            self[kind].restart()
            return ask()
        case .char("<"), .char(">"): return sortNeighbour(kind, by: key == .char("<") ? -1 : 1)
        case .char(" "): return togglePause(kind)
        case .char("e"):
            overlay = .export(selected: 0)
            return []
        case .char("y"):
            guard let row = self[kind].row(at: selected) else { return [] }
            let columns = ListSpec.of(kind).columns
            let text = columns.map { $0.text(row.reader) }.filter { !$0.isEmpty }.joined(separator: "\t")
            say("copied this row")
            return [.copy(text)]
        case .char("r"), .char("f"): return drill(kind, to: key == .char("r") ? .requests : .flows)
        case .mouse(let mouse): return handleMouse(mouse, kind)
        default: return []
        }
    }

    private mutating func move(_ kind: ListKind, to position: Int) -> [Effect] {
        let before = self[kind].top
        self[kind].move(to: position, height: bodyHeight)
        return self[kind].top == before ? [] : askForRows(kind)
    }

    private mutating func page(_ kind: ListKind, by step: Int) -> [Effect] {
        let before = self[kind].top
        self[kind].top = max(0, self[kind].top + step)
        self[kind].move(to: self[kind].selected + step, height: bodyHeight)
        return self[kind].top == before ? [] : askForRows(kind)
    }

    /// Only when rows of the screen have not been fetched or will soon be missing.
    private func askForRows(_ kind: ListKind) -> [Effect] {
        let state = self[kind]
        guard let page = state.page else { return [] }
        let first = max(0, state.top - bodyHeight / 2)
        let last = min(state.matched, state.top + bodyHeight + bodyHeight / 2)
        if first >= page.offset, last <= page.offset + page.rows.count { return [] }
        return [.ask(.list(kind), .list(state.query(kind, height: bodyHeight)))]
    }

    private mutating func open(_ kind: ListKind) -> [Effect] {
        guard let row = self[kind].row(at: self[kind].selected) else { return [] }
        overlay = .detail(DetailState(kind: kind, id: row.id, snapshot: self[kind].snapshot))
        return [.ask(.detail, .detail(kind: kind, id: row.id, snapshot: self[kind].snapshot))]
    }

    private mutating func togglePause(_ kind: ListKind) -> [Effect] {
        if let snapshot = self[kind].snapshot {
            self[kind].snapshot = nil
            return [.ask(.release(snapshot), .release(snapshot: snapshot))] + ask()
        }
        return [.ask(.freeze(kind), .freeze(kind))]
    }

    /// From a row to the requests or flows behind it.
    private mutating func drill(_ kind: ListKind, to next: ViewID) -> [Effect] {
        guard let row = self[kind].row(at: self[kind].selected)?.reader, let target = next.list else { return [] }
        let filter: String
        switch kind {
        case .flows, .requests: filter = "flow:\(Int(row.number("flow_id")))"
        case .services: filter = "server:\(row.text("ip_1")) dport:\(row.text("server_port"))"
        case .map:
            filter = "client:\(row.text("ip_0")) server:\(row.text("ip_1")) dport:\(row.text("server_port"))"
        case .processes: filter = "pid:\(row.text("pid"))"
        case .host, .interfaces, .own: return []
        }
        self[target].snapshot = nil
        self[target].filter = kind == .flows || kind == .requests ? "flow:\(row.text("flow_id"))" : filter
        self[target].restart()
        return show(next)
    }

    private mutating func handleMouse(_ mouse: Key.Mouse, _ kind: ListKind) -> [Effect] {
        switch mouse.action {
        case .wheelUp: return page(kind, by: -3)
        case .wheelDown: return page(kind, by: 3)
        case .press, .doublePress:
            if mouse.row == Application.chromeAbove - 1 {
                guard let column = layout(kind).column(at: mouse.column) else { return [] }
                return sort(kind, by: column + self[kind].shift)
            }
            let line = mouse.row - Application.chromeAbove
            guard line >= 0, line < bodyHeight, self[kind].top + line < self[kind].matched else { return [] }
            self[kind].selected = self[kind].top + line
            return mouse.action == .doublePress || isDoublePress(mouse) ? open(kind) : []
        }
    }

    // MARK: Order

    /// The column that the list is sorted by now.
    func sortedColumn(_ kind: ListKind) -> Int? {
        let spec = ListSpec.of(kind)
        let name =
            self[kind].sort.isEmpty
            ? (status?.mode == .replay ? spec.ownSort.replay : spec.ownSort.live) : self[kind].sort
        return spec.columns.firstIndex { $0.sort == name }
    }

    mutating func sort(_ kind: ListKind, by column: Int) -> [Effect] {
        let columns = ListSpec.of(kind).columns
        guard columns.indices.contains(column) else { return [] }
        if sortedColumn(kind) == column, !self[kind].sort.isEmpty {
            self[kind].isDescending.toggle()
        } else {
            self[kind].sort = columns[column].sort
            // Texts from A on, numbers from the largest.
            self[kind].isDescending = columns[column].alignment == .right || columns[column].sort.hasSuffix("time")
        }
        self[kind].restart()
        return ask()
    }

    private mutating func sortNeighbour(_ kind: ListKind, by step: Int) -> [Effect] {
        let shown = layout(kind).placed.map { $0.column + self[kind].shift }
        guard let now = sortedColumn(kind), let place = shown.firstIndex(of: now) else {
            return shown.first.map { sort(kind, by: $0) } ?? []
        }
        let next = min(max(0, place + step), shown.count - 1)
        return next == place ? [] : sort(kind, by: shown[next])
    }

    private mutating func handleSort(_ key: Key, _ selected: Int) -> [Effect] {
        guard let kind = activeKind else {
            overlay = .none
            return []
        }
        let count = ListSpec.of(kind).columns.count
        switch key {
        case .up, .char("k"): overlay = .sort(selected: (selected + count - 1) % count)
        case .down, .char("j"): overlay = .sort(selected: (selected + 1) % count)
        case .home: overlay = .sort(selected: 0)
        case .end: overlay = .sort(selected: count - 1)
        case .enter, .char("s"), .char(" "):
            overlay = .none
            return sort(kind, by: selected)
        case .char("S"):
            overlay = .none
            _ = sort(kind, by: selected)
            self[kind].isDescending.toggle()
            return ask()
        case .escape, .char("q"): overlay = .none
        default: break
        }
        return []
    }

    // MARK: Help and details

    private mutating func handleHelp(_ key: Key, _ top: Int) -> [Effect] {
        let page = max(1, rows - 4)
        switch key {
        case .up, .char("k"): overlay = .help(top: max(0, top - 1))
        case .down, .char("j"): overlay = .help(top: top + 1)
        case .pageUp: overlay = .help(top: max(0, top - page))
        case .pageDown, .char(" "): overlay = .help(top: top + page)
        case .home: overlay = .help(top: 0)
        default: overlay = .none
        }
        if case .help(let next) = overlay {
            overlay = .help(top: min(next, max(0, helpLines().count - page)))
        }
        return []
    }

    private mutating func handleDetail(_ key: Key, _ state: DetailState) -> [Effect] {
        var state = state
        let page = max(1, rows - 3)
        let last = max(0, DetailView.lines(state, width: columns).count - page)
        switch key {
        case .up, .char("k"): state.top = max(0, state.top - 1)
        case .down, .char("j"): state.top = min(last, state.top + 1)
        case .pageUp: state.top = max(0, state.top - page)
        case .pageDown, .char(" "): state.top = min(last, state.top + page)
        case .home, .char("g"): state.top = 0
        case .end, .char("G"): state.top = last
        case .mouse(let mouse) where mouse.action == .wheelUp: state.top = max(0, state.top - 3)
        case .mouse(let mouse) where mouse.action == .wheelDown: state.top = min(last, state.top + 3)
        case .escape, .enter, .left, .backspace, .char("q"), .char("h"):
            overlay = .none
            return ask()
        case .char("y"):
            let text = DetailView.lines(state, width: 1000).map(\.text).joined(separator: "\n")
            say("copied these details")
            return [.copy(text)]
        case .char("e"):
            overlay = .none
            let row = exportJob(state.kind, format: .json, path: nil, row: state.id)
            return [.export(row)]
        case .char("r"), .char("f"):
            overlay = .none
            return drill(state.kind, to: key == .char("r") ? .requests : .flows)
        default: return handleShared(key) ?? []
        }
        overlay = .detail(state)
        return []
    }

    // MARK: Export

    static let exportChoices: [(title: String, format: ExportJob.Format, isRow: Bool)] = [
        ("all matching rows as JSON lines", .json, false), ("all matching rows as CSV", .csv, false),
        ("this row as JSON", .json, true), ("this row as CSV", .csv, true),
    ]

    private mutating func handleExport(_ key: Key, _ selected: Int) -> [Effect] {
        let choices = Application.exportChoices
        switch key {
        case .up, .char("k"): overlay = .export(selected: (selected + choices.count - 1) % choices.count)
        case .down, .char("j"): overlay = .export(selected: (selected + 1) % choices.count)
        case .enter:
            overlay = .none
            guard let kind = activeKind else { return [] }
            let choice = choices[selected]
            var row: UInt64?
            if choice.isRow {
                guard let found = self[kind].row(at: self[kind].selected) else { return [] }
                row = found.id
            }
            return [.export(exportJob(kind, format: choice.format, path: nil, row: row))]
        case .escape, .char("q"): overlay = .none
        default: break
        }
        return []
    }

    func exportJob(_ kind: ListKind, format: ExportJob.Format, path: String?, row: UInt64?) -> ExportJob {
        var query = self[kind].query(kind, height: bodyHeight)
        query.offset = 0
        query.limit = ListQuery.maxLimit
        let stamp =
            Units.date(us: nowMs * 1000).replacing("-", with: "")
            + "-" + Units.time(us: nowMs * 1000).replacing(":", with: "")
        let path = path ?? "\(settings.exportFolder)/dftop-\(kind.rawValue)-\(stamp).\(format.rawValue)"
        return ExportJob(query: query, row: row, format: format, path: path)
    }
}
