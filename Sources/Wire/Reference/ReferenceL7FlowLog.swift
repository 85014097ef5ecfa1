import CWire
package import Model

extension L7FlowLog: ReferenceCodable {
    package func referenceBytes() -> [UInt8] {
        let arena = CArena()
        let message = arena.make(flow_log__app_proto_logs_data__init)
        message.pointee.base_info = base.message(arena)
        message.pointee.req_len = requestLength
        message.pointee.resp_len = responseLength
        if hasRequest {
            let request = arena.make(flow_log__l7_request__init)
            request.pointee.req_type = arena.string(requestType)
            request.pointee.domain = arena.string(requestDomain)
            request.pointee.resource = arena.string(requestResource)
            request.pointee.endpoint = arena.string(endpoint)
            message.pointee.req = request
        }
        if hasResponse {
            let response = arena.make(flow_log__l7_response__init)
            response.pointee.status = UInt32(responseStatus)
            response.pointee.code = responseCode
            response.pointee.exception = arena.string(responseException)
            response.pointee.result = arena.string(responseResult)
            message.pointee.resp = response
        }
        message.pointee.version = arena.string(version)
        if let trace {
            let info = arena.make(flow_log__trace_info__init)
            info.pointee.trace_id = arena.string(trace.traceID)
            info.pointee.span_id = arena.string(trace.spanID)
            info.pointee.parent_span_id = arena.string(trace.parentSpanID)
            info.pointee.n_trace_ids = trace.traceIDs.count
            info.pointee.trace_ids = arena.strings(trace.traceIDs)
            message.pointee.trace_info = info
        }
        if let ext { message.pointee.ext_info = ext.message(arena) }
        message.pointee.row_effect = rowEffect
        message.pointee.direction_score = UInt32(directionScore)
        message.pointee.flags = UInt32(flags)
        message.pointee.captured_request_byte = capturedRequestByte
        message.pointee.captured_response_byte = capturedResponseByte
        message.pointee.biz_code = arena.string(bizCode)
        message.pointee.biz_scenario = arena.string(bizScenario)
        message.pointee.biz_response_code = arena.string(bizResponseCode)
        return packed(
            message, size: flow_log__app_proto_logs_data__get_packed_size, pack: flow_log__app_proto_logs_data__pack)
    }

    package init(reference bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        self = .zero
        let unpackedMessage = bytes.withUnsafeBytes { unpacked($0, range, flow_log__app_proto_logs_data__unpack) }
        guard let unpackedMessage else { throw .malformed(at: range.lowerBound) }
        defer { flow_log__app_proto_logs_data__free_unpacked(unpackedMessage, nil) }
        let message = unpackedMessage.pointee
        if let info = message.base_info?.pointee { base.take(info) }
        requestLength = message.req_len
        responseLength = message.resp_len
        if let request = message.req?.pointee {
            hasRequest = true
            requestType = text(request.req_type)
            requestDomain = text(request.domain)
            requestResource = text(request.resource)
            endpoint = text(request.endpoint)
        }
        if let response = message.resp?.pointee {
            hasResponse = true
            responseStatus = low(response.status)
            responseCode = response.code
            responseException = text(response.exception)
            responseResult = text(response.result)
        }
        version = text(message.version)
        if let info = message.trace_info?.pointee {
            var trace = L7Trace()
            trace.traceID = text(info.trace_id)
            trace.spanID = text(info.span_id)
            trace.parentSpanID = text(info.parent_span_id)
            trace.traceIDs = texts(info.n_trace_ids, info.trace_ids)
            self.trace = trace
        }
        if let info = message.ext_info?.pointee { ext = L7Ext(info) }
        rowEffect = message.row_effect
        directionScore = low(message.direction_score)
        flags = low(message.flags)
        capturedRequestByte = message.captured_request_byte
        capturedResponseByte = message.captured_response_byte
        bizCode = text(message.biz_code)
        bizScenario = text(message.biz_scenario)
        bizResponseCode = text(message.biz_response_code)
    }
}

extension L7Base {
    fileprivate func message(_ arena: CArena) -> UnsafeMutablePointer<FlowLog__AppProtoLogsBaseInfo> {
        let message = arena.make(flow_log__app_proto_logs_base_info__init)
        message.pointee.start_time = startTimeNs
        message.pointee.end_time = endTimeNs
        message.pointee.flow_id = flowID
        message.pointee.tap_port = tapPort
        message.pointee.vtap_id = UInt32(agentID)
        message.pointee.tap_type = UInt32(tapType)
        message.pointee.is_ipv6 = isIPv6 ? 1 : 0
        message.pointee.tap_side = UInt32(tapSide)
        let head = arena.make(flow_log__app_proto_head__init)
        head.pointee.proto = UInt32(l7Protocol)
        head.pointee.msg_type = UInt32(messageType)
        head.pointee.rrt = rrtNs
        message.pointee.head = head
        message.pointee.mac_src = macSrc
        message.pointee.mac_dst = macDst
        message.pointee.ip_src = isIPv6 ? 0 : ipSrc.v4
        message.pointee.ip_dst = isIPv6 ? 0 : ipDst.v4
        message.pointee.ip6_src = arena.bytes(isIPv6 ? ipSrc : IPAddress())
        message.pointee.ip6_dst = arena.bytes(isIPv6 ? ipDst : IPAddress())
        message.pointee.l3_epc_id_src = l3EpcIDSrc
        message.pointee.l3_epc_id_dst = l3EpcIDDst
        message.pointee.port_src = UInt32(portSrc)
        message.pointee.port_dst = UInt32(portDst)
        message.pointee.protocol = UInt32(proto)
        message.pointee.is_vip_interface_src = isVipInterfaceSrc ? 1 : 0
        message.pointee.is_vip_interface_dst = isVipInterfaceDst ? 1 : 0
        message.pointee.req_tcp_seq = reqTCPSeq
        message.pointee.resp_tcp_seq = respTCPSeq
        message.pointee.process_id_0 = processID0
        message.pointee.process_id_1 = processID1
        message.pointee.process_kname_0 = arena.string(processName0)
        message.pointee.process_kname_1 = arena.string(processName1)
        message.pointee.syscall_trace_id_request = syscallTraceIDRequest
        message.pointee.syscall_trace_id_response = syscallTraceIDResponse
        message.pointee.syscall_trace_id_thread_0 = syscallThread0
        message.pointee.syscall_trace_id_thread_1 = syscallThread1
        message.pointee.syscall_cap_seq_0 = UInt32(truncatingIfNeeded: syscallCapSeq0)
        message.pointee.syscall_cap_seq_1 = UInt32(truncatingIfNeeded: syscallCapSeq1)
        message.pointee.gpid_0 = gpid0
        message.pointee.gpid_1 = gpid1
        message.pointee.syscall_coroutine_0 = syscallCoroutine0
        message.pointee.syscall_coroutine_1 = syscallCoroutine1
        message.pointee.pod_id_0 = podID0
        message.pointee.pod_id_1 = podID1
        message.pointee.biz_type = UInt32(bizType)
        return message
    }

