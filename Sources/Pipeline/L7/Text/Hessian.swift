import Model

/// Texts and numbers of Hessian 2, as far as requests are read. Source: hessian.caucho.com, Hessian 2.0 Serialization.
enum Hessian {
    /// Length that the tag of a string tells; the offset moves behind the tag. Nil: no string stands there.
    static func stringLength(_ bytes: RawSpan, _ at: inout Int, end: Int) -> Int? {
        guard at < end else { return nil }
        let tag = bytes.u8(at: at)
        switch tag {
        case 0x00...0x1f:
            at &+= 1
            return Int(tag)
        case 0x30...0x33:
            guard end &- at >= 2 else { return nil }
            let length = Int(tag & 3) << 8 | Int(bytes.u8(at: at &+ 1))
            at &+= 2
            return length
        case 0x52, 0x53:
            guard end &- at >= 3 else { return nil }
            let length = Int(bytes.be16(at: at &+ 1))
            at &+= 3
            return length
        default: return nil
        }
    }

    /// Range of a string's text; the offset moves behind it. Its length counts characters.
    static func string(_ bytes: RawSpan, _ at: inout Int, end: Int) -> Range<Int>? {
        var next = at
        guard let count = stringLength(bytes, &next, end: end) else { return nil }
        let start = next
        for _ in 0..<count {
            guard next < end else { return nil }
            let first = bytes.u8(at: next)
            next &+= first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
        }
        guard next <= end else { return nil }
        at = next
        return start..<next
    }

    /// A string that follows a key, wherever in a map the key stands.
    static func value(of key: [UInt8], _ bytes: RawSpan, _ range: Range<Int>) -> Range<Int>? {
        var from = range.lowerBound &+ 1
        while let found = bytes.firstIndex(of: key, from: from, to: range.upperBound) {
            var at = found &+ key.count
            if bytes.u8(at: found &- 1) == UInt8(truncatingIfNeeded: key.count),
                let text = string(bytes, &at, end: range.upperBound)
            {
                return text
            }
            from = found &+ 1
        }
        return nil
    }

    /// A number of up to 16 bits, as counts are written; the offset moves behind it.
    static func count(_ bytes: RawSpan, _ at: inout Int, end: Int) -> Int? {
        guard at < end else { return nil }
        let tag = bytes.u8(at: at)
        switch tag {
        case 0x90...0xbf:
            at &+= 1
            return Int(tag) &- 0x90
        case 0xc8...0xcf:
            guard end &- at >= 2 else { return nil }
            let value = (Int(tag) &- 0xc8) << 8 | Int(bytes.u8(at: at &+ 1))
            at &+= 2
            return value
        default: return nil
        }
    }
}

/// Names of the fields of an object that follows the definition of its class.
struct HessianFields {
    private var at: Int
    private let end: Int
    private var left: Int

    /// Reads definition and head of the object; the offset moves to the value of the first field.
    ///
    /// Drafts of the format, which SofaRPC writes, mark a definition with `O` and an object with `o`; the final one has `C`
    /// and `O`, and one byte for the objects of the first 16 classes.
    init?(_ bytes: RawSpan, _ offset: inout Int, end: Int) {
        guard offset < end else { return nil }
        let isDraft = bytes.u8(at: offset) == 0x4f
        guard isDraft || bytes.u8(at: offset) == 0x43 else { return nil }
        offset &+= 1
        if isDraft {
            guard let length = Hessian.count(bytes, &offset, end: end), end &- offset >= length else { return nil }
            offset &+= length
        } else {
            guard Hessian.string(bytes, &offset, end: end) != nil else { return nil }
        }
        guard let count = Hessian.count(bytes, &offset, end: end) else { return nil }
        at = offset
        left = count
        self.end = end
        for _ in 0..<count where Hessian.string(bytes, &offset, end: end) == nil { return nil }
        guard offset < end else { return nil }
        let head = bytes.u8(at: offset)
        offset &+= 1
        if head == (isDraft ? 0x6f : 0x4f) {
            guard Hessian.count(bytes, &offset, end: end) != nil else { return nil }
        } else if isDraft || head & 0xf0 != 0x60 {
            return nil
        }
    }

    mutating func next(_ bytes: RawSpan) -> Range<Int>? {
        guard left > 0 else { return nil }
        left &-= 1
        return Hessian.string(bytes, &at, end: end)
    }
}

extension RawSpan {
    /// - Precondition: the range lies within the span.
    func array(_ range: Range<Int>) -> [UInt8] { extracting(range).withUnsafeBytes { Array($0) } }

    /// First occurrence of some bytes in `from..<to`.
    func firstIndex(of pattern: [UInt8], from: Int, to: Int) -> Int? {
        guard let first = pattern.first else { return nil }
        var at = from
        while let found = firstIndex(of: first, from: at, to: to &- pattern.count &+ 1) {
            var same = 1
            while same < pattern.count, u8(at: found &+ same) == pattern[same] { same &+= 1 }
            if same == pattern.count { return found }
            at = found &+ 1
        }
        return nil
    }
}
