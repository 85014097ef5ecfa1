/// A record as a filter sees it: values by column name.
///
/// Implemented by printed rows (names known at run time, see `NamedFields`) and by the records of live tables, which
/// switch over `FilterColumn.known` instead of comparing strings.
package protocol FieldSource {
    /// The value of a column; nil when this record has no such column.
    func field(_ column: FilterColumn) -> FieldValue?
    /// An address column as a number. The default parses the column's text.
    func address(_ column: FilterColumn) -> FilterAddress?
    /// Whether any text a person sees of this record holds the pattern.
    func hasText(_ pattern: TextPattern) -> Bool
}

extension FieldSource {
    package func address(_ column: FilterColumn) -> FilterAddress? {
        guard case .text(let text)? = field(column), let parsed = IPAddress.parse(text) else { return nil }
        return FilterAddress(address: parsed.address, isIPv6: parsed.isIPv6)
    }
}

package struct FilterAddress: Sendable, Hashable {
    package var address: IPAddress
    package var isIPv6: Bool

    package init(address: IPAddress, isIPv6: Bool) {
        self.address = address
        self.isIPv6 = isIPv6
    }
}

/// A column that a filter asks for.
package struct FilterColumn: Sendable, Hashable {
    package let name: String
    /// Set for the columns of live records.
    package let known: KnownColumn?

    package init(_ name: String) {
        self.name = name
        known = KnownColumn(rawValue: name)
    }

    package init(_ column: KnownColumn) {
        name = column.rawValue
        known = column
    }
}

/// Columns of the live tables. Names are those of `spec/tables` where the table has them; the others (rates, averages,
/// `ip_0`, `service` and so on) exist only on screens.
package enum KnownColumn: String, Sendable, CaseIterable {
    // Both.
    case flowID = "flow_id"
    case time
    case startTime = "start_time"
    case endTime = "end_time"
    case ip0 = "ip_0"
    case ip1 = "ip_1"
    case clientPort = "client_port"
    case serverPort = "server_port"
    case `protocol`
    case l7Protocol = "l7_protocol"
    case observationPoint = "observation_point"
    case process0 = "process_kname_0"
    case process1 = "process_kname_1"
    case pid0 = "process_id_0"
    case pid1 = "process_id_1"
    case agentID = "agent_id"
    case captureNic = "capture_nic"
    case tunnelType = "tunnel_type"
    // Flows.
    case mac0 = "mac_0"
    case mac1 = "mac_1"
    case vlan
    case state
    case closeType = "close_type"
    case duration
    case byteTx = "byte_tx"
    case byteRx = "byte_rx"
    case bytes
    case packetTx = "packet_tx"
    case packetRx = "packet_rx"
    case packets
    case byteRate = "byte_rate"
    case packetRate = "packet_rate"
    case rtt
    case srtAvg = "srt_avg"
    case srtMax = "srt_max"
    case artAvg = "art_avg"
    case artMax = "art_max"
    case rrtAvg = "rrt_avg"
    case rrtMax = "rrt_max"
    case rrtP50 = "rrt_p50"
    case rrtP95 = "rrt_p95"
    case retrans
    case retransTx = "retrans_tx"
    case retransRx = "retrans_rx"
    case zeroWin = "zero_win"
    case l7Request = "l7_request"
    case l7Response = "l7_response"
    case l7ClientError = "l7_client_error"
    case l7ServerError = "l7_server_error"
    case l7Timeout = "l7_timeout"
    case l7Error = "l7_error"
    // Requests.
    case type
    case version
    case requestType = "request_type"
    case requestDomain = "request_domain"
    case requestResource = "request_resource"
    case endpoint
    case requestID = "request_id"
    case responseStatus = "response_status"
    case responseCode = "response_code"
    case responseException = "response_exception"
    case responseResult = "response_result"
    case responseDuration = "response_duration"
    case requestLength = "request_length"
    case responseLength = "response_length"
    case traceID = "trace_id"
    case spanID = "span_id"
    case isTLS = "is_tls"
    // Services.
    case service
    case requestRate = "request_rate"
    case errorRate = "error_rate"
    case errorRatio = "error_ratio"
    case clients
    // Host.
    case name
    case kind
    case pid
    case user
    case command
    case mac
    case address
    case flows
}

/// A row whose columns are named at run time: a printed row, a row of a query answer.
package struct NamedFields: FieldSource {
    package let columns: Columns
    package var values: [FieldValue]

    /// Positions by name, shared by all rows of one table.
    package final class Columns: Sendable {
        package let names: [String]
        private let positions: [String: Int]

        package init(_ names: [String]) {
            self.names = names
            positions = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        }

        package func position(of name: String) -> Int? { positions[name] }
    }

    package init(columns: Columns, values: [FieldValue]) {
        self.columns = columns
        self.values = values
    }

    package func field(_ column: FilterColumn) -> FieldValue? {
        guard let position = columns.position(of: column.name), position < values.count else { return nil }
        return values[position]
    }

    package func hasText(_ pattern: TextPattern) -> Bool {
        values.contains { $0.hasText(pattern) }
    }
}

extension FieldValue {
    package func hasText(_ pattern: TextPattern) -> Bool {
        switch self {
        case .null: false
        case .int(let value): pattern.matches(String(value))
        case .uint(let value): pattern.matches(String(value))
        case .real(let value): pattern.matches(String(value))
        case .text(let value): pattern.matches(value)
        case .list(let values): values.contains { $0.hasText(pattern) }
        }
    }

    /// As a number; texts that are numbers count, others are nil.
    package var number: Double? {
        switch self {
        case .null, .list: nil
        case .int(let value): Double(value)
        case .uint(let value): Double(value)
        case .real(let value): value
        case .text(let value): Double(value)
        }
    }

    package var isEmpty: Bool {
        switch self {
        case .null: true
        case .text(let value): value.isEmpty
        case .list(let values): values.isEmpty
        case .int, .uint, .real: false
        }
    }
}
