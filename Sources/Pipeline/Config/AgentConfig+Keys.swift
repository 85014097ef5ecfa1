import Capture
import Model

extension AgentConfig {
    /// Paths and what they change.
    static let keys: [String: Key] = {
        var keys: [String: Key] = [:]
        func add(
            _ path: String, _ apply: @escaping @Sendable (inout AgentConfig, ConfigValue) throws(ConfigMismatch) -> Void
        ) {
            keys[path] = Key(apply: apply)
        }
        let l7 = "processors.request_log."
        let inference = l7 + "application_protocol_inference."
        let tags = l7 + "tag_extraction."
        let flowLog = "processors.flow_log."

        add("inputs.cbpf.common.capture_mode") { c, v throws(ConfigMismatch) in
            guard let mode = CaptureMode(rawValue: UInt8(try v.integer(0...2))) else { return }
            c.pipeline.mirror.mode = mode
            c.ringMemory.isAnalyzer = mode == .analyzer
        }
        add("inputs.cbpf.physical_mirror.default_capture_network_type") { c, v throws(ConfigMismatch) in
            c.pipeline.mirror.standardNetworkType = UInt16(try v.integer(0...256))
        }
        add("inputs.cbpf.physical_mirror.private_cloud_gateway_traffic") { c, v throws(ConfigMismatch) in
            c.pipeline.mirror.isGatewayTraffic = try v.bool()
        }
        add("inputs.cbpf.af_packet.vlan_pcp_in_physical_mirror_traffic") { c, v throws(ConfigMismatch) in
            c.pipeline.mirror.vlanPriority = UInt8(try v.integer(0...9))
        }
        add("inputs.cbpf.af_packet.interface_regex") { c, v throws(ConfigMismatch) in
            c.pipeline.interfaces.pattern = try v.pattern()?.text ?? ""
        }
        add("inputs.cbpf.af_packet.extra_netns_regex") { c, v throws(ConfigMismatch) in
            c.pipeline.namespaces.extra = try v.pattern()
        }
        add("inputs.cbpf.af_packet.inner_interface_capture_enabled") { c, v throws(ConfigMismatch) in
            c.pipeline.namespaces.isInnerEnabled = try v.bool()
        }
        add("inputs.cbpf.af_packet.inner_interface_regex") { c, v throws(ConfigMismatch) in
            c.pipeline.namespaces.inner = try v.pattern()
        }
        add("inputs.cbpf.af_packet.bond_interfaces") { c, v throws(ConfigMismatch) in
            // Only the first group counts.
            guard let group = try v.list().first else {
                c.pipeline.bondMembers = []
                return
            }
            c.pipeline.bondMembers = try group.fields(["slave_interfaces"])["slave_interfaces"]?.texts() ?? []
        }
        add("inputs.cbpf.af_packet.extra_bpf_filter") { c, v throws(ConfigMismatch) in
            let filter = try v.text()
            c.pipeline.filter = filter.isEmpty ? nil : filter
        }
        add("inputs.cbpf.af_packet.bpf_filter_disabled") { c, v throws(ConfigMismatch) in
            c.pipeline.isFilterDisabled = try v.bool()
        }
        add("inputs.resources.private_cloud.vm_mac_source") { c, v throws(ConfigMismatch) in
            guard let source = MachineMACs.Source(rawValue: UInt8(try v.integer(0...2))) else { return }
            c.pipeline.machines.source = source
        }
        add("inputs.resources.private_cloud.vm_mac_mapping_script") { c, v throws(ConfigMismatch) in
            c.pipeline.machineScript = try v.text()
        }
        add("inputs.cbpf.af_packet.skip_npb_bpf") { c, v throws(ConfigMismatch) in
            if try v.bool() { c.own.copies = nil }
        }
        add("outputs.npb.target_port") { c, v throws(ConfigMismatch) in
            c.own.copies?.port = UInt16(try v.integer(1...65535))
        }
        add("outputs.npb.custom_vxlan_flags") { c, v throws(ConfigMismatch) in
            c.own.copies?.flags = UInt8(try v.integer(0...255))
        }
        add("global.communication.proxy_controller_port") { c, v throws(ConfigMismatch) in
            let port = UInt16(try v.integer(1...65535))
            if !c.own.controllerPorts.contains(port) { c.own.controllerPorts.append(port) }
        }
        add("global.limits.max_memory") { c, v throws(ConfigMismatch) in
            c.ringMemory.maxMemoryMiB = UInt32(try v.integer(128...100_000))
            c.statistics.host.maxMemoryBytes = UInt64(c.ringMemory.maxMemoryMiB) << 20
        }
        add("global.limits.max_millicpus") { c, v throws(ConfigMismatch) in
            c.statistics.host.maxMilliCPUs = UInt64(try v.integer(1...100_000))
        }
        add("global.circuit_breakers.sys_memory_percentage.trigger_threshold") { c, v throws(ConfigMismatch) in
            c.statistics.host.memoryPercent = UInt64(try v.integer(0...100))
        }
        add("global.circuit_breakers.free_disk.directories") { c, v throws(ConfigMismatch) in
            c.statistics.host.directories = try v.texts()
        }
        add("global.self_monitoring.log.log_file") { c, v throws(ConfigMismatch) in
            c.statistics.host.logFile = try v.text()
        }
        add("inputs.cbpf.af_packet.tunning.ring_blocks_enabled") { c, v throws(ConfigMismatch) in
            c.ringMemory.isFixed = try v.bool()
        }
        add("inputs.cbpf.af_packet.tunning.ring_blocks") { c, v throws(ConfigMismatch) in
            c.ringMemory.fixedBlocks = UInt32(try v.integer(8...1_000_000))
        }
        add("inputs.cbpf.af_packet.tunning.socket_version") { c, v throws(ConfigMismatch) in
            guard let version = PacketRing.Version(rawValue: UInt32(try v.integer(0...3))) else {
                throw ConfigMismatch(wanted: "0, 2 or 3")
            }
            c.pipeline.ring.version = version
        }
        add("inputs.cbpf.af_packet.tunning.interface_promisc_enabled") { c, v throws(ConfigMismatch) in
            c.pipeline.isPromiscuous = try v.bool()
        }
        add("inputs.cbpf.special_network.libpcap.enabled") { c, v throws(ConfigMismatch) in
            c.pipeline.usesLibpcap = try v.bool()
        }
        add("inputs.cbpf.tunning.dispatcher_queue_enabled") { c, v throws(ConfigMismatch) in
            c.pipeline.rawQueue.isEnabled = try v.bool()
        }
        add("inputs.cbpf.tunning.raw_packet_queue_size") { c, v throws(ConfigMismatch) in
            c.pipeline.rawQueue.packets = Int(try v.integer(1024...64_000_000))
        }
        add("inputs.cbpf.tunning.raw_packet_buffer_block_size") { c, v throws(ConfigMismatch) in
            c.pipeline.rawQueue.blockBytes = Int(try v.integer(1...16_777_216))
        }
        add("inputs.cbpf.tunning.max_capture_pps") { c, v throws(ConfigMismatch) in
            c.pipeline.maxPacketsPerSecond = Int(try v.integer(1...10_000_000))
        }
        add("inputs.cbpf.af_packet.tunning.packet_fanout_count") { c, v throws(ConfigMismatch) in
            c.pipeline.fanout.count = Int(try v.integer(1...64))
        }
        add("inputs.cbpf.af_packet.tunning.packet_fanout_mode") { c, v throws(ConfigMismatch) in
            c.pipeline.fanout.mode = UInt16(try v.integer(0...7))
        }
        add("inputs.cbpf.tunning.max_capture_packet_size") { c, v throws(ConfigMismatch) in
            c.pipeline.ring.snapLength = UInt32(try v.integer(128...65535))
        }
        add("inputs.cbpf.preprocess.tunnel_decap_protocols") { c, v throws(ConfigMismatch) in
            var types: TunnelSet = []
            for number in try v.list() {
                let wanted = try number.integer(0...7)
                if let type = TunnelType(rawValue: UInt8(wanted)) { types.insert(type) }
            }
            c.pipeline.decapsulator.shown = types
        }
        add("inputs.cbpf.preprocess.tunnel_trim_protocols") { c, v throws(ConfigMismatch) in
            var types: TunnelSet = []
            for name in try v.texts() {
                guard let type = TunnelType(trimName: name) else {
                    throw ConfigMismatch(wanted: "a list of VXLAN, ERSPAN, TEB and VXLAN-NSH")
                }
                types.insert(type)
            }
            c.pipeline.decapsulator.trimmed = types
        }
        add("inputs.cbpf.preprocess.packet_segmentation_reassembly") { c, v throws(ConfigMismatch) in
            let ranges = try v.list().map { item throws(ConfigMismatch) in try item.portRange() }
            c.pipeline.l7.reassembly.isEnabled = !ranges.isEmpty
            c.pipeline.l7.reassembly.ports = ranges.contains(0...65535) || ranges.contains(1...65535) ? [] : ranges
        }

        add(inference + "enabled_protocols") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.enabled = L7ProtocolSet(parserNames: try v.texts())
        }
        add(inference + "inference_max_retries") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.inferenceMaxRetries = UInt32(try v.integer(0...10000))
        }
        add(inference + "inference_result_ttl") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.inferenceResultTTLSec = UInt32(clamping: try v.duration() / 1_000_000_000)
        }
        add(inference + "protocol_special_config.mysql.decompress_payload") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.decompressesMySQL = try v.bool()
        }
        add(inference + "protocol_special_config.mysql.endpoint_disabled") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.extractsMySQLEndpoint = !(try v.bool())
        }
        add(inference + "protocol_special_config.grpc.streaming_data_enabled") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.readsGRPCStreams = try v.bool()
        }
        add(l7 + "filters.unconcerned_dns_nxdomain_response_suffixes") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.unconcernedDNSSuffixes = DNSSuffixes(try v.texts())
        }
        add(l7 + "filters.cbpf_disabled") { c, v throws(ConfigMismatch) in c.pipeline.isL7Enabled = !(try v.bool()) }
        add(l7 + "filters.port_number_prefilters") { c, v throws(ConfigMismatch) in
            guard case .map(let entries) = v else { throw ConfigMismatch(wanted: "a map from protocol to ports") }
            var configured: [String: String] = [:]
            for entry in entries { configured[entry.key] = try entry.value.text() }
            if let bad = c.pipeline.l7.portFilters.apply(configured).first {
                throw ConfigMismatch(wanted: "ports such as \"80,8000-9000\", not \(bad)")
            }
        }
        add(l7 + "filters.tag_filters") { c, v throws(ConfigMismatch) in
            var blacklist = L7Blacklist()
            for (name, rules) in try v.entries() {
                for rule in try rules.list() { try rule.addRule(of: L7Names.key(name), to: &blacklist) }
            }
            c.pipeline.l7.blacklist = blacklist
        }
        add(l7 + "timeouts.session_aggregate") { c, v throws(ConfigMismatch) in
            var timeouts: [L7Protocol: UInt64] = [:]
            for item in try v.list() {
                let entry = try item.fields(["protocol", "timeout"])
                guard let name = entry["protocol"], let timeout = entry["timeout"] else {
                    throw ConfigMismatch(wanted: "a list of {protocol, timeout}")
                }
                timeouts[L7Names.key(try name.text())] = try timeout.duration() / 1_000_000_000
            }
            c.pipeline.sessions.timeoutsSec = timeouts
        }
        add(l7 + "timeouts.tcp_request_timeout") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.tcpRequestTimeoutUs = try v.duration() / 1000
        }
        add(l7 + "timeouts.udp_request_timeout") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.otherRequestTimeoutUs = try v.duration() / 1000
        }
        add(tags + "tracing_tag.http_real_client") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.trace.set(clientIPHeaders: try v.texts())
        }
        add(tags + "tracing_tag.x_request_id") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.trace.set(xRequestIDHeaders: try v.texts())
        }
        add(tags + "tracing_tag.apm_trace_id") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.trace.set(traceNames: try v.texts())
        }
        add(tags + "tracing_tag.apm_span_id") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.trace.set(spanNames: try v.texts())
        }
        add(tags + "tracing_tag.multiple_trace_id_collection") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.trace.collectsSeveralTraceIDs = try v.bool()
        }
        add(tags + "tracing_tag.copy_apm_trace_id") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.trace.copiesTraceID = try v.bool()
        }
        add(tags + "custom_fields") { c, v throws(ConfigMismatch) in
            var names: [String] = []
            for (name, fields) in try v.entries() where L7Names.key(name) == .http1 {
                for field in try fields.list() {
                    guard let header = try field.fields(["field_name"])["field_name"] else {
                        throw ConfigMismatch(wanted: "a map from protocol to a list of {field_name}")
                    }
                    names.append(try header.text())
                }
            }
            c.pipeline.l7.set(httpCustomFields: names)
        }
        add(tags + "http_endpoint.extraction_disabled") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.endpoint.isDisabled = try v.bool()
        }
        add(tags + "http_endpoint.match_rules") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.endpoint.set(
                rules: try v.list().map { item throws(ConfigMismatch) in try item.endpointRule() })
        }
        add(tags + "obfuscate_protocols") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.obfuscated = L7ProtocolSet(parserNames: try v.texts())
        }
        add(tags + "raw.error_request_header") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.rawCapture.errorRequestHeader = Int(try v.integer(0...16384))
        }
        add(tags + "raw.error_response_header") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.rawCapture.errorResponseHeader = Int(try v.integer(0...16384))
        }
        add(tags + "raw.error_request_payload") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.rawCapture.errorRequestPayload = Int(try v.integer(0...16384))
        }
        add(tags + "raw.error_response_payload") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.rawCapture.errorResponsePayload = Int(try v.integer(0...16384))
        }
        add(l7 + "tunning.payload_truncation") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.payloadTruncation = Int(try v.integer(256...65535))
        }
        add(l7 + "tunning.session_aggregate_max_entries") { c, v throws(ConfigMismatch) in
            c.pipeline.sessions.maxEntries = Int(try v.integer(1...10_000_000))
        }

        add(flowLog + "time_window.max_tolerable_packet_delay") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.packetDelayNs = min(max(try v.duration(), 1_000_000_000), 20_000_000_000)
            // The window of a packet ends inside a second: metrics wait for the whole of it.
            c.pipeline.metrics.delays.packetDelay = UInt32(
                (c.pipeline.flow.packetDelayNs + 999_999_999) / 1_000_000_000)
        }
        add(flowLog + "time_window.extra_tolerable_flow_delay") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.delays.extraFlowDelay = UInt32(min(try v.duration() / 1_000_000_000, 20))
        }
        add(flowLog + "conntrack.flow_flush_interval") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.delays.flushInterval = min(try v.seconds(), 60)
        }
        add(flowLog + "tunning.flow_generator_queue_size") { c, v throws(ConfigMismatch) in
            c.pipeline.queues.flowGenerator = Int(try v.integer(65536...64_000_000))
        }
        add(flowLog + "tunning.quadruple_generator_queue_size") { c, v throws(ConfigMismatch) in
            c.pipeline.queues.quadrupleGenerator = Int(try v.integer(262_144...64_000_000))
        }
        add(flowLog + "tunning.flow_aggregator_queue_size") { c, v throws(ConfigMismatch) in
            c.pipeline.queues.flowAggregator = Int(try v.integer(65535...64_000_000))
        }
        add("outputs.flow_metrics.tunning.sender_queue_size") { c, v throws(ConfigMismatch) in
            c.sender.documentQueueSize = Int(try v.integer(65536...64_000_000))
        }
        add("outputs.flow_log.tunning.collector_queue_size") { c, v throws(ConfigMismatch) in
            c.sender.l7QueueSize = Int(try v.integer(65536...64_000_000))
        }
        add(flowLog + "conntrack.flow_generation.server_ports") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.serverPorts = try v.list().map { item throws(ConfigMismatch) in
                UInt16(try item.integer(1...65535))
            }
        }
        add(flowLog + "conntrack.flow_generation.cloud_traffic_ignore_mac") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.ignoresMac = try v.bool()
        }
        add(flowLog + "conntrack.flow_generation.ignore_l2_end") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.ignoresL2End = try v.bool()
        }
        add(flowLog + "conntrack.flow_generation.idc_traffic_ignore_vlan") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.ignoresIDCVlan = try v.bool()
        }
        add(flowLog + "conntrack.timeouts.established") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.timeouts.established = try v.seconds()
        }
        add(flowLog + "conntrack.timeouts.closing_rst") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.timeouts.closingRst = try v.seconds()
        }
        add(flowLog + "conntrack.timeouts.opening_rst") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.timeouts.openingRst = try v.seconds()
        }
        add(flowLog + "conntrack.timeouts.others") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.timeouts.others = try v.seconds()
        }
        add(flowLog + "tunning.flow_map_hash_slots") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.hashSlots = Int(try v.integer(1024...64_000_000))
        }
        add(flowLog + "tunning.concurrent_flow_limit") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.concurrentFlowLimit = Int(try v.integer(1024...64_000_000))
        }
        add(flowLog + "tunning.rrt_cache_capacity") { c, v throws(ConfigMismatch) in
            c.pipeline.l7.rrtCacheCapacity = Int(try v.integer(1024...64_000_000))
        }

        add("outputs.flow_log.throttles.l4_throttle") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.flowLog.throttlePerSecond = UInt32(try v.integer(100...1_000_000))
        }
        add("outputs.flow_log.throttles.l7_throttle") { c, v throws(ConfigMismatch) in
            c.pipeline.sessions.throttlePerSecond = UInt64(try v.integer(100...1_000_000))
        }
        add("outputs.flow_log.filters.l4_capture_network_types") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.flowLog.captureNetworkTypes = try v.list().map { item throws(ConfigMismatch) in
                Int(try item.integer(-1...255))
            }
        }
        add("outputs.flow_log.filters.l4_ignored_observation_points") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.flowLog.ignoredObservationPoints = try v.list().map { item throws(ConfigMismatch) in
                UInt8(try item.integer(0...50))
            }
        }
        add("outputs.flow_log.filters.l7_capture_network_types") { c, v throws(ConfigMismatch) in
            c.pipeline.sessions.captureNetworkTypes = try v.list().map { item throws(ConfigMismatch) in
                Int(try item.integer(-1...255))
            }
        }
        add("outputs.flow_log.filters.l7_ignored_observation_points") { c, v throws(ConfigMismatch) in
            c.pipeline.sessions.ignoredTapSides = try v.list().map { item throws(ConfigMismatch) in
                UInt8(try item.integer(0...50))
            }
        }
        add("outputs.flow_log.aggregators.aggregate_health_check_l4_flow_log") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.flowLog.aggregatesHealthChecks = try v.bool()
        }
        add("outputs.flow_metrics.enabled") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.metrics.isEnabled = try v.bool()
            c.pipeline.flow.reportsEachSecond = c.pipeline.metrics.metrics.isEnabled
        }
        add("outputs.flow_metrics.filters.second_metrics") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.metrics.secondMetrics = try v.bool()
        }
        add("outputs.flow_metrics.filters.apm_metrics") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.metrics.apmMetrics = try v.bool()
        }
        add("outputs.flow_metrics.filters.npm_metrics") { c, v throws(ConfigMismatch) in
            c.pipeline.flow.countsL4Performance = try v.bool()
        }
        add("outputs.flow_metrics.filters.npm_metrics_concurrent") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.metrics.npmMetricsConcurrent = try v.bool()
        }
        add("outputs.flow_metrics.filters.inactive_server_port_aggregation") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.metrics.inactiveServerPortAggregation = try v.bool()
        }
        add("outputs.flow_metrics.filters.inactive_ip_aggregation") { c, v throws(ConfigMismatch) in
            c.pipeline.metrics.metrics.inactiveIPAggregation = try v.bool()
        }

        add("global.self_monitoring.interval") { c, v throws(ConfigMismatch) in
            c.statistics.intervalSeconds = UInt64(min(try v.seconds(), 3600))
        }
        add("global.communication.ingester_ip") { c, v throws(ConfigMismatch) in c.sender.ingesterHost = try v.text() }
        add("global.communication.ingester_port") { c, v throws(ConfigMismatch) in
            c.sender.ingesterPort = UInt16(try v.integer(1...65535))
        }
        add("global.communication.max_throughput_to_ingester") { c, v throws(ConfigMismatch) in
            c.sender.maxThroughputMbps = UInt64(try v.integer(0...10000))
        }
        add("global.communication.ingester_traffic_overflow_action") { c, v throws(ConfigMismatch) in
            c.sender.dropsOnOverflow = try v.text().uppercased() == "DROP"
        }
        add("outputs.socket.multiple_sockets_to_ingester") { c, v throws(ConfigMismatch) in
            c.sender.usesSeveralSockets = try v.bool()
        }
        add("outputs.compression.l7_flow_log") { c, v throws(ConfigMismatch) in c.sender.compressesL7 = try v.bool() }
        add("outputs.compression.l4_flow_log") { c, v throws(ConfigMismatch) in c.sender.compressesL4 = try v.bool() }
        return keys
    }()
}
