/// Fields that every connection knows. Source: RFC 7541 appendix A.
enum HPACKStaticTable {
    static let count = 61

    /// - Precondition: `index` is 1 to `count`.
    static func name(_ index: Int) -> StaticString { names[index &- 1] }

    /// Value of a field; empty for most.
    static func value(_ index: Int) -> StaticString {
        switch index {
        case 2: "GET"
        case 3: "POST"
        case 4: "/"
        case 5: "/index.html"
        case 6: "http"
        case 7: "https"
        case 8: "200"
        case 9: "204"
        case 10: "206"
        case 11: "304"
        case 12: "400"
        case 13: "404"
        case 14: "500"
        case 16: "gzip, deflate"
        default: ""
        }
    }

    private static let names: [StaticString] = [
        ":authority", ":method", ":method", ":path", ":path", ":scheme", ":scheme", ":status", ":status", ":status",
        ":status", ":status", ":status", ":status", "accept-charset", "accept-encoding", "accept-language",
        "accept-ranges", "accept", "access-control-allow-origin", "age", "allow", "authorization", "cache-control",
        "content-disposition", "content-encoding", "content-language", "content-length", "content-location",
        "content-range", "content-type", "cookie", "date", "etag", "expect", "expires", "from", "host", "if-match",
        "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "link", "location",
        "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh", "retry-after",
        "server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via",
        "www-authenticate",
    ]
}

/// Fields that one side of a connection has sent lately. Source: RFC 7541 2.3.2, 4.
///
/// Every field takes its place and its size, but texts are kept only of those that somebody reads.
struct HPACKDynamicTable {
    struct Entry {
        var header = HTTP2Header.other
        var isTag = false
        var nameLength: Int32 = 0
        var valueLength: Int32 = 0
        /// Texts in `bytes`, of a tag its name before the value.
        var start: UInt32 = 0
        var kept: Int32 = 0

        /// Source: RFC 7541 4.1.
        var size: Int { Int(nameLength) &+ Int(valueLength) &+ 32 }
    }

    /// Size that both sides begin with.
    private static let initialLimit = 4096
    /// More is not held of a table that the peers agreed to be larger: its oldest fields are then unknown.
    private static let largestLimit = 65536

    /// Ring by number of insertion, its length a power of two.
    private var entries: [Entry] = []
    private var inserted: UInt32 = 0
    private(set) var count = 0
    private(set) var size = 0
    private var limit = initialLimit
    /// Ring of the texts, its length a power of two.
    private var bytes: [UInt8] = []
    private var written: UInt32 = 0
    private var keptBytes = 0

    /// Field by age, 0 = the newest.
    func entry(_ age: Int) -> Entry? {
        guard age >= 0, age < count else { return nil }
        return entries[Int(inserted &- 1 &- UInt32(truncatingIfNeeded: age)) & (entries.count &- 1)]
    }

    /// Appends the texts of a field.
    func copy(_ entry: Entry, _ part: Range<Int>, into text: inout [UInt8]) {
        for at in part { text.append(bytes[(Int(entry.start) &+ at) & (bytes.count &- 1)]) }
    }

    /// Adds a field. `kept`: the part of `text` to keep.
    mutating func insert(_ new: Entry, _ text: [UInt8], _ kept: Range<Int>) {
        var new = new
        while count > 0, size &+ new.size > limit { removeOldest() }
        guard new.size <= limit else { return }
        new.start = written
        new.kept = Int32(truncatingIfNeeded: kept.count)
        if count == entries.count { growEntries() }
        while keptBytes &+ kept.count > bytes.count { growBytes() }
        for at in kept {
            bytes[Int(written) & (bytes.count &- 1)] = text[at]
            written &+= 1
        }
        keptBytes &+= kept.count
        entries[Int(inserted) & (entries.count &- 1)] = new
        inserted &+= 1
        count &+= 1
        size &+= new.size
    }

    mutating func resize(_ newLimit: Int) {
        limit = min(newLimit, Self.largestLimit)
        while size > limit { removeOldest() }
    }

    /// Drops all fields, as when some of the sender's insertions were not seen: what comes later counts right again.
    mutating func removeAll() {
        count = 0
        size = 0
        keptBytes = 0
    }

    private mutating func removeOldest() {
        guard let oldest = entry(count &- 1) else { return }
        count &-= 1
        size &-= oldest.size
        keptBytes &-= Int(oldest.kept)
    }

    private mutating func growEntries() {
        let old = entries
        entries = [Entry](repeating: Entry(), count: max(16, old.count &* 2))
        for age in 0..<count {
            let number = Int(inserted &- 1 &- UInt32(truncatingIfNeeded: age))
            entries[number & (entries.count &- 1)] = old[number & (old.count &- 1)]
        }
    }

    private mutating func growBytes() {
        let old = bytes
        bytes = [UInt8](repeating: 0, count: max(256, old.count &* 2))
        for back in 0..<keptBytes {
            let at = Int(written &- 1 &- UInt32(truncatingIfNeeded: back))
            bytes[at & (bytes.count &- 1)] = old[at & (old.count &- 1)]
        }
    }
}
