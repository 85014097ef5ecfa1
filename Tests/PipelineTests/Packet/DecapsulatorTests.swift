import Foundation
import Model
import Testing

@testable import Pipeline

/// Headers in front of an inner frame, layer by layer, as the standards draw them.
enum TunnelBytes {
    static func be16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }
    static func be32(_ value: UInt32) -> [UInt8] { be16(Int(value >> 16)) + be16(Int(value & 0xffff)) }

    static func ethernet(_ type: Int, tags: [Int] = []) -> [UInt8] {
        [2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 3, 4] + tags.flatMap { be16(0x8100) + be16($0) } + be16(type)
    }

    static func ipv4(_ proto: Int, _ payload: [UInt8], options: Int = 0) -> [UInt8] {
        [0x45 + UInt8(options / 4), 0] + be16(20 + options + payload.count) + be16(7) + be16(0) + [64, UInt8(proto)]
            + be16(0) + [10, 1, 1, 1, 10, 1, 1, 2] + [UInt8](repeating: 1, count: options) + payload
    }

    static func ipv6(_ proto: Int, _ payload: [UInt8]) -> [UInt8] {
        [0x60, 0, 0, 0] + be16(payload.count) + [UInt8(proto), 64] + [0xfd] + [UInt8](repeating: 0, count: 14) + [1]
            + [0xfd] + [UInt8](repeating: 0, count: 14) + [2] + payload
    }

    static func udp(_ from: Int, _ to: Int, _ payload: [UInt8]) -> [UInt8] {
        be16(from) + be16(to) + be16(8 + payload.count) + be16(0) + payload
    }

    static func vxlan(_ id: UInt32) -> [UInt8] { [8, 0, 0, 0] + be32(id << 8) }
    static func geneve(_ id: UInt32, options: Int) -> [UInt8] {
        [UInt8(options / 4), 0] + be16(0x6558) + be32(id << 8) + [UInt8](repeating: 9, count: options)
    }
    static func nsh(_ id: UInt32, next: UInt8, words: Int) -> [UInt8] {
        [0x0c, 0, 0, 4] + be32(id << 8) + be16(0x0fc0 | words) + [1, next]
            + [UInt8](repeating: 5, count: words * 4 - 4)
    }
    static func gre(_ proto: Int, key: UInt32? = nil, sequence: Bool = false, checksum: Bool = false) -> [UInt8] {
        be16((checksum ? 0x8000 : 0) | (key != nil ? 0x2000 : 0) | (sequence ? 0x1000 : 0)) + be16(proto)
            + (checksum ? be32(0) : []) + (key.map(be32) ?? []) + (sequence ? be32(1) : [])
    }

    /// A whole frame with a DNS query in it, and the same without its link header.
    static let innerIP = ipv4(17, udp(5000, 53, [UInt8](repeating: 6, count: 30)))
    static let innerIPv6 = ipv6(17, udp(5000, 53, [UInt8](repeating: 6, count: 30)))
    static let inner = ethernet(0x0800) + innerIP
}

struct DecapsulatorTests {
    private static let all = Decapsulator(shown: [.vxlan, .ipip, .geneve, .vxlanNsh, .erspan, .teb])

    private func open(
        _ frame: [UInt8], _ decapsulator: Decapsulator = all
    ) -> (tunnel: PacketTunnel, inner: Decapsulator.Inner)? {
        var tunnel = PacketTunnel()
        var inner = Decapsulator.Inner()
        return decapsulator.open(frame.span.bytes, into: &tunnel, inner: &inner) ? (tunnel, inner) : nil
    }

