import Model

/// Pairs requests with responses for the counters: one per flow table. Source: agent-l7.md 6.
struct RrtCache {
    /// What is counted of one message.
    struct Item {
        var flowID: UInt64
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
    }

    private struct Key: Hashable {
        var flowID: UInt64
        var low: UInt64
    }

    private struct Pending {
        var type: LogMessageType
        var timeUs: UInt64
        var isOnBlacklist: Bool
        var hasMerge: Bool
        var requestEnd = false
        var responseEnd = false
        var isMerged = false
        var endpoint: String
    }

    private struct FlowRecord {
        /// Indexed by isReversed.
        var forwardInCache: UInt32 = 0
        var reversedInCache: UInt32 = 0
        var forwardTimeout: UInt32 = 0
        var reversedTimeout: UInt32 = 0

        mutating func changeInCache(_ isReversed: Bool, by delta: Int32) {
            let old = Int64(isReversed ? reversedInCache : forwardInCache)
            let new = UInt32(clamping: old + Int64(delta))
            if isReversed { reversedInCache = new } else { forwardInCache = new }
        }

        mutating func addTimeout(_ isReversed: Bool) {
            if isReversed { reversedTimeout &+= 1 } else { forwardTimeout &+= 1 }
        }
    }

    /// Outstanding requests of one flow, oldest first.
    private static let keysPerFlow = 16

    private var pending: LRUTable<Key, Pending>
    private var flows: LRUTable<UInt64, FlowRecord>
    private var keys: [UInt64: [UInt64]] = [:]

    init(capacity: Int) {
        pending = LRUTable(capacity: capacity)
        flows = LRUTable(capacity: capacity)
    }

    /// statsd `l7_perf_cache_len`, `l7_timeout_cache_len`.
    var pendingCount: Int { pending.count }
    var flowCount: Int { flows.count }

    /// Endpoint of the request that a response with this identity answers, if it is not later than the response.
    func requestEndpoint(flowID: UInt64, sessionID: UInt32?, isReversed: Bool, timeUs: UInt64) -> String? {
        guard let at = pending.position(of: Self.key(flowID, sessionID, isReversed)) else { return nil }
        let entry = pending[position: at]
        return entry.type == .request && timeUs >= entry.timeUs ? entry.endpoint : nil
    }

    /// Statistics of one message; nil = nothing to count. Source: agent-l7.md 6.3.
    mutating func account(_ item: Item, rrtTimeoutUs: UInt64) -> L7PerfStats? {
        guard item.timeUs != 0 else { return nil }
        guard item.needsAggregation else { return Self.counts(item) }
        if item.type == .session {
            if item.isOnBlacklist { return nil }
            var stats = Self.counts(item)
            if item.direction == .clientToServer { stats.requestCount = 1 } else { stats.responseCount = 1 }
            return stats
        }
        let key = Self.key(item.flowID, item.sessionID, item.isReversed)
        guard let at = pending.position(of: key) else {
            if item.isOnBlacklist { return nil }
            if item.type == .request {
                store(key, item)
                changeRecord(item.flowID) { $0.changeInCache(item.isReversed, by: 1) }
            }
            return Self.counts(item)
        }
        pending.touch(position: at)
        var previous = pending[position: at]
        let wasMerged = previous.isMerged
        var keep = false
        if previous.hasMerge {
            previous.requestEnd = previous.requestEnd || item.merge?.requestEnd ?? false
            previous.responseEnd = previous.responseEnd || item.merge?.responseEnd ?? false
            if previous.type != item.type, !previous.isMerged {
                previous.isMerged = true
                if !previous.isOnBlacklist {
                    changeRecord(item.flowID) { $0.changeInCache(item.isReversed, by: -1) }
                }
            }
            keep = !(previous.requestEnd && previous.responseEnd)
            pending[position: at] = previous
        } else if previous.type == .request, !previous.isOnBlacklist {
            changeRecord(item.flowID) { $0.changeInCache(item.isReversed, by: -1) }
        }
        let isBlacklisted = item.isOnBlacklist || previous.isOnBlacklist

        if previous.type == .request, item.type == .response, previous.timeUs <= item.timeUs {
            var stats: L7PerfStats?
            if !isBlacklisted {
                var counted = Self.counts(item)
                let rrt = item.timeUs &- previous.timeUs
                if rrt > rrtTimeoutUs {
                    if !previous.hasMerge || !wasMerged {
                        changeRecord(item.flowID) { $0.addTimeout(item.isReversed) }
                    }
                } else if rrt != 0 {
                    counted.rrtCount = 1
                    counted.rrtSum = rrt
                    counted.rrtMax = UInt32(clamping: rrt)
                }
                stats = counted
            }
            if !keep { forget(key) }
            return stats
        }
        guard item.merge != nil else {
            forget(key)
            if item.isOnBlacklist { return nil }
            if item.type == .request { store(key, item) }
            return Self.counts(item)
        }
        if previous.type != item.type, !wasMerged, !previous.isOnBlacklist {
            changeRecord(item.flowID) { $0.addTimeout(item.isReversed) }
        }
        if !keep { forget(key) }
        return isBlacklisted ? nil : Self.counts(item)
    }

