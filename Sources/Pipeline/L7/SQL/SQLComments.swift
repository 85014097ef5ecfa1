/// Trace and span ids in the comments of a statement. Source: agent-l7-protocols.md 4, trace.
enum SQLComments {
    /// Calls `found` with the text of each `#`, `--` and `/* */` comment.
    static func forEach(in text: String, _ found: (Substring) -> Void) {
        let bytes = text.utf8
        guard bytes.contains(35) || bytes.contains(45) || bytes.contains(47) else { return }
        var at = bytes.startIndex
        var quote: UInt8?
        while at < bytes.endIndex {
            let byte = bytes[at]
            let next = bytes.index(after: at)
            let second = next < bytes.endIndex ? bytes[next] : 0
            if let open = quote {
                if byte == open { quote = nil }
                at = next
            } else if byte == 39 || byte == 34 || byte == 96 {
                quote = byte
                at = next
            } else if byte == 35 || byte == 45 && second == 45 {
                let start = byte == 35 ? next : bytes.index(after: next)
                let end = bytes[start...].firstIndex(of: 10) ?? bytes.endIndex
                found(text[start..<end])
                at = end
            } else if byte == 47 && second == 42 {
                let start = bytes.index(after: next)
                var end = start
                while end < bytes.endIndex {
                    let after = bytes.index(after: end)
                    if bytes[end] == 42, after < bytes.endIndex, bytes[after] == 47 { break }
                    end = after
                }
                found(text[start..<end])
                at = end < bytes.endIndex ? bytes.index(end, offsetBy: 2) : end
            } else {
                at = next
            }
        }
    }

    /// Collects what the comments say under the configured names.
    static func collect(_ text: String, _ trace: L7TraceSettings, into tags: inout TagCollector) {
        var pairs: [(key: String, value: String)] = []
        forEach(in: text) { comment in
            let fields = comment.utf8.split { isASCIISpace($0) || $0 == 58 || $0 == 61 || $0 == 44 }
                .map { String(Substring($0)) }
            for number in fields.indices.dropLast() {
                pairs.append((asciiLowerCased(fields[number]), fields[number + 1]))
            }
        }
        for (key, value) in pairs {
            for (index, name) in trace.traceNames.enumerated() where name.name == key {
                if let id = name.traceID(in: value) {
                    tags.addTrace(id, priority: TagCollector.builtIn(index), several: trace.collectsSeveralTraceIDs)
                }
            }
            for (index, name) in trace.spanNames.enumerated() where name.name == key {
                if let id = name.spanID(in: value) { tags.setSpan(id, priority: TagCollector.builtIn(index)) }
            }
        }
    }
}
