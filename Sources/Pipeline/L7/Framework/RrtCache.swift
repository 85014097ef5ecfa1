import CLinux
import Model

/// Pairs requests with responses for the counters: one per flow table. Source: agent-l7.md 6.
///
/// Flows are numbered by their slot, so that nothing is hashed: each has a chain of at most 16 outstanding requests, and
/// all requests together stand in one list by last use, from which the oldest leaves when the capacity is reached.
struct RrtCache: ~Copyable {
    /// What is counted of one message.
    struct Item {
        /// Slot of the flow.
        var flow: Int
        var sessionID: UInt32?
        var isReversed: Bool
        var type: LogMessageType
        var direction: PacketDirection
        var status: UInt8
        var timeUs: UInt64
        var isOnBlacklist: Bool
        var needsAggregation: Bool
        /// Ends of a message that comes in several parts; nil for whole messages.
        var merge: (requestEnd: Bool, responseEnd: Bool)?
        var endpoint: String
        var endpointHash: UInt64 = 0
    }

    struct Pending {
        var low: UInt64 = 0
        var timeUs: UInt64 = 0
        var endpoint = ""
        var endpointHash: UInt64 = 0
        var flow: Int32 = -1
        /// Next older request of the flow; -1 = none. Next free node of an unused one.
        var nextInFlow: Int32 = -1
        /// Neighbours by last use.
        var newer: Int32 = -1
        var older: Int32 = -1
        var type = LogMessageType.request
        var isOnBlacklist = false
        var hasMerge = false
        var requestEnd = false
        var responseEnd = false
        var isMerged = false
    }

    struct FlowRecord {
        /// Outstanding requests, newest first.
        var head: Int32 = -1
        var count: Int32 = 0
        /// By isReversed.
        var forwardInCache: UInt32 = 0
        var reversedInCache: UInt32 = 0
        var forwardTimeout: UInt32 = 0
        var reversedTimeout: UInt32 = 0
        var isUsed = false

        mutating func addInCache(_ isReversed: Bool) {
            if isReversed { reversedInCache &+= 1 } else { forwardInCache &+= 1 }
        }

        mutating func subtractInCache(_ isReversed: Bool) {
            if isReversed {
                if reversedInCache > 0 { reversedInCache &-= 1 }
            } else if forwardInCache > 0 {
                forwardInCache &-= 1
            }
        }

        mutating func addTimeout(_ isReversed: Bool) {
            if isReversed { reversedTimeout &+= 1 } else { forwardTimeout &+= 1 }
        }
    }

    /// Outstanding requests of one flow.
    private static let requestsPerFlow = 16

    private var nodes = NumberedStore<Pending>()
    private var firstFree: Int32 = -1
    private var newest: Int32 = -1
    private var oldest: Int32 = -1
    private var flows = NumberedStore<FlowRecord>()
    private let capacity: Int

    /// statsd `l7_perf_cache_len`, `l7_timeout_cache_len`.
    private(set) var pendingCount = 0
    private(set) var flowCount = 0

    init(capacity: Int) { self.capacity = max(1, capacity) }

    /// Asks the caches for a flow's record.
    @inline(__always)
    func prefetch(flow: Int) { dft_prefetch(flows.pointer(flow)) }

    /// Endpoint of the request that a response with this identity answers, if it is not later than the response.
    func requestEndpoint(
        flow: Int, sessionID: UInt32?, isReversed: Bool, timeUs: UInt64
    ) -> (text: String, hash: UInt64)? {
        let at = find(flow, Self.low(sessionID, isReversed))
        guard at >= 0, nodes[Int(at)].type == .request, timeUs >= nodes[Int(at)].timeUs else { return nil }
        return (nodes[Int(at)].endpoint, nodes[Int(at)].endpointHash)
    }

