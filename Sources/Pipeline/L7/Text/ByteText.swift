import Glibc
import Model

/// Looking at payload text through spans. Offsets count from the start of the span; every call accepts any offsets.
extension RawSpan {
    /// Text of a range, clamped to the span; bytes that are no UTF-8 become U+FFFD.
    func text(_ range: Range<Int>) -> String {
        let lower = min(max(range.lowerBound, 0), byteCount)
        let upper = min(max(range.upperBound, lower), byteCount)
        let range = lower..<upper
        return isASCII(range) ? asciiText(range) : repairedText(range)
    }

    /// Text of a range within the span that is known to be ASCII.
    @inline(__always)
    func asciiText(_ range: Range<Int>) -> String {
        extracting(range).withUnsafeBytes { bytes in
            String(copying: unsafe UTF8Span(unchecked: bytes.bindMemory(to: UInt8.self).span, isKnownASCII: true))
        }
    }

    /// Text of a range within the span; nil when it is no UTF-8.
    func validText(_ range: Range<Int>) -> String? {
        if isASCII(range) { return asciiText(range) }
        return extracting(range).withUnsafeBytes { String(validating: $0, as: UTF8.self) }
    }

    /// Replaces each maximal part of an ill-formed sequence by U+FFFD, as the Unicode standard recommends (3.9, U+FFFD
    /// substitution of maximal subparts) and `String(decoding:)` does, at a small part of its price for binary payloads.
    @inline(never)
    private func repairedText(_ range: Range<Int>) -> String {
        // One byte becomes at most three; stores of four need one more.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: range.count &* 3 &+ 1) { out in
            guard let start = out.baseAddress else { return "" }
            let count = extracting(range).withUnsafeBytes { Self.repair($0, into: UnsafeMutableRawPointer(start)) }
            let text = UnsafeBufferPointer(start: start, count: count)
            return String(copying: unsafe UTF8Span(unchecked: text.span))
        }
    }

    /// Writes well-formed UTF-8 and returns its length.
    @inline(__always)
    private static func repair(_ bytes: UnsafeRawBufferPointer, into out: UnsafeMutableRawPointer) -> Int {
        var count = 0
        var at = 0
        while at < bytes.count {
            let length = sequenceLength(bytes, at)
            if length > 0 {
                for offset in 0..<length {
                    out.storeBytes(of: bytes[at &+ offset], toByteOffset: count &+ offset, as: UInt8.self)
                }
                count &+= length
                at &+= length
            } else {
                // EF BF BD, and a byte that the next store overwrites.
                out.storeBytes(of: UInt32(littleEndian: 0x00bd_bfef), toByteOffset: count, as: UInt32.self)
                count &+= 3
                at &-= length
            }
        }
        return count
    }

    /// Bytes of the UTF-8 sequence at an offset; negative: bytes of the ill-formed part that stands there.
    @inline(__always)
    private static func sequenceLength(_ bytes: UnsafeRawBufferPointer, _ at: Int) -> Int {
        let first = bytes[at]
        if first < 0x80 { return 1 }
        // A continuation without a beginning, and beginnings that no text has.
        if first < 0xc2 || first > 0xf4 { return -1 }
        // Bounds of the second byte, and how many follow it.
        let (low, high, more): (UInt8, UInt8, Int)
        switch first {
        case 0xc2...0xdf: (low, high, more) = (0x80, 0xbf, 0)
        case 0xe0: (low, high, more) = (0xa0, 0xbf, 1)
        case 0xed: (low, high, more) = (0x80, 0x9f, 1)
        case 0xe1...0xef: (low, high, more) = (0x80, 0xbf, 1)
        case 0xf0: (low, high, more) = (0x90, 0xbf, 2)
        case 0xf1...0xf3: (low, high, more) = (0x80, 0xbf, 2)
        default: (low, high, more) = (0x80, 0x8f, 2)
        }
        guard at &+ 1 < bytes.count else { return -1 }
        let second = bytes[at &+ 1]
        guard second >= low, second <= high else { return -1 }
        var length = 2
        while length < more &+ 2 {
            guard at &+ length < bytes.count, bytes[at &+ length] & 0xc0 == 0x80 else { return -length }
            length &+= 1
        }
        return length
    }

    /// First occurrence of a byte in `from..<to`.
    @inline(__always)
    func firstIndex(of byte: UInt8, from: Int, to: Int) -> Int? {
        let end = min(to, byteCount)
        guard from >= 0, from < end else { return nil }
        return unsafe withUnsafeBytes { all -> Int? in
            guard let base = all.baseAddress, let hit = unsafe memchr(base + from, Int32(byte), end - from) else {
                return nil
            }
            return unsafe UnsafeRawPointer(hit) - base
        }
    }

    /// Offset of the next CR LF at or behind `from`.
    @inline(__always)
    func crlf(from: Int) -> Int? {
        var at = from
        while let cr = firstIndex(of: 13, from: at, to: byteCount) {
            guard cr &+ 1 < byteCount else { return nil }
            if u8(at: cr &+ 1) == 10 { return cr }
            at = cr &+ 1
        }
        return nil
    }

    @inline(__always)
    func hasPrefix(_ text: StaticString, at offset: Int = 0) -> Bool {
        let count = text.utf8CodeUnitCount
        guard offset >= 0, count <= byteCount &- offset else { return false }
        return unsafe withUnsafeBytes { all in
            guard let base = all.baseAddress else { return count == 0 }
            return unsafe memcmp(base + offset, text.utf8Start, count) == 0
        }
    }

    /// The text begins with all of these bytes.
    func isStart(of text: StaticString) -> Bool {
        guard byteCount <= text.utf8CodeUnitCount else { return false }
        for at in 0..<byteCount where u8(at: at) != (unsafe text.utf8Start[at]) { return false }
        return true
    }

    /// Equality of a range with lower-case ASCII text, ignoring the case of the range.
    @inline(__always)
    func equals(_ range: Range<Int>, _ lower: StaticString) -> Bool {
        let count = lower.utf8CodeUnitCount
        guard range.lowerBound >= 0, range.upperBound <= byteCount, range.count == count else { return false }
        let expected = unsafe UnsafeRawPointer(lower.utf8Start)
        guard count >= 8 else {
            for at in 0..<count {
                if asciiLower(u8(at: range.lowerBound &+ at))
                    != (unsafe expected.load(fromByteOffset: at, as: UInt8.self))
                {
                    return false
                }
            }
            return true
        }
        // Eight at a time; the last eight may have been seen in part.
        var at = 0
        while true {
            let word = unsafe UInt64(littleEndian: expected.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            if asciiLower(le64(at: range.lowerBound &+ at)) != word { return false }
            if at &+ 8 == count { return true }
            at = min(at &+ 8, count &- 8)
        }
    }

    /// As `firstIndex`, for a byte that is expected within a few bytes. `to` is within the span.
    @inline(__always)
    func nearIndex(of byte: UInt8, from: Int, to: Int) -> Int? {
        var at = from
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        while at &+ 8 <= to {
            let word = le64(at: at) ^ pattern
            let hits = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
            if hits != 0 { return at &+ hits.trailingZeroBitCount >> 3 }
            at &+= 8
        }
        while at < to {
            if u8(at: at) == byte { return at }
            at &+= 1
        }
        return nil
    }

    /// First ASCII white space in a range that is within the span, or the end of the range.
    @inline(__always)
    func spaceIndex(from: Int, to: Int) -> Int {
        var at = from
        while at < to {
            if at &+ 8 <= to {
                // Most bytes of a path are above the blank.
                let word = le64(at: at)
                let low = (word &- 0x2121_2121_2121_2121) & ~word & 0x8080_8080_8080_8080
                if low == 0 {
                    at &+= 8
                    continue
                }
                at = at &+ low.trailingZeroBitCount >> 3
            }
            if isASCIISpace(u8(at: at)) { return at }
            at &+= 1
        }
        return to
    }

    @inline(__always)
    func isASCII(_ range: Range<Int>) -> Bool {
        guard range.lowerBound >= 0, range.upperBound <= byteCount else { return false }
        var at = range.lowerBound
        while range.upperBound &- at >= 8 {
            if le64(at: at) & 0x8080_8080_8080_8080 != 0 { return false }
            at &+= 8
        }
        while at < range.upperBound {
            if u8(at: at) >= 128 { return false }
            at &+= 1
        }
        return true
    }

    /// Little-endian 24-bit number.
    @inline(__always)
    func le24(at offset: Int) -> Int {
        Int(u8(at: offset)) | Int(u8(at: offset &+ 1)) << 8 | Int(u8(at: offset &+ 2)) << 16
    }

    /// The range without ASCII white space at its ends.
    @inline(__always)
    func trimmedRange(_ range: Range<Int>) -> Range<Int> {
        var lower = max(range.lowerBound, 0)
        var upper = min(range.upperBound, byteCount)
        while lower < upper, isASCIISpace(u8(at: lower)) { lower &+= 1 }
        while upper > lower, isASCIISpace(u8(at: upper &- 1)) { upper &-= 1 }
        return lower..<max(lower, upper)
    }
}

