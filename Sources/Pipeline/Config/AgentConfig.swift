import Capture
package import Model

/// The agent's configuration tree as typed settings. Defaults are the catalogue's. Source: agent-config.md 3.
///
/// A key of the catalogue that this agent has no use for is accepted and remembered in `unused`; a key that no catalogue
/// knows is an error.
package struct AgentConfig: Sendable {
    package var pipeline = AgentPipeline.Settings()
    package var sender = SenderSettings()
    /// Accepted keys that change nothing here.
    package private(set) var unused: [String] = []
    /// Paths that were set, so that modes can choose their own defaults for the others.
    package private(set) var given: Set<String> = []

    /// Where records go.
    package struct SenderSettings: Sendable {
        package var ingesterHost = ""
        package var ingesterPort: UInt16 = 30033
        package var maxThroughputMbps: UInt64 = 100
        package var dropsOnOverflow = false
        package var usesSeveralSockets = false
        package var compressesL7 = true
        package var compressesL4 = false
    }

    private struct Key: Sendable {
        let apply: @Sendable (inout AgentConfig, ConfigValue) throws(Mismatch) -> Void
    }

    /// What a value should have been.
    private struct Mismatch: Error {
        let wanted: String
    }

    package init() {}

    /// What design.md 2.1 prescribes for replays, unless it was set: no throttles, no limit of concurrent flows;
    /// and MACs tell no flows apart.
    package mutating func becomeReplay() {
        if !given.contains("outputs.flow_log.throttles.l7_throttle") { pipeline.sessions.throttlePerSecond = 0 }
        if !given.contains("outputs.flow_log.throttles.l4_throttle") {
            pipeline.metrics.flowLog.throttlePerSecond = nil
        }
        if !given.contains("processors.flow_log.tunning.concurrent_flow_limit") {
            pipeline.flow.concurrentFlowLimit = .max
        }
        if !given.contains("processors.flow_log.conntrack.flow_generation.cloud_traffic_ignore_mac") {
            pipeline.flow.ignoresMac = true
        }
    }

    /// Live: the catalogue's throttles.
    package mutating func becomeLive() {
        if !given.contains("outputs.flow_log.throttles.l4_throttle") {
            pipeline.metrics.flowLog.throttlePerSecond = 10000
        }
    }

    /// Sets one value by its dotted path.
    package mutating func set(_ path: String, _ value: ConfigValue) throws(Failure) {
        guard let key = AgentConfig.keys[path] else {
            guard AgentConfig.isCatalogued(path) else {
                let near = AgentConfig.nearest(to: path)
                throw Failure(
                    .usage, what: "unknown configuration key \(path)", why: "no such path in the agent configuration",
                    mend: near.map { "did you mean \($0)?" }
                        ?? "paths look like processors.request_log.tunning.payload_truncation")
            }
            unused.append(path)
            return
        }
        do {
            try key.apply(&self, value)
        } catch {
            throw Failure(.usage, what: "cannot set \(path)", why: "the value must be \(error.wanted)")
        }
        given.insert(path)
    }

    /// Sets every leaf of a tree; the first error ends it. Maps whose keys are data, not paths, are leaves.
    package mutating func set(tree: ConfigValue, under prefix: String = "") throws(Failure) {
        guard case .map(let entries) = tree, AgentConfig.keys[prefix] == nil else {
            if !prefix.isEmpty { try set(prefix, tree) }
            return
        }
        for entry in entries {
            try set(tree: entry.value, under: prefix.isEmpty ? entry.key : prefix + "." + entry.key)
        }
    }

    package static var knownPaths: [String] { keys.keys.sorted() }

    private static let catalogueRoots = ["global.", "inputs.", "processors.", "outputs.", "plugins.", "dev."]

    private static func isCatalogued(_ path: String) -> Bool {
        catalogueRoots.contains { path.hasPrefix($0) } && !path.hasSuffix(".")
            && path.split(separator: ".").count > 2 && !keys.keys.contains { nearness($0, path) >= 0.9 }
    }

    private static func nearest(to path: String) -> String? {
        let last = path.split(separator: ".").last.map(String.init) ?? path
        return keys.keys.sorted().first { $0.hasSuffix("." + last) }
            ?? keys.keys.max { nearness($0, path) < nearness($1, path) }
            .flatMap { nearness($0, path) > 0.6 ? $0 : nil }
    }

    /// Share of common leading and trailing bytes.
    private static func nearness(_ a: String, _ b: String) -> Double {
        let x = Array(a.utf8)
        let y = Array(b.utf8)
        let front = zip(x, y).prefix { $0 == $1 }.count
        let back = min(zip(x.reversed(), y.reversed()).prefix { $0 == $1 }.count, min(x.count, y.count) - front)
        return Double(front + back) / Double(max(x.count, y.count, 1))
    }

    // MARK: - The keys

    private static let keys: [String: Key] = {
        var keys: [String: Key] = [:]
        func add(_ path: String, _ apply: @escaping @Sendable (inout AgentConfig, ConfigValue) throws(Mismatch) -> Void)
        {
            keys[path] = Key(apply: apply)
        }
        let l7 = "processors.request_log."
        let inference = l7 + "application_protocol_inference."
        let tags = l7 + "tag_extraction."
        let flowLog = "processors.flow_log."

        add("inputs.cbpf.af_packet.interface_regex") { c, v throws(Mismatch) in
            c.pipeline.interfaces.pattern = try text(v)
        }
        add("inputs.cbpf.af_packet.extra_bpf_filter") { c, v throws(Mismatch) in
            let filter = try text(v)
            c.pipeline.filter = filter.isEmpty ? nil : filter
        }
        add("inputs.cbpf.af_packet.tunning.ring_blocks") { c, v throws(Mismatch) in
            c.pipeline.ring.blocks = UInt32(try integer(v, 8...1_000_000))
        }
        add("inputs.cbpf.tunning.max_capture_packet_size") { c, v throws(Mismatch) in
            c.pipeline.ring.snapLength = UInt32(try integer(v, 128...65535))
        }
        add("inputs.cbpf.preprocess.packet_segmentation_reassembly") { c, v throws(Mismatch) in
            let ranges = try list(v).map { item throws(Mismatch) in try portRange(item) }
            c.pipeline.l7.reassembly.isEnabled = !ranges.isEmpty
            c.pipeline.l7.reassembly.ports = ranges.contains(0...65535) || ranges.contains(1...65535) ? [] : ranges
        }

        add(inference + "enabled_protocols") { c, v throws(Mismatch) in
            c.pipeline.l7.enabled = L7ProtocolSet(parserNames: try texts(v))
        }
        add(inference + "inference_max_retries") { c, v throws(Mismatch) in
            c.pipeline.l7.inferenceMaxRetries = UInt32(try integer(v, 0...10000))
        }
        add(inference + "inference_result_ttl") { c, v throws(Mismatch) in
            c.pipeline.l7.inferenceResultTTLSec = UInt32(clamping: try duration(v) / 1_000_000_000)
        }
        add(inference + "protocol_special_config.mysql.decompress_payload") { c, v throws(Mismatch) in
            c.pipeline.l7.decompressesMySQL = try bool(v)
        }
        add(inference + "protocol_special_config.mysql.endpoint_disabled") { c, v throws(Mismatch) in
            c.pipeline.l7.extractsMySQLEndpoint = !(try bool(v))
        }
        add(l7 + "filters.unconcerned_dns_nxdomain_response_suffixes") { c, v throws(Mismatch) in
            c.pipeline.l7.unconcernedDNSSuffixes = DNSSuffixes(try texts(v))
        }
        add(l7 + "filters.cbpf_disabled") { c, v throws(Mismatch) in c.pipeline.isL7Enabled = !(try bool(v)) }
        add(l7 + "filters.port_number_prefilters") { c, v throws(Mismatch) in
            guard case .map(let entries) = v else { throw Mismatch(wanted: "a map from protocol to ports") }
            var configured: [String: String] = [:]
            for entry in entries { configured[entry.key] = try text(entry.value) }
            if let bad = c.pipeline.l7.portFilters.apply(configured).first {
                throw Mismatch(wanted: "ports such as \"80,8000-9000\", not \(bad)")
            }
        }
        add(l7 + "timeouts.tcp_request_timeout") { c, v throws(Mismatch) in
            c.pipeline.l7.tcpRequestTimeoutUs = try duration(v) / 1000
        }
        add(l7 + "timeouts.udp_request_timeout") { c, v throws(Mismatch) in
            c.pipeline.l7.otherRequestTimeoutUs = try duration(v) / 1000
        }
        add(tags + "tracing_tag.http_real_client") { c, v throws(Mismatch) in
            c.pipeline.l7.trace.set(clientIPHeaders: try texts(v))
        }
        add(tags + "tracing_tag.x_request_id") { c, v throws(Mismatch) in
            c.pipeline.l7.trace.set(xRequestIDHeaders: try texts(v))
        }
        add(tags + "tracing_tag.apm_trace_id") { c, v throws(Mismatch) in
            c.pipeline.l7.trace.set(traceNames: try texts(v))
        }
        add(tags + "tracing_tag.apm_span_id") { c, v throws(Mismatch) in
            c.pipeline.l7.trace.set(spanNames: try texts(v))
        }
        add(tags + "tracing_tag.multiple_trace_id_collection") { c, v throws(Mismatch) in
            c.pipeline.l7.trace.collectsSeveralTraceIDs = try bool(v)
        }
        add(tags + "tracing_tag.copy_apm_trace_id") { c, v throws(Mismatch) in
            c.pipeline.l7.trace.copiesTraceID = try bool(v)
        }
        add(tags + "http_endpoint.extraction_disabled") { c, v throws(Mismatch) in
            c.pipeline.l7.endpoint.isDisabled = try bool(v)
        }
        add(tags + "http_endpoint.match_rules") { c, v throws(Mismatch) in
            c.pipeline.l7.endpoint.set(rules: try list(v).map { item throws(Mismatch) in try endpointRule(item) })
        }
        add(tags + "obfuscate_protocols") { c, v throws(Mismatch) in
            c.pipeline.l7.obfuscated = L7ProtocolSet(parserNames: try texts(v))
        }
        add(tags + "raw.error_request_header") { c, v throws(Mismatch) in
            c.pipeline.l7.rawCapture.errorRequestHeader = Int(try integer(v, 0...16384))
        }
        add(tags + "raw.error_response_header") { c, v throws(Mismatch) in
            c.pipeline.l7.rawCapture.errorResponseHeader = Int(try integer(v, 0...16384))
        }
        add(tags + "raw.error_request_payload") { c, v throws(Mismatch) in
            c.pipeline.l7.rawCapture.errorRequestPayload = Int(try integer(v, 0...16384))
        }
        add(tags + "raw.error_response_payload") { c, v throws(Mismatch) in
            c.pipeline.l7.rawCapture.errorResponsePayload = Int(try integer(v, 0...16384))
        }
        add(l7 + "tunning.payload_truncation") { c, v throws(Mismatch) in
            c.pipeline.l7.payloadTruncation = Int(try integer(v, 256...65535))
        }
        add(l7 + "tunning.session_aggregate_max_entries") { c, v throws(Mismatch) in
            c.pipeline.sessions.maxEntries = Int(try integer(v, 1...10_000_000))
        }

        add(flowLog + "time_window.max_tolerable_packet_delay") { c, v throws(Mismatch) in
            c.pipeline.flow.packetDelayNs = min(max(try duration(v), 1_000_000_000), 20_000_000_000)
        }
        add(flowLog + "conntrack.flow_generation.server_ports") { c, v throws(Mismatch) in
            c.pipeline.flow.serverPorts = try list(v).map { item throws(Mismatch) in
                UInt16(try integer(item, 1...65535))
            }
        }
        add(flowLog + "conntrack.flow_generation.cloud_traffic_ignore_mac") { c, v throws(Mismatch) in
            c.pipeline.flow.ignoresMac = try bool(v)
        }
        add(flowLog + "conntrack.flow_generation.ignore_l2_end") { c, v throws(Mismatch) in
            c.pipeline.flow.ignoresL2End = try bool(v)
        }
        add(flowLog + "conntrack.flow_generation.idc_traffic_ignore_vlan") { c, v throws(Mismatch) in
            c.pipeline.flow.ignoresIDCVlan = try bool(v)
        }
        add(flowLog + "conntrack.timeouts.established") { c, v throws(Mismatch) in
            c.pipeline.flow.timeouts.established = try seconds(v)
        }
        add(flowLog + "conntrack.timeouts.closing_rst") { c, v throws(Mismatch) in
            c.pipeline.flow.timeouts.closingRst = try seconds(v)
        }
        add(flowLog + "conntrack.timeouts.opening_rst") { c, v throws(Mismatch) in
            c.pipeline.flow.timeouts.openingRst = try seconds(v)
        }
        add(flowLog + "conntrack.timeouts.others") { c, v throws(Mismatch) in
            c.pipeline.flow.timeouts.others = try seconds(v)
        }
        add(flowLog + "tunning.flow_map_hash_slots") { c, v throws(Mismatch) in
            c.pipeline.flow.hashSlots = Int(try integer(v, 1024...64_000_000))
        }
        add(flowLog + "tunning.concurrent_flow_limit") { c, v throws(Mismatch) in
            c.pipeline.flow.concurrentFlowLimit = Int(try integer(v, 1024...64_000_000))
        }
        add(flowLog + "tunning.rrt_cache_capacity") { c, v throws(Mismatch) in
            c.pipeline.l7.rrtCacheCapacity = Int(try integer(v, 1024...64_000_000))
        }

        add("outputs.flow_log.throttles.l4_throttle") { c, v throws(Mismatch) in
            c.pipeline.metrics.flowLog.throttlePerSecond = UInt32(try integer(v, 100...1_000_000))
        }
        add("outputs.flow_log.throttles.l7_throttle") { c, v throws(Mismatch) in
            c.pipeline.sessions.throttlePerSecond = UInt64(try integer(v, 100...1_000_000))
        }
        add("outputs.flow_log.filters.l4_capture_network_types") { c, v throws(Mismatch) in
            c.pipeline.metrics.flowLog.captureNetworkTypes = try list(v).map { item throws(Mismatch) in
                Int(try integer(item, -1...255))
            }
        }
        add("outputs.flow_log.filters.l4_ignored_observation_points") { c, v throws(Mismatch) in
            c.pipeline.metrics.flowLog.ignoredObservationPoints = try list(v).map { item throws(Mismatch) in
                UInt8(try integer(item, 0...50))
            }
        }
        add("outputs.flow_log.filters.l7_ignored_observation_points") { c, v throws(Mismatch) in
            c.pipeline.sessions.ignoredTapSides = try list(v).map { item throws(Mismatch) in
                UInt8(try integer(item, 0...50))
            }
        }
        add("outputs.flow_log.aggregators.aggregate_health_check_l4_flow_log") { c, v throws(Mismatch) in
            c.pipeline.metrics.flowLog.aggregatesHealthChecks = try bool(v)
        }
        add("outputs.flow_metrics.enabled") { c, v throws(Mismatch) in
            c.pipeline.metrics.metrics.isEnabled = try bool(v)
            c.pipeline.flow.reportsEachSecond = c.pipeline.metrics.metrics.isEnabled
        }
        add("outputs.flow_metrics.filters.second_metrics") { c, v throws(Mismatch) in
            c.pipeline.metrics.metrics.secondMetrics = try bool(v)
        }
        add("outputs.flow_metrics.filters.apm_metrics") { c, v throws(Mismatch) in
            c.pipeline.metrics.metrics.apmMetrics = try bool(v)
        }
        add("outputs.flow_metrics.filters.npm_metrics") { c, v throws(Mismatch) in
            c.pipeline.flow.countsL4Performance = try bool(v)
        }
        add("outputs.flow_metrics.filters.npm_metrics_concurrent") { c, v throws(Mismatch) in
            c.pipeline.metrics.metrics.npmMetricsConcurrent = try bool(v)
        }
        add("outputs.flow_metrics.filters.inactive_server_port_aggregation") { c, v throws(Mismatch) in
            c.pipeline.metrics.metrics.inactiveServerPortAggregation = try bool(v)
        }
        add("outputs.flow_metrics.filters.inactive_ip_aggregation") { c, v throws(Mismatch) in
            c.pipeline.metrics.metrics.inactiveIPAggregation = try bool(v)
        }

        add("global.communication.ingester_ip") { c, v throws(Mismatch) in c.sender.ingesterHost = try text(v) }
        add("global.communication.ingester_port") { c, v throws(Mismatch) in
            c.sender.ingesterPort = UInt16(try integer(v, 1...65535))
        }
        add("global.communication.max_throughput_to_ingester") { c, v throws(Mismatch) in
            c.sender.maxThroughputMbps = UInt64(try integer(v, 0...10000))
        }
        add("global.communication.ingester_traffic_overflow_action") { c, v throws(Mismatch) in
            c.sender.dropsOnOverflow = try text(v).uppercased() == "DROP"
        }
        add("outputs.socket.multiple_sockets_to_ingester") { c, v throws(Mismatch) in
            c.sender.usesSeveralSockets = try bool(v)
        }
        add("outputs.compression.l7_flow_log") { c, v throws(Mismatch) in c.sender.compressesL7 = try bool(v) }
        add("outputs.compression.l4_flow_log") { c, v throws(Mismatch) in c.sender.compressesL4 = try bool(v) }
        return keys
    }()

    // MARK: - Values

    private static func text(_ value: ConfigValue) throws(Mismatch) -> String {
        switch value {
        case .text(let text): return text
        case .null: return ""
        case .int(let number): return "\(number)"
        case .bool, .double, .list, .map: throw Mismatch(wanted: "a text")
        }
    }

    private static func bool(_ value: ConfigValue) throws(Mismatch) -> Bool {
        guard case .bool(let flag) = value else { throw Mismatch(wanted: "true or false") }
        return flag
    }

    private static func integer(_ value: ConfigValue, _ range: ClosedRange<Int64>) throws(Mismatch) -> Int64 {
        guard case .int(let number) = value, range.contains(number) else {
            throw Mismatch(wanted: "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Nanoseconds.
    private static func duration(_ value: ConfigValue) throws(Mismatch) -> UInt64 {
        guard case .text(let text) = value, let ns = parseDurationNs(text) else {
            throw Mismatch(wanted: "a duration such as \"10s\" or \"1h 30m\"")
        }
        return ns
    }

    private static func seconds(_ value: ConfigValue) throws(Mismatch) -> UInt32 {
        UInt32(clamping: min(max(try duration(value) / 1_000_000_000, 1), 86400))
    }

    private static func list(_ value: ConfigValue) throws(Mismatch) -> [ConfigValue] {
        guard case .list(let items) = value else { throw Mismatch(wanted: "a list") }
        return items
    }

    private static func texts(_ value: ConfigValue) throws(Mismatch) -> [String] {
        try list(value).map { item throws(Mismatch) in try text(item) }
    }

    private static func portRange(_ value: ConfigValue) throws(Mismatch) -> ClosedRange<UInt16> {
        let parts = try text(value).split(separator: "-", omittingEmptySubsequences: false)
        guard let first = parts.first.flatMap({ UInt16($0) }), parts.count <= 2 else {
            throw Mismatch(wanted: "ports such as \"80\" or \"1-65535\"")
        }
        guard parts.count == 2 else { return first...first }
        guard let last = UInt16(parts[1]), last >= first else {
            throw Mismatch(wanted: "ports such as \"80\" or \"1-65535\"")
        }
        return first...last
    }

    private static func endpointRule(_ value: ConfigValue) throws(Mismatch) -> HTTPEndpointSettings.Rule {
        guard case .map(let entries) = value else { throw Mismatch(wanted: "a list of {url_prefix, keep_segments}") }
        var prefix = ""
        var keep = 0
        for entry in entries {
            switch entry.key {
            case "url_prefix": prefix = try text(entry.value)
            case "keep_segments": keep = Int(try integer(entry.value, 0...1000))
            default: throw Mismatch(wanted: "a list of {url_prefix, keep_segments}")
            }
        }
        return HTTPEndpointSettings.Rule(prefix: prefix, keepSegments: keep)
    }
}
