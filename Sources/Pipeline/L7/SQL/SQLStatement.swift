import Model

/// Recognises SQL by its first word. Source: agent-l7.md 11.5.
enum SQLStatement {
    private static let common: Set<String> = [
        "SELECT", "PREPARE", "INSERT", "UPDATE", "DELETE", "SHOW", "CREATE", "DROP", "ALTER", "EXPLAIN", "GRANT", "SET",
        "SAVEPOINT", "RELEASE", "DECLARE", "CALL", "FETCH", "IMPORT", "REVOKE",
    ]
    private static let mysqlOnly: Set<String> = [
        "XA", "FLUSH", "USE", "LOCK", "UNLOCK", "STOP", "START", "LOAD", "ANALYZE", "BEGIN", "COMMIT", "ROLLBACK",
        "DESC",
    ]
    private static let postgresqlOnly: Set<String> = [
        "WITH", "EXECUTE", "DECLARE", "MATERIALIZED", "ABORT", "ANALYZE", "LOAD", "LOCK", "CHECKPOINT", "REFRESH",
        "REINDEX", "RESET", "START", "TABLE", "CLUSTER", "TRUNCATE",
    ]

    static func isMySQL(_ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        guard let word = firstWord(bytes, range, maxLength: 8) else { return false }
        return common.contains(word) || mysqlOnly.contains(word)
    }

    static func isPostgreSQL(_ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        guard let word = firstWord(bytes, range, maxLength: 12) else { return false }
        return common.contains(word) || postgresqlOnly.contains(word)
    }

    static func isCommon(_ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        guard let word = firstWord(bytes, range, maxLength: 12) else { return false }
        return common.contains(word)
    }

    /// Upper-case letters behind white space and `/* */` comments; nil when there are none or more than `maxLength`.
    private static func firstWord(_ bytes: RawSpan, _ range: Range<Int>, maxLength: Int) -> String? {
        var at = max(range.lowerBound, 0)
        let end = min(range.upperBound, bytes.byteCount)
        while at < end {
            let byte = bytes.u8(at: at)
            if byte == 32 || byte == 9 || byte == 10 || byte == 13 {
                at &+= 1
            } else if byte == 47, at &+ 1 < end, bytes.u8(at: at &+ 1) == 42 {
                at &+= 2
                while at &+ 1 < end, !(bytes.u8(at: at) == 42 && bytes.u8(at: at &+ 1) == 47) { at &+= 1 }
                at &+= 2
            } else {
                break
            }
        }
        let start = at
        while at < end, isASCIILetter(bytes.u8(at: at)) {
            at &+= 1
            guard at &- start <= maxLength else { return nil }
        }
        guard at > start else { return nil }
        let count = at &- start
        return String(unsafeUninitializedCapacity: count) { buffer in
            for offset in 0..<count { buffer[offset] = bytes.u8(at: start &+ offset) & 0xdf }
            return count
        }
    }
}
