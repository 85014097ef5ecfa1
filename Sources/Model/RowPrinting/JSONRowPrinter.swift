/// One JSON object a line, keys are column names. Empty strings and lists and nulls are left out, likewise the address
/// columns of the other family; an enumerated number has a readable twin `<column>_str`. Source: design.md 2.1.
package final class JSONRowPrinter: RowPrinter, RowEncoder {
    package var output = TextBuffer()
    private let columns: [Slot]
    /// `"name":` of every column.
    private let keys: TextTable
    private let enumerations: [TextTable]
    private let opening: [UInt8]
    private var index = 0
    private var rowIsIPv6 = false
    private var times = TimeText()

    private struct Slot {
        var isHidden: Bool
        var isOwnAddress: Bool
        /// Index into `enumerations`, -1 for plain numbers.
        var enumeration: Int
    }

    /// - Parameters:
    ///   - constants: members that begin every line, for example `table`.
    ///   - hidden: columns that are not printed, for example because an extra member takes the name.
    package init(table: TableSchema, constants: [(name: String, value: String)] = [], hiding hidden: Set<String> = []) {
        var tables: [TextTable] = []
        columns = table.columns.map { column in
            var slot = Slot(
                isHidden: hidden.contains(column.name), isOwnAddress: column.isOwnAddress, enumeration: -1)
            if let enumeration = column.enumeration {
                slot.enumeration = tables.count
                tables.append(
                    TextTable(
                        (UInt64(0)...256).map { value in
                            guard let name = enumeration.name(of: value) else { return "" }
                            return "\"\(column.name)_str\":\"\(name)\","
                        }))
            }
            return slot
        }
        enumerations = tables
        keys = TextTable(table.columns.map { "\"\($0.name)\":" })
        var start = TextBuffer(capacity: 256)
        start.append(123)
        for constant in constants {
            start.append(json: constant.name)
            start.append(58)
            start.append(json: constant.value)
            start.append(44)
        }
        opening = Array(start.bytes)
    }

    package func appendHeader() {}

    package func append(_ row: some TableRow, extras: [(name: String, value: FieldValue)]) {
        index = 0
        rowIsIPv6 = row.isIPv6
        let start = output.count
        opening.withUnsafeBytes { output.append($0) }
        var encoder = self
        row.encode(into: &encoder)
        for extra in extras {
            if extra.value == .null || extra.value == .text("") || extra.value == .list([]) { continue }
            output.append(json: extra.name)
            output.append(58)
            output.append(json: extra.value)
            output.append(44)
        }
        if output.count > start + 1 { output.truncate(to: output.count - 1) }
        output.append(125)
        output.append(10)
    }

    /// The slot of the next column when it is printed, with its key written.
    @inline(__always)
    private func open(leaveOut: Bool = false) -> Bool {
        let current = index
        index += 1
        guard !leaveOut, current < columns.count, !columns[current].isHidden else { return false }
        keys.append(current, to: &output)
        return true
    }

    @inline(__always)
    private func isLeftOut(addressIsZero: Bool, ofIPv6 v6: Bool) -> Bool {
        guard addressIsZero, index < columns.count else { return false }
        return !(columns[index].isOwnAddress && rowIsIPv6 == v6)
    }

    package func uint(_ value: UInt64) {
        let current = index
        guard open() else { return }
        output.append(decimal: value)
        output.append(44)
        let enumeration = columns[current].enumeration
        if enumeration >= 0 { enumerations[enumeration].append(Int(min(value, 256)), to: &output) }
    }

    package func int(_ value: Int64) {
        guard open() else { return }
        output.append(decimal: value)
        output.append(44)
    }

    package func real(_ value: Double) {
        guard open() else { return }
        output.append(real: value)
        output.append(44)
    }

    package func text(_ value: String) {
        guard open(leaveOut: value.isEmpty) else { return }
        output.append(json: value)
        output.append(44)
    }

    package func time(seconds: UInt64) { time(micros: seconds &* 1_000_000) }

    package func time(micros: UInt64) {
        guard open() else { return }
        output.append(34)
        times.append(micros: micros, to: &output)
        output.append(34)
        output.append(44)
    }

    package func ip4(_ value: UInt32) {
        guard open(leaveOut: isLeftOut(addressIsZero: value == 0, ofIPv6: false)) else { return }
        output.append(34)
        output.append(ip4: value)
        output.append(34)
        output.append(44)
    }

    package func ip6(_ value: IPAddress) {
        guard open(leaveOut: isLeftOut(addressIsZero: value.isZero, ofIPv6: true)) else { return }
        output.append(34)
        output.append(value.text(v6: true))
        output.append(34)
        output.append(44)
    }

    package func mac(_ value: UInt64) {
        guard open() else { return }
        output.append(34)
        output.append(mac: value)
        output.append(34)
        output.append(44)
    }

    package func texts(_ values: [String]) {
        guard open(leaveOut: values.isEmpty) else { return }
        list(values) { output.append(json: $0) }
    }

    package func uints(_ values: [UInt64]) {
        guard open(leaveOut: values.isEmpty) else { return }
        list(values) { output.append(decimal: $0) }
    }

    package func reals(_ values: [Double]) {
        guard open(leaveOut: values.isEmpty) else { return }
        list(values) { output.append(real: $0) }
    }

    package func null() { index += 1 }

    private func list<Value>(_ values: [Value], _ each: (Value) -> Void) {
        output.append(91)
        for (position, value) in values.enumerated() {
            if position > 0 { output.append(44) }
            each(value)
        }
        output.append(93)
        output.append(44)
    }
}
