package import Model

/// What the packet path knows of one packet. Plain values; offsets count from the start of the captured frame.
/// Source: agent-flow.md 7.
@frozen
package struct MetaPacket: BitwiseCopyable, Sendable {
    package var timeNs: UInt64 = 0
    package var tapPort: UInt64 = 0
    package var macSrc: UInt64 = 0
    package var macDst: UInt64 = 0
    package var ipSrc = IPAddress()
    package var ipDst = IPAddress()

    /// Base of every byte counter: Ethernet header + IP total length, without padding (7.2).
    package var packetLen: UInt32 = 0
    package var seq: UInt32 = 0
    package var ack: UInt32 = 0
    /// Identifier and sequence of an ICMP echo, big-endian as one number.
    package var icmpIDSeq: UInt32 = 0

    package var l3PayloadLen: UInt16 = 0
    package var l4PayloadLen: UInt16 = 0
    /// TCP and UDP: as `l4PayloadLen`; ICMP: bytes behind the ICMP header.
    package var payloadLen: UInt16 = 0
    package var portSrc: UInt16 = 0
    package var portDst: UInt16 = 0
    package var window: UInt16 = 0
    package var ethType: UInt16 = 0
    package var vlan: UInt16 = 0
    package var ipID: UInt16 = 0
    package var tapType: UInt16 = CaptureNetworkType.cloud

    /// Start of the captured L4 payload; 0 = none. Behind an ICMP header also when nothing follows.
    package var payloadOffset: Int32 = 0
    /// Captured bytes behind the L4 header, Ethernet padding included.
    package var payloadCaptured: Int32 = 0
    /// `captured_byte` of the L7 parsers (agent-l7.md 5).
    package var capturedByte: Int32 = 0

    package var proto: UInt8 = 0
    package var l4Protocol = L4Protocol.unknown
    /// Masked by 0x3f.
    package var tcpFlags: UInt8 = 0
    /// In 32-bit words; 0 for a TCP fragment.
    package var dataOffset: UInt8 = 0
    package var windowScale: UInt8 = 0
    package var icmpType: UInt8 = 0
    package var direction = PacketDirection.clientToServer
    package var l2End0 = false
    package var l2End1 = false
    package var isNDPReply = false
    /// The packet came in a tunnel that was taken off, shown or not.
    package var isDecapsulated = false
    package var toaSrcPort: UInt16 = 0
    package var toaSrcIP: UInt32 = 0
    /// What was around the packet; all other fields are of the inner frame.
    package var tunnel = PacketTunnel()

    @inlinable package init() {}

    @inlinable package var isIPv6: Bool { ethType == EtherType.ipv6 }
    @inlinable package var isSyn: Bool { tcpFlags == TCPFlags.syn }
    @inlinable package var isSynAck: Bool { tcpFlags == TCPFlags.synAck && l4PayloadLen == 0 }
    @inlinable package var isAck: Bool { tcpFlags == TCPFlags.ack && l4PayloadLen == 0 }
    @inlinable package var isPshAck: Bool { tcpFlags == TCPFlags.psh | TCPFlags.ack && l4PayloadLen > 1 }
    @inlinable package var isEcho: Bool {
        isIPv6 ? icmpType == 128 || icmpType == 129 : icmpType == 8 || icmpType == 0
    }
    /// One byte is a keepalive.
    @inlinable package var hasValidPayload: Bool { l4PayloadLen > 1 }
}
