import Model

/// The platform snapshot as rows of the Meta lists, with rates between the last two snapshots.
struct PlatformRows {
    private(set) var snapshot = PlatformSnapshot()
    private var before = PlatformSnapshot()

    static let hostColumns = ["name", "value"]
    static let interfaceColumns = [
        "name", "state", "address", "mac", "mtu", "speed", "rx_byte_rate", "tx_byte_rate", "rx_packet_rate",
        "tx_packet_rate", "rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_dropped",
        "tx_dropped", "index",
    ]
    static let processColumns = [
        "pid", "name", "user", "listening", "connections", "memory", "threads", "command", "parent", "uid",
    ]
    private static let hostNames = NamedFields.Columns(hostColumns)
    private static let interfaceNames = NamedFields.Columns(interfaceColumns)
    private static let processNames = NamedFields.Columns(processColumns)

    mutating func take(_ next: PlatformSnapshot) {
        before = snapshot
        snapshot = next
    }

    var host: [NamedRecord] {
        let host = snapshot.host
        guard snapshot.timeNs != 0 else { return [] }
        var lines: [(String, FieldValue)] = [
            ("hostname", .text(host.hostname)), ("system", .text(host.system)), ("kernel", .text(host.kernel)),
            ("machine", .text(host.machine)), ("cpu", .text(host.cpuModel)), ("cpu_count", .int(Int64(host.cpuCount))),
            ("load_1m", .real(host.load1)), ("load_5m", .real(host.load5)), ("load_15m", .real(host.load15)),
            ("memory_total", .uint(host.memoryTotal)), ("memory_available", .uint(host.memoryAvailable)),
            ("swap_total", .uint(host.swapTotal)), ("swap_free", .uint(host.swapFree)),
            ("uptime_seconds", .uint(host.uptimeSeconds)), ("interfaces", .int(Int64(snapshot.interfaces.count))),
            ("processes_with_sockets", .int(Int64(snapshot.processes.count))),
            ("sockets", .int(Int64(snapshot.sockets.count))),
        ]
        for gap in snapshot.gaps { lines.append(("not_readable", .text(gap))) }
        return lines.enumerated().map { index, line in
            NamedRecord(
                id: UInt64(index + 1),
                fields: NamedFields(columns: PlatformRows.hostNames, values: [.text(line.0), line.1]))
        }
    }

    var interfaces: [NamedRecord] {
        let seconds = Double(snapshot.timeNs &- before.timeNs) / 1e9
        let then = Dictionary(
            before.interfaces.map { ($0.index, $0.counters) }, uniquingKeysWith: { first, _ in first })
        return snapshot.interfaces.map { interface in
            let now = interface.counters
            let rate = { (path: KeyPath<InterfaceCounters, UInt64>) -> FieldValue in
                guard before.timeNs != 0, seconds > 0, let old = then[interface.index],
                    now[keyPath: path] >= old[keyPath: path]
                else { return .real(0) }
                return .real(Double(now[keyPath: path] - old[keyPath: path]) / seconds)
            }
            return NamedRecord(
                id: UInt64(max(0, interface.index)),
                fields: NamedFields(
                    columns: PlatformRows.interfaceNames,
                    values: [
                        .text(interface.name), .text(interface.state),
                        .text(interface.addresses.joined(separator: " ")), .text(interface.mac),
                        .int(Int64(interface.mtu)), interface.speed.map { .int(Int64($0)) } ?? .null,
                        rate(\.rxBytes), rate(\.txBytes), rate(\.rxPackets), rate(\.txPackets), .uint(now.rxBytes),
                        .uint(now.txBytes), .uint(now.rxPackets), .uint(now.txPackets), .uint(now.rxErrors),
                        .uint(now.txErrors), .uint(now.rxDropped), .uint(now.txDropped), .int(Int64(interface.index)),
                    ]))
        }
    }

    var processes: [NamedRecord] {
        snapshot.processes.map { process in
            NamedRecord(
                id: UInt64(max(0, process.pid)),
                fields: NamedFields(
                    columns: PlatformRows.processNames,
                    values: [
                        .int(Int64(process.pid)), .text(process.name), .text(process.user),
                        .text(process.listening.joined(separator: " ")), .int(Int64(process.connections)),
                        .uint(process.memory), .int(Int64(process.threads)), .text(process.commandLine),
                        .int(Int64(process.parent)), .uint(UInt64(process.uid)),
                    ]))
        }
    }
}
