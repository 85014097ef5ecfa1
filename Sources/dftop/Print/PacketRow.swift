import Capture
import Model
import Pipeline

/// A packet as `dftop print packets` shows it.
struct PacketRow: TableRow {
    private let packet: MetaPacket
    private let wire: Int
    private let captured: Int

    init(packet: MetaPacket, frame: CaptureFrame) {
        self.packet = packet
        wire = frame.wire
        captured = frame.captured
    }

    var isIPv6: Bool { packet.isIPv6 }

    func encode<Encoder: RowEncoder>(into encoder: inout Encoder) {
        encoder.time(micros: packet.timeNs / 1000)
        encoder.uint(UInt64(wire))
        encoder.uint(UInt64(captured))
        encoder.uint(UInt64(packet.packetLen))
        encoder.mac(packet.macSrc)
        encoder.mac(packet.macDst)
        encoder.uint(UInt64(packet.ethType))
        encoder.uint(UInt64(packet.vlan))
        encoder.ip4(packet.isIPv6 ? 0 : packet.ipSrc.v4)
        encoder.ip4(packet.isIPv6 ? 0 : packet.ipDst.v4)
        encoder.ip6(packet.isIPv6 ? packet.ipSrc : IPAddress())
        encoder.ip6(packet.isIPv6 ? packet.ipDst : IPAddress())
        encoder.uint(UInt64(packet.proto))
        encoder.uint(UInt64(packet.portSrc))
        encoder.uint(UInt64(packet.portDst))
        encoder.text(PacketRow.flagNames(packet))
        encoder.uint(UInt64(packet.seq))
        encoder.uint(UInt64(packet.ack))
        encoder.uint(UInt64(packet.window))
        encoder.uint(UInt64(packet.payloadLen))
        encoder.uint(UInt64(packet.tunnel.type.rawValue))
        encoder.uint(UInt64(packet.tunnel.tier))
        encoder.uint(UInt64(packet.tunnel.id))
        encoder.ip4(packet.tunnel.ipSrc)
        encoder.ip4(packet.tunnel.ipDst)
    }

    private static func flagNames(_ packet: MetaPacket) -> String {
        guard packet.l4Protocol == .tcp else { return "" }
        let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG"]
        return names.indices.filter { packet.tcpFlags & 1 << UInt8($0) != 0 }.map { names[$0] }.joined(separator: "|")
    }
}
