import Model

/// How a column's values are written, by its name.
enum ValueFormat: Sendable {
    case text
    case count
    case number
    case bytes
    case byteRate
    case rate
    case duration
    case time
    case l7Protocol
    case ipProtocol
    case status
    case closeType
    case messageType
    case ratio
    case tunnel
    case seconds

    static func of(_ column: String) -> ValueFormat {
        switch column {
        case "byte_rate", "rx_byte_rate", "tx_byte_rate": .byteRate
        case "packet_rate", "request_rate", "error_rate", "in_rate", "out_rate", "drop_rate", "rx_packet_rate",
            "tx_packet_rate":
            .rate
        case "duration", "response_duration", "rtt", "tls_rtt", "rtt_client", "rtt_server", "srt_avg", "art_avg",
            "rrt_avg", "rrt_p50", "rrt_p95", "srt_max", "art_max", "rrt_max", "cit_max", "rtt_max":
            .duration
        case "time", "start_time", "end_time": .time
        case "l7_protocol": .l7Protocol
        case "protocol": .ipProtocol
        case "response_status": .status
        case "close_type": .closeType
        case "type": .messageType
        case "error_ratio": .ratio
        case "tunnel_type": .tunnel
        case "uptime_seconds": .seconds
        case "bytes", "byte_tx", "byte_rx", "memory", "memory_total", "memory_available", "swap_total", "swap_free",
            "rx_bytes", "tx_bytes", "request_length", "response_length":
            .bytes
        case "packets", "packet_tx", "packet_rx", "l7_request", "l7_response", "l7_error", "l7_client_error",
            "l7_server_error", "l7_timeout", "retrans", "retrans_tx", "retrans_rx", "zero_win", "flows", "in", "out",
            "dropped", "pending", "capacity", "rx_packets", "tx_packets", "rx_errors", "tx_errors", "rx_dropped",
            "tx_dropped", "connections":
            .count
        default: .text
        }
    }

    /// Short, for cells.
    func short(_ value: FieldValue) -> String {
        let number = value.number
        switch self {
        case .count:
            return number.map { $0 == 0 ? "" : $0 < 100_000 ? Units.decimal($0, places: 0) : Units.count($0) } ?? ""
        case .number: return plain(value)
        case .bytes: return number.map { $0 == 0 ? "" : Units.bytes($0) } ?? ""
        case .byteRate: return number.map { $0 < 0.5 ? "" : Units.byteRate($0) } ?? ""
        case .rate: return number.map { $0 <= 0 ? "" : Units.rate($0) } ?? ""
        case .duration: return number.map { $0 <= 0 ? "" : Units.duration($0) } ?? ""
        case .time: return number.map { Units.time(us: UInt64(max(0, $0)), milliseconds: true) } ?? ""
        case .ratio: return number.map { $0 <= 0 ? "" : Units.percent($0) } ?? ""
        case .seconds: return number.map { Units.duration($0 * 1_000_000) } ?? ""
        case .text, .l7Protocol, .ipProtocol, .status, .closeType, .messageType, .tunnel: return name(value)
        }
    }

    /// In full, for details and exports.
    func long(_ value: FieldValue) -> String {
        let number = value.number
        switch self {
        case .count, .number: return number.map { $0 >= 0 ? Units.grouped(UInt64($0)) : plain(value) } ?? plain(value)
        case .bytes:
            return number.map { "\(Units.grouped(UInt64(max(0, $0)))) B" + ($0 >= 1000 ? " (\(Units.bytes($0)))" : "") }
                ?? ""
        case .byteRate: return number.map { Units.byteRate($0) } ?? ""
        case .rate: return number.map { Units.rate($0) + "/s" } ?? ""
        case .duration: return number.map { $0 <= 0 ? "not measured" : Units.duration($0) } ?? ""
        case .time: return number.map { Units.dateTime(us: UInt64(max(0, $0))) } ?? ""
        case .ratio: return number.map { Units.percent($0) } ?? ""
        case .seconds: return short(value)
        case .text, .l7Protocol, .ipProtocol, .status, .closeType, .messageType, .tunnel: return name(value)
        }
    }

    private func name(_ value: FieldValue) -> String {
        guard let number = value.number, number >= 0, number < 256 else { return plain(value) }
        let code = UInt8(number)
        switch self {
        case .l7Protocol:
            guard let known = L7Protocol(rawValue: code) else { return "\(code)" }
            return known == .unknown ? "" : known.displayName
        case .ipProtocol: return IPProtocol.name(code)
        case .status: return L7ResponseStatus(rawValue: code)?.text ?? "\(code)"
        case .closeType: return CloseType(rawValue: code)?.text ?? "\(code)"
        case .messageType: return LogMessageType(rawValue: code)?.text ?? "\(code)"
        case .tunnel:
            switch TunnelType(rawValue: code) {
            case TunnelType.none?: return ""
            case .vxlan?: return "VXLAN"
            case .ipip?: return "IPIP"
            case .tencentGre?: return "GRE"
            case .geneve?: return "Geneve"
            case .vxlanNsh?: return "VXLAN-NSH"
            case .erspan?: return "ERSPAN"
            case .teb?: return "TEB"
            case nil: return "\(code)"
            }
        default: return plain(value)
        }
    }

    private func plain(_ value: FieldValue) -> String {
        switch value {
        case .null: ""
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .real(let number): number == number.rounded() && abs(number) < 1e15 ? "\(Int(number))" : "\(number)"
        case .text(let text): text
        case .list(let values): values.map { plain($0) }.joined(separator: " ")
        }
    }
}
