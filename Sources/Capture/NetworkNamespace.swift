import CLinux
package import Model

#if canImport(Glibc)
    import Glibc
#endif

/// A network namespace other than that of the process.
package struct NetworkNamespace: Sendable, Hashable {
    /// What is opened to enter it.
    let path: String
    /// Its name below `/run/netns`, or the process that was found in it.
    package let name: String
    package let inode: UInt64

    package static func == (left: NetworkNamespace, right: NetworkNamespace) -> Bool { left.inode == right.inode }
    package func hash(into hasher: inout Hasher) { hasher.combine(inode) }

    /// Those with a name, in its order.
    package static func named() -> [NetworkNamespace] {
        entries("/run/netns").sorted().compactMap { name in at("/run/netns/" + name, name: name) }
    }

    /// Those with a name, and those of running processes, each once.
    package static func all() -> [NetworkNamespace] {
        var found = named()
        var seen = Set(found.map(\.inode))
        for process in entries("/proc").compactMap({ Int32($0) }).sorted() {
            guard let space = at("/proc/\(process)/ns/net", name: "process \(process)") else { continue }
            if seen.insert(space.inode).inserted { found.append(space) }
        }
        return found
    }

    /// nil for our own, and for what cannot be looked at.
    private static func at(_ path: String, name: String) -> NetworkNamespace? {
        guard let found = inode(of: path), found != own else { return nil }
        return NetworkNamespace(path: path, name: name, inode: found)
    }

    /// Inode of the process's own namespace.
    package static var own: UInt64 { inode(of: "/proc/self/ns/net") ?? 0 }

    private static func inode(of path: String) -> UInt64? {
        var facts = stat()
        return stat(path, &facts) == 0 ? UInt64(facts.st_ino) : nil
    }

    private static func entries(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    // MARK: - Inside

    /// Runs something inside, in a thread of its own that ends with it; sockets opened there stay there.
    package func run<Value>(_ body: @escaping @Sendable () throws(Failure) -> Value) throws(Failure) -> Value {
        let answer = Answer<Value>()
        let thread = StageThread(name: "netns") { [path, name] in
            do throws(Failure) {
                try NetworkNamespace.enter(path, name: name)
                answer.result = .success(try body())
            } catch {
                answer.result = .failure(error)
            }
        }
        thread.join()
        guard let result = answer.result else {
            throw Failure(.failed, what: "cannot enter the network namespace \(name)", why: "no answer")
        }
        return try result.get()
    }

    /// The interfaces inside; none when it is gone.
    package func interfaces() -> [NetworkInterface] {
        (try? run { () throws(Failure) in NetworkInterface.all() }) ?? []
    }

    private static func enter(_ path: String, name: String) throws(Failure) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
        let code = descriptor < 0 ? errno : dft_enter_netns(descriptor)
        if descriptor >= 0 { Glibc.close(descriptor) }
        guard code != 0 else { return }
        throw Failure(
            code == EPERM || code == EACCES ? .notPermitted : .failed,
            what: "cannot enter the network namespace \(name)", why: String(cString: strerror(code)),
            mend: code == EPERM || code == EACCES ? "start as root" : "")
    }
}

/// `@unchecked Sendable`: written by the thread, read after it has ended.
private final class Answer<Value>: @unchecked Sendable {
    var result: Result<Value, Failure>?
}
