import Model

/// Link layers that frames arrive with.
package enum LinkType: UInt16, Sendable, BitwiseCopyable {
    /// BSD loopback: 4-byte address family in host order of the writer.
    case null = 0
    case ethernet = 1
    case raw = 101
    case loop = 108
    case linuxSLL = 113
    case ipv4 = 228
    case ipv6 = 229
    case linuxSLL2 = 276

    /// Number in a capture file; 12 and 14 are raw IP of some systems.
    package init?(fileNumber: UInt16) {
        switch fileNumber {
        case 12, 14: self = .raw
        default:
            guard let known = LinkType(rawValue: fileNumber) else { return nil }
            self = known
        }
    }
}

/// Reads headers of one frame into a `MetaPacket`. Stateless; never reads behind `frame`.
package enum PacketParser {
    /// - Parameters:
    ///   - frame: captured bytes, borrowed for the call.
    ///   - originalLength: for the upward correction of `packetLen` (7.2); 0 offline.
    /// - Returns: false when the link header itself is cut (`invalid_packets`). Any later cut leaves the fields read so far.
    @inline(__always)
    package static func parse(
        _ frame: RawSpan, link: LinkType, originalLength: Int, into packet: inout MetaPacket
    ) -> Bool {
        switch link {
        case .ethernet:
            return parseEthernet(frame, originalLength: originalLength, into: &packet)
        default:
            return parseOtherLink(frame, link: link, originalLength: originalLength, into: &packet)
        }
    }

    /// A frame of an Ethernet link, taken out of its tunnels.
    @inline(__always)
    package static func parse(
        _ frame: RawSpan, through decapsulator: Decapsulator, originalLength: Int, into packet: inout MetaPacket
    ) -> Bool {
        guard parseEthernet(frame, originalLength: originalLength, into: &packet) else { return false }
        guard packet.proto != IPProtocol.tcp, Decapsulator.mayHold(packet) else { return true }
        return parseContent(frame, through: decapsulator, originalLength: originalLength, into: &packet)
    }

    /// Of a packet that looks like a tunnel: what is in it, or the packet itself.
    @inline(never)
    private static func parseContent(
        _ frame: RawSpan, through decapsulator: Decapsulator, originalLength: Int, into packet: inout MetaPacket
    ) -> Bool {
        var inner = Decapsulator.Inner()
        var content = MetaPacket()
        guard decapsulator.open(frame, into: &content.tunnel, inner: &inner) else { return true }
        content.timeNs = packet.timeNs
        content.isDecapsulated = true
        packet = content
        return parse(frame, inner: inner, originalLength: originalLength, into: &packet)
    }

    /// The frame inside a tunnel.
    /// - Parameter originalLength: of the captured frame; 0 offline.
    @inline(never)
    static func parse(
        _ frame: RawSpan, inner: Decapsulator.Inner, originalLength: Int, into packet: inout MetaPacket
    ) -> Bool {
        guard inner.start <= frame.byteCount else { return false }
        let content = frame.extracting(inner.start..<frame.byteCount)
        let length = max(0, originalLength - inner.start)
        if inner.hasOwnLink {
            guard parseEthernet(content, originalLength: length, into: &packet) else { return false }
        } else {
            // The link header of the outer frame, without its type.
            packet.macDst = frame.be64(at: inner.link) >> 16
            packet.macSrc = UInt64(frame.be16(at: inner.link + 6)) << 32 | UInt64(frame.be32(at: inner.link + 8))
            if inner.linkBytes > 14 { packet.vlan = frame.be16(at: inner.link + inner.linkBytes - 4) & 0xfff }
            packet.ethType = inner.ethType
            parseNetwork(
                content, l3: inner.linkBytes, linkBytes: inner.linkBytes, originalLength: length, into: &packet)
        }
        if packet.payloadOffset > 0 { packet.payloadOffset += Int32(truncatingIfNeeded: inner.start) }
        return true
    }

    @inline(__always)
    private static func parseEthernet(_ frame: RawSpan, originalLength: Int, into packet: inout MetaPacket) -> Bool {
        let length = frame.byteCount
        guard length >= 14 else { return false }
        let first = frame.be64(at: 0)
        packet.macDst = first >> 16
        packet.macSrc = (first & 0xffff) << 32 | UInt64(frame.be32(at: 8))
        var type = frame.be16(at: 12)
        var l3 = 14
        // Up to two tags; the tag of 802.1ad (0x88a8) is followed too, beyond the reference.
        var tags = 0
        while type == EtherType.dot1q || type == EtherType.qinq, tags < 2 {
            guard length >= l3 + 4 else { return false }
            packet.vlan = frame.be16(at: l3) & 0xfff
            type = frame.be16(at: l3 + 2)
            l3 += 4
            tags += 1
        }
        packet.ethType = type
        parseNetwork(frame, l3: l3, linkBytes: l3, originalLength: originalLength, into: &packet)
        return true
    }

    /// Cooked, raw and loopback frames: counted as if an Ethernet header of 14 bytes stood before the IP header.
    @inline(never)
    private static func parseOtherLink(
        _ frame: RawSpan, link: LinkType, originalLength: Int, into packet: inout MetaPacket
    ) -> Bool {
        let length = frame.byteCount
        let l3: Int
        let type: UInt16
        switch link {
        case .linuxSLL:
            guard length >= 16 else { return false }
            type = frame.be16(at: 14)
            l3 = 16
        case .linuxSLL2:
            guard length >= 20 else { return false }
            type = frame.be16(at: 0)
            l3 = 20
        case .null, .loop:
            guard length >= 5 else { return false }
            type = frame.u8(at: 4) >> 4 == 6 ? EtherType.ipv6 : EtherType.ipv4
            l3 = 4
        case .raw, .ipv4, .ipv6, .ethernet:
            guard length >= 1 else { return false }
            type = frame.u8(at: 0) >> 4 == 6 ? EtherType.ipv6 : EtherType.ipv4
            l3 = 0
        }
        packet.ethType = type
        var network = l3
        var linkBytes = 14
        if type == EtherType.dot1q || type == EtherType.qinq {
            guard length >= l3 + 4 else { return false }
            packet.vlan = frame.be16(at: l3) & 0xfff
            packet.ethType = frame.be16(at: l3 + 2)
            network += 4
            linkBytes += 4
        }
        parseNetwork(frame, l3: network, linkBytes: linkBytes, originalLength: originalLength, into: &packet)
        // 7.7: the MAC fields carry the addresses, so that the two ends stay apart without link addresses.
        if packet.ethType == EtherType.ipv4 {
            packet.macDst = UInt64(packet.ipDst.v4) << 16
            packet.macSrc = UInt64(packet.ipSrc.v4) << 16
        } else if packet.ethType == EtherType.ipv6 {
            packet.macDst = packet.ipDst.high >> 16
            packet.macSrc = packet.ipSrc.high >> 16
        }
        return true
    }

    @inline(__always)
    private static func parseNetwork(
        _ frame: RawSpan, l3: Int, linkBytes: Int, originalLength: Int, into packet: inout MetaPacket
    ) {
        switch packet.ethType {
        case EtherType.ipv4:
            parseIPv4(frame, l3: l3, linkBytes: linkBytes, originalLength: originalLength, into: &packet)
        case EtherType.ipv6:
            parseIPv6(frame, l3: l3, linkBytes: linkBytes, originalLength: originalLength, into: &packet)
        case EtherType.arp: parseARP(frame, l3: l3, into: &packet)
        default: packet.packetLen = UInt32(truncatingIfNeeded: frame.byteCount)
        }
    }

    private static func parseARP(_ frame: RawSpan, l3: Int, into packet: inout MetaPacket) {
        packet.packetLen = UInt32(truncatingIfNeeded: frame.byteCount)
        guard frame.byteCount >= l3 + 28 else { return }
        packet.ipSrc = IPAddress(v4: frame.be32(at: l3 + 14))
        packet.ipDst = IPAddress(v4: frame.be32(at: l3 + 24))
    }

    @inline(__always)
    private static func parseIPv4(
        _ frame: RawSpan, l3: Int, linkBytes: Int, originalLength: Int, into packet: inout MetaPacket
    ) {
        let length = frame.byteCount
        guard length >= l3 + 20 else {
            packet.packetLen = UInt32(truncatingIfNeeded: length)
            return
        }
        let optionBytes = max(0, Int(frame.u8(at: l3) & 15) * 4 - 20)
        let total = Int(frame.be16(at: l3 + 2))
        var packetLen = total == 0 ? linkBytes + length - l3 : max(linkBytes + total, linkBytes + 20)
        packet.ipID = frame.be16(at: l3 + 4)
        let fragment = frame.be16(at: l3 + 6)
        let proto = frame.u8(at: l3 + 9)
        packet.proto = proto
        packet.ipSrc = IPAddress(v4: frame.be32(at: l3 + 12))
        packet.ipDst = IPAddress(v4: frame.be32(at: l3 + 16))
        let consumed = linkBytes + 20 + optionBytes
        packet.l3PayloadLen = UInt16(truncatingIfNeeded: max(0, packetLen - consumed))
        let l4 = l3 + 20 + optionBytes
        // Trap 7.3: the mask leaves out the highest offset bit.
        if fragment & 0x0fff != 0 {
            packet.l4Protocol = proto == IPProtocol.tcp ? .tcp : proto == IPProtocol.udp ? .udp : .unknown
            packet.l4PayloadLen = packet.l3PayloadLen
            packet.payloadLen = packet.l3PayloadLen
            packet.packetLen = UInt32(truncatingIfNeeded: packetLen)
            return
        }
        packet.capturedByte = Int32(truncatingIfNeeded: max(0, length - l4))
        parseTransport(
            frame, l4: l4, headerBytes: consumed, isIPv6: false, packetLen: &packetLen, originalLength: originalLength,
            into: &packet)
        packet.packetLen = UInt32(truncatingIfNeeded: packetLen)
    }

    private static func parseIPv6(
        _ frame: RawSpan, l3: Int, linkBytes: Int, originalLength: Int, into packet: inout MetaPacket
    ) {
        let length = frame.byteCount
        guard length >= l3 + 40 else {
            packet.packetLen = UInt32(truncatingIfNeeded: length)
            return
        }
        let payload = Int(frame.be16(at: l3 + 4))
        var packetLen = linkBytes + 40 + (payload == 0 ? length - l3 - 40 : payload)
        packet.ipSrc = IPAddress(high: frame.be64(at: l3 + 8), low: frame.be64(at: l3 + 16))
        packet.ipDst = IPAddress(high: frame.be64(at: l3 + 24), low: frame.be64(at: l3 + 32))
        let first = frame.u8(at: l3 + 6)
        var next = first
        var l4 = l3 + 40
        var isCut = false
        chain: while true {
            let size: Int
            switch next {
            case 0, 43, 60:
                guard length >= l4 + 2 else { isCut = true; break chain }
                size = (Int(frame.u8(at: l4 + 1)) + 1) * 8
            case 44: size = 8
            case 51:
                guard length >= l4 + 2 else { isCut = true; break chain }
                size = (Int(frame.u8(at: l4 + 1)) + 2) * 4
            default: break chain
            }
            guard length >= l4 + size, size > 0 else { isCut = true; break chain }
            next = frame.u8(at: l4)
            l4 += size
        }
        if isCut {
            next = first
            l4 = l3 + 40
        }
        packet.proto = next
        packet.l3PayloadLen = UInt16(truncatingIfNeeded: max(0, length - l4))
        packet.capturedByte = Int32(truncatingIfNeeded: max(0, length - l4 + 20))
        parseTransport(
            frame, l4: l4, headerBytes: linkBytes + (l4 - l3), isIPv6: true, packetLen: &packetLen,
            originalLength: originalLength, into: &packet)
        packet.packetLen = UInt32(truncatingIfNeeded: packetLen)
    }

    @inline(__always)
    private static func parseTransport(
        _ frame: RawSpan, l4: Int, headerBytes: Int, isIPv6: Bool, packetLen: inout Int, originalLength: Int,
        into packet: inout MetaPacket
    ) {
        let length = frame.byteCount
        switch packet.proto {
        case IPProtocol.tcp:
            packet.l4Protocol = .tcp
            packetLen = max(packetLen, headerBytes + 20)
            guard length >= l4 + 20 else { return }
            let ports = frame.be32(at: l4)
            packet.portSrc = UInt16(truncatingIfNeeded: ports >> 16)
            packet.portDst = UInt16(truncatingIfNeeded: ports)
            packet.seq = frame.be32(at: l4 + 4)
            packet.ack = frame.be32(at: l4 + 8)
            let offsetAndFlags = frame.be16(at: l4 + 12)
            packet.dataOffset = UInt8(truncatingIfNeeded: offsetAndFlags >> 12)
            packet.tcpFlags = UInt8(truncatingIfNeeded: offsetAndFlags) & TCPFlags.mask
            packet.window = frame.be16(at: l4 + 14)
            let headerSize = max(20, Int(packet.dataOffset) * 4)
            let payload = max(0, packetLen - headerBytes - headerSize)
            packet.l4PayloadLen = UInt16(truncatingIfNeeded: payload)
            packet.payloadLen = packet.l4PayloadLen
            if headerSize > 20 {
                parseTCPOptions(frame, from: l4 + 20, to: min(length, l4 + headerSize), into: &packet)
            }
            setPayload(length: length, start: l4 + headerSize, into: &packet)
            if packetLen + 16 < originalLength { packetLen = originalLength }
        case IPProtocol.udp:
            packet.l4Protocol = .udp
            packetLen = max(packetLen, headerBytes + 8)
            guard length >= l4 + 8 else { return }
            let ports = frame.be32(at: l4)
            packet.portSrc = UInt16(truncatingIfNeeded: ports >> 16)
            packet.portDst = UInt16(truncatingIfNeeded: ports)
            packet.l4PayloadLen = UInt16(truncatingIfNeeded: max(0, packetLen - headerBytes - 8))
            packet.payloadLen = packet.l4PayloadLen
            setPayload(length: length, start: l4 + 8, into: &packet)
            if packetLen + 16 < originalLength { packetLen = originalLength }
        case IPProtocol.icmp where !isIPv6, IPProtocol.icmpv6 where isIPv6:
            parseICMP(frame, l4: l4, headerBytes: headerBytes, isIPv6: isIPv6, packetLen: &packetLen, into: &packet)
        default:
            packet.payloadLen = UInt16(truncatingIfNeeded: max(0, packetLen - headerBytes))
        }
    }

    @inline(__always)
    private static func setPayload(length: Int, start: Int, into packet: inout MetaPacket) {
        guard length > start else { return }
        packet.payloadOffset = Int32(truncatingIfNeeded: start)
        packet.payloadCaptured = Int32(truncatingIfNeeded: length - start)
    }

    private static func parseICMP(
        _ frame: RawSpan, l4: Int, headerBytes: Int, isIPv6: Bool, packetLen: inout Int, into packet: inout MetaPacket
    ) {
        let length = frame.byteCount
        packet.l4Protocol = .icmp
        if !isIPv6 { packetLen = max(packetLen, headerBytes + 8) }
        guard length >= l4 + 8 else { return }
        let type = frame.u8(at: l4)
        packet.icmpType = type
        let isRequest = type == (isIPv6 ? 128 : 8)
        let isReply = type == (isIPv6 ? 129 : 0)
        if isRequest || isReply { packet.icmpIDSeq = frame.be32(at: l4 + 4) }
        if isReply { packet.direction = .serverToClient }
        let isError = !isIPv6 && (type == 3 || type == 4 || type == 5 || type == 12)
        packet.payloadLen = UInt16(truncatingIfNeeded: max(0, packetLen - headerBytes - (isError ? 36 : 8)))
        if isIPv6, type == 136, !packet.ipSrc.isLinkLocal(v6: true) { packet.isNDPReply = true }
        packet.payloadOffset = Int32(truncatingIfNeeded: l4 + 8)
        packet.payloadCaptured = Int32(truncatingIfNeeded: length - l4 - 8)
    }

    /// Window scale and the client address of TOA (kinds 254 and 200). Source: agent-flow.md 7.5.
    @inline(__always)
    private static func parseTCPOptions(_ frame: RawSpan, from: Int, to: Int, into packet: inout MetaPacket) {
        var at = from
        // Two NOPs and the time stamps: what nearly every packet of an open connection carries.
        if to - from == 12, frame.be32(at: from) == 0x0101_080a { return }
        while at < to {
            let kind = frame.u8(at: at)
            if kind == 0 { return }
            if kind == 1 {
                at += 1
                continue
            }
            guard at + 1 < to else { return }
            let size = max(2, Int(frame.u8(at: at + 1)))
            guard at + size <= to else { return }
            if kind == 3, size >= 3 {
                packet.windowScale = frame.u8(at: at + 2)
            } else if kind == 254 || kind == 200, size == 8 {
                packet.toaSrcPort = frame.be16(at: at + 2)
                packet.toaSrcIP = frame.be32(at: at + 4)
            }
            at += size
        }
    }
}
