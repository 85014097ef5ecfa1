import Model
import Samples
import Testing

@testable import Pipeline

/// Lengths and headers. Source: agent-flow.md 7, 20.
struct PacketParserTests {
    private static func parse(
        _ frame: [UInt8], link: LinkType = .ethernet, originalLength: Int = 0
    ) throws -> MetaPacket {
        var packet = MetaPacket()
        try #require(PacketParser.parse(frame.span.bytes, link: link, originalLength: originalLength, into: &packet))
        return packet
    }

    private static func frame(_ ip: [UInt8], tags: [Int] = [], type: Int = 0x0800) -> [UInt8] {
        SampleFrames.ethernet(type, tags: tags) + ip
    }

    @Test func bytesComeFromTheIPHeader() throws {
        let ip = SampleFrames.ipv4(6, SampleFrames.tcp(payload: [UInt8](repeating: 1, count: 100)))
        let plain = try PacketParserTests.parse(PacketParserTests.frame(ip))
        #expect(plain.packetLen == 154 && plain.l3PayloadLen == 120 && plain.l4PayloadLen == 100)
        // A tag counts, padding does not.
        let tagged = try PacketParserTests.parse(PacketParserTests.frame(ip, tags: [0x2005]) + [0, 0, 0, 0])
        #expect(tagged.packetLen == 158 && tagged.l4PayloadLen == 100 && tagged.vlan == 5)
        #expect(try PacketParserTests.parse(PacketParserTests.frame(ip, tags: [5, 6])).vlan == 6)
        // Without a total length, as a segmenting card hands it over, what was captured counts.
        var offloaded = ip
        offloaded.replaceSubrange(2..<4, with: [0, 0])
        #expect(try PacketParserTests.parse(PacketParserTests.frame(offloaded)).packetLen == 154)
    }

    @Test(arguments: [(6, 54), (17, 42), (1, 42)]) func leastLengths(proto: Int, length: Int) throws {
        let payload = proto == 6 ? SampleFrames.tcp(payload: []) : [UInt8](repeating: 0, count: 8)
        var ip = SampleFrames.ipv4(proto, payload)
        ip.replaceSubrange(2..<4, with: SampleFrames.be16(20))
        #expect(try PacketParserTests.parse(PacketParserTests.frame(ip)).packetLen == UInt32(length))
    }

    /// The captured length corrects upward, by more than 16 bytes, TCP and UDP only; payload lengths stay.
    @Test func captureCorrectsUpward() throws {
        let ip = SampleFrames.ipv4(17, SampleFrames.udp(5000, 53, [UInt8](repeating: 1, count: 30)))
        let frame = PacketParserTests.frame(ip)
        #expect(try PacketParserTests.parse(frame, originalLength: 72 + 16).packetLen == 72)
        let corrected = try PacketParserTests.parse(frame, originalLength: 72 + 17)
        #expect(corrected.packetLen == 89 && corrected.l4PayloadLen == 30)
        let echo = PacketParserTests.frame(SampleFrames.ipv4(1, [8, 0, 0, 0, 0, 1, 0, 2, 9, 9]))
        #expect(try PacketParserTests.parse(echo, originalLength: 500).packetLen == 44)
    }

    @Test func icmpHasNoL4Bytes() throws {
        let echo = try PacketParserTests.parse(
            PacketParserTests.frame(SampleFrames.ipv4(1, [0, 0, 0, 0, 0, 1, 0, 2] + [UInt8](repeating: 1, count: 56))))
        #expect(echo.l4PayloadLen == 0 && echo.l3PayloadLen == 64 && echo.payloadLen == 56)
        #expect(echo.icmpIDSeq == 0x0001_0002 && echo.direction == .serverToClient)
        let unreachable = try PacketParserTests.parse(
            PacketParserTests.frame(SampleFrames.ipv4(1, [3, 3, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 1, count: 40))))
        #expect(unreachable.payloadLen == 12)
    }

