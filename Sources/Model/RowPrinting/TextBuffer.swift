#if canImport(Glibc)
    import Glibc
#endif

/// A growing run of text bytes that is written once and reused: the output of the row printers.
///
/// Owns its memory. Numbers are written without a bounds check after `reserve`, everything else reserves for itself.
package struct TextBuffer: ~Copyable {
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    @usableFromInline var capacity: Int
    package private(set) var count = 0

    package init(capacity: Int = 1 << 16) {
        self.capacity = max(capacity, 64)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    package mutating func removeAll() { count = 0 }

    /// Drops what follows `length`; a larger length changes nothing.
    package mutating func truncate(to length: Int) { count = min(count, max(0, length)) }

    /// Room for `extra` more bytes.
    @inline(__always)
    package mutating func reserve(_ extra: Int) {
        if capacity - count < extra { grow(extra) }
    }

    private mutating func grow(_ extra: Int) {
        let larger = max(capacity * 2, count + extra)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        moved.update(from: base, count: count)
        base.deallocate()
        base = moved
        capacity = larger
    }

    /// One byte; room must have been reserved.
    @inline(__always)
    mutating func put(_ byte: UInt8) {
        base[count] = byte
        count &+= 1
    }

    /// A digit and a separator in one store; room must have been reserved.
    @inline(__always)
    mutating func put(digit: UInt8, then separator: UInt8) {
        let both = UInt16(48 &+ digit) | UInt16(separator) << 8
        UnsafeMutableRawPointer(base + count).storeBytes(of: both.littleEndian, as: UInt16.self)
        count &+= 2
    }

    @inline(__always)
    package mutating func append(_ byte: UInt8) {
        reserve(1)
        put(byte)
    }

    @inline(__always)
    package mutating func append(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress, source.count > 0 else { return }
        reserve(source.count)
        memcpy(base + count, start, source.count)
        count += source.count
    }

    package mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    package mutating func append(repeating byte: UInt8, count times: Int) {
        guard times > 0 else { return }
        reserve(times)
        memset(base + count, Int32(byte), times)
        count += times
    }
}

/// Numbers, addresses and times as text.
extension TextBuffer {
    @inline(__always)
    mutating func append(decimal value: UInt64) {
        reserve(20)
        put(decimal: value)
    }

    /// A number; room for 20 bytes must have been reserved.
    @inline(__always)
    mutating func put(decimal value: UInt64) {
        if value < 10 {
            put(48 &+ UInt8(truncatingIfNeeded: value))
        } else {
            putLong(value)
        }
    }

    /// Two digits a step, from the end.
    private mutating func putLong(_ value: UInt64) {
        let digits = TextBuffer.digits(of: value)
        var position = base + (count &+ digits)
        var rest = value
        while rest >= 100 {
            let next = rest / 100
            position -= 2
            put(pair: Int(truncatingIfNeeded: rest &- next &* 100), at: position)
            rest = next
        }
        if rest >= 10 {
            put(pair: Int(truncatingIfNeeded: rest), at: position - 2)
        } else {
            (position - 1).pointee = 48 &+ UInt8(truncatingIfNeeded: rest)
        }
        count &+= digits
    }

    @inline(__always)
    private func put(pair: Int, at position: UnsafeMutablePointer<UInt8>) {
        let tens = (pair &* 103) >> 10
        position[0] = 48 &+ UInt8(truncatingIfNeeded: tens)
        position[1] = 48 &+ UInt8(truncatingIfNeeded: pair &- tens &* 10)
    }

    /// 1233 / 4096 is a little more than the decimal digits of one binary digit.
    @inline(__always)
    private static func digits(of value: UInt64) -> Int {
        let estimate = ((64 &- value.leadingZeroBitCount) &* 1233) >> 12
        return value < powersOfTen[estimate] ? estimate : estimate &+ 1
    }

    private static let powersOfTen: [20 of UInt64] = [
        1, 10, 100, 1000, 10000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000,
        100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000,
        10_000_000_000_000_000, 100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
    ]

    mutating func append(decimal value: Int64) {
        if value < 0 { append(45) }
        append(decimal: value.magnitude)
    }

    /// Whole numbers without a point, others in the shortest form that reads back equal; not a number gives `null`.
    mutating func append(real value: Double) {
        if let whole = Int64(exactly: value) {
            append(decimal: whole)
        } else if value.isFinite {
            append(value.description)
        } else {
            append("null")
        }
    }

    mutating func append(ip4 value: UInt32) {
        reserve(16)
        put(decimal: UInt64(value >> 24))
        put(46)
        put(decimal: UInt64(value >> 16 & 255))
        put(46)
        put(decimal: UInt64(value >> 8 & 255))
        put(46)
        put(decimal: UInt64(value & 255))
    }

    mutating func append(mac value: UInt64) {
        reserve(18)
        for shift in stride(from: UInt64(40), through: 0, by: -8) {
            let octet = UInt8(truncatingIfNeeded: value >> shift)
            put(hexDigit(octet >> 4))
            put(hexDigit(octet & 15))
            if shift != 0 { put(58) }
        }
    }

    /// Zero-padded decimal; `value` must have at most `width` digits.
    @inline(__always)
    mutating func append(_ value: UInt32, width: Int) {
        reserve(width)
        var rest = value
        for position in stride(from: count + width - 1, through: count, by: -1) {
            base[position] = 48 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += width
    }
}

@inline(__always)
func hexDigit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 48 + nibble : 87 + nibble }

/// RFC 3339 times in UTC with microseconds. Keeps the text of the last second, because neighbours share it.
struct TimeText {
    private var second = UInt64.max
    private var text: [UInt8] = Array(repeating: 48, count: 19)

    mutating func append(micros: UInt64, to out: inout TextBuffer) {
        let whole = micros / 1_000_000
        if whole != second { format(whole) }
        text.withUnsafeBytes { out.append($0) }
        out.append(46)
        out.append(UInt32(micros % 1_000_000), width: 6)
        out.append(90)
    }

    /// Days to a civil date by Howard Hinnant's published algorithm. Years above 9999 are shown as 9999.
    private mutating func format(_ seconds: UInt64) {
        second = seconds
        let clipped = min(seconds, 253_402_300_799)
        let shifted = clipped / 86400 + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let inDay = clipped % 86400
        var buffer = TextBuffer(capacity: 64)
        buffer.append(UInt32(year), width: 4)
        buffer.append(45)
        buffer.append(UInt32(month), width: 2)
        buffer.append(45)
        buffer.append(UInt32(day), width: 2)
        buffer.append(84)
        buffer.append(UInt32(inDay / 3600), width: 2)
        buffer.append(58)
        buffer.append(UInt32(inDay / 60 % 60), width: 2)
        buffer.append(58)
        buffer.append(UInt32(inDay % 60), width: 2)
        text = Array(buffer.bytes)
    }
}

/// `2023-11-14T22:13:20.000000Z` of microseconds since 1970.
package func timeText(micros: UInt64) -> String {
    var times = TimeText()
    var buffer = TextBuffer(capacity: 64)
    times.append(micros: micros, to: &buffer)
    return String(decoding: buffer.bytes, as: UTF8.self)
}
