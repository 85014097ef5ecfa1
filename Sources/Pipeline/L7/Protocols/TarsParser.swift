import Model

/// Tars over TCP and UDP. Stateless. Source: agent-l7-protocols.md 13, TarsCloud "Tars protocol".
struct TarsParser {
    /// Packages that are larger are refused by servers as they are set up.
    private static let maxLength = 100 << 20

    /// A length of less than 128 MiB.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xff < 8 }

    static func detects(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        guard let packet = TarsPacket(payload), packet.isRequest, packet.length <= maxLength else { return false }
        guard isName(payload, packet.service), isName(payload, packet.function) else { return false }
        return context.l4Protocol == .tcp || packet.length <= context.payloadSize
    }

    /// Not empty and of visible ASCII.
    private static func isName(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        for at in range where payload.u8(at: at) <= 32 || payload.u8(at: at) >= 127 { return false }
        return !range.isEmpty
    }

    /// Of several packets in one payload the first is logged.
    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        guard let packet = TarsPacket(payload), packet.length <= TarsParser.maxLength else { return .failed }
        Self.log(packet, payload, context, out.messages.add(), out.texts)
        return .parsed
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard payload.byteCount &- at >= 4 else { return .cut }
        let length = Int(payload.be32(at: at))
        return (TarsPacket.shortest...maxLength).contains(length) ? .next(at &+ length) : .foreign
    }

    private static func log(
        _ packet: TarsPacket, _ payload: RawSpan, _ context: L7ParseContext,
        _ message: UnsafeMutablePointer<L7Message>, _ texts: borrowing TextCache
    ) {
        let length = Int32(clamping: packet.length)
        message.pointee.log.version = packet.version == 1 ? "1" : "3"
        message.pointee.log.requestLength = 0
        message.pointee.log.responseLength = 0
        message.pointee.log.changeExt { $0.requestID = UInt32(truncatingIfNeeded: packet.requestID) }
        message.pointee.ownBytes = UInt32(truncatingIfNeeded: context.payloadSize)
        if packet.isRequest {
            message.pointee.set(.request, isFromClient: true, context)
            message.pointee.log.requestLength = length
            message.pointee.log.requestResource = texts.text(payload, packet.service)
            message.pointee.log.requestType = texts.text(payload, packet.function)
            message.pointee.log.endpoint =
                message.pointee.log.requestResource + "/" + message.pointee.log.requestType
            return
        }
        message.pointee.set(.response, isFromClient: false, context)
        message.pointee.log.responseLength = length
        guard let result = packet.result else { return }
        // -99 is the code of an unknown error.
        let code = (-12...0).contains(result) ? Int32(result) : -99
        message.pointee.log.responseCode = code
        message.pointee.log.responseStatus = status(of: code).rawValue
    }

    private static func status(of code: Int32) -> L7ResponseStatus {
        switch code {
        case 0: .ok
        case -12 ... -10: .clientError
        default: .serverError
        }
    }
}

/// The first fields of a packet. A request has a text as its fifth, a response does not.
struct TarsPacket {
    /// A length, a version, and at least the heads of what follows.
    static let shortest = 12

    let length: Int
    private(set) var version = 0
    private(set) var requestID = 0
    private(set) var service = 0..<0
    private(set) var function = 0..<0
    private(set) var isRequest = false
    /// Return code of a response.
    private(set) var result: Int?

    init?(_ payload: RawSpan) {
        guard payload.byteCount >= TarsPacket.shortest else { return nil }
        length = Int(payload.be32(at: 0))
        guard length >= TarsPacket.shortest else { return nil }
        let end = min(length, payload.byteCount)
        var at = 4
        var (third, fourth) = (0, 0)
        var last: UInt8 = 0
        fields: while at < end {
            let tag = payload.u8(at: at) >> 4
            // Tags ascend; nothing is known of those behind the sixth.
            guard tag == last &+ 1, tag <= 6, let value = Value(payload, &at, end: end) else { break }
            switch (tag, value) {
            case (1, .number(let number)): version = number
            case (2, .number): break
            case (3, .number(let number)): third = number
            case (4, .number(let number)): fourth = number
            case (5, .number(let number)): result = number
            case (5, .text(let text)):
                service = text
                isRequest = true
            case (6, .text(let text)) where isRequest: function = text
            default: break fields
            }
            last = tag
        }
        guard version == 1 || version == 3, last >= 4 else { return nil }
        requestID = isRequest ? fourth : third
        if isRequest, function.isEmpty { return nil }
    }

    private enum Value {
        case number(Int)
        case text(Range<Int>)

        /// The field at an offset, which moves behind it. Nil for other kinds and what does not fit.
        init?(_ payload: RawSpan, _ offset: inout Int, end: Int) {
            let at = offset &+ 1
            let room = end &- at
            switch payload.u8(at: offset) & 15 {
            case 0 where room >= 1:
                self = .number(Int(Int8(bitPattern: payload.u8(at: at))))
                offset = at &+ 1
            case 1 where room >= 2:
                self = .number(Int(Int16(bitPattern: payload.be16(at: at))))
                offset = at &+ 2
            case 2 where room >= 4:
                self = .number(Int(Int32(bitPattern: payload.be32(at: at))))
                offset = at &+ 4
            case 3 where room >= 8:
                self = .number(Int(Int64(bitPattern: payload.be64(at: at))))
                offset = at &+ 8
            case 6 where room >= 1 && room &- 1 >= Int(payload.u8(at: at)):
                offset = at &+ 1 &+ Int(payload.u8(at: at))
                self = .text(at &+ 1..<offset)
            case 7 where room >= 4 && room &- 4 >= Int(payload.be32(at: at)):
                offset = at &+ 4 &+ Int(payload.be32(at: at))
                self = .text(at &+ 4..<offset)
            case 12:
                self = .number(0)
                offset = at
            default: return nil
            }
        }
    }
}
