/// Which columns a list shows on a screen of some width, and how wide.
struct ListLayout: Equatable, Sendable {
    struct Placed: Equatable, Sendable {
        let column: Int
        let start: Int
        let width: Int
    }

    let placed: [Placed]

    /// Columns come in the order of their priority as long as their least width fits; what is left over goes to those
    /// whose content wants more, again by priority.
    /// - Parameter wanted: widest content seen in each column.
    init(_ columns: [ColumnSpec], wanted: [Int], width: Int) {
        let gap = 1
        var widths: [Int: Int] = [:]
        var used = 0
        let byPriority = columns.indices.sorted {
            columns[$0].priority == columns[$1].priority ? $0 < $1 : columns[$0].priority < columns[$1].priority
        }
        for index in byPriority {
            let least = columns[index].minWidth
            let cost = least + (widths.isEmpty ? 0 : gap)
            guard used + cost <= width else {
                // Nothing less important gets in before it, so that columns do not hop around.
                if widths.isEmpty { widths[index] = width }
                break
            }
            widths[index] = least
            used += cost
        }
        var left = width - used
        for index in byPriority where left > 0 {
            guard let now = widths[index], index < wanted.count else { continue }
            let more = min(left, max(0, min(columns[index].maxWidth, wanted[index]) - now))
            widths[index] = now + more
            left -= more
        }
        var start = 0
        placed = columns.indices.compactMap { index in
            guard let width = widths[index] else { return nil }
            defer { start += width + gap }
            return Placed(column: index, start: start, width: width)
        }
    }

    /// The column under a screen column.
    func column(at position: Int) -> Int? {
        placed.first { position >= $0.start && position < $0.start + $0.width }?.column
    }
}
