import Model
import Testing

@testable import Pipeline

/// Ends of a packet on a single host. Source: agent-flow.md 18.
struct EndpointLabelerTests {
    private static let local = EndpointLabeler.Local(mac: 0x0200_0000_0001, ip: IPAddress(v4: 0x0a00_0001))
    private static let labeler = EndpointLabeler(forwardTable: [local])

    private static func packet(_ src: UInt32, _ dst: UInt32, macs: (UInt64, UInt64) = (0x11, 0x22)) -> MetaPacket {
        var packet = MetaPacket()
        packet.ethType = EtherType.ipv4
        packet.ipSrc = IPAddress(v4: src)
        packet.ipDst = IPAddress(v4: dst)
        packet.macSrc = macs.0
        packet.macDst = macs.1
        return packet
    }

    /// Everything that is not an intranet's address is the Internet's.
    @Test(arguments: [
        (UInt32(0x0a01_0203), Int32(0)), (0xac10_0001, 0), (0xac1f_ffff, 0), (0xac20_0001, -2), (0xc0a8_0101, 0),
        (0x6440_0001, 0), (0x647f_ffff, 0), (0x6480_0001, -2), (0xa9fe_0001, 0), (0xe000_0001, 0), (0xffff_ffff, 0),
        (0x0808_0808, -2),
    ])
    func networks(address: UInt32, epc: Int32) {
        let ends = EndpointLabelerTests.labeler.label(EndpointLabelerTests.packet(address, 0x0101_0101))
        #expect(ends.src.epc == epc)
        #expect(ends.dst.epc == -2)
    }

    @Test(arguments: [
        (UInt64(0xfe80) << 48, Int32(0)), (0xff02 << 48, 0), (0xfc00 << 48, -2), (0xfd00 << 48, -2), (0x2001 << 48, -2),
    ])
    func networksOfIPv6(high: UInt64, epc: Int32) {
        var packet = MetaPacket()
        packet.ethType = EtherType.ipv6
        packet.macSrc = 1
        packet.macDst = 2
        packet.ipSrc = IPAddress(high: high, low: 1)
        packet.ipDst = IPAddress(high: 0x2001 << 48, low: 2)
        #expect(EndpointLabelerTests.labeler.label(packet).src.epc == epc)
    }

    @Test func sameMACsAreLocal() {
        let ends = EndpointLabelerTests.labeler.label(EndpointLabelerTests.packet(1 << 24, 2 << 24, macs: (5, 5)))
        for end in [ends.src, ends.dst] {
            #expect(end.epc == 3302 && end.isDevice && end.isLocalMac && end.isLocalIP)
            #expect(!end.isL3End)
        }
    }

    @Test func loopbackEndsHere() {
        let ends = EndpointLabelerTests.labeler.label(EndpointLabelerTests.packet(0x7f00_0001, 0x7f00_0001))
        #expect(ends.src.isL3End && ends.dst.isL3End)
    }

    @Test func interfacesOfThisHost() {
        let local = EndpointLabelerTests.local
        var packet = EndpointLabelerTests.packet(0x0a00_0001, 0x0a00_0002, macs: (local.mac, 0x22))
        packet.l2End0 = true
        let ends = EndpointLabelerTests.labeler.label(packet)
        #expect(ends.src.isL2End && ends.src.isL3End && ends.src.isLocalMac && ends.src.isLocalIP)
        #expect(!ends.dst.isL2End && !ends.dst.isL3End && !ends.dst.isLocalMac && !ends.dst.isLocalIP)
        // The address alone, behind another MAC, does not end here.
        packet.macSrc = 0x33
        #expect(!EndpointLabelerTests.labeler.label(packet).src.isL3End)
    }

    /// An open flow is seen from a new place once the interfaces of the host are known. Source: agent-flow.md 12.
    @Test func labelsFollowTheInterfaces() {
        var bench = FlowTableBench()
        func inject(_ ms: UInt64, fromServer: Bool) {
            var packet = FlowTableBench.packet(atMs: ms, fromServer: fromServer, proto: IPProtocol.udp, payload: 8)
            packet.l2End0 = !fromServer
            packet.l2End1 = fromServer
            bench.inject(packet)
        }
        inject(0, fromServer: false)
        inject(1, fromServer: true)
        bench.tick(ms: 2000)
        #expect(bench.records.last?.tapSide == TapSide.rest.rawValue)
        bench.labeler = EndpointLabeler(forwardTable: [.init(mac: 1, ip: IPAddress(v4: 0x0a00_0001))])
        inject(2500, fromServer: true)
        bench.tick(ms: 5000)
        #expect(bench.records.last?.tapSide == TapSide.client.rawValue)
        #expect(bench.records.last?.src.isL3End == true && bench.records.last?.dst.isL3End == false)
    }
}
