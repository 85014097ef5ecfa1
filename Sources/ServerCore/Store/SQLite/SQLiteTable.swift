import Model

/// How a table of the catalogue, or a roll-up of it, lies in SQLite: one base table per time span, named
/// `<table>#<start>`, and a view over all of them that bears the catalogue's name.
///
/// A base table has only the columns that some row of it needed: most of the hundred and more columns hold nothing but
/// their type's default on a given site, and the view says so in their place. A column that comes to be needed is added
/// (which rewrites nothing). Strings may be numbers of the dictionary; an IPv6 address `::` and an empty list are NULL.
/// Source: ingester.md 8.7.
struct SQLiteTable: Sendable {
    let schema: TableSchema
    /// `network.1m`, or `network.1h` for a roll-up.
    let name: String
    let spanSeconds: UInt64
    var ttlHours: Int
    /// Nil for the table itself, else the interval of the roll-up.
    let rollupSeconds: UInt64?
    /// Positions in the schema of the columns that are kept.
    let kept: [Int]

    init(_ schema: TableSchema) {
        self.schema = schema
        name = schema.name
        spanSeconds = UInt64(schema.partitionHours) * 3600
        ttlHours = schema.ttlHours
        rollupSeconds = nil
        kept = Array(schema.columns.indices)
    }

    /// The roll-up of a one-minute table: "1h" (partitions of a week) or "1d" (of 30 days), both kept 30 days.
    /// Source: ingester.md 8.3.
    init?(_ schema: TableSchema, rollup: String) {
        guard schema.name.hasSuffix(".1m") else { return nil }
        switch rollup {
        case "1h":
            rollupSeconds = 3600
            spanSeconds = 7 * 86400
        case "1d":
            rollupSeconds = 86400
            spanSeconds = 30 * 86400
        default: return nil
        }
        self.schema = schema
        name = schema.name.dropLast(2) + rollup
        ttlHours = 30 * 24
        kept = schema.columns.indices.filter { schema.columns[$0].rollup != .dropped }
    }

    /// All tables of a schema: itself and its roll-ups.
    static func all(of schema: TableSchema) -> [SQLiteTable] {
        [SQLiteTable(schema)] + schema.rollups.compactMap { SQLiteTable(schema, rollup: $0) }
    }

    func partitionName(start: UInt64) -> String { "\(name)#\(start)" }

    func start(of seconds: UInt64) -> UInt64 { seconds / spanSeconds * spanSeconds }

    var columnNames: [String] { kept.map { schema.columns[$0].name } }

    /// - Parameter layout: positions of the columns in the schema, in the order of the base table.
    func createPartition(_ partition: String, layout: [Int]) -> [String] {
        let key = rollupSeconds == nil ? [] : ["_key INTEGER PRIMARY KEY"]
        let columns = key + layout.map { definition(of: $0) }
        let table = "CREATE TABLE \(quoted(partition)) (\(columns.joined(separator: ", ")))"
        guard rollupSeconds == nil else { return [table] }
        return [table, "CREATE INDEX \(quoted(partition + ".time")) ON \(quoted(partition)) (time)"]
    }

    func addColumn(_ position: Int, to partition: String) -> String {
        "ALTER TABLE \(quoted(partition)) ADD COLUMN \(definition(of: position))"
    }

    private func definition(of position: Int) -> String {
        let column = schema.columns[position]
        let value = column.isNullable ? nil : SQLiteTable.storedDefault(of: column)
        return "\(quoted(column.name)) \(SQLiteTable.type(of: column))" + (value.map { " DEFAULT \($0)" } ?? "")
    }

    /// `INSERT` with one parameter a column; a roll-up's first one is the key, and rows of one key are merged.
    func insert(into partition: String, layout: [Int]) -> String {
        let count = layout.count + (rollupSeconds == nil ? 0 : 1)
        let marks = Array(repeating: "?", count: count).joined(separator: ",")
        let insert = "INSERT INTO \(quoted(partition)) VALUES (\(marks))"
        guard rollupSeconds != nil else { return insert }
        let merged = layout.compactMap { position -> String? in
            let column = quoted(schema.columns[position].name)
            switch schema.columns[position].rollup {
            case .sum: return "\(column)=\(column)+excluded.\(column)"
            case .max: return "\(column)=max(\(column),excluded.\(column))"
            case .none, .groupBy, .dropped: return nil
            }
        }
        return insert + " ON CONFLICT(_key) DO "
            + (merged.isEmpty ? "NOTHING" : "UPDATE SET " + merged.joined(separator: ","))
    }

    /// The view over partitions; without any it has the columns and no rows.
    func createView(over partitions: [(name: String, layout: [Int])]) -> String {
        let parts = partitions.map { partition -> String in
            let present = Set(partition.layout)
            let columns = kept.map { position -> String in
                let column = schema.columns[position]
                return present.contains(position)
                    ? SQLiteTable.expression(of: column)
                    : "\(SQLiteTable.shownDefault(of: column)) AS \(quoted(column.name))"
            }
            return "SELECT \(columns.joined(separator: ", ")) FROM \(quoted(partition.name))"
        }
        let empty = "SELECT " + columnNames.map { "NULL AS \(quoted($0))" }.joined(separator: ", ") + " WHERE 0"
        return "CREATE VIEW \(quoted(name)) AS " + (parts.isEmpty ? empty : parts.joined(separator: " UNION ALL "))
    }

    private static func storedDefault(of column: ColumnSchema) -> String? {
        switch column.kind {
        case .uint, .int, .seconds, .micros, .ip4, .mac, .real: "0"
        case .text: "''"
        case .ip6, .texts, .uints, .reals: nil
        }
    }

    private static func shownDefault(of column: ColumnSchema) -> String {
        if column.isNullable { return "NULL" }
        switch column.kind {
        case .uint, .int, .seconds, .micros, .ip4, .mac: return "0"
        case .real: return "0.0"
        case .text: return "''"
        case .ip6: return "zeroblob(16)"
        case .texts, .uints, .reals: return "'[]'"
        }
    }

    private static func type(of column: ColumnSchema) -> String {
        switch column.kind {
        case .uint, .int, .seconds, .micros, .ip4, .mac: "INTEGER"
        case .real: "REAL"
        // Without a type: a number of the dictionary must stay a number.
        case .text where column.isLowCardinality: ""
        case .text, .texts, .uints, .reals: "TEXT"
        case .ip6: "BLOB"
        }
    }

    private static func expression(of column: ColumnSchema) -> String {
        let name = quoted(column.name)
        switch column.kind {
        case .text where column.isLowCardinality:
            let looked = "(SELECT text FROM dictionary WHERE id = \(name))"
            return "CASE typeof(\(name)) WHEN 'integer' THEN \(looked) ELSE \(name) END AS \(name)"
        case .ip6: return "ifnull(\(name), zeroblob(16)) AS \(name)"
        case .texts, .uints, .reals: return "ifnull(\(name), '[]') AS \(name)"
        default: return name
        }
    }
}
