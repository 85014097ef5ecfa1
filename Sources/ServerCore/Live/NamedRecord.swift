import EngineAPI
import Model

/// A row of the small lists (host, interfaces, processes, own counters, map): values in the order of its columns.
struct NamedRecord: LiveRecord {
    let id: UInt64
    let fields: NamedFields
    /// What only the details show, by its own names.
    var more: [Detail.Field] = []

    package func field(_ column: FilterColumn) -> FieldValue? { fields.field(column) }

    package func address(_ column: FilterColumn) -> FilterAddress? { fields.address(column) }

    package func hasText(_ pattern: TextPattern) -> Bool { fields.hasText(pattern) }

    func sortKey(_ column: FilterColumn) -> SortKey {
        guard case .text(let text)? = fields.field(column) else { return SortKey(fields.field(column)) }
        if column.name.hasPrefix("ip_"), let address = IPAddress.parse(text) { return SortKey(address.address) }
        if column.known == .l7Protocol { return SortKey(text) }
        return SortKey(text)
    }
}
