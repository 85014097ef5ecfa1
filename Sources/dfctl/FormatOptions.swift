import ArgumentParser
import Model

#if canImport(Glibc)
    import Glibc
#endif

/// How answers are printed.
struct FormatOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json, csv }

    @Option(name: .shortAndLong, help: "table, json (one object a line) or csv; default table.")
    var output: Format = .table

    @Flag(name: .customLong("no-headers"), help: "Leave out the header line of table and csv.")
    var noHeaders = false

    func print(_ table: ResultTable) throws(Failure) {
        var out: String
        switch output {
        case .table: out = aligned(table)
        case .csv:
            out = noHeaders ? "" : table.columns.map(csv).joined(separator: ",") + "\n"
            for row in table.rows { out += row.map { csv(text($0)) }.joined(separator: ",") + "\n" }
        case .json:
            out = ""
            for row in table.rows {
                let members = zip(table.columns, row).map { "\(json($0)):\(json($1))" }
                out += "{" + members.joined(separator: ",") + "}\n"
            }
        }
        try put(out)
        if table.rows.isEmpty, output == .table { standardError("no rows") }
    }

    private func aligned(_ table: ResultTable) -> String {
        let cells = table.rows.map { $0.map(text) }
        var widths = noHeaders ? table.columns.map { _ in 0 } : table.columns.map(\.count)
        for row in cells {
            for (index, cell) in row.enumerated() where index < widths.count {
                widths[index] = max(widths[index], cell.count)
            }
        }
        let isNumber = table.columns.indices.map { column in
            table.rows.allSatisfy { row in
                switch row[column] {
                case .int, .uint, .real, .null: true
                case .text, .list: false
                }
            } && !table.rows.isEmpty
        }
        func line(_ row: [String]) -> String {
            var parts: [String] = []
            for (index, cell) in row.enumerated() {
                let fill = String(repeating: " ", count: max(0, widths[index] - cell.count))
                parts.append(isNumber[index] ? fill + cell : index == row.count - 1 ? cell : cell + fill)
            }
            return parts.joined(separator: "  ") + "\n"
        }
        return (noHeaders ? "" : line(table.columns)) + cells.map(line).joined()
    }

    private func text(_ value: FieldValue) -> String {
        switch value {
        case .null: ""
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .real(let number): number == number.rounded() && abs(number) < 1e15 ? "\(Int64(number))" : "\(number)"
        case .text(let text): String(text.map { $0.isNewline || $0 == "\t" ? " " : $0 })
        case .list(let items): items.map(text).joined(separator: ";")
        }
    }

    private func csv(_ field: String) -> String {
        guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return field }
        return "\"" + field.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private func json(_ value: FieldValue) -> String {
        switch value {
        case .null: "null"
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .real(let number): number.isFinite ? "\(number)" : "null"
        case .text(let text): json(text)
        case .list(let items): "[" + items.map { json($0) }.joined(separator: ",") + "]"
        }
    }

    private func json(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\t": out += "\\t"
            case "\r": out += "\\r"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7f {
                    let hex = String(scalar.value, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                } else {
                    out.unicodeScalars.append(scalar)
                }
            }
        }
        return out + "\""
    }

    private func put(_ text: String) throws(Failure) {
        let bytes = Array(text.utf8)
        var done = 0
        while done < bytes.count {
            let written = bytes[done...].withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { return }
                throw Failure(.partlyDone, what: "cannot write to stdout", why: String(cString: strerror(errno)))
            }
            done += written
        }
    }
}
