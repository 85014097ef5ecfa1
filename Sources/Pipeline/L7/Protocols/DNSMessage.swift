import Model

/// One DNS message, read completely: every section must be well formed. Source: agent-l7-protocols.md 3, RFC 1035.
struct DNSMessage {
    struct Answer {
        /// `A=1.2.3.4 TTL=60`, or only the type.
        var text: String
        var value: String
    }

    var id: UInt16 = 0
    var isResponse = false
    var opcode: UInt8 = 0
    /// Extended by an OPT record; 17 = unknown.
    var responseCode: UInt16 = 0
    /// 0 = no question.
    var questionType: UInt16 = 0
    var questionName = ""
    /// Answer and authority records in order.
    var answers: [Answer] = []

    private static let headerLength = 12
    /// Records of one message that are looked at; a 64 KiB message holds fewer.
    private static let maxRecords = 6000

    /// - Parameter texts: where the name is looked up.
    init?(_ payload: RawSpan, _ range: Range<Int>, _ texts: borrowing TextCache) {
        let bytes = payload.extracting(range)
        guard bytes.byteCount >= Self.headerLength else { return nil }
        let flags = bytes.be16(at: 2)
        guard flags & 0x40 == 0 else { return nil }
        id = bytes.be16(at: 0)
        isResponse = flags & 0x8000 != 0
        opcode = UInt8(truncatingIfNeeded: flags >> 11 & 15)
        var code = flags & 15
        let questions = Int(bytes.be16(at: 4))
        let answerCount = Int(bytes.be16(at: 6))
        let authorityCount = Int(bytes.be16(at: 8))
        let additionalCount = Int(bytes.be16(at: 10))
        guard answerCount &+ authorityCount &+ additionalCount <= Self.maxRecords else { return nil }
        var at = Self.headerLength
        for number in 0..<questions {
            let nameAt = at
            guard DNSName.skip(bytes, &at, limit: bytes.byteCount), at &+ 4 <= bytes.byteCount else { return nil }
            let type = bytes.be16(at: at)
            let class_ = bytes.be16(at: at &+ 2) & 0x7fff
            guard DNSType.isKnown(type) || (251...255).contains(type) else { return nil }
            guard Self.isClass(class_) || class_ == 255 else { return nil }
            if number == 0 {
                guard let name = DNSName.text(bytes, at: nameAt, texts) else { return nil }
                questionType = type
                questionName = name
            }
            at &+= 4
        }
        for number in 0..<(answerCount &+ authorityCount &+ additionalCount) {
            let isShown = number < answerCount &+ authorityCount
            guard readRecord(bytes, &at, isShown: isShown && isResponse, &code, texts) else { return nil }
        }
        responseCode = Self.known(code)
    }

    private static func isClass(_ value: UInt16) -> Bool { (1...4).contains(value) || value == 254 }

    /// Codes without a name count as Reserved, 17.
    private static func known(_ code: UInt16) -> UInt16 { code <= 10 || code == 16 ? code : 17 }

    private mutating func readRecord(
        _ bytes: RawSpan, _ at: inout Int, isShown: Bool, _ code: inout UInt16, _ texts: borrowing TextCache
    ) -> Bool {
        guard DNSName.skip(bytes, &at, limit: bytes.byteCount), at &+ 10 <= bytes.byteCount else { return false }
        let type = bytes.be16(at: at)
        let class_ = bytes.be16(at: at &+ 2) & 0x7fff
        let ttl = bytes.be32(at: at &+ 4)
        let length = Int(bytes.be16(at: at &+ 8))
        let start = at &+ 10
        guard start &+ length <= bytes.byteCount else { return false }
        at = start &+ length
        if type == DNSType.opt {
            code |= UInt16(truncatingIfNeeded: ttl >> 24) << 4
        } else {
            guard Self.isClass(class_) else { return false }
        }
        guard length > 0 else {
            if isShown { answers.append(Answer(text: DNSType.name(type), value: "")) }
            return true
        }
        guard DNSType.isWellFormed(type, bytes, start..<at) else { return false }
        guard isShown else { return true }
        guard type != 1 else {
            answers.append(Self.addressAnswer(bytes.be32(at: start), ttl: ttl, texts))
            return true
        }
        let name = DNSType.name(type)
        if let value = DNSType.value(type, bytes, start..<at, texts) {
            answers.append(Answer(text: "\(name)=\(value) TTL=\(ttl)", value: value))
        } else {
            answers.append(Answer(text: name, value: ""))
        }
        return true
    }

