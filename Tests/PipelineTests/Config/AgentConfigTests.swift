import Capture
import Foundation
import Model
import Testing

@testable import Pipeline

/// The catalogue is that of the specification; keys are obeyed, accepted or refused by it.
struct AgentConfigTests {
    @Test func catalogueIsThatOfTheSpecification() throws {
        let specs = ProcessInfo.processInfo.environment["DFTOP_SPEC"] ?? "../shared/spec"
        guard let text = try? String(contentsOfFile: specs + "/tables/agent_config.tsv", encoding: .utf8) else {
            if ProcessInfo.processInfo.environment["CI"] != nil { Issue.record("no specification at \(specs)") }
            print("skipped: no specification at \(specs)")
            return
        }
        var wanted: Set<String> = []
        for line in text.split(separator: "\n").dropFirst() {
            let cells = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard cells.count > 11, cells[11] != "agent_internal", !cells[0].contains("[]") else { continue }
            wanted.insert(String(cells[0]))
        }
        #expect(Set(AgentConfig.catalogue.map(String.init)) == wanted)
        let strangers = AgentConfig.keys.keys.filter { !wanted.contains($0) }
        #expect(strangers.isEmpty, "obeyed, but in no catalogue: \(strangers)")
    }

    @Test func keysAreObeyedAcceptedOrRefused() throws {
        var config = AgentConfig()
        try config.set("processors.request_log.tunning.payload_truncation", .int(4096))
        #expect(config.pipeline.l7.payloadTruncation == 4096)
        try config.set("global.limits.max_millicpus", .int(512))
        #expect(config.unused == ["global.limits.max_millicpus"])
        for wrong in ["processors.request_log.tunning.payload_truncatoin", "inputs.far.from.everything", "global"] {
            #expect { try config.set(wrong, .int(1)) } throws: { ($0 as? Failure)?.exitCode == .usage }
        }
        #expect {
            try config.set("processors.request_log.tunning.payload_truncatoin", .int(1))
        } throws: { ($0 as? Failure)?.mend.contains("processors.request_log.tunning.payload_truncation") == true }
    }

    /// Source: agent-flow.md 4.1, blocks.
    @Test func ringFollowsFromMemoryUnlessItIsFixed() throws {
        var config = AgentConfig()
        #expect(config.pipeline.ring.blocks == 48)
        try config.set("inputs.cbpf.af_packet.tunning.ring_blocks", .int(1000))
        #expect(config.pipeline.ring.blocks == 48)
        try config.set("global.limits.max_memory", .int(100_000))
        #expect(config.pipeline.ring.blocks == 128)
        try config.set("inputs.cbpf.af_packet.tunning.ring_blocks_enabled", .bool(true))
        #expect(config.pipeline.ring.blocks == 1000)
        #expect(throws: Failure.self) { try config.set("inputs.cbpf.af_packet.tunning.socket_version", .int(1)) }
    }

    @Test func listsOfObjects() throws {
        var config = AgentConfig()
        let rule: ConfigValue = .map([
            ("field_name", .text("Request_Resource")), ("operator", .text("prefix")), ("field_value", .text("/health")),
        ])
        try config.set("processors.request_log.filters.tag_filters", .map([("HTTP", .list([rule]))]))
        var message = L7Message()
        message.l7Protocol = .http1
        message.log.requestResource = "/healthz"
        #expect(config.pipeline.l7.blacklist.contains(message))
        message.log.requestResource = "/other"
        #expect(!config.pipeline.l7.blacklist.contains(message))

        try config.set(
            "processors.request_log.timeouts.session_aggregate",
            .list([.map([("protocol", .text("DNS")), ("timeout", .text("7s"))])]))
        #expect(config.pipeline.sessions.timeoutSec(.dns) == 7)
        #expect(throws: Failure.self) {
            try config.set(
                "processors.request_log.timeouts.session_aggregate", .list([.map([("proto", .text("DNS"))])]))
        }
        try config.set(
            "processors.request_log.tag_extraction.custom_fields",
            .map([("HTTP", .list([.map([("field_name", .text("X-Shop"))])]))]))
        #expect(config.pipeline.l7.httpCustomFields.map(\.text) == ["x-shop"])
    }

    /// Derived delays. Source: agent-flow.md 3.
    @Test func delaysFollowTheTimeWindow() throws {
        var config = AgentConfig()
        #expect(config.pipeline.metrics.delays.base == 9)
        try config.set("processors.flow_log.time_window.max_tolerable_packet_delay", .text("3s"))
        try config.set("processors.flow_log.time_window.extra_tolerable_flow_delay", .text("4s"))
        try config.set("processors.flow_log.conntrack.flow_flush_interval", .text("2s"))
        #expect(config.pipeline.flow.packetDelayNs == 3_000_000_000)
        let delays = config.pipeline.metrics.delays
        #expect(delays.base == 3 + 1 + 2 + 5 + 4 + 2)
        #expect(delays.secondCollector == 22 && delays.minuteGenerator == 77 && delays.flowAggrSlots == 77)
    }

    @Test func sizesOfQueues() throws {
        var config = AgentConfig()
        try config.set("processors.flow_log.tunning.flow_generator_queue_size", .int(131_072))
        try config.set("processors.flow_log.tunning.quadruple_generator_queue_size", .int(524_288))
        try config.set("processors.flow_log.tunning.flow_aggregator_queue_size", .int(65_536))
        try config.set("outputs.flow_metrics.tunning.sender_queue_size", .int(70_000))
        try config.set("outputs.flow_log.tunning.collector_queue_size", .int(80_000))
        #expect(config.pipeline.queues.flowGenerator == 131_072)
        #expect(config.pipeline.queues.quadrupleGenerator == 524_288)
        #expect(config.sender.documentQueueSize == 70_000 && config.sender.l7QueueSize == 80_000)
        #expect(throws: Failure.self) {
            try config.set("processors.flow_log.tunning.flow_generator_queue_size", .int(1))
        }
        #expect(config.unused.isEmpty)
    }

    @Test func filtersAndStatistics() throws {
        var config = AgentConfig()
        try config.set("outputs.flow_log.filters.l4_capture_network_types", .list([.int(-1)]))
        try config.set("outputs.flow_log.filters.l7_capture_network_types", .list([.int(3), .int(4)]))
        try config.set("outputs.flow_log.filters.l4_ignored_observation_points", .list([.int(1)]))
        try config.set("outputs.flow_log.filters.l7_ignored_observation_points", .list([.int(2)]))
        try config.set("global.self_monitoring.interval", .text("1m"))
        #expect(config.pipeline.metrics.flowLog.captureNetworkTypes == [-1])
        #expect(config.pipeline.metrics.flowLog.ignoredObservationPoints == [1])
        #expect(config.pipeline.sessions.captureNetworkTypes == [3, 4])
        #expect(config.pipeline.sessions.ignoredTapSides == [2])
        #expect(config.statistics.intervalSeconds == 60)
        #expect(config.unused.isEmpty)
    }
}
