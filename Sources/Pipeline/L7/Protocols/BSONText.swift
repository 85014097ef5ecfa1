import Model

/// Text of BSON documents: `{ "k": v, ... }`. Source: agent-l7-protocols.md 7; bsonspec.org.
///
/// A document that is cut, or wrong from somewhere on, shows what stands before that.
struct BSONText {
    /// What a reader of responses looks for at the top of a document.
    struct Outcome {
        var code: Int32?
        var errorMessage: String?
    }

    private static let maxDepth = 64

    private(set) var text = ""
    private(set) var outcome = Outcome()

    /// Where it stops: a number of eight bytes may have hundreds of digits.
    private let limit: Int

    /// A document in a range of the payload.
    static func of(_ payload: RawSpan, _ range: Range<Int>) -> BSONText {
        var out = BSONText(limit: range.count &* 8)
        var cursor = ByteCursor(payload, at: range.lowerBound, end: range.upperBound)
        _ = out.document(payload, &cursor, isArray: false, depth: 0)
        return out
    }

    private init(limit: Int) { self.limit = limit }

    /// False: the document ended too early.
    private mutating func document(
        _ payload: RawSpan, _ cursor: inout ByteCursor, isArray: Bool, depth: Int
    ) -> Bool {
        let start = cursor.at
        guard depth < Self.maxDepth, let length = cursor.le32(payload), length >= 5 else { return false }
        let end = start &+ Int(length)
        var inner = ByteCursor(payload, at: cursor.at, end: min(end, cursor.end))
        text += isArray ? "[" : "{"
        var isFirst = true
        var isGood = true
        while let type = inner.u8(payload), type != 0, text.utf8.count <= limit {
            guard let key = inner.cString(payload) else {
                isGood = false
                break
            }
            if !isFirst { text += ", " } else if !isArray { text += " " }
            isFirst = false
            if !isArray { text += "\"\(payload.text(key))\": " }
            if depth == 0 { look(payload, type, key, inner) }
            guard value(payload, type, &inner, depth: depth) else {
                isGood = false
                break
            }
        }
        text += isArray ? "]" : isFirst ? "}" : " }"
        return cursor.skip(end &- cursor.at) && isGood
    }

    private mutating func look(_ payload: RawSpan, _ type: UInt8, _ key: Range<Int>, _ cursor: ByteCursor) {
        var cursor = cursor
        switch type {
        case 0x02 where payload.equals(key, "errmsg"):
            guard let message = Self.string(payload, &cursor) else { return }
            outcome.errorMessage = payload.text(message)
        case 0x10 where payload.equals(key, "code"):
            outcome.code = cursor.le32(payload).map { Int32(bitPattern: $0) }
        default: break
        }
    }

    /// Length with the NUL, text, NUL.
    private static func string(_ payload: RawSpan, _ cursor: inout ByteCursor) -> Range<Int>? {
        guard let length = cursor.le32(payload), length >= 1, let bytes = cursor.take(Int(length)) else { return nil }
        return bytes.lowerBound..<bytes.upperBound &- 1
    }

