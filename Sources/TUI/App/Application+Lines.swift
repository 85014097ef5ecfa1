import EngineAPI
import Model

/// The two lines that are typed: filter and command.
extension Application {
    // MARK: Filter

    mutating func beginFilter(_ kind: ListKind) -> [Effect] {
        var input = FilterInput(kind: kind, line: LineEditor(self[kind].filter), before: self[kind].filter)
        input.complete()
        overlay = .filter(input)
        return askForValues(input)
    }

    mutating func setFilter(_ text: String, _ kind: ListKind) -> [Effect] {
        guard self[kind].filter != text else { return [] }
        self[kind].filter = text
        self[kind].restart()
        return ask()
    }

    mutating func handleFilter(_ key: Key, _ input: FilterInput) -> [Effect] {
        var input = input
        switch key {
        case .escape:
            overlay = .none
            return setFilter(input.before, input.kind)
        case .enter:
            guard input.error == nil else {
                input.insists = true
                overlay = .filter(input)
                return []
            }
            overlay = .none
            let text = input.line.text
            if !text.isEmpty, filterHistory.last != text { filterHistory.append(text) }
            if filterHistory.count > 100 { filterHistory.removeFirst() }
            return setFilter(text, input.kind)
        case .tab, .backTab:
            input.take(next: key == .tab ? 1 : -1)
            return changed(&input)
        case .up, .down:
            guard !filterHistory.isEmpty else { return [] }
            let now = input.past ?? filterHistory.count
            let next = min(max(0, now + (key == .up ? -1 : 1)), filterHistory.count)
            input.past = next == filterHistory.count ? nil : next
            input.line = LineEditor(next == filterHistory.count ? "" : filterHistory[next])
            input.chosen = nil
            return changed(&input)
        default:
            guard let change = input.line.handle(key) else { return [] }
            input.chosen = nil
            if change == .cursor {
                input.complete()
                overlay = .filter(input)
                return askForValues(input)
            }
            return changed(&input)
        }
    }

    /// The list follows every keystroke; a text that is no filter yet leaves it as it is and says why.
    private mutating func changed(_ input: inout FilterInput) -> [Effect] {
        let text = input.line.text
        input.insists = false
        var effects: [Effect] = []
        do throws(FilterError) {
            _ = try Filter(text)
            input.error = nil
            effects = setFilter(text, input.kind)
        } catch {
            input.error = error
        }
        if input.chosen == nil {
            input.complete()
            effects += askForValues(input)
        }
        overlay = .filter(input)
        return effects
    }

    private func askForValues(_ input: FilterInput) -> [Effect] {
        guard let key = input.keyUnderCursor, key != input.known.key else { return [] }
        return [.ask(.values, .values(key: key))]
    }

    // MARK: Command

    static let commands: [(name: String, usage: String, help: String)] = [
        ("quit", "q", "leave dftop"),
        ("filter", "filter EXPR", "filter the list, nothing = all"),
        ("sort", "sort COLUMN [asc|desc]", "order of the list"),
        ("view", "view NAME or NUMBER", "go to a view"),
        ("export", "export [json|csv] [FILE]", "write all matching rows"),
        ("pause", "pause", "stop or go on, as Space"),
        ("theme", "theme dark|light|plain", "colours"),
        ("detach", "detach", "leave the engine running"),
        ("help", "help", "keys of this view"),
    ]

    mutating func handleCommand(_ key: Key, _ input: CommandInput) -> [Effect] {
        var input = input
        switch key {
        case .escape:
            overlay = .none
            return []
        case .backspace where input.line.text.isEmpty:
            overlay = .none
            return []
        case .enter:
            let text = input.line.text
            if !text.isEmpty, commandHistory.last != text { commandHistory.append(text) }
            if commandHistory.count > 100 { commandHistory.removeFirst() }
            overlay = .none
            return run(text, &input)
        case .up, .down:
            guard !commandHistory.isEmpty else { return [] }
            let now = input.past ?? commandHistory.count
            let next = min(max(0, now + (key == .up ? -1 : 1)), commandHistory.count)
            input.past = next == commandHistory.count ? nil : next
            input.line = LineEditor(next == commandHistory.count ? "" : commandHistory[next])
        case .tab: completeCommand(&input)
        default:
            guard input.line.handle(key) != nil else { return [] }
            input.message = ""
        }
        overlay = .command(input)
        return []
    }

    private func completeCommand(_ input: inout CommandInput) {
        let text = input.line.text
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard let last = words.last else { return }
        var candidates: [String]
        switch words.count {
        case 1: candidates = Application.commands.map(\.name)
        default:
            switch words[0] {
            case "sort": candidates = activeKind.map { ListSpec.of($0).columns.map(\.sort) } ?? []
            case "view": candidates = ViewID.present.map { $0.title.lowercased() }
            case "theme": candidates = Theme.all.map(\.name)
            case "export": candidates = ExportJob.Format.allCases.map(\.rawValue)
            case "filter":
                let completion = FilterCompletion(text, cursor: input.line.cursor)
                if let first = completion.candidates.first { input.line.replace(completion.range, with: first.text) }
                return
            default: candidates = []
            }
        }
        candidates = candidates.filter { $0.hasPrefix(last) }
        guard let first = candidates.first else { return }
        let common = candidates.dropFirst().reduce(first) { $0.commonPrefix(with: $1) }
        let end = text.count
        input.line.replace((end - last.count)..<end, with: candidates.count == 1 ? first + " " : common)
        input.message = candidates.count > 1 ? candidates.joined(separator: "  ") : ""
    }

