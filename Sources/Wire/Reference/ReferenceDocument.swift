import CWire
package import Model

extension Document: ReferenceCodable {
    package func referenceBytes() -> [UInt8] {
        let arena = CArena()
        let document = arena.make(metric__document__init)
        document.pointee.timestamp = timestamp
        document.pointee.flags = flags
        let tag = arena.make(metric__mini_tag__init)
        tag.pointee.code = self.tag.code
        tag.pointee.field = self.tag.field.message(arena, isEdge: self.tag.isEdge)
        document.pointee.tag = tag
        let meter = arena.make(metric__meter__init)
        meter.pointee.meter_id = self.meter.id
        switch self.meter {
        case .flow(let flow): meter.pointee.flow = flow.message(arena)
        case .usage(let usage): meter.pointee.usage = usage.message(arena)
        case .app(let app): meter.pointee.app = app.message(arena)
        }
        document.pointee.meter = meter
        return packed(document, size: metric__document__get_packed_size, pack: metric__document__pack)
    }

    package init(reference bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        self.init()
        let message = bytes.withUnsafeBytes { unpacked($0, range, metric__document__unpack) }
        guard let message else { throw .malformed(at: range.lowerBound) }
        defer { metric__document__free_unpacked(message, nil) }
        timestamp = message.pointee.timestamp
        flags = message.pointee.flags
        if let tag = message.pointee.tag {
            self.tag.code = tag.pointee.code
            if let field = tag.pointee.field { self.tag.field = MiniField(field.pointee) }
        }
        guard let meter = message.pointee.meter else { throw .malformed(at: range.lowerBound) }
        switch meter.pointee.meter_id {
        case 1: self.meter = .flow(meter.pointee.flow.map { FlowMeter($0.pointee) } ?? FlowMeter())
        case 4: self.meter = .usage(meter.pointee.usage.map { UsageMeter($0.pointee) } ?? UsageMeter())
        case 5: self.meter = .app(meter.pointee.app.map { AppMeter($0.pointee) } ?? AppMeter())
        default: throw .malformed(at: range.lowerBound)
        }
    }
}

extension MiniField {
    fileprivate func message(_ arena: CArena, isEdge: Bool) -> UnsafeMutablePointer<Metric__MiniField> {
        let message = arena.make(metric__mini_field__init)
        let addresses = DocumentAddresses(self)
        message.pointee.ip = arena.bytes(addresses.ip, isWide: addresses.isWide)
        if isEdge { message.pointee.ip1 = arena.bytes(addresses.ip1, isWide: addresses.isWide) }
        message.pointee.global_thread_id = globalThreadID
        message.pointee.is_ipv6 = isIPv6 ? 1 : 0
        message.pointee.l3_epc_id = l3EpcID
        message.pointee.l3_epc_id1 = l3EpcID1
        message.pointee.mac = mac
        message.pointee.mac1 = mac1
        message.pointee.direction = UInt32(direction)
        message.pointee.tap_side = UInt32(tapSide)
        message.pointee.protocol = UInt32(proto)
        message.pointee.acl_gid = UInt32(aclGid)
        message.pointee.server_port = UInt32(serverPort)
        message.pointee.vtap_id = vtapID
        message.pointee.tap_port = tapPort
        message.pointee.tap_type = UInt32(tapType)
        message.pointee.l7_protocol = UInt32(l7Protocol)
        message.pointee.gpid = gpid
        message.pointee.gpid1 = gpid1
        message.pointee.signal_source = UInt32(signalSource)
        message.pointee.app_service = arena.string(appService)
        message.pointee.app_instance = arena.string(appInstance)
        message.pointee.endpoint = arena.string(endpoint)
        message.pointee.pod_id = podID
        message.pointee.biz_type = UInt32(bizType)
        return message
    }

    fileprivate init(_ field: Metric__MiniField) {
        self.init()
        ip = IPAddress(field.ip)
        ip1 = IPAddress(field.ip1)
        globalThreadID = field.global_thread_id
        isIPv6 = field.is_ipv6 != 0
        l3EpcID = field.l3_epc_id
        l3EpcID1 = field.l3_epc_id1
        mac = field.mac
        mac1 = field.mac1
        direction = low(field.direction)
        tapSide = low(field.tap_side)
        proto = low(field.protocol)
        aclGid = low(field.acl_gid)
        serverPort = low(field.server_port)
        vtapID = field.vtap_id
        tapPort = field.tap_port
        tapType = low(field.tap_type)
        l7Protocol = low(field.l7_protocol)
        gpid = field.gpid
        gpid1 = field.gpid1
        signalSource = low(field.signal_source)
        appService = text(field.app_service)
        appInstance = text(field.app_instance)
        endpoint = text(field.endpoint)
        podID = field.pod_id
        bizType = low(field.biz_type)
    }
}

