import CWire
package import Model

extension TaggedFlow: ReferenceCodable {
    package func referenceBytes() -> [UInt8] {
        let arena = CArena()
        let ends = FlowEnds(self)
        let flow = arena.make(flow_log__flow__init)

        let key = arena.make(flow_log__flow_key__init)
        key.pointee.vtap_id = UInt32(self.key.agentID)
        key.pointee.tap_type = UInt32(self.key.tapType)
        key.pointee.tap_port = self.key.tapPort
        key.pointee.mac_src = self.key.macSrc
        key.pointee.mac_dst = self.key.macDst
        key.pointee.ip_src = ends.ipSrc
        key.pointee.ip_dst = ends.ipDst
        key.pointee.ip6_src = arena.bytes(ends.ip6Src)
        key.pointee.ip6_dst = arena.bytes(ends.ip6Dst)
        key.pointee.port_src = UInt32(src.realPort)
        key.pointee.port_dst = UInt32(dst.realPort)
        key.pointee.proto = UInt32(self.key.proto)
        flow.pointee.flow_key = key
        flow.pointee.metrics_peer_src = src.message(arena, ip: ends.capturedSrc, port: self.key.portSrc)
        flow.pointee.metrics_peer_dst = dst.message(arena, ip: ends.capturedDst, port: self.key.portDst)
        if tunnel.type != 0 { flow.pointee.tunnel = tunnel.message(arena) }

        flow.pointee.flow_id = flowID
        flow.pointee.start_time = startTimeNs
        flow.pointee.end_time = endTimeNs
        flow.pointee.duration = durationNs
        flow.pointee.vlan = UInt32(vlan)
        flow.pointee.eth_type = UInt32(ethType)
        flow.pointee.has_perf_stats = hasPerfStats ? 1 : 0
        if hasPerfStats { flow.pointee.perf_stats = perf.message(arena) }
        flow.pointee.close_type = UInt32(closeType)
        flow.pointee.signal_source = UInt32(signalSource)
        flow.pointee.is_active_service = isActiveService ? 1 : 0
        flow.pointee.queue_hash = UInt32(queueHash)
        flow.pointee.is_new_flow = isNewFlow ? 1 : 0
        flow.pointee.tap_side = UInt32(tapSide)
        flow.pointee.syn_seq = synSeq
        flow.pointee.synack_seq = synAckSeq
        flow.pointee.last_keepalive_seq = lastKeepaliveSeq
        flow.pointee.last_keepalive_ack = lastKeepaliveAck
        flow.pointee.direction_score = UInt32(directionScore)
        flow.pointee.init_ipid = UInt32(initIPID)
        if let extra {
            flow.pointee.n_acl_gids = extra.aclGids.count
            flow.pointee.acl_gids = arena.array(extra.aclGids.map(UInt32.init))
            flow.pointee.request_domain = arena.string(extra.requestDomain)
            flow.pointee.n_aggregated_flow_ids = extra.aggregatedFlowIDs.count
            flow.pointee.aggregated_flow_ids = arena.array(extra.aggregatedFlowIDs)
        }
        let tagged = arena.make(flow_log__tagged_flow__init)
        tagged.pointee.flow = flow
        return packed(tagged, size: flow_log__tagged_flow__get_packed_size, pack: flow_log__tagged_flow__pack)
    }

    package init(reference bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        self.init()
        let message = bytes.withUnsafeBytes { unpacked($0, range, flow_log__tagged_flow__unpack) }
        guard let message else { throw .malformed(at: range.lowerBound) }
        defer { flow_log__tagged_flow__free_unpacked(message, nil) }
        guard let flow = message.pointee.flow?.pointee else { return }

        var ends = FlowEnds()
        if let key = flow.flow_key?.pointee {
            self.key.agentID = low(key.vtap_id)
            self.key.tapType = low(key.tap_type)
            self.key.tapPort = key.tap_port
            self.key.macSrc = key.mac_src
            self.key.macDst = key.mac_dst
            ends.ipSrc = key.ip_src
            ends.ipDst = key.ip_dst
            ends.ip6Src = IPAddress(key.ip6_src)
            ends.ip6Dst = IPAddress(key.ip6_dst)
            src.realPort = low(key.port_src)
            dst.realPort = low(key.port_dst)
            self.key.proto = low(key.proto)
        }
        if let peer = flow.metrics_peer_src?.pointee {
            src.take(peer)
            ends.capturedSrc = peer.real_ip
            key.portSrc = low(peer.real_port)
        }
        if let peer = flow.metrics_peer_dst?.pointee {
            dst.take(peer)
            ends.capturedDst = peer.real_ip
            key.portDst = low(peer.real_port)
        }
        if let tunnel = flow.tunnel?.pointee { self.tunnel = TunnelField(tunnel) }
        flowID = flow.flow_id
        startTimeNs = flow.start_time
        endTimeNs = flow.end_time
        durationNs = flow.duration
        vlan = low(flow.vlan)
        ethType = low(flow.eth_type)
        hasPerfStats = flow.has_perf_stats != 0
        if let perf = flow.perf_stats?.pointee { self.perf = FlowPerfStats(perf) }
        closeType = low(flow.close_type)
        signalSource = low(flow.signal_source)
        isActiveService = flow.is_active_service != 0
        queueHash = low(flow.queue_hash)
        isNewFlow = flow.is_new_flow != 0
        tapSide = low(flow.tap_side)
        synSeq = flow.syn_seq
        synAckSeq = flow.synack_seq
        lastKeepaliveSeq = flow.last_keepalive_seq
        lastKeepaliveAck = flow.last_keepalive_ack
        directionScore = low(flow.direction_score)
        initIPID = low(flow.init_ipid)
        ends.apply(to: &self)
        var parts = FlowExtraParts()
        parts.requestDomain = text(flow.request_domain)
        parts.aclGids = UnsafeBufferPointer(start: flow.acl_gids, count: flow.n_acl_gids).map { low($0) }
        parts.flowIDs = Array(UnsafeBufferPointer(start: flow.aggregated_flow_ids, count: flow.n_aggregated_flow_ids))
        extra = parts.made
    }
}

