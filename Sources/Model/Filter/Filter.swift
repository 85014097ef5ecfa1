/// A parsed filter: `proto:http status:>=500 pod:cart* rrt:>100ms dst:10.0.0.0/8 !port:53 text`.
///
/// Terms side by side must all hold; `or` and brackets join alternatives, `!` negates. A word without a key is looked
/// for in every visible text, an address or network without a key in both ends. Source: design.md 2.3.
package struct Filter: Sendable, Equatable {
    /// As it was written.
    package let text: String
    package let root: Node

    package indirect enum Node: Sendable, Equatable {
        case everything
        case all([Node])
        case any([Node])
        case not(Node)
        case term(Term)
        case text(TextPattern)
    }

    /// `key operator operand,operand`.
    package struct Term: Sendable, Equatable {
        package let key: FilterKey
        package let comparison: Comparison
        /// One of them must fit.
        package let operands: [Operand]
    }

    package enum Comparison: String, Sendable {
        case equal = "="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case contains = "~"
    }

    package enum Operand: Sendable, Equatable {
        /// In the unit of the column.
        case number(Double)
        case range(ClosedRange<Double>)
        case text(TextPattern)
        case network(Network)
        case l7Protocols([UInt8])
        case ipProtocols([UInt8])
        case statuses([UInt8])
        case codes([UInt8])
        /// `*`: the column is there and not empty.
        case present
    }

    package static let everything = Filter(text: "", root: .everything)

    /// - Throws: `FilterError` with the place of the fault.
    package init(_ text: String) throws(FilterError) {
        var parser = FilterParser(text)
        self.init(text: text, root: try parser.parse())
    }

    init(text: String, root: Node) {
        self.text = text
        self.root = root
    }

    package var isEverything: Bool { root == .everything }

    package func matches(_ source: some FieldSource) -> Bool {
        Filter.matches(root, source)
    }

    private static func matches(_ node: Node, _ source: some FieldSource) -> Bool {
        switch node {
        case .everything: true
        case .all(let nodes): nodes.allSatisfy { matches($0, source) }
        case .any(let nodes): nodes.contains { matches($0, source) }
        case .not(let node): !matches(node, source)
        case .term(let term): term.matches(source)
        case .text(let pattern): source.hasText(pattern)
        }
    }
}

extension Filter.Term {
    func matches(_ source: some FieldSource) -> Bool {
        if comparison == .notEqual { return !operands.contains { fits($0, .equal, source) } }
        return operands.contains { fits($0, comparison, source) }
    }

    private func fits(_ operand: Filter.Operand, _ comparison: Filter.Comparison, _ source: some FieldSource) -> Bool {
        switch key.kind {
        case .protocol: return fitsProtocol(operand, comparison, source)
        case .status: return fitsStatus(operand, comparison, source)
        case .address: return fitsAddress(operand, source)
        case .text, .number, .duration, .bytes, .closeType, .observationPoint, .flag: break
        }
        switch key.joining {
        case .first:
            for column in key.columns {
                if let value = source.field(column) { return Filter.fits(value, operand, comparison) }
            }
            return false
        case .any:
            return key.columns.contains { column in
                source.field(column).map { Filter.fits($0, operand, comparison) } ?? false
            }
        case .sum:
            var sum = 0.0
            var isPresent = false
            for column in key.columns {
                guard let number = source.field(column)?.number else { continue }
                sum += number
                isPresent = true
            }
            return isPresent && Filter.fits(.real(sum), operand, comparison)
        }
    }

    private func fitsProtocol(
        _ operand: Filter.Operand, _ comparison: Filter.Comparison, _ source: some FieldSource
    ) -> Bool {
        switch operand {
        case .l7Protocols(let numbers):
            guard let number = source.field(FilterColumn(.l7Protocol))?.number else { return false }
            return numbers.contains { Double($0) == number }
        case .ipProtocols(let numbers):
            guard let number = source.field(FilterColumn(.protocol))?.number else { return false }
            return numbers.contains { Double($0) == number }
        default:
            for column in key.columns {
                if let value = source.field(column), Filter.fits(value, operand, comparison) { return true }
            }
            return false
        }
    }

