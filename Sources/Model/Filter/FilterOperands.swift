/// Reads the value of a term by the kind of its key.
enum FilterOperands {
    /// - Parameter place: first character of the value, for errors.
    static func parse(
        _ text: String, isQuoted: Bool, key: FilterKey, comparison: Filter.Comparison, at place: Int, length: Int
    ) throws(FilterError) -> Filter.Operand {
        let refuse = { (why: String, mend: String) in FilterError(at: place, length: length, why: why, mend: mend) }
        let isOrdered = comparison != .equal && comparison != .notEqual && comparison != .contains
        if text == "*", !isQuoted, !isOrdered { return .present }
        switch key.kind {
        case .number, .duration, .bytes:
            return try numeric(text, key: key, isOrdered: isOrdered, refuse)
        case .status:
            if text.first?.isNumber == true || text.first == "-" {
                return try numeric(text, key: key, isOrdered: isOrdered, refuse)
            }
        default: break
        }
        guard !isOrdered else {
            throw refuse(
                "'\(key.name)' has no order, so \(comparison.rawValue) cannot be applied", "for example \(key.example)")
        }
        if comparison == .contains { return .text(TextPattern(text, .anywhere, literal: isQuoted)) }
        switch key.kind {
        case .text:
            return .text(TextPattern(text, .whole, literal: isQuoted))
        case .address:
            if let network = Network(text) { return .network(network) }
            if text.contains("*") { return .text(TextPattern(text, .whole)) }
            throw refuse("'\(text)' is no address or network", "for example \(key.example) or \(key.name):fe80::1")
        case .protocol:
            return try `protocol`(text, key: key, refuse)
        case .status:
            return try status(text, key: key, refuse)
        case .closeType:
            return try closeType(text, key: key, refuse)
        case .observationPoint:
            return .text(TextPattern(text, .whole))
        case .flag:
            switch text.lowercased() {
            case "1", "yes", "true", "y": return .number(1)
            case "0", "no", "false", "n": return .number(0)
            default: throw refuse("'\(text)' is neither yes nor no", "write \(key.name):yes or \(key.name):no")
            }
        case .number, .duration, .bytes:
            return try numeric(text, key: key, isOrdered: isOrdered, refuse)
        }
    }

    private typealias Refusal = (String, String) -> FilterError

    private static func numeric(
        _ text: String, key: FilterKey, isOrdered: Bool, _ refuse: Refusal
    ) throws(FilterError) -> Filter.Operand {
        if !isOrdered {
            if let dots = text.firstRange(of: "..") {
                let low = text[..<dots.lowerBound]
                let high = text[dots.upperBound...]
                if let from = number(low, key.kind), let to = number(high, key.kind), from <= to {
                    return .range(from...to)
                }
                throw refuse("'\(text)' is no range", "write the smaller first, as in \(key.name):\(sampleRange(key))")
            }
            if let hundreds = classOfCodes(text) { return .range(hundreds) }
        }
        guard let value = number(text[...], key.kind) else {
            throw refuse("'\(text)' is no number\(units(key.kind))", "for example \(key.example)")
        }
        return .number(value)
    }

    private static func sampleRange(_ key: FilterKey) -> String {
        switch key.kind {
        case .duration: "10ms..1s"
        case .bytes: "1k..1M"
        default: "100..200"
        }
    }

    private static func units(_ kind: FilterKey.Kind) -> String {
        switch kind {
        case .duration: " with a unit of us, ms, s, m or h"
        case .bytes: " with a unit of k, M, G, T (or Ki, Mi, Gi)"
        default: ""
        }
    }

    /// `5xx`: the hundred it names.
    private static func classOfCodes(_ text: String) -> ClosedRange<Double>? {
        let lower = text.lowercased()
        guard lower.count == 3, lower.hasSuffix("xx"), let first = lower.first?.wholeNumberValue else { return nil }
        return Double(first * 100)...Double(first * 100 + 99)
    }

