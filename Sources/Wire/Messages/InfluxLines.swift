/// One point of the InfluxDB line protocol.
package struct InfluxPoint: Sendable, Equatable {
    package struct Tag: Sendable, Equatable {
        package var name: String
        package var value: String
        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package struct Field: Sendable, Equatable {
        package var name: String
        package var value: Double
        package init(_ name: String, _ value: Double) {
            self.name = name
            self.value = value
        }
    }

    package var measurement = ""
    /// In the order of their names.
    package var tags: [Tag] = []
    /// Floats and integers, in the order of the line.
    package var fields: [Field] = []
    /// Fields of text or truth, which have no column.
    package var otherFields = 0
    /// Nil: none was given.
    package var timestampNs: Int64?
}

/// A text of many lines, read one after the other. Source: ingester.md 6.1; wire.md 7.7.
package struct InfluxLines {
    private let text: [UInt8]
    private var position = 0
    private var lineEnd = 0
    /// Lines that are no points.
    package private(set) var errors = 0

    package init(_ text: [UInt8]) { self.text = text }

    /// The next point; lines that are none are counted and passed over.
    package mutating func next() -> InfluxPoint? {
        while position < text.count {
            lineEnd = endOfLine(from: position)
            defer { position = min(lineEnd + 1, text.count) }
            while position < lineEnd, isBlank(text[position]) { position += 1 }
            if position == lineEnd || text[position] == UInt8(ascii: "#") { continue }
            if text[lineEnd - 1] == 13 {
                // A line may end as those of Windows do.
                let end = lineEnd
                lineEnd -= 1
                let point = point()
                lineEnd = end
                if let point { return point }
            } else if let point = point() {
                return point
            }
            errors += 1
        }
        return nil
    }

    /// Line feeds within quoted texts belong to them; a quote opens one only in the fields, behind a `=`.
    private func endOfLine(from start: Int) -> Int {
        var at = start
        var isQuoted = false
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "\\"): at += 1
            case UInt8(ascii: "\"") where isQuoted: isQuoted = false
            case UInt8(ascii: "\"") where at > start && text[at - 1] == UInt8(ascii: "="): isQuoted = true
            case 10 where !isQuoted: return at
            default: break
            }
            at += 1
        }
        return text.count
    }

    private func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 13 }

    private mutating func point() -> InfluxPoint? {
        var point = InfluxPoint()
        guard let measurement = word(until: ", "), !measurement.isEmpty else { return nil }
        point.measurement = measurement
        while position < lineEnd, text[position] == UInt8(ascii: ",") {
            position += 1
            guard let name = word(until: ",= "), !name.isEmpty, take(UInt8(ascii: "=")),
                let value = word(until: ", ="), !value.isEmpty
            else { return nil }
            point.tags.append(.init(name, value))
        }
        point.tags.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        guard take(32) else { return nil }
        skipBlanks()
        repeat {
            guard let name = word(until: ",= "), !name.isEmpty, take(UInt8(ascii: "=")) else { return nil }
            guard let value = fieldValue() else { return nil }
            switch value {
            case .number(let number): point.fields.append(.init(name, number))
            case .other: point.otherFields += 1
            }
        } while take(UInt8(ascii: ","))
        skipBlanks()
        if position < lineEnd {
            var end = lineEnd
            while end > position, isBlank(text[end - 1]) { end -= 1 }
            guard let stamp = Int64(String(decoding: text[position..<end], as: UTF8.self)) else { return nil }
            point.timestampNs = stamp
        }
        return point
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < lineEnd, text[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipBlanks() {
        while position < lineEnd, isBlank(text[position]) { position += 1 }
    }

    /// Up to one of the bytes; a backslash in front of one of them, or of a comma, blank or `=`, takes its meaning.
    private mutating func word(until ends: StaticString) -> String? {
        let ends = UnsafeBufferPointer(start: ends.utf8Start, count: ends.utf8CodeUnitCount)
        var out: [UInt8] = []
        while position < lineEnd {
            let byte = text[position]
            if byte == UInt8(ascii: "\\"), position + 1 < lineEnd {
                let next = text[position + 1]
                if next == UInt8(ascii: ",") || next == UInt8(ascii: "=") || next == 32 {
                    out.append(next)
                    position += 2
                    continue
                }
            }
            if ends.contains(byte) { break }
            out.append(byte)
            position += 1
        }
        return String(decoding: out, as: UTF8.self)
    }

    private enum Value {
        case number(Double)
        case other
    }

    private mutating func fieldValue() -> Value? {
        guard position < lineEnd else { return nil }
        if take(UInt8(ascii: "\"")) {
            while position < lineEnd, text[position] != UInt8(ascii: "\"") {
                position += text[position] == UInt8(ascii: "\\") ? 2 : 1
            }
            position = min(position, lineEnd)
            return take(UInt8(ascii: "\"")) ? .other : nil
        }
        let start = position
        while position < lineEnd, text[position] != UInt8(ascii: ","), !isBlank(text[position]) { position += 1 }
        let word = text[start..<position]
        guard let last = word.last else { return nil }
        switch last {
        case UInt8(ascii: "i"):
            return Int64(String(decoding: word.dropLast(), as: UTF8.self)).map { .number(Double($0)) }
        case UInt8(ascii: "u"):
            return UInt64(String(decoding: word.dropLast(), as: UTF8.self)).map { .number(Double($0)) }
        default:
            let text = String(decoding: word, as: UTF8.self)
            switch text {
            case "t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE": return .other
            default: break
            }
            // Names of infinities and hexadecimal numbers are none of the protocol.
            guard word.allSatisfy({ $0 >= 48 && $0 <= 57 || "+-.eE".utf8.contains($0) }) else { return nil }
            return Double(text).flatMap { $0.isFinite ? .number($0) : nil }
        }
    }
}
