import EngineAPI
import Model

/// The whole screen program as a value: events in, effects out, drawing apart. It knows neither terminal nor engine.
struct Application: Sendable {
    struct Settings: Sendable, Equatable {
        var refreshMs: UInt64 = 1000
        var canDetach = false
        var theme = "dark"
        /// Folder for exports.
        var exportFolder = "."

        init() {}
    }

    let settings: Settings
    var rows: Int
    var columns: Int
    var nowMs: UInt64 = 0
    var view = ViewID.overview
    var metaKind = ListKind.interfaces
    var lists: [ListKind: ListState] = [:]
    var overlay = Overlay.none
    var status: EngineStatus?
    var statusRefusal: Refusal?
    var overview: Overview?
    var isOverviewPaused = false
    var message: (text: String, style: Style, untilMs: UInt64)?
    var theme: String
    var filterHistory: [String] = []
    var commandHistory: [String] = []
    private var lastAskMs: UInt64?
    private var lastStatusMs: UInt64?
    private var lastPress: (mouse: Key.Mouse, ms: UInt64)?

    /// Lines above and below the rows of a list: tabs, title, header; status.
    static let chromeAbove = 3
    static let chromeBelow = 1

    init(rows: Int, columns: Int, settings: Settings = Settings()) {
        self.rows = rows
        self.columns = columns
        self.settings = settings
        theme = settings.theme
    }

    var bodyHeight: Int { max(1, rows - Application.chromeAbove - Application.chromeBelow) }

    /// The list on the screen; nil on the overview.
    var activeKind: ListKind? { view == .meta ? metaKind : view.list }

    subscript(_ kind: ListKind) -> ListState {
        get { lists[kind] ?? ListState() }
        set { lists[kind] = newValue }
    }

    var isPaused: Bool {
        guard let kind = activeKind else { return isOverviewPaused }
        return self[kind].snapshot != nil
    }

    // MARK: Events

    mutating func handle(_ event: Event, nowMs: UInt64) -> [Effect] {
        self.nowMs = max(self.nowMs, nowMs)
        if let message, message.untilMs <= self.nowMs { self.message = nil }
        switch event {
        case .key(let key): return handle(key)
        case .resize(let rows, let columns):
            self.rows = rows
            self.columns = columns
            let height = bodyHeight
            for kind in Array(lists.keys) { lists[kind]?.clamp(height: height) }
            return ask()
        case .tick: return tick()
        case .answered(let slot, let question, let answer): return take(answer, to: question, slot)
        case .exported(let result):
            switch result {
            case .success(let done):
                let left = done.matched > done.rows ? " (the first of \(done.matched))" : ""
                say("wrote \(done.rows) rows\(left) to \(done.path)")
            case .failure(let refusal): say(refusal.sentence, .error)
            }
            return []
        }
    }

    mutating func say(_ text: String, _ style: Style = .good) {
        message = (text, style, nowMs + (style == .error ? 10_000 : 5_000))
    }

    private mutating func tick() -> [Effect] {
        let isDue = lastAskMs.map { nowMs >= $0 + settings.refreshMs } ?? true
        return isDue ? ask(isRefresh: true) : []
    }

    /// Questions for what is on the screen.
    /// - Parameter isRefresh: the same again because time passed; paused lists need none.
    mutating func ask(isRefresh: Bool = false) -> [Effect] {
        var effects: [Effect] = []
        if isRefresh { lastAskMs = nowMs }
        if isRefresh || lastStatusMs == nil {
            lastStatusMs = nowMs
            effects.append(.ask(.status, .status))
        }
        if case .detail(let state) = overlay, !isRefresh || state.snapshot == nil {
            effects.append(.ask(.detail, .detail(kind: state.kind, id: state.id, snapshot: state.snapshot)))
        }
        guard let kind = activeKind else {
            if !isOverviewPaused { effects.append(.ask(.overview, .overview(seconds: 600))) }
            return effects
        }
        if !isRefresh || self[kind].snapshot == nil {
            effects.append(.ask(.list(kind), .list(self[kind].query(kind, height: bodyHeight))))
        }
        return effects
    }

    // MARK: Answers

    private mutating func take(_ answer: Answer, to question: Question, _ slot: Slot) -> [Effect] {
        switch (slot, question, answer) {
        case (.status, _, .status(let status)):
            self.status = status
            statusRefusal = nil
        case (.status, _, .failed(let refusal)):
            statusRefusal = refusal
        case (.overview, _, .overview(let overview)):
            if !isOverviewPaused { self.overview = overview }
        case (.list(let kind), .list(let query), .list(let page)):
            let now = self[kind].query(kind, height: bodyHeight)
            // An answer to an older filter, order or pause says nothing about this one.
            guard query.filter == now.filter, query.sort == now.sort, query.isDescending == now.isDescending,
                query.snapshot == now.snapshot
            else { return [] }
            self[kind].take(page, spec: ListSpec.of(kind), height: bodyHeight)
            let wanted = self[kind].query(kind, height: bodyHeight)
            // The reader may have gone on meanwhile.
            if self[kind].top < page.offset || self[kind].top + bodyHeight > page.offset + page.rows.count,
                wanted.offset != query.offset, page.matched > 0
            {
                return [.ask(.list(kind), .list(wanted))]
            }
        case (.list(let kind), _, .failed(let refusal)):
            self[kind].refusal = refusal
            if self[kind].snapshot != nil, refusal.exitCode == .notFound {
                self[kind].snapshot = nil
                say("the paused list is gone; it runs again", .warn)
                return ask()
            }
        case (.detail, .detail(let kind, let id, _), _):
            guard case .detail(var state) = overlay, state.kind == kind, state.id == id else { return [] }
            switch answer {
            case .detail(let detail):
                state.detail = detail
                state.refusal = nil
            case .failed(let refusal): state.refusal = refusal
            default: break
            }
            overlay = .detail(state)
        case (.freeze(let kind), _, .snapshot(let id)):
            self[kind].snapshot = id
            return activeKind == kind ? ask() : []
        case (.freeze, _, .failed(let refusal)):
            say(refusal.sentence, .error)
        case (.values, .values(let key), .values(let values)):
            guard case .filter(var input) = overlay else { return [] }
            input.known = (key, values)
            input.complete()
            overlay = .filter(input)
        default: break
        }
        return []
    }

    // MARK: Views

    mutating func show(_ next: ViewID) -> [Effect] {
        guard ViewID.present.contains(next) else {
            let list = ViewID.present.map { "\($0.rawValue) \($0.title)" }.joined(separator: ", ")
            say("\(next.title) is not part of this build; it has \(list)", .warn)
            return []
        }
        if next == .meta, view == .meta { return nextMeta() }
        overlay = .none
        view = next
        return ask()
    }

    static let metaKinds: [ListKind] = [.interfaces, .processes, .host]

    mutating func nextMeta(by step: Int = 1) -> [Effect] {
        let count = Application.metaKinds.count
        let place = Application.metaKinds.firstIndex(of: metaKind) ?? 0
        metaKind = Application.metaKinds[(place + step + count) % count]
        overlay = .none
        return ask()
    }

    /// A press on the same row soon after the first opens it.
    mutating func isDoublePress(_ mouse: Key.Mouse) -> Bool {
        defer { lastPress = (mouse, nowMs) }
        guard let last = lastPress else { return false }
        return last.mouse.row == mouse.row && nowMs - last.ms < 500
    }
}
