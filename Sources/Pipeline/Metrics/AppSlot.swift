import CLinux
import Model

/// One window slot of an L7 generator: entries by flow and endpoint, and the facts of their flows.
///
/// A flow's facts are kept once and are those of its latest counters; entries hang on it.
struct AppSlot: ~Copyable {
    struct FlowRecord: BitwiseCopyable {
        var flow: FlowFacts
        var portSrc: UInt16
        var flowID: UInt64
        var firstEntry: Int32
        var lastEntry: Int32
        /// Number of the slot's `FlowEnds`, 0 = none.
        var ends: UInt32
    }

    private var positions = PositionTable(capacity: 256)
    private var flowPositions = PositionTable(capacity: 256)
    private(set) var entries = BlockArray<AppEntry>()
    private(set) var flows = BlockArray<FlowRecord>()
    private var ends = BlockArray<FlowEnds>()
    /// By entry; empty once the entry was sent.
    private(set) var endpoints: [String] = []

    /// Asks for the table that will be read: that of flows for what only ends its flow.
    @inline(__always)
    func prefetchTable(_ hash: UInt64, flowHash: UInt64, isCounted: Bool) {
        dft_prefetch(isCounted ? positions.home(of: hash) : flowPositions.home(of: flowHash))
    }

    /// Position of the entry, unverified, of the flow for what only ends its flow; -1 = none.
    @inline(__always)
    func prefetchEntry(_ hash: UInt64, flowHash: UInt64, isCounted: Bool) -> Int {
        guard isCounted else {
            let flow = flowPositions.likelyPosition(flowHash)
            if flow >= 0 { prefetchFacts(flow) }
            return flow
        }
        let position = positions.likelyPosition(hash)
        dft_prefetch(position >= 0 ? UnsafeRawPointer(entries[position]) : flowPositions.home(of: flowHash))
        return position
    }

    /// - Parameter position: as `prefetchEntry` gave it.
    @inline(__always)
    func prefetchFlow(_ position: Int, isCounted: Bool) {
        guard position >= 0 else { return }
        if isCounted {
            prefetchFacts(Int(max(entries[position].pointee.flowPosition, 0)))
        } else {
            dft_prefetch(entries[Int(max(flows[position].pointee.firstEntry, 0))])
        }
    }

    @inline(__always)
    private func prefetchFacts(_ position: Int) {
        let flow = UnsafeRawPointer(flows[position])
        dft_prefetch(flow)
        dft_prefetch(flow + 64)
    }

    /// Adds counters to the entry that is there. Returns its flow; nil = no such entry.
    @inline(__always)
    mutating func merge(_ stats: UnsafePointer<L7Stats>, hash: UInt64, timeSpanSlots: UInt32) -> Int? {
        let flowID = stats.pointee.flowID
        let found = positions.find(hash) {
            let entry = entries[$0]
            return entry.pointee.isOf(stats, timeSpanSlots: timeSpanSlots)
                && flows[Int(entry.pointee.flowPosition)].pointee.flowID == flowID
        }
        guard let found else { return nil }
        let entry = entries[found]
        entry.pointee.merge(stats)
        let flow = Int(entry.pointee.flowPosition)
        renew(flow, stats)
        return flow
    }

    /// The flow's record with its facts renewed.
    mutating func renewFlow(_ stats: UnsafePointer<L7Stats>, hash: UInt64) -> Int? {
        let flowID = stats.pointee.flowID
        guard let found = flowPositions.find(hash, { flows[$0].pointee.flowID == flowID }) else { return nil }
        renew(found, stats)
        return found
    }

    mutating func addFlow(_ stats: UnsafePointer<L7Stats>, hash: UInt64) -> Int {
        let position = flows.count
        flows.append().initialize(
            to: FlowRecord(
                flow: stats.pointee.flow, portSrc: stats.pointee.portSrc, flowID: stats.pointee.flowID,
                firstEntry: -1, lastEntry: -1, ends: 0))
        if stats.pointee.flow.hasEnds { setEnds(position, stats) }
        flowPositions.insert(hash, position: position)
        return position
    }

    @inline(__always)
    private mutating func renew(_ flow: Int, _ stats: UnsafePointer<L7Stats>) {
        flows[flow].pointee.flow = stats.pointee.flow
        flows[flow].pointee.portSrc = stats.pointee.portSrc
        if stats.pointee.flow.hasEnds { setEnds(flow, stats) }
    }

    @inline(never)
    private mutating func setEnds(_ flow: Int, _ stats: UnsafePointer<L7Stats>) {
        if flows[flow].pointee.ends == 0 {
            _ = ends.append()
            flows[flow].pointee.ends = UInt32(truncatingIfNeeded: ends.count)
        }
        ends[Int(flows[flow].pointee.ends) - 1].initialize(to: FlowEnds(stats))
    }

    @inline(__always)
    private func view(_ flow: Int) -> AppFlowView {
        let record = UnsafePointer(flows[flow])
        let hasEnds = record.pointee.flow.hasEnds
        return AppFlowView(
            facts: record.pointer(to: \.flow).unsafelyUnwrapped,
            ends: hasEnds ? ends.numbered(Int(record.pointee.ends)) : nil, portSrc: record.pointee.portSrc)
    }

    mutating func addEntry(_ stats: UnsafePointer<L7Stats>, hash: UInt64, timeSpanSlots: UInt32, flow: Int) {
        let position = entries.count
        let number = Int32(truncatingIfNeeded: position)
        entries.append().initialize(
            to: AppEntry(stats, timeSpanSlots: timeSpanSlots, flowPosition: Int32(truncatingIfNeeded: flow)))
        endpoints.append(stats.pointee.endpoint)
        positions.insert(hash, position: position)
        let record = flows[flow]
        if record.pointee.lastEntry >= 0 {
            entries[Int(record.pointee.lastEntry)].pointee.nextOfFlow = number
        } else {
            record.pointee.firstEntry = number
        }
        record.pointee.lastEntry = number
    }

    /// Sends the entries of an ended flow at once; later counters of their keys start new ones.
    mutating func sendFlow<Sink: AppMeterSink & ~Copyable>(_ flow: Int, hash flowHash: UInt64, into sink: inout Sink) {
        let record = flows[flow]
        let view = view(flow)
        var number = Int(record.pointee.firstEntry)
        while number >= 0 {
            let entry = entries[number]
            sink.add(entry, view, endpoint: endpoints[number], isImmediate: true)
            positions.remove(entry.pointee.hash(flowHash: flowHash), position: number)
            entry.pointee.flowPosition = -1
            endpoints[number] = ""
            number = Int(entry.pointee.nextOfFlow)
        }
        record.pointee.firstEntry = -1
        record.pointee.lastEntry = -1
    }

    /// Sends what is left, in order of first appearance, and empties the slot.
    mutating func flush<Sink: AppMeterSink & ~Copyable>(into sink: inout Sink) {
        for number in 0..<entries.count {
            let entry = entries[number]
            let flow = Int(entry.pointee.flowPosition)
            if flow >= 0 { sink.add(entry, view(flow), endpoint: endpoints[number], isImmediate: false) }
        }
        flowPositions.removeAll()
        flows.removeAll()
        ends.removeAll()
        positions.removeAll()
        endpoints.removeAll(keepingCapacity: entries.count > 64)
        entries.removeAll()
    }
}
