import Glibc
import Model

/// What the agent may take of its host, and what of it is taken. Source: integration.md 3.4.
extension HostStats {
    package struct Settings: Sendable, Equatable {
        /// `global.limits.max_millicpus` and `max_memory`; 0 = no limit.
        package var maxMilliCPUs: UInt64 = 1000
        package var maxMemoryBytes: UInt64 = 768 << 20
        /// `global.circuit_breakers.sys_memory_percentage.trigger_threshold`; 0 = no limit.
        package var memoryPercent: UInt64 = 0
        /// `global.self_monitoring.log.log_file`: logs lie in its folder; empty = there are none.
        package var logFile = ""
        /// `global.circuit_breakers.free_disk.directories`.
        package var directories = ["/"]

        package init() {}

        var logFolder: String? { logFile.lastIndex(of: "/").map { String(logFile[...$0]) } }
    }

    /// Part of a limit that is taken; 0 without a limit.
    static func ratio(_ value: Double, of limit: UInt64) -> Double { limit == 0 ? 0 : value / Double(limit) }

    /// Regular files directly in a folder.
    static func files(in folder: String) -> (bytes: UInt64, count: UInt64) {
        ProcFile.names(in: folder).reduce(into: (0, 0)) { sum, name in
            var facts = stat()
            guard lstat(folder + name, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else { return }
            sum.bytes += UInt64(max(facts.st_size, 0))
            sum.count += 1
        }
    }

    /// Bytes of files that the kernel keeps in memory for the control group of this process; 0 = unknown.
    func pageCache() -> UInt64 {
        let groups = HostStats.groups(ProcFile.text(root + "/self/cgroup") ?? "")
        for (folder, name) in [(groups.memory.map { "/memory" + $0 }, "cache"), (groups.unified, "file")] {
            guard let folder, let text = ProcFile.text(groupRoot + folder + "/memory.stat") else { continue }
            if let bytes = HostStats.value(of: name, in: text) { return bytes }
        }
        return 0
    }

    /// Paths of a process's control group, in the hierarchy of memory (version 1) and in the one of everything (version 2).
    static func groups(_ text: String) -> (memory: String?, unified: String?) {
        var found: (memory: String?, unified: String?)
        for line in text.split(separator: "\n") {
            let cells = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard cells.count == 3 else { continue }
            let path = cells[2] == "/" ? "" : String(cells[2])
            if cells[1].split(separator: ",").contains("memory") { found.memory = path }
            if cells[0] == "0", cells[1].isEmpty { found.unified = path }
        }
        return found
    }

    /// Of a text with a name and a number a line.
    static func value(of name: String, in text: String) -> UInt64? {
        for line in text.split(separator: "\n") {
            let words = String(line).words
            if words.count == 2, words[0] == name { return UInt64(words[1]) }
        }
        return nil
    }

    /// Room left for those who are not root; none of a folder that cannot be asked.
    func freeDisk() -> [StatsRecord] {
        settings.directories.compactMap { folder in
            var facts = statvfs()
            guard statvfs(folder, &facts) == 0, facts.f_blocks > 0 else { return nil }
            return StatsRecord(
                module: "free_disk", tags: [.init("directory", folder)],
                [
                    .init("free_disk_percentage", Double(facts.f_bavail) * 100 / Double(facts.f_blocks)),
                    .init("free_disk_absolute", counted: UInt64(facts.f_bavail) * UInt64(facts.f_frsize)),
                ])
        }
    }
}
