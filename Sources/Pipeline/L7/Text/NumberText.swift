/// Numbers as the reference prints them.
enum RustNumber {
    /// Shortest decimal text that gives the same number, without exponent and without `.0`.
    static func text(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        let shortest = value.description
        guard let mark = shortest.firstIndex(of: "e") else {
            return shortest.hasSuffix(".0") ? String(shortest.dropLast(2)) : shortest
        }
        let isNegative = shortest.hasPrefix("-")
        let mantissa = shortest[..<mark].drop { $0 == "-" }
        let parts = mantissa.split(separator: ".", omittingEmptySubsequences: false)
        var fraction = parts.count > 1 ? String(parts[1]) : ""
        if fraction == "0" { fraction = "" }
        let digits = String(parts[0]) + fraction
        let exponent = Int(shortest[shortest.index(after: mark)...]) ?? 0
        // Digits in front of the decimal point.
        let point = parts[0].utf8.count + exponent
        let plain: String
        if point <= 0 {
            plain = "0." + String(repeating: "0", count: -point) + digits
        } else if point >= digits.utf8.count {
            plain = digits + String(repeating: "0", count: point - digits.utf8.count)
        } else {
            plain = String(digits.prefix(point)) + "." + String(digits.dropFirst(point))
        }
        return (isNegative ? "-" : "") + plain
    }
}

/// IEEE 754 decimal128, binary integer encoding, as BSON has it. Source: BSON decimal128 specification, "to string".
enum Decimal128Text {
    static func of(high: UInt64, low: UInt64) -> String {
        let sign = high >> 63 == 1 ? "-" : ""
        let combination = high >> 58 & 0x1f
        if combination == 0x1f { return "NaN" }
        if combination == 0x1e { return sign + "Infinity" }
        let exponent: Int
        var coefficient: UInt128
        if combination >> 3 == 3 {
            // A coefficient beyond 34 digits counts as zero.
            exponent = Int(high >> 47 & 0x3fff) - 6176
            coefficient = 0
        } else {
            exponent = Int(high >> 49 & 0x3fff) - 6176
            coefficient = UInt128(high & 0x1_ffff_ffff_ffff) << 64 | UInt128(low)
            if coefficient > 9_999_999_999_999_999_999_999_999_999_999_999 { coefficient = 0 }
        }
        let digits = String(coefficient)
        let scientific = exponent + digits.utf8.count - 1
        if exponent <= 0, scientific >= -6 {
            guard exponent < 0 else { return sign + digits }
            let point = digits.utf8.count + exponent
            return point > 0
                ? sign + digits.prefix(point) + "." + digits.dropFirst(point)
                : sign + "0." + String(repeating: "0", count: -point) + digits
        }
        let fraction = digits.dropFirst()
        return sign + digits.prefix(1) + (fraction.isEmpty ? "" : "." + fraction)
            + (scientific < 0 ? "E" : "E+") + String(scientific)
    }
}
