package import Model

/// Messages that are neither sent nor counted as requests (`tag_filters`). Source: agent-l7.md 13.
package struct L7Blacklist: Sendable {
    package enum Field: Sendable, Equatable {
        case endpoint, requestType, requestDomain, requestResource

        /// In any case.
        package init?(name: String) {
            switch name.lowercased() {
            case "endpoint": self = .endpoint
            case "request_type": self = .requestType
            case "request_domain": self = .requestDomain
            case "request_resource": self = .requestResource
            default: return nil
            }
        }
    }

    package enum Operator: Sendable, Equatable {
        case equal, prefix

        package init?(name: String) {
            switch name.lowercased() {
            case "equal": self = .equal
            case "prefix": self = .prefix
            default: return nil
            }
        }
    }

    private struct Rule: Sendable {
        var field: Field
        var isPrefix: Bool
        var value: String
    }

    private var rules: [L7Protocol: [Rule]] = [:]

    package init() {}

    package var isEmpty: Bool { rules.isEmpty }

    /// Adds a rule; of two with the same field and value the later one counts. An empty value never matches.
    package mutating func add(_ proto: L7Protocol, field: Field, operator operation: Operator, value: String) {
        guard !value.isEmpty else { return }
        var list = rules[proto] ?? []
        list.removeAll { $0.field == field && $0.value == value }
        list.append(Rule(field: field, isPrefix: operation == .prefix, value: value))
        rules[proto] = list
    }

    func contains(_ message: L7Message) -> Bool {
        guard !rules.isEmpty, let list = rules[message.l7Protocol] else { return false }
        for rule in list {
            let value =
                switch rule.field {
                case .endpoint: message.log.endpoint
                case .requestType: message.log.requestType
                case .requestDomain: message.log.requestDomain
                case .requestResource: message.log.requestResource
                }
            if rule.isPrefix ? value.hasPrefix(rule.value) : value == rule.value { return true }
        }
        return false
    }
}
