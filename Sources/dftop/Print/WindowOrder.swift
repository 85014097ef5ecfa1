import Model

/// Puts flows in the order of the end of their window, then of their first packet, while holding few of them: a flow is
/// settled when the newest one is so much later that none before it can come any more.
struct WindowOrder {
    /// A minute log leaves at most this long after its window, by the delays of the metrics stages.
    private static let latenessNs: UInt64 = 20_000_000_000

    /// What flows are sorted by, and where the flow is; flows themselves are large and stay in place.
    private struct Place: BitwiseCopyable, Comparable {
        let endNs: UInt64
        let startNs: UInt64
        let flowID: UInt64
        let position: Int

        static func < (left: Place, right: Place) -> Bool {
            if left.endNs != right.endNs { return left.endNs < right.endNs }
            if left.startNs != right.startNs { return left.startNs < right.startNs }
            return left.flowID < right.flowID
        }
    }

    private var waiting: [TaggedFlow] = []
    private var newestNs: UInt64 = 0
    private var settledNs: UInt64 = 0

    mutating func add(_ flows: [TaggedFlow]) {
        waiting += flows
        flows.withUnsafeBufferPointer { flows in
            for position in flows.indices where flows[position].closeType != CloseType.forcedReport.rawValue {
                newestNs = max(newestNs, flows[position].endTimeNs)
            }
        }
    }

    /// Shows the flows that are settled and forgets them.
    mutating func takeSettled(_ body: (TaggedFlow) -> Void) {
        let limit = newestNs > WindowOrder.latenessNs ? newestNs - WindowOrder.latenessNs : 0
        guard limit >= settledNs &+ 5_000_000_000 else { return }
        settledNs = limit
        take(before: limit, body)
    }

    mutating func takeAll(_ body: (TaggedFlow) -> Void) { take(before: .max, body) }

    private mutating func take(before limit: UInt64, _ body: (TaggedFlow) -> Void) {
        waiting.withUnsafeBufferPointer { flows in
            var places: [Place] = []
            for position in flows.indices where flows[position].endTimeNs < limit {
                places.append(
                    Place(
                        endNs: flows[position].endTimeNs, startNs: flows[position].startTimeNs,
                        flowID: flows[position].flowID, position: position))
            }
            places.sort()
            for place in places { body(flows[place.position]) }
        }
        if limit == .max {
            waiting.removeAll()
        } else {
            waiting.removeAll { $0.endTimeNs < limit }
        }
    }
}