extension FlowMeter {
    fileprivate func message(_ arena: CArena) -> UnsafeMutablePointer<Metric__FlowMeter> {
        let message = arena.make(metric__flow_meter__init)
        let traffic = arena.make(metric__traffic__init)
        traffic.pointee.packet_tx = packetTx
        traffic.pointee.packet_rx = packetRx
        traffic.pointee.byte_tx = byteTx
        traffic.pointee.byte_rx = byteRx
        traffic.pointee.l3_byte_tx = l3ByteTx
        traffic.pointee.l3_byte_rx = l3ByteRx
        traffic.pointee.l4_byte_tx = l4ByteTx
        traffic.pointee.l4_byte_rx = l4ByteRx
        traffic.pointee.new_flow = newFlow
        traffic.pointee.closed_flow = closedFlow
        traffic.pointee.l7_request = l7Request
        traffic.pointee.l7_response = l7Response
        traffic.pointee.syn = syn
        traffic.pointee.synack = synAck
        traffic.pointee.direction_score = UInt32(directionScore)
        message.pointee.traffic = traffic

        let latency = arena.make(metric__latency__init)
        latency.pointee.rtt_max = rtt.max
        latency.pointee.rtt_client_max = rttClient.max
        latency.pointee.rtt_server_max = rttServer.max
        latency.pointee.srt_max = srt.max
        latency.pointee.art_max = art.max
        latency.pointee.rrt_max = rrt.max
        latency.pointee.rtt_sum = rtt.sum
        latency.pointee.rtt_client_sum = rttClient.sum
        latency.pointee.rtt_server_sum = rttServer.sum
        latency.pointee.srt_sum = srt.sum
        latency.pointee.art_sum = art.sum
        latency.pointee.rrt_sum = rrt.sum
        latency.pointee.rtt_count = rtt.count
        latency.pointee.rtt_client_count = rttClient.count
        latency.pointee.rtt_server_count = rttServer.count
        latency.pointee.srt_count = srt.count
        latency.pointee.art_count = art.count
        latency.pointee.rrt_count = rrt.count
        latency.pointee.cit_max = cit.max
        latency.pointee.cit_sum = cit.sum
        latency.pointee.cit_count = cit.count
        message.pointee.latency = latency

        let performance = arena.make(metric__performance__init)
        performance.pointee.retrans_tx = retransTx
        performance.pointee.retrans_rx = retransRx
        performance.pointee.zero_win_tx = zeroWinTx
        performance.pointee.zero_win_rx = zeroWinRx
        performance.pointee.retrans_syn = retransSyn
        performance.pointee.retrans_synack = retransSynAck
        message.pointee.performance = performance

        let anomaly = arena.make(metric__anomaly__init)
        anomaly.pointee.client_rst_flow = clientRstFlow
        anomaly.pointee.server_rst_flow = serverRstFlow
        anomaly.pointee.server_syn_miss = serverSynMiss
        anomaly.pointee.client_ack_miss = clientAckMiss
        anomaly.pointee.client_half_close_flow = clientHalfCloseFlow
        anomaly.pointee.server_half_close_flow = serverHalfCloseFlow
        anomaly.pointee.client_source_port_reuse = clientSourcePortReuse
        anomaly.pointee.client_establish_reset = clientEstablishReset
        anomaly.pointee.server_reset = serverReset
        anomaly.pointee.server_queue_lack = serverQueueLack
        anomaly.pointee.server_establish_reset = serverEstablishReset
        anomaly.pointee.tcp_timeout = tcpTimeout
        anomaly.pointee.l7_client_error = l7ClientError
        anomaly.pointee.l7_server_error = l7ServerError
        anomaly.pointee.l7_timeout = l7Timeout
        anomaly.pointee.client_ooo = clientOoo
        anomaly.pointee.server_ooo = serverOoo
        message.pointee.anomaly = anomaly

        let flowLoad = arena.make(metric__flow_load__init)
        flowLoad.pointee.load = load
        message.pointee.flow_load = flowLoad
        return message
    }

