extension Catalogue {
    /// What `dftop print packets` prints; not stored.
    package static let packets = TableSchema(
        database: "packets", name: "packets", orderKey: ["time"], partitionHours: 1, ttlHours: 0, rollups: [],
        columns: [
            "time\tDateTime64(6)\tnone\tcapture time",
            "length\tUInt32\tnone\tbytes on the wire",
            "captured_length\tUInt32\tnone\tbytes captured",
            "packet_length\tUInt32\tnone\tbytes counted: Ethernet header and IP total length",
            "mac_0\tUInt64\tnone\tsource MAC",
            "mac_1\tUInt64\tnone\tdestination MAC",
            "eth_type\tUInt16\tnone\tethertype",
            "vlan\tUInt16\tnone\tinnermost VLAN id",
            "ip4_0\tIPv4\tnone\tsource address",
            "ip4_1\tIPv4\tnone\tdestination address",
            "ip6_0\tIPv6\tnone\tsource address",
            "ip6_1\tIPv6\tnone\tdestination address",
            "protocol\tUInt8\tnone\tIP protocol",
            "port_0\tUInt16\tnone\tsource port",
            "port_1\tUInt16\tnone\tdestination port",
            "tcp_flags\tString\tnone\tTCP flags by name",
            "seq\tUInt32\tnone\tTCP sequence number",
            "ack\tUInt32\tnone\tTCP acknowledgement number",
            "window\tUInt16\tnone\tTCP window as sent",
            "payload_length\tUInt16\tnone\tbytes behind the L4 header",
            "tunnel_type\tUInt16\tnone\toutermost encapsulation found",
            "tunnel_tier\tUInt8\tnone\tencapsulations taken off",
            "tunnel_id\tUInt32\tnone\tVNI, session or key of it",
            "tunnel_ip4_0\tIPv4\tnone\tits source address, of IPv6 the last four bytes",
            "tunnel_ip4_1\tIPv4\tnone\tits destination address",
        ].joined(separator: "\n"))
}
