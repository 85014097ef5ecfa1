/// Times of logs: `2023-11-14T22:13:20.123456+02:00`. Source: RFC 3339, 5.6.
enum RFC3339 {
    /// Microseconds since 1970; nil for another form, or a time before.
    static func micros(_ text: some StringProtocol) -> UInt64? {
        var bytes = Array(text.utf8)[...]
        guard let year = take(&bytes, 4, then: UInt8(ascii: "-")), let month = take(&bytes, 2, then: UInt8(ascii: "-")),
            let day = take(&bytes, 2), (1...12).contains(month), (1...31).contains(day),
            let mark = bytes.popFirst(), mark | 32 == UInt8(ascii: "t"),
            let hour = take(&bytes, 2, then: UInt8(ascii: ":")), let minute = take(&bytes, 2, then: UInt8(ascii: ":")),
            let second = take(&bytes, 2), hour < 24, minute < 60, second <= 60
        else { return nil }
        var micros = 0
        if bytes.first == UInt8(ascii: ".") {
            bytes.removeFirst()
            var place = 100_000
            guard let first = bytes.first, isDigit(first) else { return nil }
            while let digit = bytes.first, isDigit(digit) {
                micros += Int(digit - 48) * place
                place /= 10
                bytes.removeFirst()
            }
        }
        guard let zone = bytes.popFirst() else { return nil }
        var offset = 0
        switch zone {
        case UInt8(ascii: "Z"), UInt8(ascii: "z"): break
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            guard let hours = take(&bytes, 2, then: UInt8(ascii: ":")), let minutes = take(&bytes, 2), hours < 24,
                minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * (zone == UInt8(ascii: "+") ? 60 : -60)
        default: return nil
        }
        guard bytes.isEmpty else { return nil }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        return seconds < 0 ? nil : UInt64(seconds) * 1_000_000 + UInt64(micros)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }

    private static func take(_ bytes: inout ArraySlice<UInt8>, _ count: Int, then separator: UInt8? = nil) -> Int? {
        let digits = bytes.prefix(count)
        guard digits.count == count, digits.allSatisfy(isDigit) else { return nil }
        bytes.removeFirst(count)
        if let separator {
            guard bytes.first == separator else { return nil }
            bytes.removeFirst()
        }
        return digits.reduce(0) { $0 * 10 + Int($1 - 48) }
    }

    /// Days since 1970 in the Gregorian calendar; years begin in March here, so that the leap day is the last.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
