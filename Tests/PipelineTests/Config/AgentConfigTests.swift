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
        try config.set("global.limits.max_memory", .int(512))
        #expect(config.unused == ["global.limits.max_memory"])
        for wrong in ["processors.request_log.tunning.payload_truncatoin", "inputs.far.from.everything", "global"] {
            #expect { try config.set(wrong, .int(1)) } throws: { ($0 as? Failure)?.exitCode == .usage }
        }
        #expect {
            try config.set("processors.request_log.tunning.payload_truncatoin", .int(1))
        } throws: { ($0 as? Failure)?.mend.contains("processors.request_log.tunning.payload_truncation") == true }
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
}
