import Model

/// Lets queries say `flow_log.l7_flow_log` and `flow_metrics."network.1m"`: the embedded store has one name space, so
/// the database in front of a table is taken away.
enum QualifiedNames {
    private static let databases: Set<String> = Set(Catalogue.all.map(\.database))
    private static let tables: Set<String> = Set(SQLiteWriter.tables.map(\.name))

    /// Names inside strings and comments stay as they are. A plain `network.1m` behind its database is quoted, since
    /// SQL knows no such name.
    static func removeDatabases(from sql: String) -> String {
        let text = Array(sql.utf8)
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            if let end = skipped(text, index) {
                out += text[index..<end]
                index = end
            } else if isNameStart(text[index]), let (name, end) = qualified(text, index) {
                out += "\"\(name)\"".utf8
                index = end
            } else {
                let start = index
                while index < text.count, isNamePart(text[index]) { index += 1 }
                if index == start { index += 1 }
                out += text[start..<index]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// The end of a string, quoted name or comment that begins here.
    private static func skipped(_ text: [UInt8], _ start: Int) -> Int? {
        let byte = text[start]
        if byte == 39 || byte == 34 || byte == 96 {
            var index = start + 1
            while index < text.count, text[index] != byte { index += 1 }
            return min(index + 1, text.count)
        }
        let next = start + 1 < text.count ? text[start + 1] : 0
        if byte == 45, next == 45 {
            var index = start
            while index < text.count, text[index] != 10 { index += 1 }
            return index
        }
        if byte == 47, next == 42 {
            var index = start + 2
            while index + 1 < text.count, !(text[index] == 42 && text[index + 1] == 47) { index += 1 }
            return min(index + 2, text.count)
        }
        return nil
    }

    /// `database.table` or `database."table"` that begins here: the table's name and where it ends.
    private static func qualified(_ text: [UInt8], _ start: Int) -> (name: String, end: Int)? {
        var index = start
        while index < text.count, isNamePart(text[index]) { index += 1 }
        guard index < text.count, text[index] == 46,
            databases.contains(String(decoding: text[start..<index], as: UTF8.self))
        else { return nil }
        index += 1
        if index < text.count, text[index] == 34 || text[index] == 96, let end = skipped(text, index), end - 1 > index {
            let name = String(decoding: text[index + 1..<end - 1], as: UTF8.self)
            return tables.contains(name) ? (name, end) : nil
        }
        let nameStart = index
        while index < text.count, isNamePart(text[index]) { index += 1 }
        // `network.1m`: the interval belongs to the name.
        if index < text.count, text[index] == 46 {
            var end = index + 1
            while end < text.count, isNamePart(text[end]) { end += 1 }
            let long = String(decoding: text[nameStart..<end], as: UTF8.self)
            if tables.contains(long) { return (long, end) }
        }
        let name = String(decoding: text[nameStart..<index], as: UTF8.self)
        return tables.contains(name) ? (name, index) : nil
    }

    private static func isNameStart(_ byte: UInt8) -> Bool {
        byte == 95 || (byte | 32 >= 97 && byte | 32 <= 122)
    }

    private static func isNamePart(_ byte: UInt8) -> Bool { isNameStart(byte) || (byte >= 48 && byte <= 57) }
}
