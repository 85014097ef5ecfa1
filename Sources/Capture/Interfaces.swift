import CLinux
package import Model

#if canImport(Glibc)
    import Glibc
#endif

/// A network interface of the namespace that the calling thread is in.
package struct NetworkInterface: Sendable, Equatable {
    package var name: String
    package var index: Int32
    package var mac: UInt64
    package var isUp: Bool
    package var addresses: [IPAddress]
    package var v6Addresses: [IPAddress]
    /// What the interface is known by in records where that is not its own MAC: that of its bond's first member.
    package var bondMAC: UInt64?
    /// Of the machine behind the interface, where that is not its own. Source: agent-flow.md 5.2.
    package var machineMAC: UInt64?

    package init(
        name: String, index: Int32, mac: UInt64, isUp: Bool, addresses: [IPAddress] = [], v6Addresses: [IPAddress] = []
    ) {
        self.name = name
        self.index = index
        self.mac = mac
        self.isUp = isUp
        self.addresses = addresses
        self.v6Addresses = v6Addresses
    }

    /// Everything that `getifaddrs` knows, by index.
    package static func all() -> [NetworkInterface] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [String: NetworkInterface] = [:]
        var entry = list
        while let item = entry {
            defer { entry = item.pointee.ifa_next }
            let name = String(cString: item.pointee.ifa_name)
            var interface =
                found[name]
                ?? NetworkInterface(
                    name: name, index: Int32(bitPattern: if_nametoindex(name)), mac: 0,
                    isUp: item.pointee.ifa_flags & UInt32(IFF_UP) != 0)
            if let address = item.pointee.ifa_addr {
                let raw = UnsafeRawPointer(address)
                switch Int32(address.pointee.sa_family) {
                case AF_INET:
                    interface.addresses.append(
                        IPAddress(v4: UInt32(bigEndian: raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self))))
                case AF_INET6:
                    let octets = (0..<16).map { raw.load(fromByteOffset: 8 + $0, as: UInt8.self) }
                    if let ip = IPAddress(octets: octets) { interface.v6Addresses.append(ip) }
                case AF_PACKET:
                    // sockaddr_ll: hardware address behind family, protocol, index, type, packet type and length.
                    if raw.load(fromByteOffset: 11, as: UInt8.self) == 6 {
                        interface.mac = (0..<6).reduce(0) {
                            $0 << 8 | UInt64(raw.load(fromByteOffset: 12 + $1, as: UInt8.self))
                        }
                    }
                default: break
                }
            }
            found[name] = interface
        }
        return found.values.sorted { $0.index < $1.index }
    }
}

extension NetworkInterface {
    /// Index of the other end of a virtual cable, in the namespace of that end; nil for other interfaces.
    package var peer: Int32? {
        var peer: Int32 = 0
        return dft_link_peer(index, &peer) == 0 && peer > 0 ? peer : nil
    }
}

extension [NetworkInterface] {
    /// Members of a bond bear the MAC of the first of them that is here. Source: agent-flow.md 3 (`bond_interfaces`), 5.2.
    package func bonded(_ members: [String]) -> [NetworkInterface] {
        guard let first = members.lazy.compactMap({ name in self.first { $0.name == name } }).first else { return self }
        return map { interface in
            guard members.contains(interface.name) else { return interface }
            var member = interface
            member.bondMAC = first.machineMAC ?? first.mac
            return member
        }
    }
}

/// Which interfaces to capture on: names given by the user, or a pattern. Source: agent-flow.md 3.
package struct InterfaceSelection: Sendable {
    /// Default of `inputs.cbpf.af_packet.interface_regex`.
    package static let defaultPattern = "^(tap.*|cali.*|veth.*|eth.*|en[osipx].*|lxc.*|lo|[0-9a-f]+_h)$"

    package var names: [String]
    package var pattern: String

    /// - Parameter names: when not empty they are taken as they are and the pattern is not used.
    package init(names: [String] = [], pattern: String = InterfaceSelection.defaultPattern) {
        self.names = names
        self.pattern = pattern
    }

    /// The interfaces that exist now. A named one that does not exist is an error with the candidates.
    package func resolve(_ all: [NetworkInterface]) throws(Failure) -> [NetworkInterface] {
        guard names.isEmpty else {
            for name in names where name != "any" && !all.contains(where: { $0.name == name }) {
                throw Failure(
                    .notFound, what: "cannot capture on \(name)", why: "no such interface",
                    mend: "choose from: " + all.map(\.name).joined(separator: ", "))
            }
            return names.contains("any") ? all : all.filter { names.contains($0.name) }
        }
        let chosen = try NamePattern(pattern).matching(all.map(\.name))
        return all.filter { chosen.contains($0.name) }
    }
}
