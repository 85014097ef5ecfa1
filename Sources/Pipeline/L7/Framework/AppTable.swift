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

    /// An IPv4 endpoint: with its entry it fills half a cache line.
    struct Key4: MixedKey {
        var ip: UInt32
        var epcID: Int32
        var processID: UInt32
        var port: UInt16
        var source: UInt8

        @inline(__always)
        init(_ key: Key) {
            ip = key.ip.v4
            epcID = key.epcID
            processID = key.processID
            port = key.port
            source = key.source
        }

        @inline(__always)
        var mixed: UInt64 {
            MetricsHash.mix(
                UInt64(ip) << 32 | UInt64(UInt32(bitPattern: epcID)),
                UInt64(processID) << 32 | UInt64(port) << 8 | UInt64(source))
        }
    }

    enum Answer: Equatable {
        case none
        case known(L7Protocol)
        /// Too many failures; skip since this second.
        case unknown(sinceSec: UInt32)
    }

    /// Where an endpoint was found last. It may have left since.
    struct Place: BitwiseCopyable {
        fileprivate var position: Int32 = -1
    }

    struct Entry {
        var lastSec: UInt32
        var unknownCount: UInt16
        var proto: L7Protocol
    }

    private var v4: RecentTable<Key4, Entry>
    private var v6: RecentTable<Key, Entry>
    private let maxRetries: UInt16
    private let ttlSec: UInt32

    /// - Parameter maxRetries: at most 10,000 by configuration.
    init(maxRetries: UInt32, ttlSec: UInt32, capacity: Int = 4096) {
        v4 = RecentTable(capacity: capacity)
        v6 = RecentTable(capacity: capacity)
        self.maxRetries = UInt16(min(maxRetries, UInt32(UInt16.max) - 1))
        self.ttlSec = ttlSec
    }

    mutating func get(_ key: Key, isIPv6: Bool, nowSec: UInt32) -> Answer {
        isIPv6
            ? Self.get(&v6, key, nowSec, ttlSec, maxRetries) : Self.get(&v4, Key4(key), nowSec, ttlSec, maxRetries)
    }

    /// Counts a failure. True: the limit is exceeded, the flow is to be skipped (after `maxRetries + 2` failures).
    mutating func setUnknown(_ key: Key, isIPv6: Bool, nowSec: UInt32, _ place: inout Place) -> Bool {
        isIPv6
            ? Self.setUnknown(&v6, key, nowSec, ttlSec, maxRetries, &place)
            : Self.setUnknown(&v4, Key4(key), nowSec, ttlSec, maxRetries, &place)
    }

    /// Asks the caches for an endpoint.
    @inline(__always)
    func prefetch(_ place: Place, isIPv6: Bool) {
        if isIPv6 { v6.prefetch(formerly: Int(place.position)) } else { v4.prefetch(formerly: Int(place.position)) }
    }

    mutating func set(_ key: Key, isIPv6: Bool, proto: L7Protocol, nowSec: UInt32) {
        let entry = Entry(lastSec: nowSec, unknownCount: 0, proto: proto)
        if isIPv6 { v6.put(key, entry) } else { v4.put(Key4(key), entry) }
    }

    private static func get<EndpointKey: MixedKey>(
        _ table: inout RecentTable<EndpointKey, Entry>, _ key: EndpointKey, _ nowSec: UInt32, _ ttlSec: UInt32,
        _ maxRetries: UInt16
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

    private static func setUnknown<EndpointKey: MixedKey>(
        _ table: inout RecentTable<EndpointKey, Entry>, _ key: EndpointKey, _ nowSec: UInt32, _ ttlSec: UInt32,
        _ maxRetries: UInt16, _ place: inout Place
    ) -> Bool {
        guard let at = table.position(of: key, formerly: Int(place.position)) else {
            table.put(key, Entry(lastSec: nowSec, unknownCount: 0, proto: .unknown))
            return false
        }
        place.position = Int32(truncatingIfNeeded: at)
        return Self.fail(&table[position: at], nowSec, ttlSec, maxRetries)
    }

    @inline(__always)
    private static func fail(
        _ entry: inout Entry, _ nowSec: UInt32, _ ttlSec: UInt32, _ maxRetries: UInt16
    ) -> Bool {
        if UInt64(entry.lastSec) + UInt64(ttlSec) < UInt64(nowSec) { entry.unknownCount = 0 }
        entry.lastSec = nowSec
        if entry.unknownCount < .max { entry.unknownCount &+= 1 }
        let isExceeded = entry.unknownCount > maxRetries
        if isExceeded { entry.proto = .unknown }
        return isExceeded
    }
}
