import Model

/// Reads numbers and parts of a payload one after the other; nil when fewer bytes are left than are asked for.
struct ByteCursor: BitwiseCopyable {
    private(set) var at: Int
    let end: Int

    init(_ payload: RawSpan, at: Int, end: Int? = nil) {
        self.end = min(max(end ?? payload.byteCount, 0), payload.byteCount)
        self.at = min(max(at, 0), self.end)
    }

    var rest: Range<Int> { at..<end }
    var isAtEnd: Bool { at == end }

    /// The next `count` bytes.
    @inline(__always)
    mutating func take(_ count: Int) -> Range<Int>? {
        guard count >= 0, end &- at >= count else { return nil }
        defer { at = at &+ count }
        return at..<at &+ count
    }

    @inline(__always)
    mutating func skip(_ count: Int) -> Bool { take(count) != nil }

    @inline(__always)
    mutating func u8(_ payload: RawSpan) -> UInt8? { take(1).map { payload.u8(at: $0.lowerBound) } }

    @inline(__always)
    mutating func be16(_ payload: RawSpan) -> UInt16? { take(2).map { payload.be16(at: $0.lowerBound) } }

    @inline(__always)
    mutating func be32(_ payload: RawSpan) -> UInt32? { take(4).map { payload.be32(at: $0.lowerBound) } }

    @inline(__always)
    mutating func be64(_ payload: RawSpan) -> UInt64? { take(8).map { payload.be64(at: $0.lowerBound) } }

    @inline(__always)
    mutating func le32(_ payload: RawSpan) -> UInt32? { take(4).map { payload.le32(at: $0.lowerBound) } }

    @inline(__always)
    mutating func le64(_ payload: RawSpan) -> UInt64? { take(8).map { payload.le64(at: $0.lowerBound) } }

    /// Bytes up to a NUL, which is stepped over.
    mutating func cString(_ payload: RawSpan) -> Range<Int>? {
        guard let nul = payload.firstIndex(of: 0, from: at, to: end) else { return nil }
        defer { at = nul &+ 1 }
        return at..<nul
    }
}