    /// Requests that waited too long. At the flow's end also those that nobody answered; the flow's record is deleted, so
    /// that the second direction yields 0. Source: agent-l7.md 6.4.
    mutating func popTimeout(flowID: UInt64, isFlowEnd: Bool, isReversed: Bool) -> UInt32 {
        guard let at = flows.position(of: flowID) else { return 0 }
        let record = flows[position: at]
        let timeouts = isReversed ? record.reversedTimeout : record.forwardTimeout
        if isFlowEnd {
            flows.remove(flowID)
            return timeouts &+ (isReversed ? record.reversedInCache : record.forwardInCache)
        }
        if timeouts != 0 {
            if isReversed { flows[position: at].reversedTimeout = 0 } else { flows[position: at].forwardTimeout = 0 }
        }
        return timeouts
    }

    /// Removes what is outstanding of a flow that ended.
    mutating func removeFlow(_ flowID: UInt64) {
        guard let lows = keys.removeValue(forKey: flowID) else { return }
        for low in lows { pending.remove(Key(flowID: flowID, low: low)) }
    }

    private static func key(_ flowID: UInt64, _ sessionID: UInt32?, _ isReversed: Bool) -> Key {
        Key(flowID: flowID, low: UInt64(sessionID ?? 0) | (isReversed ? 1 << 63 : 0))
    }

    private static func counts(_ item: Item) -> L7PerfStats {
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

    private mutating func changeRecord(_ flowID: UInt64, _ change: (inout FlowRecord) -> Void) {
        if let at = flows.position(of: flowID) {
            flows.touch(position: at)
            change(&flows[position: at])
        } else {
            var record = FlowRecord()
            change(&record)
            flows.put(flowID, record)
        }
    }

    private mutating func store(_ key: Key, _ item: Item) {
        let evicted = pending.put(
            key,
            Pending(
                type: item.type, timeUs: item.timeUs, isOnBlacklist: item.isOnBlacklist, hasMerge: item.merge != nil,
                requestEnd: item.merge?.requestEnd ?? false, responseEnd: item.merge?.responseEnd ?? false,
                endpoint: item.endpoint))
        if let evicted { dropKey(evicted.key) }
        keys[key.flowID, default: []].append(key.low)
        if let count = keys[key.flowID]?.count, count > Self.keysPerFlow, let first = keys[key.flowID]?.removeFirst() {
            pending.remove(Key(flowID: key.flowID, low: first))
        }
    }

    private mutating func forget(_ key: Key) {
        pending.remove(key)
        dropKey(key)
    }

    private mutating func dropKey(_ key: Key) {
        guard let at = keys[key.flowID]?.firstIndex(of: key.low) else { return }
        keys[key.flowID]?.remove(at: at)
        if keys[key.flowID]?.isEmpty ?? false { keys[key.flowID] = nil }
    }
}