    fileprivate mutating func take(_ info: FlowLog__AppProtoLogsBaseInfo) {
        startTimeNs = info.start_time
        endTimeNs = info.end_time
        flowID = info.flow_id
        tapPort = info.tap_port
        agentID = low(info.vtap_id)
        tapType = low(info.tap_type)
        isIPv6 = info.is_ipv6 != 0
        tapSide = low(info.tap_side)
        if let head = info.head?.pointee {
            l7Protocol = low(head.proto)
            messageType = low(head.msg_type)
            rrtNs = head.rrt
        }
        macSrc = info.mac_src
        macDst = info.mac_dst
        var addresses = L7Addresses()
        addresses.ipSrc = info.ip_src
        addresses.ipDst = info.ip_dst
        addresses.ip6Src = IPAddress(info.ip6_src)
        addresses.ip6Dst = IPAddress(info.ip6_dst)
        addresses.apply(to: &self)
        l3EpcIDSrc = info.l3_epc_id_src
        l3EpcIDDst = info.l3_epc_id_dst
        portSrc = low(info.port_src)
        portDst = low(info.port_dst)
        proto = low(info.protocol)
        isVipInterfaceSrc = info.is_vip_interface_src != 0
        isVipInterfaceDst = info.is_vip_interface_dst != 0
        reqTCPSeq = info.req_tcp_seq
        respTCPSeq = info.resp_tcp_seq
        processID0 = info.process_id_0
        processID1 = info.process_id_1
        processName0 = text(info.process_kname_0)
        processName1 = text(info.process_kname_1)
        syscallTraceIDRequest = info.syscall_trace_id_request
        syscallTraceIDResponse = info.syscall_trace_id_response
        syscallThread0 = info.syscall_trace_id_thread_0
        syscallThread1 = info.syscall_trace_id_thread_1
        syscallCapSeq0 = UInt64(info.syscall_cap_seq_0)
        syscallCapSeq1 = UInt64(info.syscall_cap_seq_1)
        gpid0 = info.gpid_0
        gpid1 = info.gpid_1
        syscallCoroutine0 = info.syscall_coroutine_0
        syscallCoroutine1 = info.syscall_coroutine_1
        podID0 = info.pod_id_0
        podID1 = info.pod_id_1
        bizType = low(info.biz_type)
    }
}

extension L7Ext {
    fileprivate func message(_ arena: CArena) -> UnsafeMutablePointer<FlowLog__ExtendedInfo> {
        let message = arena.make(flow_log__extended_info__init)
        message.pointee.service_name = arena.string(serviceName)
        message.pointee.client_ip = arena.string(clientIP)
        message.pointee.request_id = requestID
        message.pointee.x_request_id_0 = arena.string(xRequestID0)
        message.pointee.http_user_agent = arena.string(userAgent)
        message.pointee.http_referer = arena.string(referer)
        message.pointee.rpc_service = arena.string(rpcService)
        message.pointee.protocol_str = arena.string(protocolText)
        message.pointee.x_request_id_1 = arena.string(xRequestID1)
        message.pointee.n_attribute_names = attributeNames.count
        message.pointee.attribute_names = arena.strings(attributeNames)
        message.pointee.n_attribute_values = attributeValues.count
        message.pointee.attribute_values = arena.strings(attributeValues)
        message.pointee.n_metrics_names = metricsNames.count
        message.pointee.metrics_names = arena.strings(metricsNames)
        message.pointee.n_metrics_values = metricsValues.count
        message.pointee.metrics_values = arena.array(metricsValues)
        return message
    }

    fileprivate init(_ info: FlowLog__ExtendedInfo) {
        self.init()
        serviceName = text(info.service_name)
        clientIP = text(info.client_ip)
        requestID = info.request_id
        xRequestID0 = text(info.x_request_id_0)
        userAgent = text(info.http_user_agent)
        referer = text(info.http_referer)
        rpcService = text(info.rpc_service)
        protocolText = text(info.protocol_str)
        xRequestID1 = text(info.x_request_id_1)
        attributeNames = texts(info.n_attribute_names, info.attribute_names)
        attributeValues = texts(info.n_attribute_values, info.attribute_values)
        metricsNames = texts(info.n_metrics_names, info.metrics_names)
        metricsValues = Array(UnsafeBufferPointer(start: info.metrics_values, count: info.n_metrics_values))
    }
}
