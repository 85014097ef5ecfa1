import Foundation
import Model

@testable import Pipeline

/// A packet with payload behind its L4 header, as the parser tests need it.
struct TestPacket {
    /// 1-based number in the file.
    var number = 0
    var timeNs: UInt64 = 0
    var macSrc: [UInt8] = []
    var ipSrc = IPAddress()
    var ipDst = IPAddress()
    var portSrc: UInt16 = 0
    var portDst: UInt16 = 0
    var isIPv6 = false
    var l4 = L4Protocol.tcp
    var tcpSeq: UInt32 = 0
    var payload: [UInt8] = []
}

/// Reads classic pcap: microseconds, nanoseconds, and the "modified" kind with longer record headers; Ethernet, VLAN,
/// IPv4, IPv6, TCP and UDP without tunnels.
struct TestCapture {
    /// Payload packets in file order.
    var packets: [TestPacket] = []
    /// First TCP or UDP packet of the file, with or without payload: its destination is the server.
    var first = TestPacket()

    init(_ file: URL) throws {
        let bytes = [UInt8](try Data(contentsOf: file))
        let word = { (at: Int) -> UInt32 in
            UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16 | UInt32(bytes[at + 3]) << 24
        }
        let magic = word(0)
        precondition([0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34].contains(magic), "not a capture: \(file.path)")
        let unit: UInt64 = magic == 0xa1b2_3c4d ? 1 : 1000
        let header = magic == 0xa1b2_cd34 ? 24 : 16
        var at = 24
        var number = 0
        while at + header <= bytes.count {
            let length = Int(word(at + 8))
            number += 1
            let start = at + header
            guard start + length <= bytes.count else { break }
            var packet = TestPacket()
            packet.number = number
            packet.timeNs = UInt64(word(at)) * 1_000_000_000 + UInt64(word(at + 4)) * unit
            if Self.decode(Array(bytes[start..<start + length]), &packet) {
                if first.number == 0 { first = packet }
                if !packet.payload.isEmpty { packets.append(packet) }
            }
            at = start + length
        }
    }

    private static func decode(_ frame: [UInt8], _ packet: inout TestPacket) -> Bool {
        guard frame.count >= 14 else { return false }
        let be16 = { (at: Int) -> UInt16 in UInt16(frame[at]) << 8 | UInt16(frame[at + 1]) }
        let be32 = { (at: Int) -> UInt32 in UInt32(be16(at)) << 16 | UInt32(be16(at + 2)) }
        let be64 = { (at: Int) -> UInt64 in UInt64(be32(at)) << 32 | UInt64(be32(at + 4)) }
        packet.macSrc = Array(frame[6..<12])
        var at = 14
        var type = be16(12)
        while type == EtherType.dot1q || type == EtherType.qinq {
            guard frame.count >= at + 4 else { return false }
            type = be16(at + 2)
            at += 4
        }
        let proto: UInt8
        switch type {
        case EtherType.ipv4:
            guard frame.count >= at + 20 else { return false }
            proto = frame[at + 9]
            packet.ipSrc = IPAddress(v4: be32(at + 12))
            packet.ipDst = IPAddress(v4: be32(at + 16))
            at += Int(frame[at] & 15) * 4
        case EtherType.ipv6:
            guard frame.count >= at + 40 else { return false }
            proto = frame[at + 6]
            packet.isIPv6 = true
            packet.ipSrc = IPAddress(high: be64(at + 8), low: be64(at + 16))
            packet.ipDst = IPAddress(high: be64(at + 24), low: be64(at + 32))
            at += 40
        default: return false
        }
        guard frame.count >= at + 8 else { return false }
        packet.portSrc = be16(at)
        packet.portDst = be16(at + 2)
        switch proto {
        case IPProtocol.tcp:
            guard frame.count >= at + 20 else { return false }
            packet.tcpSeq = be32(at + 4)
            at += Int(frame[at + 12] >> 4) * 4
        case IPProtocol.udp:
            packet.l4 = .udp
            at += 8
        default: return false
        }
        guard at <= frame.count else { return false }
        packet.payload = Array(frame[at...])
        return true
    }
}

extension TestPacket {
    func l7Packet(toServer: Bool) -> L7Packet {
        var packet = L7Packet()
        packet.timeNs = timeNs
        packet.ipSrc = ipSrc
        packet.ipDst = ipDst
        packet.portSrc = portSrc
        packet.portDst = portDst
        packet.isIPv6 = isIPv6
        packet.l4Protocol = l4
        packet.direction = toServer ? .clientToServer : .serverToClient
        packet.tcpSeq = tcpSeq
        packet.capturedByte = UInt32(payload.count)
        return packet
    }
}
