import Testing

@testable import Capture

/// Source: agent-flow.md 5.2, names and MACs.
struct MachineMACsTests {
    private static func interface(_ name: String, index: Int32 = 7, mac: UInt64 = 0x0242_ac11_0002) -> NetworkInterface
    {
        NetworkInterface(name: name, index: index, mac: mac, isUp: true)
    }

    private static let learned = """
        33:33:00:00:00:01 dev fw_12 self permanent
        52:54:9b:0a:0b:0c dev fw_12 master br0
        52:54:9b:0a:0b:0d dev fw_12 master br0
        """

    @Test(
        arguments: [
            ("tap01234567-89", 0x0001_2345_6789), ("aabbccdd@if252", 0xaabb_ccdd), ("aabbccdd", 0xaabb_ccdd),
            ("fw_12", 0x5254_9b0a_0b0c), ("veth_AAbbCCdd", 0xaabb_cc),
            // None of the patterns: the interface's own.
            ("tap0123456-789", 0x0242_ac11_0002), ("tap0123456A-89", 0x0242_ac11_0002), ("AABBCCDD", 0x0242_ac11_0002),
            ("fw_1234", 0x0242_ac11_0002), ("_12", 0x0242_ac11_0002), ("f-w_12", 0x0242_ac11_0002),
            ("veth_aabbccddee", 0x0242_ac11_0002), ("eth0", 0x0242_ac11_0002),
        ] as [(String, UInt64)])
    func macsOfNames(_ name: String, _ mac: UInt64) {
        var macs = MachineMACs()
        macs.source = .name
        #expect(macs.mac(of: Self.interface(name)) { $0 == "fw_12" ? Self.learned : "" } == mac)
    }

    @Test func sources() {
        let interface = Self.interface("vnet0")
        var macs = MachineMACs()
        macs.mapped = MachineMACs.mapping(
            "vnet0,52:54:00:01:02:03\r\n\nvnet1, 52:54:00:01:02:04\nvnet2,nothing\nvnet3\n")
        #expect(macs.mapped == ["vnet0": 0x5254_0001_0203, "vnet1": 0x5254_0001_0204])
        #expect(macs.mac(of: interface) == interface.mac)
        macs.source = .libvirt
        #expect(macs.mac(of: interface) == 0x5254_0001_0203)
        #expect(macs.mac(of: Self.interface("vnet9")) == interface.mac)
        macs.learned = [7: 0x0a58_0af4_0105]
        #expect(macs.mac(of: interface) == 0x0a58_0af4_0105, "what the platform knows goes first")
    }

    @Test func appliedToInterfaces() {
        var macs = MachineMACs()
        macs.source = .name
        macs.excluded = [0x11_0002]
        let interfaces = [Self.interface("tap01234567-89"), Self.interface("eth0"), Self.interface("eth1", mac: 5)]
        let all = macs.apply(to: interfaces)
        #expect(all.map(\.name) == ["tap01234567-89", "eth1"], "an excluded machine is not captured")
        #expect(all.map(\.machineMAC) == [0x0001_2345_6789, nil])
        #expect(all.map(\.mac) == [0x0242_ac11_0002, 5])
    }
}