extension FlowMetricsPeer {
    fileprivate func message(
        _ arena: CArena, ip: UInt32, port: UInt16
    ) -> UnsafeMutablePointer<FlowLog__FlowMetricsPeer> {
        let message = arena.make(flow_log__flow_metrics_peer__init)
        message.pointee.byte_count = byteCount
        message.pointee.l3_byte_count = l3ByteCount
        message.pointee.l4_byte_count = l4ByteCount
        message.pointee.packet_count = packetCount
        message.pointee.total_byte_count = totalByteCount
        message.pointee.total_packet_count = totalPacketCount
        message.pointee.first = firstNs
        message.pointee.last = lastNs
        message.pointee.tcp_flags = UInt32(tcpFlags)
        message.pointee.l3_epc_id = l3EpcID
        message.pointee.is_l2_end = isL2End ? 1 : 0
        message.pointee.is_l3_end = isL3End ? 1 : 0
        message.pointee.is_active_host = isActiveHost ? 1 : 0
        message.pointee.is_device = isDevice ? 1 : 0
        message.pointee.is_vip_interface = isVipInterface ? 1 : 0
        message.pointee.is_vip = isVip ? 1 : 0
        message.pointee.real_ip = ip
        message.pointee.real_port = UInt32(port)
        message.pointee.gpid = gpid
        return message
    }

    fileprivate mutating func take(_ peer: FlowLog__FlowMetricsPeer) {
        byteCount = peer.byte_count
        l3ByteCount = peer.l3_byte_count
        l4ByteCount = peer.l4_byte_count
        packetCount = peer.packet_count
        totalByteCount = peer.total_byte_count
        totalPacketCount = peer.total_packet_count
        firstNs = peer.first
        lastNs = peer.last
        tcpFlags = low(peer.tcp_flags)
        l3EpcID = peer.l3_epc_id
        isL2End = peer.is_l2_end != 0
        isL3End = peer.is_l3_end != 0
        isActiveHost = peer.is_active_host != 0
        isDevice = peer.is_device != 0
        isVipInterface = peer.is_vip_interface != 0
        isVip = peer.is_vip != 0
        gpid = peer.gpid
    }
}

extension TunnelField {
    fileprivate func message(_ arena: CArena) -> UnsafeMutablePointer<FlowLog__TunnelField> {
        let message = arena.make(flow_log__tunnel_field__init)
        message.pointee.tx_ip0 = txIP0
        message.pointee.tx_ip1 = txIP1
        message.pointee.rx_ip0 = rxIP0
        message.pointee.rx_ip1 = rxIP1
        message.pointee.tx_mac0 = txMAC0
        message.pointee.tx_mac1 = txMAC1
        message.pointee.rx_mac0 = rxMAC0
        message.pointee.rx_mac1 = rxMAC1
        message.pointee.tx_id = txID
        message.pointee.rx_id = rxID
        message.pointee.tunnel_type = UInt32(type)
        message.pointee.tier = UInt32(tier)
        return message
    }

    fileprivate init(_ message: FlowLog__TunnelField) {
        self.init()
        txIP0 = message.tx_ip0
        txIP1 = message.tx_ip1
        rxIP0 = message.rx_ip0
        rxIP1 = message.rx_ip1
        txMAC0 = message.tx_mac0
        txMAC1 = message.tx_mac1
        rxMAC0 = message.rx_mac0
        rxMAC1 = message.rx_mac1
        txID = message.tx_id
        rxID = message.rx_id
        type = low(message.tunnel_type)
        tier = low(message.tier)
    }
}

