/// Aligned lines for people: a useful choice of columns, one line a row, a header first. Widths are fixed, so that
/// rows can be printed as they come; a longer value pushes its line out rather than being cut.
package final class TableRowPrinter: RowPrinter {
    package var output = TextBuffer()
    private let table: TableSchema
    private let cells: [TableCell]
    private let extras: [String]
    private var fields: RowFields
    private var times = TimeText()
    private var cell = TextBuffer(capacity: 256)

    /// - Parameter extras: names of extra members shown in front.
    package init(table: TableSchema, extras: [String] = []) {
        self.table = table
        self.extras = extras
        cells = TableCell.layout(of: table)
        var wanted: [String] = []
        for cell in cells where !cell.columns.isEmpty {
            wanted += cell.columns.filter { !wanted.contains($0) }
        }
        fields = RowFields(table: table, columns: wanted)
    }

    package func appendHeader() {
        for extra in extras {
            cell.append(extra.uppercased())
            appendCell(width: 10, alignsRight: false, isLast: false)
        }
        for (position, column) in cells.enumerated() {
            cell.append(column.title)
            appendCell(
                width: column.width, alignsRight: column.alignsRight, isLast: position == cells.count - 1)
        }
        output.append(10)
    }

    package func append(_ row: some TableRow, extras values: [(name: String, value: FieldValue)]) {
        fields.read(row)
        for extra in extras {
            appendText(of: values.first { $0.name == extra }?.value ?? .null)
            appendCell(width: 10, alignsRight: false, isLast: false)
        }
        for (position, column) in cells.enumerated() {
            fill(column)
            appendCell(
                width: column.width, alignsRight: column.alignsRight, isLast: position == cells.count - 1)
        }
        output.append(10)
    }

    private func fill(_ column: TableCell) {
        switch column.content {
        case .value(let name):
            appendText(of: fields[name])
        case .enumeration(let name):
            let value = fields[name]
            if case .uint(let number) = value, let text = table[name]?.enumeration?.name(of: number) {
                cell.append(text)
            } else {
                appendText(of: value)
            }
        case .micros(let name), .seconds(let name):
            guard case .uint(let time) = fields[name] else { return }
            var isSeconds = false
            if case .seconds = column.content { isSeconds = true }
            let start = cell.count
            times.append(micros: isSeconds ? time &* 1_000_000 : time, to: &cell)
            cell.truncate(to: start + (isSeconds ? 19 : 23))
        case .end(let ip4, let ip6, let port):
            let v4 = fields[ip4]
            if case .text(let text) = v4 {
                cell.append(text)
                guard let port else { return }
                cell.append(58)
                appendText(of: fields[port])
            } else if case .text(let text) = fields[ip6] {
                guard let port else { return cell.append(text) }
                cell.append("[\(text)]:")
                appendText(of: fields[port])
            }
        }
    }

    private func appendText(of value: FieldValue) {
        switch value {
        case .null: break
        case .text(let text):
            for character in text.unicodeScalars {
                cell.append(character.value < 32 || character.value == 127 ? "?" : String(character))
            }
        default: cell.append(json: value)
        }
    }

    /// Moves the cell to the output, padded to its width in characters.
    private func appendCell(width: Int, alignsRight: Bool, isLast: Bool) {
        let bytes = cell.bytes
        let length = bytes.reduce(0) { $1 & 0xc0 == 0x80 ? $0 : $0 + 1 }
        if alignsRight { output.append(repeating: 32, count: width - length) }
        output.append(bytes)
        if !isLast {
            if !alignsRight { output.append(repeating: 32, count: width - length) }
            output.append(32)
        }
        cell.removeAll()
    }
}

/// One column of the human table.
struct TableCell: Sendable {
    enum Content: Sendable {
        case value(String)
        case enumeration(String)
        case micros(String)
        case seconds(String)
        /// Address of either family, with a port if there is one.
        case end(ip4: String, ip6: String, port: String?)
    }

    var title: String
    var width: Int
    var alignsRight = false
    var content: Content

