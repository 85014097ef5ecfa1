package import Model

/// Ports on which a protocol is looked for (`port_number_prefilters`). Source: agent-l7.md 3, 4.1.
package struct L7PortFilters: Sendable {
    package enum Ports: Sendable, Equatable {
        case all
        case some([ClosedRange<UInt16>])

        package func contains(_ port: UInt16) -> Bool {
            switch self {
            case .all: true
            case .some(let ranges): ranges.contains { $0.contains(port) }
            }
        }

        /// The same ports in ranges that do not overlap, ascending.
        var disjointRanges: [ClosedRange<UInt16>] {
            guard case .some(let ranges) = self else { return [0...65535] }
            var out: [ClosedRange<UInt16>] = []
            for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
                if let last = out.last, range.lowerBound <= last.upperBound {
                    out[out.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
                } else {
                    out.append(range)
                }
            }
            return out
        }
    }

    /// 1-65535 unless listed: port 0 is never looked at, but echoes have no other.
    private var ports: [L7Protocol: Ports] = [
        .oracle: .some([1521...1521]), .dameng: .some([5236...5236]), .memcached: .some([11211...11211]),
        .dns: .some([53...53, 5353...5353]), .tls: .some([443...443, 6443...6443]), .ping: .all,
    ]

    package init() {}

    package subscript(_ proto: L7Protocol) -> Ports {
        get { ports[proto] ?? .some([1...65535]) }
        set { ports[proto] = newValue }
    }

    /// Applies the configured map: unknown names are ignored, protocols that are not named keep their default.
    /// Returns the ranges that could not be read.
    package mutating func apply(_ configured: [String: String]) -> [String] {
        var bad: [String] = []
        for (name, text) in configured {
            guard let proto = L7Names.parser(name) else { continue }
            guard let ranges = portRanges(text) else {
                bad.append("\(name): \(text)")
                continue
            }
            ports[proto] = .some(ranges)
        }
        return bad.sorted()
    }
}

/// `53,5353,8000-8010`; nil when a part is no port or range. An empty text is an empty list.
package func portRanges(_ text: String) -> [ClosedRange<UInt16>]? {
    var ranges: [ClosedRange<UInt16>] = []
    for part in text.split(separator: ",") {
        let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { trimmed($0) }
        guard let first = ends.first.flatMap({ UInt16($0) }) else { return nil }
        guard ends.count <= 2, let last = UInt16(ends[ends.count - 1]), last >= first else { return nil }
        ranges.append(first...last)
    }
    return ranges
}
