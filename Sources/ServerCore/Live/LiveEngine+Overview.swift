import EngineAPI
import Model
import Synchronization

/// The short lists of the overview.
struct BusyLists {
    var talkers: [Overview.Busy] = []
    var services: [Overview.Busy] = []
    var protocols: [Overview.Busy] = []
}

extension LiveEngine {
    private static let busyLimit = 20

    func status() -> EngineStatus {
        var status = providers.status?() ?? EngineStatus()
        if settings.isReplay, status.mode == .live { status.mode = .replay }
        return state.withLock { state in
            status.clockUs = clockNs(state) / 1000
            status.startedUs = status.startedUs == 0 ? startedNs / 1000 : status.startedUs
            status.isComplete = status.isComplete || state.isComplete
            status.flows = state.flows.flows.count
            status.flowCapacity = settings.flowCapacity
            if status.hostname.isEmpty { status.hostname = state.platform.snapshot.host.hostname }
            let last = reference(state)
            let recent = state.totals.seconds(3, upTo: last > 0 ? last - 1 : 0)
            status.packetsPerSecond = Double(recent.reduce(0) { $0 &+ $1.packets }) / 3
            status.bytesPerSecond = Double(recent.reduce(0) { $0 &+ $1.bytes }) / 3
            if status.losses.isEmpty { status.losses = state.own.losses }
            return status
        }
    }

    func overview(seconds: Int) -> Overview {
        state.withLock { state in
            var overview = Overview()
            let last = reference(state)
            let newest = last > 0 ? last - 1 : 0
            overview.isWholeCapture = settings.isReplay
            guard state.totals.newest > 0 else { return overview }
            overview.newestSecond = newest
            for second in state.totals.seconds(seconds, upTo: newest) {
                overview.packets.append(Double(second.packets))
                overview.bytes.append(Double(second.bytes))
                overview.activeFlows.append(Double(second.activeFlows))
                overview.newFlows.append(Double(second.newFlows))
                overview.requests.append(Double(second.requests))
                overview.errors.append(Double(second.errors))
                overview.latency.append(
                    second.rrtCount == 0 ? 0 : Double(second.rrtSum) / Double(second.rrtCount))
                overview.maxLatency.append(Double(second.rrtMax))
                overview.retransmissions.append(Double(second.retransmissions))
            }
            let total = state.totals.total
            overview.totals.packets = total.packets
            overview.totals.bytes = total.bytes
            overview.totals.flows = total.newFlows
            overview.totals.requests = total.requests
            overview.totals.errors = total.errors
            overview.totals.retransmissions = total.retransmissions
            let lists = busyLists(&state, reference: last)
            overview.talkers = lists.talkers
            overview.services = lists.services
            overview.protocols = lists.protocols
            return overview
        }
    }

    /// Scans all flows, so once a second at most.
    private func busyLists(_ state: inout State, reference: UInt64) -> BusyLists {
        if let known = state.busiest, known.second == reference, known.flows == state.flows.flows.count {
            return known.lists
        }
        state.flows.refreshRates(reference: reference, isReplay: settings.isReplay)
        struct Host: Hashable {
            var address: IPAddress
            var isIPv6: Bool
        }
        var hosts: [Host: Double] = [:]
        var protocols: [UInt16: Double] = [:]
        for flow in state.flows.flows {
            let amount = settings.isReplay ? Double(flow.bytes) : Double(flow.byteRate)
            guard amount > 0 else { continue }
            hosts[Host(address: flow.key.ipSrc, isIPv6: flow.isIPv6), default: 0] += amount
            hosts[Host(address: flow.key.ipDst, isIPv6: flow.isIPv6), default: 0] += amount
            protocols[UInt16(flow.l7Protocol) << 8 | UInt16(flow.key.proto), default: 0] += amount
        }
        var lists = BusyLists()
        lists.talkers = LiveEngine.largest(hosts).map {
            Overview.Busy(name: $0.key.address.text(v6: $0.key.isIPv6), value: $0.value)
        }
        lists.protocols = LiveEngine.largest(protocols).map { entry in
            let l7 = L7Protocol(rawValue: UInt8(entry.key >> 8)) ?? .unknown
            let name = l7 == .unknown ? IPProtocol.name(UInt8(entry.key & 0xff)) : l7.displayName
            return Overview.Busy(name: name, value: entry.value)
        }
        let services = state.services.rows(reference: reference, wholeCapture: settings.isReplay)
        lists.services = services.filter { $0.sum.requests > 0 }
            .sorted { $0.sum.requests == $1.sum.requests ? $0.id < $1.id : $0.sum.requests > $1.sum.requests }
            .prefix(LiveEngine.busyLimit)
            .map { row in
                let sum = row.sum
                let scale = settings.isReplay ? 1 : row.span
                return Overview.Busy(
                    name: "\(row.title) \(row.l7Name)", value: Double(sum.requests) / scale,
                    errors: Double(sum.errors) / scale,
                    latency: sum.rrtCount == 0 ? 0 : Double(sum.rrtSum) / Double(sum.rrtCount))
            }
        state.busiest = (reference, state.flows.flows.count, lists)
        return lists
    }

    private static func largest<Key: Hashable>(_ sums: [Key: Double]) -> [(key: Key, value: Double)] {
        Array(sums.sorted { $0.value > $1.value }.prefix(busyLimit).map { ($0.key, $0.value) })
    }
}
