/// A value of a configuration tree, as YAML or JSON gave it.
package indirect enum ConfigValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case text(String)
    case list([ConfigValue])
    case map([(key: String, value: ConfigValue)])

    package static func == (left: ConfigValue, right: ConfigValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.int(let a), .int(let b)): a == b
        case (.double(let a), .double(let b)): a == b
        case (.text(let a), .text(let b)): a == b
        case (.list(let a), .list(let b)): a == b
        case (.map(let a), .map(let b)):
            a.count == b.count && zip(a, b).allSatisfy { $0.key == $1.key && $0.value == $1.value }
        case (.null, _), (.bool, _), (.int, _), (.double, _), (.text, _), (.list, _), (.map, _): false
        }
    }
}

/// Nanoseconds of a duration such as `10s`, `1h 30m`, `300d`, `0ns`. Source: agent-config.md 1.3.
package func parseDurationNs(_ text: String) -> UInt64? {
    let units: [String: UInt64] = [
        "ns": 1, "us": 1000, "ms": 1_000_000, "s": 1_000_000_000, "sec": 1_000_000_000, "m": 60_000_000_000,
        "min": 60_000_000_000, "h": 3_600_000_000_000, "d": 86_400_000_000_000,
    ]
    var total: UInt64 = 0
    var digits = ""
    var unit = ""
    var hasPart = false
    func close() -> Bool {
        guard let count = UInt64(digits), let size = units[unit] else { return false }
        let (product, overflow) = count.multipliedReportingOverflow(by: size)
        let (sum, carry) = total.addingReportingOverflow(product)
        guard !overflow, !carry else { return false }
        total = sum
        digits = ""
        unit = ""
        hasPart = true
        return true
    }
    for character in text where character != " " {
        if character.isNumber {
            if !unit.isEmpty, !close() { return nil }
            digits.append(character)
        } else {
            unit.append(character)
        }
    }
    if digits == "0", unit.isEmpty { return hasPart ? nil : 0 }
    return close() ? total : nil
}
