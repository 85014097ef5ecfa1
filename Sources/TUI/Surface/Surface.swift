/// A screen in memory: what views draw on, tests read and the driver shows.
struct Surface: Equatable, Sendable {
    struct Cell: Equatable, Sendable {
        var scalar: Unicode.Scalar = " "
        /// 0: the right half of a wide character.
        var width: UInt8 = 1
        var style: Style = .plain
    }

    let rows: Int
    let columns: Int
    private(set) var cells: [Cell]
    /// Where the terminal's cursor shall stand; nil = hidden.
    var cursor: (row: Int, column: Int)?

    init(rows: Int, columns: Int) {
        self.rows = max(0, rows)
        self.columns = max(0, columns)
        cells = Array(repeating: Cell(), count: self.rows * self.columns)
    }

    static func == (one: Surface, other: Surface) -> Bool {
        one.rows == other.rows && one.columns == other.columns && one.cells == other.cells
            && one.cursor?.row == other.cursor?.row && one.cursor?.column == other.cursor?.column
    }

    subscript(row: Int, column: Int) -> Cell {
        guard row >= 0, row < rows, column >= 0, column < columns else { return Cell() }
        return cells[row * columns + column]
    }

    enum Alignment: Sendable {
        case left
        case right
    }

    /// Writes a text into at most `width` cells; longer ones end in `…`, shorter ones are padded when `pads`.
    /// - Returns: cells used, padding included.
    @discardableResult
    mutating func put(
        _ text: String, row: Int, column: Int, width: Int = .max, style: Style = .plain,
        alignment: Alignment = .left, pads: Bool = false
    ) -> Int {
        guard row >= 0, row < rows, column >= 0, column < columns else { return 0 }
        let room = min(width, columns - column)
        guard room > 0 else { return 0 }
        let shown = TextWidth.truncated(text, to: room)
        let length = TextWidth.width(of: shown)
        var next = column
        if alignment == .right {
            let blank = room - length
            if pads { fill(row: row, column: column, width: blank, style: style) }
            next += blank
        }
        for cell in TextWidth.cells(of: shown) {
            set(cell.scalar, width: cell.width, row: row, column: next, style: style)
            next += cell.width
        }
        if pads, alignment == .left, next < column + room {
            fill(row: row, column: next, width: column + room - next, style: style)
        }
        return pads || alignment == .right ? room : next - column
    }

    /// Sets one cell; a wide character that does not fit becomes a blank.
    mutating func set(_ scalar: Unicode.Scalar, width: Int = 1, row: Int, column: Int, style: Style) {
        guard row >= 0, row < rows, column >= 0, column < columns else { return }
        clearWide(row: row, column: column)
        let index = row * columns + column
        guard width == 2 else {
            cells[index] = Cell(scalar: scalar, width: 1, style: style)
            return
        }
        guard column + 1 < columns else {
            cells[index] = Cell(scalar: " ", width: 1, style: style)
            return
        }
        clearWide(row: row, column: column + 1)
        cells[index] = Cell(scalar: scalar, width: 2, style: style)
        cells[index + 1] = Cell(scalar: " ", width: 0, style: style)
    }

    mutating func fill(row: Int, column: Int = 0, width: Int = .max, style: Style, scalar: Unicode.Scalar = " ") {
        guard row >= 0, row < rows, column < columns, width > 0 else { return }
        let end = min(columns, column + min(width, columns))
        for next in max(0, column)..<max(0, column, end) {
            set(scalar, row: row, column: next, style: style)
        }
    }

    /// Gives cells another style without touching their text.
    mutating func restyle(row: Int, column: Int = 0, width: Int = .max, style: Style) {
        guard row >= 0, row < rows, column >= 0, column < columns, width > 0 else { return }
        for next in column..<min(columns, column + min(width, columns)) { cells[row * columns + next].style = style }
    }

    /// A box with a title; the inside is blank.
    mutating func frame(row: Int, column: Int, height: Int, width: Int, title: String) {
        guard height >= 2, width >= 5 else { return }
        for line in row..<(row + height) { fill(row: line, column: column, width: width, style: .plain) }
        for line in [row, row + height - 1] {
            fill(row: line, column: column + 1, width: width - 2, style: .frame, scalar: "─")
        }
        for line in (row + 1)..<(row + height - 1) {
            set("│", row: line, column: column, style: .frame)
            set("│", row: line, column: column + width - 1, style: .frame)
        }
        set("┌", row: row, column: column, style: .frame)
        set("┐", row: row, column: column + width - 1, style: .frame)
        set("└", row: row + height - 1, column: column, style: .frame)
        set("┘", row: row + height - 1, column: column + width - 1, style: .frame)
        put(" \(title) ", row: row, column: column + 2, width: width - 4, style: .title)
    }

    /// Overwriting one half of a wide character leaves a blank in the other.
    private mutating func clearWide(row: Int, column: Int) {
        let index = row * columns + column
        if cells[index].width == 0, column > 0 { cells[index - 1] = Cell(style: cells[index - 1].style) }
        if cells[index].width == 2, column + 1 < columns { cells[index + 1] = Cell(style: cells[index + 1].style) }
    }

    /// One row as text, without blanks at its end.
    func text(row: Int) -> String {
        guard row >= 0, row < rows else { return "" }
        var out = String.UnicodeScalarView()
        for cell in cells[(row * columns)..<((row + 1) * columns)] where cell.width > 0 { out.append(cell.scalar) }
        var text = String(out)
        while text.last == " " { text.removeLast() }
        return text
    }

    /// All rows, for tests.
    var text: String { (0..<rows).map { text(row: $0) }.joined(separator: "\n") }
}