    private mutating func value(
        _ payload: RawSpan, _ type: UInt8, _ cursor: inout ByteCursor, depth: Int
    ) -> Bool {
        switch type {
        case 0x01: return add(cursor.le64(payload).map { RustNumber.text(Double(bitPattern: $0)) })
        case 0x02: return add(Self.string(payload, &cursor).map { "\"" + payload.text($0) + "\"" })
        case 0x03: return document(payload, &cursor, isArray: false, depth: depth + 1)
        case 0x04: return document(payload, &cursor, isArray: true, depth: depth + 1)
        case 0x05: return add(binary(payload, &cursor))
        case 0x06: return add("undefined")
        case 0x07: return add(cursor.take(12).map { Self.objectID(payload, $0) })
        case 0x08: return add(cursor.u8(payload).map { $0 != 0 ? "true" : "false" })
        case 0x09: return add(cursor.le64(payload).map { Self.date(Int64(bitPattern: $0)) })
        case 0x0a: return add("null")
        case 0x0b:
            guard let pattern = cursor.cString(payload), let options = cursor.cString(payload) else { return false }
            return add("/" + payload.text(pattern) + "/" + payload.text(options))
        case 0x0c:
            guard let name = Self.string(payload, &cursor), let id = cursor.take(12) else { return false }
            return add("DbPointer(\(payload.text(name)), \(Self.hex(payload, id)))")
        case 0x0d: return add(Self.string(payload, &cursor).map { payload.text($0) })
        case 0x0e: return add(Self.string(payload, &cursor).map { "Symbol(\"" + payload.text($0) + "\")" })
        case 0x0f:
            let start = cursor.at
            guard let length = cursor.le32(payload), let code = Self.string(payload, &cursor) else { return false }
            return add(payload.text(code)) && cursor.skip(start &+ Int(length) &- cursor.at)
        case 0x10: return add(cursor.le32(payload).map { String(Int32(bitPattern: $0)) })
        case 0x11:
            guard let increment = cursor.le32(payload), let time = cursor.le32(payload) else { return false }
            return add("Timestamp(\(time), \(increment))")
        case 0x12: return add(cursor.le64(payload).map { String(Int64(bitPattern: $0)) })
        case 0x13:
            guard let low = cursor.le64(payload), let high = cursor.le64(payload) else { return false }
            return add(Decimal128Text.of(high: high, low: low))
        case 0x7f: return add("MaxKey")
        case 0xff: return add("MinKey")
        default: return false
        }
    }

    private mutating func add(_ value: String?) -> Bool {
        guard let value else { return false }
        text += value
        return true
    }

    private func binary(_ payload: RawSpan, _ cursor: inout ByteCursor) -> String? {
        guard let length = cursor.le32(payload), let subtype = cursor.u8(payload),
            let bytes = cursor.take(Int(length))
        else { return nil }
        return "Binary(0x\(String(subtype, radix: 16)), \(base64Encoded(payload, bytes)))"
    }

    private static func objectID(_ payload: RawSpan, _ bytes: Range<Int>) -> String {
        "ObjectId(\"" + hex(payload, bytes) + "\")"
    }

    private static func hex(_ payload: RawSpan, _ bytes: Range<Int>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var out: [UInt8] = []
        for at in bytes {
            out.append(digits[Int(payload.u8(at: at) >> 4)])
            out.append(digits[Int(payload.u8(at: at) & 15)])
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// `2023-10-08 2:46:22.212 +00:00:00`: the hour without, minute and second with a leading zero.
    private static func date(_ milliseconds: Int64) -> String {
        var days = milliseconds / 86_400_000
        var rest = milliseconds % 86_400_000
        if rest < 0 {
            rest += 86_400_000
            days -= 1
        }
        let (year, month, day) = civil(days)
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60)
        let (second, thousandth) = (rest / 1000 % 60, rest % 1000)
        var fraction = padded(thousandth, 3)
        while fraction.utf8.count > 1, fraction.hasSuffix("0") { fraction.removeLast() }
        let sign = year < 0 ? "-" : year > 9999 ? "+" : ""
        return "DateTime(\"\(sign)\(padded(abs(year), 4))-\(padded(month, 2))-\(padded(day, 2))"
            + " \(hour):\(padded(minute, 2)):\(padded(second, 2)).\(fraction) +00:00:00\")"
    }

    private static func padded(_ value: Int64, _ width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }

    /// Date of a day since 1970, proleptic Gregorian.
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let isEarly = month >= 10
        return (
            yearOfEra + era * 400 + (isEarly ? 1 : 0), isEarly ? month - 9 : month + 3,
            dayOfYear - (153 * month + 2) / 5 + 1
        )
    }
}

/// RFC 4648 with padding.
func base64Encoded(_ payload: RawSpan, _ bytes: Range<Int>) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    var at = bytes.lowerBound
    while at < bytes.upperBound {
        let count = min(3, bytes.upperBound &- at)
        var word: UInt32 = 0
        for offset in 0..<3 {
            word = word << 8 | (offset < count ? UInt32(payload.u8(at: at &+ offset)) : 0)
        }
        for digit in 0..<4 {
            let index = Int(word >> UInt32(18 - 6 * digit)) & 63
            out.append(digit <= count ? alphabet[index] : UInt8(ascii: "="))
        }
        at = at &+ count
    }
    return String(decoding: out, as: UTF8.self)
}
