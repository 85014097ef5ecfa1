/// Readable names of numbers in columns. Source: ingester.md 9.
package enum ColumnEnumeration: Sendable, Hashable, CaseIterable {
    case l7Protocol
    case responseStatus
    case closeType
    case ipProtocol
    case messageType
    case signalSource
    case tunnelType
    case natSource
    case nicType
    case role
    case deviceType
    case autoType
    case spanKind

    /// The enumeration of a column, nil for plain numbers.
    package init?(column: String) {
        let base = column.hasSuffix("_0") || column.hasSuffix("_1") ? String(column.dropLast(2)) : column
        switch base {
        case "l7_protocol": self = .l7Protocol
        case "response_status", "status": self = .responseStatus
        case "close_type": self = .closeType
        case "protocol": self = .ipProtocol
        case "type": self = .messageType
        case "signal_source": self = .signalSource
        case "tunnel_type": self = .tunnelType
        case "nat_source": self = .natSource
        case "capture_nic_type": self = .nicType
        case "role": self = .role
        case "l3_device_type": self = .deviceType
        case "auto_instance_type", "auto_service_type": self = .autoType
        case "span_kind": self = .spanKind
        default: return nil
        }
    }

    /// Name of a value; nil where none is known.
    package func name(of value: UInt64) -> String? {
        guard let number = UInt8(exactly: value) else { return self == .l7Protocol ? "N/A" : nil }
        switch self {
        case .l7Protocol: return (L7Protocol(rawValue: number) ?? .unknown).displayName
        case .responseStatus: return number == 1 ? "error" : L7ResponseStatus(rawValue: number)?.text
        case .closeType: return CloseType(rawValue: number)?.text
        case .ipProtocol: return number == 0 ? nil : IPProtocol.name(number)
        case .messageType: return LogMessageType(rawValue: number)?.text
        case .signalSource: return ["packet", "xflow", nil, "ebpf", "otel"].at(number)
        case .tunnelType:
            return ["none", "VXLAN", "IPIP", "Tencent GRE", "Geneve", "VXLAN-NSH", "ERSPAN", "TEB"].at(number)
        case .natSource: return ["none", nil, "VIP", nil, "RTOA", nil, "TOA"].at(number)
        case .nicType:
            return [
                "local MAC", "gateway MAC", "tunnel IPv4", "tunnel IPv6", "id", "NetFlow", "sFlow", "eBPF", "OTel",
            ].at(number)
        case .role: return ["client", "server", "local", "rest"].at(number)
        case .deviceType: return ColumnEnumeration.deviceName(number)
        case .autoType: return ColumnEnumeration.autoName(number)
        case .spanKind: return ["unspecified", "internal", "server", "client", "producer", "consumer"].at(number)
        }
    }

    /// Value of a name, in any case; for filters such as `close_type:finish`.
    package func value(named wanted: some StringProtocol) -> UInt64? {
        let lower = wanted.lowercased()
        return (0...255).first { name(of: $0)?.lowercased() == lower }
    }

    private static func deviceName(_ number: UInt8) -> String? {
        switch number {
        case 1: "VM"
        case 2: "VGW"
        case 3: "third party"
        case 4: "VMWAF"
        case 5: "router"
        case 6: "host"
        case 7: "network device"
        case 9: "DHCP"
        case 10: "pod"
        case 11: "pod service"
        case 12: "Redis"
        case 13: "RDS"
        case 14: "pod node"
        case 15: "LB"
        case 16: "NAT gateway"
        case 120: "process"
        default: nil
        }
    }

    private static func autoName(_ number: UInt8) -> String? {
        switch number {
        case 0: "Internet IP"
        case 101: "pod group"
        case 102: "service"
        case 103: "pod cluster"
        case 104: "custom service"
        case 130: "Deployment"
        case 131: "StatefulSet"
        case 132: "ReplicationController"
        case 133: "DaemonSet"
        case 134: "ReplicaSet controller"
        case 135: "CloneSet"
        case 255: "IP"
        default: deviceName(number)
        }
    }
}

extension [String?] {
    fileprivate func at(_ number: UInt8) -> String? { Int(number) < count ? self[Int(number)] : nil }
}
