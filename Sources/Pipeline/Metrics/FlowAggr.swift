import CLinux
package import Model

/// Since the last `take`. Source: agent-flow.md 17.
package struct FlowAggrCounters: Sendable, Equatable {
    package var dropBeforeWindow: UInt64 = 0
    package var out: UInt64 = 0
    package var dropInThrottle: UInt64 = 0
    package var stashTotalLength: UInt64 = 0
    package var stashTotalCapacity: UInt64 = 0
    package var heartbeatAggregated: UInt64 = 0
    package var heartbeatCached: UInt64 = 0
    /// Records that left on their own because the stash was full.
    package var sentUnmerged: UInt64 = 0

    package init() {}
}

/// Merges the second records of each flow into one log a minute, counted from the flow's own start second.
///
/// Logs go to the outlet: of a flow that ended at once, of the others when the window passes their minute. The order
/// is that of the input and of first appearance within a slot. Source: agent-flow.md 16.
package struct FlowAggr: ~Copyable {
    private struct SlotList {
        var head: Int32 = -1
        var tail: Int32 = -1
    }

    private let settings: FlowLogSettings
    private let keepsAllNetworks: Bool
    private let keepsNoNetworks: Bool
    private let slotCount: Int
    private var slots: [SlotList]
    private var slotHead = 0
    /// Seconds since 1970 of the first slot; 0 before the first record.
    private var slotStart: UInt32 = 0
    private var nowSeconds: UInt32 = 0

    private var positions = PositionTable()
    private var pool = FlowPool()
    private var healthChecks = HealthCheckStash()
    private var throttle: FlowThrottle?
    private var droppedTaken: UInt64 = 0
    private var counters = FlowAggrCounters()

    private let outlet: LogOutlet
    /// Room for a log that is merged or on its way out, and for another that it is merged into. Not initialised in between.
    private let passing: UnsafeMutablePointer<TaggedFlow>
    private let other: UnsafeMutablePointer<TaggedFlow>

    init(settings: FlowLogSettings, delays: MetricsDelays, outlet: LogOutlet) {
        self.settings = settings
        self.outlet = outlet
        passing = .allocate(capacity: 1)
        other = .allocate(capacity: 1)
        keepsNoNetworks = settings.captureNetworkTypes.contains(-1)
        keepsAllNetworks = settings.captureNetworkTypes.contains(0)
        slotCount = Int(delays.flowAggrSlots)
        slots = Array(repeating: SlotList(), count: slotCount)
        throttle = settings.throttlePerSecond.map { FlowThrottle(perSecond: $0, seed: settings.throttleSeed) }
    }

    deinit {
        for slot in slots {
            var number = slot.head
            while number >= 0 {
                let node = pool[number]
                number = node.pointee.next
                node.deinitialize(count: 1)
            }
        }
        for number in healthChecks.nodes { pool[number].deinitialize(count: 1) }
        passing.deallocate()
        other.deallocate()
    }

    /// Records of the flow table, any number, in groups whose nodes are asked for ahead.
    package mutating func handle(_ flows: UnsafeBufferPointer<TaggedFlow>) {
        guard let base = flows.baseAddress else { return }
        for first in stride(from: 0, to: flows.count, by: FlowMetering.groupSize) {
            let group = base + first
            let count = min(FlowMetering.groupSize, flows.count - first)
            for index in 0..<count { dft_prefetch(positions.home(of: FlowAggr.hash(group + index))) }
            for index in 0..<count {
                let position = positions.likelyPosition(FlowAggr.hash(group + index))
                if position >= 0 { prefetchNode(UnsafeRawPointer(pool[Int32(truncatingIfNeeded: position)])) }
            }
            for index in 0..<count { add(group + index, hash: FlowAggr.hash(group + index)) }
        }
    }

    /// Lets the window and the throttle's bucket move on without input.
    package mutating func tick(seconds: UInt32) {
        nowSeconds = max(nowSeconds, seconds)
        if slotStart > 0 { moveWindow(to: seconds) }
        flushThrottle()
    }

    /// Sends everything: the end of a replay.
    package mutating func flushAll() {
        if slotStart > 0 {
            for _ in 0..<slotCount { flushFrontSlot() }
        }
        flushHealthChecks(before: .max)
        emptyThrottle()
    }

    package mutating func takeCounters() -> FlowAggrCounters {
        defer { counters = FlowAggrCounters() }
        let dropped = throttle?.dropped ?? 0
        counters.dropInThrottle = dropped - droppedTaken
        droppedTaken = dropped
        counters.stashTotalLength = UInt64(storedCount)
        counters.stashTotalCapacity = UInt64(pool.capacity)
        counters.heartbeatCached = UInt64(healthChecks.count)
        return counters
    }

    /// Flows that wait for the end of their minute, without health checks.
    private var storedCount: Int { pool.count - healthChecks.count }

    /// Start of the flow's own minute that a record belongs to, seconds since 1970.
    @inline(__always)
    static func flowTime(_ flow: UnsafePointer<TaggedFlow>) -> UInt32 {
        let stat = UInt32(truncatingIfNeeded: flow.pointee.flowStatTimeNs / 1_000_000_000)
        let second = UInt32(truncatingIfNeeded: flow.pointee.startTimeNs / 1_000_000_000 % 60)
        guard stat >= second else { return second }
        return (stat &- second) / 60 &* 60 &+ second
    }

    @inline(__always)
    static func hash(_ flow: UnsafePointer<TaggedFlow>) -> UInt64 { hash(flow.pointee.flowID) }

    @inline(__always)
    private static func hash(_ flowID: UInt64) -> UInt64 { MetricsHash.word(flowID) }

    /// All of a node: a merge touches it from end to end.
    @inline(__always)
    private func prefetchNode(_ node: UnsafeRawPointer) {
        var offset = 0
        while offset < MemoryLayout<MinuteFlow>.size {
            dft_prefetch(node + offset)
            offset &+= 64
        }
    }

    @inline(__always)
    private func isKept(_ flow: UnsafePointer<TaggedFlow>) -> Bool {
        guard flow.pointee.signalSource == Raw.packet, !keepsNoNetworks else { return false }
        if !settings.ignoredObservationPoints.isEmpty,
            settings.ignoredObservationPoints.contains(flow.pointee.tapSide)
        {
            return false
        }
        return keepsAllNetworks || settings.captureNetworkTypes.contains(Int(flow.pointee.key.tapType))
    }

    mutating func add(_ flow: UnsafePointer<TaggedFlow>, hash: UInt64) {
        guard isKept(flow) else { return }
        let stat = UInt32(truncatingIfNeeded: flow.pointee.flowStatTimeNs / 1_000_000_000)
        if stat > nowSeconds {
            nowSeconds = stat
            flushThrottle()
        }
        let flowTime = FlowAggr.flowTime(flow)
        if flowTime < slotStart {
            counters.dropBeforeWindow &+= 1
            return
        }
        moveWindow(to: flowTime)
        let found = positions.find(hash) { [flowID = flow.pointee.flowID] in
            let node = pool[Int32(truncatingIfNeeded: $0)]
            return node.pointee.flowID == flowID && node.pointee.flowTime == flowTime
        }
        if let found {
            merge(flow, into: Int32(truncatingIfNeeded: found), hash: hash)
        } else if flow.pointee.closeType != Raw.forcedReport {
            if isHealthCheck(flow) {
                aggregate(pool.add(flow, flowTime: flowTime, previous: -1), flow, flowTime: flowTime, merging: false)
            } else {
                passing.initialize(to: flow.pointee)
                sendPassing(flowTime: flowTime)
            }
        } else if storedCount < settings.maxEntries {
            store(flow, hash: hash, flowTime: flowTime)
        } else {
            counters.sentUnmerged &+= 1
            passing.initialize(to: flow.pointee)
            sendPassing(flowTime: flowTime)
        }
    }

    @inline(__always)
    private mutating func merge(_ flow: UnsafePointer<TaggedFlow>, into number: Int32, hash: UInt64) {
        pool.read(number, into: passing)
        if passing.pointee.isReversed != flow.pointee.isReversed { TaggedFlow.reverse(passing) }
        TaggedFlow.merge(into: passing, flow)
        guard passing.pointee.closeType != Raw.forcedReport else {
            pool.write(passing, to: number)
            passing.deinitialize(count: 1)
            return
        }
        let flowTime = pool[number].pointee.flowTime
        unlink(number, flowTime)
        removePosition(number, hash: hash)
        if isHealthCheck(passing) {
            pool.write(passing, to: number)
            aggregate(number, passing, flowTime: flowTime, merging: true)
            passing.deinitialize(count: 1)
        } else {
            sendPassing(flowTime: flowTime)
            pool.release(number)
        }
    }

    private mutating func store(_ flow: UnsafePointer<TaggedFlow>, hash: UInt64, flowTime: UInt32) {
        let slot = ringPosition(flowTime)
        let tail = slots[slot].tail
        let number = pool.add(flow, flowTime: flowTime, previous: tail)
        if tail >= 0 { pool[tail].pointee.next = number } else { slots[slot].head = number }
        slots[slot].tail = number
        positions.insert(hash, position: Int(number))
    }

    private func ringPosition(_ flowTime: UInt32) -> Int {
        let position = slotHead + Int(flowTime - slotStart)
        return position >= slotCount ? position - slotCount : position
    }

    private mutating func unlink(_ number: Int32, _ flowTime: UInt32) {
        let (previous, next) = (pool[number].pointee.previous, pool[number].pointee.next)
        let slot = ringPosition(flowTime)
        if previous >= 0 { pool[previous].pointee.next = next } else { slots[slot].head = next }
        if next >= 0 { pool[next].pointee.previous = previous } else { slots[slot].tail = previous }
    }

    private mutating func removePosition(_ number: Int32, hash: UInt64) {
        positions.remove(hash, position: Int(number))
    }

    @inline(__always)
    private mutating func moveWindow(to flowTime: UInt32) {
        guard flowTime >= slotStart, flowTime &- slotStart >= UInt32(slotCount) else { return }
        advanceWindow(to: flowTime)
    }

    @inline(never)
    private mutating func advanceWindow(to flowTime: UInt32) {
        let steps = Int(flowTime - slotStart) - slotCount + 1
        for _ in 0..<min(steps, slotCount) { flushFrontSlot() }
        if steps > slotCount { slotStart += UInt32(steps - slotCount) }
        flushHealthChecks(before: slotStart)
    }

    private mutating func flushFrontSlot() {
        var number = slots[slotHead].head
        let flowTime = slotStart
        while number >= 0 {
            let node = pool[number]
            let next = node.pointee.next
            removePosition(number, hash: FlowAggr.hash(node.pointee.flowID))
            pool.read(number, into: passing)
            sendPassing(flowTime: flowTime)
            pool.release(number)
            number = next
        }
        slots[slotHead] = SlotList()
        slotHead = slotHead + 1 == slotCount ? 0 : slotHead + 1
        slotStart += 1
    }

    /// Whether the end of a flow is to be put together with others. Source: agent-flow.md 16.2.
    @inline(__always)
    private func isHealthCheck(_ flow: UnsafePointer<TaggedFlow>) -> Bool {
        settings.aggregatesHealthChecks && flow.pointee.closeType == Raw.finClientRst
            && healthChecks.count < settings.maxEntries
    }

    /// - Parameters:
    ///   - number: a node of no slot, which holds `flow`.
    ///   - merging: false for a flow that ended within its first report.
    private mutating func aggregate(
        _ number: Int32, _ flow: UnsafePointer<TaggedFlow>, flowTime: UInt32, merging: Bool
    ) {
        guard let earlier = healthChecks.add(number, flow, flowTime: flowTime, merging: merging) else { return }
        guard merging else { return pool.release(earlier) }
        pool.read(earlier, into: other)
        TaggedFlow.mergeOther(into: other, flow)
        pool.write(other, to: earlier)
        other.deinitialize(count: 1)
        counters.heartbeatAggregated &+= 1
        pool.release(number)
    }

    private mutating func flushHealthChecks(before flowTime: UInt32) {
        guard healthChecks.count > 0, healthChecks.earliest < flowTime else { return }
        for check in healthChecks.take(before: flowTime) {
            pool.read(check.node, into: passing)
            check.finish(passing)
            sendPassing(flowTime: pool[check.node].pointee.flowTime)
            pool.release(check.node)
        }
    }

    /// Moves the passing log out. Source: agent-flow.md 16.3.
    private mutating func sendPassing(flowTime: UInt32) {
        passing.pointee.flowStatTimeNs = UInt64(flowTime) &* 1_000_000_000
        if !passing.pointee.isNewFlow { passing.pointee.startTimeNs = passing.pointee.flowStatTimeNs }
        if passing.pointee.closeType == Raw.forcedReport {
            passing.pointee.endTimeNs = (passing.pointee.startTimeNs / 1_000_000_000 &+ 60) &* 1_000_000_000
        }
        counters.out &+= 1
        if throttle != nil {
            throttle?.add(passing.move())
        } else {
            outlet.add(moving: passing)
        }
    }

    private mutating func flushThrottle() {
        guard throttle != nil, throttle?.advance(to: nowSeconds) == true else { return }
        emptyThrottle()
    }

    private mutating func emptyThrottle() {
        guard let taken = throttle?.take() else { return }
        for flow in taken {
            passing.initialize(to: flow)
            outlet.add(moving: passing)
        }
    }
}