    /// A number in the unit of its column. A duration without a unit is in microseconds, as the column is.
    private static func number(_ text: Substring, _ kind: FilterKey.Kind) -> Double? {
        let end = text.firstIndex { !($0.isASCII && ($0.isNumber || $0 == "." || $0 == "-" || $0 == "_")) }
        let digits = text[..<(end ?? text.endIndex)].filter { $0 != "_" }
        guard let value = Double(digits), value.isFinite else { return nil }
        let unit = text[(end ?? text.endIndex)...]
        guard !unit.isEmpty else { return value }
        switch kind {
        case .duration:
            switch unit.lowercased() {
            case "ns": return value / 1000
            case "us", "µs", "μs": return value
            case "ms": return value * 1000
            case "s", "sec": return value * 1_000_000
            case "m", "min": return value * 60_000_000
            case "h": return value * 3_600_000_000
            default: return nil
            }
        case .bytes, .number, .status:
            var name = unit.lowercased()
            if kind == .bytes, name.hasSuffix("/s") { name.removeLast(2) }
            if kind == .bytes, name.hasSuffix("b") { name.removeLast() }
            switch name {
            case "": return value
            case "k": return value * 1000
            case "m": return value * 1_000_000
            case "g": return value * 1_000_000_000
            case "t": return value * 1_000_000_000_000
            case "ki": return value * 1024
            case "mi": return value * 1_048_576
            case "gi": return value * 1_073_741_824
            default: return nil
            }
        default: return nil
        }
    }

    private static func `protocol`(
        _ text: String, key: FilterKey, _ refuse: Refusal
    ) throws(FilterError) -> Filter.Operand {
        if let number = UInt8(text) {
            return L7Protocol(rawValue: number).map { .l7Protocols([$0.rawValue]) } ?? .ipProtocols([number])
        }
        let wanted = text.lowercased()
        switch wanted {
        case "tcp": return .ipProtocols([IPProtocol.tcp])
        case "udp": return .ipProtocols([IPProtocol.udp])
        case "icmp": return .ipProtocols([IPProtocol.icmp, IPProtocol.icmpv6])
        case "icmpv6", "icmp6": return .ipProtocols([IPProtocol.icmpv6])
        case "sctp": return .ipProtocols([132])
        case "unknown", "none", "n/a": return .l7Protocols([0])
        default: break
        }
        if let found = L7Protocol.named(text) { return .l7Protocols([found.rawValue]) }
        if text.contains("*") {
            let pattern = TextPattern(text, .whole)
            let found = L7Protocol.allCases.filter { $0 != .unknown && pattern.matches($0.displayName) }
            if !found.isEmpty { return .l7Protocols(found.map(\.rawValue)) }
        }
        throw refuse(
            "there is no protocol '\(text)'",
            "some are tcp, udp, icmp, http, http2, grpc, dns, mysql, redis, kafka, tls; wildcards such as http* work")
    }

    private static func status(_ text: String, key: FilterKey, _ refuse: Refusal) throws(FilterError) -> Filter.Operand
    {
        let status = { (cases: L7ResponseStatus...) in Filter.Operand.statuses(cases.map(\.rawValue)) }
        switch text.lowercased() {
        case "ok", "normal", "success": return status(.ok)
        case "error", "err", "fail", "failed": return status(.clientError, .serverError, .timeout)
        case "client_error", "client": return status(.clientError)
        case "server_error", "server": return status(.serverError)
        case "timeout": return status(.timeout)
        case "unknown": return status(.unknown)
        case "parse_failed": return status(.parseFailed)
        default:
            throw refuse(
                "'\(text)' is no response status",
                "write ok, error, client_error, server_error, timeout, unknown, or a code such as 404, >=500, 5xx")
        }
    }

    private static func closeType(
        _ text: String, key: FilterKey, _ refuse: Refusal
    ) throws(FilterError) -> Filter.Operand {
        if let number = UInt8(text) { return .codes([number]) }
        let wanted = text.lowercased().replacing("_", with: " ").replacing("-", with: " ")
        let pattern = TextPattern(wanted, wanted.contains("*") ? .whole : .anywhere)
        let found = (0...20).compactMap { CloseType(rawValue: $0) }.filter { pattern.matches($0.text) }
        guard !found.isEmpty else {
            throw refuse(
                "no way of closing is called '\(text)'",
                "some are finish, timeout, server_rst, client_rst, half_close, forced_report")
        }
        let exact = found.filter { $0.text == wanted }
        return .codes((exact.isEmpty ? found : exact).map(\.rawValue))
    }
}
