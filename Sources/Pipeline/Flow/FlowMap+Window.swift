import CLinux
import Model

/// Where the walk over the seconds that are over stands.
struct WindowWalk {
    /// The next second to look at, and the first that is still open; equal = no walk.
    var second: UInt64 = 0
    var end: UInt64 = 0
    /// Flows of `second` that are being looked at; the next of them.
    var entries: [FlowMap.SlotEntry] = []
    var position = 0

    var isOver: Bool { second == end }
}

/// Time: flows are looked at when the second in which something may be due is over. Source: agent-flow.md 8.2.
extension FlowMap {
    /// Lets packet time or, without packets, the clock pass: reports and closes what is due by then.
    /// - Returns: false when the output is full and more is due: drain it and call again, with the same time.
    @inline(__always)
    package mutating func advance(to timeNs: UInt64) -> Bool {
        if timeNs < startNs &+ settings.packetDelayNs &+ 1_000_000_000, walk.isOver { return true }
        return flush(timeNs)
    }

    /// For the end of a replay: the time to advance to next, one second on; nil when no flow is left.
    package var nextSecondNs: UInt64? {
        nodes.count > 0 ? startNs &+ settings.packetDelayNs &+ 1_000_000_000 : nil
    }

    @inline(__always)
    mutating func enqueue(_ index: Int32, _ node: UnsafeMutablePointer<FlowNode>) {
        let slot = Int(UInt64(node.pointee.timestampKey) & (windowSeconds - 1))
        slots[slot].append(SlotEntry(node: index, generation: node.pointee.generation))
    }

    @inline(never)
    private mutating func flush(_ timeNs: UInt64) -> Bool {
        if walk.isOver {
            parseWaiting()
            guard beginWalk(timeNs) else { return true }
        }
        let limit = outputCount &+ FlowMap.outputCapacity
        while !walk.isOver {
            if walk.entries.isEmpty { swap(&walk.entries, &slots[Int(walk.second & (windowSeconds - 1))]) }
            while walk.position < walk.entries.count {
                if outputCount >= limit { return false }
                prefetchAhead()
                let entry = walk.entries[walk.position]
                walk.position &+= 1
                let node = nodes[entry.node]
                if isDue(node, entry, walk.second) { look(at: node, entry.node) }
            }
            endSecond()
        }
        return true
    }

    /// Moves the window. False: no second is over.
    private mutating func beginWalk(_ timeNs: UInt64) -> Bool {
        let next = (timeNs &- settings.packetDelayNs) / 1_000_000_000
        let first = startNs / 1_000_000_000
        let nextNs = next * 1_000_000_000
        if next > first {
            let dueNs = startNs &+ settings.packetDelayNs &+ 1_000_000_000
            counters.flushDelayNs = max(counters.flushDelayNs, timeNs &- min(timeNs, dueNs))
        }
        if nextNs > startNs { startNs = nextNs }
        guard next > first else { return false }
        walk.second = first
        walk.end = min(next, first + windowSeconds)
        walk.position = 0
        return true
    }

    private mutating func endSecond() {
        if !walk.entries.isEmpty {
            counters.totalScan &+= UInt64(walk.entries.count)
            let age = startNs &+ settings.packetDelayNs &- walk.second &* 1_000_000_000
            counters.flowDelayNs = max(counters.flowDelayNs, age)
            if walk.entries.capacity > 4096 { counters.timeSetShrinks &+= 1 }
        }
        // Keeps the capacity for the next turn of the ring.
        walk.entries.removeAll(keepingCapacity: walk.entries.capacity <= 4096)
        let slot = Int(walk.second & (windowSeconds - 1))
        if slots[slot].isEmpty { swap(&walk.entries, &slots[slot]) } else { walk.entries = [] }
        walk.position = 0
        walk.second &+= 1
    }

    @inline(__always)
    private mutating func look(at node: UnsafeMutablePointer<FlowNode>, _ index: Int32) {
        if isOver(node) { return close(node, index) }
        if node.pointee.senders.hasPeriod, settings.reportsEachSecond { _ = report(node, index, closing: nil) }
        let deadline = node.pointee.recentNs &+ node.pointee.timeoutNs
        node.pointee.timestampKey = UInt32(truncatingIfNeeded: deadline / 1_000_000_000)
        enqueue(index, node)
    }

    /// Nothing came before the flow's timeout.
    @inline(__always)
    private func isOver(_ node: UnsafeMutablePointer<FlowNode>) -> Bool {
        node.pointee.recentNs &+ node.pointee.timeoutNs < startNs
    }

    /// Of flows that follow soon in the walk: what tells whether an entry still counts; nearer, all that a report of it
    /// reads.
    @inline(__always)
    private func prefetchAhead() {
        let far = walk.position &+ 32
        if far < walk.entries.count { dft_prefetch(nodes[walk.entries[far].node]) }
        let near = walk.position &+ 12
        guard near < walk.entries.count else { return }
        let node = nodes[walk.entries[near].node]
        guard isDue(node, walk.entries[near], walk.second) else { return }
        if isOver(node) { dft_prefetch(table.home(of: node.pointee.hash)) }
        for line in 1..<4 { dft_prefetch(UnsafeRawPointer(node) + line * 64) }
        guard node.pointee.period >= 0 else { return }
        let period = UnsafeRawPointer(parts.openPeriod(of: node))
        let lines = node.pointee.l4Protocol == .tcp ? 4 : 1
        for line in 0..<lines { dft_prefetch(period + line * 64) }
    }

    /// Whether a slot's entry still counts: not when its flow has ended or waits in a later slot as well.
    @inline(__always)
    private func isDue(_ node: UnsafeMutablePointer<FlowNode>, _ entry: SlotEntry, _ second: UInt64) -> Bool {
        node.pointee.generation == entry.generation && UInt64(node.pointee.timestampKey) <= second
    }

    private mutating func close(_ node: UnsafeMutablePointer<FlowNode>, _ index: Int32) {
        closeL7(node, index)
        _ = report(node, index, closing: closeType(of: node))
        counters.closed &+= 1
        table.remove(index, hash: node.pointee.hash)
        if node.pointee.l4Protocol == .icmp { icmpPerfs[index] = nil }
        if node.pointee.marks.contains(.extra) { extras.remove(index) }
        parts.release(node)
        node.pointee.generation = 0
        nodes.give(back: index)
    }
}