    private mutating func run(_ text: String, _ input: inout CommandInput) -> [Effect] {
        let words = text.split(separator: " ", maxSplits: 1)
        guard let verb = words.first else { return [] }
        let rest = words.count > 1 ? String(words[1]).trimmed : ""
        let found = Application.commands.filter { $0.name.hasPrefix(verb) }
        guard let command = found.first, found.count == 1 || command.name == verb || verb == "q" || verb == "e" else {
            let known = Application.commands.map(\.name).joined(separator: ", ")
            say(
                found.isEmpty ? "there is no command '\(verb)'; there are \(known)" : "'\(verb)' may mean several",
                .error)
            return []
        }
        switch command.name {
        case "quit": return [.quit]
        case "filter": return runFilter(rest)
        case "sort": return runSort(rest)
        case "view":
            guard let next = ViewID.named(rest) else {
                say("there is no view '\(rest)'; try :view flows", .error)
                return []
            }
            return show(next)
        case "export": return runExport(rest)
        case "pause":
            guard activeKind != nil else { return handle(.char(" ")) }
            return handle(.char(" "))
        case "theme":
            guard Theme.named(rest) != nil else {
                say("themes are \(Theme.all.map(\.name).joined(separator: ", "))", .error)
                return []
            }
            theme = rest
            return [.theme(rest)]
        case "detach": return handle(.char("D"))
        default:
            overlay = .help(top: 0)
            return []
        }
    }

    private mutating func runFilter(_ text: String) -> [Effect] {
        guard let kind = activeKind else {
            let effects = show(.flows)
            return effects + runFilter(text)
        }
        do throws(FilterError) {
            _ = try Filter(text)
        } catch {
            say(error.sentence, .error)
            return []
        }
        return setFilter(text, kind)
    }

    private mutating func runSort(_ text: String) -> [Effect] {
        guard let kind = activeKind else {
            say("the overview has no list to sort", .error)
            return []
        }
        let words = text.lowercased().split(separator: " ")
        let columns = ListSpec.of(kind).columns
        guard let name = words.first,
            let column = columns.firstIndex(where: { $0.sort == name || $0.title.lowercased() == name })
        else {
            say("columns are \(columns.map { $0.title.lowercased() }.joined(separator: ", "))", .error)
            return []
        }
        _ = sort(kind, by: column)
        if words.count > 1 { self[kind].isDescending = words[1].hasPrefix("d") }
        return ask()
    }

    private mutating func runExport(_ text: String) -> [Effect] {
        guard let kind = activeKind else {
            say("the overview has no rows to export; go to a list", .error)
            return []
        }
        var words = text.split(separator: " ", maxSplits: 1).map(String.init)
        var format: ExportJob.Format?
        if let first = words.first, let named = ExportJob.Format(rawValue: first.lowercased()) {
            format = named
            words.removeFirst()
        }
        let path = words.isEmpty ? nil : words.joined(separator: " ")
        if format == nil, let path { format = path.lowercased().hasSuffix(".csv") ? .csv : .json }
        return [.export(exportJob(kind, format: format ?? .json, path: path, row: nil))]
    }
}

extension String {
    fileprivate var trimmed: String {
        var text = self[...]
        while let first = text.first, first.isWhitespace { text = text.dropFirst() }
        while let last = text.last, last.isWhitespace { text = text.dropLast() }
        return String(text)
    }

    fileprivate func commonPrefix(with other: String) -> String {
        String(zip(self, other).prefix { $0 == $1 }.map(\.0))
    }
}

extension FilterInput {
    /// The key whose value the cursor stands in.
    var keyUnderCursor: String? {
        let before = line.characters[..<line.cursor]
        let word = before.reversed().prefix { !$0.isWhitespace && $0 != "(" && $0 != "!" }.reversed()
        guard let colon = word.firstIndex(of: ":") else { return nil }
        return FilterKey.named(String(word[..<colon]))?.name
    }

    mutating func complete() {
        let known = self.known
        completion = FilterCompletion(line.text, cursor: line.cursor) { key in
            key.name == known.key ? known.values : []
        }
    }

    /// Puts the next candidate in the place of the word; again: the one after it.
    mutating func take(next step: Int) {
        guard let now = completion, !now.candidates.isEmpty else { return }
        let count = now.candidates.count
        let place = chosen.map { ($0 + step + count) % count } ?? (step > 0 ? 0 : count - 1)
        let length = chosen.map { now.candidates[$0].text.count } ?? now.range.count
        line.replace(now.range.lowerBound..<(now.range.lowerBound + length), with: now.candidates[place].text)
        chosen = place
        // A single candidate is final; the next Tab completes what follows it.
        if count == 1 {
            chosen = nil
            complete()
        }
    }
}
