import Foundation
import Model
import Samples
import Testing

@testable import Pipeline

struct DecapsulatorTests {
    private static let all = Decapsulator(shown: [.vxlan, .ipip, .geneve, .vxlanNsh, .erspan, .teb])

    private func open(
        _ frame: [UInt8], _ decapsulator: Decapsulator = all
    ) -> (tunnel: PacketTunnel, inner: Decapsulator.Inner)? {
        var tunnel = PacketTunnel()
        var inner = Decapsulator.Inner()
        return decapsulator.open(frame.span.bytes, into: &tunnel, inner: &inner) ? (tunnel, inner) : nil
    }

    @Test func everyTunnel() throws {
        for one in SampleFrames.tunnels {
            let (name, header, content) = (one.name, one.header, one.content)
            let (tunnel, inner) = try #require(open(header + content), "\(name)")
            let hasLink = content.count == SampleFrames.inner.count
            #expect(inner.network == header.count + (hasLink ? 14 : 0), "\(name)")
            #expect(inner.ethType == (content == SampleFrames.innerIPv6 ? EtherType.ipv6 : EtherType.ipv4), "\(name)")
            #expect(tunnel.type == one.type && tunnel.id == one.id && tunnel.tier == 1, "\(name): \(tunnel)")
            #expect(tunnel.macDst == 0x0000_0102 && tunnel.macSrc == 0x0000_0304, "\(name): \(tunnel)")
            #expect(tunnel.isIPv6 ? tunnel.ipDst == 2 : tunnel.ipDst == 0x0a01_0102, "\(name): \(tunnel)")
            // Only what is asked for.
            #expect(open(header + content, Decapsulator(shown: [])) == nil)
        }
    }

    @Test func layers() throws {
        typealias T = SampleFrames
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
        typealias T = SampleFrames
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
        for one in SampleFrames.tunnels {
            let frame = one.header + one.content
            for length in 0..<frame.count {
                if let (_, inner) = open(Array(frame[..<length])) {
                    #expect(inner.start <= length && inner.link <= length, "\(one.name) cut to \(length)")
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