    private static let tunnels: [(name: String, type: TunnelType, id: UInt32, header: [UInt8], content: [UInt8])] = {
        typealias T = TunnelBytes
        func in4(_ bytes: [UInt8]) -> [UInt8] { T.ethernet(0x0800) + bytes }
        func in6(_ bytes: [UInt8]) -> [UInt8] { T.ethernet(0x86dd) + bytes }
        var out: [(String, TunnelType, UInt32, [UInt8], [UInt8])] = []
        func add(
            _ name: String, _ type: TunnelType, _ id: UInt32, _ header: [UInt8], proto: Int = 17, port: Int? = nil,
            content: [UInt8] = T.inner
        ) {
            let inside = header + content
            let transport = port.map { T.udp(40000, $0, inside) } ?? inside
            out.append((name + " in IPv4", type, id, in4(T.ipv4(proto, transport)).dropLast(content.count), content))
            out.append((name + " in IPv6", type, id, in6(T.ipv6(proto, transport)).dropLast(content.count), content))
            out.append(
                (
                    name + " behind two tags and IP options", type, id,
                    (T.ethernet(0x0800, tags: [5, 6]) + T.ipv4(proto, transport, options: 8)).dropLast(content.count),
                    content
                ))
        }
        for port in [4789, 8472, 6784] { add("VXLAN \(port)", .vxlan, 123, T.vxlan(123), port: port) }
        add("Geneve", .geneve, 77, T.geneve(77, options: 0), port: 6081)
        add("Geneve with options", .geneve, 0xff_ffff, T.geneve(0xff_ffff, options: 28), port: 6081)
        add("NSH with Ethernet", .vxlanNsh, 9, T.nsh(9, next: 3, words: 6), port: 4790)
        add("NSH with IPv4", .vxlanNsh, 9, T.nsh(9, next: 1, words: 2), port: 4790, content: T.innerIP)
        add("NSH with IPv6", .vxlanNsh, 9, T.nsh(9, next: 2, words: 13), port: 4790, content: T.innerIPv6)
        add("IPv4", .ipip, 0, [], proto: 4, content: T.innerIP)
        add("IPv6", .ipip, 0, [], proto: 41, content: T.innerIPv6)
        add("ERSPAN I", .erspan, 0, T.gre(0x88be), proto: 47)
        add("ERSPAN II", .erspan, 100, T.gre(0x88be, sequence: true) + T.be32(0x1000_0064) + T.be32(0), proto: 47)
        add(
            "ERSPAN III", .erspan, 5, T.gre(0x22eb, sequence: true) + T.be32(0x2000_0005) + T.be32(1) + T.be32(0),
            proto: 47)
        add(
            "ERSPAN III with subheader", .erspan, 5,
            T.gre(0x22eb, sequence: true) + T.be32(0x2000_0005) + T.be32(1) + T.be32(1) + T.be32(3) + T.be32(4),
            proto: 47)
        add("TEB", .teb, 0, T.gre(0x6558), proto: 47)
        add("TEB with a key", .teb, 0x200_0000, T.gre(0x6558, key: 0x200_0000), proto: 47)
        add(
            "TEB with everything", .teb, 4, T.gre(0x6558, key: 4, sequence: true, checksum: true), proto: 47)
        return out
    }()

    @Test func everyTunnel() throws {
        for (name, type, id, header, content) in Self.tunnels {
            let (tunnel, inner) = try #require(open(header + content), "\(name)")
            let hasLink = content.count == TunnelBytes.inner.count
            #expect(inner.network == header.count + (hasLink ? 14 : 0), "\(name)")
            #expect(inner.ethType == (content == TunnelBytes.innerIPv6 ? EtherType.ipv6 : EtherType.ipv4), "\(name)")
            #expect(tunnel.type == type && tunnel.id == id && tunnel.tier == 1, "\(name): \(tunnel)")
            #expect(tunnel.macDst == 0x0000_0102 && tunnel.macSrc == 0x0000_0304, "\(name): \(tunnel)")
            #expect(tunnel.isIPv6 ? tunnel.ipDst == 2 : tunnel.ipDst == 0x0a01_0102, "\(name): \(tunnel)")
            // Only what is asked for.
            #expect(open(header + content, Decapsulator(shown: [])) == nil)
        }
    }

    @Test func layers() throws {
        typealias T = TunnelBytes
        let vxlan = T.ethernet(0x0800) + T.ipv4(17, T.udp(1, 4789, T.vxlan(1) + T.inner))
        let twice = T.ethernet(0x0800) + T.ipv4(17, T.udp(1, 6081, T.geneve(2, options: 0) + vxlan))
        let thrice = T.ethernet(0x0800) + T.ipv4(17, T.udp(1, 8472, T.vxlan(3) + twice))
        var (tunnel, inner) = try #require(open(twice))
        // The outermost is told, both are taken off, a third one stays.
        #expect(tunnel.type == .geneve && tunnel.id == 2 && tunnel.tier == 2)
        #expect(inner.start == twice.count - T.inner.count)
        (tunnel, inner) = try #require(open(thrice))
        #expect(tunnel.id == 3 && tunnel.tier == 2 && inner.start == thrice.count - vxlan.count)
        // Trimmed ones leave no trace; what is inside them is then the outermost.
        (tunnel, inner) = try #require(open(twice, Decapsulator(shown: [.vxlan], trimmed: [.geneve])))
        #expect(tunnel.type == .vxlan && tunnel.id == 1 && tunnel.tier == 1)
        (tunnel, inner) = try #require(open(vxlan, Decapsulator(shown: [], trimmed: [.vxlan])))
        #expect(tunnel == PacketTunnel() && inner.start == vxlan.count - T.inner.count)
        // IP in IP in VXLAN: the link header is that of the frame inside the VXLAN.
        let ipip = T.ethernet(0x0800, tags: [5]) + T.ipv4(4, T.innerIP)
        (tunnel, inner) = try #require(open(T.ethernet(0x0800) + T.ipv4(17, T.udp(1, 4789, T.vxlan(1) + ipip))))
        #expect(tunnel.tier == 2 && inner.link == 50 && inner.linkBytes == 18 && inner.network == 50 + 18 + 20)
    }

