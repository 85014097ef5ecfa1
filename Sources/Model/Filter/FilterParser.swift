/// Text to tree: brackets, `or`, `!`, then terms.
struct FilterParser {
    private let characters: [Character]
    private var position = 0
    private var depth = 0

    /// Deeper nesting than a person writes; bounds the recursion.
    private static let maxDepth = 32
    private static let maxLength = 4096

    init(_ text: String) {
        characters = Array(text)
    }

    mutating func parse() throws(FilterError) -> Filter.Node {
        guard characters.count <= FilterParser.maxLength else {
            throw FilterError(
                at: FilterParser.maxLength, length: 1,
                why: "the filter is longer than \(FilterParser.maxLength) characters", mend: "shorten it")
        }
        let node = try alternatives()
        if let next = peek, next == ")" {
            throw FilterError(
                at: position, length: 1, why: "a closing bracket without an opening one",
                mend: "remove it, or quote the text")
        }
        return node
    }

    private var peek: Character? { position < characters.count ? characters[position] : nil }

    private mutating func skipBlanks() {
        while let next = peek, next.isWhitespace { position += 1 }
    }

    private mutating func alternatives() throws(FilterError) -> Filter.Node {
        let start = position
        var nodes = [try conjunction()]
        while takeWord("or") || takeWord("|") || takeWord("||") {
            if nodes.last == .everything { throw nothing(beside: "or", at: start) }
            let before = position
            let node = try conjunction()
            if node == .everything { throw nothing(beside: "or", at: max(0, before - 2)) }
            nodes.append(node)
        }
        return nodes.count == 1 ? nodes[0] : .any(nodes)
    }

    private func nothing(beside word: String, at place: Int) -> FilterError {
        FilterError(
            at: min(place, max(0, characters.count - 1)), length: 1, why: "'\(word)' has nothing on one side",
            mend: "write a term on both sides of it")
    }

    private mutating func conjunction() throws(FilterError) -> Filter.Node {
        var nodes: [Filter.Node] = []
        while true {
            skipBlanks()
            if takeWord("and") || takeWord("&&") { continue }
            guard let next = peek, next != ")" else { break }
            if isWord("or") || isWord("|") || isWord("||") { break }
            nodes.append(try factor())
        }
        switch nodes.count {
        case 0: return .everything
        case 1: return nodes[0]
        default: return .all(nodes)
        }
    }

    private mutating func factor() throws(FilterError) -> Filter.Node {
        guard depth < FilterParser.maxDepth else {
            throw FilterError(
                at: position, length: 1, why: "brackets or '!' are nested deeper than \(FilterParser.maxDepth)",
                mend: "simplify the filter")
        }
        depth += 1
        defer { depth -= 1 }
        if takeWord("not") || peek == "!" {
            let mark = position
            if peek == "!" { position += 1 }
            skipBlanks()
            guard let next = peek, next != ")" else {
                throw FilterError(
                    at: min(mark, max(0, characters.count - 1)), length: 1, why: "there is nothing to negate",
                    mend: "write a term after it, as in !port:53")
            }
            return .not(try factor())
        }
        if peek == "(" {
            let open = position
            position += 1
            let node = try alternatives()
            guard peek == ")" else {
                throw FilterError(
                    at: open, length: 1, why: "this bracket is not closed", mend: "add ')' where the group ends")
            }
            position += 1
            return node
        }
        return try term()
    }

    private func isWord(_ word: String) -> Bool {
        let end = position + word.count
        guard end <= characters.count, String(characters[position..<end]).lowercased() == word else { return false }
        return end == characters.count || characters[end].isWhitespace || characters[end] == "("
            || characters[end] == ")"
    }

    private mutating func takeWord(_ word: String) -> Bool {
        skipBlanks()
        guard isWord(word) else { return false }
        position += word.count
        return true
    }

    // MARK: One term

    private static let operators: [(String, Filter.Comparison)] = [
        (">=", .greaterOrEqual), ("<=", .lessOrEqual), ("!=", .notEqual), ("==", .equal), (">", .greater),
        ("<", .less), ("=", .equal), ("~", .contains),
    ]

    private func comparison(at place: Int) -> (length: Int, comparison: Filter.Comparison)? {
        for (text, comparison) in FilterParser.operators {
            let end = place + text.count
            if end <= characters.count, String(characters[place..<end]) == text { return (text.count, comparison) }
        }
        return nil
    }

