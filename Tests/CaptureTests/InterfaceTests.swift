import Model
import Testing

@testable import Capture

struct InterfaceTests {
    private static func interface(_ name: String, _ index: Int32, mac: UInt64) -> NetworkInterface {
        NetworkInterface(name: name, index: index, mac: mac, isUp: true)
    }

    /// Source: agent-config.md 3.
    @Test func standardPatternsChooseInterfaces() throws {
        let names = [
            "lo", "eth0", "ens3", "enp0s3", "docker0", "cali1234", "wlan0", "tap0", "00aa_h", "ethernet", "eth10",
        ]
        let outer = try NamePattern(InterfaceSelection.defaultPattern)
        #expect(outer.matching(names) == Set(names).subtracting(["docker0", "wlan0"]))
        let inner = try NamePattern("^eth\\d+$")
        #expect(inner.matching(names) == ["eth0", "eth10"])
        #expect(try NamePattern("").matching(names).isEmpty)
        #expect(throws: Failure.self) { try NamePattern("^(eth") }
    }

    /// Source: agent-flow.md 3 (`bond_interfaces`): members bear the MAC of the first.
    @Test func membersOfABondBearTheFirstMAC() {
        let all = [
            Self.interface("eth0", 2, mac: 0xa), Self.interface("eth1", 3, mac: 0xb),
            Self.interface("eth2", 4, mac: 0xc),
        ]
        #expect(all.bonded(["eth1", "eth0"]).map(\.bondMAC) == [0xb, 0xb, nil])
        #expect(all.bonded(["eth9", "eth2"]).map(\.bondMAC) == [nil, nil, 0xc])
        #expect(all.bonded([]).map(\.bondMAC) == [nil, nil, nil])
    }

    @Test func versionsOfRingsInTheirOrder() {
        #expect(PacketRing.attempts(.automatic) == [3, 2])
        #expect(PacketRing.attempts(.v2) == [2])
        #expect(PacketRing.attempts(.v3) == [3])
    }

    /// Source: agent-flow.md 4.3, string form.
    @Test func ownTrafficInPcapSyntaxCompiles() throws {
        var own = OwnTraffic()
        own.localIP = IPAddress(v4: 0x0a00_0001)
        let rule = CaptureRule(interfaces: [], filter: try CaptureFilter("tcp"), own: own)
        for part in [
            "(tcp) and (", "src host 10.0.0.1 and dst port 30033", "not (udp and dst port 4789 and udp[8:1]=255)",
        ] {
            #expect(rule.expression.contains(part), "\(rule.expression)")
        }
        _ = try CaptureFilter(rule.expression)
        own.isIPv6 = true
        own.localIP = IPAddress(high: 0xfd77_0000_0000_0000, low: 1)
        _ = try CaptureFilter(CaptureRule(interfaces: [], own: own).expression)
    }
}
