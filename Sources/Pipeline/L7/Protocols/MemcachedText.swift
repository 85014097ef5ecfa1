import Model

/// Commands and answers of the memcached text protocol. Source: agent-l7-protocols.md 8; memcached `doc/protocol.txt`.
enum MemcachedText {
    /// A line, what of the payload belongs to it, and where the next one begins.
    struct Item {
        /// Without CR LF.
        var line: Range<Int>
        /// Up to here the payload belongs to the item.
        var end: Int
        /// Where the next item begins; may lie behind the payload.
        var next: Int
        var kind = Kind.logged
    }

    enum Kind {
        /// A command or an answer that is logged.
        case logged
        /// Its answer is one line, and neither is logged.
        case silent
        /// Answered by several lines up to END.
        case listing
        /// Nothing answers it.
        case unanswered
        /// A value, behind which the answer goes on.
        case value
    }

    /// Words of a line, as many as are asked for.
    struct Words {
        private(set) var ranges: [Range<Int>] = []

        init(_ payload: RawSpan, _ line: Range<Int>) {
            var at = line.lowerBound
            while at < line.upperBound, ranges.count < 7 {
                let end = payload.nearIndex(of: 32, from: at, to: line.upperBound) ?? line.upperBound
                if end > at { ranges.append(at..<end) }
                at = end &+ 1
            }
        }

        subscript(_ number: Int) -> Range<Int>? { number < ranges.count ? ranges[number] : nil }
        var count: Int { ranges.count }
    }

    /// Longest line that is looked at: a `get` of many keys.
    private static let maxLine = 65536
    private static let maxKey = 250

    static func line(_ payload: RawSpan, from: Int) -> Range<Int>? {
        payload.crlf(from: from).flatMap { $0 &- from <= maxLine ? from..<$0 : nil }
    }

    // MARK: - Commands

    /// Words that a command needs at least, itself included; 0 = it is none of those that are logged.
    private static func wordCount(_ payload: RawSpan, _ name: Range<Int>) -> Int {
        guard name.count <= 7 else { return 0 }
        switch payload.text(name) {
        case "set", "add", "replace", "append", "prepend": return 5
        case "cas": return 6
        case "get", "gets", "delete": return 2
        case "gat", "gats", "incr", "decr", "touch": return 3
        default: return 0
        }
    }

    /// Data follows the line.
    private static func stores(_ words: Int) -> Bool { words >= 5 }

    /// Decimal number of at most 10 digits.
    static func number(_ payload: RawSpan, _ word: Range<Int>?) -> Int? {
        guard let word, !word.isEmpty, word.count <= 10 else { return nil }
        var value = 0
        for at in word {
            guard isASCIIDigit(payload.u8(at: at)) else { return nil }
            value = value &* 10 &+ Int(payload.u8(at: at) &- 48)
        }
        return value
    }

    /// The command that begins at an offset; nil = none that is logged.
    static func command(_ payload: RawSpan, at: Int) -> Item? {
        guard let line = line(payload, from: at) else { return nil }
        let words = Words(payload, line)
        guard let name = words[0] else { return nil }
        let needed = wordCount(payload, name)
        guard needed > 0, words.count >= (stores(needed) ? 5 : 1) else { return nil }
        var item = Item(line: line, end: line.upperBound &+ 2, next: line.upperBound &+ 2)
        if stores(needed) {
            guard let bytes = number(payload, words[4]) else { return nil }
            (item.end, item.next) = data(payload, from: line.upperBound &+ 2, bytes)
        }
        if line.count >= 8, payload.hasPrefix(" noreply", at: line.upperBound &- 8) { item.kind = .unanswered }
        return item
    }

    /// End of a data block and of what is of it in the payload. Data of another length: all the rest is taken for it.
    private static func data(_ payload: RawSpan, from start: Int, _ bytes: Int) -> (end: Int, next: Int) {
        let end = start &+ bytes &+ 2
        if start >= payload.byteCount { return (start, end) }
        if end <= payload.byteCount, payload.u8(at: end &- 2) == 13, payload.u8(at: end &- 1) == 10 {
            return (end, end)
        }
        return (payload.byteCount, max(end, payload.byteCount))
    }

    /// A command as it has to be to tell the protocol: all words there, keys and numbers plain.
    static func isPlain(_ payload: RawSpan, _ item: Item) -> Bool {
        let words = Words(payload, item.line)
        guard let name = words[0], name.lowerBound == item.line.lowerBound else { return false }
        let needed = wordCount(payload, name)
        guard needed > 0, words.count >= needed else { return false }
        for at in item.line where payload.u8(at: at) < 32 || payload.u8(at: at) == 127 { return false }
        switch payload.text(name) {
        case "gat", "gats":
            guard number(payload, words[1]) != nil else { return false }
            return words[2].map { $0.count <= maxKey } ?? false
        case "incr", "decr":
            guard let amount = words[2], amount.allSatisfy({ isASCIIDigit(payload.u8(at: $0)) }) else { return false }
        case "touch": break
        default:
            guard !stores(needed) || number(payload, words[2]) != nil else { return false }
        }
        return words[1].map { $0.count <= maxKey } ?? false
    }

