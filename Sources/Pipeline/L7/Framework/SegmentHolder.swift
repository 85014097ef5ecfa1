import Model

/// Bytes of messages that are not complete yet, one entry a flow and direction; bounded in number and size.
struct SegmentHolder {
    private struct Entry {
        var packet = L7Packet()
        var bytes: [UInt8] = []
    }

    private var entries: [Entry] = []
    private var unused: [Int32] = []
    private let maxBytes: Int
    private let maxWaiting: Int

    /// - Parameter shown: bytes of a message that parsers see.
    init(_ settings: ReassemblySettings, shown: Int) {
        maxBytes = max(settings.maxBytes, shown)
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
        entries[at].bytes.removeAll(keepingCapacity: true)
        add(payload, to: at)
        return number
    }

    /// Adds the segment that follows. False: it is too much.
    mutating func append(_ number: Int32, _ payload: RawSpan) -> Bool {
        let at = Int(number)
        guard entries[at].bytes.count + payload.byteCount <= maxBytes else { return false }
        entries[at].packet.capturedByte &+= UInt32(truncatingIfNeeded: payload.byteCount)
        add(payload, to: at)
        return true
    }

    func direction(_ number: Int32) -> PacketDirection { entries[Int(number)].packet.direction }

    func hasRoom(_ count: Int) -> Bool { count < maxBytes }

    /// First packet and bytes of an entry; the bytes belong to the caller until `giveBack` or `free`.
    mutating func lend(_ number: Int32) -> (packet: L7Packet, bytes: [UInt8]) {
        var bytes: [UInt8] = []
        swap(&bytes, &entries[Int(number)].bytes)
        return (entries[Int(number)].packet, bytes)
    }

    /// - Parameters:
    ///   - start: what lies before it is parsed.
    ///   - packet: that brought the rest, when something is parsed.
    mutating func giveBack(_ number: Int32, _ bytes: consuming [UInt8], from start: Int, of packet: L7Packet) {
        if start > 0 {
            let seq = entries[Int(number)].packet.tcpSeq &+ UInt32(truncatingIfNeeded: start)
            bytes.removeFirst(start)
            entries[Int(number)].packet = packet
            entries[Int(number)].packet.tcpSeq = seq
            entries[Int(number)].packet.capturedByte = UInt32(truncatingIfNeeded: bytes.count)
        }
        entries[Int(number)].bytes = bytes
    }

    /// What is kept was recognised as sent in this direction.
    mutating func turn(_ number: Int32, to direction: PacketDirection) {
        entries[Int(number)].packet.direction = direction
    }

    mutating func free(_ number: Int32) {
        entries[Int(number)] = Entry()
        unused.append(number)
    }

    private mutating func add(_ payload: RawSpan, to at: Int) {
        unsafe payload.withUnsafeBytes { unsafe entries[at].bytes.append(contentsOf: $0) }
    }
}
