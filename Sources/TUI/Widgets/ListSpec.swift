import EngineAPI
import Model

/// Reads a row of a page by column name.
struct RowReader {
    struct Index: Equatable, Sendable {
        let positions: [String: Int]

        init(_ columns: [String]) {
            positions = Dictionary(columns.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    let index: Index
    let values: [FieldValue]

    subscript(_ column: String) -> FieldValue {
        guard let position = index.positions[column], position < values.count else { return .null }
        return values[position]
    }

    func text(_ column: String) -> String { ValueFormat.of(column).short(self[column]) }

    func number(_ column: String) -> Double { self[column].number ?? 0 }
}

/// A column of a list on the screen.
struct ColumnSpec: Sendable {
    let title: String
    /// What the engine sorts by.
    let sort: String
    let minWidth: Int
    let maxWidth: Int
    let alignment: Surface.Alignment
    /// 1 stays longest when the screen is narrow.
    let priority: Int
    let text: @Sendable (RowReader) -> String
    let style: @Sendable (RowReader) -> Style
    /// What to show where the text does not fit; nil: its beginning.
    let narrow: Narrowing?

    enum Narrowing: Sendable {
        /// The address without its port.
        case address(String)
        /// The end of the text, for it tells more than the beginning.
        case tail
        /// The newest of a line of blocks.
        case newest
    }

    /// The text in at most `width` cells.
    func text(_ row: RowReader, width: Int) -> String {
        let full = text(row)
        guard let narrow, TextWidth.width(of: full) > width else { return full }
        switch narrow {
        case .address(let column): return row.text(column)
        case .newest: return String(full.suffix(max(0, width)))
        case .tail: return "…" + String(full.suffix(max(0, width - 1)))
        }
    }

    init(
        _ title: String, _ sort: String, _ minWidth: Int, _ maxWidth: Int, priority: Int,
        alignment: Surface.Alignment = .left, style: @escaping @Sendable (RowReader) -> Style = { _ in .plain },
        narrow: Narrowing? = nil,
        text: (@Sendable (RowReader) -> String)? = nil
    ) {
        self.title = title
        self.sort = sort
        self.minWidth = max(minWidth, title.count)
        self.maxWidth = max(maxWidth, self.minWidth)
        self.priority = priority
        self.alignment = alignment
        self.style = style
        self.narrow = narrow
        self.text = text ?? { $0.text(sort) }
    }

    /// Right-aligned number of one column.
    static func number(
        _ title: String, _ sort: String, _ width: Int, priority: Int,
        style: @escaping @Sendable (RowReader) -> Style = { _ in .plain }
    ) -> ColumnSpec {
        ColumnSpec(title, sort, width, width, priority: priority, alignment: .right, style: style)
    }
}

/// What a list shows and how it starts.
struct ListSpec: Sendable {
    let kind: ListKind
    let title: String
    let columns: [ColumnSpec]
    /// Column of the first order; the engine's own order when empty.
    let empty: String
    /// The order that the engine uses when none is asked for, to mark its header.
    let ownSort: (live: String, replay: String)
    let help: [(key: String, text: String)]

    static func of(_ kind: ListKind) -> ListSpec {
        switch kind {
        case .flows: flows
        case .requests: requests
        case .services: services
        case .map: map
        case .host: host
        case .interfaces: interfaces
        case .processes: processes
        case .own: own
        }
    }

    // MARK: Styles

    private static func slow(_ column: String) -> @Sendable (RowReader) -> Style {
        { row in
            let us = row.number(column)
            return us >= 1_000_000 ? .bad : us >= 100_000 ? .warn : .plain
        }
    }

    private static func alarming(_ column: String) -> @Sendable (RowReader) -> Style {
        { $0.number(column) > 0 ? .bad : .plain }
    }

    private static let always: @Sendable (Style) -> (@Sendable (RowReader) -> Style) = { style in { _ in style } }

    private static func end(_ address: String, _ port: String) -> @Sendable (RowReader) -> String {
        { row in
            let text = row.text(address)
            let number = row.number(port)
            guard number > 0 else { return text }
            return text.contains(":") ? "[\(text)]:\(Int(number))" : "\(text):\(Int(number))"
        }
    }

    private static let protocolText: @Sendable (RowReader) -> String = { row in
        let name = row.text("l7_protocol")
        return name.isEmpty ? row.text("protocol") : name
    }

    // MARK: Lists

    private static let flows = ListSpec(
        kind: .flows, title: "Flows",
        columns: [
            ColumnSpec(
                "CLIENT", "ip_0", 15, 47, priority: 1, narrow: .address("ip_0"), text: end("ip_0", "client_port")),
            ColumnSpec("SERVER", "ip_1", 15, 47, priority: 1, narrow: .tail, text: end("ip_1", "server_port")),
            ColumnSpec("PROTO", "l7_protocol", 5, 9, priority: 1, style: always(.accent), text: protocolText),
            .number("RATE", "byte_rate", 7, priority: 2),
            .number("PKT/S", "packet_rate", 5, priority: 8),
            .number("BYTES", "bytes", 6, priority: 2),
            .number("SENT", "byte_tx", 6, priority: 12),
            .number("RECV", "byte_rx", 6, priority: 12),
            .number("PKTS", "packets", 5, priority: 9),
            .number("RTT", "rtt", 6, priority: 4, style: slow("rtt")),
            .number("ART", "art_avg", 6, priority: 7, style: slow("art_avg")),
            .number("SRT", "srt_avg", 6, priority: 13),
            .number("REQ", "l7_request", 4, priority: 6),
            .number("ERR", "l7_error", 3, priority: 6, style: alarming("l7_error")),
            .number("RRT", "rrt_avg", 6, priority: 7, style: slow("rrt_avg")),
            .number("RTX", "retrans", 3, priority: 5, style: { $0.number("retrans") > 0 ? .warn : .plain }),
            .number("ZWIN", "zero_win", 4, priority: 14),
            ColumnSpec(
                "STATE", "state", 7, 22, priority: 3,
                style: { row in
                    switch Int(row.number("close_type")) {
                    case 0, 5: row.text("state") == "open" ? .good : .dim
                    case 1: .dim
                    default: .warn
                    }
                },
                text: { row in
                    let closing = Int(row.number("close_type"))
                    guard row.text("state") == "closed", closing != 1 else { return row.text("state") }
                    switch closing {
                    case 2: return "RST srv"
                    case 9: return "RST cli"
                    case 8: return "half s"
                    case 11: return "half c"
                    default: return row.text("close_type")
                    }
                }),
            .number("AGE", "duration", 6, priority: 8),
            ColumnSpec("FROM", "process_kname_0", 6, 16, priority: 10),
            ColumnSpec("TO", "process_kname_1", 6, 16, priority: 10),
            ColumnSpec("POINT", "observation_point", 5, 7, priority: 15),
            ColumnSpec(
                "VLAN", "vlan", 4, 4, priority: 16, alignment: .right,
                text: { $0.number("vlan") > 0 ? $0.text("vlan") : "" }),
            ColumnSpec("LAST SEEN", "end_time", 12, 12, priority: 17),
        ],
        empty: "No flows yet. They appear as soon as packets do.", ownSort: ("byte_rate", "bytes"),
        help: [
            ("RATE", "bytes a second of the last 3 s; in a replay, the mean over the flow's life"),
            ("RTT", "round trip of the TCP handshake"), ("ART", "time from request data to response data, mean"),
            ("SRT", "time from data to its acknowledgement by the server, mean"),
            ("REQ ERR RRT", "application requests, failures and mean response time"),
            ("RTX ZWIN", "retransmitted packets, zero windows"), ("FROM TO", "processes of this host, when known"),
        ])

    private static let requests = ListSpec(
        kind: .requests, title: "L7 requests",
        columns: [
            ColumnSpec("TIME", "time", 12, 12, priority: 2, style: always(.dim)),
            ColumnSpec(
                "CLIENT", "ip_0", 11, 47, priority: 8, narrow: .address("ip_0"), text: end("ip_0", "client_port")),
            ColumnSpec("SERVER", "ip_1", 15, 47, priority: 3, narrow: .tail, text: end("ip_1", "server_port")),
            ColumnSpec("PROTO", "l7_protocol", 5, 9, priority: 1, style: always(.accent)),
            ColumnSpec("METHOD", "request_type", 6, 14, priority: 1),
            ColumnSpec("HOST", "request_domain", 12, 32, priority: 7),
            ColumnSpec(
                "RESOURCE", "request_resource", 20, 160, priority: 1,
                text: { row in
                    let resource = row.text("request_resource")
                    return resource.isEmpty ? row.text("request_domain") : resource
                }),
            ColumnSpec(
                "STATUS", "response_status", 7, 12, priority: 1,
                style: { row in
                    switch Int(row.number("response_status")) {
                    case 0: .good
                    case 4: .warn
                    case 2, 3: .bad
                    default: .dim
                    }
                },
                text: { row in
                    let code = row.text("response_code")
                    let status = row.text("response_status")
                    if status == "timeout" { return status }
                    return code.isEmpty || code == "0" ? status : code
                }),
            .number("RRT", "response_duration", 6, priority: 1, style: slow("response_duration")),
            .number("REQ B", "request_length", 6, priority: 11),
            .number("RESP B", "response_length", 6, priority: 9),
            ColumnSpec("EXCEPTION", "response_exception", 9, 40, priority: 10, style: always(.warn)),
            ColumnSpec("FROM", "process_kname_0", 6, 16, priority: 12),
            ColumnSpec("TO", "process_kname_1", 6, 16, priority: 8),
            ColumnSpec("TRACE", "trace_id", 8, 32, priority: 14, style: always(.dim)),
        ],
        empty: "No requests yet. They appear when a known protocol is seen.", ownSort: ("time", "time"),
        help: [
            ("STATUS", "response code, or ok / timeout / unknown where the protocol has no code"),
            ("RRT", "time from the request to its response"),
            ("RESOURCE", "path, statement, key or name asked for, as the specification renders it"),
        ])

    private static let services = ListSpec(
        kind: .services, title: "Metrics: rate, errors, duration of each service",
        columns: [
            ColumnSpec("SERVICE", "service", 8, 40, priority: 3),
            ColumnSpec("SERVER", "ip_1", 15, 47, priority: 1, narrow: .tail, text: end("ip_1", "server_port")),
            ColumnSpec("PROTO", "l7_protocol", 5, 9, priority: 1, style: always(.accent)),
            .number("REQ/S", "request_rate", 6, priority: 1),
            ColumnSpec(
                "REQUESTS", "request_rate", 10, 30, priority: 5, style: always(.chartRequests), narrow: .newest,
                text: { row in
                    guard case .list(let values) = row["request_trend"] else { return "" }
                    return BrailleChart.sparkline(values.map { $0.number ?? 0 }, width: 30)
                }),
            .number("TOTAL", "l7_request", 6, priority: 4),
            .number("ERR%", "error_ratio", 5, priority: 1, style: alarming("l7_error")),
            .number(
                "4XX", "l7_client_error", 4, priority: 5, style: { $0.number("l7_client_error") > 0 ? .warn : .plain }),
            .number("5XX", "l7_server_error", 4, priority: 6, style: alarming("l7_server_error")),
            .number("TMO", "l7_timeout", 4, priority: 6, style: alarming("l7_timeout")),
            .number("AVG", "rrt_avg", 6, priority: 2, style: slow("rrt_avg")),
            .number("P50", "rrt_p50", 6, priority: 4, style: slow("rrt_p50")),
            .number("P95", "rrt_p95", 6, priority: 2, style: slow("rrt_p95")),
            .number("MAX", "rrt_max", 6, priority: 2, style: slow("rrt_max")),
        ],
        empty: "No service has answered a request yet.", ownSort: ("l7_request", "l7_request"),
        help: [
            ("window", "the last 60 s; in a replay, the whole capture"),
            ("4XX 5XX TMO", "client errors, server errors, requests without a response"),
            ("AVG P50 P95 MAX", "response time; percentiles from the requests logged, within 9 %"),
            ("Enter", "endpoints and the last failures of the service"),
        ])

    private static let map = ListSpec(
        kind: .map, title: "Map: who talks to whom",
        columns: [
            ColumnSpec("CLIENT", "ip_0", 12, 39, priority: 1),
            ColumnSpec("FROM", "process_kname_0", 6, 16, priority: 7),
            ColumnSpec("SERVER", "ip_1", 15, 47, priority: 1, narrow: .tail, text: end("ip_1", "server_port")),
            ColumnSpec("TO", "process_kname_1", 6, 16, priority: 7),
            ColumnSpec("PROTO", "l7_protocol", 5, 9, priority: 1, style: always(.accent), text: protocolText),
            .number("FLOWS", "flows", 5, priority: 2),
            .number("RATE", "byte_rate", 8, priority: 2),
            .number("BYTES", "bytes", 6, priority: 2),
            .number("RTT", "rtt", 6, priority: 5, style: slow("rtt")),
            .number("REQ", "l7_request", 5, priority: 3),
            .number("ERR", "l7_error", 4, priority: 3, style: alarming("l7_error")),
            .number("RRT", "rrt_avg", 6, priority: 4, style: slow("rrt_avg")),
            .number("RTX", "retrans", 4, priority: 6, style: { $0.number("retrans") > 0 ? .warn : .plain }),
        ],
        empty: "Nobody talks yet.", ownSort: ("byte_rate", "bytes"),
        help: [("rows", "flows summed by client address, server address and port, protocol")])

    private static let host = ListSpec(
        kind: .host, title: "Host",
        columns: [
            ColumnSpec(
                "FACT", "name", 14, 26, priority: 1, style: always(.accent),
                text: { $0.text("name").replacing("_", with: " ") }),
            ColumnSpec(
                "VALUE", "value", 20, 200, priority: 1,
                text: { ValueFormat.of($0.text("name")).long($0["value"]) }),
        ],
        empty: "The host has not been read yet.", ownSort: ("", ""), help: [])

    private static let interfaces = ListSpec(
        kind: .interfaces, title: "Interfaces",
        columns: [
            ColumnSpec("NAME", "name", 6, 16, priority: 1, style: always(.accent)),
            ColumnSpec(
                "STATE", "state", 7, 8, priority: 2,
                style: { $0.text("state") == "up" ? .good : $0.text("state") == "down" ? .warn : .dim }),
            ColumnSpec("ADDRESSES", "address", 20, 90, priority: 2),
            ColumnSpec("MAC", "mac", 17, 17, priority: 7),
            .number("MTU", "mtu", 5, priority: 6),
            .number("MBIT", "speed", 6, priority: 9),
            .number("RX/S", "rx_byte_rate", 8, priority: 1),
            .number("TX/S", "tx_byte_rate", 8, priority: 1),
            .number("RXPK/S", "rx_packet_rate", 6, priority: 4),
            .number("TXPK/S", "tx_packet_rate", 6, priority: 4),
            .number("RX", "rx_bytes", 6, priority: 7),
            .number("TX", "tx_bytes", 6, priority: 7),
            .number("RXDROP", "rx_dropped", 6, priority: 8, style: alarming("rx_dropped")),
            .number("TXDROP", "tx_dropped", 6, priority: 8, style: alarming("tx_dropped")),
            .number("RXERR", "rx_errors", 5, priority: 8, style: alarming("rx_errors")),
            .number("TXERR", "tx_errors", 5, priority: 8, style: alarming("tx_errors")),
        ],
        empty: "The interfaces have not been read yet.", ownSort: ("index", "index"), help: [])

    private static let processes = ListSpec(
        kind: .processes, title: "Processes that own sockets",
        columns: [
            .number("PID", "pid", 7, priority: 1),
            ColumnSpec("NAME", "name", 8, 16, priority: 1, style: always(.accent)),
            ColumnSpec("USER", "user", 6, 16, priority: 3),
            ColumnSpec("LISTENS ON", "listening", 10, 60, priority: 1),
            .number("CONN", "connections", 5, priority: 1),
            .number("MEMORY", "memory", 6, priority: 2),
            .number("THR", "threads", 4, priority: 5),
            ColumnSpec("COMMAND", "command", 12, 200, priority: 4, style: always(.dim)),
        ],
        empty: "No process with sockets is known. Reading those of other users takes root.",
        ownSort: ("connections", "connections"), help: [])

    private static let own = ListSpec(
        kind: .own, title: "Self: what dftop itself does",
        columns: [
            ColumnSpec("STAGE", "group", 8, 12, priority: 1, style: always(.accent)),
            ColumnSpec("NAME", "name", 18, 30, priority: 1),
            .number("IN/S", "in_rate", 6, priority: 1),
            .number("OUT/S", "out_rate", 6, priority: 2),
            .number("IN", "in", 6, priority: 3),
            .number("OUT", "out", 6, priority: 3),
            .number("DROPPED", "dropped", 7, priority: 1, style: alarming("dropped")),
            .number("DROP/S", "drop_rate", 6, priority: 5, style: alarming("drop_rate")),
            .number("WAITING", "pending", 7, priority: 2),
            .number("ROOM", "capacity", 6, priority: 2),
            ColumnSpec("NOTE", "note", 24, 80, priority: 4, style: always(.dim)),
        ],
        empty: "The engine has not counted anything yet.", ownSort: ("", ""),
        help: [
            ("DROPPED", "records lost at that place since the start; 0 is how it should be"),
            ("WAITING ROOM", "records in the queue now, and how many fit"),
        ])
}
