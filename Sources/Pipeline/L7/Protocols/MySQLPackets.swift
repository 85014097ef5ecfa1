import CZlib
import Model

/// A packet of the plain protocol: length u24 le, sequence, body. The body ends where the payload ends.
struct MySQLPacket {
    static let headerLength = 4

    var sequence: UInt8
    var body: Range<Int>
    /// Offset of the next packet; may lie behind the payload.
    var next: Int

    init?(_ payload: RawSpan, at: Int) {
        guard at >= 0, at &+ Self.headerLength <= payload.byteCount else { return nil }
        let length = payload.le24(at: at)
        sequence = payload.u8(at: at &+ 3)
        next = at &+ Self.headerLength &+ length
        body = at &+ Self.headerLength..<min(next, payload.byteCount)
    }
}

/// Header of the compressed protocol: length u24 le, sequence, uncompressed length u24 le.
struct MySQLCompressed {
    static let headerLength = 7

    var compressedLength: Int
    /// 0 = the body is not compressed.
    var uncompressedLength: Int
    var bodyStart: Int
    var bodyEnd: Int

    init?(_ payload: RawSpan) {
        guard payload.byteCount >= Self.headerLength else { return nil }
        compressedLength = payload.le24(at: 0)
        uncompressedLength = payload.le24(at: 4)
        bodyStart = Self.headerLength
        bodyEnd = min(Self.headerLength &+ compressedLength, payload.byteCount)
    }

    /// What the (possibly cut) body inflates to, at most `limit` bytes; nil when it is no zlib stream.
    func inflated(_ payload: RawSpan, limit: Int) -> [UInt8]? {
        let room = min(uncompressedLength, max(limit, 1))
        guard room > 0, bodyEnd > bodyStart else { return nil }
        var stream = z_stream()
        guard unsafe inflateInit_(&stream, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
        defer { unsafe inflateEnd(&stream) }
        var produced = 0
        let out = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            payload.extracting(bodyStart..<bodyEnd).withUnsafeBytes { input in
                unsafe stream.next_in = UnsafeMutablePointer(
                    mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
                stream.avail_in = UInt32(truncatingIfNeeded: input.count)
                unsafe stream.next_out = buffer.baseAddress
                stream.avail_out = UInt32(truncatingIfNeeded: room)
                _ = unsafe inflate(&stream, Z_SYNC_FLUSH)
                unsafe produced = room - Int(stream.avail_out)
            }
            count = produced
        }
        return produced > 0 ? out : nil
    }
}

/// Command bytes.
enum MySQLCommand {
    static let quit: UInt8 = 1
    static let initDB: UInt8 = 2
    static let query: UInt8 = 3
    static let fieldList: UInt8 = 4
    static let ping: UInt8 = 14
    static let prepare: UInt8 = 22
    static let execute: UInt8 = 23
    static let closeStatement: UInt8 = 25
    static let fetch: UInt8 = 28

    private static let names = [
        "", "COM_QUIT", "COM_INIT_DB", "COM_QUERY", "COM_FIELD_LIST", "COM_CREATE_DB", "COM_DROP_DB", "COM_REFRESH",
        "COM_SHUTDOWN", "COM_STATISTICS", "COM_PROCESS_INFO", "COM_CONNECT", "COM_PROCESS_KILL", "COM_DEBUG",
        "COM_PING",
        "COM_TIME", "COM_DELAYED_INSERT", "COM_CHANGE_USER", "COM_BINLOG_DUMP", "COM_TABLE_DUMP", "COM_CONNECT_OUT",
        "COM_REGISTER_SLAVE", "COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_STMT_SEND_LONG_DATA", "COM_STMT_CLOSE",
        "COM_STMT_RESET", "COM_SET_OPTION", "COM_STMT_FETCH", "COM_DAEMON", "COM_BINLOG_DUMP_GTID",
        "COM_RESET_CONNECTION",
    ]

    static func name(_ command: UInt8) -> String { Int(command) < names.count ? names[Int(command)] : "" }

    /// Statement behind the command byte; query attributes of an empty set (00 01) are stepped over.
    static func text(_ payload: RawSpan, _ body: Range<Int>) -> Range<Int> {
        let start = min(body.lowerBound &+ 1, body.upperBound)
        let hasAttributes =
            body.upperBound &- start >= 2 && payload.u8(at: start) == 0 && payload.u8(at: start &+ 1) == 1
        return (hasAttributes ? start &+ 2 : start)..<body.upperBound
    }
}

/// Handshake response of a client (protocol 4.1).
struct MySQLLogin {
    var text: String
    /// Both sides frame their packets compressed once the login has succeeded.
    var asksForCompression: Bool

    private static let protocol41: UInt32 = 0x200
    private static let connectWithDB: UInt32 = 0x8
    private static let compress: UInt32 = 0x20
    private static let secureConnection: UInt32 = 0x8000
    private static let lengthEncodedAuth: UInt32 = 0x20_0000
    /// Clear in clients that use MariaDB's extended capabilities, the last 4 of the 23 reserved bytes.
    private static let isMySQLClient: UInt32 = 0x1

    init?(_ payload: RawSpan, _ body: Range<Int>) {
        guard body.count >= 33 else { return nil }
        let capabilities = payload.le32(at: body.lowerBound)
        guard capabilities & Self.protocol41 != 0 else { return nil }
        let reserved = capabilities & Self.isMySQLClient != 0 ? 32 : 28
        for offset in 9..<reserved where payload.u8(at: body.lowerBound &+ offset) != 0 { return nil }
        let nameAt = body.lowerBound &+ 32
        guard let nameEnd = payload.firstIndex(of: 0, from: nameAt, to: body.upperBound),
            payload.isASCII(nameAt..<nameEnd)
        else { return nil }
        asksForCompression = capabilities & Self.compress != 0
        text = "Login username: " + payload.text(nameAt..<nameEnd)
        guard capabilities & Self.connectWithDB != 0 else { return }
        var at = nameEnd &+ 1
        if capabilities & (Self.lengthEncodedAuth | Self.secureConnection) != 0 {
            guard at < body.upperBound else { return }
            at = at &+ 1 &+ Int(payload.u8(at: at))
        } else {
            guard let end = payload.firstIndex(of: 0, from: at, to: body.upperBound) else { return }
            at = end &+ 1
        }
        guard at < body.upperBound else { return }
        let end = payload.firstIndex(of: 0, from: at, to: body.upperBound) ?? body.upperBound
        if end > at { text += " db: " + payload.text(at..<end) }
    }
}
