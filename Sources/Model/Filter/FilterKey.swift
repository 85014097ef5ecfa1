/// A word before the colon of a filter term and the columns it stands for.
package struct FilterKey: Sendable, Hashable {
    /// How values are written and compared.
    package enum Kind: Sendable, Hashable {
        case text
        case number
        /// Columns in microseconds; values take `us`, `ms`, `s`, `m`.
        case duration
        /// Columns in bytes; values take `k`, `M`, `G` (powers of 1024 with `i`, of 1000 without).
        case bytes
        case address
        /// Application protocol by name, or IP protocol by name or number.
        case `protocol`
        /// Response status by name, or response code by number.
        case status
        case closeType
        case observationPoint
        /// 0 or 1, `yes` or `no`.
        case flag
    }

    /// What to do with several columns.
    package enum Joining: Sendable, Hashable {
        /// The first that the record has.
        case first
        /// One of them must fit.
        case any
        /// Their sum is compared.
        case sum
    }

    package let name: String
    package let aliases: [String]
    package let columns: [FilterColumn]
    package let kind: Kind
    package let joining: Joining
    /// For help and completion, one line.
    package let help: String

    package init(
        _ name: String, _ aliases: [String] = [], _ columns: [String], _ kind: Kind, _ joining: Joining = .first,
        help: String
    ) {
        self.name = name
        self.aliases = aliases
        self.columns = columns.map { FilterColumn($0) }
        self.kind = kind
        self.joining = joining
        self.help = help
    }

    /// By name or alias in any case, else any column of the tables by its own name.
    package static func named(_ name: String) -> FilterKey? {
        let wanted = name.lowercased()
        return byName[wanted]
            ?? TableColumns.kind(of: wanted).map { FilterKey(wanted, [], [wanted], $0, help: "column") }
    }

    /// Keys nearest to a misspelt one, best first.
    package static func suggestions(for name: String) -> [String] {
        let wanted = name.lowercased()
        return all.map { key in
            let distance = ([key.name] + key.aliases).map { editDistance($0, wanted) }.min() ?? .max
            return (key.name, distance)
        }
        .filter { $0.1 <= max(1, wanted.count / 3) }
        .sorted { $0.1 < $1.1 }
        .prefix(3).map(\.0)
    }

    private static let byName: [String: FilterKey] = {
        var map: [String: FilterKey] = [:]
        for key in all {
            for name in [key.name] + key.aliases { map[name] = key }
        }
        return map
    }()

    private static func editDistance(_ one: String, _ other: String) -> Int {
        let left = Array(one.utf8.prefix(32))
        let right = Array(other.utf8.prefix(32))
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let old = row[j + 1]
                row[j + 1] = min(diagonal + (a == b ? 0 : 1), min(row[j], old) + 1)
                diagonal = old
            }
        }
        return row[right.count]
    }

    package static let all: [FilterKey] = [
        FilterKey(
            "proto", ["protocol", "l7", "app"], ["l7_protocol", "biz_protocol", "protocol"], .protocol,
            help: "application protocol (http, dns, mysql, redis) or IP protocol (tcp, udp, icmp)"),
        FilterKey(
            "status", ["response_status"], ["response_status", "response_code"], .status,
            help: "ok, error, client_error, server_error, timeout, or a code: 404, >=500, 5xx"),
        FilterKey("code", [], ["response_code"], .number, help: "response code"),
        FilterKey(
            "rrt", ["latency", "response_time"], ["response_duration", "rrt_max"], .duration,
            help: "time from request to response: >100ms"),
        FilterKey("rtt", [], ["rtt", "rtt_max"], .duration, help: "TCP handshake round trip: >5ms"),
        FilterKey("srt", [], ["srt_max"], .duration, help: "system response time of TCP, longest"),
        FilterKey("art", [], ["art_max"], .duration, help: "application response time, longest"),
        FilterKey("cit", [], ["cit_max"], .duration, help: "client idle time, longest"),
        FilterKey("duration", [], ["duration", "response_duration"], .duration, help: "how long the flow lasted"),
        FilterKey(
            "ip", ["host_ip", "addr"], ["ip_0", "ip_1", "ip4_0", "ip4_1", "ip6_0", "ip6_1", "ip4", "ip6", "address"],
            .address, .any, help: "address of either end: 10.0.0.1, 10.0.0.0/8, fe80::/10"),
        FilterKey(
            "client", ["src", "source"], ["ip_0", "ip4_0", "ip6_0"], .address, .any, help: "address of the client"),
        FilterKey(
            "server", ["dst", "destination"], ["ip_1", "ip4_1", "ip6_1"], .address, .any,
            help: "address of the server"),
        FilterKey("port", [], ["client_port", "server_port"], .number, .any, help: "port of either end"),
        FilterKey("sport", ["src_port"], ["client_port"], .number, help: "port of the client"),
        FilterKey("dport", ["dst_port"], ["server_port"], .number, help: "port of the server"),
        FilterKey("mac", [], ["mac_0", "mac_1", "mac"], .text, .any, help: "MAC of either end"),
        FilterKey("vlan", [], ["vlan"], .number, help: "VLAN id"),
        FilterKey("tunnel", [], ["tunnel_type"], .number, help: "tunnel type number"),
        FilterKey(
            "bytes", ["size"], ["byte_tx", "byte_rx"], .bytes, .sum, help: "bytes of both directions: >10M"),
        FilterKey("packets", [], ["packet_tx", "packet_rx"], .number, .sum, help: "packets of both directions"),
        FilterKey("rate", ["bps"], ["byte_rate"], .bytes, help: "bytes a second now: >1M"),
        FilterKey("pps", [], ["packet_rate"], .number, help: "packets a second now"),
        FilterKey("retrans", [], ["retrans_tx", "retrans_rx"], .number, .sum, help: "retransmitted packets: >0"),
        FilterKey("zerowin", [], ["zero_win_tx", "zero_win_rx"], .number, .sum, help: "zero window packets"),
        FilterKey("state", [], ["state"], .text, help: "open or closed"),
        FilterKey(
            "close", ["close_type"], ["close_type"], .closeType, help: "how the flow ended: finish, timeout, *rst*"),
        FilterKey(
            "tap", ["point", "observation_point"], ["observation_point"], .observationPoint,
            help: "observation point: c, s, local, rest"),
        FilterKey("method", ["verb"], ["request_type"], .text, help: "request type: GET, A, COM_QUERY"),
        FilterKey("host", ["domain", "query"], ["request_domain"], .text, help: "host, DNS name, RPC service"),
        FilterKey("path", ["resource", "url", "sql"], ["request_resource"], .text, help: "path, statement, key"),
        FilterKey("endpoint", [], ["endpoint"], .text, help: "endpoint"),
        FilterKey("id", [], ["request_id"], .number, help: "request id of the protocol"),
        FilterKey("exception", [], ["response_exception"], .text, help: "text of the failure"),
        FilterKey("result", [], ["response_result"], .text, help: "text of the answer"),
        FilterKey("trace", [], ["trace_id", "_trace_id_2"], .text, .any, help: "trace id"),
        FilterKey("flow", [], ["flow_id"], .number, help: "flow id"),
        FilterKey(
            "process", ["comm", "proc"], ["process_kname_0", "process_kname_1", "name"], .text, .any,
            help: "process name of either end"),
        FilterKey("pid", [], ["process_id_0", "process_id_1", "pid"], .number, .any, help: "process of either end"),
        FilterKey("user", [], ["user"], .text, help: "user a process runs as"),
        FilterKey("pod", [], ["pod_0", "pod_1", "pod"], .text, .any, help: "Kubernetes pod of either end"),
        FilterKey("ns", ["namespace"], ["pod_ns_0", "pod_ns_1", "pod_ns"], .text, .any, help: "Kubernetes namespace"),
        FilterKey(
            "service", [], ["service", "app_service", "auto_service_0", "auto_service_1"], .text, .any,
            help: "service"),
        FilterKey(
            "iface", ["nic", "interface"], ["interface", "capture_nic"], .text, .any, help: "interface of capture"),
        FilterKey("requests", ["l7_request"], ["l7_request", "request"], .number, help: "requests seen"),
        FilterKey(
            "errors", ["l7_error", "error"], ["l7_error", "error"], .number, help: "failed requests: >0"),
        FilterKey("table", [], ["table"], .text, help: "table of a metric row"),
        FilterKey("agent", [], ["agent_id"], .number, help: "agent id"),
        FilterKey("tls", [], ["is_tls"], .flag, help: "yes or no"),
    ]
}
