/// A JSON value from a foreign text. Members keep their order.
indirect enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case list([JSONValue])
    case object([Member])

    struct Member: Sendable, Equatable {
        var name: String
        var value: JSONValue
    }

    /// The last member of a name counts.
    subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    var text: String? {
        if case .text(let text) = self { return text }
        return nil
    }

    /// In the form of Go's `%v`.
    var goText: String {
        switch self {
        case .null: "<nil>"
        case .bool(let value): value ? "true" : "false"
        case .number(let value): GoText.number(value)
        case .text(let text): text
        case .list(let values): "[" + values.map(\.goText).joined(separator: " ") + "]"
        case .object(let members):
            "map["
                + members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
                .map { "\($0.name):\($0.value.goText)" }.joined(separator: " ") + "]"
        }
    }
}

/// Reads JSON, bounded in depth and number of values.
struct JSONReader {
    struct Bad: Error {}

    static let maxDepth = 64
    /// A value takes many times the bytes that it has in the text.
    static let maxValues = 1 << 20

    private let text: [UInt8]
    private var position = 0
    private var valuesLeft = Self.maxValues

    init(_ text: [UInt8]) { self.text = text }

    /// Hands on the elements of an array one by one; those before a mistake stay.
    /// - Returns: whether the text was an array without a mistake.
    mutating func forEachElement(_ body: (JSONValue) -> Void) -> Bool {
        do throws(Bad) {
            skipBlanks()
            try expect(UInt8(ascii: "["))
            skipBlanks()
            if take(UInt8(ascii: "]")) { return true }
            repeat {
                body(try value(depth: 1))
                skipBlanks()
            } while take(UInt8(ascii: ","))
            try expect(UInt8(ascii: "]"))
            return true
        } catch {
            return false
        }
    }

    private mutating func value(depth: Int) throws(Bad) -> JSONValue {
        valuesLeft -= 1
        guard depth <= Self.maxDepth, valuesLeft >= 0 else { throw Bad() }
        skipBlanks()
        guard position < text.count else { throw Bad() }
        switch text[position] {
        case UInt8(ascii: "{"):
            position += 1
            var members: [JSONValue.Member] = []
            skipBlanks()
            if take(UInt8(ascii: "}")) { return .object(members) }
            repeat {
                skipBlanks()
                let name = try string()
                skipBlanks()
                try expect(UInt8(ascii: ":"))
                members.append(.init(name: name, value: try value(depth: depth + 1)))
                skipBlanks()
            } while take(UInt8(ascii: ","))
            try expect(UInt8(ascii: "}"))
            return .object(members)
        case UInt8(ascii: "["):
            position += 1
            var values: [JSONValue] = []
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .list(values) }
            repeat {
                values.append(try value(depth: depth + 1))
                skipBlanks()
            } while take(UInt8(ascii: ","))
            try expect(UInt8(ascii: "]"))
            return .list(values)
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(Bad) -> JSONValue {
        let bytes = UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard text[position...].starts(with: bytes) else { throw Bad() }
        position += bytes.count
        return value
    }

    private mutating func number() throws(Bad) -> Double {
        let start = position
        while position < text.count, isOfNumber(text[position]) { position += 1 }
        let digits = text[start..<position]
        guard let first = digits.first, first == UInt8(ascii: "-") || first >= 48 && first <= 57,
            let value = Double(String(decoding: digits, as: UTF8.self)), value.isFinite
        else { throw Bad() }
        return value
    }

    private func isOfNumber(_ byte: UInt8) -> Bool {
        byte >= 48 && byte <= 57 || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
            || byte | 32 == UInt8(ascii: "e")
    }

    private mutating func string() throws(Bad) -> String {
        try expect(UInt8(ascii: "\""))
        var out: [UInt8] = []
        while position < text.count {
            let byte = text[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: out, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &out)
            case ..<32: throw Bad()
            default: out.append(byte)
            }
        }
        throw Bad()
    }

    private mutating func escape(into out: inout [UInt8]) throws(Bad) {
        guard position < text.count else { throw Bad() }
        let byte = text[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(byte)
        case UInt8(ascii: "b"): out.append(8)
        case UInt8(ascii: "f"): out.append(12)
        case UInt8(ascii: "n"): out.append(10)
        case UInt8(ascii: "r"): out.append(13)
        case UInt8(ascii: "t"): out.append(9)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            // Half of a pair alone is replaced.
            if code & 0xfc00 == 0xd800, text[position...].starts(with: "\\u".utf8) {
                let before = position
                position += 2
                let low = try hexadecimal()
                if low & 0xfc00 == 0xdc00 {
                    code = 0x10000 + (((code & 0x3ff) << 10) | (low & 0x3ff))
                } else {
                    position = before
                }
            }
            out += String(Character(Unicode.Scalar(code) ?? "\u{fffd}")).utf8
        default: throw Bad()
        }
    }

    private mutating func hexadecimal() throws(Bad) -> UInt32 {
        guard text.count - position >= 4 else { throw Bad() }
        var code: UInt32 = 0
        for byte in text[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { throw Bad() }
            code = code << 4 | UInt32(digit)
        }
        position += 4
        return code
    }

    private mutating func skipBlanks() {
        while position < text.count, [32, 9, 10, 13].contains(text[position]) { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < text.count, text[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ byte: UInt8) throws(Bad) {
        guard take(byte) else { throw Bad() }
    }
}
