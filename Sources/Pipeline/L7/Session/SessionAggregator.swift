package import Model

/// Joins requests with responses and sends what found no partner in time. One thread; nothing waits without bound.
///
/// Feed a batch with `add`, then call `endBatch`, which moves the window by packet time. Order of output depends on the
/// input alone. Source: agent-l7.md 8, 9, 14.
package struct SessionAggregator {
    package struct Settings: Sendable {
        package var maxEntries = 65536
        /// Configured waits, seconds; others are 15 s for DNS and TLS, 120 s for the rest.
        package var timeoutsSec: [L7Protocol: UInt64] = [:]
        /// Logs a second, 0 = unlimited (as in a replay that does not set it).
        package var throttlePerSecond: UInt64 = 10000
        /// `TapSide` raw values that never log.
        package var ignoredTapSides: [UInt8] = []

        package init() {}

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

    private struct Entry {
        var key: PairIndex.Key
        /// Nil while the entry is unused.
        var message: L7Message?
        var timeoutSec: UInt64
        /// Neighbours among the entries of the same timeout; -1 = none.
        var newer: Int32 = -1
        var older: Int32 = -1
    }

    private var settings: Settings
    private var throttle: LogThrottle
    private var counts = Counters()
    private var index = PairIndex()
    private var entries: [Entry] = []
    private var unused: [Int32] = []
    /// Timeout seconds with entries (or emptied since), ascending, each with its last inserted entry.
    private var times: [(sec: UInt64, head: Int32)] = []
    private var windowStartSec: UInt64 = 0
    private var batchMaxSec: UInt64?
    /// Wall clock minus packet clock, seconds.
    private var lagSec: Int64 = 0

    package init(settings: Settings) {
        self.settings = settings
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
    package mutating func add(_ message: consuming L7Message, nowNs: UInt64, into out: inout [L7FlowLog]) {
        if !settings.ignoredTapSides.isEmpty, settings.ignoredTapSides.contains(message.log.base.tapSide) { return }
        counts.receive &+= 1
        let startSec = message.log.base.startTimeNs / 1_000_000_000
        batchMaxSec = max(batchMaxSec ?? 0, startSec)
        if !message.needsSessionAggregation || message.type == .session {
            if message.log.base.startTimeNs == 0 { message.log.base.startTimeNs = message.log.base.endTimeNs }
            if message.log.base.endTimeNs == 0 { message.log.base.endTimeNs = message.log.base.startTimeNs }
            send(message, nowNs, into: &out)
            return
        }
        let timeoutSec = startSec &+ settings.timeoutSec(message.l7Protocol)
        if timeoutSec <= windowStartSec {
            counts.sendBeforeWindow &+= 1
            send(message, nowNs, into: &out)
            return
        }
        let key = Self.key(message)
        let at = index.find(key)
        guard at >= 0 else {
            insert(key, message, timeoutSec, nowNs, into: &out)
            return
        }
        join(Int(at), key, message, timeoutSec, nowNs, into: &out)
    }

    /// Takes all messages of a batch, in order, and leaves it empty. Moving them out keeps each the only owner of its record.
    package mutating func add(batch: inout [L7Message], nowNs: UInt64, into out: inout [L7FlowLog]) {
        for number in 0..<batch.count {
            var message = L7Message.moved
            swap(&message, &batch[number])
            add(message, nowNs: nowNs, into: &out)
        }
        batch.removeAll(keepingCapacity: true)
    }

    /// A closed socket ends the wait of its requests; the status stays. Source: agent-l7.md 9.4.
    package mutating func socketClosed(
        flowID: UInt64, proto: L7Protocol, capSeq: UInt64, nowNs: UInt64, into out: inout [L7FlowLog]
    ) {
        counts.receive &+= 1
        let key = PairIndex.Key(high: flowID, low: Self.low(proto, capSeq))
        guard index.find(key) >= 0 else { return }
        counts.cached -= 1
        send(remove(key), nowNs, into: &out)
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
                var message = remove(entries[Int(time.head)].key)
                if asTimeout { message.log.responseStatus = L7ResponseStatus.timeout.rawValue }
                send(message, nowNs, into: &out)
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
                var message = remove(entries[Int(time.head)].key)
                message.log.responseStatus = L7ResponseStatus.timeout.rawValue
                counts.cached -= 1
                send(message, nowNs, into: &out)
            } else {
                times.removeFirst()
            }
        }
    }

    // MARK: - Joining

    private mutating func join(
        _ at: Int, _ key: PairIndex.Key, _ message: consuming L7Message, _ timeoutSec: UInt64, _ nowNs: UInt64,
        into out: inout [L7FlowLog]
    ) {
        let start = message.log.base.startTimeNs
        let waiting = entries[at].message?.log.base.startTimeNs ?? 0
        if message.needsMerge {
            entries[at].message?.merge(message)
            if let whole = entries[at].message, whole.isRequestEnd && whole.isResponseEnd {
                counts.cached -= 1
                send(remove(key), nowNs, into: &out)
            }
            return
        }
        switch (entries[at].message?.type ?? .other, message.type) {
        case (.request, .response) where start > waiting:
            var request = remove(key)
            request.merge(message)
            counts.merge &+= 1
            counts.cached -= 1
            send(&request, nowNs, into: &out)
        case (.response, .request) where waiting > start:
            let response = remove(key)
            var request = message
            request.merge(response)
            counts.merge &+= 1
            counts.cached -= 1
            send(request, nowNs, into: &out)
        default:
            // Same kind twice, wrong order or equal times: the older one leaves.
            if waiting > start {
                send(message, nowNs, into: &out)
            } else {
                send(remove(key), nowNs, into: &out)
                link(key, message, timeoutSec)
            }
        }
    }

    private mutating func insert(
        _ key: PairIndex.Key, _ message: consuming L7Message, _ timeoutSec: UInt64, _ nowNs: UInt64,
        into out: inout [L7FlowLog]
    ) {
        // A late duplicate of a finished stream.
        if message.needsMerge, message.isRequestEnd || message.isResponseEnd { return }
        if index.count >= settings.maxEntries {
            counts.overLimit &+= 1
            while let time = times.first {
                if time.head >= 0 {
                    // The new one is lost, and the gauge stays (trap).
                    send(remove(entries[Int(time.head)].key), nowNs, into: &out)
                    return
                }
                times.removeFirst()
            }
            return
        }
        counts.cached += 1
        link(key, message, timeoutSec)
    }

    private static func key(_ message: borrowing L7Message) -> PairIndex.Key {
        let flowID = message.log.base.flowID
        if message.isFromEBPF {
            let newest = max(message.log.base.syscallCapSeq0, message.log.base.syscallCapSeq1)
            let capSeq = newest &+ (message.type == .request ? 1 : 0)
            return PairIndex.Key(
                high: flowID, low: low(message.l7Protocol, message.hasSessionID ? UInt64(message.sessionID) : capSeq))
        }
        return PairIndex.Key(high: flowID, low: message.hasSessionID ? UInt64(message.sessionID) : 0)
    }

    /// eBPF: protocol above the session id or capture sequence; gRPC and Triple count as HTTP/2.
    private static func low(_ proto: L7Protocol, _ number: UInt64) -> UInt64 {
        let shown = proto == .grpc || proto == .triple ? L7Protocol.http2 : proto
        return UInt64(shown.rawValue) << 32 | number
    }

    // MARK: - Entries

    private mutating func link(_ key: PairIndex.Key, _ message: consuming L7Message, _ timeoutSec: UInt64) {
        counts.cachedRequestResource += Int64(message.log.requestResource.utf8.count)
        var entry = Entry(key: key, message: message, timeoutSec: timeoutSec)
        let bucket = bucket(timeoutSec)
        let head = times[bucket].head
        entry.older = head
        let at: Int32
        if let reused = unused.popLast() {
            at = reused
            entries[Int(at)] = entry
        } else {
            at = Int32(truncatingIfNeeded: entries.count)
            entries.append(entry)
        }
        if head >= 0 { entries[Int(head)].newer = at }
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

    private mutating func remove(_ key: PairIndex.Key) -> L7Message {
        let at = index.remove(key)
        guard at >= 0 else { return L7Message() }
        guard let message = entries[Int(at)].message.take() else { return L7Message() }
        let entry = (
            newer: entries[Int(at)].newer, older: entries[Int(at)].older, timeoutSec: entries[Int(at)].timeoutSec
        )
        if entry.newer >= 0 {
            entries[Int(entry.newer)].older = entry.older
        } else {
            times[bucket(entry.timeoutSec)].head = entry.older
        }
        if entry.older >= 0 { entries[Int(entry.older)].newer = entry.newer }
        unused.append(at)
        counts.cachedRequestResource -= Int64(message.log.requestResource.utf8.count)
        return message
    }

    private mutating func send(_ message: consuming L7Message, _ nowNs: UInt64, into out: inout [L7FlowLog]) {
        var message = message
        send(&message, nowNs, into: &out)
    }

    @inline(__always)
    private mutating func send(_ message: inout L7Message, _ nowNs: UInt64, into out: inout [L7FlowLog]) {
        if message.skipSend || message.isOnBlacklist { return }
        throttle.offer(message.takeRecord(), nowNs: nowNs, into: &out)
    }
}
