import Model

/// Bytes of messages that are not complete yet, one entry a flow and direction; bounded in number and size.
struct SegmentHolder {
    private struct Entry {
        var packet = L7Packet()
        var bytes: [UInt8] = []
        var nextSeq: UInt32 = 0
        var isUsed = false
    }

    private var entries: [Entry] = []
    private var unused: [Int32] = []
    private let maxBytes: Int
    private let maxWaiting: Int

    init(_ settings: ReassemblySettings) {
        maxBytes = settings.maxBytes
        maxWaiting = settings.maxWaiting
    }

    /// Keeps the first segment of a message; nil when there is no room.
    mutating func take(_ packet: L7Packet, _ payload: RawSpan, direction: PacketDirection) -> Int32? {
        guard payload.byteCount <= maxBytes else { return nil }
        let number: Int32
        if let reused = unused.popLast() {
            number = reused
        } else {
            guard entries.count < maxWaiting else { return nil }
            number = Int32(truncatingIfNeeded: entries.count)
            entries.append(Entry())
        }
        let at = Int(number)
        entries[at].packet = packet
        entries[at].packet.direction = direction
        entries[at].packet.capturedByte = UInt32(truncatingIfNeeded: payload.byteCount)
        entries[at].nextSeq = packet.tcpSeq &+ UInt32(truncatingIfNeeded: payload.byteCount)
        entries[at].isUsed = true
        entries[at].bytes.removeAll(keepingCapacity: true)
        add(payload, to: at)
        return number
    }

    /// Adds the segment that follows. False: it does not follow, or is too much.
    mutating func append(_ number: Int32, seq: UInt32, _ payload: RawSpan) -> Bool {
        let at = Int(number)
        guard entries[at].nextSeq == seq, entries[at].bytes.count + payload.byteCount <= maxBytes else { return false }
        entries[at].nextSeq = seq &+ UInt32(truncatingIfNeeded: payload.byteCount)
        entries[at].packet.capturedByte &+= UInt32(truncatingIfNeeded: payload.byteCount)
        add(payload, to: at)
        return true
    }

    /// All bytes of the segment are held already.
    func isRepeated(_ number: Int32, seq: UInt32, count: Int) -> Bool {
        let entry = entries[Int(number)]
        let first = Int32(bitPattern: seq &- entry.packet.tcpSeq)
        let last = Int32(bitPattern: seq &+ UInt32(truncatingIfNeeded: count) &- entry.nextSeq)
        return first >= 0 && last <= 0
    }

    func hasRoom(_ count: Int) -> Bool { count < maxBytes }

    /// First packet and bytes of an entry; the bytes belong to the caller until `giveBack` or `free`.
    mutating func lend(_ number: Int32) -> (packet: L7Packet, bytes: [UInt8]) {
        var bytes: [UInt8] = []
        swap(&bytes, &entries[Int(number)].bytes)
        return (entries[Int(number)].packet, bytes)
    }

    mutating func giveBack(_ number: Int32, _ bytes: consuming [UInt8]) { entries[Int(number)].bytes = bytes }

    mutating func free(_ number: Int32) {
        entries[Int(number)] = Entry()
        unused.append(number)
    }

    private mutating func add(_ payload: RawSpan, to at: Int) {
        unsafe payload.withUnsafeBytes { unsafe entries[at].bytes.append(contentsOf: $0) }
    }
}
