import CNcurses
import Glibc
import Model

/// The terminal: cells out, keys in. The only user of ncurses; one at a time, one thread.
///
/// It is put back on `close`, on a stop signal (the loop is told and closes), and on a fault of the process.
struct Terminal: ~Copyable {
    private var shown: Surface?
    private var theme: Theme
    private var pairs: [UInt64: Int32] = [:]
    private var colors: Int32 = 0
    private let isUTF8: Bool

    /// - Parameter wake: written to by the signal handlers, one byte a stop signal.
    init(theme: Theme, wake: Int32) throws(Failure) {
        guard isatty(STDIN_FILENO) == 1, isatty(STDOUT_FILENO) == 1 else {
            throw Failure(
                .usage, what: "the screen needs a terminal", why: "standard input or output is none",
                mend: "use `dftop print` for pipes and files")
        }
        let hasUTF8 = dft_set_locale() == 1
        guard dft_open() == 1 else {
            let kind = getenv("TERM").map { String(cString: $0) } ?? ""
            throw Failure(
                .failed, what: "the terminal cannot be used", why: "its kind, TERM='\(kind)', is not known here",
                mend: "set TERM to one that is, for example xterm-256color")
        }
        dft_install_signals(wake)
        let noColor = getenv("NO_COLOR").map { $0[0] != 0 } ?? false
        let number = noColor ? 0 : dft_start_colors()
        colors = number
        isUTF8 = hasUTF8
        self.theme = number == 0 ? .contrast : theme
    }

    /// The terminal as it was.
    mutating func close() {
        dft_close()
        dft_restore_signals()
    }

    var size: (rows: Int, columns: Int) { (Int(dft_rows()), Int(dft_columns())) }

    mutating func use(_ theme: Theme) {
        self.theme = colors == 0 ? .contrast : theme
        shown = nil
    }

    mutating func suspend() {
        dft_suspend()
        dft_repaint()
        shown = nil
    }

    // MARK: Out

    mutating func show(_ surface: Surface) {
        let isSameSize = shown?.rows == surface.rows && shown?.columns == surface.columns
        if !isSameSize { dft_repaint() }
        for row in 0..<surface.rows {
            var style: Style?
            for column in 0..<surface.columns {
                let cell = surface[row, column]
                if isSameSize, shown?[row, column] == cell { continue }
                if cell.width == 0 { continue }
                if style != cell.style {
                    apply(cell.style)
                    style = cell.style
                }
                let scalar = isUTF8 ? cell.scalar : Terminal.ascii(cell.scalar)
                dft_put(Int32(row), Int32(column), scalar.value, Int32(cell.width))
            }
        }
        shown = surface
        if let cursor = surface.cursor {
            dft_show(Int32(cursor.row), Int32(cursor.column))
        } else {
            dft_show(-1, 0)
        }
    }

    private mutating func apply(_ style: Style) {
        let look = theme.looks(style)
        var flags: Int32 = 0
        if look.isBold { flags |= Int32(DFT_BOLD) }
        if look.isReversed { flags |= Int32(DFT_REVERSE) }
        if look.isUnderlined { flags |= Int32(DFT_UNDERLINE) }
        if look.isDim { flags |= Int32(DFT_DIM) }
        dft_attributes(flags, pair(look))
    }

    private mutating func pair(_ look: Look) -> Int32 {
        guard colors > 0, look.foreground != nil || look.background != nil else { return 0 }
        let foreground = number(look.foreground)
        let background = number(look.background)
        let key = UInt64(UInt32(bitPattern: foreground)) << 32 | UInt64(UInt32(bitPattern: background))
        if let known = pairs[key] { return known }
        let next = Int32(pairs.count + 1)
        guard dft_pair(next, foreground, background) != -1 else { return 0 }
        pairs[key] = next
        return next
    }

    private func number(_ color: Color?) -> Int32 {
        guard let color else { return -1 }
        if dft_is_direct() == 1 { return Int32(color.rgb) }
        if colors >= 256 { return Int32(color.xterm256) }
        return Int32(colors >= 16 ? color.ansi : color.ansi & 7)
    }

    /// Terminals without UTF-8 get the nearest character they have.
    private static func ascii(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 0..<128: scalar
        case 0x2800: " "
        case 0x2801...0x28ff: scalar.value & 0x3f == scalar.value - 0x2800 ? ":" : "#"
        case 0x2500, 0x2501: "-"
        case 0x2502, 0x2503: "|"
        case 0x2504...0x257f: "+"
        case 0x2581...0x2584: "."
        case 0x2585...0x2588: "#"
        case 0x2026: "~"
        case 0x25bc: "v"
        case 0x25b2: "^"
        default: "?"
        }
    }

    /// Into the clipboard of the terminal (OSC 52); bounded, as terminals bound it.
    func copy(_ text: String) {
        let bytes = Array(text.utf8.prefix(48_000))
        let sequence = "\u{1b}]52;c;" + Terminal.base64(bytes) + "\u{7}"
        _ = sequence.withCString { write(STDOUT_FILENO, $0, strlen($0)) }
    }

    static func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var out: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word: UInt32 = 0
            for byte in group { word = word << 8 | UInt32(byte) }
            word <<= UInt32(8 * (3 - group.count))
            for index in 0..<4 {
                out.append(
                    index <= group.count ? digits[Int(word >> UInt32(18 - 6 * index) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    // MARK: In

    enum Input: Equatable {
        case key(Key)
        case resize
    }

    /// What waits, or nil.
    mutating func next() -> Input? {
        while true {
            let code = dft_key()
            guard code != 0 else { return nil }
            if -code == Int32(DFT_KEY_RESIZE) {
                shown = nil
                return .resize
            }
            if let key = code > 0 ? Terminal.character(code) : Terminal.named(-code) { return .key(key) }
        }
    }

    private static func character(_ code: Int32) -> Key? {
        switch code {
        case 9: return .tab
        case 10, 13: return .enter
        case 27: return .escape
        case 8, 127: return .backspace
        case 1...26:
            guard let scalar = Unicode.Scalar(UInt32(code + 96)) else { return nil }
            return .control(Character(scalar))
        case 28...31: return nil
        default:
            return Unicode.Scalar(UInt32(code)).map { .char(Character($0)) }
        }
    }

    private static func named(_ code: Int32) -> Key? {
        switch Int(code) {
        case DFT_KEY_UP: return .up
        case DFT_KEY_DOWN: return .down
        case DFT_KEY_LEFT: return .left
        case DFT_KEY_RIGHT: return .right
        case DFT_KEY_PPAGE: return .pageUp
        case DFT_KEY_NPAGE: return .pageDown
        case DFT_KEY_HOME: return .home
        case DFT_KEY_END: return .end
        case DFT_KEY_BACKSPACE: return .backspace
        case DFT_KEY_DC: return .delete
        case DFT_KEY_ENTER: return .enter
        case DFT_KEY_BTAB: return .backTab
        case DFT_KEY_MOUSE:
            var row: Int32 = 0
            var column: Int32 = 0
            var action: Int32 = 0
            guard dft_mouse(&row, &column, &action) == 1 else { return nil }
            let kinds: [Int32: Key.Mouse.Action] = [1: .press, 2: .doublePress, 4: .wheelUp, 5: .wheelDown]
            guard let kind = kinds[action] else { return nil }
            return .mouse(Key.Mouse(action: kind, row: Int(row), column: Int(column)))
        default:
            for number in 1...12 where dft_key_function(Int32(number)) == code { return .function(number) }
            return nil
        }
    }
}
