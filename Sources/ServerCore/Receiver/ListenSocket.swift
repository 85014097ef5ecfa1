import Model

#if canImport(Glibc)
    import Glibc
#endif

/// A bound socket; closed by `deinit`. IPv6 addresses take IPv4 too. Source: wire.md 1.
struct ListenSocket: ~Copyable {
    enum Kind {
        case stream
        case datagram
    }

    let descriptor: Int32
    /// As bound, when 0 was asked for.
    let port: UInt16

    deinit { close(descriptor) }

    /// - Parameters:
    ///   - address: numeric IPv4 or IPv6 address of this host.
    ///   - receiveBuffer: asked of the kernel, which may give less.
    /// - Throws: why the address cannot be used, with the exit code that fits.
    init(_ kind: Kind, address: String, port wanted: UInt16, receiveBuffer: Int32) throws(Failure) {
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32((kind == .stream ? SOCK_STREAM : SOCK_DGRAM).rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let what = "cannot listen on \(address.contains(":") ? "[\(address)]" : address):\(wanted)"
        guard getaddrinfo(address, String(wanted), &hints, &list) == 0, let found = list?.pointee else {
            throw Failure(
                .usage, what: what, why: "this is no IPv4 or IPv6 address",
                mend: "use an address of this host, 127.0.0.1, or :: for all")
        }
        defer { freeaddrinfo(list) }
        let made = socket(found.ai_family, found.ai_socktype | O_CLOEXEC | O_NONBLOCK, 0)
        guard made >= 0 else { throw Self.failure(what, errno) }

        Self.set(made, SOL_SOCKET, SO_RCVBUF, receiveBuffer)
        if kind == .stream { Self.set(made, SOL_SOCKET, SO_REUSEADDR, 1) }
        if found.ai_family == AF_INET6 { Self.set(made, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
        var code: Int32 = 0
        if bind(made, found.ai_addr, found.ai_addrlen) != 0 || (kind == .stream && listen(made, 128) != 0) {
            code = errno
        }
        guard code == 0 else {
            close(made)
            throw Self.failure(what, code)
        }
        descriptor = made
        port = Self.boundPort(made)
    }

    static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func failure(_ what: String, _ code: Int32) -> Failure {
        switch code {
        case EADDRINUSE:
            Failure(
                .conflict, what: what, why: "another process uses this port",
                mend: "stop it (`ss -ltnp` names it) or choose another port")
        case EACCES:
            Failure(
                .notPermitted, what: what, why: "ports below 1024 need privilege",
                mend: "choose a higher port or start as root")
        case EADDRNOTAVAIL:
            Failure(
                .notFound, what: what, why: "this host has no such address",
                mend: "see `ip address`, or use 127.0.0.1 or ::")
        default:
            Failure(.failed, what: what, why: String(cString: strerror(code)))
        }
    }

    private static func boundPort(_ descriptor: Int32) -> UInt16 {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { raw in
            guard let address = raw.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                getsockname(descriptor, address, &length) == 0
            else { return 0 }
            // The port lies at the same place in both families.
            return UInt16(raw[2]) << 8 | UInt16(raw[3])
        }
    }
}

extension PeerAddress {
    /// IPv4-mapped peers of a dual-stack socket count as IPv4.
    init(_ storage: sockaddr_storage) {
        var storage = storage
        let octets = withUnsafeBytes(of: &storage) { Array($0) }
        guard storage.ss_family == sa_family_t(AF_INET6), let ip = IPAddress(octets: octets[8..<24]) else {
            let v4 = octets[4..<8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            self.init(ip: IPAddress(v4: v4), isIPv6: false)
            return
        }
        self = ip.isMapped ? PeerAddress(ip: IPAddress(v4: ip.v4)) : PeerAddress(ip: ip, isIPv6: true)
    }
}