extension FlowPerfStats {
    fileprivate func message(_ arena: CArena) -> UnsafeMutablePointer<FlowLog__FlowPerfStats> {
        let message = arena.make(flow_log__flow_perf_stats__init)
        let tcp = arena.make(flow_log__tcpperf_stats__init)
        tcp.pointee.rtt_client_max = self.tcp.rttClient.max
        tcp.pointee.rtt_server_max = self.tcp.rttServer.max
        tcp.pointee.srt_max = self.tcp.srt.max
        tcp.pointee.art_max = self.tcp.art.max
        tcp.pointee.rtt = self.tcp.rtt
        tcp.pointee.srt_sum = UInt32(truncatingIfNeeded: self.tcp.srt.sum)
        tcp.pointee.art_sum = UInt32(truncatingIfNeeded: self.tcp.art.sum)
        tcp.pointee.srt_count = self.tcp.srt.count
        tcp.pointee.art_count = self.tcp.art.count
        tcp.pointee.counts_peer_tx = self.tcp.tx.message(arena)
        tcp.pointee.counts_peer_rx = self.tcp.rx.message(arena)
        tcp.pointee.total_retrans_count = self.tcp.totalRetrans
        tcp.pointee.syn_count = self.tcp.synCount
        tcp.pointee.synack_count = self.tcp.synAckCount
        tcp.pointee.cit_max = self.tcp.cit.max
        tcp.pointee.cit_sum = UInt32(truncatingIfNeeded: self.tcp.cit.sum)
        tcp.pointee.cit_count = self.tcp.cit.count
        tcp.pointee.fin_count = self.tcp.finCount
        message.pointee.tcp = tcp
        let l7 = arena.make(flow_log__l7_perf_stats__init)
        l7.pointee.request_count = self.l7.requestCount
        l7.pointee.response_count = self.l7.responseCount
        l7.pointee.err_client_count = self.l7.errClientCount
        l7.pointee.err_server_count = self.l7.errServerCount
        l7.pointee.err_timeout = self.l7.errTimeout
        l7.pointee.rrt_count = self.l7.rrtCount
        l7.pointee.rrt_sum = self.l7.rrtSum
        l7.pointee.rrt_max = self.l7.rrtMax
        l7.pointee.tls_rtt = self.l7.tlsRtt
        message.pointee.l7 = l7
        message.pointee.l4_protocol = UInt32(l4Protocol)
        message.pointee.l7_protocol = UInt32(l7Protocol)
        message.pointee.l7_failed_count = l7FailedCount
        return message
    }

    fileprivate init(_ message: FlowLog__FlowPerfStats) {
        self.init()
        if let part = message.tcp?.pointee {
            tcp.rttClient.max = part.rtt_client_max
            tcp.rttServer.max = part.rtt_server_max
            tcp.rtt = part.rtt
            (tcp.srt.max, tcp.srt.sum, tcp.srt.count) = (part.srt_max, UInt64(part.srt_sum), part.srt_count)
            (tcp.art.max, tcp.art.sum, tcp.art.count) = (part.art_max, UInt64(part.art_sum), part.art_count)
            (tcp.cit.max, tcp.cit.sum, tcp.cit.count) = (part.cit_max, UInt64(part.cit_sum), part.cit_count)
            if let counts = part.counts_peer_tx?.pointee { tcp.tx = TCPPerfCounts(counts) }
            if let counts = part.counts_peer_rx?.pointee { tcp.rx = TCPPerfCounts(counts) }
            tcp.totalRetrans = part.total_retrans_count
            tcp.synCount = part.syn_count
            tcp.synAckCount = part.synack_count
            tcp.finCount = part.fin_count
        }
        if let part = message.l7?.pointee {
            l7.requestCount = part.request_count
            l7.responseCount = part.response_count
            l7.errClientCount = part.err_client_count
            l7.errServerCount = part.err_server_count
            l7.errTimeout = part.err_timeout
            l7.rrtCount = part.rrt_count
            l7.rrtSum = part.rrt_sum
            l7.rrtMax = part.rrt_max
            l7.tlsRtt = part.tls_rtt
        }
        l4Protocol = low(message.l4_protocol)
        l7Protocol = low(message.l7_protocol)
        l7FailedCount = message.l7_failed_count
    }
}

extension TCPPerfCounts {
    fileprivate func message(_ arena: CArena) -> UnsafeMutablePointer<FlowLog__TcpPerfCountsPeer> {
        let message = arena.make(flow_log__tcp_perf_counts_peer__init)
        message.pointee.retrans_count = retrans
        message.pointee.zero_win_count = zeroWin
        message.pointee.ooo_count = outOfOrder
        return message
    }

    fileprivate init(_ message: FlowLog__TcpPerfCountsPeer) {
        self.init()
        retrans = message.retrans_count
        zeroWin = message.zero_win_count
        outOfOrder = message.ooo_count
    }
}
