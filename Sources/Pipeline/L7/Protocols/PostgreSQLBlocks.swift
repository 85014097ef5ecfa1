import Model

/// A block of the PostgreSQL protocol: tag, length with itself (be32), body.
struct PostgreSQLBlock {
    static let headerLength = 5
    /// No block of a server that works is longer (`PQ_LARGE_MESSAGE_LIMIT` is 1 GiB).
    private static let maxLength = 0x4000_0000

    var tag: UInt8
    var body: Range<Int>
    /// Offset of the next block; may lie behind the payload.
    var next: Int

    /// Nil: fewer bytes than a header, or no length.
    init?(_ payload: RawSpan, at: Int) {
        guard at >= 0, payload.byteCount &- at >= Self.headerLength else { return nil }
        let length = Int(payload.be32(at: at &+ 1))
        guard length >= 4, length <= Self.maxLength else { return nil }
        tag = payload.u8(at: at)
        next = at &+ 1 &+ length
        body = at &+ Self.headerLength..<min(next, payload.byteCount)
    }

    func isWhole(_ payload: RawSpan) -> Bool { next <= payload.byteCount }

    /// First text of a body and what follows it; nil when no NUL ends it.
    static func text(_ payload: RawSpan, _ body: Range<Int>) -> (text: Range<Int>, rest: Range<Int>)? {
        guard let end = payload.firstIndex(of: 0, from: body.lowerBound, to: body.upperBound) else { return nil }
        return (body.lowerBound..<end, end &+ 1..<body.upperBound)
    }

    /// Messages without a tag, which open a connection: length, then 3.x or a request code (cancel, TLS, GSSAPI).
    static func openingLength(_ payload: RawSpan, at: Int) -> Int? {
        guard at >= 0, payload.byteCount &- at >= 8, payload.u8(at: at) == 0 else { return nil }
        let (length, code) = (Int(payload.be32(at: at)), payload.be32(at: at &+ 4))
        guard length >= 8, length <= 10_000 else { return nil }
        return code >> 16 == 3 || code >= 80_877_102 && code <= 80_877_104 ? length : nil
    }

    /// An opening that is a request for TLS or GSSAPI.
    static func asksForEncryption(_ payload: RawSpan, at: Int) -> Bool {
        payload.byteCount &- at >= 8 && (80_877_103...80_877_104).contains(payload.be32(at: at &+ 4))
    }

    /// `00000008 04d2162f`
    static func isTLSRequest(_ payload: RawSpan) -> Bool {
        payload.byteCount == 8 && payload.be64(at: 0) == 0x0000_0008_04d2_162f
    }
}

/// Tags by who sends them. Source: agent-l7-protocols.md 5; PostgreSQL documentation, "Message Formats".
enum PostgreSQLTag {
    static let query = UInt8(ascii: "Q")
    static let parse = UInt8(ascii: "P")
    /// From a server: ErrorResponse.
    static let execute = UInt8(ascii: "E")
    static let sync = UInt8(ascii: "S")
    static let terminate = UInt8(ascii: "X")
    static let complete = UInt8(ascii: "C")
    static let error = UInt8(ascii: "E")
    static let emptyQuery = UInt8(ascii: "I")
    static let suspended = UInt8(ascii: "s")
    static let parseComplete = UInt8(ascii: "1")
    static let ready = UInt8(ascii: "Z")

    /// What the reference knows of clients.
    static func isClient(_ tag: UInt8) -> Bool { isOne(of: "QPEBFCDHSXdcf", tag) }

    /// What the reference knows of servers.
    static func isServer(_ tag: UInt8) -> Bool { isOne(of: "CEZI123SKTnNtDGHWdc", tag) }

    /// And the others that belong to a connection: passwords; authentication, notifications, suspended portals.
    static func isAnyClient(_ tag: UInt8) -> Bool { isClient(tag) || tag == UInt8(ascii: "p") }
    static func isAnyServer(_ tag: UInt8) -> Bool { isServer(tag) || isOne(of: "RAsVv", tag) }

    @inline(__always)
    private static func isOne(of tags: StaticString, _ tag: UInt8) -> Bool {
        for at in 0..<tags.utf8CodeUnitCount where unsafe tags.utf8Start[at] == tag { return true }
        return false
    }
}

/// What a CommandComplete or ErrorResponse says.
struct PostgreSQLOutcome {
    var status = L7ResponseStatus.ok
    var rows: UInt32 = 0
    var state = ""
    var condition = ""

    init(status: L7ResponseStatus = .ok) { self.status = status }

    /// `INSERT oid n`, `UPDATE n` and the like.
    init(tag payload: RawSpan, _ body: Range<Int>) {
        let text = PostgreSQLBlock.text(payload, body)?.text ?? body
        guard let space = payload.firstIndex(of: 32, from: text.lowerBound, to: text.upperBound) else { return }
        var number = space &+ 1..<text.upperBound
        switch payload.text(text.lowerBound..<space) {
        case "INSERT":
            guard let next = payload.firstIndex(of: 32, from: number.lowerBound, to: number.upperBound) else { return }
            number = next &+ 1..<number.upperBound
        case "UPDATE", "DELETE", "SELECT", "MERGE", "MOVE", "FETCH", "COPY": break
        default: return
        }
        rows = UInt32(payload.text(number)) ?? 0
    }

    /// Fields of an error: severity, severity without translation, then the SQLSTATE; nil when that is not there.
    ///
    /// - Parameter anyOrder: take the SQLSTATE wherever it stands; servers before 9.6 have one severity.
    init?(error payload: RawSpan, _ body: Range<Int>, anyOrder: Bool) {
        status = .clientError
        var rest = body
        var number = 0
        while !rest.isEmpty {
            guard let field = PostgreSQLBlock.text(payload, rest) else { break }
            let isState = !field.text.isEmpty && payload.u8(at: field.text.lowerBound) == UInt8(ascii: "C")
            if number == 2 || anyOrder, isState {
                set(state: payload.text(field.text.lowerBound &+ 1..<field.text.upperBound))
                return
            }
            if number == 2, !anyOrder { return nil }
            rest = field.rest
            number &+= 1
        }
        // Cut within the severities: an error of which nothing is known.
        if number >= 2 { return nil }
    }

    private mutating func set(state code: String) {
        state = code
        let known = SQLState.find(code)
        condition = known?.name ?? ""
        status = known?.status ?? .unknown
    }
}
