/// Frames of HTTP/2, made by hand. Source: RFC 9113, RFC 7541.
package enum SampleHTTP2 {
    package static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    package static let settings = frame(4, 0, 0, [0, 3, 0, 0, 0, 100])

    package static func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt32, _ body: [UInt8]) -> [UInt8] {
        let length = body.count
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), kind, flags]
            + (0..<4).map { UInt8(truncatingIfNeeded: stream >> UInt32(24 - 8 * $0)) } + body
    }

    /// - Parameter flags: 4 = the block ends here, 1 = the stream does.
    package static func headers(_ stream: UInt32, _ block: [UInt8], flags: UInt8 = 4) -> [UInt8] {
        frame(1, flags, stream, block)
    }

    package static func data(_ stream: UInt32, _ count: Int, ends: Bool = true) -> [UInt8] {
        frame(0, ends ? 1 : 0, stream, [UInt8](repeating: 0, count: count))
    }

    /// A field that enters the table of the receiver.
    package static func field(_ name: String, _ value: String) -> [UInt8] { [0x40] + text(name) + text(value) }

    /// A field that does not.
    package static func passing(_ name: String, _ value: String) -> [UInt8] { [0x00] + text(name) + text(value) }

    /// As `field`, with a name of the static table.
    package static func field(_ name: UInt8, _ value: String) -> [UInt8] { [0x40 | name] + text(value) }

    /// A GET or POST over clear text.
    package static func request(_ path: String, isPost: Bool = false) -> [UInt8] {
        [isPost ? 0x83 : 0x82, 0x86] + field(4, path) + field(1, "shop:80")
    }

    private static func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
}
