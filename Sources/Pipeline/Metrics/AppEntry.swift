import Model

/// L7 counters of one flow, endpoint and direction in one window slot: one cache line. Source: agent-flow.md 15.
///
/// The endpoint's text lies beside the entries and is read only when a document is made.
package struct AppEntry: BitwiseCopyable, Sendable {
    var endpointHash: UInt64
    /// Slots that the document is shifted back.
    var timeSpanSlots: UInt32
    var l7Protocol: UInt8
    var bizType: UInt8
    var isReversed: Bool
    var directionScore: UInt8
    /// Flow record of the slot; -1 once the entry was sent ahead of its slot.
    var flowPosition: Int32
    /// Next entry of that flow; -1 = none.
    var nextOfFlow: Int32 = -1
    /// Second of the latest counters merged in, seconds since 1970.
    var timeSeconds: UInt32
    var request: UInt32
    var response: UInt32
    var clientError: UInt32
    var serverError: UInt32
    var timeout: UInt32
    /// µs.
    var rrtMax: UInt32
    var rrtCount: UInt32
    var rrtSum: UInt64

    @inline(__always)
    init(_ stats: UnsafePointer<L7Stats>, timeSpanSlots: UInt32, flowPosition: Int32) {
        endpointHash = stats.pointee.endpointHash
        self.timeSpanSlots = timeSpanSlots
        l7Protocol = stats.pointee.l7Protocol
        bizType = stats.pointee.bizType
        isReversed = stats.pointee.isReversed
        directionScore = stats.pointee.directionScore
        self.flowPosition = flowPosition
        timeSeconds = stats.pointee.timeSeconds
        request = stats.pointee.stats.requestCount
        response = stats.pointee.stats.responseCount
        clientError = stats.pointee.stats.errClientCount
        serverError = stats.pointee.stats.errServerCount
        timeout = stats.pointee.stats.errTimeout
        rrtMax = stats.pointee.stats.rrtMax
        rrtCount = stats.pointee.stats.rrtCount
        rrtSum = stats.pointee.stats.rrtSum
    }

    /// Counters add, maxima and the direction score take the larger. Source: agent-flow.md 13.4.
    @inline(__always)
    mutating func merge(_ stats: UnsafePointer<L7Stats>) {
        timeSeconds = stats.pointee.timeSeconds
        directionScore = max(directionScore, stats.pointee.directionScore)
        request &+= stats.pointee.stats.requestCount
        response &+= stats.pointee.stats.responseCount
        clientError &+= stats.pointee.stats.errClientCount
        serverError &+= stats.pointee.stats.errServerCount
        timeout &+= stats.pointee.stats.errTimeout
        rrtMax = max(rrtMax, stats.pointee.stats.rrtMax)
        rrtCount &+= stats.pointee.stats.rrtCount
        rrtSum &+= stats.pointee.stats.rrtSum
    }

    /// Whether counters belong to this entry, when their flow does.
    @inline(__always)
    func isOf(_ stats: UnsafePointer<L7Stats>, timeSpanSlots: UInt32) -> Bool {
        endpointHash == stats.pointee.endpointHash && self.timeSpanSlots == timeSpanSlots
            && l7Protocol == stats.pointee.l7Protocol && bizType == stats.pointee.bizType
            && isReversed == stats.pointee.isReversed
    }

    /// Of an entry and of the counters that belong to it.
    @inline(__always)
    static func hash(
        flowHash: UInt64, endpointHash: UInt64, l7Protocol: UInt8, bizType: UInt8, isReversed: Bool,
        timeSpanSlots: UInt32
    ) -> UInt64 {
        let kind = UInt64(l7Protocol) << 16 | UInt64(bizType) << 8 | (isReversed ? 1 : 0)
        return MetricsHash.mix(flowHash ^ endpointHash, kind << 32 | UInt64(timeSpanSlots))
    }

    @inline(__always)
    func hash(flowHash: UInt64) -> UInt64 {
        AppEntry.hash(
            flowHash: flowHash, endpointHash: endpointHash, l7Protocol: l7Protocol, bizType: bizType,
            isReversed: isReversed, timeSpanSlots: timeSpanSlots)
    }

    /// Nothing counted; the direction score does not matter.
    static func isEmpty(_ stats: UnsafePointer<L7Stats>) -> Bool {
        let perf = stats.pointer(to: \.stats).unsafelyUnwrapped
        let counts =
            perf.pointee.requestCount | perf.pointee.responseCount | perf.pointee.errClientCount
            | perf.pointee.errServerCount | perf.pointee.errTimeout | perf.pointee.rrtCount | perf.pointee.rrtMax
        return counts == 0 && perf.pointee.rrtSum == 0
    }
}
