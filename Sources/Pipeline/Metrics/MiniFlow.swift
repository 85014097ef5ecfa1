package import Model

/// The facts of a flow that metrics need once its counters are taken out: who talked to whom, seen from where.
///
/// Plain bytes without padding surprises: it is copied by value into window slots. The `real` addresses are those
/// behind a NAT and equal the captured ones otherwise. Source: agent-flow.md 13.4, 14.4.
@frozen
package struct MiniFlow: Sendable, BitwiseCopyable, Equatable {
    package var tapPort: UInt64 = 0
    package var macSrc: UInt64 = 0
    package var macDst: UInt64 = 0
    package var ipSrc = IPAddress()
    package var ipDst = IPAddress()
    package var realIPSrc = IPAddress()
    package var realIPDst = IPAddress()
    package var epcSrc: Int32 = 0
    package var epcDst: Int32 = 0
    package var gpidSrc: UInt32 = 0
    package var gpidDst: UInt32 = 0
    package var podID: UInt32 = 0
    package var agentID: UInt16 = 0
    package var tapType: UInt16 = 0
    package var portSrc: UInt16 = 0
    package var portDst: UInt16 = 0
    package var realPortSrc: UInt16 = 0
    package var realPortDst: UInt16 = 0
    package var ethType: UInt16 = 0
    package var proto: UInt8 = 0
    /// `TunnelType` raw value.
    package var tunnelType: UInt8 = 0
    /// `TapSide` raw values: of the flow, of its source end, of its destination end.
    package var tapSide: UInt8 = 0
    package var srcDirection: UInt8 = 0
    package var dstDirection: UInt8 = 0
    package var directionScore: UInt8 = 0
    /// `CloseType` raw value.
    package var closeType: UInt8 = 0
    /// `SignalSource` raw value.
    package var signalSource: UInt8 = 0
    package var isActiveService = false
    package var isDeviceSrc = false
    package var isDeviceDst = false
    package var isVipInterfaceSrc = false
    package var isVipInterfaceDst = false
    package var hasPacketsSrc = false
    package var hasPacketsDst = false

    @inlinable package init() {}

    @inlinable package var isIPv6: Bool { ethType == EtherType.ipv6 }

    @inlinable package init(_ flow: UnsafePointer<TaggedFlow>) {
        self.init()
        take(flow)
    }

    /// Every field of a flow, written in place.
    @inlinable @inline(__always)
    package mutating func take(_ flow: UnsafePointer<TaggedFlow>) {
        tapPort = flow.pointee.key.tapPort
        macSrc = flow.pointee.key.macSrc
        macDst = flow.pointee.key.macDst
        ipSrc = flow.pointee.key.ipSrc
        ipDst = flow.pointee.key.ipDst
        // An end without a real address is seen as it is.
        let isPlainSrc = flow.pointee.src.realIP.isZero && flow.pointee.src.realPort == 0
        let isPlainDst = flow.pointee.dst.realIP.isZero && flow.pointee.dst.realPort == 0
        realIPSrc = isPlainSrc ? flow.pointee.key.ipSrc : flow.pointee.src.realIP
        realIPDst = isPlainDst ? flow.pointee.key.ipDst : flow.pointee.dst.realIP
        epcSrc = flow.pointee.src.l3EpcID
        epcDst = flow.pointee.dst.l3EpcID
        gpidSrc = flow.pointee.src.gpid
        gpidDst = flow.pointee.dst.gpid
        podID = 0
        agentID = flow.pointee.key.agentID
        tapType = flow.pointee.key.tapType
        portSrc = flow.pointee.key.portSrc
        portDst = flow.pointee.key.portDst
        realPortSrc = isPlainSrc ? flow.pointee.key.portSrc : flow.pointee.src.realPort
        realPortDst = isPlainDst ? flow.pointee.key.portDst : flow.pointee.dst.realPort
        ethType = flow.pointee.ethType
        proto = flow.pointee.key.proto
        tunnelType = flow.pointee.tunnel.type
        tapSide = flow.pointee.tapSide
        srcDirection = flow.pointee.srcDirection
        dstDirection = flow.pointee.dstDirection
        directionScore = flow.pointee.directionScore
        closeType = flow.pointee.closeType
        signalSource = flow.pointee.signalSource
        isActiveService = flow.pointee.isActiveService
        isDeviceSrc = flow.pointee.src.isDevice
        isDeviceDst = flow.pointee.dst.isDevice
        isVipInterfaceSrc = flow.pointee.src.isVipInterface
        isVipInterfaceDst = flow.pointee.dst.isVipInterface
        hasPacketsSrc = flow.pointee.src.totalPacketCount > 0
        hasPacketsDst = flow.pointee.dst.totalPacketCount > 0
    }

    @inlinable package init(_ flow: borrowing TaggedFlow) {
        self = withUnsafePointer(to: flow) { MiniFlow($0) }
    }
}
