#if canImport(Glibc)
    import Glibc
#endif

/// Writes rows of one table as text into a buffer of its own that the caller drains.
///
/// Not thread safe: one printer a thread. `append` of rows costs no allocation once the buffer has grown.
package protocol RowPrinter: AnyObject {
    var output: TextBuffer { get set }
    /// What stands before the first row: the header line of `csv` and `table`.
    func appendHeader()
    /// One line.
    func append(_ row: some TableRow)
    /// One line with members that are no columns, for example `message` of an L7 message. Names not announced as
    /// extra columns at `init` are ignored by `csv` and `table`.
    func append(_ row: some TableRow, extras: [(name: String, value: FieldValue)])
}

extension RowPrinter {
    package func append(_ row: some TableRow) { append(row, extras: []) }

    /// Writes the buffer to a file descriptor and empties it. Returns 0 or the `errno` of the write that failed.
    package func drain(to descriptor: Int32) -> Int32 {
        defer { output.removeAll() }
        var rest = output.bytes[...]
        while !rest.isEmpty {
            let written = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if written < 0 {
                if errno == EINTR { continue }
                return errno
            }
            rest = rest.dropFirst(written)
        }
        return 0
    }

    /// The text so far, which leaves the buffer.
    package func takeText() -> String {
        defer { output.removeAll() }
        return String(decoding: output.bytes, as: UTF8.self)
    }
}

/// Text pieces in one block, found by index: ready-made keys and enumeration names.
struct TextTable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []

    init(_ pieces: [String]) {
        for piece in pieces {
            bytes += piece.utf8
            ends.append(bytes.count)
        }
    }

    @inline(__always)
    func append(_ index: Int, to out: inout TextBuffer) {
        let start = index == 0 ? 0 : ends[index - 1]
        bytes.withUnsafeBytes { out.append(UnsafeRawBufferPointer(rebasing: $0[start..<ends[index]])) }
    }
}

/// JSON strings, RFC 8259: quotes, backslashes and control characters escaped, UTF-8 as it is.
extension TextBuffer {
    mutating func append(json text: String) {
        var text = text
        text.withUTF8 { text in
            let bytes = UnsafeRawBufferPointer(text)
            reserve(bytes.count + 2)
            put(34)
            var clean = 0
            for index in bytes.indices {
                let byte = bytes[index]
                if byte >= 0x20 && byte != 34 && byte != 92 && byte != 0x7f { continue }
                append(UnsafeRawBufferPointer(rebasing: bytes[clean..<index]))
                clean = index + 1
                append(escaped: byte)
            }
            append(UnsafeRawBufferPointer(rebasing: bytes[clean...]))
            append(34)
        }
    }

    private mutating func append(escaped byte: UInt8) {
        reserve(6)
        put(92)
        switch byte {
        case 34, 92: put(byte)
        case 10: put(110)
        case 13: put(114)
        case 9: put(116)
        default:
            put(117)
            put(48)
            put(48)
            put(hexDigit(byte >> 4))
            put(hexDigit(byte & 15))
        }
    }

    mutating func append(json value: FieldValue) {
        switch value {
        case .null: append("null")
        case .int(let number): append(decimal: number)
        case .uint(let number): append(decimal: number)
        case .real(let number): append(real: number)
        case .text(let text): append(json: text)
        case .list(let items):
            append(91)
            for (index, item) in items.enumerated() {
                if index > 0 { append(44) }
                append(json: item)
            }
            append(93)
        }
    }
}

extension FieldValue {
    /// As JSON text.
    package var json: String {
        var buffer = TextBuffer(capacity: 256)
        buffer.append(json: self)
        return String(decoding: buffer.bytes, as: UTF8.self)
    }
}
