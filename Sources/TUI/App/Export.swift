import EngineAPI
import Foundation
import Model

/// Writes rows of a list to a file: JSON, one object a line with readable twins, or CSV.
enum Export {
    /// Called off the drawing thread.
    static func run(_ job: ExportJob, engine: any EngineView) -> Result<ExportResult, Refusal> {
        let page: ListPage
        switch engine.answer(.list(job.query)) {
        case .list(let answered): page = answered
        case .failed(let refusal): return .failure(refusal)
        default:
            return .failure(
                Refusal(.failed, what: "cannot export", why: "the engine answered something else", mend: ""))
        }
        var rows = page.rows
        if let id = job.row {
            guard let place = page.ids.firstIndex(of: id), place < rows.count else {
                return .failure(
                    Refusal(
                        .notFound, what: "cannot export this row", why: "it is no longer in the list",
                        mend: "pause the list with Space first"))
            }
            rows = [rows[place]]
        }
        let text =
            switch job.format {
            case .json: json(page.columns, rows)
            case .csv: csv(page.columns, rows)
            }
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: job.path), options: .atomic)
        } catch {
            return .failure(
                Refusal(
                    .failed, what: "cannot write \(job.path)", why: error.localizedDescription,
                    mend: "name another file with :export FILE"))
        }
        return .success(ExportResult(path: job.path, rows: rows.count, matched: job.row == nil ? page.matched : 1))
    }

    /// Keys are the column names; empty values are left out. Source: design.md 2.1.
    static func json(_ columns: [String], _ rows: [[FieldValue]]) -> String {
        var out = ""
        for row in rows {
            var parts: [String] = []
            for (column, value) in zip(columns, row) where !value.isEmpty {
                parts.append("\(quoted(column)):\(json(value, column))")
                if let twin = twin(of: column, value) { parts.append("\(quoted(column + "_str")):\(quoted(twin))") }
            }
            out += "{" + parts.joined(separator: ",") + "}\n"
        }
        return out
    }

    static func csv(_ columns: [String], _ rows: [[FieldValue]]) -> String {
        let cell = { (text: String) -> String in
            guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
            return "\"" + text.replacing("\"", with: "\"\"") + "\""
        }
        var out = columns.map(cell).joined(separator: ",") + "\n"
        for row in rows {
            out += zip(columns, row).map { column, value in cell(plain(value, column)) }.joined(separator: ",") + "\n"
        }
        return out
    }

    private static func twin(of column: String, _ value: FieldValue) -> String? {
        switch ValueFormat.of(column) {
        case .l7Protocol, .status, .closeType, .messageType: ValueFormat.of(column).long(value)
        default: nil
        }
    }

    private static func plain(_ value: FieldValue, _ column: String) -> String {
        if ValueFormat.of(column).isTime, let number = value.number, number > 0 {
            return rfc3339(us: UInt64(number))
        }
        return switch value {
        case .null: ""
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .real(let number): "\(number)"
        case .text(let text): text
        case .list(let values): values.map { plain($0, "") }.joined(separator: " ")
        }
    }

    private static func json(_ value: FieldValue, _ column: String) -> String {
        if ValueFormat.of(column).isTime, let number = value.number, number > 0 {
            return quoted(rfc3339(us: UInt64(number)))
        }
        return switch value {
        case .null: "null"
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .real(let number): number.isFinite ? "\(number)" : "null"
        case .text(let text): quoted(text)
        case .list(let values): "[" + values.map { json($0, "") }.joined(separator: ",") + "]"
        }
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default:
                if scalar.value < 32 {
                    let hex = String(scalar.value, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                } else {
                    out.unicodeScalars.append(scalar)
                }
            }
        }
        return out + "\""
    }

    /// UTC with microseconds.
    private static func rfc3339(us: UInt64) -> String {
        var seconds = time_t(truncatingIfNeeded: us / 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let two = { (number: Int32) in number < 10 ? "0\(number)" : "\(number)" }
        let rest = String(us % 1_000_000 + 1_000_000).dropFirst()
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(rest)Z"
    }
}

extension ValueFormat {
    fileprivate var isTime: Bool {
        if case .time = self { return true }
        return false
    }
}
