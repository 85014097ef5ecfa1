import Model

/// Primitive types of the Kafka protocol. Nil = the bytes end too early, or make no sense.
struct KafkaReader: BitwiseCopyable {
    private(set) var cursor: ByteCursor
    /// Texts, bytes and arrays have variable lengths, and structures end with tagged fields.
    var isFlexible: Bool

    init(_ cursor: ByteCursor, isFlexible: Bool) {
        self.cursor = cursor
        self.isFlexible = isFlexible
    }

    mutating func skip(_ count: Int) -> Bool { cursor.skip(count) }
    mutating func take(_ count: Int) -> Range<Int>? { cursor.take(count) }
    mutating func i16(_ payload: RawSpan) -> Int16? { cursor.be16(payload).map { Int16(bitPattern: $0) } }
    mutating func i32(_ payload: RawSpan) -> Int32? { cursor.be32(payload).map { Int32(bitPattern: $0) } }
    mutating func i64(_ payload: RawSpan) -> Int64? { cursor.be64(payload).map { Int64(bitPattern: $0) } }

    /// Up to 32 bits, 7 a byte, lowest first.
    mutating func unsignedVarint(_ payload: RawSpan) -> Int? {
        varint(payload, bytes: 5).flatMap { $0 <= UInt64(UInt32.max) ? Int($0) : nil }
    }

    /// 32 bits, zig-zag.
    mutating func signedVarint(_ payload: RawSpan) -> Int? {
        unsignedVarint(payload).map { $0 >> 1 ^ -($0 & 1) }
    }

    /// Steps over 64 bits.
    mutating func skipVarlong(_ payload: RawSpan) -> Bool { varint(payload, bytes: 10) != nil }

    private mutating func varint(_ payload: RawSpan, bytes: Int) -> UInt64? {
        var value: UInt64 = 0
        for number in 0..<bytes {
            guard let byte = cursor.u8(payload) else { return nil }
            value |= UInt64(byte & 0x7f) << UInt64(7 * number)
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    /// A text, nullable or not; an absent one is empty.
    mutating func text(_ payload: RawSpan) -> Range<Int>? {
        let length: Int
        if isFlexible {
            guard let number = unsignedVarint(payload) else { return nil }
            length = max(number - 1, 0)
        } else {
            guard let number = i16(payload), number >= -1 else { return nil }
            length = max(Int(number), 0)
        }
        return cursor.take(length)
    }

    /// Length of bytes that follow; they may end behind the payload.
    mutating func bytesLength(_ payload: RawSpan) -> Int? {
        if isFlexible { return unsignedVarint(payload).map { max($0 - 1, 0) } }
        return i32(payload).flatMap { $0 >= -1 ? max(Int($0), 0) : nil }
    }

    /// Number of elements that follow.
    mutating func arrayCount(_ payload: RawSpan) -> Int? { bytesLength(payload) }

    /// Tagged fields at the end of a structure, if it has any.
    mutating func skipTags(_ payload: RawSpan) -> Bool {
        guard isFlexible else { return true }
        guard let count = unsignedVarint(payload) else { return false }
        var left = count
        while left > 0 {
            guard unsignedVarint(payload) != nil, let size = unsignedVarint(payload), skip(size) else { return false }
            left -= 1
        }
        return true
    }

    /// 16 bytes as `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
    mutating func uuid(_ payload: RawSpan) -> String? {
        guard let bytes = cursor.take(16) else { return nil }
        let digits = Array("0123456789abcdef".utf8)
        var out: [UInt8] = []
        for (number, at) in bytes.enumerated() {
            if number == 4 || number == 6 || number == 8 || number == 10 { out.append(UInt8(ascii: "-")) }
            out.append(digits[Int(payload.u8(at: at) >> 4)])
            out.append(digits[Int(payload.u8(at: at) & 15)])
        }
        return String(decoding: out, as: UTF8.self)
    }
}
