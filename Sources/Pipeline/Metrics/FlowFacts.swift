package import Model

/// The facts of a flow that metrics need once its counters are taken out: who talked to whom, seen from where.
///
/// Words rather than fields, so that a window slot holds little and keys are compared at once. What few flows have
/// besides lies in `FlowEnds`. Source: agent-flow.md 13.4, 14.4.
package struct FlowFacts: Sendable, BitwiseCopyable {
    package var tapPort: UInt64 = 0
    package var src = IPAddress()
    package var dst = IPAddress()
    /// EPC of the source (16), of the destination (16), service port (16), capture network (8), protocol (8).
    var place: UInt64 = 0
    /// signal source (8), tap side (8), tunnel (8), flags (8).
    var view: UInt32 = 0
    /// `TapSide` raw values of the ends.
    var srcDirection: UInt8 = 0
    var dstDirection: UInt8 = 0

    /// Lowest eight bits of `view`.
    enum Flags {
        @inline(__always) static var isIPv6: UInt32 { 1 << 0 }
        @inline(__always) static var isActiveService: UInt32 { 1 << 1 }
        @inline(__always) static var isDeviceSrc: UInt32 { 1 << 2 }
        @inline(__always) static var isDeviceDst: UInt32 { 1 << 3 }
        @inline(__always) static var isVipInterfaceSrc: UInt32 { 1 << 4 }
        @inline(__always) static var isVipInterfaceDst: UInt32 { 1 << 5 }
        /// The flow has `FlowEnds`.
        @inline(__always) static var hasEnds: UInt32 { 1 << 6 }
    }

    /// Tap side, tunnel and family: what the key of a quadruple has of `view`.
    @inline(__always) static var keyMask: UInt32 { 0x00ff_ff01 }

    package init() {}

    /// As a record tells them, with the captured addresses.
    @inline(__always)
    init(_ flow: UnsafePointer<TaggedFlow>) {
        tapPort = flow.pointee.key.tapPort
        src = flow.pointee.key.ipSrc
        dst = flow.pointee.key.ipDst
        let hasPort = flow.pointee.signalSource == Raw.packet || flow.pointee.isActiveService
        place = FlowFacts.place(
            flow.pointee.src.l3EpcID, flow.pointee.dst.l3EpcID, port: hasPort ? flow.pointee.key.portDst : 0,
            tapType: flow.pointee.key.tapType, proto: flow.pointee.key.proto)
        view = FlowFacts.view(
            signal: flow.pointee.signalSource, tapSide: flow.pointee.tapSide, tunnel: flow.pointee.tunnel.type)
        srcDirection = flow.pointee.srcDirection
        dstDirection = flow.pointee.dstDirection
        set(Flags.isIPv6, flow.pointee.ethType == Raw.ipv6)
        set(Flags.isActiveService, flow.pointee.isActiveService)
        set(Flags.isDeviceSrc, flow.pointee.src.isDevice)
        set(Flags.isDeviceDst, flow.pointee.dst.isDevice)
        set(Flags.isVipInterfaceSrc, flow.pointee.src.isVipInterface)
        set(Flags.isVipInterfaceDst, flow.pointee.dst.isVipInterface)
    }

    @inline(__always)
    static func place(_ epcSrc: Int32, _ epcDst: Int32, port: UInt16, tapType: UInt16, proto: UInt8) -> UInt64 {
        let epcs = UInt64(UInt16(truncatingIfNeeded: epcSrc)) << 48 | UInt64(UInt16(truncatingIfNeeded: epcDst)) << 32
        return epcs | UInt64(port) << 16 | UInt64(tapType & 0xff) << 8 | UInt64(proto)
    }

    @inline(__always)
    static func view(signal: UInt8, tapSide: UInt8, tunnel: UInt8) -> UInt32 {
        UInt32(signal) << 24 | UInt32(tapSide) << 16 | UInt32(tunnel) << 8
    }

    @inline(__always)
    mutating func set(_ flag: UInt32, _ isSet: Bool) { view |= isSet ? flag : 0 }

    @inline(__always)
    func has(_ flag: UInt32) -> Bool { view & flag != 0 }

    /// 16 bits, as on the wire.
    @inline(__always) var epcSrc: Int32 { Int32(Int16(truncatingIfNeeded: place >> 48)) }
    @inline(__always) var epcDst: Int32 { Int32(Int16(truncatingIfNeeded: place >> 32)) }
    @inline(__always) var port: UInt16 { UInt16(truncatingIfNeeded: place >> 16) }
    @inline(__always) var tapType: UInt16 { UInt16(truncatingIfNeeded: place >> 8) & 0xff }
    @inline(__always) var proto: UInt8 { UInt8(truncatingIfNeeded: place) }
    @inline(__always) var signalSource: UInt8 { UInt8(truncatingIfNeeded: view >> 24) }
    @inline(__always) var tapSide: UInt8 { UInt8(truncatingIfNeeded: view >> 16) }
    @inline(__always) var tunnelType: UInt8 { UInt8(truncatingIfNeeded: view >> 8) }
    @inline(__always) var isIPv6: Bool { has(Flags.isIPv6) }
    @inline(__always) var hasEnds: Bool { has(Flags.hasEnds) }

    /// Whether documents show a MAC of the flow.
    @inline(__always)
    var showsMac: Bool {
        view & (Flags.isVipInterfaceSrc | Flags.isVipInterfaceDst) != 0 || srcDirection == Raw.sideLocal
            || dstDirection == Raw.sideLocal
    }

    /// Whether no other quadruple of a slot makes the same pair document: unless rules hide addresses or ports, the tag
    /// of such a pair tells every word of its key.
    @inline(__always)
    var isPairOfItsOwn: Bool {
        guard signalSource == Raw.packet, tunnelType == 0, !hasEnds, tapSide == edgeDirection else { return false }
        return isIPv6 == (src.high | dst.high != 0) && (proto == Raw.tcp || proto == Raw.udp || port == 0)
    }

    /// Whether the load of the quadruple is that of its connections. Source: agent-flow.md 13.5.
    @inline(__always)
    var hasConnections: Bool { (proto == Raw.tcp || proto == Raw.udp) && signalSource != Raw.ebpf }

    /// Exactly one end is known, which may have a document of its own.
    @inline(__always)
    var hasKnownEnd: Bool { (srcDirection == 0) != (dstDirection == 0) }

    /// Where the pair is seen from: the known end, else nowhere, or by the application. Source: agent-flow.md 14.2.
    @inline(__always)
    var edgeDirection: UInt8 {
        if hasKnownEnd { return srcDirection | dstDirection }
        return signalSource == Raw.otel ? Raw.sideApp : 0
    }
}

