import Model

/// Live flows by id: a dense array, so that lists scan it in order, and the place of each id.
struct FlowTable {
    private(set) var flows: [LiveFlow] = []
    private var places: [UInt64: Int32] = [:]
    let capacity: Int
    /// Flows that left the table to make room.
    private(set) var evicted: UInt64 = 0
    private var ratesAt: UInt64 = 0
    private var hasNews = false

    /// Closed flows stay visible for this long.
    static let closedSeconds: UInt64 = 120
    /// An open flow without a report for this long was lost sight of.
    static let silentSeconds: UInt64 = 600

    init(capacity: Int) {
        self.capacity = max(16, capacity)
        flows.reserveCapacity(min(self.capacity, 4096))
    }

    func index(of id: UInt64) -> Int? { places[id].map { Int($0) } }

    /// - Returns: place of the flow, and whether it is new here.
    mutating func add(_ report: TaggedFlow, second: UInt64) -> (index: Int, isNew: Bool) {
        hasNews = true
        if let place = places[report.flowID] {
            flows[Int(place)].add(report, second: second)
            return (Int(place), false)
        }
        if flows.count >= capacity { makeRoom() }
        var flow = LiveFlow(report, second: second)
        flow.add(report, second: second)
        places[report.flowID] = Int32(flows.count)
        flows.append(flow)
        return (flows.count - 1, true)
    }

    mutating func setProcess(at index: Int, isClient: Bool, pid: Int32, name: String) {
        if isClient {
            flows[index].pid0 = pid
            flows[index].process0 = name
        } else {
            flows[index].pid1 = pid
            flows[index].process1 = name
        }
    }

    /// Takes out what ended long ago. Called once a second in live mode; a replay keeps everything there is room for.
    mutating func sweep(now second: UInt64) {
        remove { flow in
            let age = second > flow.lastSecond ? second - flow.lastSecond : 0
            return age > (flow.isClosed ? FlowTable.closedSeconds : FlowTable.silentSeconds)
        }
    }

    mutating func refreshRates(reference: UInt64, isReplay: Bool) {
        guard reference != ratesAt || hasNews else { return }
        ratesAt = reference
        hasNews = false
        for index in flows.indices { flows[index].refreshRate(reference: reference, isReplay: isReplay) }
    }

    /// A tenth goes at once, closed and long silent flows first, so that this is rare.
    private mutating func makeRoom() {
        let leaving = max(1, capacity / 10)
        let headStart: UInt64 = 240
        let ages = flows.map { $0.isClosed ? $0.lastSecond - min(headStart, $0.lastSecond) : $0.lastSecond }
        let limit = ages.sorted()[leaving - 1]
        var left = leaving
        let before = flows.count
        var index = 0
        remove { _ in
            defer { index += 1 }
            guard left > 0, ages[index] <= limit else { return false }
            left -= 1
            return true
        }
        evicted &+= UInt64(before - flows.count)
    }

    private mutating func remove(where leaves: (LiveFlow) -> Bool) {
        var kept = 0
        for index in flows.indices {
            let flow = flows[index]
            if leaves(flow) {
                places[flow.id] = nil
            } else {
                if kept != index {
                    flows[kept] = flow
                    places[flow.id] = Int32(kept)
                }
                kept += 1
            }
        }
        flows.removeLast(flows.count - kept)
    }
}
