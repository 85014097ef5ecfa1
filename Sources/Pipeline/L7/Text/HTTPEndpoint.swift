/// How an HTTP path becomes an endpoint. Source: agent-l7.md 11.3.
package struct HTTPEndpointSettings: Sendable {
    package struct Rule: Sendable, Equatable {
        package var prefix: String
        package var keepSegments: Int

        package init(prefix: String, keepSegments: Int) {
            self.prefix = prefix
            self.keepSegments = keepSegments
        }
    }

    package var isDisabled = false
    /// Longest prefix first.
    private var rules: [Rule] = [Rule(prefix: "", keepSegments: 2)]

    package init() {}

    /// Rules that keep no segment are ignored; of two with the same prefix the later one counts.
    package mutating func set(rules new: [Rule]) {
        rules = []
        for rule in new where rule.keepSegments > 0 {
            rules.removeAll { $0.prefix == rule.prefix }
            rules.append(rule)
        }
        rules.sort { $0.prefix.utf8.count > $1.prefix.utf8.count }
    }

    /// The endpoint of a path; empty when extraction is off or no rule fits.
    package func endpoint(of path: String) -> String {
        if isDisabled { return "" }
        let bytes = path.utf8
        let end = bytes.firstIndex(of: 63) ?? bytes.endIndex
        let whole = path[..<end]
        var keep = 2
        if !rules.isEmpty {
            guard let rule = rules.first(where: { whole.utf8.starts(with: $0.prefix.utf8) }) else { return "" }
            keep = rule.keepSegments
        }
        return Self.keep(keep, of: whole)
    }

    /// The first `count` real segments. Empty segments and "." do not count but stay in the text.
    private static func keep(_ count: Int, of path: Substring) -> String {
        let bytes = path.utf8
        var at = bytes.startIndex
        var kept = 0
        var end = bytes.startIndex
        while at < bytes.endIndex, kept < count {
            if bytes[at] == 47 {
                at = bytes.index(after: at)
                continue
            }
            let stop = bytes[at...].firstIndex(of: 47) ?? bytes.endIndex
            if !(bytes[at] == 46 && bytes.index(after: at) == stop) {
                kept += 1
                end = stop
            }
            at = stop
        }
        if kept < count { end = bytes.endIndex }
        let text = path[..<end]
        return text.utf8.first == 47 ? String(text) : "/" + text
    }
}
