/// An IPv4 or IPv6 address as a number, first octet most significant.
///
/// An IPv4 address sits in the low 32 bits with everything else zero; which family is meant is known by context
/// (`isIPv6` of the record that holds it), because `::a.b.c.d` would look the same.
@frozen
public struct IPAddress: Hashable, Sendable, BitwiseCopyable {
    public var high: UInt64
    public var low: UInt64

    @inlinable @inline(__always)
    public init() {
        high = 0
        low = 0
    }

    @inlinable @inline(__always)
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    @inlinable @inline(__always)
    public static func == (left: IPAddress, right: IPAddress) -> Bool {
        left.low == right.low && left.high == right.high
    }

    /// - Parameter v4: numeric value, 10.1.2.3 = 0x0A010203.
    @inlinable @inline(__always)
    public init(v4: UInt32) {
        self.init(high: 0, low: UInt64(v4))
    }

    /// The IPv4 value; the last four octets of an IPv6 address.
    @inlinable @inline(__always) public var v4: UInt32 { UInt32(truncatingIfNeeded: low) }

    @inlinable @inline(__always) public var isZero: Bool { high | low == 0 }

    /// The four 32-bit words xor-ed: the address itself for IPv4.
    @inlinable @inline(__always) public var folded: UInt32 {
        let both = high ^ low
        return UInt32(truncatingIfNeeded: both) ^ UInt32(truncatingIfNeeded: both >> 32)
    }

    /// `::ffff:a.b.c.d` of an IPv4 value.
    @inlinable public static func mapped(_ v4: UInt32) -> IPAddress {
        IPAddress(high: 0, low: 0xffff_0000_0000 | UInt64(v4))
    }

    @inlinable public var isMapped: Bool { high == 0 && low >> 32 == 0xffff }

    public func isLoopback(v6: Bool) -> Bool { v6 ? (high == 0 && low == 1) : v4 >> 24 == 127 }
    public func isMulticast(v6: Bool) -> Bool { v6 ? high >> 56 == 0xff : v4 >> 28 == 0xe }
    public func isLinkLocal(v6: Bool) -> Bool { v6 ? high >> 54 == 0xfe80 >> 6 : v4 >> 16 == 0xa9fe }

    /// Sixteen octets in network order.
    public var octets: [UInt8] {
        var out = [UInt8]()
        out.reserveCapacity(16)
        for word in [high, low] {
            for shift in stride(from: 56, through: 0, by: -8) {
                out.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        return out
    }

    /// Four octets in network order.
    public var octets4: [UInt8] {
        [
            UInt8(truncatingIfNeeded: low >> 24), UInt8(truncatingIfNeeded: low >> 16),
            UInt8(truncatingIfNeeded: low >> 8), UInt8(truncatingIfNeeded: low),
        ]
    }

    /// From sixteen octets in network order; nil for another count.
    public init?(octets: some Collection<UInt8>) {
        guard octets.count == 16 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        for (index, octet) in octets.enumerated() {
            if index < 8 { words.0 = words.0 << 8 | UInt64(octet) } else { words.1 = words.1 << 8 | UInt64(octet) }
        }
        self.init(high: words.0, low: words.1)
    }

    /// Dotted quad, or RFC 5952 text with the longest run of zero groups shortened.
    public func text(v6: Bool) -> String {
        v6 ? text6 : IPAddress.text4(v4)
    }

    public static func text4(_ value: UInt32) -> String {
        "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    }

    private var text6: String {
        if isMapped { return "::ffff:" + IPAddress.text4(v4) }
        var groups = [UInt16]()
        for word in [high, low] {
            for shift in stride(from: 48, through: 0, by: -16) {
                groups.append(UInt16(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        var best = 0..<0
        var index = 0
        while index < 8 {
            guard groups[index] == 0 else {
                index += 1
                continue
            }
            var end = index
            while end < 8, groups[end] == 0 { end += 1 }
            if end - index > best.count, end - index > 1 { best = index..<end }
            index = end
        }
        let hex = { (range: Range<Int>) in range.map { String(groups[$0], radix: 16) }.joined(separator: ":") }
        return best.isEmpty ? hex(0..<8) : hex(0..<best.lowerBound) + "::" + hex(best.upperBound..<8)
    }

    /// Parses either family. Returns the address and whether it is IPv6.
    public static func parse(_ text: some StringProtocol) -> (address: IPAddress, isIPv6: Bool)? {
        if let v4 = parse4(text) { return (IPAddress(v4: v4), false) }
        return parse6(text).map { ($0, true) }
    }

    public static func parse4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard part.utf8.count <= 3, part.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let octet = UInt8(part) else {
                return nil
            }
            value = value << 8 | UInt32(octet)
        }
        return value
    }

    private static func parse6(_ text: some StringProtocol) -> IPAddress? {
        var groups: [UInt16] = []
        var gap: Int?
        var rest = Substring(text)
        guard rest.contains(":") else { return nil }
        if rest.hasPrefix("::") {
            gap = 0
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let end = rest.firstIndex(of: ":") ?? rest.endIndex
            let part = rest[..<end]
            if part.contains(".") {
                guard end == rest.endIndex, let v4 = parse4(part) else { return nil }
                groups += [UInt16(v4 >> 16), UInt16(v4 & 0xffff)]
                break
            }
            guard !part.isEmpty, part.utf8.count <= 4, let group = UInt16(part, radix: 16) else { return nil }
            groups.append(group)
            guard end < rest.endIndex else { break }
            rest = rest[rest.index(after: end)...]
            if rest.hasPrefix(":") {
                guard gap == nil else { return nil }
                gap = groups.count
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        let word = { (range: Range<Int>) in range.reduce(UInt64(0)) { $0 << 16 | UInt64(groups[$1]) } }
        return IPAddress(high: word(0..<4), low: word(4..<8))
    }
}

/// `00:16:3e:00:00:01` of a 48-bit number.
public func macText(_ mac: UInt64) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var out = [UInt8]()
    out.reserveCapacity(17)
    for shift in stride(from: 40, through: 0, by: -8) {
        let octet = Int(mac >> UInt64(shift) & 0xff)
        if shift != 40 { out.append(58) }
        out.append(digits[octet >> 4])
        out.append(digits[octet & 15])
    }
    return String(decoding: out, as: UTF8.self)
}
