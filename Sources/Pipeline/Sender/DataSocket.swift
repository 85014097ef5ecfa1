import Model

#if canImport(Glibc)
    import Glibc
#endif

/// Why a socket call failed, for people.
struct SocketTrouble: Error, Equatable {
    let why: String

    init(_ why: String) { self.why = why }
    init(code: Int32) { why = String(cString: strerror(code)) }
}

/// A connected TCP socket that only sends: the ingester never answers. Closed by `deinit`. Source: wire.md 2, 5.3.
struct DataSocket: ~Copyable {
    private let descriptor: Int32

    deinit { close(descriptor) }

    /// Tries the addresses of the name in turn.
    init(to destination: Destination, timeoutMs: Int32) throws(SocketTrouble) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_family = AF_UNSPEC
        hints.ai_flags = AI_ADDRCONFIG
        var list: UnsafeMutablePointer<addrinfo>?
        var status = getaddrinfo(destination.host, String(destination.port), &hints, &list)
        if status != 0 {
            // Without a configured address, as in a bare namespace, loopback must still be found.
            hints.ai_flags = 0
            status = getaddrinfo(destination.host, String(destination.port), &hints, &list)
        }
        guard status == 0 else { throw SocketTrouble(String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(list) }

        var trouble = SocketTrouble("the name has no address")
        var next = list
        while let entry = next {
            next = entry.pointee.ai_next
            do throws(SocketTrouble) {
                descriptor = try Self.connected(entry.pointee, timeoutMs)
                return
            } catch {
                trouble = error
            }
        }
        throw trouble
    }

    private static func connected(_ address: addrinfo, _ timeoutMs: Int32) throws(SocketTrouble) -> Int32 {
        let made = socket(address.ai_family, address.ai_socktype | O_CLOEXEC | O_NONBLOCK, address.ai_protocol)
        guard made >= 0 else { throw SocketTrouble(code: errno) }
        var code: Int32 = 0
        if connect(made, address.ai_addr, address.ai_addrlen) != 0 { code = errno }
        if code == EINPROGRESS {
            var wait = pollfd(fd: made, events: Int16(POLLOUT), revents: 0)
            let ready = poll(&wait, 1, timeoutMs)
            if ready == 1 {
                var length = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(made, SOL_SOCKET, SO_ERROR, &code, &length)
            } else {
                code = ready == 0 ? ETIMEDOUT : errno
            }
        }
        guard code == 0 else {
            close(made)
            throw SocketTrouble(code: code)
        }
        var on: Int32 = 1
        setsockopt(made, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<Int32>.size))
        return made
    }

    /// Nil while the peer has neither closed nor reset the connection.
    func hangUp() -> SocketTrouble? {
        var byte: UInt8 = 0
        let got = recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        if got == 0 { return SocketTrouble("the server closed the connection") }
        if got < 0, errno != EAGAIN, errno != EINTR { return SocketTrouble(code: errno) }
        return nil
    }

    /// Writes everything, or gives up when nothing at all moves for `stallMs`, which may change meanwhile.
    func write(_ bytes: UnsafeRawBufferPointer, stallMs: () -> Int) throws(SocketTrouble) {
        var sent = 0
        var movedNs = monotonicNs()
        while sent < bytes.count {
            let count = send(
                descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            if count > 0 {
                sent += count
                movedNs = monotonicNs()
                continue
            }
            guard errno == EAGAIN || errno == EINTR else { throw SocketTrouble(code: errno) }
            var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&wait, 1, 200)
            let stalledMs = (monotonicNs() - movedNs) / 1_000_000
            if stalledMs >= UInt64(stallMs()) {
                throw SocketTrouble("the server took nothing for \(stalledMs / 1000) s")
            }
        }
    }

    /// Ends our side and waits until the peer, having read all, ends its own: the only sign of delivery that a protocol
    /// without answers has. Nil when the peer did so.
    func finish(timeoutMs: Int) -> SocketTrouble? {
        shutdown(descriptor, Int32(SHUT_WR))
        let startNs = monotonicNs()
        while true {
            let passed = Int((monotonicNs() - startNs) / 1_000_000)
            guard passed < timeoutMs else {
                // A peer that keeps its side open is no fault as long as its kernel has taken everything.
                var unsent: Int32 = 0
                guard ioctl(descriptor, UInt(TIOCOUTQ), &unsent) == 0, unsent == 0 else {
                    return SocketTrouble("the server did not take \(unsent) bytes in time")
                }
                return nil
            }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, Int32(min(timeoutMs - passed, 1000))) == 1 else { continue }
            var sink = (UInt64(0), UInt64(0))
            let got = withUnsafeMutableBytes(of: &sink) { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if got == 0 { return nil }
            if got < 0, errno != EAGAIN, errno != EINTR { return SocketTrouble(code: errno) }
        }
    }
}