    private mutating func term() throws(FilterError) -> Filter.Node {
        let start = position
        var end = position
        while end < characters.count, FilterParser.isKeyCharacter(characters[end]) { end += 1 }
        let isKey = end > start && (characters[start].isLetter || characters[start] == "_")
        guard isKey, end < characters.count, !isBareAddress(at: start) else { return try bareText() }
        var comparison = Filter.Comparison.equal
        var next = end
        if characters[end] == ":" {
            next += 1
            if let found = self.comparison(at: next) {
                comparison = found.comparison
                next += found.length
            }
            if next + 1 < characters.count, characters[next] == "/", characters[next + 1] == "/" {
                return try bareText()
            }
        } else if let found = self.comparison(at: end) {
            comparison = found.comparison
            next += found.length
        } else {
            return try bareText()
        }
        let name = String(characters[start..<end])
        guard let key = FilterKey.named(name) else { throw unknownKey(name, at: start) }
        position = next
        var operands: [Filter.Operand] = []
        repeat {
            let place = position
            let value = try self.value(stopsAtComma: true)
            guard value.isQuoted || !value.text.isEmpty else {
                throw FilterError(
                    at: start, length: next - start, why: "'\(name)' has no value", mend: "for example \(key.example)")
            }
            operands.append(
                try FilterOperands.parse(
                    value.text, isQuoted: value.isQuoted, key: key, comparison: comparison, at: place,
                    length: position - place))
        } while takeComma()
        return .term(Filter.Term(key: key, comparison: comparison, operands: operands))
    }

    /// `fe80::1`, `2001:db8::/32`, `02:42:ac:11:00:02`: colons that separate no key.
    private func isBareAddress(at start: Int) -> Bool {
        var end = start
        var colons = 0
        while end < characters.count, !characters[end].isWhitespace, characters[end] != ")" {
            if characters[end] == ":" { colons += 1 }
            end += 1
        }
        guard colons >= 2, end - start <= 50 else { return false }
        let word = String(characters[start..<end])
        if Network(word) != nil { return true }
        let octets = word.split(separator: ":", omittingEmptySubsequences: false)
        return octets.count == 6 && octets.allSatisfy { $0.count == 2 && UInt8($0, radix: 16) != nil }
    }

    private mutating func takeComma() -> Bool {
        guard peek == "," else { return false }
        position += 1
        return true
    }

    private func unknownKey(_ name: String, at place: Int) -> FilterError {
        let near = FilterKey.suggestions(for: name)
        let mend =
            near.isEmpty
            ? "keys are \(FilterKey.all.prefix(12).map(\.name).joined(separator: ", ")) and more; quote it to search text"
            : "did you mean \(near.joined(separator: " or "))? Quote it to search text"
        return FilterError(at: place, length: name.count, why: "there is no key '\(name)'", mend: mend)
    }

    private mutating func bareText() throws(FilterError) -> Filter.Node {
        let value = try value(stopsAtComma: false)
        if !value.isQuoted, let network = Network(value.text), let key = FilterKey.named("ip") {
            return .term(Filter.Term(key: key, comparison: .equal, operands: [.network(network)]))
        }
        return .text(TextPattern(value.text, .anywhere, literal: value.isQuoted))
    }

    private static func isKeyCharacter(_ character: Character) -> Bool {
        guard let ascii = character.asciiValue else { return false }
        switch ascii {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
            return true
        default: return false
        }
    }

    /// A quoted text with `\"` and `\\`, or everything up to a blank (or a bracket that closes a group).
    private mutating func value(stopsAtComma: Bool) throws(FilterError) -> (text: String, isQuoted: Bool) {
        if let quote = peek, quote == "\"" || quote == "'" {
            let open = position
            position += 1
            var text = ""
            while let next = peek {
                position += 1
                if next == quote { return (text, true) }
                if next == "\\", let escaped = peek {
                    position += 1
                    text.append(escaped)
                } else {
                    text.append(next)
                }
            }
            throw FilterError(
                at: open, length: characters.count - open, why: "this quote is not closed",
                mend: "end it with \(quote)")
        }
        var text = ""
        var open = 0
        while let next = peek, !next.isWhitespace {
            if stopsAtComma, next == "," { break }
            if next == "(" { open += 1 }
            if next == ")" {
                if open == 0 { break }
                open -= 1
            }
            text.append(next)
            position += 1
        }
        return (text, false)
    }
}

extension FilterKey {
    /// A term to learn from.
    package var example: String {
        switch kind {
        case .text: "\(name):abc*"
        case .number: "\(name):>10"
        case .duration: "\(name):>100ms"
        case .bytes: "\(name):>1M"
        case .address: "\(name):10.0.0.0/8"
        case .protocol: "\(name):http"
        case .status: "\(name):>=500"
        case .closeType: "\(name):timeout"
        case .observationPoint: "\(name):c"
        case .flag: "\(name):yes"
        }
    }
}
