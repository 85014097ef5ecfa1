package import Model

/// The kernel's socket tables: /proc/net/tcp, tcp6, udp, udp6.
package enum SocketReader {
    /// - Parameter folder: `/proc/net`, or `/proc/PID/net` for the namespace of that process.
    package static func read(folder: String = "/proc/net") -> [SocketFacts] {
        [
            ("tcp", IPProtocol.tcp, false), ("tcp6", IPProtocol.tcp, true), ("udp", IPProtocol.udp, false),
            ("udp6", IPProtocol.udp, true),
        ].flatMap { name, proto, isIPv6 in
            parse(ProcFile.bytes(folder + "/" + name) ?? [], proto: proto, isIPv6: isIPv6)
        }
    }

    /// Lines `sl local:port remote:port st tx:rx tr:when retrnsmt uid timeout inode ...`; lines of another shape are
    /// left out. Addresses are words of the machine's byte order, in hexadecimal.
    static func parse(_ bytes: [UInt8], proto: UInt8, isIPv6: Bool) -> [SocketFacts] {
        var out: [SocketFacts] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 12)
            guard words.count >= 10, words[0].last == UInt8(ascii: ":"),
                let local = end(words[1], isIPv6: isIPv6), let remote = end(words[2], isIPv6: isIPv6),
                let state = hex(words[3]), let uid = decimal(words[7]), let inode = decimal(words[9])
            else { continue }
            var socket = SocketFacts()
            socket.proto = proto
            socket.isIPv6 = isIPv6
            socket.local = local.address
            socket.localPort = local.port
            socket.remote = remote.address
            socket.remotePort = remote.port
            socket.state = UInt8(truncatingIfNeeded: state)
            socket.uid = UInt32(truncatingIfNeeded: uid)
            socket.inode = inode
            out.append(socket)
        }
        return out
    }

    private static func end(_ text: ArraySlice<UInt8>, isIPv6: Bool) -> (address: IPAddress, port: UInt16)? {
        let digits = isIPv6 ? 32 : 8
        guard text.count == digits + 5, text[text.startIndex + digits] == UInt8(ascii: ":"),
            let port = hex(text.suffix(4))
        else { return nil }
        var words: [UInt32] = []
        for index in 0..<(digits / 8) {
            let start = text.startIndex + index * 8
            guard let word = hex(text[start..<(start + 8)]) else { return nil }
            words.append(UInt32(truncatingIfNeeded: word).bigEndian)
        }
        let address =
            isIPv6
            ? IPAddress(
                high: UInt64(words[0]) << 32 | UInt64(words[1]), low: UInt64(words[2]) << 32 | UInt64(words[3]))
            : IPAddress(v4: words[0])
        return (address, UInt16(truncatingIfNeeded: port))
    }

    private static func hex(_ text: ArraySlice<UInt8>) -> UInt64? {
        guard !text.isEmpty, text.count <= 16 else { return nil }
        var value: UInt64 = 0
        for byte in text {
            switch byte {
            case 48...57: value = value << 4 | UInt64(byte - 48)
            case 65...70: value = value << 4 | UInt64(byte - 55)
            case 97...102: value = value << 4 | UInt64(byte - 87)
            default: return nil
            }
        }
        return value
    }

    private static func decimal(_ text: ArraySlice<UInt8>) -> UInt64? {
        guard !text.isEmpty, text.count <= 19 else { return nil }
        var value: UInt64 = 0
        for byte in text {
            guard byte >= 48, byte <= 57 else { return nil }
            value = value &* 10 &+ UInt64(byte - 48)
        }
        return value
    }
}
