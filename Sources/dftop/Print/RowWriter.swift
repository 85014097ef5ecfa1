import Model

#if canImport(Glibc)
    import Glibc
#endif

/// Output formats of `dftop print`.
enum OutputFormat: String, CaseIterable {
    case json
    case csv
    case table

    /// Table on a terminal, JSON otherwise.
    static var standard: OutputFormat { isatty(1) == 1 ? .table : .json }
}

/// Rows of one table to stdout: filtered, counted, in one format.
final class RowWriter {
    private static let flushBytes = 1 << 16

    let table: TableSchema
    private let printer: any RowPrinter
    private let filter: Filter?
    private var fields: RowFields
    private let columns: NamedFields.Columns
    private let budget: RowBudget
    /// Live output is shown at once.
    private let isPrompt: Bool
    private var hasHeader = false

    init(
        table: TableSchema, format: OutputFormat, filter: Filter?, budget: RowBudget, isPrompt: Bool,
        extras: [String] = [],
        constants: [(name: String, value: String)] = [], hiding hidden: Set<String> = []
    ) {
        self.table = table
        self.filter = filter
        self.budget = budget
        self.isPrompt = isPrompt
        fields = RowFields(table: table)
        columns = NamedFields.Columns(table.columns.map(\.name))
        switch format {
        case .json: printer = JSONRowPrinter(table: table, constants: constants, hiding: hidden)
        case .csv: printer = CSVRowPrinter(table: table, extras: extras, hiding: hidden)
        case .table: printer = TableRowPrinter(table: table, extras: extras)
        }
    }

    func write<Row: TableRow>(_ row: Row, extras: [(name: String, value: FieldValue)] = []) {
        guard !budget.isSpent else { return }
        if let filter {
            fields.read(row)
            guard filter.matches(NamedFields(columns: columns, values: fields.values)) else { return }
        }
        startTable()
        printer.append(row, extras: extras)
        budget.spend()
        if printer.output.count >= RowWriter.flushBytes { drain() }
    }

    private func startTable() {
        guard !hasHeader else { return }
        printer.appendHeader()
        hasHeader = true
    }

    /// End of all rows: a table without any has its header all the same.
    func finish() {
        startTable()
        drain()
    }

    /// End of a batch.
    func endBatch() {
        if isPrompt { drain() }
    }

    func drain() {
        let code = printer.drain(to: 1)
        if code != 0 { budget.stop(code) }
    }
}

/// How many rows may still be printed, over all tables of a command; also the end when stdout has gone away.
final class RowBudget {
    private var left: Int
    private(set) var writeError: Int32 = 0

    init(_ count: Int?) { left = count ?? .max }

    var isSpent: Bool { left <= 0 }
    func spend() { left -= 1 }

    func stop(_ code: Int32) {
        writeError = code
        left = 0
    }
}
