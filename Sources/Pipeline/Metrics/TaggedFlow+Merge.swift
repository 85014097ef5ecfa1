import Model

/// How the records of one flow become its minute log. Source: agent-flow.md 16.1.
extension TaggedFlow {
    /// Merges a later record of the same flow into this one.
    @inline(__always)
    static func merge(into own: UnsafeMutablePointer<TaggedFlow>, _ newer: UnsafePointer<TaggedFlow>) {
        mergePeer(\.src, own, newer)
        mergePeer(\.dst, own, newer)
        mergeFacts(into: own, newer)
        guard newer.pointee.hasPerfStats else { return }
        if own.pointee.hasPerfStats {
            mergePerf(into: own, newer)
        } else {
            own.pointee.perf = newer.pointee.perf
            own.pointee.hasPerfStats = true
        }
        applySuccessRule(own)
    }

    /// Merges another flow's log into an aggregate of health checks: totals add, sequence numbers are the newest.
    static func mergeOther(into own: UnsafeMutablePointer<TaggedFlow>, _ newer: UnsafePointer<TaggedFlow>) {
        let src = own.pointee.src
        let dst = own.pointee.dst
        merge(into: own, newer)
        own.pointee.src.totalByteCount = src.totalByteCount &+ newer.pointee.src.totalByteCount
        own.pointee.src.totalPacketCount = src.totalPacketCount &+ newer.pointee.src.totalPacketCount
        own.pointee.dst.totalByteCount = dst.totalByteCount &+ newer.pointee.dst.totalByteCount
        own.pointee.dst.totalPacketCount = dst.totalPacketCount &+ newer.pointee.dst.totalPacketCount
        if newer.pointee.synSeq != 0 { own.pointee.synSeq = newer.pointee.synSeq }
        if newer.pointee.synAckSeq != 0 { own.pointee.synAckSeq = newer.pointee.synAckSeq }
        own.pointee.key.portSrc = 0
        own.pointee.src.realPort = 0
    }

    /// Exchanges the ends of a stored flow, because a later record runs the other way.
    ///
    /// As in the reference only the per-end counts and the sums of the handshake times change sides, not their maxima.
    static func reverse(_ flow: UnsafeMutablePointer<TaggedFlow>) {
        swap(&flow.pointee.key.macSrc, &flow.pointee.key.macDst)
        swap(&flow.pointee.key.ipSrc, &flow.pointee.key.ipDst)
        swap(&flow.pointee.key.portSrc, &flow.pointee.key.portDst)
        swap(&flow.pointee.src, &flow.pointee.dst)
        swap(&flow.pointee.srcDirection, &flow.pointee.dstDirection)
        swap(&flow.pointee.tunnel.txIP0, &flow.pointee.tunnel.rxIP0)
        swap(&flow.pointee.tunnel.txIP1, &flow.pointee.tunnel.rxIP1)
        swap(&flow.pointee.tunnel.txMAC0, &flow.pointee.tunnel.rxMAC0)
        swap(&flow.pointee.tunnel.txMAC1, &flow.pointee.tunnel.rxMAC1)
        swap(&flow.pointee.tunnel.txID, &flow.pointee.tunnel.rxID)
        swap(&flow.pointee.perf.tcp.tx, &flow.pointee.perf.tcp.rx)
        swap(&flow.pointee.perf.tcp.rttClient.sum, &flow.pointee.perf.tcp.rttServer.sum)
        swap(&flow.pointee.perf.tcp.rttClient.count, &flow.pointee.perf.tcp.rttServer.count)
        flow.pointee.isReversed.toggle()
    }

    @inline(__always)
    private static func mergePeer(
        _ side: WritableKeyPath<TaggedFlow, FlowMetricsPeer>, _ own: UnsafeMutablePointer<TaggedFlow>,
        _ newer: UnsafePointer<TaggedFlow>
    ) {
        let peer = own.pointer(to: side).unsafelyUnwrapped
        let other = newer.pointer(to: side).unsafelyUnwrapped
        let bytes = peer.pointee.byteCount &+ other.pointee.byteCount
        let l3Bytes = peer.pointee.l3ByteCount &+ other.pointee.l3ByteCount
        let l4Bytes = peer.pointee.l4ByteCount &+ other.pointee.l4ByteCount
        let packets = peer.pointee.packetCount &+ other.pointee.packetCount
        let flags = peer.pointee.tcpFlags | other.pointee.tcpFlags
        let totalFlags = peer.pointee.totalTCPFlags
        let gpid = other.pointee.gpid > 0 ? other.pointee.gpid : peer.pointee.gpid
        let natSource = max(peer.pointee.natSource, other.pointee.natSource)
        // Everything else is the newer record's, so the whole peer is copied and the sums are put back.
        peer.pointee = other.pointee
        peer.pointee.byteCount = bytes
        peer.pointee.l3ByteCount = l3Bytes
        peer.pointee.l4ByteCount = l4Bytes
        peer.pointee.packetCount = packets
        peer.pointee.tcpFlags = flags
        peer.pointee.totalTCPFlags = totalFlags
        peer.pointee.gpid = gpid
        peer.pointee.natSource = natSource
    }

