import Model

/// What makes two flows one in a window slot: ends, service port, capture point. Source: agent-flow.md 13.2.
///
/// Seven words; an IPv4 key leaves the upper words of its addresses zero and differs from an IPv6 key in a flag bit.
/// The source port is not part of it, and the addresses are the captured ones.
struct QuadrupleKey: BitwiseCopyable, Sendable, Equatable {
    /// epc0 (16), epc1 (16), low half of the capture port (32).
    let place: UInt64
    /// capture port kind (8), capture network (8), tunnel (8), tap side (8), family and OTel protocol (8), protocol
    /// (8), service port (16).
    let service: UInt64
    let gpids: UInt64
    let srcHigh: UInt64
    let srcLow: UInt64
    let dstHigh: UInt64
    let dstLow: UInt64

    @inline(__always)
    init(_ flow: UnsafePointer<TaggedFlow>) {
        let tapPort = flow.pointee.key.tapPort
        let signal = flow.pointee.signalSource
        place =
            UInt64(UInt16(truncatingIfNeeded: flow.pointee.src.l3EpcID)) << 48
            | UInt64(UInt16(truncatingIfNeeded: flow.pointee.dst.l3EpcID)) << 32
            | tapPort & 0xffff_ffff
        let isIPv6 = flow.pointee.ethType == EtherType.ipv6
        let hasPort = signal == SignalSource.packet.rawValue || flow.pointee.isActiveService
        let port = hasPort ? flow.pointee.key.portDst : 0
        let family: UInt64 = isIPv6 ? 0x80 : 0
        let otelProtocol = signal == SignalSource.otel.rawValue ? UInt64(flow.pointee.perf.l7Protocol & 0x7f) : 0
        let from = tapPort >> 60
        let capture = from << 56 | UInt64(flow.pointee.key.tapType & 0xff) << 48
        let seen = UInt64(flow.pointee.tunnel.type) << 40 | UInt64(flow.pointee.tapSide) << 32
        service = capture | seen | (family | otelProtocol) << 24 | UInt64(flow.pointee.key.proto) << 16 | UInt64(port)
        gpids = UInt64(flow.pointee.src.gpid) << 32 | UInt64(flow.pointee.dst.gpid)
        srcHigh = flow.pointee.key.ipSrc.high
        srcLow = flow.pointee.key.ipSrc.low
        dstHigh = flow.pointee.key.ipDst.high
        dstLow = flow.pointee.key.ipDst.low
    }

    @inline(__always)
    var hash: UInt64 {
        let ends = MetricsHash.mix(srcLow ^ (srcHigh &* MetricsHash.k1), dstLow ^ (dstHigh &* MetricsHash.k0))
        let rest = MetricsHash.mix(place ^ gpids &* MetricsHash.k0, service)
        return MetricsHash.step(ends, rest)
    }

    @inline(__always)
    func equals(_ other: UnsafePointer<QuadrupleKey>) -> Bool {
        let near = (srcLow ^ other.pointee.srcLow) | (dstLow ^ other.pointee.dstLow)
        let what = (place ^ other.pointee.place) | (service ^ other.pointee.service)
        let far = (srcHigh ^ other.pointee.srcHigh) | (dstHigh ^ other.pointee.dstHigh)
        return near | what | far | (gpids ^ other.pointee.gpids) == 0
    }
}
