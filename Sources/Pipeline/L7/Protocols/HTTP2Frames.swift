import Model

/// One frame of HTTP/2. Source: RFC 9113 4.1, 6.
struct HTTP2Frame {
    enum Kind {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let priority: UInt8 = 2
        static let reset: UInt8 = 3
        static let settings: UInt8 = 4
        static let pushPromise: UInt8 = 5
        static let ping: UInt8 = 6
        static let goAway: UInt8 = 7
        static let windowUpdate: UInt8 = 8
        static let continuation: UInt8 = 9
    }

    static let headerLength = 9

    private static let endStream: UInt8 = 1
    private static let endHeaders: UInt8 = 4
    private static let padded: UInt8 = 8
    private static let priority: UInt8 = 0x20

    let length: Int
    let kind: UInt8
    let flags: UInt8
    let stream: UInt32
    private let hasReservedBit: Bool
    /// Offset of the frame in its payload.
    let start: Int

    /// Nil: not even the header is there.
    init?(_ payload: RawSpan, at: Int) {
        guard payload.byteCount &- at >= Self.headerLength else { return nil }
        length = Int(payload.be32(at: at) >> 8)
        kind = payload.u8(at: at &+ 3)
        flags = payload.u8(at: at &+ 4)
        let word = payload.be32(at: at &+ 5)
        stream = word & 0x7fff_ffff
        hasReservedBit = word >> 31 != 0
        start = at
    }

    var bodyStart: Int { start &+ Self.headerLength }
    var end: Int { bodyStart &+ length }
    var endsStream: Bool { flags & Self.endStream != 0 && (kind == Kind.data || kind == Kind.headers) }
    var endsHeaders: Bool { flags & Self.endHeaders != 0 }
    var holdsHeaders: Bool { kind == Kind.headers || kind == Kind.pushPromise || kind == Kind.continuation }

    /// May follow other frames of a connection. Unknown kinds may, and flags without a meaning.
    var isPossible: Bool { !hasReservedBit && hasPossibleLength }

    /// May be where one only guesses that a frame begins.
    var isLikely: Bool {
        guard !hasReservedBit, kind <= Kind.continuation, flags & ~Self.knownFlags(kind) == 0 else { return false }
        switch kind {
        case Kind.settings, Kind.ping, Kind.goAway: return stream == 0 && hasPossibleLength
        case Kind.windowUpdate: return hasPossibleLength
        default: return stream != 0 && hasPossibleLength
        }
    }

    private var hasPossibleLength: Bool {
        switch kind {
        case Kind.priority: length == 5
        case Kind.reset, Kind.windowUpdate: length == 4
        case Kind.settings: length % 6 == 0
        case Kind.ping: length == 8
        case Kind.goAway: length >= 8
        default: true
        }
    }

    /// Source: agent-l7-protocols.md 2.
    private static func knownFlags(_ kind: UInt8) -> UInt8 {
        switch kind {
        case Kind.data: 0x09
        case Kind.headers: 0x2d
        case Kind.settings, Kind.ping: 0x01
        case Kind.pushPromise: 0x0c
        case Kind.continuation: 0x04
        default: 0
        }
    }

    /// Bytes of a DATA frame that tell the length of its data.
    var lengthNeeds: Int { Self.headerLength &+ (flags & Self.padded != 0 ? 1 : 0) }

    /// Bytes of data without padding.
    func dataLength(_ payload: RawSpan) -> Int {
        guard flags & Self.padded != 0, bodyStart < payload.byteCount else { return length }
        return max(0, length &- 1 &- Int(payload.u8(at: bodyStart)))
    }

    /// The piece of a header block within the payload, which may end before the frame does; nil when the frame
    /// contradicts itself.
    func block(_ payload: RawSpan) -> Range<Int>? {
        var from = bodyStart
        var to = end
        if kind != Kind.continuation, flags & Self.padded != 0 {
            guard from < payload.byteCount else { return from..<from }
            to &-= Int(payload.u8(at: from))
            from &+= 1
        }
        if kind == Kind.headers, flags & Self.priority != 0 { from &+= 5 }
        if kind == Kind.pushPromise { from &+= 4 }
        guard from <= to else { return nil }
        let last = min(to, payload.byteCount)
        return min(from, last)..<last
    }
}
