import Model

/// The body of a Dubbo request: texts one after the other, later attachments. Source: agent-l7-protocols.md 9.
struct DubboBody {
    private enum Coding {
        case hessian2, java, kryo, fastjson2, unknown
    }

    private let coding: Coding
    private let range: Range<Int>
    /// Behind the last text that was read.
    private var at: Int

    init(_ serialization: UInt8, _ payload: RawSpan, _ range: Range<Int>) {
        self.range = range
        at = range.lowerBound
        switch serialization {
        case 2: coding = .hessian2
        case 3:
            coding = .java
            // The head of the stream, and that of a block: short with one byte of length, long with four.
            at &+= range.count > 4 && payload.u8(at: at &+ 4) == 0x7a ? 9 : 6
        case 8, 25: coding = .kryo
        case 23: coding = .fastjson2
        default: coding = .unknown
        }
    }

    /// The next text. Nil when none can be read: none of those behind it can.
    mutating func nextText(_ payload: RawSpan, _ texts: borrowing TextCache) -> String? {
        let end = range.upperBound
        switch coding {
        case .hessian2:
            guard let count = Hessian.stringLength(payload, &at, end: end) else { return nil }
            return take(count, payload, texts)
        case .java:
            guard end &- at >= 6, payload.be32(at: at) == UInt32(payload.be16(at: at &+ 4)) else { return nil }
            at &+= 6
            return take(Int(payload.be16(at: at &- 2)), payload, texts)
        case .fastjson2:
            guard end &- at >= 4 else { return nil }
            at &+= 4
            return takeJSONB(Int(payload.be32(at: at &- 4)), payload, texts)
        case .kryo:
            guard let next = kryoEnd(payload, at) else { return nil }
            defer { at = next }
            return Self.kryoText(payload, at..<next)
        case .unknown: return nil
        }
    }

    /// A text of some bytes, neither empty nor the last thing in the body.
    private mutating func take(_ count: Int, _ payload: RawSpan, _ texts: borrowing TextCache) -> String? {
        guard count > 0, range.upperBound &- at > count else { return nil }
        at &+= count
        return texts.text(payload, at &- count..<at)
    }

    /// As `take`; the tag of a JSONB string that fills the bytes is no part of the text.
    private mutating func takeJSONB(_ count: Int, _ payload: RawSpan, _ texts: borrowing TextCache) -> String? {
        guard count > 0, range.upperBound &- at > count else { return nil }
        let end = at &+ count
        defer { at = end }
        var start = at
        if let length = JSONB.stringLength(payload, &start, end: end), length == end &- start {
            return texts.text(payload, start..<end)
        }
        return texts.text(payload, at..<end)
    }

    // MARK: - Attachments

    /// Value of a key that stands behind the texts.
    func attachment(_ key: [UInt8], _ payload: RawSpan) -> [UInt8]? {
        switch coding {
        case .hessian2: Hessian.value(of: key, payload, at..<range.upperBound).map { payload.array($0) }
        case .java: follower(of: key, payload, javaValue)
        case .fastjson2: follower(of: key, payload, fastjsonValue)
        case .kryo:
            key.last.flatMap { last in
                follower(of: key.dropLast() + [last | 0x80], payload) { payload, start in
                    kryoEnd(payload, start).map { Array(Self.kryoText(payload, start..<$0).utf8) }
                }
            }
        case .unknown: nil
        }
    }

    /// What `read` makes of the bytes behind the first occurrence of a key.
    private func follower(
        of key: [UInt8], _ payload: RawSpan, _ read: (RawSpan, Int) -> [UInt8]?
    ) -> [UInt8]? {
        guard let found = payload.firstIndex(of: key, from: at, to: range.upperBound) else { return nil }
        return read(payload, found &+ key.count)
    }

    /// A Java string: `t` and its length in two bytes.
    private func javaValue(_ payload: RawSpan, _ start: Int) -> [UInt8]? {
        guard range.upperBound &- start >= 3, payload.u8(at: start) == 0x74 else { return nil }
        let from = start &+ 3
        let to = from &+ Int(payload.be16(at: start &+ 1))
        return to <= range.upperBound ? payload.array(from..<to) : nil
    }

    private func fastjsonValue(_ payload: RawSpan, _ start: Int) -> [UInt8]? {
        var from = start
        guard let length = JSONB.stringLength(payload, &from, end: range.upperBound) else { return nil }
        // A string with a length of its own is read one byte too far (trap).
        let to = from &+ length &+ (payload.u8(at: start) == JSONB.longString ? 1 : 0)
        return to <= range.upperBound ? payload.array(from..<to) : nil
    }

    // MARK: - Kryo

    /// End of a text whose last byte has the highest bit set.
    ///
    /// The search ends as far from the body's end as it began from its start: only the first half can be read (trap).
    private func kryoEnd(_ payload: RawSpan, _ start: Int) -> Int? {
        let limit = range.upperBound &- (start &- range.lowerBound)
        var next = start
        while next < limit {
            next &+= 1
            if payload.u8(at: next &- 1) >= 0x80 { return next }
        }
        return nil
    }

    private static func kryoText(_ payload: RawSpan, _ range: Range<Int>) -> String {
        String(decoding: range.map { payload.u8(at: $0) & 0x7f }, as: UTF8.self)
    }
}

/// Strings of fastjson2's binary format. Source: alibaba/fastjson2, JSONB.
enum JSONB {
    static let longString: UInt8 = 0x79

    /// Length that the tag of an ASCII string tells; the offset moves behind the tag.
    static func stringLength(_ bytes: RawSpan, _ at: inout Int, end: Int) -> Int? {
        guard at < end else { return nil }
        let tag = bytes.u8(at: at)
        switch tag {
        case 0x49...0x78:
            at &+= 1
            return Int(tag) &- 0x49
        case longString:
            at &+= 1
            return number(bytes, &at, end: end)
        default: return nil
        }
    }

    /// A number that is not negative.
    private static func number(_ bytes: RawSpan, _ at: inout Int, end: Int) -> Int? {
        guard at < end else { return nil }
        let tag = bytes.u8(at: at)
        let rest = end &- at &- 1
        switch tag {
        case 0x00...0x2f:
            at &+= 1
            return Int(tag)
        case 0x38...0x3f where rest >= 1:
            at &+= 2
            return (Int(tag) &- 0x38) << 8 | Int(bytes.u8(at: at &- 1))
        case 0x44...0x47 where rest >= 2:
            at &+= 3
            return (Int(tag) &- 0x44) << 16 | Int(bytes.be16(at: at &- 2))
        case 0x48 where rest >= 4 && bytes.u8(at: at &+ 1) < 0x80:
            at &+= 5
            return Int(bytes.be32(at: at &- 4))
        default: return nil
        }
    }
}
