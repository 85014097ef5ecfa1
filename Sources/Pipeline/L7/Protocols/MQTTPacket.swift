import Model

/// Kinds of control packets.
enum MQTTKind: UInt8 {
    case connect = 1
    case connack = 2
    case publish = 3
    case puback = 4
    case pubrec = 5
    case pubrel = 6
    case pubcomp = 7
    case subscribe = 8
    case suback = 9
    case unsubscribe = 10
    case unsuback = 11
    case pingreq = 12
    case pingresp = 13
    case disconnect = 14
    /// Version 5.
    case auth = 15

    var name: String {
        switch self {
        case .connect: "CONNECT"
        case .connack: "CONNACK"
        case .publish: "PUBLISH"
        case .puback: "PUBACK"
        case .pubrec: "PUBREC"
        case .pubrel: "PUBREL"
        case .pubcomp: "PUBCOMP"
        case .subscribe: "SUBSCRIBE"
        case .suback: "SUBACK"
        case .unsubscribe: "UNSUBSCRIBE"
        case .unsuback: "UNSUBACK"
        case .pingreq: "PINGREQ"
        case .pingresp: "PINGRESP"
        case .disconnect: "DISCONNECT"
        case .auth: "AUTH"
        }
    }
}

/// Fixed header of a control packet: kind and flags, remaining length (1 to 4 bytes of 7 bits).
struct MQTTHeader {
    var kind: MQTTKind
    var flags: UInt8
    var remaining: Int
    /// Where the variable header begins.
    var start: Int

    var next: Int { start &+ remaining }
    var qos: UInt8 { flags >> 1 & 3 }
    var isDuplicate: Bool { flags & 8 != 0 }

    enum Reading {
        case header(MQTTHeader)
        case cut
        case foreign
    }

    static func read(_ payload: RawSpan, at: Int) -> Reading {
        guard at < payload.byteCount else { return .cut }
        let first = payload.u8(at: at)
        guard let kind = MQTTKind(rawValue: first >> 4), isAllowed(kind, flags: first & 15) else { return .foreign }
        var remaining = 0
        for number in 0..<4 {
            let place = at &+ 1 &+ number
            guard place < payload.byteCount else { return .cut }
            let byte = payload.u8(at: place)
            remaining |= Int(byte & 0x7f) << (7 * number)
            guard byte & 0x80 == 0 else { continue }
            guard remaining >= shortest(kind) else { return .foreign }
            return .header(MQTTHeader(kind: kind, flags: first & 15, remaining: remaining, start: place &+ 1))
        }
        return .foreign
    }

    /// Only PUBLISH has flags; three kinds have the second bit for no reason.
    private static func isAllowed(_ kind: MQTTKind, flags: UInt8) -> Bool {
        switch kind {
        // A repeated message is one that waits for its acknowledgement.
        case .publish: flags & 6 != 6 && (flags & 8 == 0 || flags & 6 != 0)
        case .pubrel, .subscribe, .unsubscribe: flags == 2
        default: flags == 0
        }
    }

    private static func shortest(_ kind: MQTTKind) -> Int {
        switch kind {
        case .connect: 10
        case .connack, .publish, .puback, .pubrec, .pubrel, .pubcomp, .unsuback: 2
        case .suback: 3
        case .subscribe, .unsubscribe: 5
        case .pingreq, .pingresp, .disconnect, .auth: 0
        }
    }
}

/// What the variable header and the payload of a control packet tell.
struct MQTTPacket {
    var header: MQTTHeader
    /// Packet identifier, 0 = none.
    var identifier: UInt16 = 0
    /// Of a PUBLISH, or those of SUBSCRIBE and UNSUBSCRIBE, joined.
    var topics = ""
    var clientID = ""
    /// Protocol level of a CONNECT.
    var level: UInt8 = 0
    /// Return or reason code of a CONNACK.
    var code: UInt8 = 0

