import Foundation
import Model
import Testing

@testable import Pipeline

/// Acceptance vectors beside the repository.
enum TestVectors {
    static let root: URL = {
        if let path = ProcessInfo.processInfo.environment["DFTOP_TESTDATA"] { return URL(fileURLWithPath: path) }
        return URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("../shared/testdata")
    }()

    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var proto: String
        var pcap: String
        var messagesFile: String?
        var flowFile: String?
        var config: [String: ConfigValue]
        var isBlackbox: Bool

        var testDescription: String { "\(proto)/\(name)" }
    }

    enum ConfigValue: Sendable {
        case number(Int)
        case texts([String])
    }

    static func cases(_ protocols: Set<String>) -> [Case] {
        let index = root.appendingPathComponent("l7/index.jsonl")
        guard let text = try? String(contentsOf: index, encoding: .utf8) else {
            let isCI = ProcessInfo.processInfo.environment["CI"] == "true"
            print("L7 vectors are absent (\(index.path)): tests that need them are skipped")
            precondition(!isCI, "under CI the vectors must be present")
            return []
        }
        return objects(text).compactMap { object in
            guard let proto = object["protocol"] as? String, protocols.contains(proto),
                let name = object["case"] as? String, let pcap = object["pcap"] as? String,
                object["kind"] as? String == "l7"
            else { return nil }
            var config: [String: ConfigValue] = [:]
            for (key, value) in object["config"] as? [String: Any] ?? [:] {
                if let number = value as? Int { config[key] = .number(number) }
                if let texts = value as? [String] { config[key] = .texts(texts) }
            }
            return Case(
                name: name, proto: proto, pcap: pcap, messagesFile: object["messages_file"] as? String,
                flowFile: object["flow_file"] as? String, config: config,
                isBlackbox: object["blackbox"] as? Bool ?? true)
        }
    }

    static func load(_ path: String) throws -> [[String: Any]] {
        objects(try String(contentsOf: root.appendingPathComponent("l7").appendingPathComponent(path), encoding: .utf8))
    }

    static func capture(_ path: String) throws -> TestCapture {
        try TestCapture(root.appendingPathComponent("l7").appendingPathComponent(path))
    }

    private static func objects(_ text: String) -> [[String: Any]] {
        text.split(separator: "\n").compactMap {
            (try? JSONSerialization.jsonObject(with: Data($0.utf8))) as? [String: Any]
        }
    }

    static func settings(_ vector: Case) throws -> L7Settings {
        var settings = L7Settings()
        settings.restrict(to: try #require(L7Protocol.named(vector.proto)))
        for (path, value) in vector.config {
            switch (path.split(separator: ".").last, value) {
            case ("payload_truncation", .number(let number)): settings.payloadTruncation = number
            case ("streaming_data_enabled", .number(let number)): settings.readsGRPCStreams = number != 0
            case ("http_real_client", .texts(let names)): settings.trace.set(clientIPHeaders: names)
            case ("apm_trace_id", .texts(let names)): settings.trace.set(traceNames: names)
            case ("apm_span_id", .texts(let names)): settings.trace.set(spanNames: names)
            case ("obfuscate_protocols", .texts(let names)): settings.obfuscated = L7ProtocolSet(parserNames: names)
            default: Issue.record("configuration key without a meaning here: \(path)")
            }
        }
        return settings
    }

    private static func name(of proto: L7Protocol) -> String {
        switch proto {
        case .http1: "http"
        case .someIp: "someip"
        default: proto.displayName.lowercased()
        }
    }

    /// Columns of a message under the names of the vectors.
    static func columns(_ message: L7Message) -> [String: Any] {
        let log = message.standalone()
        var out: [String: Any] = [
            "protocol": name(of: message.l7Protocol),
            "message": message.type.text, "version": log.version, "request_type": log.requestType,
            "request_domain": log.requestDomain, "request_resource": log.requestResource, "endpoint": log.endpoint,
            "response_status": (L7ResponseStatus(rawValue: log.responseStatus) ?? .unknown).text,
            "response_exception": log.responseException, "response_result": log.responseResult,
            "request_length": Int(log.requestLength), "response_length": Int(log.responseLength),
            "captured_request_byte": Int(log.capturedRequestByte),
            "captured_response_byte": Int(log.capturedResponseByte),
            "response_duration": Int(log.base.rrtNs / 1000), "request_id": Int(log.ext?.requestID ?? 0),
            "http_proxy_client": log.ext?.clientIP ?? "", "x_request_id_0": log.ext?.xRequestID0 ?? "",
            "x_request_id_1": log.ext?.xRequestID1 ?? "", "sql_affected_rows": Int(log.rowEffect),
            "trace_id": log.trace?.traceIDs.first ?? "",
            "span_id": log.trace?.spanID ?? "",
        ]
        if log.responseCode != L7FlowLog.noCode { out["response_code"] = Int(log.responseCode) }
        return out
    }

    static func same(_ expected: Any, _ actual: Any?) -> Bool {
        guard let actual else { return false }
        if let left = expected as? Int, let right = actual as? Int { return left == right }
        if let left = expected as? String, let right = actual as? String { return left == right }
        return false
    }
}
