import Model

/// What makes two flows one in a window slot: ends, service port, capture point. Source: agent-flow.md 13.2.
///
/// Seven words, made from the record or again from the facts that a slot keeps; an IPv4 key leaves the upper words of
/// its addresses zero and differs from an IPv6 key in a flag bit. The source port is not part of it, and the addresses
/// are the captured ones.
struct QuadrupleKey: BitwiseCopyable {
    /// epc0 (16), epc1 (16), low half of the capture port (32).
    let place: UInt64
    /// capture port kind (8), capture network (8), tunnel (8), tap side (8), family (8), protocol (8), service port
    /// (16).
    let service: UInt64
    let gpids: UInt64
    let src: IPAddress
    let dst: IPAddress

    @inline(__always)
    init(_ flow: UnsafePointer<TaggedFlow>) {
        place = QuadrupleKey.place(
            flow.pointee.src.l3EpcID, flow.pointee.dst.l3EpcID, tapPort: flow.pointee.key.tapPort)
        let hasPort = flow.pointee.signalSource == Raw.packet || flow.pointee.isActiveService
        service = QuadrupleKey.service(
            tapPort: flow.pointee.key.tapPort, tapType: flow.pointee.key.tapType, tunnel: flow.pointee.tunnel.type,
            tapSide: flow.pointee.tapSide, ethType: flow.pointee.ethType, proto: flow.pointee.key.proto,
            port: hasPort ? flow.pointee.key.portDst : 0)
        gpids = UInt64(flow.pointee.src.gpid) << 32 | UInt64(flow.pointee.dst.gpid)
        src = flow.pointee.key.ipSrc
        dst = flow.pointee.key.ipDst
    }

    @inline(__always)
    init(_ flow: UnsafePointer<MiniFlow>) {
        place = QuadrupleKey.place(flow.pointee.epcSrc, flow.pointee.epcDst, tapPort: flow.pointee.tapPort)
        let hasPort = flow.pointee.signalSource == Raw.packet || flow.pointee.isActiveService
        service = QuadrupleKey.service(
            tapPort: flow.pointee.tapPort, tapType: flow.pointee.tapType, tunnel: flow.pointee.tunnelType,
            tapSide: flow.pointee.tapSide, ethType: flow.pointee.ethType, proto: flow.pointee.proto,
            port: hasPort ? flow.pointee.portDst : 0)
        gpids = UInt64(flow.pointee.gpidSrc) << 32 | UInt64(flow.pointee.gpidDst)
        src = flow.pointee.ipSrc
        dst = flow.pointee.ipDst
    }

    @inline(__always)
    var hash: UInt64 {
        let ends = MetricsHash.mix(
            src.low ^ (src.high &* MetricsHash.k1), dst.low ^ (dst.high &* MetricsHash.k0))
        let rest = MetricsHash.mix(place ^ gpids &* MetricsHash.k0, service)
        return MetricsHash.step(ends, rest)
    }

    @inline(__always)
    func equals(_ other: QuadrupleKey) -> Bool {
        let near = (src.low ^ other.src.low) | (dst.low ^ other.dst.low)
        let what = (place ^ other.place) | (service ^ other.service)
        let far = (src.high ^ other.src.high) | (dst.high ^ other.dst.high)
        return near | what | far | (gpids ^ other.gpids) == 0
    }

    @inline(__always)
    private static func place(_ epc0: Int32, _ epc1: Int32, tapPort: UInt64) -> UInt64 {
        let epcs = UInt64(UInt16(truncatingIfNeeded: epc0)) << 48 | UInt64(UInt16(truncatingIfNeeded: epc1)) << 32
        return epcs | tapPort & 0xffff_ffff
    }

    @inline(__always)
    private static func service(
        tapPort: UInt64, tapType: UInt16, tunnel: UInt8, tapSide: UInt8, ethType: UInt16, proto: UInt8, port: UInt16
    ) -> UInt64 {
        let capture = (tapPort >> 60) << 56 | UInt64(tapType & 0xff) << 48
        let seen = UInt64(tunnel) << 40 | UInt64(tapSide) << 32
        let family: UInt64 = ethType == Raw.ipv6 ? 1 << 31 : 0
        return capture | seen | family | UInt64(proto) << 16 | UInt64(port)
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
