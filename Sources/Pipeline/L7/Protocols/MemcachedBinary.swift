import Model

/// A packet of the memcached binary protocol: 24 bytes of header, extras, key, value.
/// Source: memcached `doc/protocol-binary.txt`.
struct MemcachedBinary {
    static let request: UInt8 = 0x80
    static let response: UInt8 = 0x81
    static let headerLength = 24
    /// Keys have at most 250 bytes, values mostly 1 MiB; 128 MiB is the most that a server can be told.
    private static let maxBody = 0x0800_0000

    var isRequest: Bool
    var opcode: UInt8
    /// Of a response.
    var status: UInt16
    var opaque: UInt32
    var key: Range<Int>
    /// Offset of the next packet; may lie behind the payload.
    var next: Int

    /// Nil: no packet begins here. The key is within the payload.
    init?(_ payload: RawSpan, at: Int) {
        guard at >= 0, payload.byteCount &- at >= Self.headerLength else { return nil }
        let magic = payload.u8(at: at)
        guard magic == Self.request || magic == Self.response else { return nil }
        let (keyLength, extras) = (Int(payload.be16(at: at &+ 2)), Int(payload.u8(at: at &+ 4)))
        let body = Int(payload.be32(at: at &+ 8))
        // The data type is always 0.
        guard payload.u8(at: at &+ 5) == 0, keyLength <= 250, extras <= 20, keyLength &+ extras <= body,
            body <= Self.maxBody
        else { return nil }
        isRequest = magic == Self.request
        opcode = payload.u8(at: at &+ 1)
        guard opcode <= 0x3d else { return nil }
        status = isRequest ? 0 : payload.be16(at: at &+ 6)
        opaque = payload.be32(at: at &+ 12)
        let start = min(at &+ Self.headerLength &+ extras, payload.byteCount)
        key = start..<min(start &+ keyLength, payload.byteCount)
        next = at &+ Self.headerLength &+ body
    }

    /// As it has to be to tell the protocol: lengths that belong to the command.
    func isPlain(_ payload: RawSpan) -> Bool {
        let extras = Int(payload.u8(at: 4))
        let hasKey = !key.isEmpty
        switch opcode {
        case 0x00, 0x04, 0x09, 0x0c, 0x0d, 0x14: return extras == 0 && hasKey
        case 0x01...0x03, 0x11...0x13: return extras == 8 && hasKey
        case 0x05, 0x06, 0x15, 0x16: return extras == 20 && hasKey
        case 0x0e, 0x0f, 0x19, 0x1a: return extras == 0 && hasKey
        case 0x1c...0x1e: return extras == 4 && hasKey
        case 0x07, 0x0a, 0x0b, 0x17, 0x20: return extras == 0 && !hasKey && next == Self.headerLength
        case 0x08, 0x18: return (extras == 0 || extras == 4) && !hasKey && next == Self.headerLength &+ extras
        case 0x10, 0x21, 0x22: return extras == 0 && payload.byteCount == next
        default: return false
        }
    }

    /// A quiet command is answered only by what was not expected.
    var isQuiet: Bool { opcode == 0x09 || opcode == 0x0d || opcode >= 0x11 && opcode <= 0x1a || opcode == 0x1e }

    private static let names = [
        "get", "set", "add", "replace", "delete", "incr", "decr", "quit", "flush", "getq", "noop", "version", "getk",
        "getkq", "append", "prepend", "stat", "setq", "addq", "replaceq", "deleteq", "incrq", "decrq", "quitq",
        "flushq",
        "appendq", "prependq", "verbosity", "touch", "gat", "gatq", "", "sasl_list", "sasl_auth", "sasl_step", "gatk",
        "gatkq",
    ]

    private var name: String { Int(opcode) < Self.names.count ? Self.names[Int(opcode)] : "opcode_\(opcode)" }

    /// Text of a status and whose fault it is; a missing key is neither success nor failure, as in the text protocol.
    private static func meaning(_ status: UInt16) -> (text: String, kind: L7ResponseStatus) {
        switch status {
        case 0x00: ("No error", .ok)
        case 0x01: ("Key not found", .unknown)
        case 0x02: ("Key exists", .ok)
        case 0x03: ("Value too large", .clientError)
        case 0x04: ("Invalid arguments", .clientError)
        case 0x05: ("Item not stored", .ok)
        case 0x06: ("Incr/Decr on non-numeric value", .clientError)
        case 0x07: ("The vbucket belongs to another server", .clientError)
        case 0x08, 0x20: ("Authentication error", .clientError)
        case 0x09, 0x21: ("Authentication continue", .ok)
        case 0x81: ("Unknown command", .clientError)
        case 0x82: ("Out of memory", .serverError)
        case 0x83: ("Not supported", .clientError)
        case 0x84: ("Internal error", .serverError)
        case 0x85: ("Busy", .serverError)
        case 0x86: ("Temporary failure", .serverError)
        default: ("", .serverError)
        }
    }

    /// Both directions carry the opaque number of the request.
    func log(
        _ payload: RawSpan, _ settings: borrowing L7Settings, _ offset: Int, _ message: UnsafeMutablePointer<L7Message>
    ) {
        message.pointee.sessionID = opaque
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        message.pointee.ownBytes = UInt32(truncatingIfNeeded: next &- offset)
        message.pointee.log.requestType = name
        guard !isRequest else {
            message.pointee.type = .request
            message.pointee.log.requestResource = key.isEmpty ? name : name + " " + payload.text(key)
            return
        }
        message.pointee.type = .response
        let (text, kind) = Self.meaning(status)
        message.pointee.log.responseCode = Int32(status)
        message.pointee.log.responseStatus = kind.rawValue
        message.pointee.log.responseResult = text
        if kind == .clientError || kind == .serverError { message.pointee.log.responseException = text }
    }
}
