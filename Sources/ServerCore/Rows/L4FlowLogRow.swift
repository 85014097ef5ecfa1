package import Model

/// A row of `flow_log.l4_flow_log`. Source: ingester.md 5.1 and the table's columns.
package struct L4FlowLogRow: TableRow {
    package let id: UInt64
    /// As sent: `key` holds the real ends, see `TaggedFlow.asSent`.
    package let flow: TaggedFlow
    package let client: SideTags
    package let server: SideTags
    package let teamID: UInt16

    package var isIPv6: Bool { flow.isIPv6 }

    package init(_ record: TaggedFlow, id: UInt64, teamID: UInt16, platform: PlatformData) {
        let flow = record.asSent()
        self.id = id
        self.flow = flow
        self.teamID = teamID
        func end(_ peer: FlowMetricsPeer, _ address: IPAddress, _ mac: UInt64) -> TaggedEnd {
            TaggedEnd(
                epc: EPC.normalized(peer.l3EpcID), address: address, mac: mac, gpid: peer.gpid, podID: 0,
                isVipInterface: peer.isVipInterface)
        }
        (client, server) = AutoTagging(platform: platform).tagLog(
            end(flow.src, flow.key.ipSrc, flow.key.macSrc), end(flow.dst, flow.key.ipDst, flow.key.macDst),
            isIPv6: flow.isIPv6, tapSide: flow.tapSide, agentID: flow.key.agentID, proto: flow.key.proto,
            serverPort: flow.key.portDst)
    }

    /// Rows of flows that match a capture policy bypass the throttle.
    package var bypassesThrottle: Bool { flow.extra.map { !$0.aclGids.isEmpty } ?? false }

    /// Outcome of the flow in the terms of `response_status`. Source: ingester.md 5.1.
    package var status: UInt8 {
        let isTCP = flow.key.proto == IPProtocol.tcp
        switch flow.closeType {
        case 1, 5, 8, 11, 20: return 0
        case 3 where !isTCP: return 0
        case 9, 10, 13, 18: return 4
        case 2, 3, 7, 15, 17, 19: return isTCP ? 3 : 2
        default: return 2
        }
    }

    private var aggregatedFlowIDs: String {
        guard let ids = flow.extra?.aggregatedFlowIDs, !ids.isEmpty else { return "" }
        return ids.map { String($0) }.joined(separator: ",")
    }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let isIPv6 = flow.isIPv6
        let perf = flow.hasPerfStats ? flow.perf : FlowPerfStats()
        let tunnel = flow.tunnel.type != 0 ? flow.tunnel : TunnelField()
        let nic = CaptureNIC(tapPort: flow.key.tapPort)
        let aclGids = flow.extra?.aclGids.map { UInt64($0) } ?? []
        e.uint(id)
        e.mac(flow.key.macSrc)
        e.mac(flow.key.macDst)
        e.uint(UInt64(flow.ethType))
        e.uint(UInt64(flow.vlan))
        e.uint(UInt64(client.regionID))
        e.uint(UInt64(server.regionID))
        e.uint(UInt64(client.azID))
        e.uint(UInt64(server.azID))
        e.uint(UInt64(client.hostID))
        e.uint(UInt64(server.hostID))
        e.uint(UInt64(client.l3DeviceType))
        e.uint(UInt64(server.l3DeviceType))
        e.uint(UInt64(client.l3DeviceID))
        e.uint(UInt64(server.l3DeviceID))
        e.uint(UInt64(client.podNodeID))
        e.uint(UInt64(server.podNodeID))
        e.uint(UInt64(client.podNsID))
        e.uint(UInt64(server.podNsID))
        e.uint(UInt64(client.podGroupID))
        e.uint(UInt64(server.podGroupID))
        e.uint(UInt64(client.podID))
        e.uint(UInt64(server.podID))
        e.uint(UInt64(client.podClusterID))
        e.uint(UInt64(server.podClusterID))
        e.int(Int64(client.l3EpcID))
        e.int(Int64(server.l3EpcID))
        e.int(Int64(client.l2EpcID))
        e.int(Int64(server.l2EpcID))
        e.uint(UInt64(client.subnetID))
        e.uint(UInt64(server.subnetID))
        e.uint(UInt64(client.serviceID))
        e.uint(UInt64(server.serviceID))
        e.uint(UInt64(client.autoInstanceID))
        e.uint(UInt64(client.autoInstanceType))
        e.uint(UInt64(client.autoServiceID))
        e.uint(UInt64(client.autoServiceType))
        e.uint(UInt64(server.autoInstanceID))
        e.uint(UInt64(server.autoInstanceType))
        e.uint(UInt64(server.autoServiceID))
        e.uint(UInt64(server.autoServiceType))
        e.uint(UInt64(client.source))
        e.uint(UInt64(server.source))
        e.uint(UInt64(teamID))
        e.ip4(isIPv6 ? 0 : flow.key.ipSrc.v4)
        e.ip4(isIPv6 ? 0 : flow.key.ipDst.v4)
        e.ip6(isIPv6 ? flow.key.ipSrc : IPAddress())
        e.ip6(isIPv6 ? flow.key.ipDst : IPAddress())
        e.uint(isIPv6 ? 0 : 1)
        e.uint(UInt64(flow.key.proto))
        e.uint(UInt64(tunnel.tier))
        e.uint(UInt64(tunnel.type))
        e.uint(UInt64(tunnel.txID))
        e.uint(UInt64(tunnel.rxID))
        e.ip4(tunnel.txIP0)
        e.ip4(tunnel.txIP1)
        e.ip4(tunnel.rxIP0)
        e.ip4(tunnel.rxIP1)
        e.ip6(IPAddress())
        e.ip6(IPAddress())
        e.ip6(IPAddress())
        e.ip6(IPAddress())
        e.uint(tunnel.type != 0 ? 1 : 0)
        e.uint(UInt64(tunnel.txMAC0))
        e.uint(UInt64(tunnel.txMAC1))
        e.uint(UInt64(tunnel.rxMAC0))
        e.uint(UInt64(tunnel.rxMAC1))
        e.uint(UInt64(flow.key.portSrc))
        e.uint(UInt64(flow.key.portDst))
        e.uint(UInt64(flow.src.tcpFlags))
        e.uint(UInt64(flow.dst.tcpFlags))
        e.uint(UInt64(flow.synSeq))
        e.uint(UInt64(flow.synAckSeq))
        e.uint(UInt64(flow.lastKeepaliveSeq))
        e.uint(UInt64(flow.lastKeepaliveAck))
        e.uint(UInt64(perf.l7Protocol))
        e.text("")
        e.text("")
        e.time(seconds: flow.endTimeNs / 1_000_000_000)
        e.uint(UInt64(flow.closeType))
        e.uint(UInt64(flow.signalSource))
        e.uint(flow.flowID)
        e.text(aggregatedFlowIDs)
        e.uint(UInt64(flow.initIPID))
        e.uint(UInt64(flow.key.tapType & 0xff))
        e.uint(nic.natSource)
        e.uint(nic.type)
        e.uint(nic.id)
        e.text(observationPoint(flow.tapSide))
        e.uint(UInt64(flow.key.agentID))
        e.uint(flow.src.isL2End ? 1 : 0)
        e.uint(flow.dst.isL2End ? 1 : 0)
        e.uint(flow.src.isL3End ? 1 : 0)
        e.uint(flow.dst.isL3End ? 1 : 0)
        e.time(micros: flow.startTimeNs / 1000)
        e.time(micros: flow.endTimeNs / 1000)
        e.uint(flow.durationNs / 1000)
        e.uint(flow.isNewFlow ? 1 : 0)
        e.uint(UInt64(status))
        e.uints(aclGids)
        e.uint(UInt64(client.gpid))
        e.uint(UInt64(server.gpid))
        e.ip4(flow.src.realIP.v4)
        e.ip4(flow.dst.realIP.v4)
        e.uint(UInt64(flow.src.realPort))
        e.uint(UInt64(flow.dst.realPort))
        e.uint(UInt64(flow.directionScore))
        e.text(flow.extra?.requestDomain ?? "")
        e.uint(flow.src.packetCount)
        e.uint(flow.dst.packetCount)
        e.uint(flow.src.byteCount)
        e.uint(flow.dst.byteCount)
        e.uint(flow.src.l3ByteCount)
        e.uint(flow.dst.l3ByteCount)
        e.uint(flow.src.l4ByteCount)
        e.uint(flow.dst.l4ByteCount)
        e.uint(flow.src.totalPacketCount)
        e.uint(flow.dst.totalPacketCount)
        e.uint(flow.src.totalByteCount)
        e.uint(flow.dst.totalByteCount)
        e.uint(UInt64(perf.l7.requestCount))
        e.uint(UInt64(perf.l7.responseCount))
        e.uint(UInt64(perf.l7FailedCount))
        e.real(Double(perf.tcp.rtt))
        e.real(Double(perf.tcp.rttClient.max))
        e.real(Double(perf.tcp.rttServer.max))
        e.real(Double(perf.l7.tlsRtt))
        e.real(Double(perf.tcp.srt.sum))
        e.real(Double(perf.tcp.art.sum))
        e.real(Double(perf.l7.rrtSum))
        e.real(Double(perf.tcp.cit.sum))
        e.uint(UInt64(perf.tcp.srt.count))
        e.uint(UInt64(perf.tcp.art.count))
        e.uint(UInt64(perf.l7.rrtCount))
        e.uint(UInt64(perf.tcp.cit.count))
        e.uint(UInt64(perf.tcp.srt.max))
        e.uint(UInt64(perf.tcp.art.max))
        e.uint(UInt64(perf.l7.rrtMax))
        e.uint(UInt64(perf.tcp.cit.max))
        e.uint(UInt64(perf.tcp.tx.retrans))
        e.uint(UInt64(perf.tcp.rx.retrans))
        e.uint(UInt64(perf.tcp.tx.zeroWin))
        e.uint(UInt64(perf.tcp.rx.zeroWin))
        e.uint(UInt64(perf.tcp.synCount))
        e.uint(UInt64(perf.tcp.synAckCount))
        e.uint(perf.tcp.synCount > 0 ? UInt64(perf.tcp.synCount - 1) : 0)
        e.uint(perf.tcp.synAckCount > 0 ? UInt64(perf.tcp.synAckCount - 1) : 0)
        e.uint(UInt64(perf.l7.errClientCount))
        e.uint(UInt64(perf.l7.errServerCount))
        e.uint(UInt64(perf.l7.errTimeout))
        e.uint(UInt64(perf.l7.errClientCount &+ perf.l7.errServerCount))
        e.uint(UInt64(perf.tcp.tx.outOfOrder))
        e.uint(UInt64(perf.tcp.rx.outOfOrder))
        e.uint(UInt64(perf.tcp.finCount))
    }
}
