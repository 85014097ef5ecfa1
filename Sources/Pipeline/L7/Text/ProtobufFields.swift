import Model

/// Walks over the fields of a protobuf message where it stands. Source: protobuf.dev, Encoding.
struct ProtobufFields {
    struct Field {
        var number: UInt64
        /// Nil for a field that has a number as its value.
        var bytes: Range<Int>?
        var value: UInt64 = 0
    }

    private var at: Int
    private let end: Int
    /// Something that is no field was met.
    private(set) var isMalformed = false

    /// - Precondition: the range lies within the bytes that `next` is given.
    init(_ range: Range<Int>) {
        at = range.lowerBound
        end = range.upperBound
    }

    /// Nil at the end of the message, and at bytes that are no field.
    mutating func next(_ bytes: RawSpan) -> Field? {
        guard at < end, !isMalformed else { return nil }
        guard let key = varint(bytes), key >> 3 > 0 else { return malformed() }
        var field = Field(number: key >> 3)
        switch key & 7 {
        case 0:
            guard let value = varint(bytes) else { return malformed() }
            field.value = value
        case 1:
            guard end &- at >= 8 else { return malformed() }
            field.value = bytes.le64(at: at)
            at &+= 8
        case 2:
            guard let count = varint(bytes), count <= UInt64(end &- at) else { return malformed() }
            field.bytes = at..<at &+ Int(count)
            at &+= Int(count)
        case 5:
            guard end &- at >= 4 else { return malformed() }
            field.value = UInt64(bytes.le32(at: at))
            at &+= 4
        default: return malformed()
        }
        return field
    }

    private mutating func malformed() -> Field? {
        isMalformed = true
        return nil
    }

    private mutating func varint(_ bytes: RawSpan) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while at < end, shift < 64 {
            let byte = bytes.u8(at: at)
            at &+= 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
        return nil
    }
}
