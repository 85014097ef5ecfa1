import Model

/// Remembers which protocol a server endpoint speaks, or that nobody knows. Source: agent-l7.md 4.6.
struct AppTable: ~Copyable {
    struct Key: MixedKey, Sendable {
        var ip: IPAddress
        var epcID: Int32
        var port: UInt16
        var processID: UInt32
        var source: UInt8

        @inline(__always)
        static func == (left: Key, right: Key) -> Bool {
            left.ip == right.ip && left.epcID == right.epcID && left.port == right.port
                && left.processID == right.processID && left.source == right.source
        }

        @inline(__always)
        var mixed: UInt64 {
            let place = UInt64(UInt32(bitPattern: epcID)) << 32 | UInt64(port) << 16 | UInt64(source)
            return MetricsHash.step(MetricsHash.mix(ip.low, place), ip.high ^ UInt64(processID) << 32)
        }
    }

    enum Answer: Equatable {
        case none
        case known(L7Protocol)
        /// Too many failures; skip since this second.
        case unknown(sinceSec: UInt32)
    }

    struct Entry {
        var unknownCount: UInt32
        var proto: L7Protocol
        var lastSec: UInt32
    }

    private var v4: RecentTable<Key, Entry>
    private var v6: RecentTable<Key, Entry>
    private let maxRetries: UInt32
    private let ttlSec: UInt32

    init(maxRetries: UInt32, ttlSec: UInt32, capacity: Int = 4096) {
        v4 = RecentTable(capacity: capacity)
        v6 = RecentTable(capacity: capacity)
        self.maxRetries = maxRetries
        self.ttlSec = ttlSec
    }

    mutating func get(_ key: Key, isIPv6: Bool, nowSec: UInt32) -> Answer {
        isIPv6
            ? Self.get(&v6, key, nowSec, ttlSec, maxRetries) : Self.get(&v4, key, nowSec, ttlSec, maxRetries)
    }

    /// Counts a failure. True: the limit is exceeded, the flow is to be skipped (after `maxRetries + 2` failures).
    mutating func setUnknown(_ key: Key, isIPv6: Bool, nowSec: UInt32) -> Bool {
        isIPv6
            ? Self.setUnknown(&v6, key, nowSec, ttlSec, maxRetries)
            : Self.setUnknown(&v4, key, nowSec, ttlSec, maxRetries)
    }

    mutating func set(_ key: Key, isIPv6: Bool, proto: L7Protocol, nowSec: UInt32) {
        let entry = Entry(unknownCount: 0, proto: proto, lastSec: nowSec)
        if isIPv6 { v6.put(key, entry) } else { v4.put(key, entry) }
    }

    private static func get(
        _ table: inout RecentTable<Key, Entry>, _ key: Key, _ nowSec: UInt32, _ ttlSec: UInt32, _ maxRetries: UInt32
    ) -> Answer {
        guard let at = table.position(of: key) else { return .none }
        let entry = table[position: at]
        if UInt64(entry.lastSec) + UInt64(ttlSec) < UInt64(nowSec) {
            table.remove(key)
            return .none
        }
        table[position: at].lastSec = nowSec
        guard entry.proto == .unknown else { return .known(entry.proto) }
        return entry.unknownCount < maxRetries ? .none : .unknown(sinceSec: entry.lastSec)
    }

    private static func setUnknown(
        _ table: inout RecentTable<Key, Entry>, _ key: Key, _ nowSec: UInt32, _ ttlSec: UInt32, _ maxRetries: UInt32
    ) -> Bool {
        guard let at = table.position(of: key) else {
            table.put(key, Entry(unknownCount: 0, proto: .unknown, lastSec: nowSec))
            return false
        }
        return Self.fail(&table[position: at], nowSec, ttlSec, maxRetries)
    }

    @inline(__always)
    private static func fail(
        _ entry: inout Entry, _ nowSec: UInt32, _ ttlSec: UInt32, _ maxRetries: UInt32
    ) -> Bool {
        if UInt64(entry.lastSec) + UInt64(ttlSec) < UInt64(nowSec) { entry.unknownCount = 0 }
        entry.lastSec = nowSec
        entry.unknownCount &+= 1
        let isExceeded = entry.unknownCount > maxRetries
        if isExceeded { entry.proto = .unknown }
        return isExceeded
    }
}
