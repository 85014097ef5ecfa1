import Model

/// Which process of this host owns an end of a flow, from the kernel's socket tables.
struct SocketIndex {
    private struct Connection: Hashable {
        var local: IPAddress
        var remote: IPAddress
        var localPort: UInt16
        var remotePort: UInt16
        var proto: UInt8
    }

    private struct Service: Hashable {
        var port: UInt16
        var proto: UInt8
    }

    private var connections: [Connection: Int32] = [:]
    private var services: [Service: [(address: IPAddress, pid: Int32)]] = [:]
    private var own: Set<IPAddress> = []
    private var names: [Int32: String] = [:]

    init() {}

    init(_ snapshot: PlatformSnapshot) {
        for process in snapshot.processes { names[process.pid] = process.name }
        for interface in snapshot.interfaces {
            for text in interface.addresses {
                let address = text.prefix { $0 != "/" }
                if let parsed = IPAddress.parse(address) { own.insert(parsed.address) }
            }
        }
        for socket in snapshot.sockets where socket.pid != 0 {
            let local = SocketIndex.plain(socket.local)
            if socket.remotePort != 0 {
                let key = Connection(
                    local: local, remote: SocketIndex.plain(socket.remote), localPort: socket.localPort,
                    remotePort: socket.remotePort, proto: socket.proto)
                connections[key] = socket.pid
            } else {
                services[Service(port: socket.localPort, proto: socket.proto), default: []].append((local, socket.pid))
            }
        }
    }

    /// IPv4 seen through an IPv6 socket.
    private static func plain(_ address: IPAddress) -> IPAddress {
        address.isMapped ? IPAddress(v4: address.v4) : address
    }

    var isEmpty: Bool { connections.isEmpty && services.isEmpty }

    func owner(
        proto: UInt8, local: IPAddress, localPort: UInt16, remote: IPAddress, remotePort: UInt16
    ) -> (pid: Int32, name: String)? {
        let key = Connection(
            local: local, remote: remote, localPort: localPort, remotePort: remotePort, proto: proto)
        if let pid = connections[key] { return (pid, names[pid] ?? "") }
        guard let listeners = services[Service(port: localPort, proto: proto)] else { return nil }
        for (address, pid) in listeners where address == local { return (pid, names[pid] ?? "") }
        guard own.contains(local) else { return nil }
        for (address, pid) in listeners where address.isZero { return (pid, names[pid] ?? "") }
        return nil
    }
}