    /// The mask of fragments leaves out the highest bit of the offset.
    @Test func fragments() throws {
        func parsed(_ field: Int) throws -> MetaPacket {
            var ip = SampleFrames.ipv4(17, SampleFrames.udp(5000, 53, [UInt8](repeating: 1, count: 30)))
            ip.replaceSubrange(6..<8, with: SampleFrames.be16(field))
            return try PacketParserTests.parse(PacketParserTests.frame(ip))
        }
        #expect(try parsed(0x2000).portDst == 53)
        let later = try parsed(0x2001)
        #expect(later.portDst == 0 && later.l4PayloadLen == 38 && later.l3PayloadLen == 38)
        #expect(try parsed(0x1000).portDst == 53)
        // Of IPv6 a later fragment is read as if it were the first.
        let inner = SampleFrames.udp(5000, 53, [UInt8](repeating: 1, count: 30))
        let ip6 = SampleFrames.ipv6(44, [17, 0, 0x01, 0x09, 0, 0, 0, 1] + inner)
        #expect(try PacketParserTests.parse(PacketParserTests.frame(ip6, type: 0x86dd)).portDst == 53)
    }

    /// Trap: IPv6 counts the captured bytes behind the extension headers, padding included.
    @Test func bytesOfIPv6() throws {
        let ip = SampleFrames.ipv6(
            0,
            [43, 0, 0, 0, 0, 0, 0, 0] + [6, 0, 0, 0, 0, 0, 0, 0]
                + SampleFrames.tcp(payload: [UInt8](repeating: 1, count: 10)))
        let packet = try PacketParserTests.parse(PacketParserTests.frame(ip, type: 0x86dd) + [0, 0, 0])
        #expect(packet.proto == IPProtocol.tcp && packet.portDst == 80)
        #expect(packet.packetLen == 14 + 40 + 16 + 30)
        #expect(packet.l3PayloadLen == 33)
        #expect(packet.l4PayloadLen == 10)
    }

    /// Window scale, and the real client's address in both kinds of the option. Source: agent-flow.md 7.5.
    @Test(arguments: [UInt8(254), 200]) func tcpOptions(kind: UInt8) throws {
        let options: [UInt8] = [2, 4, 5, 180, 1, 3, 3, 7, kind, 8, 0x30, 0x39, 1, 2, 3, 4, 0, 0, 0, 0]
        let ip = SampleFrames.ipv4(6, SampleFrames.tcp(flags: 0x02, options: options, payload: []))
        let packet = try PacketParserTests.parse(PacketParserTests.frame(ip))
        #expect(packet.windowScale == 7)
        #expect(packet.toaSrcPort == 12345 && packet.toaSrcIP == 0x0102_0304)
        #expect(packet.l4PayloadLen == 0 && packet.isSyn)
    }

    @Test func cutFramesKeepWhatWasRead() throws {
        let ip = SampleFrames.ipv4(6, SampleFrames.tcp(payload: [UInt8](repeating: 1, count: 100)))
        let frame = PacketParserTests.frame(ip)
        let cut = try PacketParserTests.parse(Array(frame[..<40]))
        #expect(cut.proto == IPProtocol.tcp && cut.portDst == 0 && cut.packetLen == 154)
        var packet = MetaPacket()
        let link = Array(frame[..<13])
        #expect(!PacketParser.parse(link.span.bytes, link: .ethernet, originalLength: 0, into: &packet))
    }

    @Test func cookedFramesCarryTheAddresses() throws {
        let ip = SampleFrames.ipv4(17, SampleFrames.udp(5000, 53, [1, 2, 3, 4]))
        let cooked = [UInt8](repeating: 0, count: 14) + [0x08, 0x00] + ip
        let packet = try PacketParserTests.parse(cooked, link: .linuxSLL)
        #expect(packet.macDst == 0x0a01_0102_0000 && packet.macSrc == 0x0a01_0101_0000)
        #expect(packet.packetLen == 14 + 32)
    }
}
