import Model

/// Rate, errors and duration of a service: requests counted from flow reports, percentiles from request logs.
struct ServiceKey: Hashable, Sendable {
    var address: IPAddress
    var port: UInt16
    var isIPv6: Bool
    var l7Protocol: UInt8
}

/// Counts of one second.
struct ServiceSecond: Sendable {
    var second: UInt64 = 0
    var requests: UInt32 = 0
    var responses: UInt32 = 0
    var clientErrors: UInt32 = 0
    var serverErrors: UInt32 = 0
    var timeouts: UInt32 = 0
    var rrtCount: UInt32 = 0
    var rrtMax: UInt32 = 0
    var rrtSum: UInt64 = 0

    mutating func add(_ stats: L7PerfStats) {
        requests &+= stats.requestCount
        responses &+= stats.responseCount
        clientErrors &+= stats.errClientCount
        serverErrors &+= stats.errServerCount
        timeouts &+= stats.errTimeout
        rrtCount &+= stats.rrtCount
        rrtSum &+= stats.rrtSum
        rrtMax = max(rrtMax, stats.rrtMax)
    }

    mutating func add(_ other: ServiceSecond) {
        requests &+= other.requests
        responses &+= other.responses
        clientErrors &+= other.clientErrors
        serverErrors &+= other.serverErrors
        timeouts &+= other.timeouts
        rrtCount &+= other.rrtCount
        rrtSum &+= other.rrtSum
        rrtMax = max(rrtMax, other.rrtMax)
    }

    var errors: UInt32 { clientErrors &+ serverErrors &+ timeouts }
}

struct ServiceTable {
    /// Seconds that a live window has.
    static let window: UInt64 = 60
    private static let slotSeconds: UInt64 = 10
    private static let slots = 7

    struct Service {
        let id: UInt64
        let key: ServiceKey
        var total = ServiceSecond()
        var allLatencies = LatencyHistogram()
        var firstSecond: UInt64
        var lastSecond: UInt64
        var processName = ""
        var domain = ""
        fileprivate var seconds: [ServiceSecond]
        fileprivate var latencies: [(slot: UInt64, histogram: LatencyHistogram)]
    }

    private(set) var services: [Service] = []
    private var places: [ServiceKey: Int] = [:]
    private var lastID: UInt64 = 0
    let capacity: Int
    /// Services that left to make room.
    private(set) var evicted: UInt64 = 0

    init(capacity: Int) {
        self.capacity = max(16, capacity)
    }

    mutating func add(_ stats: L7PerfStats, to key: ServiceKey, second: UInt64, processName: String) {
        let index = place(of: key, second: second)
        services[index].total.add(stats)
        services[index].firstSecond = min(services[index].firstSecond, second)
        services[index].lastSecond = max(services[index].lastSecond, second)
        if !processName.isEmpty { services[index].processName = processName }
        let slot = Int(second % UInt64(services[index].seconds.count))
        // A report older than the ring would wipe a newer second.
        guard services[index].seconds[slot].second <= second else { return }
        if services[index].seconds[slot].second < second {
            services[index].seconds[slot] = ServiceSecond(second: second)
        }
        services[index].seconds[slot].add(stats)
    }

    /// - Parameter us: response time of one request.
    mutating func add(latency us: UInt64, to key: ServiceKey, second: UInt64, domain: String) {
        let index = place(of: key, second: second)
        services[index].allLatencies.add(us)
        if services[index].domain.isEmpty { services[index].domain = domain }
        let slot = second / ServiceTable.slotSeconds
        let place = Int(slot % UInt64(ServiceTable.slots))
        guard services[index].latencies[place].slot <= slot else { return }
        if services[index].latencies[place].slot < slot {
            services[index].latencies[place].slot = slot
            services[index].latencies[place].histogram.clear()
        }
        services[index].latencies[place].histogram.add(us)
    }

    private mutating func place(of key: ServiceKey, second: UInt64) -> Int {
        if let index = places[key] { return index }
        if services.count >= capacity { makeRoom() }
        lastID &+= 1
        places[key] = services.count
        services.append(
            Service(
                id: lastID, key: key, firstSecond: second, lastSecond: second,
                seconds: Array(repeating: ServiceSecond(), count: Int(ServiceTable.window) + 4),
                latencies: Array(repeating: (0, LatencyHistogram()), count: ServiceTable.slots)))
        return services.count - 1
    }

    private mutating func makeRoom() {
        let leaving = max(1, capacity / 10)
        services.sort { $0.lastSecond > $1.lastSecond }
        services.removeLast(min(leaving, services.count))
        evicted &+= UInt64(leaving)
        places = Dictionary(uniqueKeysWithValues: services.enumerated().map { ($1.key, $0) })
    }

