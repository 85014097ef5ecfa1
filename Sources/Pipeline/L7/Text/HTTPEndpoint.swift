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
        var path = path
        return path.withUTF8 { bytes -> String? in
            var count = 0
            while count < bytes.count, bytes[count] != 63 { count &+= 1 }
            var keep = 2
            if !rules.isEmpty {
                let whole = bytes[..<count]
                guard let rule = rules.firstIndex(where: { $0.prefix.isEmpty || whole.starts(with: $0.prefix.utf8) })
                else { return "" }
                keep = rules[rule].keepSegments
            }
            let end = Self.end(ofSegments: keep, in: bytes, count)
            let isRooted = end > 0 && bytes[0] == 47
            if isRooted, end == bytes.count { return nil }
            let text = String(decoding: bytes[..<end], as: UTF8.self)
            return isRooted ? text : "/" + text
        } ?? path
    }

    /// Where the first `count` real segments of `bytes[..<length]` end. Empty segments and "." do not count but stay in
    /// the text.
    private static func end(ofSegments count: Int, in bytes: UnsafeBufferPointer<UInt8>, _ length: Int) -> Int {
        var at = 0
        var kept = 0
        var end = 0
        while at < length, kept < count {
            if bytes[at] == 47 {
                at &+= 1
                continue
            }
            var stop = at
            while stop < length, bytes[stop] != 47 { stop &+= 1 }
            if !(bytes[at] == 46 && at &+ 1 == stop) {
                kept &+= 1
                end = stop
            }
            at = stop
        }
        return kept < count ? length : end
    }
}
