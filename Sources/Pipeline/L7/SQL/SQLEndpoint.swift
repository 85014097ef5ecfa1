import Model

/// `ACTION table` of a MySQL statement. Source: agent-l7-protocols.md 4, endpoint.
enum SQLEndpoint {
    /// Empty = none.
    static func of(_ bytes: RawSpan, _ text: Range<Int>) -> String {
        var words = Words(text)
        guard var first = words.next(bytes) else { return "" }
        if bytes.hasPrefix("Login", at: first.lowerBound), first.count == 5 { return bytes.text(text) }
        if first.count >= 2, bytes.hasPrefix("/*", at: first.lowerBound) {
            // The comment ends at a later word (trap: a comment of one word hides the statement).
            var isClosed = false
            while !isClosed, let word = words.next(bytes) {
                isClosed = word.count >= 2 && bytes.hasPrefix("*/", at: word.upperBound &- 2)
            }
            guard isClosed, let next = words.next(bytes) else { return "" }
            first = next
        }
        if bytes.equals(first, "select") { return select(bytes, &words, text) }
        if bytes.equals(first, "update") {
            return words.next(bytes).map { "UPDATE " + withoutQuotes(bytes, $0) } ?? ""
        }
        if bytes.equals(first, "insert") { return after("into", bytes, &words, "INSERT ") }
        if bytes.equals(first, "delete") { return after("from", bytes, &words, "DELETE ") }
        if bytes.equals(first, "alter") { return after("table", bytes, &words, "ALTER ") }
        if bytes.equals(first, "create") { return after("table", bytes, &words, "CREATE ") }
        if bytes.equals(first, "drop") { return after("table", bytes, &words, "DROP ") }
        return ""
    }

    static func of(_ text: String) -> String {
        let bytes = Array(text.utf8)
        return of(bytes.span.bytes, 0..<bytes.count)
    }

    /// Runs of bytes between white space.
    private struct Words {
        var at: Int
        let end: Int

        init(_ text: Range<Int>) {
            at = text.lowerBound
            end = text.upperBound
        }

        mutating func next(_ bytes: RawSpan) -> Range<Int>? {
            while at < end, isASCIISpace(bytes.u8(at: at)) { at &+= 1 }
            let start = at
            while at < end, !isASCIISpace(bytes.u8(at: at)) { at &+= 1 }
            return at > start ? start..<at : nil
        }
    }

    /// The word behind the last FROM; the whole text when FROM is the last word.
    private static func select(_ bytes: RawSpan, _ words: inout Words, _ text: Range<Int>) -> String {
        var table: Range<Int>?
        var isBehindFrom = false
        while let word = words.next(bytes) {
            if isBehindFrom { table = word }
            isBehindFrom = bytes.equals(word, "from")
        }
        if isBehindFrom { table = text }
        guard let table else { return "" }
        return "SELECT " + withoutQuotes(bytes, table)
    }

    private static func after(
        _ keyword: StaticString, _ bytes: RawSpan, _ words: inout Words, _ action: String
    ) -> String {
        while let word = words.next(bytes) {
            guard bytes.equals(word, keyword) else { continue }
            guard let table = words.next(bytes) else { return "" }
            // Text between back-quotes, if there are two.
            if let open = bytes.firstIndex(of: 96, from: table.lowerBound, to: table.upperBound),
                let close = bytes.firstIndex(of: 96, from: open &+ 1, to: table.upperBound)
            {
                return action + bytes.text(open &+ 1..<close)
            }
            return action + bytes.text(table)
        }
        return ""
    }

    private static func withoutQuotes(_ bytes: RawSpan, _ word: Range<Int>) -> String {
        var (lower, upper) = (word.lowerBound, word.upperBound)
        while lower < upper, bytes.u8(at: lower) == 96 { lower &+= 1 }
        while upper > lower, bytes.u8(at: upper &- 1) == 96 { upper &-= 1 }
        return bytes.text(lower..<upper)
    }
}
