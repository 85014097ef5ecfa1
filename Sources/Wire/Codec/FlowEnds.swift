import Model

/// Addresses and ports of a flow as they travel: `flow_key` carries the real (farthest) ends, `real_ip` and
/// `real_port` of the peers the captured ones. Source: agent-flow.md 16.4, wire.md 7.
struct FlowEnds: Equatable {
    /// `flow_key.ip_src`, `ip_dst`: zero when the pair travels as IPv6.
    var ipSrc: UInt32 = 0
    var ipDst: UInt32 = 0
    /// `flow_key.ip6_src`, `ip6_dst`: zero for an IPv4 pair.
    var ip6Src = IPAddress()
    var ip6Dst = IPAddress()
    /// `real_ip` of the peers.
    var capturedSrc: UInt32 = 0
    var capturedDst: UInt32 = 0

    init() {}

    @inline(__always)
    init(_ flow: borrowing TaggedFlow) {
        let isIPv6 = flow.isIPv6
        let src = flow.src.realIP
        let dst = flow.dst.realIP
        if isIPv6 {
            ip6Src = src
            ip6Dst = dst
        } else if src.fitsIPv4, dst.fitsIPv4 {
            ipSrc = src.v4
            ipDst = dst.v4
        } else {
            // One real end is IPv6, say from a TCP option: the other one is sent mapped.
            ip6Src = src.fitsIPv4 ? .mapped(src.v4) : src
            ip6Dst = dst.fitsIPv4 ? .mapped(dst.v4) : dst
        }
        capturedSrc = isIPv6 ? Self.low32(flow.key.ipSrc) : flow.key.ipSrc.v4
        capturedDst = isIPv6 ? Self.low32(flow.key.ipDst) : flow.key.ipDst.v4
    }

    /// Undoes the exchange. A captured IPv6 address that was not sent is taken to be the real one.
    @inline(__always)
    func apply(to flow: inout TaggedFlow) {
        let isIPv6 = flow.isIPv6
        let isWide = isIPv6 || !ip6Src.isZero || !ip6Dst.isZero
        flow.src.realIP = isWide ? ip6Src : IPAddress(v4: ipSrc)
        flow.dst.realIP = isWide ? ip6Dst : IPAddress(v4: ipDst)
        flow.key.ipSrc = isIPv6 ? Self.captured(capturedSrc, ip6Src) : IPAddress(v4: capturedSrc)
        flow.key.ipDst = isIPv6 ? Self.captured(capturedDst, ip6Dst) : IPAddress(v4: capturedDst)
    }

    /// What `real_ip` says of an IPv6 address: the low 32 bits of mapped ones and of `::/96`, else 0.
    private static func low32(_ address: IPAddress) -> UInt32 {
        address.fitsIPv4 || address.isMapped ? address.v4 : 0
    }

    private static func captured(_ sent: UInt32, _ real: IPAddress) -> IPAddress {
        if sent == low32(real) { return real }
        return sent == 0 ? IPAddress() : .mapped(sent)
    }
}
