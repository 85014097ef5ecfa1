import Model

/// Closed health-check flows, put together by who checks which port from where. Source: agent-flow.md 16.2.
///
/// Only ends of flows come here, so a dictionary will do. The order is that of first appearance.
struct HealthCheckStash {
    private struct Key: Hashable {
        let ipSrc: IPAddress
        let ipDst: IPAddress
        let portDst: UInt16
        let tapSide: UInt8
    }

    fileprivate struct Entry {
        var flow: TaggedFlow
        var flowTime: UInt32
        var mergedIDs: [UInt64]
    }

    private static var mostMergedIDs: Int { 1 << 16 }

    private var positions: [Key: Int] = [:]
    private var entries: [Entry] = []
    /// Earliest minute held.
    private(set) var earliest = UInt32.max

    var count: Int { entries.count }

    /// - Parameter merging: false for a flow that ended within its first report: it takes the place of what was
    ///   there, as in the reference.
    /// - Returns: whether it was merged into another.
    mutating func add(_ flow: TaggedFlow, flowTime: UInt32, merging: Bool) -> Bool {
        let key = Key(
            ipSrc: flow.key.ipSrc, ipDst: flow.key.ipDst, portDst: flow.key.portDst, tapSide: flow.tapSide)
        earliest = min(earliest, flowTime)
        guard let position = positions[key] else {
            positions[key] = entries.count
            entries.append(Entry(flow: flow, flowTime: flowTime, mergedIDs: []))
            return false
        }
        guard merging else {
            entries[position] = Entry(flow: flow, flowTime: flowTime, mergedIDs: [])
            return false
        }
        withUnsafePointer(to: flow) { newer in
            withUnsafeMutablePointer(to: &entries[position].flow) { TaggedFlow.mergeOther(into: $0, newer) }
        }
        if entries[position].mergedIDs.count < Self.mostMergedIDs { entries[position].mergedIDs.append(flow.flowID) }
        return true
    }

    /// Takes out the aggregates of minutes that started before `flowTime`.
    mutating func take(before flowTime: UInt32) -> [(TaggedFlow, UInt32)] {
        var taken: [(TaggedFlow, UInt32)] = []
        var kept: [Entry] = []
        for entry in entries {
            if entry.flowTime < flowTime { taken.append((entry.finished, entry.flowTime)) } else { kept.append(entry) }
        }
        entries = kept
        positions.removeAll(keepingCapacity: true)
        earliest = .max
        for (position, entry) in kept.enumerated() {
            positions[
                Key(
                    ipSrc: entry.flow.key.ipSrc, ipDst: entry.flow.key.ipDst, portDst: entry.flow.key.portDst,
                    tapSide: entry.flow.tapSide)] = position
            earliest = min(earliest, entry.flowTime)
        }
        return taken
    }
}

extension HealthCheckStash.Entry {
    /// The aggregate with the ids of the flows that went into it.
    fileprivate var finished: TaggedFlow {
        guard !mergedIDs.isEmpty else { return flow }
        var out = flow
        out.extra = FlowExtra(
            requestDomain: flow.extra?.requestDomain ?? "", aclGids: flow.extra?.aclGids ?? [],
            aggregatedFlowIDs: (flow.extra?.aggregatedFlowIDs ?? []) + mergedIDs)
        return out
    }
}
