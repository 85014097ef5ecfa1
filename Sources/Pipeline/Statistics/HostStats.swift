import Glibc
package import Model

/// The agent's process and its host as statistics: `monitor`, `system`, `net`, `disk_io`, `free_disk`.
/// Source: integration.md 3.4.
///
/// The parsers are pure; `records` feeds them from /proc.
package struct HostStats: Sendable {
    private typealias Metric = StatsRecord.Metric

    /// Counters of one network interface since its start.
    struct Traffic: Equatable, Sendable {
        var rxBytes: UInt64 = 0
        var rx: UInt64 = 0
        var dropIn: UInt64 = 0
        var txBytes: UInt64 = 0
        var tx: UInt64 = 0
        var dropOut: UInt64 = 0
    }

    /// Counters of one block device since its start.
    struct Disk: Equatable, Sendable {
        var major = 0
        var reads: UInt64 = 0
        var sectorsRead: UInt64 = 0
        var readMs: UInt64 = 0
        var writes: UInt64 = 0
        var sectorsWritten: UInt64 = 0
        var writeMs: UInt64 = 0
    }

    let settings: Settings
    let root: String
    let groupRoot: String
    private var lastCPU: (usedNs: UInt64, nowNs: UInt64)?
    private var lastTraffic: [String: Traffic] = [:]
    private var lastDisks: [String: Disk]?

    /// - Parameters:
    ///   - root: `/proc` of the host.
    ///   - groupRoot: where control groups are mounted.
    package init(settings: Settings = Settings(), root: String = "/proc", groupRoot: String = "/sys/fs/cgroup") {
        self.settings = settings
        self.root = root
        self.groupRoot = groupRoot
    }

    /// - Parameter nowNs: monotonic clock.
    package mutating func records(nowNs: UInt64) -> [StatsRecord] {
        var records = [StatsRecord(module: "monitor", monitor(nowNs: nowNs))]
        let loads = ProcFile.line(root + "/loadavg").words.prefix(3).compactMap { Double($0) }
        if loads.count == 3 {
            records.append(
                StatsRecord(
                    module: "system",
                    [Metric("load1", loads[0]), Metric("load5", loads[1]), Metric("load15", loads[2])]))
        }
        // Of the first process: the interfaces of the host's own name space.
        records += net(HostStats.traffic(ProcFile.text(root + "/1/net/dev") ?? ""))
        records += disks(HostStats.disks(ProcFile.text(root + "/diskstats") ?? ""))
        return records + freeDisk()
    }

    private mutating func monitor(nowNs: UInt64) -> [Metric] {
        var metrics =
            HostStats.memory(ProcFile.text(root + "/meminfo") ?? "").map { memory in
                [
                    Metric("sys_free_memory", counted: memory.free),
                    Metric("sys_available_memory", counted: memory.available),
                    Metric(
                        "sys_free_memory_limit_ratio",
                        HostStats.ratio(Double(memory.free), of: settings.memoryPercent)),
                    Metric(
                        "sys_available_memory_limit_ratio",
                        HostStats.ratio(Double(memory.available), of: settings.memoryPercent)),
                ]
            } ?? []
        let logs = settings.logFolder.map { HostStats.files(in: $0) } ?? (bytes: 0, count: 0)
        metrics.append(Metric("log_file_size_sum", counted: logs.bytes))
        metrics.append(Metric("log_file_amount", counted: logs.count))
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        let usedNs = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        var cpuPercent = 0.0
        if let last = lastCPU, nowNs > last.nowNs, usedNs >= last.usedNs {
            cpuPercent = Double(usedNs - last.usedNs) / Double(nowNs - last.nowNs) * 100
        }
        lastCPU = (usedNs, nowNs)
        metrics.append(Metric("cpu_percent", cpuPercent))
        metrics.append(Metric("max_millicpus_ratio", HostStats.ratio(cpuPercent * 10, of: settings.maxMilliCPUs)))
        let pages = ProcFile.line(root + "/self/statm").words.dropFirst().first.flatMap { UInt64($0) } ?? 0
        let bytes = pages * UInt64(max(sysconf(Int32(_SC_PAGESIZE)), 0))
        metrics.append(Metric("memory", counted: bytes))
        metrics.append(Metric("max_memory_ratio", HostStats.ratio(Double(bytes), of: settings.maxMemoryBytes)))
        let ticks = UInt64(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        if let bootMs = HostStats.bootMs(ProcFile.text(root + "/stat") ?? ""),
            let started = HostStats.startTicks(ProcFile.line(root + "/self/stat"))
        {
            metrics.append(Metric("create_time", counted: bootMs + started * 1000 / ticks))
        }
        metrics.append(Metric("open_sockets", counted: openSockets()))
        metrics.append(Metric("page_cache", counted: pageCache()))
        return metrics
    }

    /// TCP and UDP sockets of this process.
    private func openSockets() -> UInt64 {
        let inodes = Set(SocketReader.read(folder: root + "/self/net").map(\.inode))
        let folder = root + "/self/fd/"
        return ProcFile.names(in: folder).reduce(0) { count, name in
            guard let target = ProcFile.link(folder + name), target.hasPrefix("socket:["),
                let inode = UInt64(target.dropFirst(8).dropLast()), inodes.contains(inode)
            else { return count }
            return count + 1
        }
    }

    /// Whole percent of all memory; nil when the text does not tell.
    static func memory(_ text: String) -> (free: UInt64, available: UInt64)? {
        var kib: [Substring: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            kib[parts[0]] = String(parts[1]).words.first.flatMap { UInt64($0) }
        }
        guard let total = kib["MemTotal"], total > 0, let free = kib["MemFree"], let available = kib["MemAvailable"]
        else { return nil }
        return (free * 100 / total, available * 100 / total)
    }

    /// Start of the system, milliseconds since 1970: `btime` of `/proc/stat`.
    static func bootMs(_ text: String) -> UInt64? {
        text.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { UInt64($0.dropFirst(6)) }.map {
            $0 * 1000
        }
    }

    /// Start of a process, ticks after the start of the system: the 22nd value of `/proc/PID/stat`, whose second one is a
    /// name that may hold anything.
    static func startTicks(_ line: String) -> UInt64? {
        guard let end = line.lastIndex(of: ")") else { return nil }
        return String(line[line.index(after: end)...]).words.dropFirst(19).first.flatMap { UInt64($0) }
    }

    /// Differences to the sample before; trap: those of the first sample are what the kernel has counted so far.
    mutating func net(_ now: [String: Traffic]) -> [StatsRecord] {
        defer { lastTraffic = now }
        return now.sorted { $0.key < $1.key }.map { name, traffic in
            let last = lastTraffic[name] ?? Traffic()
            let mac = ProcFile.line("/sys/class/net/\(name)/address")
            return StatsRecord(
                module: "net", tags: [.init("name", name), .init("mac", mac)],
                [
                    Metric("rx", counted: traffic.rx &- last.rx), Metric("tx", counted: traffic.tx &- last.tx),
                    Metric("rx_bytes", counted: traffic.rxBytes &- last.rxBytes),
                    Metric("tx_bytes", counted: traffic.txBytes &- last.txBytes),
                    Metric("drop_in", counted: traffic.dropIn &- last.dropIn),
                    Metric("drop_out", counted: traffic.dropOut &- last.dropOut),
                ])
        }
    }

    /// Kibibytes and mean times an operation since the sample before; the first sample tells nothing.
    mutating func disks(_ now: [String: Disk]) -> [StatsRecord] {
        defer { lastDisks = now }
        guard let before = lastDisks else { return [] }
        return now.sorted { $0.key < $1.key }.compactMap { name, disk in
            guard let last = before[name], last.sectorsRead > 0, ![1, 2, 7, 11].contains(disk.major) else { return nil }
            let kib = { (now: UInt64, then: UInt64) in now > then ? Double((now - then) * 512 / 1024) : 0 }
            // Nanoseconds of one operation.
            let latency = { (ms: UInt64, thenMs: UInt64, count: UInt64, then: UInt64) in
                count > then && ms > thenMs ? Double(ms - thenMs) * 1e6 / Double(count - then) : 0
            }
            return StatsRecord(
                module: "disk_io", tags: [.init("name", name)],
                [
                    Metric("read", kib(disk.sectorsRead, last.sectorsRead)),
                    Metric("write", kib(disk.sectorsWritten, last.sectorsWritten)),
                    Metric("read_latency", latency(disk.readMs, last.readMs, disk.reads, last.reads)),
                    Metric("write_latency", latency(disk.writeMs, last.writeMs, disk.writes, last.writes)),
                ])
        }
    }

    /// `/proc/net/dev`: after the name eight counters of what came in, eight of what went out.
    static func traffic(_ text: String) -> [String: Traffic] {
        var found: [String: Traffic] = [:]
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].drop { $0 == " " }
            let numbers = line[line.index(after: colon)...].split(separator: " ").compactMap { UInt64($0) }
            guard numbers.count >= 16 else { continue }
            found[String(name)] = Traffic(
                rxBytes: numbers[0], rx: numbers[1], dropIn: numbers[3], txBytes: numbers[8], tx: numbers[9],
                dropOut: numbers[11])
        }
        return found
    }

    /// `/proc/diskstats`: major, minor, name, then counters.
    static func disks(_ text: String) -> [String: Disk] {
        var found: [String: Disk] = [:]
        for line in text.split(separator: "\n") {
            let cells = line.split(separator: " ")
            guard cells.count >= 11, let major = Int(cells[0]) else { continue }
            let numbers = cells[3...].prefix(8).map { UInt64($0) ?? 0 }
            found[String(cells[2])] = Disk(
                major: major, reads: numbers[0], sectorsRead: numbers[2], readMs: numbers[3], writes: numbers[4],
                sectorsWritten: numbers[6], writeMs: numbers[7])
        }
        return found
    }
}