    /// Statistics of one message; nil = nothing to count. Source: agent-l7.md 6.3.
    mutating func account(_ item: borrowing Item, rrtTimeoutUs: UInt64) -> L7PerfStats? {
        guard item.timeUs != 0, item.flow >= 0 else { return nil }
        guard item.needsAggregation else { return Self.counts(item) }
        if item.type == .session {
            if item.isOnBlacklist { return nil }
            var stats = Self.counts(item)
            if item.direction == .clientToServer { stats.requestCount = 1 } else { stats.responseCount = 1 }
            return stats
        }
        reserve(item.flow)
        let low = Self.low(item.sessionID, item.isReversed)
        let node = find(item.flow, low)
        guard node >= 0 else {
            if item.isOnBlacklist { return nil }
            if item.type == .request {
                store(low, item)
                flows[item.flow].addInCache(item.isReversed)
            }
            return Self.counts(item)
        }
        return pair(Int(node), low, item, rrtTimeoutUs)
    }

    private mutating func pair(
        _ at: Int, _ low: UInt64, _ item: borrowing Item, _ rrtTimeoutUs: UInt64
    ) -> L7PerfStats? {
        let wasMerged = nodes[at].isMerged
        var keep = false
        if nodes[at].hasMerge {
            nodes[at].requestEnd = nodes[at].requestEnd || item.merge?.requestEnd ?? false
            nodes[at].responseEnd = nodes[at].responseEnd || item.merge?.responseEnd ?? false
            if nodes[at].type != item.type, !nodes[at].isMerged {
                nodes[at].isMerged = true
                if !nodes[at].isOnBlacklist { flows[item.flow].subtractInCache(item.isReversed) }
            }
            keep = !(nodes[at].requestEnd && nodes[at].responseEnd)
        } else if nodes[at].type == .request, !nodes[at].isOnBlacklist {
            flows[item.flow].subtractInCache(item.isReversed)
        }
        if keep { touch(Int32(truncatingIfNeeded: at)) }
        let isBlacklisted = item.isOnBlacklist || nodes[at].isOnBlacklist

        if nodes[at].type == .request, item.type == .response, nodes[at].timeUs <= item.timeUs {
            var stats: L7PerfStats?
            if !isBlacklisted {
                var counted = Self.counts(item)
                let rrt = item.timeUs &- nodes[at].timeUs
                if rrt > rrtTimeoutUs {
                    if !nodes[at].hasMerge || !wasMerged { flows[item.flow].addTimeout(item.isReversed) }
                } else if rrt != 0 {
                    counted.rrtCount = 1
                    counted.rrtSum = rrt
                    counted.rrtMax = UInt32(clamping: rrt)
                }
                stats = counted
            }
            if !keep { remove(at) }
            return stats
        }
        guard item.merge != nil else {
            remove(at)
            if item.isOnBlacklist { return nil }
            if item.type == .request { store(low, item) }
            return Self.counts(item)
        }
        if nodes[at].type != item.type, !wasMerged, !nodes[at].isOnBlacklist {
            flows[item.flow].addTimeout(item.isReversed)
        }
        if !keep { remove(at) }
        return isBlacklisted ? nil : Self.counts(item)
    }

    /// Requests that waited too long. At the flow's end also those that nobody answered; the flow's record is deleted, so
    /// that the second direction yields 0. Source: agent-l7.md 6.4.
    mutating func popTimeout(flow: Int, isFlowEnd: Bool, isReversed: Bool) -> UInt32 {
        guard flows.contains(flow), flows[flow].isUsed else { return 0 }
        let timeouts = isReversed ? flows[flow].reversedTimeout : flows[flow].forwardTimeout
        if isFlowEnd {
            let waiting = isReversed ? flows[flow].reversedInCache : flows[flow].forwardInCache
            while flows[flow].head >= 0 { remove(Int(flows[flow].head)) }
            flows[flow] = FlowRecord()
            flowCount -= 1
            return timeouts &+ waiting
        }
        if timeouts != 0 {
            if isReversed { flows[flow].reversedTimeout = 0 } else { flows[flow].forwardTimeout = 0 }
        }
        return timeouts
    }

    private static func low(_ sessionID: UInt32?, _ isReversed: Bool) -> UInt64 {
        UInt64(sessionID ?? 0) | (isReversed ? 1 << 63 : 0)
    }

