/// How many cells a character takes, and what may go into cells at all.
enum TextWidth {
    /// What takes the place of characters that would move the cursor, change the writing direction or take no cell.
    static let substitute: Unicode.Scalar = "\u{b7}"

    /// The scalars of a text as cells may hold them, each with its width of 1 or 2. Blanks and line ends become
    /// spaces, controls a dot; combining marks are left out, so that a cell is one scalar.
    static func cells(of text: String) -> CellSequence { CellSequence(scalars: text.unicodeScalars.makeIterator()) }

    struct CellSequence: Sequence, IteratorProtocol {
        fileprivate var scalars: String.UnicodeScalarView.Iterator

        mutating func next() -> (scalar: Unicode.Scalar, width: Int)? {
            while let scalar = scalars.next() {
                if scalar.isASCII {
                    if scalar.value >= 32, scalar.value != 127 { return (scalar, 1) }
                    return scalar == "\n" || scalar == "\t" || scalar == "\r" ? (" ", 1) : (TextWidth.substitute, 1)
                }
                switch TextWidth.width(of: scalar) {
                case 0: continue
                case let width?: return (scalar, width)
                case nil: return (TextWidth.substitute, 1)
                }
            }
            return nil
        }
    }

    /// Cells that a text takes.
    static func width(of text: String) -> Int {
        var sum = 0
        for cell in cells(of: text) { sum += cell.width }
        return sum
    }

    /// Nil: not to be shown. 0: combining.
    static func width(of scalar: Unicode.Scalar) -> Int? {
        switch scalar.value {
        case 0..<32, 127..<160: return nil
        case 0xa0: return 1
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff, 0xa000...0xa4cf,
            0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe10...0xfe19, 0xfe30...0xfe6f, 0xff00...0xff60,
            0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff, 0x1fa70...0x1faff,
            0x20000...0x3fffd:
            return 2
        default: break
        }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return nil
        default: return 1
        }
    }

    /// The text in at most `width` cells, its end replaced by `…` when it is longer.
    static func truncated(_ text: String, to width: Int) -> String {
        guard width > 0 else { return "" }
        var out = String.UnicodeScalarView()
        var used = 0
        /// Length of `out` at which an ellipsis still fits.
        var cut = (count: 0, used: 0)
        for cell in cells(of: text) {
            if used + cell.width > width {
                out.removeLast(out.count - cut.count)
                out.append("…")
                return String(out)
            }
            out.append(cell.scalar)
            used += cell.width
            if used <= width - 1 { cut = (out.count, used) }
        }
        return String(out)
    }
}
