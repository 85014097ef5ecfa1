package import Model

/// Joins requests with responses and sends what found no partner in time. One thread; nothing waits without bound.
///
/// Feed a batch with `add`, then call `endBatch`, which moves the window by packet time. Order of output depends on the
/// input alone. Source: agent-l7.md 8, 9, 14.
package struct SessionAggregator: ~Copyable {
    package struct Settings: Sendable {
        package var maxEntries = 65536
        /// Configured waits, seconds; others are 15 s for DNS and TLS, 120 s for the rest.
        package var timeoutsSec: [L7Protocol: UInt64] = [:]
        /// Logs a second, 0 = unlimited (as in a replay that does not set it).
        package var throttlePerSecond: UInt64 = 10000
        /// `TapSide` raw values that never log.
        package var ignoredTapSides: [UInt8] = []
        /// Capture network types that log; 0 = all, -1 = none.
        package var captureNetworkTypes: [Int] = [0]

        package init() {}

        fileprivate var keepsAllNetworks: Bool {
            captureNetworkTypes.contains(0) && !captureNetworkTypes.contains(-1)
        }

        package func timeoutSec(_ proto: L7Protocol) -> UInt64 {
            if !timeoutsSec.isEmpty, let configured = timeoutsSec[proto] { return configured }
            return proto == .dns || proto == .tls ? 15 : 120
        }

        /// Longest time a flow may have to wait for an answer. Source: agent-l7.md 3, derived.
        package func maxTimeoutSec(tcpRequestSec: UInt64, udpRequestSec: UInt64) -> UInt64 {
            max(timeoutsSec.values.max() ?? 0, 120, tcpRequestSec, udpRequestSec)
        }
    }

    /// statsd `l7_session_aggr`.
    package struct Counters: Sendable {
        package var sendBeforeWindow: UInt64 = 0
        package var receive: UInt64 = 0
        package var merge: UInt64 = 0
        /// Gauge.
        package var cached: Int64 = 0
        /// Gauge: bytes of request resources held.
        package var cachedRequestResource: Int64 = 0
        package var throttleDrop: UInt64 = 0
        package var overLimit: UInt64 = 0
    }

    private var settings: Settings {
        didSet { keepsAllNetworks = settings.keepsAllNetworks }
    }
    private var keepsAllNetworks: Bool
    private var throttle: LogThrottle
    private var counts = Counters()
    private var index = PairIndex()
    private var table = SessionTable()
    /// Timeout seconds with entries (or emptied since), ascending, each with its last inserted entry.
    private var times: [(sec: UInt64, head: Int32)] = []
    private var windowStartSec: UInt64 = 0
    private var batchMaxSec: UInt64?
    /// Wall clock minus packet clock, seconds.
    private var lagSec: Int64 = 0

    package init(settings: Settings) {
        self.settings = settings
        keepsAllNetworks = settings.keepsAllNetworks
        throttle = LogThrottle(rate: settings.throttlePerSecond)
    }

    package var counters: Counters {
        var all = counts
        all.throttleDrop = throttle.dropped
        return all
    }

    /// Entries that wait for a partner.
    package var count: Int { index.count }

    /// New settings. A changed number of entries sends everything that waits, with its own status.
    package mutating func apply(_ new: Settings, nowNs: UInt64, into out: inout [L7FlowLog]) {
        if new.maxEntries != settings.maxEntries { flush(asTimeout: false, nowNs: nowNs, into: &out) }
        throttle.set(rate: new.throttlePerSecond)
        settings = new
    }

    // MARK: - Items

    /// - Parameter nowNs: clock of the throttle; packet time in a replay.
    package mutating func add(_ message: L7Message, nowNs: UInt64, into out: inout [L7FlowLog]) {
        withUnsafeTemporaryAllocation(of: L7Message.self, capacity: 1) { place in
            guard let place = place.baseAddress else { return }
            place.initialize(to: message)
            take(place, nowNs, into: &out)
        }
    }

    /// Takes all messages of a batch, in order, and leaves it empty.
    package mutating func add(batch: inout L7MessageBatch, nowNs: UInt64, into out: inout [L7FlowLog]) {
        batch.forEach { index.prefetch(Self.key($0)) }
        batch.forEach { prefetchWaiting(Self.key($0)) }
        batch.drain { take($0, nowNs, into: &out) }
    }

    /// Asks the caches for the message that one with this key joins.
    @inline(__always)
    private func prefetchWaiting(_ key: PairIndex.Key) {
        let at = index.find(key)
        if at >= 0 { table.prefetch(at) }
    }

    /// Source: agent-l7.md 3, `outputs.flow_log.filters`.
    @inline(__always)
    private func isFiltered(_ message: UnsafePointer<L7Message>) -> Bool {
        if !settings.ignoredTapSides.isEmpty, settings.ignoredTapSides.contains(message.pointee.log.base.tapSide) {
            return true
        }
        return !keepsAllNetworks
            && (settings.captureNetworkTypes.contains(-1)
                || !settings.captureNetworkTypes.contains(Int(message.pointee.log.base.tapType)))
    }

    /// Moves a message out of its place: into the table, to the output, or away.
    private mutating func take(
        _ message: UnsafeMutablePointer<L7Message>, _ nowNs: UInt64, into out: inout [L7FlowLog]
    ) {
        if isFiltered(message) {
            message.deinitialize(count: 1)
            return
        }
        counts.receive &+= 1
        let startSec = message.pointee.log.base.startTimeNs / 1_000_000_000
        batchMaxSec = max(batchMaxSec ?? 0, startSec)
        if !message.pointee.needsSessionAggregation || message.pointee.type == .session {
            if message.pointee.log.base.startTimeNs == 0 {
                message.pointee.log.base.startTimeNs = message.pointee.log.base.endTimeNs
            }
            if message.pointee.log.base.endTimeNs == 0 {
                message.pointee.log.base.endTimeNs = message.pointee.log.base.startTimeNs
            }
            send(message, nowNs, into: &out)
            return
        }
        let timeoutSec = startSec &+ settings.timeoutSec(message.pointee.l7Protocol)
        if timeoutSec <= windowStartSec {
            counts.sendBeforeWindow &+= 1
            send(message, nowNs, into: &out)
            return
        }
        let key = Self.key(message)
        let at = index.find(key)
        if at < 0 {
            insert(key, message, timeoutSec, nowNs, into: &out)
        } else {
            join(at, key, message, timeoutSec, nowNs, into: &out)
        }
    }

    /// A closed socket ends the wait of its requests; the status stays. Source: agent-l7.md 9.4.
    package mutating func socketClosed(
        flowID: UInt64, proto: L7Protocol, capSeq: UInt64, nowNs: UInt64, into out: inout [L7FlowLog]
    ) {
        counts.receive &+= 1
        let key = PairIndex.Key(high: flowID, low: Self.low(proto, capSeq))
        let at = index.find(key)
        guard at >= 0 else { return }
        counts.cached -= 1
        sendWaiting(at, nowNs, into: &out)
    }

    /// Ends a batch: moves the window to the newest packet time, or by the clock when there was no packet.
    package mutating func endBatch(nowNs: UInt64, into out: inout [L7FlowLog]) {
        let nowSec = Int64(clamping: nowNs / 1_000_000_000)
        let windowSec: UInt64
        if let newest = batchMaxSec {
            windowSec = newest
            lagSec = nowSec &- Int64(clamping: newest)
        } else {
            windowSec = UInt64(clamping: nowSec &- lagSec)
        }
        batchMaxSec = nil
        expire(upTo: windowSec, nowNs, into: &out)
        windowStartSec = windowSec
        throttle.flush(into: &out)
    }

    /// Sends everything that waits, oldest timeout first. At the end of a replay with status Timeout; at shutdown and
    /// when settings change with its own status.
    package mutating func flush(asTimeout: Bool, nowNs: UInt64, into out: inout [L7FlowLog]) {
        while let time = times.first {
            if time.head >= 0 {
                if asTimeout {
                    table.message(time.head).pointee.log.responseStatus = L7ResponseStatus.timeout.rawValue
                }
                sendWaiting(time.head, nowNs, into: &out)
            } else {
                times.removeFirst()
            }
        }
        counts.cached = 0
        counts.cachedRequestResource = 0
        throttle.flush(into: &out)
    }

    private mutating func expire(upTo sec: UInt64, _ nowNs: UInt64, into out: inout [L7FlowLog]) {
        while let time = times.first, time.sec <= sec {
            if time.head >= 0 {
                table.message(time.head).pointee.log.responseStatus = L7ResponseStatus.timeout.rawValue
                counts.cached -= 1
                sendWaiting(time.head, nowNs, into: &out)
            } else {
                times.removeFirst()
            }
        }
    }

    // MARK: - Joining

    /// `at`: the entry under the same key.
    @inline(__always)
    private mutating func join(
        _ at: Int32, _ key: PairIndex.Key, _ message: UnsafeMutablePointer<L7Message>, _ timeoutSec: UInt64,
        _ nowNs: UInt64, into out: inout [L7FlowLog]
    ) {
        let waiting = table.message(at)
        if message.pointee.needsMerge {
            waiting.pointee.merge(message)
            message.deinitialize(count: 1)
            if waiting.pointee.isRequestEnd && waiting.pointee.isResponseEnd {
                counts.cached -= 1
                sendWaiting(at, nowNs, into: &out)
            }
            return
        }
        let start = message.pointee.log.base.startTimeNs
        let waitingStart = waiting.pointee.log.base.startTimeNs
        switch (waiting.pointee.type, message.pointee.type) {
        case (.request, .response) where start > waitingStart:
            remove(at)
            waiting.pointee.merge(message)
            message.deinitialize(count: 1)
            counts.merge &+= 1
            counts.cached -= 1
            send(waiting, nowNs, into: &out)
            table.free(at)
        case (.response, .request) where waitingStart > start:
            remove(at)
            message.pointee.merge(waiting)
            waiting.deinitialize(count: 1)
            table.free(at)
            counts.merge &+= 1
            counts.cached -= 1
            send(message, nowNs, into: &out)
        default:
            // Same kind twice, wrong order or equal times: the older one leaves.
            if waitingStart > start {
                send(message, nowNs, into: &out)
            } else {
                sendWaiting(at, nowNs, into: &out)
                link(key, message, timeoutSec)
            }
        }
    }

    @inline(__always)
    private mutating func insert(
        _ key: PairIndex.Key, _ message: UnsafeMutablePointer<L7Message>, _ timeoutSec: UInt64, _ nowNs: UInt64,
        into out: inout [L7FlowLog]
    ) {
        // A late duplicate of a finished stream.
        if message.pointee.needsMerge, message.pointee.isRequestEnd || message.pointee.isResponseEnd {
            message.deinitialize(count: 1)
            return
        }
        guard index.count >= settings.maxEntries else {
            counts.cached += 1
            link(key, message, timeoutSec)
            return
        }
        // The new one is lost, and the gauge stays (trap).
        counts.overLimit &+= 1
        message.deinitialize(count: 1)
        while let time = times.first {
            if time.head >= 0 {
                sendWaiting(time.head, nowNs, into: &out)
                return
            }
            times.removeFirst()
        }
    }

    private static func key(_ message: UnsafePointer<L7Message>) -> PairIndex.Key {
        let flowID = message.pointee.log.base.flowID
        if message.pointee.isFromEBPF {
            let newest = max(message.pointee.log.base.syscallCapSeq0, message.pointee.log.base.syscallCapSeq1)
            let capSeq = newest &+ (message.pointee.type == .request ? 1 : 0)
            return PairIndex.Key(
                high: flowID,
                low: low(
                    message.pointee.l7Protocol,
                    message.pointee.hasSessionID ? UInt64(message.pointee.sessionID) : capSeq))
        }
        return PairIndex.Key(
            high: flowID, low: message.pointee.hasSessionID ? UInt64(message.pointee.sessionID) : 0)
    }

    /// eBPF: protocol above the session id or capture sequence; gRPC and Triple count as HTTP/2.
    private static func low(_ proto: L7Protocol, _ number: UInt64) -> UInt64 {
        let shown = proto == .grpc || proto == .triple ? L7Protocol.http2 : proto
        return UInt64(shown.rawValue) << 32 | number
    }

    // MARK: - Entries

    private mutating func link(
        _ key: PairIndex.Key, _ message: UnsafeMutablePointer<L7Message>, _ timeoutSec: UInt64
    ) {
        counts.cachedRequestResource += Int64(message.pointee.log.requestResource.utf8.count)
        let bucket = bucket(timeoutSec)
        let head = times[bucket].head
        let entry = SessionTable.Entry(key: key, timeoutSec: timeoutSec, older: head)
        let at = table.insert(entry, moving: message)
        if head >= 0 { table.entry(head).pointee.newer = at }
        times[bucket].head = at
        index.insert(key, at)
    }

    /// Position of a timeout second, made when it is missing; new ones are near the end.
    private mutating func bucket(_ sec: UInt64) -> Int {
        var at = times.count
        while at > 0, times[at - 1].sec >= sec {
            at -= 1
            if times[at].sec == sec { return at }
        }
        times.insert((sec, -1), at: at)
        return at
    }

    /// Takes an entry out of the index and of its second. Its message stays in its place, for the caller to move out
    /// before the place is freed.
    private mutating func remove(_ at: Int32) {
        let entry = table.entry(at).pointee
        _ = index.remove(entry.key)
        if entry.newer >= 0 {
            table.entry(entry.newer).pointee.older = entry.older
        } else {
            times[bucket(entry.timeoutSec)].head = entry.older
        }
        if entry.older >= 0 { table.entry(entry.older).pointee.newer = entry.newer }
        counts.cachedRequestResource -= Int64(table.message(at).pointee.log.requestResource.utf8.count)
    }

    private mutating func sendWaiting(_ at: Int32, _ nowNs: UInt64, into out: inout [L7FlowLog]) {
        remove(at)
        send(table.message(at), nowNs, into: &out)
        table.free(at)
    }

    /// Moves a message out of its place and sends it, unless nobody is to see it.
    @inline(__always)
    private mutating func send(
        _ message: UnsafeMutablePointer<L7Message>, _ nowNs: UInt64, into out: inout [L7FlowLog]
    ) {
        if message.pointee.skipSend || message.pointee.isOnBlacklist {
            message.deinitialize(count: 1)
        } else {
            throttle.offer(message.takeRecord(), nowNs: nowNs, into: &out)
        }
    }
}
