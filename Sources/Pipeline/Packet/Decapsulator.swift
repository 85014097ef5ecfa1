package import Model

/// Kinds of tunnels.
package struct TunnelSet: Sendable, Equatable, BitwiseCopyable, ExpressibleByArrayLiteral {
    private var bits: UInt16 = 0

    package init(arrayLiteral types: TunnelType...) { for type in types { insert(type) } }

    package var isEmpty: Bool { bits == 0 }

    package mutating func insert(_ type: TunnelType) {
        if type != .none { bits |= 1 << UInt16(type.rawValue) }
    }

    package func contains(_ type: TunnelType) -> Bool { bits & 1 << UInt16(type.rawValue) != 0 }

    package func union(_ other: TunnelSet) -> TunnelSet {
        var all = self
        all.bits |= other.bits
        return all
    }
}

/// The outermost tunnel that a packet came through.
@frozen
package struct PacketTunnel: BitwiseCopyable, Sendable, Equatable {
    /// VNI, session or key, by the type.
    package var id: UInt32 = 0
    /// Outer addresses; of IPv6 the last four bytes.
    package var ipSrc: UInt32 = 0
    package var ipDst: UInt32 = 0
    /// Low four bytes of the outer addresses.
    package var macSrc: UInt32 = 0
    package var macDst: UInt32 = 0
    package var type = TunnelType.none
    /// Layers that were taken off, at most 2; 0 = no tunnel.
    package var tier: UInt8 = 0
    package var isIPv6 = false

    @inlinable package init() {}
}

