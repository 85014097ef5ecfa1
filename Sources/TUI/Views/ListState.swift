import EngineAPI
import Model

/// What a list shows and where the reader is in it.
struct ListState: Sendable {
    var filter = ""
    var sort = ""
    var isDescending = true
    /// Row under the cursor, counted over all that match.
    var selected = 0
    /// First row on the screen.
    var top = 0
    /// Columns moved out to the left.
    var shift = 0
    var page: ListPage?
    var index = RowReader.Index([])
    /// Why the last question failed.
    var refusal: Refusal?
    /// The list as it was when it was paused.
    var snapshot: UInt64?
    /// Widest content of each column so far; grows only, so that columns do not hop.
    var wanted: [Int] = []

    var matched: Int { page?.matched ?? 0 }

    /// The row that the cursor is on, when it has been fetched.
    func row(at position: Int) -> (id: UInt64, reader: RowReader)? {
        guard let page, position >= page.offset, position < page.offset + page.rows.count,
            position - page.offset < page.ids.count
        else { return nil }
        let place = position - page.offset
        return (page.ids[place], RowReader(index: index, values: page.rows[place]))
    }

    /// - Parameter height: rows on the screen.
    func query(_ kind: ListKind, height: Int) -> ListQuery {
        let height = max(1, height)
        // A screen more on both sides, so that paging shows something at once.
        return ListQuery(
            kind, filter: filter, sort: sort, isDescending: isDescending, offset: max(0, top - height),
            limit: height * 3, snapshot: snapshot)
    }

    /// Takes a page in; the cursor stays with its row while that remains on the screen.
    mutating func take(_ page: ListPage, spec: ListSpec, height: Int) {
        let followed = selected > 0 ? row(at: selected)?.id : nil
        if self.page?.columns != page.columns { index = RowReader.Index(page.columns) }
        self.page = page
        refusal = nil
        if let followed, let place = page.ids.firstIndex(of: followed) {
            let position = page.offset + place
            if position >= top, position < top + max(1, height) { selected = position }
        }
        if wanted.count != spec.columns.count { wanted = Array(repeating: 0, count: spec.columns.count) }
        for values in page.rows.prefix(max(1, height) * 2) {
            let reader = RowReader(index: index, values: values)
            for (place, column) in spec.columns.enumerated() where wanted[place] < column.maxWidth {
                wanted[place] = max(wanted[place], TextWidth.width(of: column.text(reader)))
            }
        }
        clamp(height: height)
    }

    mutating func move(to position: Int, height: Int) {
        selected = position
        clamp(height: height)
    }

    mutating func clamp(height: Int) {
        let height = max(1, height)
        selected = min(max(0, selected), max(0, matched - 1))
        top = min(top, selected)
        top = max(top, selected - height + 1)
        top = min(max(0, top), max(0, matched - height))
    }

    /// Another filter or order: from the first row on.
    mutating func restart() {
        selected = 0
        top = 0
    }
}