    private func fitsStatus(
        _ operand: Filter.Operand, _ comparison: Filter.Comparison, _ source: some FieldSource
    ) -> Bool {
        switch operand {
        case .statuses(let numbers):
            guard let number = source.field(FilterColumn(.responseStatus))?.number else { return false }
            return numbers.contains { Double($0) == number }
        default:
            guard let code = source.field(FilterColumn(.responseCode)) else { return false }
            return Filter.fits(code, operand, comparison)
        }
    }

    private func fitsAddress(_ operand: Filter.Operand, _ source: some FieldSource) -> Bool {
        let isIPv4 = source.field(Filter.isIPv4Column)?.number.map { $0 != 0 }
        for column in key.columns {
            switch operand {
            case .network(let network):
                // Tables hold both families in every row; the one that does not apply is zero.
                if column.name.hasPrefix("ip4"), network.isIPv6 || isIPv4 == false { continue }
                if column.name.hasPrefix("ip6"), !network.isIPv6 || isIPv4 == true { continue }
                if let address = source.address(column), network.contains(address) { return true }
            case .present:
                if let value = source.field(column), !value.isEmpty { return true }
            case .text(let pattern):
                if case .text(let text)? = source.field(column), pattern.matches(text) { return true }
            default: continue
            }
        }
        return false
    }
}

extension Filter {
    static let isIPv4Column = FilterColumn("is_ipv4")

    /// One value against one operand.
    static func fits(_ value: FieldValue, _ operand: Operand, _ comparison: Comparison) -> Bool {
        switch operand {
        case .number(let wanted):
            guard let number = value.number else { return false }
            return compare(number, wanted, comparison)
        case .range(let range):
            guard let number = value.number else { return false }
            return range.contains(number)
        case .text(let pattern):
            return value.hasText(pattern)
        case .codes(let numbers):
            guard let number = value.number else { return false }
            return numbers.contains { Double($0) == number }
        case .present:
            return !value.isEmpty
        case .network(let network):
            guard case .text(let text) = value, let parsed = IPAddress.parse(text) else { return false }
            return network.contains(FilterAddress(address: parsed.address, isIPv6: parsed.isIPv6))
        case .l7Protocols, .ipProtocols, .statuses:
            return false
        }
    }

    private static func compare(_ value: Double, _ wanted: Double, _ comparison: Comparison) -> Bool {
        switch comparison {
        case .equal, .contains: value == wanted
        case .notEqual: value != wanted
        case .less: value < wanted
        case .lessOrEqual: value <= wanted
        case .greater: value > wanted
        case .greaterOrEqual: value >= wanted
        }
    }
}

/// A CIDR block of either family; a single address is one of full length.
package struct Network: Sendable, Equatable {
    package let address: IPAddress
    package let isIPv6: Bool
    package let length: Int
    private let mask: IPAddress

    /// `10.0.0.0/8`, `10.0.0.1`, `fe80::/10`; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let parsed = IPAddress.parse(first) else { return nil }
        let full = parsed.isIPv6 ? 128 : 32
        var length = full
        if parts.count == 2 {
            guard let number = Int(parts[1]), (0...full).contains(number) else { return nil }
            length = number
        }
        self.length = length
        isIPv6 = parsed.isIPv6
        // Ones from the top of the 128 bits; an IPv4 address sits in the lowest 32.
        let ones = parsed.isIPv6 ? length : length + 96
        mask = IPAddress(
            high: ones >= 64 ? .max : ones == 0 ? 0 : .max << UInt64(64 - ones),
            low: ones <= 64 ? 0 : ones == 128 ? .max : .max << UInt64(128 - ones))
        address = IPAddress(high: parsed.address.high & mask.high, low: parsed.address.low & mask.low)
    }

    package func contains(_ other: FilterAddress) -> Bool {
        other.isIPv6 == isIPv6 && other.address.high & mask.high == address.high
            && other.address.low & mask.low == address.low
    }
}
