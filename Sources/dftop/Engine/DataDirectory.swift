import Model

#if canImport(Glibc)
    import Glibc
#endif

/// Where the embedded store lives. Source: design.md 2.1.
struct DataDirectory {
    let path: String
    /// Removed with all its files by `dispose`.
    let isTemporary: Bool

    /// `--data-dir`, else `/var/lib/dftop` for root and `$XDG_STATE_HOME/dftop` for others. Created when missing.
    static func persistent(_ given: String?) throws(Failure) -> DataDirectory {
        let path = given ?? standardPath
        try create(path)
        return DataDirectory(path: path, isTemporary: false)
    }

    /// A folder of its own for a replay, whose rows are of another time than those of the live store.
    static func temporary() throws(Failure) -> DataDirectory {
        let base = environment("TMPDIR") ?? "/tmp"
        var template = Array((base + "/dftop-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw Failure(
                .failed, what: "cannot make a folder in \(base)", why: String(cString: strerror(errno)),
                mend: "set TMPDIR, or give --data-dir")
        }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return DataDirectory(path: path, isTemporary: true)
    }

    var storePath: String { path + "/dftop.db" }

    func dispose() {
        guard isTemporary, let folder = opendir(path) else { return }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        closedir(folder)
        for name in names { unlink(path + "/" + name) }
        rmdir(path)
    }

    private static var standardPath: String {
        if geteuid() == 0 { return "/var/lib/dftop" }
        if let state = environment("XDG_STATE_HOME") { return state + "/dftop" }
        return (environment("HOME") ?? "/tmp") + "/.local/state/dftop"
    }

    private static func create(_ path: String) throws(Failure) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/" + part
            if mkdir(made, 0o750) != 0, errno != EEXIST {
                let code = errno
                throw Failure(
                    code == EACCES || code == EPERM || code == EROFS ? .notPermitted : .failed,
                    what: "cannot create \(path)", why: String(cString: strerror(code)),
                    mend: "give another folder with --data-dir")
            }
        }
        guard access(path, W_OK) == 0 else {
            throw Failure(
                .notPermitted, what: "cannot write to \(path)", why: String(cString: strerror(errno)),
                mend: "give another folder with --data-dir")
        }
    }
}

/// An environment variable that is set and not empty.
func environment(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
}