    /// Nil: it cannot be read. A packet that the payload cuts can, if it is a PUBLISH whose topic is there and
    /// `isCutAllowed`.
    init?(_ payload: RawSpan, _ header: MQTTHeader, level: UInt8, isCutAllowed: Bool) {
        self.header = header
        let isPublish = header.kind == .publish
        guard header.next <= payload.byteCount || isCutAllowed && isPublish else { return nil }
        var cursor = ByteCursor(payload, at: header.start, end: header.next)
        let hasProperties = level == 5
        switch header.kind {
        case .connect:
            guard readConnect(payload, &cursor) else { return nil }
        case .connack:
            guard let flags = cursor.u8(payload), flags <= 1, let code = cursor.u8(payload) else { return nil }
            self.code = code
        case .publish:
            guard let topic = Self.text(payload, &cursor) else { return nil }
            topics = topic
            if header.qos > 0 {
                guard let number = cursor.be16(payload) else { return nil }
                identifier = number
            }
        case .puback, .pubrec, .pubrel, .pubcomp, .suback, .unsuback:
            guard let number = cursor.be16(payload) else { return nil }
            identifier = number
        case .subscribe, .unsubscribe:
            guard let number = cursor.be16(payload) else { return nil }
            identifier = number
            guard !hasProperties || Self.skipProperties(payload, &cursor) else { return nil }
            var names: [String] = []
            while !cursor.isAtEnd {
                guard let name = Self.text(payload, &cursor) else { return nil }
                if header.kind == .subscribe {
                    guard cursor.skip(1) else { return nil }
                }
                names.append(name)
            }
            topics = names.joined(separator: ",")
        case .pingreq, .pingresp, .disconnect, .auth: break
        }
    }

    /// Protocol name, level, flags, keep-alive, properties of version 5, client id.
    private mutating func readConnect(_ payload: RawSpan, _ cursor: inout ByteCursor) -> Bool {
        guard let length = cursor.be16(payload), let name = cursor.take(Int(length)),
            let level = cursor.u8(payload), let flags = cursor.u8(payload), cursor.skip(2)
        else { return false }
        switch payload.text(name) {
        case "MQTT": guard (3...5).contains(level) else { return false }
        case "MQIsdp": guard level == 3 else { return false }
        default: return false
        }
        // The lowest bit is reserved, a will has a QoS of at most 2.
        guard flags & 1 == 0, flags & 0x18 != 0x18 else { return false }
        self.level = level
        guard level < 5 || Self.skipProperties(payload, &cursor), let id = Self.text(payload, &cursor) else {
            return false
        }
        clientID = id
        return true
    }

    /// Length in at most 4 bytes of 7 bits, then that many bytes.
    private static func skipProperties(_ payload: RawSpan, _ cursor: inout ByteCursor) -> Bool {
        var length = 0
        for number in 0..<4 {
            guard let byte = cursor.u8(payload) else { return false }
            length |= Int(byte & 0x7f) << (7 * number)
            if byte & 0x80 == 0 { return cursor.skip(length) }
        }
        return false
    }

    /// Length and UTF-8 text.
    private static func text(_ payload: RawSpan, _ cursor: inout ByteCursor) -> String? {
        guard let length = cursor.be16(payload), let bytes = cursor.take(Int(length)) else { return nil }
        return payload.validText(bytes)
    }

    /// Text of a protocol level.
    static func version(_ level: UInt8) -> String {
        switch level {
        case 3: "3.1"
        case 4: "3.1.1"
        case 5: "5.0"
        default: ""
        }
    }

    /// Status of a CONNACK. Source: MQTT 3.1.1 3.2.2.3, MQTT 5 3.2.2.2.
    static func status(code: UInt8, level: UInt8) -> L7ResponseStatus {
        switch code {
        case 0: .ok
        case 1, 2, 4, 5: .clientError
        case 3: .serverError
        // Unspecified, implementation, unavailable, busy, shutting down, quota, use another server.
        case 0x80, 0x83, 0x88, 0x89, 0x8b, 0x97, 0x9c, 0x9d, 0x9f: level == 5 ? .serverError : .parseFailed
        case 0x81...0xa2: level == 5 ? .clientError : .parseFailed
        default: .parseFailed
        }
    }
}