    /// - Parameters:
    ///   - reference: newest second; the window is the minute before it.
    ///   - wholeCapture: sums since the start instead, for replays.
    func rows(reference: UInt64, wholeCapture: Bool) -> [ServiceRow] {
        services.map { row($0, reference: reference, wholeCapture: wholeCapture) }
    }

    private func row(_ service: Service, reference: UInt64, wholeCapture: Bool) -> ServiceRow {
        let window = ServiceTable.window
        let from = reference > window ? reference - window : 0
        var sum = ServiceSecond()
        var trend = [UInt32](repeating: 0, count: Int(window))
        for second in service.seconds where second.second >= from && second.second < reference {
            trend[Int(second.second - from)] = second.requests
            sum.add(second)
        }
        var latencies = LatencyHistogram()
        for (slot, histogram) in service.latencies where (slot + 1) * ServiceTable.slotSeconds > from && slot > 0 {
            latencies.merge(histogram)
        }
        var span = Double(window)
        if wholeCapture {
            sum = service.total
            latencies = service.allLatencies
            span = Double(service.lastSecond - service.firstSecond + 1)
        } else {
            // A service younger than the window has had less time.
            let age = reference > service.firstSecond ? reference - service.firstSecond : 1
            span = Double(min(window, max(1, age)))
        }
        // The middle of a bucket may lie above all that is in it.
        let longest = sum.rrtMax > 0 ? Double(sum.rrtMax) : .infinity
        return ServiceRow(
            id: service.id, key: service.key,
            name: service.processName.isEmpty ? service.domain : service.processName, sum: sum, total: service.total,
            span: span, p50: min(latencies.percentile(0.5), longest), p95: min(latencies.percentile(0.95), longest),
            trend: trend)
    }
}

/// A line of the Metrics view.
struct ServiceRow: LiveRecord {
    let id: UInt64
    let key: ServiceKey
    let name: String
    let sum: ServiceSecond
    let total: ServiceSecond
    /// Seconds that `sum` covers.
    let span: Double
    let p50: Double
    let p95: Double
    let trend: [UInt32]

    static let columns: [KnownColumn] = [
        .service, .ip1, .serverPort, .l7Protocol, .requestRate, .errorRate, .errorRatio, .l7Request, .l7Response,
        .l7ClientError, .l7ServerError, .l7Timeout, .l7Error, .rrtAvg, .rrtP50, .rrtP95, .rrtMax,
    ]
    static let trendColumn = "request_trend"

    var server: String {
        let text = key.address.text(v6: key.isIPv6)
        return key.isIPv6 ? "[\(text)]:\(key.port)" : "\(text):\(key.port)"
    }
    var l7Name: String { (L7Protocol(rawValue: key.l7Protocol) ?? .unknown).displayName }
    var title: String {
        // The host of the requests often is the address itself.
        name.isEmpty || name.hasPrefix(key.address.text(v6: key.isIPv6)) ? server : "\(name) \(server)"
    }

    package func field(_ column: FilterColumn) -> FieldValue? {
        switch column.known {
        case .service: .text(name)
        case .ip1, .address: .text(key.address.text(v6: key.isIPv6))
        case .serverPort: .uint(UInt64(key.port))
        case .l7Protocol: .uint(UInt64(key.l7Protocol))
        case .requestRate: .real(Double(sum.requests) / span)
        case .errorRate: .real(Double(sum.errors) / span)
        case .errorRatio: .real(sum.requests == 0 ? 0 : Double(sum.errors) / Double(sum.requests))
        case .l7Request: .uint(UInt64(sum.requests))
        case .l7Response: .uint(UInt64(sum.responses))
        case .l7ClientError: .uint(UInt64(sum.clientErrors))
        case .l7ServerError: .uint(UInt64(sum.serverErrors))
        case .l7Timeout: .uint(UInt64(sum.timeouts))
        case .l7Error: .uint(UInt64(sum.errors))
        case .rrtAvg, .responseDuration: .real(sum.rrtCount == 0 ? 0 : Double(sum.rrtSum) / Double(sum.rrtCount))
        case .rrtP50: .real(p50)
        case .rrtP95: .real(p95)
        case .rrtMax: .uint(UInt64(sum.rrtMax))
        default: nil
        }
    }

    package func address(_ column: FilterColumn) -> FilterAddress? {
        column.known == .ip1 ? FilterAddress(address: key.address, isIPv6: key.isIPv6) : nil
    }

    package func hasText(_ pattern: TextPattern) -> Bool {
        pattern.matches(name) || pattern.matches(server) || pattern.matches(l7Name)
    }

    func sortKey(_ column: FilterColumn) -> SortKey {
        switch column.known {
        case .ip1: SortKey(key.address)
        case .l7Protocol: SortKey(l7Name)
        case .requestRate, .l7Request:
            SortKey(
                column.known == .requestRate ? Double(sum.requests) / span : Double(sum.requests),
                tie: UInt64(total.requests))
        default: SortKey(field(column))
        }
    }
}
