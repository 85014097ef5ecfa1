import Model

/// What a live engine captures: interfaces, the user's filter, and what is left out.
package struct CaptureRule: Sendable {
    package var interfaces: [NetworkInterface]
    /// Indexes of those whose packets are captured whole, whatever the snap length.
    package var whole: Set<Int32>
    /// nil = everything.
    package var filter: CaptureFilter?
    /// What is never captured; nil = everything is.
    package var own: OwnTraffic?
    package var snapLength: UInt32
    /// Interfaces receive what is for others, too.
    package var isPromiscuous: Bool
    /// What this host sends is left out.
    package var isIncomingOnly: Bool

    package init(
        interfaces: [NetworkInterface], whole: Set<Int32> = [], filter: CaptureFilter? = nil, own: OwnTraffic? = nil,
        snapLength: UInt32 = 65535, isPromiscuous: Bool = false, isIncomingOnly: Bool = false
    ) {
        self.interfaces = interfaces
        self.whole = whole
        self.filter = filter
        self.own = own
        self.snapLength = snapLength
        self.isPromiscuous = isPromiscuous
        self.isIncomingOnly = isIncomingOnly
    }

    var indexes: [Int32] { interfaces.map(\.index) }

    /// For a packet socket.
    package var socketFilter: SocketFilter {
        SocketFilter(
            filter: filter, own: own, interfaces: indexes, whole: whole, snapLength: snapLength,
            isIncomingOnly: isIncomingOnly)
    }

    /// In pcap-filter syntax; empty = everything. Source: agent-flow.md 4.3.
    package var expression: String {
        [filter?.expression, own?.expression, isIncomingOnly ? "inbound" : nil].compactMap(\.self).map { "(\($0))" }
            .joined(separator: " and ")
    }
}

extension OwnTraffic {
    /// All but own traffic. Source: agent-flow.md 4.3, string form for libpcap.
    var expression: String {
        let ip = isIPv6 ? "ip6" : "ip"
        var rules: [String] = []
        let ports = controllerPorts.map { "\($0)" }.joined(separator: " or ")
        for proto in controllerPorts.isEmpty ? [] : ["tcp", "udp"] {
            for end in ["src", "dst"] { rules.append("not (\(ip) and \(proto) and (\(end) port (\(ports))))") }
        }
        if let localIP {
            let host = localIP.text(v6: isIPv6)
            rules.append("not (\(ip) and src host \(host) and dst port \(ingesterPort))")
            rules.append("not (\(ip) and dst host \(host) and src port \(ingesterPort))")
        }
        if let copies {
            if !isIPv6 { rules.append("not (udp and dst port \(copies.port) and udp[8:1]=\(copies.flags))") }
            rules.append("not (tcp and port \(copies.port))")
            rules.append("not (ip[9:1]=0x2f and ip[22:2]=0x22eb)")
            rules.append("not (ip6[6:1]=0x2f and ip6[42:2]=0x22eb)")
        }
        return rules.isEmpty ? "len >= 0" : rules.joined(separator: " and ")
    }
}
