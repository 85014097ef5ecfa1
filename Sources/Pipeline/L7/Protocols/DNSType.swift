import Model

/// Record types: names, shapes of their data, and the values that are shown. Source: agent-l7-protocols.md 3.
enum DNSType {
    static let opt: UInt16 = 41

    private enum Part {
        /// Fixed number of bytes.
        case bytes(Int)
        case name
        /// Length byte and that many bytes.
        case text
        /// Any number of texts up to the end, at least one.
        case texts
        /// Whatever is left.
        case rest
        /// Options or parameters: 16-bit key, 16-bit length, value.
        case options
        /// NSEC windows: number, length, bitmap.
        case windows
    }

    private static let known: [UInt16: (name: String, parts: [Part])] = [
        1: ("A", [.bytes(4)]), 2: ("NS", [.name]), 3: ("MD", [.name]), 4: ("MF", [.name]), 5: ("CNAME", [.name]),
        6: ("SOA", [.name, .name, .bytes(20)]), 7: ("MB", [.name]), 8: ("MG", [.name]), 9: ("MR", [.name]),
        10: ("NULL", [.rest]), 11: ("WKS", [.bytes(5), .rest]), 12: ("PTR", [.name]), 13: ("HINFO", [.text, .text]),
        14: ("MINFO", [.name, .name]), 15: ("MX", [.bytes(2), .name]), 16: ("TXT", [.texts]),
        17: ("RP", [.name, .name]), 18: ("AFSDB", [.bytes(2), .name]), 20: ("ISDN", [.text, .rest]),
        21: ("RouteThrough", [.bytes(2), .name]), 22: ("NSAP", [.bytes(20)]), 23: ("NSAP_PTR", [.name]),
        28: ("AAAA", [.bytes(16)]), 29: ("LOC", [.bytes(16)]), 33: ("SRV", [.bytes(6), .name]),
        35: ("NAPTR", [.bytes(4), .text, .text, .text, .name]), 36: ("KX", [.bytes(2), .name]),
        37: ("CERT", [.bytes(5), .rest]), 41: ("OPT", [.options]), 43: ("DS", [.bytes(4), .rest]),
        45: ("IPSECKEY", [.bytes(3), .rest]), 46: ("RRSIG", [.bytes(18), .name, .rest]),
        47: ("NSEC", [.name, .windows]), 48: ("DNSKEY", [.bytes(4), .rest]), 49: ("DHCID", [.bytes(3), .rest]),
        63: ("ZONEMD", [.bytes(6), .rest]), 64: ("SVCB", [.bytes(2), .name, .options]),
        65: ("HTTPS", [.bytes(2), .name, .options]), 108: ("EUI48", [.bytes(6)]), 109: ("EUI64", [.bytes(8)]),
        257: ("CAA", [.bytes(1), .text, .rest]),
    ]

    static func isKnown(_ type: UInt16) -> Bool { type == 1 || type == 28 || known[type] != nil }

    static func name(_ type: UInt16) -> String {
        switch type {
        case 1: "A"
        case 28: "AAAA"
        case 251: "IXFR"
        case 252: "AXFR"
        case 253: "MAILB"
        case 254: "MAILA"
        case 255: "ANY"
        default: known[type]?.name ?? "Unknown(\(type))"
        }
    }

    /// The record data have the shape of the type; unknown types may be anything.
    static func isWellFormed(_ type: UInt16, _ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        switch type {
        case 1: return range.count >= 4
        case 28: return range.count >= 16
        default: break
        }
        guard let parts = known[type]?.parts else { return true }
        var at = range.lowerBound
        let end = range.upperBound
        for part in parts {
            switch part {
            case .bytes(let count):
                guard end &- at >= count else { return false }
                at &+= count
            case .name:
                guard DNSName.skip(bytes, &at, limit: end) else { return false }
            case .text:
                guard skipText(bytes, &at, end) else { return false }
            case .texts:
                guard at < end else { return false }
                while at < end { guard skipText(bytes, &at, end) else { return false } }
            case .rest:
                at = end
            case .options:
                while at < end {
                    guard end &- at >= 4 else { return false }
                    let length = Int(bytes.be16(at: at &+ 2))
                    guard end &- at &- 4 >= length else { return false }
                    at &+= 4 &+ length
                }
            case .windows:
                while at < end {
                    guard end &- at >= 2 else { return false }
                    let length = Int(bytes.u8(at: at &+ 1))
                    guard length <= 32, end &- at &- 2 >= length else { return false }
                    at &+= 2 &+ length
                }
            }
        }
        return true
    }

    private static func skipText(_ bytes: RawSpan, _ at: inout Int, _ end: Int) -> Bool {
        guard at < end else { return false }
        let length = Int(bytes.u8(at: at))
        guard end &- at &- 1 >= length else { return false }
        at &+= 1 &+ length
        return true
    }

    /// What is shown of well-formed data; nil for types of which only the name is shown.
    static func value(
        _ type: UInt16, _ bytes: RawSpan, _ range: Range<Int>, _ texts: borrowing TextCache
    ) -> String? {
        switch type {
        case 1, 11: IPAddress.text4(bytes.be32(at: range.lowerBound))
        case 28:
            IPAddress(high: bytes.be64(at: range.lowerBound), low: bytes.be64(at: range.lowerBound &+ 8)).text(v6: true)
        case 2, 6, 12: DNSName.text(bytes, at: range.lowerBound, texts)
        default: nil
        }
    }
}
