import Foundation
import Model
import Testing

@testable import Pipeline

/// Source: integration.md 3.4.
struct HostStatsTests {
    @Test func memoryInWholePercent() {
        let text = "MemTotal:       1000 kB\nMemFree:         129 kB\nMemAvailable:    999 kB\nBuffers: 1 kB\n"
        let memory = HostStats.memory(text)
        #expect(memory?.free == 12 && memory?.available == 99)
        #expect(HostStats.memory("MemTotal: 0 kB") == nil)
    }

    @Test func startOfAProcess() {
        let rest = (3...52).map(String.init).joined(separator: " ")
        #expect(HostStats.startTicks("77 (a b) c) \(rest)") == 22)
        #expect(HostStats.startTicks("77") == nil)
        #expect(HostStats.bootMs("cpu 1 2\nbtime 1700000000\nprocesses 5") == 1_700_000_000_000)
    }

    /// Differences; those of the first sample are the kernel's own counters.
    @Test func interfaces() {
        let text = """
            Inter-|   Receive                                                |  Transmit
             face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier
                lo:  1000      10    0    1    0     0          0         0     2000      20    0    2    0     0       0          0
              eth0:5000 50 0 0 0 0 0 0 6000 60 0 0 0 0 0 0
            """
        let first = HostStats.traffic(text)
        #expect(first["lo"] == .init(rxBytes: 1000, rx: 10, dropIn: 1, txBytes: 2000, tx: 20, dropOut: 2))
        #expect(first.count == 2)
        var stats = HostStats()
        let whole = stats.net(first)
        #expect(whole.map { $0.tags[0].value } == ["eth0", "lo"])
        #expect(whole[1].metrics.first == .init("rx", 10))
        var second = first
        second["lo"]?.rx = 13
        second["lo"]?.dropOut = 5
        let step = stats.net(second)
        #expect(step[1].metrics.map(\.value) == [3, 0, 0, 0, 0, 3])
        #expect(step[0].metrics.allSatisfy { $0.value == 0 })
    }

    /// KiB and ns an operation; no first sample, no RAM and loop devices, no division by zero.
    @Test func blockDevices() {
        let first = """
               7       0 loop0 10 0 10 10 0 0 0 0 0 0 0
             259       0 nvme0n1 100 0 2000 50 200 0 4000 80 0 0 0
             259       1 idle 0 0 0 0 5 0 8 1 0 0 0
            """
        let second = """
               7       0 loop0 20 0 20 20 0 0 0 0 0 0 0
             259       0 nvme0n1 110 0 2004 70 200 0 4000 80 0 0 0
             259       1 idle 1 0 8 1 5 0 8 1 0 0 0
            """
        var stats = HostStats()
        #expect(stats.disks(HostStats.disks(first)).isEmpty)
        let records = stats.disks(HostStats.disks(second))
        #expect(records.map { $0.tags[0].value } == ["nvme0n1"])
        #expect(
            records[0].metrics == [
                .init("read", 2), .init("write", 0), .init("read_latency", 2_000_000), .init("write_latency", 0),
            ])
    }

    /// Source: integration.md 3.4, `_ratio`.
    @Test func partsOfLimits() {
        #expect(HostStats.ratio(25, of: 50) == 0.5)
        #expect(HostStats.ratio(25, of: 0) == 0)
        var settings = HostStats.Settings()
        settings.memoryPercent = 0
        settings.maxMemoryBytes = 1 << 20
        settings.directories = ["/", "/no/such/folder"]
        var stats = HostStats(settings: settings)
        let records = stats.records(nowNs: 1)
        let monitor = Dictionary(uniqueKeysWithValues: (records.first?.metrics ?? []).map { ($0.name, $0.value) })
        #expect(monitor["max_memory_ratio"] == (monitor["memory"] ?? 0) / 1_048_576)
        #expect(monitor["sys_free_memory_limit_ratio"] == 0 && monitor["sys_available_memory_limit_ratio"] == 0)
        let disks = records.filter { $0.module == "free_disk" }
        #expect(disks.map(\.tags) == [[.init("directory", "/")]])
        let share = disks.first?.metrics.first { $0.name == "free_disk_percentage" }?.value ?? -1
        #expect(share > 0 && share <= 100)
    }

    /// Regular files directly in the folder of the log file.
    @Test func logFiles() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/dftop-logs-\(getpid())/"
        try FileManager.default.createDirectory(atPath: folder + "inner", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for (name, size) in [("agent.log", 100), ("agent.log.1", 23), ("inner/other.log", 1000)] {
            #expect(FileManager.default.createFile(atPath: folder + name, contents: Data(count: size)))
        }
        try FileManager.default.createSymbolicLink(atPath: folder + "link", withDestinationPath: folder + "agent.log")
        var settings = HostStats.Settings()
        settings.logFile = folder + "agent.log"
        var stats = HostStats(settings: settings)
        let monitor = stats.records(nowNs: 1).first?.metrics ?? []
        #expect(monitor.contains(.init("log_file_size_sum", 123)))
        #expect(monitor.contains(.init("log_file_amount", 2)))
        #expect(HostStats.files(in: folder + "nothing/") == (0, 0))
    }

    /// Bytes of the control group's own line, in either version.
    @Test func pageCache() throws {
        let first = HostStats.groups("12:cpu,cpuacct:/a\n5:memory:/system.slice/dftop.service\n0::/b\n")
        #expect(first.memory == "/system.slice/dftop.service" && first.unified == "/b")
        #expect(HostStats.groups("0::/").unified == "" && HostStats.groups("0::/").memory == nil)
        #expect(HostStats.value(of: "cache", in: "rss 5\ncache 4096\ntotal_cache 7\n") == 4096)
        #expect(HostStats.value(of: "file", in: "anon 5\nfile_mapped 7\n") == nil)
        let folder = FileManager.default.temporaryDirectory.path + "/dftop-groups-\(getpid())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for path in ["/proc/self", "/groups/memory/m", "/groups/u"] {
            try FileManager.default.createDirectory(atPath: folder + path, withIntermediateDirectories: true)
        }
        let stats = HostStats(root: folder + "/proc", groupRoot: folder + "/groups")
        #expect(stats.pageCache() == 0)
        try Data("0::/u\n".utf8).write(to: URL(fileURLWithPath: folder + "/proc/self/cgroup"))
        try Data("anon 1\nfile 8192\n".utf8).write(to: URL(fileURLWithPath: folder + "/groups/u/memory.stat"))
        #expect(stats.pageCache() == 8192)
        try Data("3:memory:/m\n0::/u\n".utf8).write(to: URL(fileURLWithPath: folder + "/proc/self/cgroup"))
        try Data("cache 4096\nrss 1\n".utf8).write(to: URL(fileURLWithPath: folder + "/groups/memory/m/memory.stat"))
        #expect(stats.pageCache() == 4096)
    }

    @Test func thisHost() {
        var stats = HostStats()
        let records = stats.records(nowNs: 1)
        #expect(records.first?.module == "monitor")
        let monitor = Dictionary(
            uniqueKeysWithValues: (records.first?.metrics ?? []).map { ($0.name, $0.value) })
        #expect((monitor["memory"] ?? 0) > 1_000_000)
        #expect((monitor["create_time"] ?? 0) > 1_600_000_000_000)
        #expect(monitor["open_sockets"] != nil)
        #expect(records.contains { $0.module == "system" && $0.metrics.count == 3 })
    }
}
