package import Model

/// Frames put together layer by layer, as the standards draw them.
package enum SampleFrames {
    package static func be16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    package static func be32(_ value: UInt32) -> [UInt8] { be16(Int(value >> 16)) + be16(Int(value & 0xffff)) }

    package static func ethernet(_ type: Int, tags: [Int] = []) -> [UInt8] {
        [2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 3, 4] + tags.flatMap { be16(0x8100) + be16($0) } + be16(type)
    }

    package static func ipv4(
        _ proto: Int, _ payload: [UInt8], options: Int = 0, from: UInt8 = 1, to: UInt8 = 2
    ) -> [UInt8] {
        [0x45 + UInt8(options / 4), 0] + be16(20 + options + payload.count) + be16(7) + be16(0) + [64, UInt8(proto)]
            + be16(0) + [10, 1, 1, from, 10, 1, 1, to] + [UInt8](repeating: 1, count: options) + payload
    }

    package static func ipv6(_ proto: Int, _ payload: [UInt8]) -> [UInt8] {
        [0x60, 0, 0, 0] + be16(payload.count) + [UInt8(proto), 64] + [0xfd] + [UInt8](repeating: 0, count: 14) + [1]
            + [0xfd] + [UInt8](repeating: 0, count: 14) + [2] + payload
    }

    package static func udp(_ from: Int, _ to: Int, _ payload: [UInt8]) -> [UInt8] {
        be16(from) + be16(to) + be16(8 + payload.count) + be16(0) + payload
    }

    package static func vxlan(_ id: UInt32) -> [UInt8] { [8, 0, 0, 0] + be32(id << 8) }
    package static func geneve(_ id: UInt32, options: Int) -> [UInt8] {
        [UInt8(options / 4), 0] + be16(0x6558) + be32(id << 8) + [UInt8](repeating: 9, count: options)
    }
    package static func nsh(_ id: UInt32, next: UInt8, words: Int) -> [UInt8] {
        [0x0c, 0, 0, 4] + be32(id << 8) + be16(0x0fc0 | words) + [1, next]
            + [UInt8](repeating: 5, count: words * 4 - 4)
    }
    package static func gre(_ proto: Int, key: UInt32? = nil, sequence: Bool = false, checksum: Bool = false) -> [UInt8]
    {
        be16((checksum ? 0x8000 : 0) | (key != nil ? 0x2000 : 0) | (sequence ? 0x1000 : 0)) + be16(proto)
            + (checksum ? be32(0) : []) + (key.map(be32) ?? []) + (sequence ? be32(1) : [])
    }

    package static func tcp(
        from: Int = 40000, to: Int = 80, seq: UInt32 = 1, ack: UInt32 = 1, flags: UInt8 = 0x18, options: [UInt8] = [],
        payload: [UInt8] = [1, 2, 3, 4]
    ) -> [UInt8] {
        be16(from) + be16(to) + be32(seq) + be32(ack) + [UInt8(5 + options.count / 4) << 4, flags] + be16(64000)
            + be32(0) + options + payload
    }

    /// A whole frame with a DNS query in it, and the same without its link header.
    package static let innerIP = ipv4(17, udp(5000, 53, [UInt8](repeating: 6, count: 30)))
    package static let innerIPv6 = ipv6(17, udp(5000, 53, [UInt8](repeating: 6, count: 30)))
    package static let inner = ethernet(0x0800) + innerIP

    /// Every kind of tunnel in IPv4, in IPv6, and behind two VLAN tags and IP options.
    package static let tunnels: [SampleTunnel] = {
        func in4(_ bytes: [UInt8]) -> [UInt8] { ethernet(0x0800) + bytes }
        func in6(_ bytes: [UInt8]) -> [UInt8] { ethernet(0x86dd) + bytes }
        var out: [SampleTunnel] = []
        func add(
            _ name: String, _ type: TunnelType, _ id: UInt32, _ header: [UInt8], proto: Int = 17, port: Int? = nil,
            content: [UInt8] = inner
        ) {
            let inside = header + content
            let transport = port.map { udp(40000, $0, inside) } ?? inside
            func append(_ where: String, _ frame: [UInt8]) {
                out.append(
                    SampleTunnel(
                        name: name + `where`, type: type, id: id, header: frame.dropLast(content.count),
                        content: content))
            }
            append(" in IPv4", in4(ipv4(proto, transport)))
            append(" in IPv6", in6(ipv6(proto, transport)))
            append(
                " behind two tags and IP options",
                ethernet(0x0800, tags: [5, 6]) + ipv4(proto, transport, options: 8))
        }
        for port in [4789, 8472, 6784] { add("VXLAN \(port)", .vxlan, 123, vxlan(123), port: port) }
        add("Geneve", .geneve, 77, geneve(77, options: 0), port: 6081)
        add("Geneve with options", .geneve, 0xff_ffff, geneve(0xff_ffff, options: 28), port: 6081)
        add("NSH with Ethernet", .vxlanNsh, 9, nsh(9, next: 3, words: 6), port: 4790)
        add("NSH with IPv4", .vxlanNsh, 9, nsh(9, next: 1, words: 2), port: 4790, content: innerIP)
        add("NSH with IPv6", .vxlanNsh, 9, nsh(9, next: 2, words: 13), port: 4790, content: innerIPv6)
        add("IPv4", .ipip, 0, [], proto: 4, content: innerIP)
        add("IPv6", .ipip, 0, [], proto: 41, content: innerIPv6)
        add("ERSPAN I", .erspan, 0, gre(0x88be), proto: 47)
        add("ERSPAN II", .erspan, 100, gre(0x88be, sequence: true) + be32(0x1000_0064) + be32(0), proto: 47)
        add(
            "ERSPAN III", .erspan, 5, gre(0x22eb, sequence: true) + be32(0x2000_0005) + be32(1) + be32(0),
            proto: 47)
        add(
            "ERSPAN III with subheader", .erspan, 5,
            gre(0x22eb, sequence: true) + be32(0x2000_0005) + be32(1) + be32(1) + be32(3) + be32(4),
            proto: 47)
        add("TEB", .teb, 0, gre(0x6558), proto: 47)
        add("TEB with a key", .teb, 0x200_0000, gre(0x6558, key: 0x200_0000), proto: 47)
        add(
            "TEB with everything", .teb, 4, gre(0x6558, key: 4, sequence: true, checksum: true), proto: 47)
        return out
    }()
}

/// A frame in a tunnel: what is before it, and the frame or packet inside.
package struct SampleTunnel: Sendable {
    package let name: String
    package let type: TunnelType
    package let id: UInt32
    package let header: [UInt8]
    package let content: [UInt8]
}
