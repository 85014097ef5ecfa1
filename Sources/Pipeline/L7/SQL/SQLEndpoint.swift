/// `ACTION table` of a MySQL statement. Source: agent-l7-protocols.md 4, endpoint.
enum SQLEndpoint {
    /// Empty = none.
    static func of(_ text: String) -> String {
        let words = text.utf8.split(whereSeparator: isASCIISpace).map { Substring($0) }
        guard var first = words.first else { return "" }
        var rest = words.dropFirst()
        if first == "Login" { return text }
        if first.hasPrefix("/*") {
            // The comment ends at a later word (trap: a comment of one word hides the statement).
            guard let end = rest.firstIndex(where: { $0.hasSuffix("*/") }) else { return "" }
            rest = rest[(end + 1)...]
            guard let next = rest.popFirst() else { return "" }
            first = next
        }
        switch asciiUpperCased(first) {
        case "SELECT":
            guard let from = rest.lastIndex(where: { isWord($0, "FROM") }) else { return "" }
            let table = from + 1 < rest.endIndex ? rest[from + 1] : Substring(text)
            return "SELECT " + withoutQuotes(table)
        case "UPDATE":
            guard let table = rest.first else { return "" }
            return "UPDATE " + withoutQuotes(table)
        case "INSERT": return after("INTO", rest, "INSERT")
        case "DELETE": return after("FROM", rest, "DELETE")
        case "ALTER": return after("TABLE", rest, "ALTER")
        case "CREATE": return after("TABLE", rest, "CREATE")
        case "DROP": return after("TABLE", rest, "DROP")
        default: return ""
        }
    }

    private static func after(_ keyword: String, _ words: ArraySlice<Substring>, _ action: String) -> String {
        guard let at = words.firstIndex(where: { isWord($0, keyword) }), at + 1 < words.endIndex else { return "" }
        let word = words[at + 1]
        // Text between back-quotes, if there are two.
        if let open = word.utf8.firstIndex(of: 96) {
            let inner = word[word.utf8.index(after: open)...]
            if let close = inner.utf8.firstIndex(of: 96) { return action + " " + inner[..<close] }
        }
        return action + " " + word
    }

    private static func isWord(_ word: Substring, _ keyword: String) -> Bool {
        word.utf8.count == keyword.utf8.count && zip(word.utf8, keyword.utf8).allSatisfy { asciiUpper($0) == $1 }
    }

    private static func withoutQuotes(_ word: Substring) -> String {
        var text = word
        while text.utf8.first == 96 { text = text.dropFirst() }
        while text.utf8.last == 96 { text = text.dropLast() }
        return String(text)
    }
}
