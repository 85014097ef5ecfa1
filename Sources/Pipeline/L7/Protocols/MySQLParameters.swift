import Model

/// Counts the `?` of a prepared statement with the state table of agent-l7-protocols.md 4 (letters upper case only).
enum MySQLPlaceholders {
    private enum State: Equatable {
        case none, equal, greater, less, list, tuple, pause
        /// Letters of a keyword so far.
        case inWord(Int), valuesWord(Int), likeWord(Int)
    }

    private static let inLetters = Array("IN".utf8)
    private static let valuesLetters = Array("VALUES".utf8)
    private static let likeLetters = Array("LIKE".utf8)

    static func count(_ payload: RawSpan, _ text: Range<Int>) -> Int {
        var state = State.none
        var count = 0
        for at in text { state = next(state, payload.u8(at: at), &count) }
        return count
    }

    private static func next(_ state: State, _ byte: UInt8, _ count: inout Int) -> State {
        if byte == 61 { return .equal }
        switch state {
        case .equal: return value(state, byte, &count)
        case .likeWord(let letters) where letters == likeLetters.count: return value(state, byte, &count)
        case .none: return start(byte)
        case .greater, .less:
            if byte == 63 { count += 1 }
            return state == .less && byte == 62 ? .greater : .none
        case .inWord(let letters):
            if letters < inLetters.count { return letter(state, byte, inLetters, letters) { .inWord($0) } }
            return byte == 40 ? .list : byte == 32 ? state : .none
        case .valuesWord(let letters):
            if letters < valuesLetters.count { return letter(state, byte, valuesLetters, letters) { .valuesWord($0) } }
            return byte == 40 ? .tuple : byte == 32 || byte == 44 ? state : .none
        case .likeWord(let letters): return letter(state, byte, likeLetters, letters) { .likeWord($0) }
        case .list:
            if byte == 63 { count += 1 }
            return byte == 63 || byte == 44 || byte == 32 ? .list : .none
        case .tuple:
            guard byte == 63 else { return .tuple }
            count += 1
            return .pause
        case .pause:
            switch byte {
            case 41: return .valuesWord(valuesLetters.count)
            case 44: return .tuple
            case 63, 32: return .pause
            default: return .none
            }
        }
    }

    private static func value(_ state: State, _ byte: UInt8, _ count: inout Int) -> State {
        if byte == 63 {
            count += 1
            return .none
        }
        return byte == 32 ? state : .none
    }

    private static func start(_ byte: UInt8) -> State {
        switch byte {
        case 62: .greater
        case 60: .less
        case 73: .inWord(1)
        case 86: .valuesWord(1)
        case 76: .likeWord(1)
        default: .none
        }
    }

    private static func letter(
        _ state: State, _ byte: UInt8, _ letters: [UInt8], _ count: Int, _ make: (Int) -> State
    ) -> State {
        if byte == letters[count] { return make(count + 1) }
        return byte == 32 ? state : .none
    }
}

/// Parameters of COM_STMT_EXECUTE as text. Source: agent-l7-protocols.md 4, values.
enum MySQLParameters {
    /// Parameters of one statement that are shown at most.
    private static let maxCount = 4096

    static func text(_ payload: RawSpan, _ body: Range<Int>, count: Int) -> String {
        let count = min(count, maxCount)
        let end = body.upperBound
        var at = body.lowerBound &+ 10
        while at < end, payload.u8(at: at) != 1 { at &+= 1 }
        at &+= 1
        let types = at
        at = at &+ 2 &* count
        guard at <= end else { return "" }
        var out = ""
        for number in 0..<count {
            let type = payload.u8(at: types &+ 2 &* number)
            guard let value = value(type, payload, &at, end) else { continue }
            out += value
            if number + 1 < count { out += " , " }
        }
        return out
    }