    @Test func nearMisses() {
        typealias T = TunnelBytes
        func udp(_ port: Int, _ payload: [UInt8], from: Int = 9) -> [UInt8] {
            T.ethernet(0x0800) + T.ipv4(17, T.udp(from, port, payload))
        }
        #expect(open(udp(4789, [0x0c, 0, 0, 0, 0, 0, 1, 0] + T.inner)) == nil, "other flags")
        #expect(open(udp(4788, T.vxlan(1) + T.inner)) == nil, "another port")
        #expect(open(udp(6081, [0x40, 0] + T.be16(0x6558) + T.be32(256) + T.inner)) == nil, "another version")
        #expect(open(udp(6081, [0, 0] + T.be16(0x0800) + T.be32(256) + T.innerIP)) == nil, "another protocol")
        #expect(open(udp(4790, T.nsh(1, next: 5, words: 2) + T.inner)) == nil, "MPLS")
        // A mirror to nobody: the destination begins ff:ff and both ports are the same.
        var mirrored = udp(7000, T.vxlan(1) + T.inner, from: 7000)
        #expect(open(mirrored) == nil)
        (mirrored[0], mirrored[1]) = (0xff, 0xff)
        #expect(open(mirrored)?.tunnel.id == 1)
        var fragment = udp(4789, T.vxlan(1) + T.inner)
        fragment[21] = 5
        #expect(open(fragment) == nil, "a later fragment")
    }

    @Test func cutAnywhere() {
        for (name, _, _, header, content) in Self.tunnels {
            let frame = header + content
            for length in 0..<frame.count {
                if let (_, inner) = open(Array(frame[..<length])) {
                    #expect(inner.start <= length && inner.link <= length, "\(name) cut to \(length)")
                }
            }
        }
    }

    private struct Expected: Decodable {
        var packet: Int
        var tunnel_type: UInt8
        var tunnel_id: UInt32
        var tunnel_mac_0: UInt32
        var tunnel_mac_1: UInt32
        var l2_length: Int
        var inner_offset: Int
    }

    private struct Case: Decodable {
        var `case`: String
        var pcap: String
        var decap_file: String
    }

    /// Offsets, ids and addresses of the captures of the specification.
    @Test func vectors() throws {
        let environment = ProcessInfo.processInfo.environment
        let folder = URL(filePath: (environment["DFTOP_TESTDATA"] ?? "../shared/testdata") + "/decap")
        guard let index = try? String(contentsOf: folder.appending(path: "index.jsonl"), encoding: .utf8) else {
            if environment["CI"] != nil { Issue.record("no captures at \(folder.path)") }
            print("skipped: no captures at \(folder.path)")
            return
        }
        for line in index.split(separator: "\n") {
            let one = try JSONDecoder().decode(Case.self, from: Data(line.utf8))
            let frames = try Self.frames(folder.appending(path: one.pcap))
            let expectations = try String(contentsOf: folder.appending(path: one.decap_file), encoding: .utf8)
            for line in expectations.split(separator: "\n") where line.contains("tunnel_type") {
                let text = line.trimmingCharacters(in: CharacterSet(charactersIn: "[], "))
                let wanted = try JSONDecoder().decode(Expected.self, from: Data(text.utf8))
                let (tunnel, inner) = try #require(open(frames[wanted.packet - 1]), "\(one.case)")
                #expect(tunnel.type.rawValue == wanted.tunnel_type && tunnel.id == wanted.tunnel_id, "\(one.case)")
                #expect(tunnel.macSrc == wanted.tunnel_mac_0 && tunnel.macDst == wanted.tunnel_mac_1, "\(one.case)")
                let offset = (inner.hasOwnLink ? inner.start : inner.network) - wanted.l2_length
                #expect(offset == wanted.inner_offset, "\(one.case)")
            }
        }
    }

    private static func frames(_ file: URL) throws -> [[UInt8]] {
        let bytes = [UInt8](try Data(contentsOf: file))
        var out: [[UInt8]] = []
        var at = 24
        while at + 16 <= bytes.count {
            let length = Int(bytes[at + 8]) | Int(bytes[at + 9]) << 8 | Int(bytes[at + 10]) << 16
            out.append(Array(bytes[(at + 16)..<(at + 16 + length)]))
            at += 16 + length
        }
        return out
    }
}
