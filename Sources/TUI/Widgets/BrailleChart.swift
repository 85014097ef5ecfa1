/// Areas and lines of dots: two columns and four rows of dots a cell (U+2800 block).
enum BrailleChart {
    /// Dot bits of a cell by row, left and right column.
    private static let left: [UInt32] = [0x01, 0x02, 0x04, 0x40]
    private static let right: [UInt32] = [0x08, 0x10, 0x20, 0x80]

    /// Draws an area under the values, newest at the right edge; more values than dots are joined by their largest.
    /// - Parameter top: value of the upper edge; 0 or less draws the base line only.
    static func draw(
        _ values: [Double], top: Double, row: Int, column: Int, height: Int, width: Int, style: Style,
        on surface: inout Surface
    ) {
        guard height > 0, width > 0 else { return }
        let points = fit(values, to: width * 2)
        let dots = height * 4
        let heights = points.map { value -> Int in
            guard top > 0, value > 0 else { return 0 }
            return max(1, min(dots, Int((value / top * Double(dots)).rounded())))
        }
        for cell in 0..<width {
            let pair = (heights[cell * 2], heights[cell * 2 + 1])
            for line in 0..<height {
                let base = (height - 1 - line) * 4
                var bits: UInt32 = 0
                for dot in 0..<4 {
                    // Dots count from the bottom; the bit tables from the top.
                    if pair.0 > base + dot { bits |= left[3 - dot] }
                    if pair.1 > base + dot { bits |= right[3 - dot] }
                }
                if bits == 0, line == height - 1 {
                    surface.set("⣀", row: row + line, column: column + cell, style: .frame)
                } else if let scalar = Unicode.Scalar(0x2800 + bits), bits != 0 {
                    surface.set(scalar, row: row + line, column: column + cell, style: style)
                }
            }
        }
    }

    /// One line of blocks for cells of lists.
    static func sparkline(_ values: [Double], width: Int) -> String {
        let blocks: [Character] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        let points = fit(values, to: width)
        guard let top = points.max(), top > 0 else { return String(repeating: "▁", count: max(0, width)) }
        return String(
            points.map { value in
                value <= 0 ? "▁" : blocks[min(7, max(0, Int((value / top * 8).rounded(.up)) - 1))]
            })
    }

    /// Exactly `count` values, the newest last: padded with zeros at the front, or joined by their largest.
    static func fit(_ values: [Double], to count: Int) -> [Double] {
        guard count > 0 else { return [] }
        guard values.count > count else { return Array(repeating: 0, count: count - values.count) + values }
        return (0..<count).map { index in
            let from = index * values.count / count
            let to = max(from + 1, (index + 1) * values.count / count)
            return values[from..<to].max() ?? 0
        }
    }

    /// A round number at or above the largest value, so that charts do not jump with each sample.
    static func niceTop(_ largest: Double) -> Double {
        guard largest > 0, largest.isFinite else { return 0 }
        var scale = 1.0
        while scale * 10 <= largest { scale *= 10 }
        while scale > largest { scale /= 10 }
        for step in [1, 1.5, 2, 3, 4, 5, 6, 8, 10] where step * scale >= largest { return step * scale }
        return scale * 10
    }
}