    /// The answer of nearly all queries, written into one buffer.
    private static func addressAnswer(_ address: UInt32, ttl: UInt32, _ texts: borrowing TextCache) -> Answer {
        // "A=255.255.255.255 TTL=4294967295" has 32 bytes.
        withUnsafeTemporaryAllocation(byteCount: 40, alignment: 1) { out in
            var count = 0
            func put(_ text: StaticString) {
                for at in 0..<text.utf8CodeUnitCount { out[count &+ at] = text.utf8Start[at] }
                count &+= text.utf8CodeUnitCount
            }
            func put(_ number: UInt32) {
                var divisor: UInt32 = 1
                while number / divisor >= 10 { divisor &*= 10 }
                while divisor > 0 {
                    out[count] = 48 + UInt8(truncatingIfNeeded: number / divisor % 10)
                    count &+= 1
                    divisor /= 10
                }
            }
            put("A=")
            for shift in [24, 16, 8, 0] as [UInt32] {
                if shift < 24 { put(".") }
                put(address >> shift & 255)
            }
            let value = out.bytes.asciiText(2..<count)
            put(" TTL=")
            put(ttl)
            return Answer(text: texts.text(out.bytes, 0..<count), value: value)
        }
    }

    static func opcodeName(_ opcode: UInt8) -> String {
        switch opcode {
        case 0: "StandardQuery"
        case 1: "InverseQuery"
        case 2: "ServerStatusRequest"
        case 4: "Notify"
        case 5: "Update"
        default: "Reserved"
        }
    }
}

/// Domain names with compression pointers.
enum DNSName {
    private static let maxLength = 255

    /// Steps over a name; false when it is malformed or reaches behind `limit`.
    static func skip(_ bytes: RawSpan, _ at: inout Int, limit: Int) -> Bool {
        var total = 0
        while at < limit {
            let length = Int(bytes.u8(at: at))
            if length == 0 {
                at &+= 1
                return true
            }
            if length & 0xc0 == 0xc0 {
                guard at &+ 2 <= limit else { return false }
                let target = Int(bytes.be16(at: at) & 0x3fff)
                guard target < at, isValid(bytes, at: target, total: total) else { return false }
                at &+= 2
                return true
            }
            guard length <= 63, at &+ 1 &+ length <= limit else { return false }
            total &+= length &+ 1
            guard total <= maxLength else { return false }
            at &+= 1 &+ length
        }
        return false
    }

    private static func isValid(_ bytes: RawSpan, at start: Int, total: Int) -> Bool {
        var walk = Walk(at: start, total: total)
        while true {
            switch walk.next(bytes) {
            case .label: continue
            case .end: return true
            case .bad: return false
            }
        }
    }

    /// Labels joined by dots; empty for the root.
    static func text(_ bytes: RawSpan, at start: Int, _ texts: borrowing TextCache) -> String? {
        // Dots stand where length bytes stood, so that the text is shorter than the longest name.
        withUnsafeTemporaryAllocation(byteCount: maxLength, alignment: 1) { out in
            var count = 0
            var walk = Walk(at: start, total: 0)
            while true {
                switch walk.next(bytes) {
                case .label(let range):
                    if count > 0 {
                        out[count] = 46
                        count &+= 1
                    }
                    for at in range {
                        out[count] = bytes.u8(at: at)
                        count &+= 1
                    }
                case .end: return texts.text(out.bytes, 0..<count)
                case .bad: return nil
                }
            }
        }
    }

    /// Follows a name through its pointers, which must point backwards.
    private struct Walk {
        enum Step {
            case label(Range<Int>)
            case end
            case bad
        }

        var at: Int
        var total: Int
        var lowest: Int

        init(at: Int, total: Int) {
            self.at = at
            self.total = total
            lowest = at
        }

        mutating func next(_ bytes: RawSpan) -> Step {
            while at < bytes.byteCount {
                let length = Int(bytes.u8(at: at))
                if length == 0 { return .end }
                if length & 0xc0 == 0xc0 {
                    guard at &+ 2 <= bytes.byteCount else { return .bad }
                    let target = Int(bytes.be16(at: at) & 0x3fff)
                    guard target < lowest else { return .bad }
                    lowest = target
                    at = target
                    continue
                }
                guard length <= 63, at &+ 1 &+ length <= bytes.byteCount else { return .bad }
                total &+= length &+ 1
                guard total <= DNSName.maxLength else { return .bad }
                let label = at &+ 1..<at &+ 1 &+ length
                at = label.upperBound
                return .label(label)
            }
            return .bad
        }
    }
}
