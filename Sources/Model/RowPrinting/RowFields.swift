/// Values of chosen columns of a row by name: what filters, sorting and details look at.
///
/// Times are numbers (seconds or microseconds as the column has them), addresses and MACs are text, an address column
/// of the other family is null.
package struct RowFields: RowEncoder {
    package let table: TableSchema
    /// Values in the order of `names`.
    package private(set) var values: [FieldValue]
    package let names: [String]
    /// Slot of each column, -1 for those that nobody asked for.
    private let slots: [Int]
    private var index = 0
    private var rowIsIPv6 = false

    /// - Parameter columns: names; unknown ones stay null. Nil: all columns of the table.
    package init(table: TableSchema, columns: [String]? = nil) {
        self.table = table
        names = columns ?? table.columns.map(\.name)
        values = Array(repeating: .null, count: names.count)
        var slots = Array(repeating: -1, count: table.columns.count)
        for (slot, name) in names.enumerated() {
            if let position = table.index(of: name) { slots[position] = slot }
        }
        self.slots = slots
    }

    /// Takes the values of another row.
    package mutating func read(_ row: some TableRow) {
        index = 0
        rowIsIPv6 = row.isIPv6
        row.encode(into: &self)
    }

    package subscript(name: String) -> FieldValue {
        names.firstIndex(of: name).map { values[$0] } ?? .null
    }

    @inline(__always)
    private mutating func next() -> Int {
        let current = index
        index += 1
        return current < slots.count ? slots[current] : -1
    }

    @inline(__always)
    private mutating func set(_ value: @autoclosure () -> FieldValue) {
        let slot = next()
        if slot >= 0 { values[slot] = value() }
    }

    private mutating func set(address: IPAddress, v6: Bool) {
        let column = index
        let slot = next()
        guard slot >= 0 else { return }
        let isShown = !address.isZero || (table.columns[column].isOwnAddress && rowIsIPv6 == v6)
        values[slot] = isShown ? .text(address.text(v6: v6)) : .null
    }

    package mutating func uint(_ value: UInt64) { set(.uint(value)) }
    package mutating func int(_ value: Int64) { set(.int(value)) }
    package mutating func real(_ value: Double) { set(.real(value)) }
    package mutating func text(_ value: String) { set(.text(value)) }
    package mutating func time(seconds: UInt64) { set(.uint(seconds)) }
    package mutating func time(micros: UInt64) { set(.uint(micros)) }
    package mutating func ip4(_ value: UInt32) { set(address: IPAddress(v4: value), v6: false) }
    package mutating func ip6(_ value: IPAddress) { set(address: value, v6: true) }
    package mutating func mac(_ value: UInt64) { set(.text(macText(value))) }
    package mutating func texts(_ values: [String]) { set(.list(values.map { .text($0) })) }
    package mutating func uints(_ values: [UInt64]) { set(.list(values.map { .uint($0) })) }
    package mutating func reals(_ values: [Double]) { set(.list(values.map { .real($0) })) }
    package mutating func null() { set(.null) }
}