    @inline(__always)
    private static func mergeFacts(into own: UnsafeMutablePointer<TaggedFlow>, _ newer: UnsafePointer<TaggedFlow>) {
        own.pointee.endTimeNs = newer.pointee.endTimeNs
        own.pointee.durationNs = newer.pointee.durationNs
        own.pointee.tapSide = newer.pointee.tapSide
        own.pointee.srcDirection = newer.pointee.srcDirection
        own.pointee.dstDirection = newer.pointee.dstDirection
        own.pointee.closeType = newer.pointee.closeType
        own.pointee.isActiveService = newer.pointee.isActiveService
        own.pointee.isReversed = newer.pointee.isReversed
        if newer.pointee.vlan != 0 { own.pointee.vlan = newer.pointee.vlan }
        if newer.pointee.lastKeepaliveSeq != 0 { own.pointee.lastKeepaliveSeq = newer.pointee.lastKeepaliveSeq }
        if newer.pointee.lastKeepaliveAck != 0 { own.pointee.lastKeepaliveAck = newer.pointee.lastKeepaliveAck }
        let natMask: UInt64 = 0xf << 36
        let ownNat = own.pointee.key.tapPort & natMask
        let nat = max(ownNat, newer.pointee.key.tapPort & natMask)
        if nat != ownNat { own.pointee.key.tapPort = own.pointee.key.tapPort & ~natMask | nat }
        if extraBits(own) != extraBits(newer), let extra = newer.pointee.extra {
            own.pointee.extra = merged(own.pointee.extra, extra)
        }
    }

    /// Which object a flow's extra is, without counting a reference.
    @inline(__always)
    private static func extraBits(_ flow: UnsafePointer<TaggedFlow>) -> UInt {
        UnsafeRawPointer(flow.pointer(to: \.extra).unsafelyUnwrapped).load(as: UInt.self)
    }

    /// Union of policies in order, the newest domain that is not empty.
    private static func merged(_ own: FlowExtra?, _ newer: FlowExtra) -> FlowExtra {
        guard let own else { return newer }
        let isPlain = own.aclGids.isEmpty && own.aggregatedFlowIDs.isEmpty && newer.aclGids.isEmpty
        if isPlain, !newer.requestDomain.isEmpty { return newer }
        var gids = own.aclGids
        for gid in newer.aclGids where !gids.contains(gid) { gids.append(gid) }
        return FlowExtra(
            requestDomain: newer.requestDomain.isEmpty ? own.requestDomain : newer.requestDomain, aclGids: gids,
            aggregatedFlowIDs: own.aggregatedFlowIDs + newer.aggregatedFlowIDs)
    }

    @inline(__always)
    private static func mergePerf(into own: UnsafeMutablePointer<TaggedFlow>, _ newer: UnsafePointer<TaggedFlow>) {
        if own.pointee.perf.l4Protocol == 0 { own.pointee.perf.l4Protocol = newer.pointee.perf.l4Protocol }
        if own.pointee.perf.l7Protocol == 0 { own.pointee.perf.l7Protocol = newer.pointee.perf.l7Protocol }
        own.pointee.perf.l7FailedCount = max(own.pointee.perf.l7FailedCount, newer.pointee.perf.l7FailedCount)
        let tcp = newer.pointer(to: \.perf.tcp).unsafelyUnwrapped
        if tcp.pointee.hasMeasurements || tcp.pointee.hasFlagCounts {
            mergeTCP(into: own.pointer(to: \.perf.tcp).unsafelyUnwrapped, tcp)
        }
        if newer.pointee.perf.l7.hasCounts { own.pointee.perf.l7.merge(newer.pointee.perf.l7) }
    }

    private static func mergeTCP(into own: UnsafeMutablePointer<TCPPerfStats>, _ newer: UnsafePointer<TCPPerfStats>) {
        own.pointee.rttClient.merge(newer.pointee.rttClient)
        own.pointee.rttServer.merge(newer.pointee.rttServer)
        own.pointee.srt.merge(newer.pointee.srt)
        own.pointee.art.merge(newer.pointee.art)
        own.pointee.cit.merge(newer.pointee.cit)
        own.pointee.rtt = max(own.pointee.rtt, newer.pointee.rtt)
        own.pointee.tx.merge(newer.pointee.tx)
        own.pointee.rx.merge(newer.pointee.rx)
        own.pointee.totalRetrans &+= newer.pointee.totalRetrans
        own.pointee.synCount &+= newer.pointee.synCount
        own.pointee.synAckCount &+= newer.pointee.synAckCount
        own.pointee.retransSyn &+= newer.pointee.retransSyn
        own.pointee.retransSynAck &+= newer.pointee.retransSynAck
        own.pointee.finCount &+= newer.pointee.finCount
    }

    /// A reset by the client after a successful response is a normal end. Source: agent-flow.md 10.3.
    @inline(__always)
    private static func applySuccessRule(_ flow: UnsafeMutablePointer<TaggedFlow>) {
        guard flow.pointee.closeType == Raw.clientRst else { return }
        let serverFlags = flow.pointee.dst.tcpFlags | flow.pointee.dst.totalTCPFlags
        let l7 = flow.pointee.perf.l7
        if serverFlags & TCPFlags.rst == 0, l7.responseCount > 0, l7.errClientCount == 0, l7.errServerCount == 0 {
            flow.pointee.closeType = Raw.finClientRst
        }
    }
}

extension TCPPerfStats {
    @inline(__always)
    var hasFlagCounts: Bool { synCount | synAckCount | finCount | totalRetrans != 0 }
}

extension L7PerfStats {
    /// Whether anything was counted.
    @inline(__always)
    var hasCounts: Bool {
        let errors = errClientCount | errServerCount | errTimeout
        return requestCount | responseCount | errors | rrtCount | rrtMax | tlsRtt != 0 || rrtSum != 0
    }
}
