/// Where the ingester listens.
package struct Destination: Sendable, Equatable {
    /// Name or address; empty, `0.0.0.0` or `::` = none yet, nothing is sent. Source: wire.md 1.
    package var host: String
    package var port: UInt16

    package static let defaultPort: UInt16 = 20033

    package init(host: String, port: UInt16 = Destination.defaultPort) {
        self.host = host
        self.port = port
    }

    /// `HOST`, `HOST:PORT`, `[ADDRESS]:PORT` or a bare IPv6 address; nil when the port is no number from 1 to 65535.
    package init?(_ text: String, defaultPort: UInt16 = Destination.defaultPort) {
        var host = text[...]
        var port = defaultPort
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            if !rest.isEmpty {
                guard let number = UInt16(rest.dropFirst()), number > 0 else { return nil }
                port = number
            }
        } else if let colon = text.lastIndex(of: ":"), text.firstIndex(of: ":") == colon {
            guard let number = UInt16(text[text.index(after: colon)...]), number > 0 else { return nil }
            host = text[..<colon]
            port = number
        }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    package var isNone: Bool { host.isEmpty || host == "0.0.0.0" || host == "::" }

    package var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
