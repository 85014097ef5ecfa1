/// What a column holds: decides how it is printed, stored and compared.
package enum ColumnKind: Sendable, Equatable {
    /// UInt8...UInt64.
    case uint
    /// Int32, Int64.
    case int
    case real
    case text
    /// `DateTime`: seconds since 1970.
    case seconds
    /// `DateTime64(6)`: microseconds since 1970.
    case micros
    case ip4
    case ip6
    /// A 48-bit MAC as a number.
    case mac
    case texts
    case uints
    case reals
}

/// How rows of one key become a row of a longer interval. Source: ingester.md 4.3, 8.3.
package enum RollupRule: Sendable, Equatable {
    /// The table has no roll-ups.
    case none
    case groupBy
    case sum
    /// `*_max` and `direction_score`.
    case max
    /// Columns beginning with "_".
    case dropped
}

/// One column of a table.
package struct ColumnSchema: Sendable {
    package let name: String
    /// As the specification writes it, for the scale-out store.
    package let clickHouseType: String
    package let kind: ColumnKind
    package let isNullable: Bool
    /// Few different values: `LowCardinality(String)`.
    package let isLowCardinality: Bool
    package let rollup: RollupRule
    /// For help and column pickers.
    package let meaning: String
    /// Readable names of the values, shown as `<name>_str`.
    package let enumeration: ColumnEnumeration?

    /// An address column of the flow itself (not of a tunnel): the ones of the other family are left out when printed.
    package var isOwnAddress: Bool {
        (kind == .ip4 || kind == .ip6) && !name.utf8.starts(with: "tunnel_".utf8)
    }

    init(name: String, clickHouseType: String, rollup: String, meaning: String) {
        self.name = name
        self.clickHouseType = clickHouseType
        self.meaning = meaning
        isNullable = clickHouseType.utf8.starts(with: "Nullable(".utf8)
        isLowCardinality = clickHouseType == "LowCardinality(String)"
        enumeration = ColumnEnumeration(column: name)
        self.rollup =
            switch rollup {
            case "group by": .groupBy
            case "sum": .sum
            case "avg": .max
            case "dropped": .dropped
            default: .none
            }
        kind =
            name == "mac_0" || name == "mac_1" ? .mac : ColumnSchema.kind(of: clickHouseType, isNullable: isNullable)
    }

    private static func kind(of type: String, isNullable: Bool) -> ColumnKind {
        let inner = isNullable ? String(type.dropFirst("Nullable(".count).dropLast()) : type
        switch inner {
        case "IPv4": return .ip4
        case "IPv6": return .ip6
        case "Float64": return .real
        case "String", "LowCardinality(String)": return .text
        case "Array(Float64)": return .reals
        case "Array(String)", "Array(LowCardinality(String))": return .texts
        default: break
        }
        if inner.hasPrefix("DateTime64(6") { return .micros }
        if inner.hasPrefix("DateTime64") { return .int }
        if inner.hasPrefix("DateTime") { return .seconds }
        if inner.hasPrefix("Array(") { return .uints }
        if inner.hasPrefix("UInt") { return .uint }
        if inner.hasPrefix("Int") { return .int }
        // Enum8 of a few names: stored and printed by its number.
        return .int
    }
}
