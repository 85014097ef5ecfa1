/// Comma separated values, RFC 4180 with a header line of column names; lines end with LF. Nulls and address columns
/// of the other family are empty fields, lists are JSON text. Source: design.md 2.1.
package final class CSVRowPrinter: RowPrinter, RowEncoder {
    package var output = TextBuffer()
    private let table: TableSchema
    private let extraNames: [String]
    private let isHidden: [Bool]
    private let hidesAny: Bool
    /// Room for every number, time and address of a row; no table has as many as 256 columns.
    private let numberRoom = 256 * 40
    private let isOwnAddress: [Bool]
    private var index = 0
    private var rowIsIPv6 = false
    private var times = TimeText()
    private var scratch = TextBuffer(capacity: 256)

    /// - Parameters:
    ///   - extras: further fields behind the columns, filled from the extras of `append`.
    ///   - hidden: columns that are not printed.
    package init(table: TableSchema, extras: [String] = [], hiding hidden: Set<String> = []) {
        self.table = table
        extraNames = extras
        isHidden = table.columns.map { hidden.contains($0.name) }
        isOwnAddress = table.columns.map(\.isOwnAddress)
        hidesAny = isHidden.contains(true)
    }

    package func appendHeader() {
        let names = table.columns.indices.filter { !isHidden[$0] }.map { table.columns[$0].name } + extraNames
        for (position, name) in names.enumerated() {
            if position > 0 { output.append(44) }
            append(quoted: name)
        }
        output.append(10)
    }

    package func append(_ row: some TableRow, extras: [(name: String, value: FieldValue)]) {
        index = 0
        rowIsIPv6 = row.isIPv6
        let start = output.count
        output.reserve(numberRoom)
        var encoder = self
        row.encode(into: &encoder)
        for name in extraNames {
            append(field: extras.first { $0.name == name }?.value ?? .null)
            output.append(44)
        }
        if output.count > start { output.truncate(to: output.count - 1) }
        output.append(10)
    }

    private func append(field value: FieldValue) {
        switch value {
        case .null: break
        case .text(let text): append(quoted: text)
        case .int(let number): output.append(decimal: number)
        case .uint(let number): output.append(decimal: number)
        case .real(let number): output.append(real: number)
        case .list(let items):
            scratch.append(json: .list(items))
            appendScratch()
        }
    }

    @inline(__always)
    private func next() -> Bool {
        let current = index
        index &+= 1
        return !hidesAny || (current < isHidden.count && !isHidden[current])
    }

    @inline(__always)
    private func isLeftOut(addressIsZero: Bool, ofIPv6 v6: Bool) -> Bool {
        addressIsZero && index <= isOwnAddress.count && !(isOwnAddress[index - 1] && rowIsIPv6 == v6)
    }

    /// A field in quotes when it holds a separator, a quote or a line end.
    private func append(quoted text: String) {
        var text = text
        text.withUTF8 { append(quoted: UnsafeRawBufferPointer($0)) }
    }

    private func append(quoted bytes: UnsafeRawBufferPointer) {
        guard bytes.contains(where: { $0 == 44 || $0 == 34 || $0 == 10 || $0 == 13 }) else {
            return output.append(bytes)
        }
        output.reserve(bytes.count * 2 + 2)
        output.append(34)
        for byte in bytes {
            if byte == 34 { output.append(34) }
            output.append(byte)
        }
        output.append(34)
    }

    private func appendScratch() {
        append(quoted: scratch.bytes)
        scratch.removeAll()
    }

    package func uint(_ value: UInt64) {
        guard next() else { return }
        if value < 10 { return output.put(digit: UInt8(truncatingIfNeeded: value), then: 44) }
        output.put(decimal: value)
        output.put(44)
    }

    package func int(_ value: Int64) {
        guard next() else { return }
        if value < 0 { output.put(45) }
        output.put(decimal: value.magnitude)
        output.put(44)
    }

    package func real(_ value: Double) {
        guard next() else { return }
        if value == 0 { return output.put(digit: 0, then: 44) }
        output.append(real: value)
        output.reserve(numberRoom)
        output.append(44)
    }

    package func text(_ value: String) {
        guard next() else { return }
        if !value.isEmpty {
            append(quoted: value)
            output.reserve(numberRoom)
        }
        output.put(44)
    }

    package func time(seconds: UInt64) { time(micros: seconds &* 1_000_000) }

    package func time(micros: UInt64) {
        guard next() else { return }
        times.append(micros: micros, to: &output)
        output.append(44)
    }

    package func ip4(_ value: UInt32) {
        guard next() else { return }
        if !isLeftOut(addressIsZero: value == 0, ofIPv6: false) { output.append(ip4: value) }
        output.append(44)
    }

    package func ip6(_ value: IPAddress) {
        guard next() else { return }
        if !isLeftOut(addressIsZero: value.isZero, ofIPv6: true) { output.append(value.text(v6: true)) }
        output.append(44)
    }

    package func mac(_ value: UInt64) {
        guard next() else { return }
        output.append(mac: value)
        output.append(44)
    }

    package func texts(_ values: [String]) {
        guard next() else { return }
        if !values.isEmpty { append(field: .list(values.map { .text($0) })) }
        output.reserve(numberRoom)
        output.put(44)
    }

    package func uints(_ values: [UInt64]) {
        guard next() else { return }
        if !values.isEmpty { append(field: .list(values.map { .uint($0) })) }
        output.reserve(numberRoom)
        output.put(44)
    }

    package func reals(_ values: [Double]) {
        guard next() else { return }
        if !values.isEmpty { append(field: .list(values.map { .real($0) })) }
        output.reserve(numberRoom)
        output.put(44)
    }

    package func null() {
        guard next() else { return }
        output.put(44)
    }
}
