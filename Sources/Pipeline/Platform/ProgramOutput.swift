import Glibc
import Model

/// What another program prints: for facts that only programs tell.
enum ProgramOutput {
    private static let mostBytes = 1 << 20

    /// Standard output of a program that ends well and in time; empty otherwise.
    /// - Parameter path: looked for in the usual folders when it has no slash.
    static func text(_ path: String, _ arguments: [String] = [], timeoutMs: UInt64 = 2000) -> String {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return "" }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        let process = start(path, arguments, output: ends[1])
        close(ends[1])
        guard let process else { return "" }
        let text = read(ends[0], untilNs: monotonicNs() + timeoutMs * 1_000_000)
        if text == nil { kill(process, SIGKILL) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status == 0 ? text ?? "" : ""
    }

    private static func start(_ path: String, _ arguments: [String], output: Int32) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        for (descriptor, mode) in [(Int32(0), O_RDONLY), (2, O_WRONLY)] {
            posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", mode, 0)
        }
        let words = ([path] + arguments).map { strdup($0) }
        let environment = [strdup("PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")]
        defer { for word in words + environment { free(word) } }
        var process: pid_t = 0
        let code = posix_spawnp(&process, path, &actions, nil, words + [nil], environment + [nil])
        return code == 0 ? process : nil
    }

    /// nil when it takes too long or is too much.
    private static func read(_ descriptor: Int32, untilNs: UInt64) -> String? {
        var out: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while out.count <= mostBytes {
            let now = monotonicNs()
            guard now < untilNs else { return nil }
            var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waited, 1, Int32((untilNs - now) / 1_000_000) + 1) > 0 else { continue }
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return String(decoding: out, as: UTF8.self) }
            if count > 0 { out += chunk[..<count] } else if errno != EINTR { return nil }
        }
        return nil
    }
}
