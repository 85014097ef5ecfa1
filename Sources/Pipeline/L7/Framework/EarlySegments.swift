import Model

/// Segments that came before one that belongs in front of them, in order of sequence numbers, one entry a flow and
/// direction; bounded in flows, segments and bytes.
struct EarlySegments {
    struct Segment {
        var packet: L7Packet
        var bytes: [UInt8]
    }

    private struct Entry {
        var segments: [Segment] = []
        var byteCount = 0
        var sinceNs: UInt64 = 0
    }

    private static let maxSegments = 64
    private static let maxBytes = 1 << 16
    /// What has not come by then does not come.
    private static let patienceNs: UInt64 = 1_000_000_000

    private var entries: [Entry] = []
    private var unused: [Int32] = []
    private let maxEntries: Int

    init(_ settings: ReassemblySettings) { maxEntries = settings.maxWaiting }

    /// Keeps a segment. Returns the number of the entry, nil when there is no room.
    mutating func keep(_ number: Int32, _ packet: L7Packet, _ payload: RawSpan) -> Int32? {
        guard payload.byteCount <= Self.maxBytes else { return nil }
        let kept: Int32
        if number >= 0 {
            kept = number
        } else if let reused = unused.popLast() {
            kept = reused
        } else {
            guard entries.count < maxEntries else { return nil }
            kept = Int32(truncatingIfNeeded: entries.count)
            entries.append(Entry())
        }
        let at = Int(kept)
        if entries[at].segments.isEmpty { entries[at].sinceNs = packet.timeNs }
        let place =
            entries[at].segments.firstIndex { Int32(bitPattern: $0.packet.tcpSeq &- packet.tcpSeq) >= 0 }
            ?? entries[at].segments.count
        if place < entries[at].segments.count, entries[at].segments[place].packet.tcpSeq == packet.tcpSeq,
            entries[at].segments[place].bytes.count >= payload.byteCount
        {
            return kept
        }
        guard entries[at].segments.count < Self.maxSegments,
            entries[at].byteCount + payload.byteCount <= Self.maxBytes
        else { return nil }
        let bytes = payload.withUnsafeBytes { Array($0) }
        entries[at].byteCount += bytes.count
        entries[at].segments.insert(Segment(packet: packet, bytes: bytes), at: place)
        return kept
    }

    /// Takes the first segment, if it begins at `seq` or before.
    mutating func next(_ number: Int32, upTo seq: UInt32) -> Segment? {
        guard let first = entries[Int(number)].segments.first, Int32(bitPattern: first.packet.tcpSeq &- seq) <= 0 else {
            return nil
        }
        return removeFirst(number)
    }

    /// Takes the first segment, wherever it begins.
    mutating func removeFirst(_ number: Int32) -> Segment? {
        guard !entries[Int(number)].segments.isEmpty else { return nil }
        let first = entries[Int(number)].segments.removeFirst()
        entries[Int(number)].byteCount -= first.bytes.count
        return first
    }

    func isEmpty(_ number: Int32) -> Bool { entries[Int(number)].segments.isEmpty }

    func isOverdue(_ number: Int32, nowNs: UInt64) -> Bool { nowNs > entries[Int(number)].sinceNs + Self.patienceNs }

    mutating func free(_ number: Int32) {
        entries[Int(number)] = Entry()
        unused.append(number)
    }
}
