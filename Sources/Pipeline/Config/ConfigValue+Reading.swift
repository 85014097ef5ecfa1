import Capture
import Model

/// What a value should have been.
struct ConfigMismatch: Error {
    let wanted: String
}

/// Typed readings of configuration values.
extension ConfigValue {
    func text() throws(ConfigMismatch) -> String {
        switch self {
        case .text(let text): return text
        case .null: return ""
        case .int(let number): return "\(number)"
        case .bool, .double, .list, .map: throw ConfigMismatch(wanted: "a text")
        }
    }

    /// nil for an empty text.
    func pattern() throws(ConfigMismatch) -> NamePattern? {
        let text = try text()
        guard !text.isEmpty else { return nil }
        do {
            return try NamePattern(text)
        } catch {
            throw ConfigMismatch(wanted: "a regular expression, for example ^(eth|en).*$")
        }
    }

    func bool() throws(ConfigMismatch) -> Bool {
        guard case .bool(let flag) = self else { throw ConfigMismatch(wanted: "true or false") }
        return flag
    }

    func integer(_ range: ClosedRange<Int64>) throws(ConfigMismatch) -> Int64 {
        guard case .int(let number) = self, range.contains(number) else {
            throw ConfigMismatch(wanted: "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// Nanoseconds.
    func duration() throws(ConfigMismatch) -> UInt64 {
        guard case .text(let text) = self, let ns = parseDurationNs(text) else {
            throw ConfigMismatch(wanted: "a duration such as \"10s\" or \"1h 30m\"")
        }
        return ns
    }

    func seconds() throws(ConfigMismatch) -> UInt32 {
        UInt32(clamping: min(max(try duration() / 1_000_000_000, 1), 86400))
    }

    func list() throws(ConfigMismatch) -> [ConfigValue] {
        guard case .list(let items) = self else { throw ConfigMismatch(wanted: "a list") }
        return items
    }

    func texts() throws(ConfigMismatch) -> [String] {
        try list().map { item throws(ConfigMismatch) in try item.text() }
    }

    func portRange() throws(ConfigMismatch) -> ClosedRange<UInt16> {
        let parts = try text().split(separator: "-", omittingEmptySubsequences: false)
        guard let first = parts.first.flatMap({ UInt16($0) }), parts.count <= 2 else {
            throw ConfigMismatch(wanted: "ports such as \"80\" or \"1-65535\"")
        }
        guard parts.count == 2 else { return first...first }
        guard let last = UInt16(parts[1]), last >= first else {
            throw ConfigMismatch(wanted: "ports such as \"80\" or \"1-65535\"")
        }
        return first...last
    }

    func endpointRule() throws(ConfigMismatch) -> HTTPEndpointSettings.Rule {
        guard case .map(let entries) = self else {
            throw ConfigMismatch(wanted: "a list of {url_prefix, keep_segments}")
        }
        var prefix = ""
        var keep = 0
        for entry in entries {
            switch entry.key {
            case "url_prefix": prefix = try entry.value.text()
            case "keep_segments": keep = Int(try entry.value.integer(0...1000))
            default: throw ConfigMismatch(wanted: "a list of {url_prefix, keep_segments}")
            }
        }
        return HTTPEndpointSettings.Rule(prefix: prefix, keepSegments: keep)
    }

    /// Keys that are data, with their values.
    func entries() throws(ConfigMismatch) -> [(key: String, value: ConfigValue)] {
        guard case .map(let entries) = self else { throw ConfigMismatch(wanted: "a map") }
        return entries
    }

    /// Fields of an object, which may have no others.
    func fields(_ names: [String]) throws(ConfigMismatch) -> [String: ConfigValue] {
        let wanted = ConfigMismatch(wanted: "a list of {\(names.joined(separator: ", "))}")
        guard case .map(let entries) = self else { throw wanted }
        var fields: [String: ConfigValue] = [:]
        for entry in entries {
            guard names.contains(entry.key) else { throw wanted }
            fields[entry.key] = entry.value
        }
        return fields
    }

    /// One of `tag_filters`. The value stands under `field_value` in the catalogue, `value` in agents' own texts.
    func addRule(of proto: L7Protocol, to blacklist: inout L7Blacklist) throws(ConfigMismatch) {
        let entry = try fields(["field_name", "operator", "field_value", "value"])
        guard
            let field = try entry["field_name"].flatMap({ value throws(ConfigMismatch) in
                L7Blacklist.Field(name: try value.text())
            }),
            let operation = try entry["operator"].flatMap({ value throws(ConfigMismatch) in
                L7Blacklist.Operator(name: try value.text())
            }), let value = entry["field_value"] ?? entry["value"]
        else {
            throw ConfigMismatch(wanted: "a map from protocol to a list of {field_name, operator, field_value}")
        }
        blacklist.add(proto, field: field, operator: operation, value: try value.text())
    }
}
