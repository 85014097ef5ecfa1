/// What the platform reader knows about this host at one moment. Source: design.md 2.3 (Meta view).
package struct PlatformSnapshot: Sendable, Equatable {
    /// Wall clock, nanoseconds since 1970.
    package var timeNs: UInt64 = 0
    package var host = HostFacts()
    package var interfaces: [InterfaceFacts] = []
    package var processes: [ProcessFacts] = []
    package var sockets: [SocketFacts] = []
    /// What could not be read and why, one sentence each.
    package var gaps: [String] = []

    package init() {}
}

package struct HostFacts: Sendable, Equatable {
    package var hostname = ""
    package var kernel = ""
    package var system = ""
    package var machine = ""
    package var cpuModel = ""
    package var cpuCount = 0
    /// Bytes.
    package var memoryTotal: UInt64 = 0
    package var memoryAvailable: UInt64 = 0
    package var swapTotal: UInt64 = 0
    package var swapFree: UInt64 = 0
    package var uptimeSeconds: UInt64 = 0
    package var load1 = 0.0
    package var load5 = 0.0
    package var load15 = 0.0

    package init() {}
}

package struct InterfaceFacts: Sendable, Equatable {
    package var index = 0
    package var name = ""
    package var mac = ""
    package var mtu = 0
    /// `up`, `down`, `unknown` and the like, as the kernel says.
    package var state = ""
    /// Mbit/s; nil when the device does not tell.
    package var speed: Int?
    /// `10.0.0.1/24`, `fe80::1/64`.
    package var addresses: [String] = []
    package var counters = InterfaceCounters()

    package init() {}
}

package struct InterfaceCounters: Sendable, Equatable {
    package var rxBytes: UInt64 = 0
    package var rxPackets: UInt64 = 0
    package var rxErrors: UInt64 = 0
    package var rxDropped: UInt64 = 0
    package var txBytes: UInt64 = 0
    package var txPackets: UInt64 = 0
    package var txErrors: UInt64 = 0
    package var txDropped: UInt64 = 0

    package init() {}
}

/// A process that owns at least one TCP or UDP socket.
package struct ProcessFacts: Sendable, Equatable {
    package var pid: Int32 = 0
    package var parent: Int32 = 0
    package var name = ""
    package var commandLine = ""
    package var uid: UInt32 = 0
    package var user = ""
    package var threads = 0
    /// Resident bytes.
    package var memory: UInt64 = 0
    /// `tcp/80`, sorted, without doubles.
    package var listening: [String] = []
    package var connections = 0

    package init() {}
}

/// One line of the kernel's socket tables, with its owner where known.
package struct SocketFacts: Sendable, Equatable {
    /// `IPProtocol` number.
    package var proto: UInt8 = 0
    package var isIPv6 = false
    package var local = IPAddress()
    package var localPort: UInt16 = 0
    package var remote = IPAddress()
    package var remotePort: UInt16 = 0
    /// Kernel TCP state: 1 established, 10 listen; UDP: 7 unconnected.
    package var state: UInt8 = 0
    package var uid: UInt32 = 0
    package var inode: UInt64 = 0
    /// 0 = owner unknown.
    package var pid: Int32 = 0

    package init() {}

    package var isListening: Bool { proto == IPProtocol.tcp ? state == 10 : remotePort == 0 }
}
