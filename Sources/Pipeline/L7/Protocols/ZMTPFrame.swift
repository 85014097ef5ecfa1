import Model

/// What one peer sends first, as much of it as a segment holds: the ends send it in parts. Source: RFC 23/ZMTP 2.1, 3.
struct ZMTPGreeting {
    private static let length = 64
    private static let signatureLength = 10
    private static let mechanisms: [StaticString] = ["NULL\0", "PLAIN\0", "CURVE\0"]

    /// `3`, `3.0`, `3.1`; empty when the part does not tell.
    let version: String
    let next: Int

    init?(_ payload: RawSpan, at start: Int) {
        let rest = payload.byteCount &- start
        if rest >= Self.signatureLength, payload.u8(at: start) == 0xff, payload.u8(at: start &+ 9) == 0x7f {
            guard rest > Self.signatureLength else {
                version = ""
                next = start &+ Self.signatureLength
                return
            }
            guard payload.u8(at: start &+ Self.signatureLength) == 3 else { return nil }
            guard rest > Self.signatureLength &+ 1 else {
                version = "3"
                next = start &+ Self.signatureLength &+ 1
                return
            }
            guard rest >= Self.length, let minor = Self.minor(payload, at: start &+ Self.signatureLength &+ 1) else {
                return nil
            }
            version = minor
            next = start &+ Self.length
            return
        }
        // The parts that follow a signature sent alone, or with the major version.
        let minorAt: Int
        switch rest {
        case 53: minorAt = start
        case 54 where payload.u8(at: start) == 3: minorAt = start &+ 1
        default: return nil
        }
        guard start == 0, let minor = Self.minor(payload, at: minorAt) else { return nil }
        version = minor
        next = payload.byteCount
    }

    /// The whole of it, however its parts are sent.
    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        let rest = payload.byteCount &- at
        guard payload.u8(at: at) == 0xff else {
            return ZMTPGreeting(payload, at: at).map { .next($0.next) } ?? .foreign
        }
        if rest > signatureLength, payload.u8(at: at &+ signatureLength) != 3 { return .foreign }
        return rest < length ? .cut : .next(at &+ length)
    }

    /// Version by the minor number that stands here, if mechanism and filler follow it.
    private static func minor(_ payload: RawSpan, at: Int) -> String? {
        let minor = payload.u8(at: at)
        guard minor <= 1, mechanisms.contains(where: { payload.hasPrefix($0, at: at &+ 1) }),
            payload.u8(at: at &+ 21) <= 1
        else { return nil }
        for filler in at &+ 22..<at &+ 53 where payload.u8(at: filler) != 0 { return nil }
        return minor == 0 ? "3.0" : "3.1"
    }

    /// The signature lies as libraries send it: eight bytes that hold a small number.
    static func isSignature(_ payload: RawSpan) -> Bool {
        payload.byteCount >= signatureLength && payload.u8(at: 0) == 0xff && payload.be64(at: 1) <= 256
            && payload.u8(at: 9) == 0x7f
    }
}

/// A command or a part of a message: flags, size, data.
struct ZMTPFrame {
    private static let maxSize = 1 << 31

    let isCommand: Bool
    let hasMore: Bool
    let size: Int
    /// May end behind the payload.
    let data: Range<Int>

    /// Nil: no frame begins here, or its size is not there.
    init?(_ payload: RawSpan, at: Int) {
        guard at < payload.byteCount else { return nil }
        let flags = payload.u8(at: at)
        guard flags <= 4 || flags == 6 else { return nil }
        isCommand = flags & 4 != 0
        hasMore = flags & 1 != 0
        let isLong = flags & 2 != 0
        let first = at &+ (isLong ? 9 : 2)
        guard first <= payload.byteCount else { return nil }
        if isLong {
            let long = payload.be64(at: at &+ 1)
            guard long <= UInt64(Self.maxSize), !isCommand || long >= 255 else { return nil }
            size = Int(long)
        } else {
            size = Int(payload.u8(at: at &+ 1))
        }
        data = first..<first &+ size
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let frame = ZMTPFrame(payload, at: at) { return .next(frame.data.upperBound) }
        let flags = payload.u8(at: at)
        return (flags <= 4 || flags == 6) && payload.byteCount &- at < 9 ? .cut : .foreign
    }
}

/// Name and data of a command.
struct ZMTPCommand {
    enum Kind {
        case ready, initiate, error, subscribe, other
    }

    let kind: Kind
    /// Ends with the payload when the frame does not.
    let data: Range<Int>
    /// One of the names of the standard.
    let isKnown: Bool

    init?(_ payload: RawSpan, _ frame: ZMTPFrame) {
        let start = frame.data.lowerBound
        let end = min(frame.data.upperBound, payload.byteCount)
        guard start < end else { return nil }
        // Some releases of libzmq write this over length and first letter of ERROR.
        if payload.hasPrefix("^RROR", at: start), end &- start >= 5 {
            (kind, isKnown) = (.error, true)
            data = start &+ 5..<end
            return
        }
        let length = Int(payload.u8(at: start))
        guard length >= 4, length <= end &- start &- 1 else { return nil }
        let name = start &+ 1..<start &+ 1 &+ length
        data = name.upperBound..<end
        for at in name where !(65...90).contains(payload.u8(at: at)) { return nil }
        switch length {
        case 5 where payload.hasPrefix("ERROR", at: name.lowerBound): (kind, isKnown) = (.error, true)
        case 5 where payload.hasPrefix("READY", at: name.lowerBound): (kind, isKnown) = (.ready, true)
        case 8 where payload.hasPrefix("INITIATE", at: name.lowerBound): (kind, isKnown) = (.initiate, true)
        case 9 where payload.hasPrefix("SUBSCRIBE", at: name.lowerBound): (kind, isKnown) = (.subscribe, true)
        default:
            kind = .other
            isKnown = Self.others.contains {
                $0.utf8CodeUnitCount == length && payload.hasPrefix($0, at: name.lowerBound)
            }
        }
    }

    private static let others: [StaticString] = [
        "HELLO", "WELCOME", "CANCEL", "PING", "PONG", "JOIN", "LEAVE", "DISCONNECT", "HICCUP",
    ]
}
