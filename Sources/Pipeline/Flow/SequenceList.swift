/// Recent sequence ranges of one TCP sender, newest first; tells retransmission and reordering.
/// Source: agent-flow.md 11.1.
struct SequenceList: BitwiseCopyable {
    struct Segment: BitwiseCopyable, Equatable {
        var seq: UInt32 = 0
        var length: UInt32 = 0

        /// One past the last byte; callers have excluded wrapping.
        var end: UInt32 { seq &+ length }
    }

    enum Verdict: UInt8, BitwiseCopyable {
        case notCare, continuous, discontinuous, retrans, outOfOrder, error
    }

    static let capacity = 16

    private var segments: InlineArray<16, Segment> = .init(repeating: Segment())
    private(set) var count: Int32 = 0

    init() {}

    init(_ only: Segment) {
        segments[0] = only
        count = 1
    }

    /// For tests.
    var list: [Segment] { (0..<Int(count)).map { segments[$0] } }

    @inline(__always)
    mutating func assess(seq: UInt32, length: UInt32) -> Verdict {
        guard length > 0, seq > 0 else { return .notCare }
        let (end, wraps) = seq.addingReportingOverflow(length)
        if wraps { return .notCare }
        if count == 0 {
            segments[0] = Segment(seq: seq, length: length)
            count = 1
            return .notCare
        }
        let top = segments[0]
        // The common case: the segment continues the newest range.
        if top.end == seq, top.seq < seq {
            segments[0].length = top.length &+ length
            return .continuous
        }
        return assessSlow(Segment(seq: seq, length: length), end: end, top: top)
    }

    var newest: Segment { segments[0] }

    private mutating func assessSlow(_ new: Segment, end: UInt32, top: Segment) -> Verdict {
        if new.seq < 0x4000_0000, top.end > 0xc000_0000 {
            segments[0] = new
            count = 1
            return .notCare
        }
        if new.seq > 0xc000_0000, top.end < 0x4000_0000 { return .notCare }

        var index = 0
        while index < Int(count), segments[index].seq >= new.seq { index += 1 }
        let hasLess = index < Int(count)
        let hasGreater = index > 0
        let less = hasLess ? segments[index] : Segment()
        let greater = hasGreater ? segments[index - 1] : Segment()

        let base = hasLess ? less : greater
        if base.seq <= new.seq, new.seq < base.end { return .retrans }
        if hasGreater, (new.seq < greater.seq && end > greater.seq) || end > greater.end { return .error }
        if hasLess, less.end > new.seq { return .error }

        let joinsLess = hasLess && less.end == new.seq
        let joinsGreater = hasGreater && end == greater.seq
        if joinsLess && joinsGreater {
            segments[index].length = greater.end &- less.seq
            remove(at: index - 1)
        } else if joinsLess {
            segments[index].length = end &- less.seq
        } else if joinsGreater {
            segments[index - 1] = Segment(seq: new.seq, length: greater.end &- new.seq)
        } else {
            insert(new, at: index)
        }
        if hasGreater { return .outOfOrder }
        return joinsLess ? .continuous : .discontinuous
    }

    private mutating func insert(_ segment: Segment, at index: Int) {
        var move = Int(count)
        while move > index {
            if move < SequenceList.capacity { segments[move] = segments[move - 1] }
            move -= 1
        }
        segments[index] = segment
        count += 1
        if Int(count) == SequenceList.capacity {
            let last = segments[SequenceList.capacity - 1]
            let before = segments[SequenceList.capacity - 2]
            segments[SequenceList.capacity - 2] = Segment(seq: last.seq, length: before.end &- last.seq)
            count -= 1
        }
    }

    private mutating func remove(at index: Int) {
        var move = index
        while move + 1 < Int(count) {
            segments[move] = segments[move + 1]
            move += 1
        }
        count -= 1
    }
}
