/// Where the next message begins in one direction of a TCP flow, by sequence number: a message may be longer than what
/// parsers see of it, and what follows it is found all the same.
struct StreamCursor: BitwiseCopyable {
    /// What a parser knows of the message at an offset.
    enum Frame: Equatable {
        /// Offset of the next message; may lie behind the payload.
        case next(Int)
        /// Its header is not there as a whole.
        case cut
        /// No message of the protocol begins here.
        case foreign
    }

    enum Opening: Equatable {
        /// Messages begin at an offset, one behind the other; the last may be cut.
        case read(from: Int, afterGap: Bool)
        /// No message begins in the payload.
        case nothing
        /// What has to be read ends behind the payload, and may still come.
        case incomplete
        case foreign
    }

    private var next: UInt32 = 0
    private var seen: UInt32 = 0
    private var isStarted = false
    private var isSynced = false

    /// Finds the messages of a payload.
    ///
    /// - Parameter frame: tells about the message at an offset.
    /// - Parameter needsRest: the message at an offset, which the payload cuts, cannot be read as far as it goes.
    mutating func open(
        _ payload: RawSpan, _ context: L7ParseContext, frame: (RawSpan, Int) -> Frame,
        needsRest: (RawSpan, Int) -> Bool
    ) -> Opening {
        let (seq, count) = (context.tcpSeq, payload.byteCount)
        let end = seq &+ UInt32(truncatingIfNeeded: count)
        var at = 0
        var hasGap = false
        if isStarted {
            guard Int32(bitPattern: end &- seen) > 0 else { return .nothing }
            at = Int(Int32(bitPattern: next &- seq))
            if !isSynced || at < 0 {
                (at, hasGap) = (0, true)
            } else if at >= count {
                seen = end
                return .nothing
            }
        }
        let first = at
        while at < count {
            switch frame(payload, at) {
            case .next(let following):
                if following > count, context.mayWait, needsRest(payload, at) { return .incomplete }
                at = max(following, at &+ 1)
            case .cut:
                if context.mayWait { return .incomplete }
                lose(end)
                return .read(from: first, afterGap: hasGap)
            case .foreign:
                lose(end)
                return .foreign
            }
        }
        (isStarted, isSynced, seen) = (true, true, end)
        next = seq &+ UInt32(truncatingIfNeeded: at)
        return .read(from: first, afterGap: hasGap)
    }

    /// Where the next message begins is not known.
    private mutating func lose(_ end: UInt32) { (isStarted, isSynced, seen) = (true, false, end) }
}
