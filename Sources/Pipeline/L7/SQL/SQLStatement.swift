import Model

/// Recognises SQL by its first word. Source: agent-l7.md 11.5.
enum SQLStatement {
    /// Up to 16 upper-case letters.
    private struct Word: Equatable {
        var first: UInt64 = 0
        var second: UInt64 = 0

        init() {}

        init(_ text: String) {
            for (at, byte) in text.utf8.enumerated() { set(at, byte) }
        }

        @inline(__always)
        mutating func set(_ at: Int, _ byte: UInt8) {
            if at < 8 {
                first |= UInt64(byte) << UInt64(at * 8)
            } else {
                second |= UInt64(byte) << UInt64((at & 7) * 8)
            }
        }
    }

    private static let common = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "SET", "SHOW", "PREPARE", "CREATE", "DROP", "ALTER", "EXPLAIN", "GRANT",
        "SAVEPOINT", "RELEASE", "DECLARE", "CALL", "FETCH", "IMPORT", "REVOKE",
    ].map(Word.init)
    private static let mysqlOnly = [
        "BEGIN", "COMMIT", "ROLLBACK", "USE", "XA", "FLUSH", "LOCK", "UNLOCK", "STOP", "START", "LOAD", "ANALYZE",
        "DESC",
    ].map(Word.init)
    private static let postgresqlOnly = [
        "WITH", "EXECUTE", "DECLARE", "MATERIALIZED", "ABORT", "ANALYZE", "LOAD", "LOCK", "CHECKPOINT", "REFRESH",
        "REINDEX", "RESET", "START", "TABLE", "CLUSTER", "TRUNCATE",
    ].map(Word.init)

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

    /// Letters behind white space and `/* */` comments; nil when there are none or more than `maxLength`.
    private static func firstWord(_ bytes: RawSpan, _ range: Range<Int>, maxLength: Int) -> Word? {
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
        var word = Word()
        var count = 0
        while at < end, isASCIILetter(bytes.u8(at: at)) {
            guard count < maxLength else { return nil }
            word.set(count, bytes.u8(at: at) & 0xdf)
            count &+= 1
            at &+= 1
        }
        return count > 0 ? word : nil
    }
}
