import Model

/// Header of one RocketMQ remoting command, written as JSON or in its own binary form.
/// Source: agent-l7-protocols.md 21.
struct RocketMQHeader {
    private(set) var code: Int32 = 0
    private(set) var version = 0
    private(set) var opaque: Int32 = 0
    private(set) var flag: Int32 = 0
    private(set) var remark = ""
    private(set) var consumerGroup = ""
    private(set) var producerGroup = ""
    private(set) var topic = ""
    private(set) var queueID = ""
    private(set) var properties: [UInt8] = []

    var isResponse: Bool { flag & 1 != 0 }
    var isOneWay: Bool { flag & 2 != 0 }

    /// Nil: no header lies in the range.
    init?(_ payload: RawSpan, _ range: Range<Int>, isJSON: Bool) {
        guard isJSON ? readJSON(payload, range) : readBinary(payload, range) else { return nil }
    }

    /// Further than the format demands: what a flow is recognised by.
    var isPlausible: Bool {
        guard flag & ~3 == 0, RocketMQVersion.isKnown(version) else { return false }
        return isResponse
            ? RocketMQCode.status(ofResponse: code) != .parseFailed : RocketMQCode.requestName(code) != nil
    }

    // MARK: - JSON

    private static let shortestJSON = 89

    private mutating func readJSON(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        guard range.count >= Self.shortestJSON, var object = JSONObject(payload, range) else { return false }
        var found = 0
        while let member = object.next(payload) {
            switch member.name.count {
            case 4 where payload.equals(member.name, "code"):
                guard let number = Self.number(payload, member) else { return false }
                code = number
                found |= 1
            case 4 where payload.equals(member.name, "flag"):
                guard let number = Self.number(payload, member) else { return false }
                flag = number
                found |= 2
            case 6 where payload.equals(member.name, "opaque"):
                guard let number = Self.number(payload, member) else { return false }
                opaque = number
                found |= 4
            case 7 where payload.equals(member.name, "version"):
                guard let number = Self.number(payload, member) else { return false }
                version = Int(number)
                found |= 8
            case 8 where payload.equals(member.name, "language"): found |= 16
            case 23 where payload.equals(member.name, "serializetypecurrentrpc"): found |= 32
            case 6 where member.isString && payload.equals(member.name, "remark"):
                remark = payload.jsonText(member.value)
            case 9 where payload.equals(member.name, "extfields"):
                guard var fields = JSONObject(payload, member.value) else { continue }
                while let field = fields.next(payload) {
                    let value = field.isString ? payload.jsonBytes(field.value) : payload.bytes(field.value)
                    set(payload, field.name, value)
                }
            default: break
            }
        }
        return object.isComplete && found == 63
    }

    private static func number(_ payload: RawSpan, _ member: JSONObject.Member) -> Int32? {
        guard !member.isString, !member.value.isEmpty else { return nil }
        let isNegative = payload.u8(at: member.value.lowerBound) == UInt8(ascii: "-")
        let digits = isNegative ? member.value.dropFirst() : member.value
        guard digits.count <= 10, let value = Int64(payload.text(digits.startIndex..<digits.endIndex)), value >= 0
        else {
            return nil
        }
        return Int32(exactly: isNegative ? -value : value)
    }

    // MARK: - Binary

    private mutating func readBinary(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        // Code, language, version, opaque, flag; remark and fields with their lengths.
        var at = range.lowerBound
        guard range.count >= 21, payload.u8(at: at &+ 2) <= 12 else { return false }
        code = Int32(Int16(bitPattern: payload.be16(at: at)))
        version = Int(payload.be16(at: at &+ 3))
        opaque = Int32(bitPattern: payload.be32(at: at &+ 5))
        flag = Int32(bitPattern: payload.be32(at: at &+ 9))
        at &+= 13
        guard let text = Self.block(payload, &at, range.upperBound), range.upperBound &- at >= 4 else { return false }
        remark = payload.text(text)
        guard let fields = Self.block(payload, &at, range.upperBound) else { return false }
        var next = fields.lowerBound
        while next < fields.upperBound {
            guard fields.upperBound &- next >= 2 else { return false }
            let first = next &+ 2
            let length = Int(payload.be16(at: next))
            guard fields.upperBound &- first >= length &+ 4 else { return false }
            next = first &+ length
            guard let value = Self.block(payload, &next, fields.upperBound) else { return false }
            set(payload, first..<first &+ length, payload.bytes(value))
        }
        return true
    }

    /// Bytes with their number in front; passed over.
    private static func block(_ payload: RawSpan, _ at: inout Int, _ end: Int) -> Range<Int>? {
        guard end &- at >= 4 else { return nil }
        let count = Int(payload.be32(at: at))
        guard count <= end &- at &- 4 else { return nil }
        defer { at = at &+ 4 &+ count }
        return at &+ 4..<at &+ 4 &+ count
    }

    // MARK: - Fields

    /// Takes a field that is shown; names of SEND_MESSAGE_V2 are one letter long.
    private mutating func set(_ payload: RawSpan, _ name: Range<Int>, _ value: [UInt8]) {
        switch name.count {
        case 1:
            switch payload.u8(at: name.lowerBound) {
            case UInt8(ascii: "a"): producerGroup = String(decoding: value, as: UTF8.self)
            case UInt8(ascii: "b"): topic = String(decoding: value, as: UTF8.self)
            case UInt8(ascii: "e"): queueID = String(decoding: value, as: UTF8.self)
            case UInt8(ascii: "i"): properties = value
            default: break
            }
        case 5 where payload.hasPrefix("topic", at: name.lowerBound): topic = String(decoding: value, as: UTF8.self)
        case 7 where payload.hasPrefix("queueId", at: name.lowerBound): queueID = String(decoding: value, as: UTF8.self)
        case 10 where payload.hasPrefix("properties", at: name.lowerBound): properties = value
        case 13 where payload.hasPrefix("consumerGroup", at: name.lowerBound):
            consumerGroup = String(decoding: value, as: UTF8.self)
        case 13 where payload.hasPrefix("producerGroup", at: name.lowerBound):
            producerGroup = String(decoding: value, as: UTF8.self)
        default: break
        }
    }
}

extension RawSpan {
    /// A copy of the bytes of a range.
    func bytes(_ range: Range<Int>) -> [UInt8] {
        extracting(range).withUnsafeBytes { unsafe [UInt8]($0) }
    }
}