/// Takes tunnels off an Ethernet frame. Stateless; reads nothing behind the frame, changes nothing in it.
///
/// VXLAN (RFC 7348), VXLAN-GPE with NSH (RFC 8300), Geneve (RFC 8926), IP in IP (RFC 2003, 4213, 2473), GRE with
/// Ethernet (RFC 7637, keys by RFC 2890), ERSPAN I to III (draft-foschiano-erspan). Source: agent-flow.md 6.
package struct Decapsulator: Sendable {
    package static let maxLayers = 2

    /// The frame inside. Its network header does not always follow a link header of its own: IP in IP has none, and then
    /// that of the outer frame counts as its header.
    struct Inner: BitwiseCopyable {
        /// Where the inner frame begins, as if its link header stood right before its network header.
        var start = 0
        /// Where its link header is.
        var link = 0
        var linkBytes = 14
        var ethType: UInt16 = 0

        var network: Int { start + linkBytes }
        var hasOwnLink: Bool { start == link }
    }

    private enum Content {
        case ethernet, ipv4, ipv6
    }

    private struct Match {
        var type: TunnelType
        var id: UInt32 = 0
        /// Where the content begins.
        var at: Int
        var content = Content.ethernet
    }

    /// Types that are taken off and shown in the flow.
    package var shown: TunnelSet
    /// Types that are taken off without a trace.
    package var trimmed: TunnelSet
    private var all: TunnelSet { shown.union(trimmed) }

    package init(shown: TunnelSet = [.vxlan, .ipip], trimmed: TunnelSet = []) {
        self.shown = shown
        self.trimmed = trimmed
    }

    package var isEmpty: Bool { all.isEmpty }

    /// - Returns: false when there is no tunnel; `inner` is then of no meaning. A tunnel that is only trimmed leaves
    ///   `tunnel` empty.
    func open(_ frame: RawSpan, into tunnel: inout PacketTunnel, inner: inout Inner) -> Bool {
        inner = Inner()
        guard Self.readLink(frame, &inner) else { return false }
        var layers = 0
        while layers < Self.maxLayers, let match = match(frame, inner) {
            if tunnel.type == .none { Self.describe(frame, inner, match, &tunnel) }
            layers += 1
            tunnel.tier += 1
            if trimmed.contains(tunnel.type) { tunnel = PacketTunnel() }
            switch match.content {
            case .ethernet:
                inner.start = match.at
                inner.link = match.at
                // A cut link header is the parser's to refuse.
                guard Self.readLink(frame, &inner) else { return true }
            case .ipv4, .ipv6:
                inner.start = match.at - inner.linkBytes
                inner.ethType = match.content == .ipv4 ? EtherType.ipv4 : EtherType.ipv6
            }
        }
        return layers > 0
    }

    /// Link header with up to two VLAN tags.
    private static func readLink(_ frame: RawSpan, _ inner: inout Inner) -> Bool {
        guard frame.byteCount >= inner.link + 14 else { return false }
        inner.ethType = frame.be16(at: inner.link + 12)
        inner.linkBytes = 14
        while inner.ethType == EtherType.dot1q || inner.ethType == EtherType.qinq, inner.linkBytes < 22 {
            guard frame.byteCount >= inner.link + inner.linkBytes + 4 else { return false }
            inner.ethType = frame.be16(at: inner.link + inner.linkBytes + 2)
            inner.linkBytes += 4
        }
        return true
    }

    private static func describe(_ frame: RawSpan, _ outer: Inner, _ match: Match, _ tunnel: inout PacketTunnel) {
        tunnel.type = match.type
        tunnel.id = match.id
        tunnel.macDst = frame.be32(at: outer.link + 2)
        tunnel.macSrc = frame.be32(at: outer.link + 8)
        tunnel.isIPv6 = outer.ethType == EtherType.ipv6
        // Source and destination; of IPv6 the last words.
        tunnel.ipSrc = frame.be32(at: outer.network + (tunnel.isIPv6 ? 20 : 12))
        tunnel.ipDst = frame.be32(at: outer.network + (tunnel.isIPv6 ? 36 : 16))
    }

    // MARK: - What lies in an IP packet

    /// Whether the headers of a packet are such as a tunnel has.
    @inline(__always)
    static func mayHold(_ packet: MetaPacket) -> Bool {
        switch packet.proto {
        case IPProtocol.udp:
            switch packet.portDst {
            case 4789, 8472, 6784, 6081, 4790: true
            default: packet.portDst == packet.portSrc && packet.macDst >> 32 == 0xffff
            }
        case IPProtocol.gre, IPProtocol.ipv4, IPProtocol.ipv6: true
        default: false
        }
    }

    private func match(_ frame: RawSpan, _ outer: Inner) -> Match? {
        let l3 = outer.network
        switch outer.ethType {
        case EtherType.ipv4:
            // A later fragment has no header behind that of IP.
            guard frame.byteCount >= l3 + 44, frame.be16(at: l3 + 6) & 0x1fff == 0 else { return nil }
            let size = Int(frame.u8(at: l3) & 15) * 4
            guard size >= 20 else { return nil }
            return match(frame, outer, proto: frame.u8(at: l3 + 9), at: l3 + size)
        case EtherType.ipv6:
            guard frame.byteCount >= l3 + 64 else { return nil }
            return match(frame, outer, proto: frame.u8(at: l3 + 6), at: l3 + 40)
        default: return nil
        }
    }

    private func match(_ frame: RawSpan, _ outer: Inner, proto: UInt8, at l4: Int) -> Match? {
        switch proto {
        case IPProtocol.udp: return matchUDP(frame, outer, at: l4)
        case IPProtocol.gre: return matchGRE(frame, at: l4)
        case IPProtocol.ipv4 where all.contains(.ipip): return Match(type: .ipip, at: l4, content: .ipv4)
        case IPProtocol.ipv6 where all.contains(.ipip): return Match(type: .ipip, at: l4, content: .ipv6)
        default: return nil
        }
    }

    private func matchUDP(_ frame: RawSpan, _ outer: Inner, at l4: Int) -> Match? {
        guard frame.byteCount >= l4 + 16 else { return nil }
        let port = frame.be16(at: l4 + 2)
        switch port {
        case 4789, 8472, 6784: return vxlan(frame, at: l4 + 8)
        case 6081: return geneve(frame, at: l4 + 8)
        case 4790: return serviceChain(frame, at: l4 + 8)
        default:
            // Switches that mirror to nobody in particular.
            guard frame.be16(at: outer.link) == 0xffff, frame.be16(at: l4) == port else { return nil }
            return vxlan(frame, at: l4 + 8)
        }
    }

    private func vxlan(_ frame: RawSpan, at header: Int) -> Match? {
        guard all.contains(.vxlan), frame.byteCount >= header + 22, frame.u8(at: header) == 8 else { return nil }
        return Match(type: .vxlan, id: frame.be32(at: header + 4) >> 8, at: header + 8)
    }

    private func geneve(_ frame: RawSpan, at header: Int) -> Match? {
        guard all.contains(.geneve), frame.u8(at: header) >> 6 == 0, frame.be16(at: header + 2) == 0x6558 else {
            return nil
        }
        let options = Int(frame.u8(at: header) & 0x3f) * 4
        guard frame.byteCount >= header + 8 + options else { return nil }
        return Match(type: .geneve, id: frame.be32(at: header + 4) >> 8, at: header + 8 + options)
    }

    /// VXLAN-GPE whose next protocol is NSH.
    private func serviceChain(_ frame: RawSpan, at header: Int) -> Match? {
        guard all.contains(.vxlanNsh), frame.u8(at: header + 3) == 4, frame.byteCount >= header + 16 else { return nil }
        let nsh = header + 8
        let size = Int(frame.be16(at: nsh) & 0x3f) * 4
        guard size >= 8, frame.byteCount >= nsh + size else { return nil }
        let id = frame.be32(at: header + 4) >> 8
        switch frame.u8(at: nsh + 3) {
        case 1: return Match(type: .vxlanNsh, id: id, at: nsh + size, content: .ipv4)
        case 2: return Match(type: .vxlanNsh, id: id, at: nsh + size, content: .ipv6)
        case 3: return Match(type: .vxlanNsh, id: id, at: nsh + size)
        default: return nil
        }
    }

    /// Ethernet and mirrored frames in GRE.
    private func matchGRE(_ frame: RawSpan, at header: Int) -> Match? {
        guard frame.byteCount >= header + 4 else { return nil }
        let flags = frame.be16(at: header)
        guard flags & 7 == 0 else { return nil }
        let (hasChecksum, hasKey, hasSequence) = (flags & 0x8000 != 0, flags & 0x2000 != 0, flags & 0x1000 != 0)
        let key = header + (hasChecksum ? 8 : 4)
        let end = key + (hasKey ? 4 : 0) + (hasSequence ? 4 : 0)
        switch frame.be16(at: header + 2) {
        case 0x6558:
            guard all.contains(.teb), frame.byteCount >= end else { return nil }
            return Match(type: .teb, id: hasKey ? frame.be32(at: key) : 0, at: end)
        case 0x88be:
            guard all.contains(.erspan) else { return nil }
            if !hasSequence { return frame.byteCount >= end ? Match(type: .erspan, at: end) : nil }
            guard frame.byteCount >= end + 8 else { return nil }
            return Match(type: .erspan, id: frame.be32(at: end) & 0x3ff, at: end + 8)
        case 0x22eb:
            guard all.contains(.erspan), frame.byteCount >= end + 12 else { return nil }
            // The last bit tells of 8 more bytes.
            let more = frame.be32(at: end + 8) & 1 == 1 ? 8 : 0
            guard frame.byteCount >= end + 12 + more else { return nil }
            return Match(type: .erspan, id: frame.be32(at: end) & 0x3ff, at: end + 12 + more)
        default: return nil
        }
    }
}

extension TunnelType {
    /// A name of `tunnel_trim_protocols`, in any case.
    init?(trimName name: String) {
        switch asciiUpperCased(name) {
        case "VXLAN": self = .vxlan
        case "ERSPAN": self = .erspan
        case "TEB": self = .teb
        case "VXLAN-NSH": self = .vxlanNsh
        default: return nil
        }
    }
}
