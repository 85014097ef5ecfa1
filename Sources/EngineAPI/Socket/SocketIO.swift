import Glibc
import Model

/// Blocking sockets with deadlines; every call ends by itself.
enum SocketIO {
    enum Fault: Error, Equatable {
        case closed
        case timedOut
        case failed(Int32)
    }

    /// - Returns: a listening socket.
    static func listen(on address: EngineAddress) throws(Failure) -> Int32 {
        switch address {
        case .unix(let path): return try listenUnix(path)
        case .tcp(let host, let port):
            return try eachAddress(host, port, passive: true, address) { fd, info in
                var yes: Int32 = 1
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
                return bind(fd, info.ai_addr, info.ai_addrlen) == 0 && Glibc.listen(fd, 16) == 0
            }
        }
    }

    static func connect(to address: EngineAddress) throws(Failure) -> Int32 {
        switch address {
        case .unix(let path):
            let fd = try unixSocket(path)
            let status = withUnixAddress(path) { Glibc.connect(fd, $0, $1) }
            guard status == 0 else {
                let code = errno
                close(fd)
                throw unreachable(address, code)
            }
            return fd
        case .tcp(let host, let port):
            return try eachAddress(host, port, passive: false, address) { fd, info in
                // The send timeout bounds connect as well.
                setTimeout(fd, seconds: 5)
                return Glibc.connect(fd, info.ai_addr, info.ai_addrlen) == 0
            }
        }
    }

    static func unreachable(_ address: EngineAddress, _ code: Int32) -> Failure {
        let mend =
            code == EACCES
            ? "run it as the user who started the engine, or as root"
            : "start one with `dftop daemon`, or name another address"
        return Failure(
            code == EACCES ? .notPermitted : .unreachable, what: "cannot reach the engine at \(address)",
            why: String(cString: strerror(code)), mend: mend)
    }

    /// User of the process at the other end of a UNIX socket.
    static func peerUser(_ fd: Int32) -> UInt32? {
        var credentials: (pid: Int32, uid: UInt32, gid: UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0, length == 12 else { return nil }
        return credentials.uid
    }

    static func setTimeout(_ fd: Int32, seconds: Int) {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    /// Waits until there is something to read. False: `timeoutMs` passed.
    static func waitReadable(_ fd: Int32, timeoutMs: Int32) -> Bool {
        var item = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        return poll(&item, 1, timeoutMs) > 0
    }

    static func read(_ fd: Int32, count: Int, deadlineNs: UInt64) throws(Fault) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            try wait(fd, POLLIN, deadlineNs)
            let got = bytes.withUnsafeMutableBytes { buffer in
                recv(fd, buffer.baseAddress.map { $0 + done }, count - done, Int32(MSG_DONTWAIT))
            }
            if got == 0 { throw .closed }
            if got < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                throw .failed(errno)
            }
            done += got
        }
        return bytes
    }

    static func write(_ fd: Int32, _ bytes: [UInt8], deadlineNs: UInt64) throws(Fault) {
        var done = 0
        while done < bytes.count {
            try wait(fd, POLLOUT, deadlineNs)
            let sent = bytes.withUnsafeBytes { buffer in
                send(
                    fd, buffer.baseAddress.map { $0 + done }, bytes.count - done,
                    Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
            if sent < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                throw errno == EPIPE || errno == ECONNRESET ? .closed : .failed(errno)
            }
            done += sent
        }
    }

    private static func wait(_ fd: Int32, _ events: Int32, _ deadlineNs: UInt64) throws(Fault) {
        while true {
            let now = monotonicNs()
            guard now < deadlineNs else { throw .timedOut }
            var item = pollfd(fd: fd, events: Int16(events), revents: 0)
            let left = min((deadlineNs - now) / 1_000_000 + 1, 60_000)
            let status = poll(&item, 1, Int32(left))
            if status > 0 { return }
            if status < 0, errno != EINTR { throw .failed(errno) }
        }
    }

    // MARK: UNIX

    private static func unixSocket(_ path: String) throws(Failure) -> Int32 {
        guard path.utf8.count < 108, !path.isEmpty else {
            throw Failure(
                .usage, what: "'\(path)' cannot name a socket", why: "a socket path has 1 to 107 bytes",
                mend: "choose a shorter path")
        }
        let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else {
            throw Failure(.failed, what: "cannot open a socket", why: String(cString: strerror(errno)))
        }
        return fd
    }

    private static func withUnixAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { field in
            for (index, byte) in path.utf8.prefix(field.count - 1).enumerated() { field[index] = byte }
        }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// Removes a socket that nobody listens on, and only a socket; its mode is 0600 from the first moment.
    private static func listenUnix(_ path: String) throws(Failure) -> Int32 {
        if let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            mkdir(String(path[..<slash]), 0o755)
        }
        var entry = stat()
        if lstat(path, &entry) == 0 {
            guard entry.st_mode & S_IFMT == S_IFSOCK else {
                throw Failure(
                    .conflict, what: "cannot listen on \(path)", why: "there is a file of that name that is no socket",
                    mend: "remove it or choose another path")
            }
            let probe = try unixSocket(path)
            let status = withUnixAddress(path) { Glibc.connect(probe, $0, $1) }
            let code = errno
            close(probe)
            guard status != 0, code == ECONNREFUSED else {
                throw Failure(
                    .conflict, what: "cannot listen on \(path)", why: "an engine already runs there",
                    mend: "use it with `dftop attach`, or stop it first")
            }
            unlink(path)
        }
        let fd = try unixSocket(path)
        // Before bind: the file then appears with this mode, whatever the umask lets through.
        fchmod(fd, 0o600)
        let status = withUnixAddress(path) { bind(fd, $0, $1) }
        guard status == 0, chmod(path, 0o600) == 0, Glibc.listen(fd, 16) == 0 else {
            let code = errno
            close(fd)
            throw Failure(
                code == EACCES || code == EPERM ? .notPermitted : .failed, what: "cannot listen on \(path)",
                why: String(cString: strerror(code)), mend: "choose a path in a folder you may write to")
        }
        return fd
    }

    // MARK: TCP

    private static func eachAddress(
        _ host: String, _ port: UInt16, passive: Bool, _ address: EngineAddress,
        _ attempt: (Int32, addrinfo) -> Bool
    ) throws(Failure) -> Int32 {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = passive ? AI_PASSIVE : 0
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0, let first = list else {
            throw Failure(
                .unreachable, what: "cannot find the host '\(host)'", why: String(cString: gai_strerror(status)),
                mend: "check its name")
        }
        defer { freeaddrinfo(first) }
        var next: UnsafeMutablePointer<addrinfo>? = first
        var code = ENOENT
        while let info = next?.pointee {
            let fd = socket(info.ai_family, info.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), info.ai_protocol)
            if fd >= 0 {
                if attempt(fd, info) { return fd }
                code = errno
                close(fd)
            } else {
                code = errno
            }
            next = info.ai_next
        }
        if passive {
            throw Failure(
                code == EADDRINUSE ? .conflict : .failed, what: "cannot listen on \(address)",
                why: String(cString: strerror(code)), mend: "choose another port")
        }
        throw unreachable(address, code)
    }
}
