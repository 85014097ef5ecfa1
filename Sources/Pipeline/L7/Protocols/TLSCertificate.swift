import Model

/// Validity and names of a certificate. Source: RFC 5280 4.1, ITU-T X.690.
///
/// One whose end is missing gives what is there: names beside the subject stand at its end.
struct TLSCertificate {
    /// More names are not kept.
    private static let mostNames = 16

    /// `2024-01-31T23:59:59Z`
    private(set) var notBefore = ""
    private(set) var notAfter = ""
    /// Whole days between the two.
    private(set) var validDays = 0
    private(set) var commonName = ""
    /// DNS names that it is valid for.
    private(set) var names: [String] = []

    init?(_ bytes: RawSpan, _ range: Range<Int>) {
        var whole = TLSReader(range)
        guard let certificate = DER(bytes, &whole), certificate.tag == DER.sequence else { return nil }
        var outer = TLSReader(certificate.content)
        guard let body = DER(bytes, &outer), body.tag == DER.sequence else { return nil }
        var fields = TLSReader(body.content)
        guard var field = DER(bytes, &fields) else { return nil }
        // The version may be left out; serial number, algorithm and issuer follow.
        if field.tag == DER.context(0), let next = DER(bytes, &fields) { field = next }
        guard field.tag == DER.integer, DER(bytes, &fields) != nil, DER(bytes, &fields) != nil,
            let validity = DER(bytes, &fields), validity.tag == DER.sequence
        else { return nil }
        var times = TLSReader(validity.content)
        guard let first = DER(bytes, &times).flatMap({ CertificateTime(bytes, $0) }),
            let last = DER(bytes, &times).flatMap({ CertificateTime(bytes, $0) })
        else { return nil }
        notBefore = first.text
        notAfter = last.text
        validDays = (last.seconds &- first.seconds) / 86400
        guard let subject = DER(bytes, &fields) else { return }
        commonName = Self.commonName(bytes, subject.content) ?? ""
        while let part = DER(bytes, &fields) {
            if part.tag == DER.context(3) { readExtensions(bytes, part.content) }
        }
    }

    /// Last of the names of type 2.5.4.3.
    private static func commonName(_ bytes: RawSpan, _ range: Range<Int>) -> String? {
        var name: String?
        var sets = TLSReader(range)
        while let set = DER(bytes, &sets) {
            var reader = TLSReader(set.content)
            guard let pair = DER(bytes, &reader) else { continue }
            var parts = TLSReader(pair.content)
            guard let type = DER(bytes, &parts), let value = DER(bytes, &parts), type.tag == DER.objectIdentifier,
                type.content.count == 3, bytes.be16(at: type.content.lowerBound) == 0x5504,
                bytes.u8(at: type.content.lowerBound &+ 2) == 3
            else { continue }
            name = bytes.text(value.content)
        }
        return name
    }

    /// Names of the extension 2.5.29.17.
    private mutating func readExtensions(_ bytes: RawSpan, _ range: Range<Int>) {
        var outer = TLSReader(range)
        guard let list = DER(bytes, &outer) else { return }
        var extensions = TLSReader(list.content)
        while let entry = DER(bytes, &extensions) {
            var parts = TLSReader(entry.content)
            guard let type = DER(bytes, &parts), type.content.count == 3,
                bytes.be16(at: type.content.lowerBound) == 0x551d, bytes.u8(at: type.content.lowerBound &+ 2) == 17
            else { continue }
            while let value = DER(bytes, &parts) {
                guard value.tag == DER.octetString else { continue }
                var inner = TLSReader(value.content)
                guard let general = DER(bytes, &inner) else { continue }
                var all = TLSReader(general.content)
                while let name = DER(bytes, &all), names.count < Self.mostNames {
                    if name.tag == 0x82 { names.append(bytes.text(name.content)) }
                }
            }
        }
    }
}

/// One value of DER; its content may end early where the bytes do.
struct DER {
    static let integer: UInt8 = 2
    static let octetString: UInt8 = 4
    static let objectIdentifier: UInt8 = 6
    static let utcTime: UInt8 = 0x17
    static let generalizedTime: UInt8 = 0x18
    static let sequence: UInt8 = 0x30

    static func context(_ number: UInt8) -> UInt8 { 0xa0 | number }

    let tag: UInt8
    let content: Range<Int>

    init?(_ bytes: RawSpan, _ reader: inout TLSReader) {
        guard let tag = reader.u8(bytes), var length = reader.u8(bytes) else { return nil }
        if length & 0x80 != 0 {
            let count = length & 0x7f
            guard count >= 1, count <= 4 else { return nil }
            length = 0
            for _ in 0..<count {
                guard let byte = reader.u8(bytes) else { return nil }
                length = length << 8 | byte
            }
        }
        guard let content = reader.clamped(length) else { return nil }
        self.tag = UInt8(truncatingIfNeeded: tag)
        self.content = content
    }
}

/// A time of a certificate, UTC. Source: RFC 5280 4.1.2.5.
struct CertificateTime {
    let text: String
    /// Since 1970.
    let seconds: Int

    init?(_ bytes: RawSpan, _ value: DER) {
        let isShort = value.tag == DER.utcTime
        guard isShort || value.tag == DER.generalizedTime else { return nil }
        let digits = isShort ? 12 : 14
        guard value.content.count == digits &+ 1, bytes.u8(at: value.content.upperBound &- 1) == 90 else { return nil }
        var parts: [Int] = []
        for at in stride(from: value.content.lowerBound, to: value.content.upperBound &- 1, by: 2) {
            let (tens, ones) = (bytes.u8(at: at), bytes.u8(at: at &+ 1))
            guard isASCIIDigit(tens), isASCIIDigit(ones) else { return nil }
            parts.append(Int(tens &- 48) * 10 + Int(ones &- 48))
        }
        let year = isShort ? parts[0] + (parts[0] < 50 ? 2000 : 1900) : parts[0] * 100 + parts[1]
        let (month, day) = (parts[parts.count - 5], parts[parts.count - 4])
        let (hour, minute, second) = (parts[parts.count - 3], parts[parts.count - 2], parts[parts.count - 1])
        guard (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61 else { return nil }
        let days = Self.days(year, month, day)
        seconds = days * 86400 + hour * 3600 + minute * 60 + second
        text =
            Self.padded(year, 4) + "-" + Self.padded(month, 2) + "-" + Self.padded(day, 2) + "T" + Self.padded(hour, 2)
            + ":" + Self.padded(minute, 2) + ":" + Self.padded(second, 2) + "Z"
    }

    /// Days since 1970 of the Gregorian calendar; years begin with March, so that the leap day is their last.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let fromMarch = (month + 9) % 12
        let year = month > 2 ? year : year - 1
        return year * 365 + year / 4 - year / 100 + year / 400 + (fromMarch * 306 + 5) / 10 + day - 719_469
    }

    private static func padded(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
}
