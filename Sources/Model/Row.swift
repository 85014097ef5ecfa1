/// Receives the values of one row, column by column, in the order of the table's catalogue.
///
/// Every stored or printed row passes through this: the SQLite writer binds them, printers write them, tests record
/// them. The kind of call tells the meaning; a value equal to its type's default still makes its call.
package protocol RowEncoder {
    /// UInt8...UInt64 columns.
    mutating func uint(_ value: UInt64)
    /// Int32 and Int64 columns.
    mutating func int(_ value: Int64)
    /// Float64 columns.
    mutating func real(_ value: Double)
    /// String columns.
    mutating func text(_ value: String)
    /// String columns that hold bytes rather than text.
    mutating func bytes(_ value: [UInt8])
    /// `DateTime`: seconds since 1970.
    mutating func time(seconds: UInt64)
    /// `DateTime64(6)`: microseconds since 1970.
    mutating func time(micros: UInt64)
    mutating func ip4(_ value: UInt32)
    mutating func ip6(_ value: IPAddress)
    /// 48-bit MAC columns.
    mutating func mac(_ value: UInt64)
    mutating func texts(_ values: [String])
    mutating func uints(_ values: [UInt64])
    mutating func reals(_ values: [Double])
    /// A null of a nullable column.
    mutating func null()
}

extension RowEncoder {
    /// In hexadecimal digits, where bytes have no form of their own.
    package mutating func bytes(_ value: [UInt8]) {
        text(value.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
    }
}

/// A row of one table of the catalogue.
package protocol TableRow: Sendable {
    /// Which family the row's own addresses have: printers leave out the columns of the other one.
    var isIPv6: Bool { get }
    /// Writes all columns in catalogue order.
    func encode<Encoder: RowEncoder>(into encoder: inout Encoder)
}

extension TableRow {
    package var isIPv6: Bool { false }
}
