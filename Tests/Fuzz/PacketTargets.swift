import Model
import Pipeline
import Samples

/// What every parsed packet promises: its payload lies inside the frame.
private func check(_ packet: MetaPacket, _ input: [UInt8]) throws(Finding) {
    let (start, count) = (Int(packet.payloadOffset), Int(packet.payloadCaptured))
    guard count >= 0, start >= 0, count == 0 || start + count <= input.count else {
        throw Finding(what: "payload \(start)+\(count) of a frame of \(input.count)")
    }
    guard packet.capturedByte >= 0 else { throw Finding(what: "captured byte \(packet.capturedByte)") }
}

/// Link headers of every kind; the first byte chooses.
struct LinkTarget: FuzzTarget {
    static let name = "link"
    private static let links: [LinkType] = [
        .ethernet, .null, .raw, .loop, .linuxSLL, .linuxSLL2, .ipv4, .ipv6,
    ]

    static var seeds: [[UInt8]] {
        var out: [[UInt8]] = [[0] + SampleFrames.inner]
        for number in links.indices {
            out.append([UInt8(number)] + [UInt8](repeating: 0, count: 16) + SampleFrames.innerIP)
        }
        out.append([0] + SampleFrames.ethernet(0x0800, tags: [1, 2]) + SampleFrames.innerIP)
        out.append([0] + SampleFrames.ethernet(0x0806) + [UInt8](repeating: 1, count: 28))
        return out
    }

    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool {
        let frame = Array(input.dropFirst())
        let link = LinkTarget.links[Int(input.first ?? 0) % LinkTarget.links.count]
        var packet = MetaPacket()
        guard PacketParser.parse(frame.span.bytes, link: link, originalLength: input.count, into: &packet) else {
            return false
        }
        try check(packet, frame)
        return true
    }
}

/// IPv4 and IPv6 with extension headers, TCP with options, UDP, ICMP.
struct NetworkTarget: FuzzTarget {
    static let name = "network"

    static var seeds: [[UInt8]] {
        let tcp = SampleFrames.tcp(options: [2, 4, 5, 180, 3, 3, 7, 254, 8, 0, 80, 10, 0, 0, 1, 1])
        let extensions: [UInt8] = [44, 0, 1, 2, 3, 4, 5, 6] + [60, 0, 0, 0, 0, 0, 0, 1] + [51, 0, 1, 4, 0, 0, 0, 0]
        return [
            SampleFrames.ethernet(0x0800) + SampleFrames.ipv4(6, tcp),
            SampleFrames.ethernet(0x0800) + SampleFrames.ipv4(6, tcp, options: 12),
            SampleFrames.ethernet(0x86dd) + SampleFrames.ipv6(6, tcp),
            SampleFrames.ethernet(0x86dd) + SampleFrames.ipv6(0, extensions + [6, 0, 0, 0] + tcp),
            SampleFrames.ethernet(0x0800) + SampleFrames.ipv4(1, [8, 0, 0, 0, 0, 1, 0, 2] + tcp),
            SampleFrames.ethernet(0x86dd) + SampleFrames.ipv6(58, [129, 0, 0, 0, 0, 1, 0, 2] + tcp),
            SampleFrames.inner,
        ]
    }

    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool {
        var packet = MetaPacket()
        guard PacketParser.parse(input.span.bytes, link: .ethernet, originalLength: 0, into: &packet) else {
            return false
        }
        try check(packet, input)
        return packet.l4Protocol != .unknown
    }
}

/// One kind of tunnel at a time, then the packet inside.
protocol TunnelTarget: FuzzTarget {
    static var type: TunnelType { get }
}

extension TunnelTarget {
    static var seeds: [[UInt8]] { SampleFrames.tunnels.filter { $0.type == type }.map { $0.header + $0.content } }

    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool {
        var shown: TunnelSet = [.vxlan]
        shown.insert(Self.type)
        var packet = MetaPacket()
        guard
            PacketParser.parse(
                input.span.bytes, through: Decapsulator(shown: shown), originalLength: input.count, into: &packet)
        else { return false }
        guard packet.tunnel.tier <= 2 else { throw Finding(what: "tier \(packet.tunnel.tier)") }
        try check(packet, input)
        return packet.tunnel.type == Self.type
    }
}

struct VXLANTarget: TunnelTarget {
    static let (name, type) = ("vxlan", TunnelType.vxlan)
}
struct GeneveTarget: TunnelTarget {
    static let (name, type) = ("geneve", TunnelType.geneve)
}
struct NSHTarget: TunnelTarget {
    static let (name, type) = ("nsh", TunnelType.vxlanNsh)
}
struct IPIPTarget: TunnelTarget {
    static let (name, type) = ("ipip", TunnelType.ipip)
}
struct TEBTarget: TunnelTarget {
    static let (name, type) = ("teb", TunnelType.teb)
}
struct ERSPANTarget: TunnelTarget {
    static let (name, type) = ("erspan", TunnelType.erspan)
}
