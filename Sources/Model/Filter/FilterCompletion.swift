/// What can stand at the cursor of a filter line.
package struct FilterCompletion: Sendable, Equatable {
    package struct Candidate: Sendable, Equatable {
        /// Text that takes the place of `range`.
        package let text: String
        package let help: String
    }

    /// Characters of the line that a candidate replaces.
    package let range: Range<Int>
    package let candidates: [Candidate]

    /// - Parameters:
    ///   - cursor: characters before the cursor.
    ///   - known: values seen so far under a key, most frequent first; may be empty.
    package init(_ line: String, cursor: Int, limit: Int = 12, known: (FilterKey) -> [String] = { _ in [] }) {
        let characters = Array(line)
        let end = min(max(0, cursor), characters.count)
        var start = end
        while start > 0, !characters[start - 1].isWhitespace, characters[start - 1] != "(" { start -= 1 }
        if start < end, characters[start] == "!" { start += 1 }
        let word = String(characters[start..<end])
        if let colon = word.firstIndex(of: ":"), let key = FilterKey.named(String(word[..<colon])) {
            let begun = word[word.index(after: colon)...].split(separator: ",", omittingEmptySubsequences: false).last
            let prefix = String(begun ?? "")
            range = (end - prefix.count)..<end
            candidates = FilterCompletion.values(of: key, beginning: prefix, known: known(key), limit: limit)
        } else {
            range = start..<end
            candidates = FilterCompletion.keys(beginning: word, limit: limit)
        }
    }

    private static func keys(beginning prefix: String, limit: Int) -> [Candidate] {
        let wanted = prefix.lowercased()
        let own = FilterKey.all.filter { key in
            key.name.hasPrefix(wanted) || (!wanted.isEmpty && key.aliases.contains { $0.hasPrefix(wanted) })
        }
        var found = own.map { Candidate(text: $0.name + ":", help: $0.help) }
        if wanted.count >= 2, found.count < limit {
            let taken = Set(own.map(\.name))
            for name in TableColumns.names where name.hasPrefix(wanted) && !taken.contains(name) {
                guard FilterKey.named(name)?.name == name else { continue }
                found.append(Candidate(text: name + ":", help: "column"))
            }
        }
        return Array(found.prefix(limit))
    }

    private static func values(of key: FilterKey, beginning prefix: String, known: [String], limit: Int) -> [Candidate]
    {
        var texts: [String]
        switch key.kind {
        case .protocol:
            texts =
                known + ["tcp", "udp", "icmp", "http", "dns", "mysql", "redis"]
                + L7Protocol.allCases.filter { $0 != .unknown }.map { $0.displayName.lowercased() }
        case .status:
            texts = ["ok", "error", "client_error", "server_error", "timeout", "4xx", "5xx", ">=400", ">=500"]
        case .closeType: texts = ["finish", "timeout", "server_rst", "client_rst", "*rst*", "forced_report"]
        case .observationPoint: texts = TapSide.allCases.map(\.text)
        case .flag: texts = ["yes", "no"]
        case .duration: texts = [">1ms", ">10ms", ">100ms", ">1s"]
        case .bytes: texts = [">10k", ">1M", ">100M", ">1G"]
        case .number: texts = known + [">0"]
        case .text, .address: texts = known
        }
        var seen = Set<String>()
        let wanted = prefix.lowercased()
        texts = texts.filter { $0.lowercased().hasPrefix(wanted) && $0 != prefix && seen.insert($0).inserted }
        return texts.prefix(limit).map { text in
            let needsQuotes = text.contains { $0.isWhitespace || $0 == "," || $0 == "\"" || $0 == "(" || $0 == ")" }
            let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return Candidate(text: needsQuotes ? "\"\(escaped)\"" : text, help: "")
        }
    }
}
