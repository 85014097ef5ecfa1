/// One direction of a TCP flow whose bytes are followed.
struct StreamSide: BitwiseCopyable {
    /// Sequence number of the next byte in order.
    var next: UInt32 = 0
    /// Where the next message begins, when the rest of one is passed over.
    private var message: UInt32 = 0
    /// Beginning of a message that is kept (`SegmentHolder`), -1 = none.
    var held: Int32 = -1
    /// Segments that came before their turn (`EarlySegments`), -1 = none.
    var early: Int32 = -1
    private(set) var isKnown = false
    private var passesOver = false

    /// Segments that lie further apart belong to different connections.
    static let window = 1 << 26

    @inline(__always)
    func continues(at seq: UInt32) -> Bool { isKnown && next == seq }

    mutating func begin(at seq: UInt32) {
        next = seq
        isKnown = true
        passesOver = false
    }

    /// A message goes on behind the bytes at hand, which need not be seen.
    mutating func passOver(to seq: UInt32) {
        message = seq
        passesOver = true
    }

    /// Bytes at the front of a payload that belong to a message which was parsed already.
    mutating func passedOver(from seq: UInt32, count: Int) -> Int {
        guard passesOver else { return 0 }
        let rest = Int(Int32(bitPattern: message &- seq))
        if rest <= count { passesOver = false }
        return min(max(rest, 0), count)
    }
}

/// Both directions of a flow, by who opened it, which stays when the flow is turned round.
struct StreamSides: BitwiseCopyable {
    private var sides = InlineArray<2, StreamSide>(repeating: StreamSide())

    @inline(__always)
    subscript(_ side: Int) -> StreamSide {
        get { sides[side] }
        set { sides[side] = newValue }
    }

    /// Nothing is kept of either.
    @inline(__always)
    var keepNothing: Bool { sides[0].held & sides[0].early & sides[1].held & sides[1].early == -1 }
}
