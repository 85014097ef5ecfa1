/// Requests of a connection that wait for their answers in the order in which they were sent.
///
/// A request that waits alone is paired by its flow. Those that are sent before others are answered are numbered.
struct RequestLine: BitwiseCopyable {
    struct Request: BitwiseCopyable, Equatable {
        /// Session id; nil = it waited alone.
        var id: UInt32?
        var isMarked: Bool
    }

    private static let capacity: UInt8 = 32

    /// A bit each request, the oldest lowest.
    private var marks: UInt32 = 0
    private var numbered: UInt32 = 0
    private var sent: UInt32 = 0
    private(set) var count: UInt8 = 0

    /// - Parameter isMarked: told again with the answer.
    mutating func add(isMarked: Bool) -> UInt32? {
        // More than can be told apart: answers are no longer told whose they are.
        if count == Self.capacity { forget() }
        let isNumbered = count > 0
        marks |= isMarked ? 1 << UInt32(count) : 0
        numbered |= isNumbered ? 1 << UInt32(count) : 0
        count &+= 1
        sent &+= 1
        return isNumbered ? sent : nil
    }

    var next: Request? {
        guard count > 0 else { return nil }
        return Request(
            id: numbered & 1 != 0 ? sent &- UInt32(count) &+ 1 : nil, isMarked: marks & 1 != 0)
    }

    mutating func removeFirst() {
        guard count > 0 else { return }
        marks >>= 1
        numbered >>= 1
        count &-= 1
    }

    mutating func forget() { (marks, numbered, count) = (0, 0, 0) }
}
