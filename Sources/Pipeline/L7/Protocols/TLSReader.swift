import Model

/// Reads numbers and vectors from a part of a span. Source: RFC 8446 3.
struct TLSReader {
    private(set) var at: Int
    let end: Int

    /// - Precondition: `range` is within the span that is read.
    init(_ range: Range<Int>) {
        at = range.lowerBound
        end = range.upperBound
    }

    var rest: Range<Int> { at..<end }
    var isAtEnd: Bool { at >= end }

    mutating func u8(_ bytes: RawSpan) -> Int? {
        guard end &- at >= 1 else { return nil }
        defer { at &+= 1 }
        return Int(bytes.u8(at: at))
    }

    mutating func u16(_ bytes: RawSpan) -> Int? {
        guard end &- at >= 2 else { return nil }
        defer { at &+= 2 }
        return Int(bytes.be16(at: at))
    }

    mutating func u24(_ bytes: RawSpan) -> Int? {
        guard end &- at >= 3 else { return nil }
        defer { at &+= 3 }
        return Int(bytes.be16(at: at)) << 8 | Int(bytes.u8(at: at &+ 2))
    }

    mutating func take(_ count: Int) -> Range<Int>? {
        guard count >= 0, count <= end &- at else { return nil }
        defer { at &+= count }
        return at..<(at &+ count)
    }

    /// A vector behind its length, of which the end may be missing.
    mutating func clamped(_ count: Int?) -> Range<Int>? { count.flatMap { take(min(max($0, 0), end &- at)) } }
}
