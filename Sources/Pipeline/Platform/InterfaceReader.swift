import Glibc
package import Model

/// Interfaces of the network namespace we run in.
package enum InterfaceReader {
    package static func read(proc: String = "/proc", sys: String = "/sys/class/net") -> [InterfaceFacts] {
        let counters = counters(ProcFile.text(proc + "/net/dev") ?? "")
        let addresses = addresses()
        var interfaces: [InterfaceFacts] = []
        for (name, counts) in counters {
            var facts = InterfaceFacts()
            let folder = sys + "/" + name
            facts.name = name
            facts.counters = counts
            facts.index = Int(if_nametoindex(name))
            facts.mac = ProcFile.line(folder + "/address")
            facts.mtu = Int(ProcFile.line(folder + "/mtu")) ?? 0
            facts.state = ProcFile.line(folder + "/operstate")
            if let speed = Int(ProcFile.line(folder + "/speed")), speed > 0 { facts.speed = speed }
            facts.addresses = addresses[name] ?? []
            interfaces.append(facts)
        }
        return interfaces.sorted { $0.index == $1.index ? $0.name < $1.name : $0.index < $1.index }
    }

    /// Lines of /proc/net/dev: `eth0: bytes packets errs drop fifo frame compressed multicast bytes ...`.
    static func counters(_ text: String) -> [(name: String, counters: InterfaceCounters)] {
        text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count >= 2, let last = parts.last else { return nil }
            let name = String(parts.dropLast().joined(separator: ":")).words.joined()
            let numbers = String(last).words.compactMap { UInt64($0) }
            guard !name.isEmpty, numbers.count >= 12 else { return nil }
            var counters = InterfaceCounters()
            counters.rxBytes = numbers[0]
            counters.rxPackets = numbers[1]
            counters.rxErrors = numbers[2]
            counters.rxDropped = numbers[3]
            counters.txBytes = numbers[8]
            counters.txPackets = numbers[9]
            counters.txErrors = numbers[10]
            counters.txDropped = numbers[11]
            return (name, counters)
        }
    }

    /// `10.0.0.1/24` by interface, IPv4 first.
    private static func addresses() -> [String: [String]] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [:] }
        defer { freeifaddrs(list) }
        var found: [String: (v4: [String], v6: [String])] = [:]
        var next = list
        while let item = next?.pointee {
            next = item.ifa_next
            guard let rawName = item.ifa_name, let address = item.ifa_addr else { continue }
            let name = String(cString: rawName)
            switch Int32(address.pointee.sa_family) {
            case AF_INET:
                let value = ipv4(address)
                let length = item.ifa_netmask.map { ipv4($0).nonzeroBitCount } ?? 32
                found[name, default: ([], [])].v4.append("\(IPAddress.text4(value))/\(length)")
            case AF_INET6:
                let value = ipv6(address)
                let length = item.ifa_netmask.map { mask in
                    let bits = ipv6(mask)
                    return bits.high.nonzeroBitCount + bits.low.nonzeroBitCount
                }
                found[name, default: ([], [])].v6.append("\(value.text(v6: true))/\(length ?? 128)")
            default: break
            }
        }
        return found.mapValues { $0.v4 + $0.v6 }
    }

    private static func ipv4(_ address: UnsafeMutablePointer<sockaddr>) -> UInt32 {
        address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { UInt32(bigEndian: $0.pointee.sin_addr.s_addr) }
    }

    private static func ipv6(_ address: UnsafeMutablePointer<sockaddr>) -> IPAddress {
        address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
            withUnsafeBytes(of: &pointer.pointee.sin6_addr) { IPAddress(octets: $0) ?? IPAddress() }
        }
    }
}
