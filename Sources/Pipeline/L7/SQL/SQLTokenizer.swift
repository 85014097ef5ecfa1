/// A token of generic SQL, as a range of the text.
struct SQLToken {
    enum Kind: Equatable {
        /// `isKeyword`: unquoted, so that it may be a keyword.
        case word(isKeyword: Bool)
        case number
        case string
        /// `N'..'`, `X'..'` and the like, which stay.
        case prefixedString
        case whitespace
        case comment
        case symbol
        /// Takes the place of what follows a cut.
        case empty
    }

    var kind: Kind
    var range: Range<Int>
}

/// Cuts SQL into tokens: quotes `"` and back-quote for identifiers, no escapes. Source: agent-l7.md 11.4.
struct SQLTokenizer {
    /// Longest first.
    private static let symbols: [[UInt8]] = [
        "->>", "<=>", "!~~*", "!~~", "!~*", "~~*", "#>>", "||/",
        "<>", "<=", ">=", "!=", "==", "=>", "||", "&&", "->", "::", ":=", "<<", ">>", "//", "!~", "~*", "~~", "|/",
        "!!",
    ].map { Array($0.utf8) }.sorted { $0.count > $1.count }

    private let bytes: [UInt8]
    private var at = 0
    /// Start of the token that could not be read.
    private(set) var errorAt: Int?

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// All tokens; `errorAt` is set when an open quote or comment ended them early.
    mutating func all() -> [SQLToken] {
        var out: [SQLToken] = []
        while at < bytes.count {
            let start = at
            guard let kind = next() else {
                errorAt = start
                break
            }
            out.append(SQLToken(kind: kind, range: start..<at))
        }
        return out
    }

    private func peek(_ offset: Int) -> UInt8 { at + offset < bytes.count ? bytes[at + offset] : 0 }

    private mutating func next() -> SQLToken.Kind? {
        let byte = bytes[at]
        switch byte {
        case 32, 9, 10, 13:
            at += byte == 13 && peek(1) == 10 ? 2 : 1
            return .whitespace
        case 39: return quoted(39) ? .string : nil
        case 34, 96: return quoted(byte) ? .word(isKeyword: false) : nil
        case 45 where peek(1) == 45:
            at += 2
            while at < bytes.count, bytes[at] != 10 { at += 1 }
            at = min(at + 1, bytes.count)
            return .comment
        case 47 where peek(1) == 42: return comment() ? .comment : nil
        case 48...57: return number()
        case 46 where isASCIIDigit(peek(1)): return number()
        default: break
        }
        if Self.startsWord(byte) {
            if peek(1) == 39, [66, 98, 78, 110, 82, 114, 88, 120, 69, 101].contains(byte) {
                at += 1
                return quoted(39) ? .prefixedString : nil
            }
            at += 1
            while at < bytes.count, Self.continuesWord(bytes[at]) { at += 1 }
            return .word(isKeyword: true)
        }
        for symbol in Self.symbols where bytes[at...].starts(with: symbol) {
            at += symbol.count
            return .symbol
        }
        at += 1
        return .symbol
    }

    private static func startsWord(_ byte: UInt8) -> Bool {
        isASCIILetter(byte) || byte == 95 || byte == 35 || byte == 64 || byte >= 128
    }

    private static func continuesWord(_ byte: UInt8) -> Bool {
        startsWord(byte) || isASCIIDigit(byte) || byte == 36
    }

    /// Up to the closing quote; a doubled quote is part of the text.
    private mutating func quoted(_ quote: UInt8) -> Bool {
        at += 1
        while at < bytes.count {
            if bytes[at] == quote {
                guard peek(1) == quote else {
                    at += 1
                    return true
                }
                at += 1
            }
            at += 1
        }
        return false
    }

    /// Nested comments count their ends.
    private mutating func comment() -> Bool {
        at += 2
        var depth = 1
        while at < bytes.count {
            if bytes[at] == 42, peek(1) == 47 {
                at += 2
                depth -= 1
                if depth == 0 { return true }
            } else if bytes[at] == 47, peek(1) == 42 {
                at += 2
                depth += 1
            } else {
                at += 1
            }
        }
        return false
    }

    private mutating func number() -> SQLToken.Kind {
        if bytes[at] == 48, peek(1) == 120 {
            at += 2
            while at < bytes.count, isASCIIDigit(bytes[at]) || (97...102).contains(bytes[at] | 32) { at += 1 }
            return .number
        }
        while at < bytes.count, isASCIIDigit(bytes[at]) { at += 1 }
        if at < bytes.count, bytes[at] == 46 {
            at += 1
            while at < bytes.count, isASCIIDigit(bytes[at]) { at += 1 }
        }
        if peek(0) | 32 == 101 {
            let sign = peek(1) == 43 || peek(1) == 45 ? 2 : 1
            if isASCIIDigit(peek(sign)) {
                at += sign
                while at < bytes.count, isASCIIDigit(bytes[at]) { at += 1 }
            }
        }
        if peek(0) == 76 { at += 1 }
        return .number
    }
}
