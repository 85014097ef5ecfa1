import Model

/// Reads the values of one command, tight or loose. After the first value that is not there, all are empty.
/// Source: agent-l7-protocols.md 17; Apache ActiveMQ, OpenWire version 2 specification.
struct OpenWireReader {
    enum State {
        case reading
        /// What follows is of no interest.
        case stopped
        /// The payload ends before the command does.
        case cut
        case broken
    }

    private(set) var at: Int
    private(set) var state = State.reading
    private let isTight: Bool
    /// End of the command, or of the payload when that comes first.
    private let end: Int
    private let isCut: Bool
    /// Tight: the booleans of the command, eight a byte from the lowest bit on.
    private var bits = 0..<0
    private var bit = 0

    /// - Parameter commandEnd: may lie behind the payload.
    init(_ payload: RawSpan, at start: Int, commandEnd: Int, isTight: Bool) {
        at = start
        end = min(commandEnd, payload.byteCount)
        isCut = commandEnd > payload.byteCount
        self.isTight = isTight
        if isTight { readBits(payload) }
    }

    private mutating func readBits(_ payload: RawSpan) {
        var count = Int(u8(payload))
        if count == 0xc0 { count = Int(u8(payload)) } else if count == 0x80 { count = Int(u16(payload)) }
        bits = block(count)
        bit = 0
    }

    mutating func stop() { if state == .reading { state = .stopped } }

    mutating func fail() { if state == .reading { state = .broken } }

    /// Start of the next bytes, which are passed over.
    private mutating func take(_ count: Int) -> Int? {
        guard state == .reading else { return nil }
        guard count <= end &- at else {
            state = isCut ? .cut : .broken
            return nil
        }
        defer { at &+= count }
        return at
    }

    private mutating func block(_ count: Int) -> Range<Int> { take(count).map { $0..<$0 &+ count } ?? 0..<0 }

    mutating func u8(_ payload: RawSpan) -> UInt8 { take(1).map { payload.u8(at: $0) } ?? 0 }

    private mutating func u16(_ payload: RawSpan) -> UInt16 { take(2).map { payload.be16(at: $0) } ?? 0 }

    mutating func u32(_ payload: RawSpan) -> UInt32 { take(4).map { payload.be32(at: $0) } ?? 0 }

    mutating func bool(_ payload: RawSpan) -> Bool {
        guard isTight else { return u8(payload) != 0 }
        guard state == .reading, bit >> 3 < bits.count else {
            fail()
            return false
        }
        defer { bit &+= 1 }
        return payload.u8(at: bits.lowerBound &+ bit >> 3) >> UInt8(bit & 7) & 1 != 0
    }

    mutating func skipLong(_ payload: RawSpan) {
        guard isTight else {
            _ = take(8)
            return
        }
        switch (bool(payload), bool(payload)) {
        case (true, true): _ = take(8)
        case (true, false): _ = take(4)
        case (false, true): _ = take(2)
        case (false, false): break
        }
    }

    /// Empty: absent.
    mutating func string(_ payload: RawSpan) -> Range<Int> {
        guard bool(payload) else { return 0..<0 }
        // Whether it is ASCII makes no difference.
        if isTight { _ = bool(payload) }
        let text = block(Int(u16(payload)))
        if !payload.isUTF8(text) { fail() }
        return text
    }

    mutating func skipByteArray(_ payload: RawSpan) {
        guard bool(payload) else { return }
        _ = block(Int(clamping: u32(payload)))
    }

    /// Type of a nested object that follows; nil = none.
    mutating func nestedType(_ payload: RawSpan) -> UInt8? {
        guard bool(payload) else { return nil }
        let type = u8(payload)
        guard state == .reading else { return nil }
        let isMarshalAware = type == 1 || (23...29).contains(type)
        if isTight, isMarshalAware, bool(payload) {
            // It was encoded before: size and type once more, and booleans of its own.
            _ = take(5)
            readBits(payload)
        }
        return state == .reading ? type : nil
    }

    /// Type of an object that follows unless an earlier one is meant; nil = nothing follows.
    mutating func cachedType(_ payload: RawSpan, isCaching: Bool) -> UInt8? {
        guard isCaching else { return nestedType(payload) }
        let isNew = bool(payload)
        _ = u16(payload)
        return isNew ? nestedType(payload) : nil
    }
}

extension RawSpan {
    func isUTF8(_ range: Range<Int>) -> Bool {
        isASCII(range)
            || extracting(range).withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) != nil }
    }
}
