import Model

/// Closed health-check flows, put together by who checks which port from where. Source: agent-flow.md 16.2.
///
/// Only ends of flows come here, so a dictionary will do. The order is that of first appearance. The flows themselves stay
/// in their nodes, which belong to the owner.
struct HealthCheckStash {
    fileprivate struct Key: Hashable {
        let ipSrc: IPAddress
        let ipDst: IPAddress
        let portDst: UInt16
        let tapSide: UInt8
    }

    struct Check {
        private static var mostMergedIDs: Int { 1 << 16 }

        fileprivate let key: Key
        fileprivate let flowTime: UInt32
        fileprivate(set) var node: Int32
        private var mergedIDs: [UInt64] = []

        fileprivate init(key: Key, flowTime: UInt32, node: Int32) {
            self.key = key
            self.flowTime = flowTime
            self.node = node
        }

        fileprivate mutating func note(_ flowID: UInt64) {
            if mergedIDs.count < Self.mostMergedIDs { mergedIDs.append(flowID) }
        }

        /// Gives the aggregate the ids of the flows that went into it.
        func finish(_ flow: UnsafeMutablePointer<TaggedFlow>) {
            guard !mergedIDs.isEmpty else { return }
            let extra = flow.pointee.extra
            flow.pointee.extra = FlowExtra(
                requestDomain: extra?.requestDomain ?? "", aclGids: extra?.aclGids ?? [],
                aggregatedFlowIDs: (extra?.aggregatedFlowIDs ?? []) + mergedIDs)
        }
    }

    private var positions: [Key: Int] = [:]
    private var checks: [Check] = []
    /// Earliest minute held.
    private(set) var earliest = UInt32.max

    var count: Int { checks.count }
    var nodes: some Sequence<Int32> { checks.lazy.map(\.node) }

    /// - Parameters:
    ///   - number: the node that holds `flow`.
    ///   - merging: false for a flow that ended within its first report: it takes the place of what was there, as in the
    ///     reference.
    /// - Returns: nil when the node is kept alone; otherwise the node of the same check that was there before: the new one
    ///   is to be merged into it and given up, or when not merging, it is to be given up itself.
    mutating func add(
        _ number: Int32, _ flow: UnsafePointer<TaggedFlow>, flowTime: UInt32, merging: Bool
    ) -> Int32? {
        let key = Key(
            ipSrc: flow.pointee.key.ipSrc, ipDst: flow.pointee.key.ipDst, portDst: flow.pointee.key.portDst,
            tapSide: flow.pointee.tapSide)
        earliest = min(earliest, flowTime)
        guard let position = positions[key] else {
            positions[key] = checks.count
            checks.append(Check(key: key, flowTime: flowTime, node: number))
            return nil
        }
        let other = checks[position].node
        if merging {
            checks[position].note(flow.pointee.flowID)
        } else {
            checks[position] = Check(key: key, flowTime: flowTime, node: number)
        }
        return other
    }

    /// Takes out the aggregates of minutes that started before `flowTime`.
    mutating func take(before flowTime: UInt32) -> [Check] {
        let taken = checks.filter { $0.flowTime < flowTime }
        checks.removeAll { $0.flowTime < flowTime }
        positions.removeAll(keepingCapacity: true)
        earliest = .max
        for (position, check) in checks.enumerated() {
            positions[check.key] = position
            earliest = min(earliest, check.flowTime)
        }
        return taken
    }
}
