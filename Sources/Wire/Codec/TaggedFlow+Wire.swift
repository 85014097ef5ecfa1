package import Model

/// `flow_log.TaggedFlow`, message type 4. Source: wire.md 7.2, agent-flow.md 16.4.
extension TaggedFlow: WireEncodable {
    package func encode(into writer: inout WireWriter) {
        let ends = FlowEnds(self)
        let flow = writer.begin(1)

        let keyStart = writer.begin(1)
        writer.varint(1, key.agentID)
        writer.varint(2, key.tapType)
        writer.varint(3, key.tapPort)
        writer.varint(4, key.macSrc)
        writer.varint(5, key.macDst)
        writer.varint(6, ends.ipSrc)
        writer.varint(7, ends.ipDst)
        writer.address16(8, ends.ip6Src)
        writer.address16(9, ends.ip6Dst)
        writer.varint(10, src.realPort)
        writer.varint(11, dst.realPort)
        writer.varint(12, key.proto)
        writer.end(keyStart)

        let srcStart = writer.begin(2)
        src.encode(into: &writer, capturedIP: ends.capturedSrc, capturedPort: key.portSrc)
        writer.end(srcStart)
        let dstStart = writer.begin(3)
        dst.encode(into: &writer, capturedIP: ends.capturedDst, capturedPort: key.portDst)
        writer.end(dstStart)
        if tunnel.type != 0 {
            let tunnelStart = writer.begin(4)
            tunnel.encode(into: &writer)
            writer.end(tunnelStart)
        }

        writer.varint(5, flowID)
        writer.varint(6, startTimeNs)
        writer.varint(7, endTimeNs)
        writer.varint(8, durationNs)
        writer.varint(10, vlan)
        writer.varint(11, ethType)
        writer.flag(12, hasPerfStats)
        if hasPerfStats {
            let perfStart = writer.begin(13)
            perf.encode(into: &writer)
            writer.end(perfStart)
        }
        writer.varint(14, closeType)
        writer.varint(15, signalSource)
        writer.flag(16, isActiveService)
        writer.varint(17, queueHash)
        writer.flag(18, isNewFlow)
        writer.varint(19, tapSide)
        writer.varint(20, synSeq)
        writer.varint(21, synAckSeq)
        writer.varint(22, lastKeepaliveSeq)
        writer.varint(23, lastKeepaliveAck)
        if let extra { writer.packed(24, extra.aclGids) }
        writer.varint(25, directionScore)
        if let extra {
            writer.string(26, extra.requestDomain)
            writer.packed(27, extra.aggregatedFlowIDs)
        }
        writer.varint(28, initIPID)
        writer.end(flow)
    }
}

extension FlowMetricsPeer {
    @inline(__always)
    fileprivate func encode(into writer: inout WireWriter, capturedIP: UInt32, capturedPort: UInt16) {
        writer.varint(1, byteCount)
        writer.varint(2, l3ByteCount)
        writer.varint(3, l4ByteCount)
        writer.varint(4, packetCount)
        writer.varint(5, totalByteCount)
        writer.varint(6, totalPacketCount)
        writer.varint(7, firstNs)
        writer.varint(8, lastNs)
        writer.varint(9, tcpFlags)
        writer.int32(10, l3EpcID)
        writer.flag(11, isL2End)
        writer.flag(12, isL3End)
        writer.flag(13, isActiveHost)
        writer.flag(14, isDevice)
        writer.flag(15, isVipInterface)
        writer.flag(16, isVip)
        writer.varint(20, capturedIP)
        writer.varint(21, capturedPort)
        writer.varint(22, gpid)
    }
}

extension TunnelField {
    /// Trap: field 13, `is_ipv6`, is always 0, so never there.
    fileprivate func encode(into writer: inout WireWriter) {
        writer.varint(1, txIP0)
        writer.varint(2, txIP1)
        writer.varint(3, rxIP0)
        writer.varint(4, rxIP1)
        writer.varint(5, txMAC0)
        writer.varint(6, txMAC1)
        writer.varint(7, rxMAC0)
        writer.varint(8, rxMAC1)
        writer.varint(9, txID)
        writer.varint(10, rxID)
        writer.varint(11, type)
        writer.varint(12, tier)
    }
}

extension FlowPerfStats {
    @inline(__always)
    fileprivate func encode(into writer: inout WireWriter) {
        let tcpStart = writer.begin(1)
        tcp.encode(into: &writer)
        writer.end(tcpStart)
        let l7Start = writer.begin(2)
        writer.varint(1, l7.requestCount)
        writer.varint(2, l7.responseCount)
        writer.varint(3, l7.errClientCount)
        writer.varint(4, l7.errServerCount)
        writer.varint(5, l7.errTimeout)
        writer.varint(6, l7.rrtCount)
        writer.varint(7, l7.rrtSum)
        writer.varint(8, l7.rrtMax)
        writer.varint(9, l7.tlsRtt)
        writer.end(l7Start)
        writer.varint(3, l4Protocol)
        writer.varint(4, l7Protocol)
        writer.varint(5, l7FailedCount)
    }
}

extension TCPPerfStats {
    /// Sums are 32 bits wide here. Numbers 6, 7, 10, 11 are retired.
    @inline(__always)
    fileprivate func encode(into writer: inout WireWriter) {
        writer.varint(1, rttClient.max)
        writer.varint(2, rttServer.max)
        writer.varint(3, srt.max)
        writer.varint(4, art.max)
        writer.varint(5, rtt)
        writer.varint(8, UInt32(truncatingIfNeeded: srt.sum))
        writer.varint(9, UInt32(truncatingIfNeeded: art.sum))
        writer.varint(12, srt.count)
        writer.varint(13, art.count)
        let txStart = writer.begin(14)
        tx.encode(into: &writer)
        writer.end(txStart)
        let rxStart = writer.begin(15)
        rx.encode(into: &writer)
        writer.end(rxStart)
        writer.varint(16, totalRetrans)
        writer.varint(17, synCount)
        writer.varint(18, synAckCount)
        writer.varint(19, cit.max)
        writer.varint(20, UInt32(truncatingIfNeeded: cit.sum))
        writer.varint(21, cit.count)
        writer.varint(22, finCount)
    }
}

extension TCPPerfCounts {
    @inline(__always)
    fileprivate func encode(into writer: inout WireWriter) {
        writer.varint(1, retrans)
        writer.varint(2, zeroWin)
        writer.varint(3, outOfOrder)
    }
}
