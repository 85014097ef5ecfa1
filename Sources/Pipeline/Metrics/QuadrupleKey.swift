import Model

/// What makes two flows one in a window slot: ends, service port, capture point. Source: agent-flow.md 13.2.
///
/// Seven words, made from the facts of a record or again from those that a slot keeps; an IPv4 key leaves the upper
/// words of its addresses zero and differs from an IPv6 key in a flag bit. The source port is not part of it, and the
/// addresses are the captured ones.
struct QuadrupleKey: BitwiseCopyable {
    /// As in the facts.
    let place: UInt64
    /// tap side, tunnel, family (24), capture port kind (4), low half of the capture port (32).
    let seen: UInt64
    let gpids: UInt64
    let src: IPAddress
    let dst: IPAddress

    @inline(__always)
    init(_ facts: FlowFacts, gpids: UInt64) {
        place = facts.place
        let port = facts.tapPort & 0xffff_ffff | (facts.tapPort >> 60) << 32
        seen = UInt64(facts.view & FlowFacts.keyMask) << 36 | port
        self.gpids = gpids
        src = facts.src
        dst = facts.dst
    }

    @inline(__always)
    var hash: UInt64 {
        let ends = MetricsHash.mix(
            src.low ^ (src.high &* MetricsHash.k1), dst.low ^ (dst.high &* MetricsHash.k0))
        let rest = MetricsHash.mix(seen ^ gpids &* MetricsHash.k0, place)
        return MetricsHash.step(ends, rest)
    }

    @inline(__always)
    func equals(_ other: QuadrupleKey) -> Bool {
        let near = (src.low ^ other.src.low) | (dst.low ^ other.dst.low)
        let what = (place ^ other.place) | (seen ^ other.seen)
        let far = (src.high ^ other.src.high) | (dst.high ^ other.dst.high)
        return near | what | far | (gpids ^ other.gpids) == 0
    }
}

/// Raw values as this module's own constants: those of another module are read through calls.
enum Raw {
    @inline(__always) static var packet: UInt8 { 0 }
    @inline(__always) static var xflow: UInt8 { 1 }
    @inline(__always) static var ebpf: UInt8 { 3 }
    @inline(__always) static var otel: UInt8 { 4 }
    @inline(__always) static var icmp: UInt8 { 1 }
    @inline(__always) static var tcp: UInt8 { 6 }
    @inline(__always) static var udp: UInt8 { 17 }
    @inline(__always) static var icmpv6: UInt8 { 58 }
    @inline(__always) static var forcedReport: UInt8 { 5 }
    @inline(__always) static var finClientRst: UInt8 { 20 }
    @inline(__always) static var clientRst: UInt8 { 9 }
    @inline(__always) static var sideLocal: UInt8 { 4 }
    @inline(__always) static var sideApp: UInt8 { 48 }
    @inline(__always) static var ipv6: UInt16 { 0x86dd }
}
