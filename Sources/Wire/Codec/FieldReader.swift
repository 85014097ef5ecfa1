import Model

/// Reads protobuf fields out of a part of a span. The span travels beside the reader, because a struct that holds a
/// span cannot be returned from functions yet.
///
/// Answers of `tag` hold field number and wire type (`number << 3 | type`), so that a `switch` over constants both
/// finds the field and checks its type. Everything is checked against `end`; nothing traps on foreign bytes.
struct FieldReader {
    private(set) var position: Int
    let end: Int

    /// - Parameter range: must lie within the span that is handed to the other calls.
    @inline(__always)
    init(_ bytes: RawSpan, _ range: Range<Int>) {
        precondition(range.upperBound <= bytes.byteCount && range.lowerBound >= 0, "the range lies outside its span")
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next tag; nil at the end.
    @inline(__always)
    mutating func tag(_ bytes: RawSpan) throws(ParseError) -> UInt32? {
        guard position < end else { return nil }
        let at = position
        let value = try varint(bytes)
        guard value <= UInt64(UInt32.max), value >> 3 != 0 else { throw .malformed(at: at) }
        return UInt32(truncatingIfNeeded: value)
    }

    @inline(__always)
    mutating func varint(_ bytes: RawSpan) throws(ParseError) -> UInt64 {
        guard position < end else { throw .truncated(needed: 1, have: 0) }
        // `position < end <= byteCount` was just checked.
        let first = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
        position += 1
        if first < 0x80 { return UInt64(first) }
        return try longVarint(bytes, first)
    }

    private mutating func longVarint(_ bytes: RawSpan, _ first: UInt8) throws(ParseError) -> UInt64 {
        var value = UInt64(first & 0x7f)
        var shift: UInt64 = 7
        while shift < 70 {
            guard position < end else { throw .truncated(needed: 1, have: 0) }
            let byte = unsafe bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            position += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        throw .malformed(at: position)
    }

    @inline(__always)
    mutating func u64(_ bytes: RawSpan) throws(ParseError) -> UInt64 { try varint(bytes) }
    /// Narrow numbers keep their low bits, as casts of the reference do.
    @inline(__always)
    mutating func u32(_ bytes: RawSpan) throws(ParseError) -> UInt32 { UInt32(truncatingIfNeeded: try varint(bytes)) }
    @inline(__always)
    mutating func u16(_ bytes: RawSpan) throws(ParseError) -> UInt16 { UInt16(truncatingIfNeeded: try varint(bytes)) }
    @inline(__always)
    mutating func u8(_ bytes: RawSpan) throws(ParseError) -> UInt8 { UInt8(truncatingIfNeeded: try varint(bytes)) }
    @inline(__always)
    mutating func i32(_ bytes: RawSpan) throws(ParseError) -> Int32 { Int32(truncatingIfNeeded: try varint(bytes)) }
    /// A `uint32` that means a truth value.
    @inline(__always)
    mutating func flag(_ bytes: RawSpan) throws(ParseError) -> Bool {
        UInt32(truncatingIfNeeded: try varint(bytes)) != 0
    }

    /// A length-delimited field: where it lies. Moves past it.
    @inline(__always)
    mutating func block(_ bytes: RawSpan) throws(ParseError) -> Range<Int> {
        let length = try varint(bytes)
        guard length <= UInt64(end - position) else {
            throw .truncated(needed: Int(truncatingIfNeeded: min(length, 1 << 32)), have: end - position)
        }
        let start = position
        position += Int(length)
        return start..<position
    }

    @inline(__always)
    mutating func message(_ bytes: RawSpan) throws(ParseError) -> FieldReader {
        FieldReader(bytes, try block(bytes))
    }

    /// Invalid UTF-8 is repaired, not refused.
    mutating func string(_ bytes: RawSpan) throws(ParseError) -> String {
        let range = try block(bytes)
        if range.isEmpty { return "" }
        return bytes.withUnsafeBytes { all in
            let part = UnsafeRawBufferPointer(rebasing: all[range])
            return part.withMemoryRebound(to: UInt8.self) { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// A `bytes` field of 4 or 16 octets; anything else reads as zero, as an absent field would.
    mutating func address(_ bytes: RawSpan) throws(ParseError) -> IPAddress {
        let range = try block(bytes)
        switch range.count {
        case 16:
            return IPAddress(high: bytes.be64(at: range.lowerBound), low: bytes.be64(at: range.lowerBound + 8))
        case 4:
            return IPAddress(v4: bytes.be32(at: range.lowerBound))
        default:
            return IPAddress()
        }
    }

    /// A packed run of varints, appended.
    mutating func packed<Number: FixedWidthInteger>(
        _ bytes: RawSpan, into numbers: inout [Number]
    ) throws(ParseError) {
        var run = try message(bytes)
        while run.position < run.end { numbers.append(Number(truncatingIfNeeded: try run.varint(bytes))) }
    }

    /// A packed run of doubles, appended.
    mutating func packed(_ bytes: RawSpan, into numbers: inout [Double]) throws(ParseError) {
        let range = try block(bytes)
        guard range.count % 8 == 0 else { throw .malformed(at: range.lowerBound) }
        for at in stride(from: range.lowerBound, to: range.upperBound, by: 8) {
            numbers.append(Double(bitPattern: bytes.le64(at: at)))
        }
    }

    mutating func double(_ bytes: RawSpan) throws(ParseError) -> Double {
        Double(bitPattern: try fixed64(bytes))
    }

    mutating func fixed64(_ bytes: RawSpan) throws(ParseError) -> UInt64 {
        guard end - position >= 8 else { throw .truncated(needed: 8, have: end - position) }
        let value = bytes.le64(at: position)
        position += 8
        return value
    }

    /// A `bytes` field.
    mutating func octets(_ bytes: RawSpan) throws(ParseError) -> [UInt8] {
        let range = try block(bytes)
        return bytes.withUnsafeBytes { [UInt8]($0[range]) }
    }

    /// Passes over a field that the `switch` did not know.
    /// - Parameter known: bit n set = field n exists; such a field came with a wrong wire type, which is an error.
    mutating func skip(_ bytes: RawSpan, _ tag: UInt32, known: UInt64) throws(ParseError) {
        let number = tag >> 3
        if number < 64, known >> UInt64(number) & 1 != 0 { throw .malformed(at: position) }
        switch tag & 7 {
        case 0: _ = try varint(bytes)
        case 1: try advance(8)
        case 2: _ = try block(bytes)
        case 5: try advance(4)
        default: throw .malformed(at: position)
        }
    }

    private mutating func advance(_ count: Int) throws(ParseError) {
        guard end - position >= count else { throw .truncated(needed: count, have: end - position) }
        position += count
    }
}

/// The bits of `FieldReader.skip(known:)`.
func fieldMask(_ ranges: ClosedRange<Int>...) -> UInt64 {
    var mask: UInt64 = 0
    for range in ranges { for number in range { mask |= 1 << UInt64(number) } }
    return mask
}
