import Glibc
package import Model

/// Where an engine listens.
package enum EngineAddress: Sendable, Equatable, CustomStringConvertible {
    case unix(path: String)
    case tcp(host: String, port: UInt16)

    /// The local daemon's socket: `/run/dftop/dftop.sock` for root, `$XDG_RUNTIME_DIR/dftop.sock` for others.
    /// Source: design.md 2.4.
    package static func local() -> EngineAddress {
        if geteuid() != 0, let directory = getenv("XDG_RUNTIME_DIR") {
            let path = String(cString: directory)
            if path.hasPrefix("/") { return .unix(path: path + "/dftop.sock") }
        }
        return .unix(path: "/run/dftop/dftop.sock")
    }

    /// `/path`, `unix:/path`, `host:port`, `[v6]:port`, `port`.
    package static func parse(_ text: String) throws(Failure) -> EngineAddress {
        if text.hasPrefix("unix:") { return .unix(path: String(text.dropFirst(5))) }
        if text.contains("/") { return .unix(path: text) }
        if let port = UInt16(text), port > 0 { return .tcp(host: "127.0.0.1", port: port) }
        if let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 {
            var host = text[..<colon]
            if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
            if !host.isEmpty { return .tcp(host: String(host), port: port) }
        }
        throw Failure(
            .usage, what: "'\(text)' is no address of an engine", why: "it is neither a path nor HOST:PORT",
            mend: "for example /run/dftop/dftop.sock or 127.0.0.1:20418")
    }

    package var description: String {
        switch self {
        case .unix(let path): path
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}
