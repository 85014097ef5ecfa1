import Model

/// Walks over the members of a JSON object where it lies. Members of members are passed over, not checked.
struct JSONObject {
    struct Member {
        /// Without the quotation marks.
        var name: Range<Int>
        /// A string without its quotation marks, or the text of any other value.
        var value: Range<Int>
        var isString: Bool
    }

    private var at: Int
    private let end: Int
    private var isFirst = true
    /// The closing brace was reached, so that `next` gave every member.
    private(set) var isComplete = false

    /// - Parameter range: the object, white space around it allowed.
    init?(_ bytes: RawSpan, _ range: Range<Int>) {
        let range = bytes.trimmedRange(range)
        guard !range.isEmpty, bytes.u8(at: range.lowerBound) == UInt8(ascii: "{") else { return nil }
        at = range.lowerBound &+ 1
        end = range.upperBound
    }

    /// The next member; nil at the end of the object, or where it is broken.
    mutating func next(_ bytes: RawSpan) -> Member? {
        skipSpace(bytes)
        guard at < end, !isComplete else { return nil }
        if bytes.u8(at: at) == UInt8(ascii: "}") {
            isComplete = true
            return nil
        }
        if !isFirst {
            guard bytes.u8(at: at) == UInt8(ascii: ",") else { return nil }
            at &+= 1
            skipSpace(bytes)
        }
        isFirst = false
        guard let name = string(bytes) else { return nil }
        skipSpace(bytes)
        guard at < end, bytes.u8(at: at) == UInt8(ascii: ":") else { return nil }
        at &+= 1
        skipSpace(bytes)
        if let text = string(bytes) { return Member(name: name, value: text, isString: true) }
        guard let value = value(bytes) else { return nil }
        return Member(name: name, value: value, isString: false)
    }

    private mutating func skipSpace(_ bytes: RawSpan) {
        while at < end, isASCIISpace(bytes.u8(at: at)) { at &+= 1 }
    }

    /// A string that begins here, passed over.
    private mutating func string(_ bytes: RawSpan) -> Range<Int>? {
        guard at < end, bytes.u8(at: at) == UInt8(ascii: "\"") else { return nil }
        let start = at &+ 1
        var scan = start
        while scan < end {
            switch bytes.u8(at: scan) {
            case UInt8(ascii: "\\"): scan &+= 2
            case UInt8(ascii: "\""):
                at = scan &+ 1
                return start..<scan
            default: scan &+= 1
            }
        }
        return nil
    }

    /// Any other value, passed over with everything in it.
    private mutating func value(_ bytes: RawSpan) -> Range<Int>? {
        let start = at
        var depth = 0
        while at < end {
            switch bytes.u8(at: at) {
            case UInt8(ascii: "\""):
                guard string(bytes) != nil else { return nil }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth &+= 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return finish(bytes, start) }
                depth &-= 1
            case UInt8(ascii: ",") where depth == 0: return finish(bytes, start)
            default: break
            }
            at &+= 1
        }
        return nil
    }

    private func finish(_ bytes: RawSpan, _ start: Int) -> Range<Int>? {
        let range = bytes.trimmedRange(start..<at)
        return range.isEmpty ? nil : range
    }
}

extension RawSpan {
    /// Text of a JSON string, escapes resolved. - Parameter range: without the quotation marks.
    func jsonText(_ range: Range<Int>) -> String {
        guard firstIndex(of: UInt8(ascii: "\\"), from: range.lowerBound, to: range.upperBound) != nil else {
            return text(range)
        }
        return String(decoding: jsonBytes(range), as: UTF8.self)
    }

    /// The bytes of a JSON string, escapes resolved.
    func jsonBytes(_ range: Range<Int>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(range.count)
        var at = range.lowerBound
        while at < range.upperBound {
            let byte = u8(at: at)
            at &+= 1
            guard byte == UInt8(ascii: "\\"), at < range.upperBound else {
                out.append(byte)
                continue
            }
            let escape = u8(at: at)
            at &+= 1
            switch escape {
            case UInt8(ascii: "n"): out.append(10)
            case UInt8(ascii: "r"): out.append(13)
            case UInt8(ascii: "t"): out.append(9)
            case UInt8(ascii: "b"): out.append(8)
            case UInt8(ascii: "f"): out.append(12)
            case UInt8(ascii: "u"): out.append(contentsOf: unicodeEscape(&at, range.upperBound).utf8)
            default: out.append(escape)
            }
        }
        return out
    }

    /// Four hexadecimal digits, and the other half of a surrogate pair if there is one; U+FFFD for what is none.
    private func unicodeEscape(_ at: inout Int, _ end: Int) -> Unicode.Scalar {
        guard let first = hex4(at, end) else { return "\u{fffd}" }
        at &+= 4
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xdc00, hasPrefix("\\u", at: at), let second = hex4(at &+ 2, end), second >= 0xdc00,
            second < 0xe000, let scalar = Unicode.Scalar(0x10000 &+ (first &- 0xd800) << 10 &+ (second &- 0xdc00))
        else { return "\u{fffd}" }
        at &+= 6
        return scalar
    }

    private func hex4(_ at: Int, _ end: Int) -> UInt32? {
        guard at &+ 4 <= end else { return nil }
        var value: UInt32 = 0
        for offset in 0..<4 {
            let byte = u8(at: at &+ offset)
            let digit: UInt8
            switch byte {
            case 48...57: digit = byte &- 48
            case 65...70: digit = byte &- 55
            case 97...102: digit = byte &- 87
            default: return nil
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// Decimal number of at most nine digits; nil for anything else.
    func decimal(_ range: Range<Int>) -> Int? {
        guard !range.isEmpty, range.count <= 9 else { return nil }
        var value = 0
        for at in range {
            guard isASCIIDigit(u8(at: at)) else { return nil }
            value = value * 10 + Int(u8(at: at) &- 48)
        }
        return value
    }
}