    var columns: [String] {
        switch content {
        case .value(let name), .enumeration(let name), .micros(let name), .seconds(let name): [name]
        case .end(let ip4, let ip6, let port): [ip4, ip6] + (port.map { [$0] } ?? [])
        }
    }

    private static func number(_ title: String, _ column: String, _ width: Int = 8) -> TableCell {
        TableCell(title: title, width: width, alignsRight: true, content: .value(column))
    }

    private static func name(_ title: String, _ column: String, _ width: Int) -> TableCell {
        TableCell(title: title, width: width, content: .enumeration(column))
    }

    /// The choice for a table; tables without one of their own show their first columns.
    static func layout(of table: TableSchema) -> [TableCell] {
        let client = TableCell(
            title: "CLIENT", width: 21, content: .end(ip4: "ip4_0", ip6: "ip6_0", port: "client_port"))
        let server = TableCell(
            title: "SERVER", width: 21, content: .end(ip4: "ip4_1", ip6: "ip6_1", port: "server_port"))
        switch table.name {
        case "l4_flow_log":
            return [
                TableCell(title: "END", width: 23, content: .micros("end_time")), client, server,
                name("PROTO", "protocol", 6), name("L7", "l7_protocol", 10), number("PKT_TX", "packet_tx", 7),
                number("PKT_RX", "packet_rx", 7), number("BYTES_TX", "byte_tx", 10),
                number("BYTES_RX", "byte_rx", 10), number("RTT_US", "rtt"), number("DUR_US", "duration", 9),
                name("CLOSE", "close_type", 16), TableCell(title: "AT", width: 7, content: .value("observation_point")),
            ]
        case "l7_flow_log":
            return [
                TableCell(title: "START", width: 23, content: .micros("start_time")), client, server,
                name("L7", "l7_protocol", 10), name("TYPE", "type", 8),
                TableCell(title: "REQUEST", width: 8, content: .value("request_type")),
                name("STATUS", "response_status", 12), number("CODE", "response_code", 5),
                number("RRT_US", "response_duration"),
                TableCell(title: "DOMAIN", width: 24, content: .value("request_domain")),
                TableCell(title: "RESOURCE", width: 32, content: .value("request_resource")),
            ]
        default: break
        }
        guard table.database == "flow_metrics" else {
            return table.columns.prefix(12).map { TableCell(title: $0.name, width: 12, content: .value($0.name)) }
        }
        var cells = [TableCell(title: "TIME", width: 19, content: .seconds("time"))]
        if table.index(of: "ip4_0") != nil {
            cells.append(TableCell(title: "CLIENT", width: 16, content: .end(ip4: "ip4_0", ip6: "ip6_0", port: nil)))
            cells.append(server)
        } else if table.index(of: "ip4") != nil {
            cells.append(TableCell(title: "IP", width: 16, content: .end(ip4: "ip4", ip6: "ip6", port: nil)))
            cells.append(name("ROLE", "role", 6))
            cells.append(number("PORT", "server_port", 5))
        }
        if table.index(of: "protocol") != nil { cells.append(name("PROTO", "protocol", 6)) }
        if table.index(of: "request") != nil {
            cells += [
                name("L7", "l7_protocol", 10), number("REQ", "request", 7), number("RESP", "response", 7),
                number("ERR", "error", 6), number("TIMEOUT", "timeout", 7), number("RRT_SUM", "rrt_sum", 10),
                number("RRT_MAX", "rrt_max", 8),
                TableCell(title: "ENDPOINT", width: 24, content: .value("endpoint")),
            ]
        } else {
            cells += [
                number("PKT_TX", "packet_tx", 7), number("PKT_RX", "packet_rx", 7),
                number("BYTES_TX", "byte_tx", 10), number("BYTES_RX", "byte_rx", 10),
            ]
            if table.index(of: "new_flow") != nil {
                cells += [
                    number("NEW", "new_flow", 6), number("CLOSED", "closed_flow", 6),
                    number("RTT_SUM", "rtt_sum", 9), number("RETRANS", "retrans", 7),
                ]
            }
        }
        return cells
    }
}
