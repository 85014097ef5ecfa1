/// One direction of an HTTP/2 connection: where its next frame begins, and what its header blocks build on.
struct HTTP2Lane {
    /// Where to begin with a payload.
    struct Place {
        var start = 0
        /// A frame begins there; otherwise one only hopes so.
        var isSure = false
        /// The payload lies before others that have been read.
        var isLate = false
    }

    var decoder = HPACKDecoder()
    /// Header block that goes on in CONTINUATION frames, and the frame that began it.
    private(set) var block: [UInt8] = []
    private(set) var blockStart: HTTP2Frame?
    private static let longestBlock = 65536

    /// Header fields wait for the data that may follow them.
    var waitsForData = false
    private(set) var hasBegun = false
    private var isInStep = false
    /// TCP sequence numbers behind the last payload, and of the next frame, which may lie further on.
    private var nextSeq: UInt32 = 0
    private var nextFrame: UInt32 = 0

    /// - Parameter seq: TCP sequence number of the payload's first byte.
    mutating func place(of seq: UInt32) -> Place {
        guard hasBegun else { return Place() }
        let ahead = Int(Int32(bitPattern: seq &- nextSeq))
        if ahead < 0 { return Place(isLate: true) }
        let skip = Int(Int32(bitPattern: nextFrame &- seq))
        if isInStep, skip >= 0 { return Place(start: skip, isSure: true) }
        // Frames were missed, headers perhaps among them.
        if ahead > 0 || isInStep { loseStep() }
        return Place()
    }

    /// A payload was read up to the frame at `next`, which may begin behind it.
    mutating func read(to next: Int, of seq: UInt32, _ size: Int) {
        hasBegun = true
        isInStep = true
        nextSeq = seq &+ UInt32(truncatingIfNeeded: size)
        nextFrame = seq &+ UInt32(truncatingIfNeeded: next)
    }

    /// A payload, or the rest of it, is no chain of frames.
    mutating func stray(at seq: UInt32, _ size: Int) {
        hasBegun = true
        nextSeq = seq &+ UInt32(truncatingIfNeeded: size)
        loseStep()
    }

    private mutating func loseStep() {
        isInStep = false
        decoder.forget()
        dropBlock()
    }

    // MARK: - Header blocks in pieces

    mutating func begin(_ frame: HTTP2Frame, _ piece: RawSpan) {
        dropBlock()
        blockStart = frame
        piece.withUnsafeBytes { block.append(contentsOf: $0) }
    }

    /// Adds a piece. False: it continues nothing.
    mutating func append(_ frame: HTTP2Frame, _ piece: RawSpan) -> Bool {
        guard let blockStart, blockStart.stream == frame.stream,
            block.count &+ piece.byteCount <= Self.longestBlock
        else { return false }
        piece.withUnsafeBytes { block.append(contentsOf: $0) }
        return true
    }

    /// The collected block, which belongs to the caller.
    mutating func takeBlock() -> [UInt8] {
        var whole: [UInt8] = []
        swap(&whole, &block)
        blockStart = nil
        return whole
    }

    mutating func dropBlock() {
        block.removeAll()
        blockStart = nil
    }
}