    // MARK: - Answers

    /// The answer that begins at an offset, or the part of it that is in the payload; nil = none that is logged.
    static func answer(_ payload: RawSpan, at: Int) -> Item? {
        guard let line = line(payload, from: at) else { return nil }
        var item = Item(line: line, end: line.upperBound &+ 2, next: line.upperBound &+ 2)
        if payload.hasPrefix("VALUE", at: at) {
            guard let bytes = number(payload, Words(payload, line)[3]) else { return nil }
            (item.end, item.next) = data(payload, from: line.upperBound &+ 2, bytes)
            item.kind = .value
            return item
        }
        guard isStatus(payload, at) || isNumber(payload, line) else { return nil }
        return item
    }

    /// The value behind `incr`, 64 bits.
    private static func isNumber(_ payload: RawSpan, _ line: Range<Int>) -> Bool {
        guard let word = Words(payload, line)[0], word.count <= 20 else { return false }
        return word.allSatisfy { isASCIIDigit(payload.u8(at: $0)) }
    }

    private static func isStatus(_ payload: RawSpan, _ at: Int) -> Bool {
        switch payload.u8(at: at) {
        case UInt8(ascii: "S"): payload.hasPrefix("STORED", at: at) || payload.hasPrefix("SERVER_ERROR", at: at)
        case UInt8(ascii: "E"):
            payload.hasPrefix("END", at: at) || payload.hasPrefix("ERROR", at: at)
                || payload.hasPrefix("EXISTS", at: at)
        case UInt8(ascii: "N"): payload.hasPrefix("NOT_STORED", at: at) || payload.hasPrefix("NOT_FOUND", at: at)
        case UInt8(ascii: "D"): payload.hasPrefix("DELETED", at: at)
        case UInt8(ascii: "T"): payload.hasPrefix("TOUCHED", at: at)
        case UInt8(ascii: "C"): payload.hasPrefix("CLIENT_ERROR", at: at)
        default: false
        }
    }

    static func isEnd(_ payload: RawSpan, _ line: Range<Int>) -> Bool {
        line.count == 3 && payload.hasPrefix("END", at: line.lowerBound)
    }

    static func status(_ payload: RawSpan, _ line: Range<Int>) -> (status: L7ResponseStatus, exception: String) {
        let at = line.lowerBound
        let status: L7ResponseStatus
        if payload.hasPrefix("NOT_FOUND", at: at) { return (.unknown, "") }
        if payload.hasPrefix("SERVER_ERROR", at: at) {
            status = .serverError
        } else if payload.hasPrefix("ERROR", at: at) || payload.hasPrefix("CLIENT_ERROR", at: at) {
            status = .clientError
        } else {
            return (.ok, "")
        }
        return (status, Words(payload, line)[1].map { payload.text($0) } ?? "")
    }

    // MARK: - Not logged

    /// Commands that are not logged but answered, so that answers behind them find their commands.
    static func other(_ payload: RawSpan, at: Int) -> Item? {
        guard let line = line(payload, from: at), let name = Words(payload, line)[0], payload.isASCII(line) else {
            return nil
        }
        var item = Item(line: line, end: line.upperBound &+ 2, next: line.upperBound &+ 2, kind: .silent)
        switch payload.text(name.prefix(16)) {
        case "quit": item.kind = .unanswered
        case "stats": item.kind = .listing
        case "ms":
            guard let bytes = number(payload, Words(payload, line)[2]) else { break }
            (item.end, item.next) = data(payload, from: line.upperBound &+ 2, bytes)
        default: break
        }
        if line.count >= 8, payload.hasPrefix(" noreply", at: line.upperBound &- 8) { item.kind = .unanswered }
        return item
    }

    /// Answers to those: a line in capitals. A STAT line is no end of an answer.
    static func otherAnswer(_ payload: RawSpan, at: Int) -> Item? {
        guard let line = line(payload, from: at), let name = Words(payload, line)[0], name.count >= 2 else {
            return nil
        }
        for at in name where !isASCIILetter(payload.u8(at: at)) || payload.u8(at: at) & 0x20 != 0 { return nil }
        var item = Item(line: line, end: line.upperBound &+ 2, next: line.upperBound &+ 2, kind: .silent)
        switch payload.text(name.prefix(16)) {
        case "STAT", "ITEM", "PREFIX": item.kind = .value
        case "VA":
            guard let bytes = number(payload, Words(payload, line)[1]) else { return nil }
            (item.end, item.next) = data(payload, from: line.upperBound &+ 2, bytes)
        default: break
        }
        return item
    }
}