@inline(__always)
func asciiLower(_ byte: UInt8) -> UInt8 { byte >= 65 && byte <= 90 ? byte | 32 : byte }

/// Eight characters at once.
@inline(__always)
func asciiLower(_ word: UInt64) -> UInt64 {
    let low = word & 0x7f7f_7f7f_7f7f_7f7f
    // The high bit of a byte: at least "A", above "Z", no ASCII.
    let fromA = low &+ 0x3f3f_3f3f_3f3f_3f3f
    let aboveZ = low &+ 0x2525_2525_2525_2525
    let isUpper = (fromA ^ aboveZ) & ~word & 0x8080_8080_8080_8080
    return word | isUpper >> 2
}

@inline(__always)
func asciiUpper(_ byte: UInt8) -> UInt8 { byte >= 97 && byte <= 122 ? byte & 0xdf : byte }

@inline(__always)
func isASCIISpace(_ byte: UInt8) -> Bool { byte == 32 || byte >= 9 && byte <= 13 }

@inline(__always)
func isASCIILetter(_ byte: UInt8) -> Bool { (byte | 32) >= 97 && (byte | 32) <= 122 }

@inline(__always)
func isASCIIDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

func asciiLowerCased(_ text: String) -> String { String(decoding: text.utf8.map(asciiLower), as: UTF8.self) }

func asciiUpperCased(_ text: some StringProtocol) -> String {
    String(decoding: text.utf8.map(asciiUpper), as: UTF8.self)
}

/// Without ASCII white space at both ends.
func trimmed(_ text: some StringProtocol) -> Substring {
    var rest = Substring(text)
    while let first = rest.utf8.first, isASCIISpace(first) { rest = rest[rest.utf8.index(after: rest.startIndex)...] }
    while let last = rest.utf8.last, isASCIISpace(last) { rest = rest[..<rest.utf8.index(before: rest.endIndex)] }
    return rest
}