    fileprivate init(_ message: Metric__FlowMeter) {
        self.init()
        if let part = message.traffic?.pointee {
            packetTx = part.packet_tx
            packetRx = part.packet_rx
            byteTx = part.byte_tx
            byteRx = part.byte_rx
            l3ByteTx = part.l3_byte_tx
            l3ByteRx = part.l3_byte_rx
            l4ByteTx = part.l4_byte_tx
            l4ByteRx = part.l4_byte_rx
            newFlow = part.new_flow
            closedFlow = part.closed_flow
            l7Request = part.l7_request
            l7Response = part.l7_response
            syn = part.syn
            synAck = part.synack
            directionScore = low(part.direction_score)
        }
        if let part = message.latency?.pointee {
            (rtt.max, rtt.sum, rtt.count) = (part.rtt_max, part.rtt_sum, part.rtt_count)
            (rttClient.max, rttClient.sum, rttClient.count) =
                (part.rtt_client_max, part.rtt_client_sum, part.rtt_client_count)
            (rttServer.max, rttServer.sum, rttServer.count) =
                (part.rtt_server_max, part.rtt_server_sum, part.rtt_server_count)
            (srt.max, srt.sum, srt.count) = (part.srt_max, part.srt_sum, part.srt_count)
            (art.max, art.sum, art.count) = (part.art_max, part.art_sum, part.art_count)
            (rrt.max, rrt.sum, rrt.count) = (part.rrt_max, part.rrt_sum, part.rrt_count)
            (cit.max, cit.sum, cit.count) = (part.cit_max, part.cit_sum, part.cit_count)
        }
        if let part = message.performance?.pointee {
            retransTx = part.retrans_tx
            retransRx = part.retrans_rx
            zeroWinTx = part.zero_win_tx
            zeroWinRx = part.zero_win_rx
            retransSyn = part.retrans_syn
            retransSynAck = part.retrans_synack
        }
        if let part = message.anomaly?.pointee {
            clientRstFlow = part.client_rst_flow
            serverRstFlow = part.server_rst_flow
            serverSynMiss = part.server_syn_miss
            clientAckMiss = part.client_ack_miss
            clientHalfCloseFlow = part.client_half_close_flow
            serverHalfCloseFlow = part.server_half_close_flow
            clientSourcePortReuse = part.client_source_port_reuse
            clientEstablishReset = part.client_establish_reset
            serverReset = part.server_reset
            serverQueueLack = part.server_queue_lack
            serverEstablishReset = part.server_establish_reset
            tcpTimeout = part.tcp_timeout
            l7ClientError = part.l7_client_error
            l7ServerError = part.l7_server_error
            l7Timeout = part.l7_timeout
            clientOoo = part.client_ooo
            serverOoo = part.server_ooo
        }
        load = message.flow_load?.pointee.load ?? 0
    }
}

extension UsageMeter {
    fileprivate func message(_ arena: CArena) -> UnsafeMutablePointer<Metric__UsageMeter> {
        let message = arena.make(metric__usage_meter__init)
        message.pointee.packet_tx = packetTx
        message.pointee.packet_rx = packetRx
        message.pointee.byte_tx = byteTx
        message.pointee.byte_rx = byteRx
        message.pointee.l3_byte_tx = l3ByteTx
        message.pointee.l3_byte_rx = l3ByteRx
        message.pointee.l4_byte_tx = l4ByteTx
        message.pointee.l4_byte_rx = l4ByteRx
        return message
    }

    fileprivate init(_ message: Metric__UsageMeter) {
        self.init()
        packetTx = message.packet_tx
        packetRx = message.packet_rx
        byteTx = message.byte_tx
        byteRx = message.byte_rx
        l3ByteTx = message.l3_byte_tx
        l3ByteRx = message.l3_byte_rx
        l4ByteTx = message.l4_byte_tx
        l4ByteRx = message.l4_byte_rx
    }
}

extension AppMeter {
    fileprivate func message(_ arena: CArena) -> UnsafeMutablePointer<Metric__AppMeter> {
        let message = arena.make(metric__app_meter__init)
        let traffic = arena.make(metric__app_traffic__init)
        traffic.pointee.request = request
        traffic.pointee.response = response
        traffic.pointee.direction_score = UInt32(directionScore)
        message.pointee.traffic = traffic
        let latency = arena.make(metric__app_latency__init)
        latency.pointee.rrt_max = rrt.max
        latency.pointee.rrt_sum = rrt.sum
        latency.pointee.rrt_count = rrt.count
        message.pointee.latency = latency
        let anomaly = arena.make(metric__app_anomaly__init)
        anomaly.pointee.client_error = clientError
        anomaly.pointee.server_error = serverError
        anomaly.pointee.timeout = timeout
        message.pointee.anomaly = anomaly
        return message
    }

    fileprivate init(_ message: Metric__AppMeter) {
        self.init()
        if let part = message.traffic?.pointee {
            request = part.request
            response = part.response
            directionScore = low(part.direction_score)
        }
        if let part = message.latency?.pointee {
            (rrt.max, rrt.sum, rrt.count) = (part.rrt_max, part.rrt_sum, part.rrt_count)
        }
        if let part = message.anomaly?.pointee {
            clientError = part.client_error
            serverError = part.server_error
            timeout = part.timeout
        }
    }
}