    private static func counts(_ item: borrowing Item) -> L7PerfStats {
        var stats = L7PerfStats()
        if let merge = item.merge {
            stats.requestCount = merge.requestEnd ? 1 : 0
            stats.responseCount = merge.responseEnd ? 1 : 0
        } else {
            stats.requestCount = item.type == .request ? 1 : 0
            stats.responseCount = item.type == .response ? 1 : 0
        }
        switch item.status {
        case L7ResponseStatus.clientError.rawValue: stats.errClientCount = 1
        case L7ResponseStatus.serverError.rawValue: stats.errServerCount = 1
        default: break
        }
        return stats
    }

    // MARK: - Chains

    private mutating func reserve(_ flow: Int) {
        while flows.count <= flow { flows.append(FlowRecord()) }
        if !flows[flow].isUsed {
            flows[flow].isUsed = true
            flowCount += 1
        }
    }

    private func find(_ flow: Int, _ low: UInt64) -> Int32 {
        guard flow >= 0, flow < flows.count else { return -1 }
        var at = flows[flow].head
        while at >= 0, nodes[Int(at)].low != low { at = nodes[Int(at)].nextInFlow }
        return at
    }

    private mutating func store(_ low: UInt64, _ item: borrowing Item) {
        if pendingCount >= capacity { remove(Int(oldest)) }
        if flows[item.flow].count >= Int32(Self.requestsPerFlow) { removeLast(of: item.flow) }
        let at: Int32
        if firstFree >= 0 {
            at = firstFree
            firstFree = nodes[Int(at)].nextInFlow
        } else {
            at = Int32(truncatingIfNeeded: nodes.count)
            nodes.append(Pending())
        }
        let node = nodes.pointer(Int(at))
        node.pointee.low = low
        node.pointee.timeUs = item.timeUs
        node.pointee.endpoint = item.endpoint
        node.pointee.endpointHash = item.endpointHash
        node.pointee.flow = Int32(truncatingIfNeeded: item.flow)
        node.pointee.nextInFlow = flows[item.flow].head
        node.pointee.type = item.type
        node.pointee.isOnBlacklist = item.isOnBlacklist
        node.pointee.hasMerge = item.merge != nil
        node.pointee.requestEnd = item.merge?.requestEnd ?? false
        node.pointee.responseEnd = item.merge?.responseEnd ?? false
        node.pointee.isMerged = false
        flows[item.flow].head = at
        flows[item.flow].count += 1
        pendingCount += 1
        linkNewest(at)
    }

    /// Forgets the oldest request of a flow.
    private mutating func removeLast(of flow: Int) {
        var at = flows[flow].head
        while at >= 0, nodes[Int(at)].nextInFlow >= 0 { at = nodes[Int(at)].nextInFlow }
        if at >= 0 { remove(Int(at)) }
    }

    private mutating func remove(_ at: Int) {
        guard at >= 0, nodes[at].flow >= 0 else { return }
        let number = Int32(truncatingIfNeeded: at)
        let flow = Int(nodes[at].flow)
        if flows[flow].head == number {
            flows[flow].head = nodes[at].nextInFlow
        } else {
            var previous = Int(flows[flow].head)
            while nodes[previous].nextInFlow != number { previous = Int(nodes[previous].nextInFlow) }
            nodes[previous].nextInFlow = nodes[at].nextInFlow
        }
        flows[flow].count -= 1
        unlink(number)
        nodes[at].flow = -1
        nodes[at].endpoint = ""
        nodes[at].nextInFlow = firstFree
        firstFree = number
        pendingCount -= 1
    }

    private mutating func touch(_ at: Int32) {
        guard newest != at else { return }
        unlink(at)
        linkNewest(at)
    }

    private mutating func unlink(_ at: Int32) {
        let (newer, older) = (nodes[Int(at)].newer, nodes[Int(at)].older)
        if newer >= 0 { nodes[Int(newer)].older = older } else { newest = older }
        if older >= 0 { nodes[Int(older)].newer = newer } else { oldest = newer }
    }

    private mutating func linkNewest(_ at: Int32) {
        nodes[Int(at)].older = newest
        nodes[Int(at)].newer = -1
        if newest >= 0 { nodes[Int(newest)].newer = at }
        newest = at
        if oldest < 0 { oldest = at }
    }
}
