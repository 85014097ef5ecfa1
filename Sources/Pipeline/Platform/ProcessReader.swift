import Glibc
package import Model

/// Processes that own TCP or UDP sockets, found by the socket inodes among their open files.
package struct ProcessReader {
    private let root: String
    private var users: [UInt32: String] = [:]

    /// Bounds the work on a host with very many of them.
    private static let maxProcesses = 50_000
    private static let maxNamespaces = 64

    package init(root: String = "/proc") {
        self.root = root
    }

    /// Fills processes and sockets of the snapshot, also of other network namespaces that are readable.
    package mutating func read(into snapshot: inout PlatformSnapshot) {
        var owners: [UInt64: Int32] = [:]
        var namespaces: [String: String] = [:]
        var unreadable = 0
        var pids: [Int32] = []
        let own = ProcFile.link(root + "/self/ns/net")
        for name in ProcFile.names(in: root) {
            guard let pid = Int32(name), pids.count < ProcessReader.maxProcesses else { continue }
            let folder = "\(root)/\(name)"
            guard access(folder + "/fd", R_OK) == 0 else {
                unreadable += 1
                continue
            }
            pids.append(pid)
            var ownsSockets = false
            for file in ProcFile.names(in: folder + "/fd") {
                guard let target = ProcFile.link(folder + "/fd/" + file), let inode = ProcessReader.inode(of: target)
                else { continue }
                // The lowest pid is the one that opened it; children inherit it.
                if let known = owners[inode], known <= pid { continue }
                owners[inode] = pid
                ownsSockets = true
            }
            guard ownsSockets, let space = ProcFile.link(folder + "/ns/net"), space != own else { continue }
            if namespaces.count < ProcessReader.maxNamespaces { namespaces[space] = folder + "/net" }
        }
        var sockets = SocketReader.read(folder: root + "/net")
        for folder in namespaces.values.sorted() { sockets += SocketReader.read(folder: folder) }
        var summaries: [Int32: (listening: Set<String>, connections: Int)] = [:]
        for index in sockets.indices {
            guard let pid = owners[sockets[index].inode] else { continue }
            sockets[index].pid = pid
            let socket = sockets[index]
            var summary = summaries[pid] ?? ([], 0)
            if socket.isListening {
                let name = socket.proto == IPProtocol.tcp ? "tcp" : "udp"
                summary.listening.insert("\(name)/\(socket.localPort)")
            } else {
                summary.connections += 1
            }
            summaries[pid] = summary
        }
        snapshot.sockets = sockets
        snapshot.processes = summaries.keys.sorted().compactMap { pid in
            guard let summary = summaries[pid], var facts = facts(of: pid) else { return nil }
            facts.listening = summary.listening.sorted(by: ProcessReader.inOrderOfPorts)
            facts.connections = summary.connections
            return facts
        }
        if unreadable > 0 {
            snapshot.gaps.append("open files of \(unreadable) processes of other users; root may read them")
        }
    }

    private static func inOrderOfPorts(_ one: String, _ other: String) -> Bool {
        let port = { (text: String) in Int(text.split(separator: "/").last ?? "") ?? 0 }
        return port(one) == port(other) ? one < other : port(one) < port(other)
    }

    /// `socket:[12345]`.
    static func inode(of target: String) -> UInt64? {
        guard target.hasPrefix("socket:["), target.hasSuffix("]") else { return nil }
        return UInt64(target.dropFirst(8).dropLast())
    }

    private mutating func facts(of pid: Int32) -> ProcessFacts? {
        let folder = "\(root)/\(pid)"
        guard let status = ProcFile.text(folder + "/status") else { return nil }
        var facts = ProcessReader.status(status)
        facts.pid = pid
        let command = (ProcFile.bytes(folder + "/cmdline") ?? []).prefix(4096)
        facts.commandLine = command.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            .joined(separator: " ")
        facts.user = user(facts.uid)
        return facts
    }

    /// Lines of /proc/PID/status.
    static func status(_ text: String) -> ProcessFacts {
        var facts = ProcessFacts()
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let words = String(parts[1]).words
            guard let first = words.first else { continue }
            switch parts[0] {
            case "Name": facts.name = words.joined(separator: " ")
            case "PPid": facts.parent = Int32(first) ?? 0
            case "Uid": facts.uid = UInt32(first) ?? 0
            case "Threads": facts.threads = Int(first) ?? 0
            case "VmRSS": facts.memory = (UInt64(first) ?? 0) &* 1024
            default: break
            }
        }
        return facts
    }

    private mutating func user(_ uid: UInt32) -> String {
        if let known = users[uid] { return known }
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 4096)
        var name = "\(uid)"
        if getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, found != nil, let text = entry.pw_name {
            name = String(cString: text)
        }
        users[uid] = name
        return name
    }
}
