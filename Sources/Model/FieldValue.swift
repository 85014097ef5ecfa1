/// One value of a query answer or of a record seen by name.
package enum FieldValue: Sendable, Hashable, Codable {
    case null
    case int(Int64)
    case uint(UInt64)
    case real(Double)
    case text(String)
    case list([FieldValue])
}

/// An answer in rows; every row has `columns.count` values.
package struct ResultTable: Sendable, Equatable, Codable {
    package var columns: [String]
    package var rows: [[FieldValue]]

    package init(columns: [String] = [], rows: [[FieldValue]] = []) {
        self.columns = columns
        self.rows = rows
    }
}