/// What few flows have, or what differs from the facts: addresses behind a NAT, MACs that are shown, processes.
package struct FlowEnds: Sendable, BitwiseCopyable {
    /// Equal the captured ones where there is no NAT.
    var realIPSrc = IPAddress()
    var realIPDst = IPAddress()
    var macSrc: UInt64 = 0
    var macDst: UInt64 = 0
    var gpidSrc: UInt32 = 0
    var gpidDst: UInt32 = 0
    var realPortSrc: UInt16 = 0
    var realPortDst: UInt16 = 0
    var tapType: UInt16 = 0

    init() {}

    init(_ flow: UnsafePointer<TaggedFlow>) {
        // An end without a real address is seen as it is.
        let isPlainSrc = flow.pointee.src.realIP.isZero && flow.pointee.src.realPort == 0
        let isPlainDst = flow.pointee.dst.realIP.isZero && flow.pointee.dst.realPort == 0
        realIPSrc = isPlainSrc ? flow.pointee.key.ipSrc : flow.pointee.src.realIP
        realIPDst = isPlainDst ? flow.pointee.key.ipDst : flow.pointee.dst.realIP
        realPortSrc = isPlainSrc ? flow.pointee.key.portSrc : flow.pointee.src.realPort
        realPortDst = isPlainDst ? flow.pointee.key.portDst : flow.pointee.dst.realPort
        macSrc = flow.pointee.key.macSrc
        macDst = flow.pointee.key.macDst
        gpidSrc = flow.pointee.src.gpid
        gpidDst = flow.pointee.dst.gpid
        tapType = flow.pointee.key.tapType
    }

    /// Of counters whose facts have the addresses and the service port behind a NAT.
    init(_ stats: UnsafePointer<L7Stats>) {
        realIPSrc = stats.pointee.flow.src
        realIPDst = stats.pointee.flow.dst
        realPortSrc = stats.pointee.portSrc
        realPortDst = stats.pointee.flow.port
        macSrc = stats.pointee.macSrc
        macDst = stats.pointee.macDst
        gpidSrc = stats.pointee.gpidSrc
        gpidDst = stats.pointee.gpidDst
        tapType = stats.pointee.tapType
    }

    /// Whether a record has anything that its facts do not tell.
    @inline(__always)
    static func areNeeded(_ flow: UnsafePointer<TaggedFlow>, _ facts: FlowFacts) -> Bool {
        let src =
            (flow.pointee.src.realIP.low ^ facts.src.low) | (flow.pointee.src.realIP.high ^ facts.src.high)
        let dst =
            (flow.pointee.dst.realIP.low ^ facts.dst.low) | (flow.pointee.dst.realIP.high ^ facts.dst.high)
        let port = UInt64(flow.pointee.dst.realPort ^ facts.port)
        let rest = UInt64(flow.pointee.src.gpid | flow.pointee.dst.gpid) | UInt64(flow.pointee.key.tapType >> 8)
        return src | dst | port | rest != 0 || facts.showsMac
    }

    /// Of both ends, as a key has them.
    @inline(__always) var gpids: UInt64 { UInt64(gpidSrc) << 32 | UInt64(gpidDst) }
}
