#if canImport(Glibc)
    import Glibc
#endif
import Model

/// A record that knows its bytes.
package protocol WireEncodable: Sendable {
    /// Appends the record without any length prefix.
    func encode(into writer: inout WireWriter)
}

/// A growing byte buffer that writes protobuf fields as prost does: ascending order is the caller's duty, default
/// values are left out, lengths are exact and shortest. Source: wire.md 7.
///
/// Owns raw memory because it is written once per record field; every write is preceded by a capacity check.
package struct WireWriter: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    package private(set) var count = 0

    package init(capacity: Int = 1024) {
        self.capacity = max(capacity, 64)
        base = .allocate(capacity: self.capacity)
    }

    deinit { base.deallocate() }

    package var isEmpty: Bool { count == 0 }

    /// A copy of what was written.
    package var bytes: [UInt8] { Array(UnsafeBufferPointer(start: base, count: count)) }

    /// The written bytes, during the call only.
    package borrowing func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }

    package mutating func removeAll() { count = 0 }

    /// Gives memory back after an unusually large buffer.
    package mutating func shrink(to limit: Int) {
        guard capacity > limit, count <= limit else { return }
        resize(limit)
    }

    // MARK: Plain bytes

    package mutating func append(_ more: [UInt8]) {
        ensure(more.count)
        more.withUnsafeBufferPointer { from in
            if let start = from.baseAddress { (base + count).update(from: start, count: from.count) }
        }
        count += more.count
    }

    /// Overwrites bytes that were written before.
    package mutating func replace(at offset: Int, with bytes: [UInt8]) {
        precondition(offset >= 0 && offset + bytes.count <= count, "only written bytes can be replaced")
        for (index, byte) in bytes.enumerated() { base[offset + index] = byte }
    }

    /// Appends one record with its `u32` little-endian length. Source: wire.md 4.
    package mutating func appendRecord(_ record: borrowing some WireEncodable) {
        ensure(4)
        let start = count
        count += 4
        record.encode(into: &self)
        let length = UInt32(truncatingIfNeeded: count - start - 4)
        UnsafeMutableRawPointer(base + start).storeBytes(of: length.littleEndian, as: UInt32.self)
    }

    // MARK: Fields

    @inline(__always)
    mutating func varint(_ field: Int, _ value: UInt64) {
        guard value != 0 else { return }
        ensure(16)
        // Through a local pointer: a byte stored might otherwise change `count`, for all that the compiler knows.
        let start = base
        var next = Self.tag(field << 3, at: start + count)
        var rest = value
        while rest >= 0x80 {
            next.pointee = UInt8(truncatingIfNeeded: rest | 0x80)
            next += 1
            rest >>= 7
        }
        next.pointee = UInt8(truncatingIfNeeded: rest)
        count = next + 1 - start
    }

    @inline(__always)
    mutating func varint(_ field: Int, _ value: some FixedWidthInteger & UnsignedInteger) {
        varint(field, UInt64(truncatingIfNeeded: value))
    }

    @inline(__always)
    mutating func flag(_ field: Int, _ value: Bool) {
        if value { varint(field, 1 as UInt64) }
    }

    /// `int32`: sign-extended to 64 bits, so a negative number takes ten bytes.
    @inline(__always)
    mutating func int32(_ field: Int, _ value: Int32) {
        varint(field, UInt64(bitPattern: Int64(value)))
    }

    mutating func string(_ field: Int, _ text: String) {
        if !text.isEmpty { element(field, text) }
    }

    /// An element of a repeated string: written even when empty.
    mutating func element(_ field: Int, _ text: String) {
        let done: Void? = text.utf8.withContiguousStorageIfAvailable { putBlock(field, $0) }
        if done == nil { Array(text.utf8).withUnsafeBufferPointer { putBlock(field, $0) } }
    }

    mutating func strings(_ field: Int, _ texts: [String]) {
        for text in texts { element(field, text) }
    }

    /// `bytes` field of 16 octets, written even when all are zero.
    @inline(__always)
    mutating func address16(_ field: Int, _ address: IPAddress) {
        ensure(24)
        putTag(field << 3 | 2)
        base[count] = 16
        let target = UnsafeMutableRawPointer(base + count + 1)
        target.storeBytes(of: address.high.bigEndian, as: UInt64.self)
        target.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        count += 17
    }

    /// `bytes` field of 4 octets, written even when all are zero.
    @inline(__always)
    mutating func address4(_ field: Int, _ address: UInt32) {
        ensure(24)
        putTag(field << 3 | 2)
        base[count] = 4
        UnsafeMutableRawPointer(base + count + 1).storeBytes(of: address.bigEndian, as: UInt32.self)
        count += 5
    }

    mutating func packed(_ field: Int, _ values: [some FixedWidthInteger & UnsignedInteger]) {
        guard !values.isEmpty else { return }
        let start = begin(field)
        for value in values {
            ensure(10)
            putVarint(UInt64(truncatingIfNeeded: value))
        }
        end(start)
    }

    mutating func packed(_ field: Int, _ values: [Double]) {
        guard !values.isEmpty else { return }
        let start = begin(field)
        for value in values {
            ensure(8)
            UnsafeMutableRawPointer(base + count).storeBytes(
                of: value.bitPattern.littleEndian, as: UInt64.self)
            count += 8
        }
        end(start)
    }

    // MARK: Sub-messages

    /// Starts a sub-message; its length gets one byte for now. Returns what `end` needs.
    @inline(__always)
    mutating func begin(_ field: Int) -> Int {
        ensure(8)
        putTag(field << 3 | 2)
        count += 1
        return count
    }

    /// Closes the sub-message begun at `start`: most are shorter than 128 bytes and stay where they are.
    @inline(__always)
    mutating func end(_ start: Int) {
        let length = count - start
        if length < 0x80 {
            base[start - 1] = UInt8(truncatingIfNeeded: length)
        } else {
            endLong(start, length)
        }
    }

    @inline(never)
    private mutating func endLong(_ start: Int, _ length: Int) {
        let extra = varintSize(UInt64(length)) - 1
        ensure(extra)
        memmove(base + start + extra, base + start, length)
        count = start - 1
        putVarint(UInt64(length))
        count += length
    }

    // MARK: Memory

    @inline(__always)
    private mutating func ensure(_ more: Int) {
        if capacity - count < more { grow(more) }
    }

    @inline(never)
    private mutating func grow(_ more: Int) { resize(max(capacity * 2, count + more)) }

    private mutating func resize(_ wanted: Int) {
        let bigger = UnsafeMutablePointer<UInt8>.allocate(capacity: wanted)
        bigger.update(from: base, count: count)
        base.deallocate()
        base = bigger
        capacity = wanted
    }

    /// Caller has ensured room.
    @inline(__always)
    private mutating func putTag(_ tag: Int) {
        count = Self.tag(tag, at: base + count) - base
    }

    /// Writes a tag of one or two bytes; where the next byte goes.
    @inline(__always)
    private static func tag(_ tag: Int, at place: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        if tag < 0x80 {
            place.pointee = UInt8(truncatingIfNeeded: tag)
            return place + 1
        }
        place.pointee = UInt8(truncatingIfNeeded: tag | 0x80)
        place[1] = UInt8(truncatingIfNeeded: tag >> 7)
        return place + 2
    }

    /// Caller has ensured room for ten bytes.
    @inline(__always)
    private mutating func putVarint(_ value: UInt64) {
        let start = base
        var next = start + count
        var rest = value
        while rest >= 0x80 {
            next.pointee = UInt8(truncatingIfNeeded: rest | 0x80)
            next += 1
            rest >>= 7
        }
        next.pointee = UInt8(truncatingIfNeeded: rest)
        count = next + 1 - start
    }

    private mutating func putBlock(_ field: Int, _ content: UnsafeBufferPointer<UInt8>) {
        ensure(16 + content.count)
        putTag(field << 3 | 2)
        putVarint(UInt64(content.count))
        if let start = content.baseAddress { (base + count).update(from: start, count: content.count) }
        count += content.count
    }
}

/// Bytes of the shortest varint of `value`.
private func varintSize(_ value: UInt64) -> Int {
    max(1, (64 - value.leadingZeroBitCount + 6) / 7)
}
