/// One line of input with the usual keys; a value, tested by listing keys.
struct LineEditor: Equatable, Sendable {
    private(set) var characters: [Character] = []
    /// Characters before the cursor.
    private(set) var cursor = 0

    static let maxLength = 1000

    init(_ text: String = "") {
        characters = Array(text.prefix(LineEditor.maxLength))
        cursor = characters.count
    }

    var text: String { String(characters) }

    enum Change: Equatable, Sendable {
        case text
        case cursor
    }

    /// Nil: not a key of ours.
    mutating func handle(_ key: Key) -> Change? {
        switch key {
        case .char(let character):
            guard characters.count < LineEditor.maxLength else { return .cursor }
            characters.insert(character, at: cursor)
            cursor += 1
            return .text
        case .backspace:
            guard cursor > 0 else { return .cursor }
            cursor -= 1
            characters.remove(at: cursor)
            return .text
        case .delete, .control("d"):
            guard cursor < characters.count else { return .cursor }
            characters.remove(at: cursor)
            return .text
        case .left, .control("b"):
            cursor = max(0, cursor - 1)
            return .cursor
        case .right, .control("f"):
            cursor = min(characters.count, cursor + 1)
            return .cursor
        case .home, .control("a"):
            cursor = 0
            return .cursor
        case .end, .control("e"):
            cursor = characters.count
            return .cursor
        case .control("u"):
            characters.removeFirst(cursor)
            cursor = 0
            return .text
        case .control("k"):
            characters.removeLast(characters.count - cursor)
            return .text
        case .control("w"):
            var start = cursor
            while start > 0, characters[start - 1].isWhitespace { start -= 1 }
            while start > 0, !characters[start - 1].isWhitespace { start -= 1 }
            characters.removeSubrange(start..<cursor)
            cursor = start
            return .text
        default: return nil
        }
    }

    mutating func replace(_ range: Range<Int>, with text: String) {
        let range = range.clamped(to: 0..<characters.count)
        characters.replaceSubrange(range, with: Array(text))
        cursor = range.lowerBound + text.count
    }

    /// Draws `prompt` and the line, scrolled so that the cursor is visible, and places the terminal's cursor.
    func draw(prompt: String, row: Int, on surface: inout Surface) {
        surface.fill(row: row, style: .plain)
        let start = surface.put(prompt, row: row, column: 0, style: .key)
        let room = max(1, surface.columns - start - 1)
        // Cells before the cursor; scroll by whole characters.
        var first = 0
        var before = characters[..<cursor].reduce(0) { $0 + TextWidth.width(of: String($1)) }
        while before > room, first < cursor {
            before -= TextWidth.width(of: String(characters[first]))
            first += 1
        }
        surface.put(String(characters[first...]), row: row, column: start, width: room, style: .input)
        surface.cursor = (row, start + before)
    }
}