    /// nil: nothing is printed, not even the separator.
    private static func value(_ type: UInt8, _ payload: RawSpan, _ at: inout Int, _ end: Int) -> String? {
        let left = end &- at
        switch type {
        case 1:
            guard left >= 1 else { return nil }
            defer { at &+= 1 }
            return "Tiny(\(Int8(bitPattern: payload.u8(at: at))))"
        case 2, 13:
            guard left >= 2 else { return nil }
            defer { at &+= 2 }
            return "\(type == 2 ? "Short" : "Years")(\(Int16(bitPattern: payload.le16(at: at))))"
        case 3, 9:
            guard left >= 4 else { return nil }
            defer { at &+= 4 }
            return "\(type == 3 ? "Long" : "Int24")(\(Int32(bitPattern: payload.le32(at: at))))"
        case 8:
            guard left >= 8 else { return nil }
            defer { at &+= 8 }
            return "LongLong(\(Int64(bitPattern: payload.le64(at: at))))"
        case 4:
            guard left >= 4 else { return nil }
            defer { at &+= 4 }
            return "Float(\(plain("\(Float(bitPattern: payload.le32(at: at)))")))"
        case 5:
            guard left >= 8 else { return nil }
            defer { at &+= 8 }
            return "Double(\(plain("\(Double(bitPattern: payload.le64(at: at)))")))"
        case 6: return left >= 8 ? "NULL" : nil
        case 254:
            guard left >= 1 else { return nil }
            let length = Int(payload.u8(at: at))
            guard left &- 1 >= length else { return nil }
            defer { at &+= 1 &+ length }
            return payload.text(at &+ 1..<at &+ 1 &+ length)
        case 7, 10, 12: return dateTime(payload, &at, end)
        case 11: return time(payload, &at, end)
        default: return nil
        }
    }

    /// A whole number is printed without its fraction.
    private static func plain(_ number: String) -> String {
        number.hasSuffix(".0") ? String(number.dropLast(2)) : number
    }

    private static func dateTime(_ payload: RawSpan, _ at: inout Int, _ end: Int) -> String? {
        guard at < end else { return nil }
        let length = Int(payload.u8(at: at))
        guard end &- at &- 1 >= length else { return nil }
        let start = at &+ 1
        at = start &+ length
        if length == 0 { return "datetime 0000-00-00 00:00:00.000000" }
        guard length == 4 || length == 7 || length == 11 else { return nil }
        var text = "datetime \(padded(Int(payload.le16(at: start)), 4))"
        text += "-\(padded(Int(payload.u8(at: start &+ 2)), 2))-\(padded(Int(payload.u8(at: start &+ 3)), 2))"
        if length >= 7 { text += " " + clock(payload, start &+ 4) }
        if length == 11 { text += ".\(padded(Int(payload.le32(at: start &+ 7)), 6))" }
        return text
    }

    /// Trap kept: the offset moves by 1 byte (length 1) or 2 bytes (8, 12) only.
    private static func time(_ payload: RawSpan, _ at: inout Int, _ end: Int) -> String? {
        guard at < end else { return nil }
        let length = Int(payload.u8(at: at))
        let start = at &+ 1
        switch length {
        case 1:
            at &+= 1
            return "time 0d 00:00:00.000000"
        case 8, 12:
            guard end &- start >= length else { return nil }
            at &+= 2
            let sign = payload.u8(at: start) == 1 ? "-" : ""
            var text = "time \(sign)\(payload.le32(at: start &+ 1))d " + clock(payload, start &+ 5)
            if length == 12 { text += ".\(padded(Int(payload.le32(at: start &+ 8)), 6))" }
            return text
        default: return nil
        }
    }

    private static func clock(_ payload: RawSpan, _ at: Int) -> String {
        let hours = padded(Int(payload.u8(at: at)), 2)
        let minutes = padded(Int(payload.u8(at: at &+ 1)), 2)
        return "\(hours):\(minutes):\(padded(Int(payload.u8(at: at &+ 2)), 2))"
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
}
