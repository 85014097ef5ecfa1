import Model

/// Turns L7 counters into documents. Source: agent-flow.md 14, 15.
package struct L7Collector: ~Copyable, AppMeterSink {
    private static var mostSpare: Int { 2 }

    private let settings: FlowMetricsSettings
    private let rules: TagRules
    private let flags: UInt32
    private var window: CollectorWindow
    private var stash = AppStash()
    /// Slots that are over, in order, for `deliver`.
    private var ready: [AppStash] = []
    /// Stashes whose memory is used again.
    private var spare: [AppStash] = []
    private var shrinker = ShrinkRule()
    private var counters = CollectorCounters()
    private var shrinksTaken: UInt64 = 0
    /// Clock of the delays, seconds since 1970; 0 = they are not measured.
    var clockSeconds: UInt32 = 0
    /// Slot of the first immediate entry, while no window has begun.
    private var provisionalStart: UInt32?

    package init(slotSeconds: UInt32, delay: UInt32, settings: FlowMetricsSettings, identity: MetricsIdentity) {
        self.settings = settings
        rules = TagRules(identity, settings)
        flags = slotSeconds == 1 ? Document.perSecond : 0
        window = CollectorWindow(slotSeconds: slotSeconds, delay: delay)
    }

    package mutating func tick(seconds: UInt32) {
        guard window.start != nil || provisionalStart != nil else { return }
        step(to: window.tickTime(seconds))
    }

    package mutating func flushAll() { flush(window.start) }

    package mutating func takeCounters() -> CollectorCounters {
        defer { counters = CollectorCounters() }
        counters.stashLength = UInt64(stash.count)
        counters.stashCapacity = UInt64(stash.capacity)
        counters.stashShrinks = shrinker.shrinks - shrinksTaken
        shrinksTaken = shrinker.shrinks
        return counters
    }

    /// Sends the documents of the slots that are over, oldest first.
    mutating func deliver(to outlet: DocumentOutlet) {
        while !ready.isEmpty {
            let stash = ready.removeFirst()
            stash.deliver(to: outlet, flags: flags, rules: rules, slotSeconds: window.slotSeconds)
            stash.removeAll(&shrinker)
            if spare.count < Self.mostSpare { spare.append(stash) }
        }
    }

    package mutating func add(
        _ entry: UnsafePointer<AppEntry>, _ flow: AppFlowView, endpoint: String, isImmediate: Bool
    ) {
        counters.in &+= 1
        counters.flowDelayNs = max(counters.flowDelayNs, age(of: entry.pointee.timeSeconds))
        if isImmediate {
            // Counted in the open slot; before there is one, in the slot of its own time.
            if window.start == nil, provisionalStart == nil {
                provisionalStart = entry.pointee.timeSeconds / window.slotSeconds * window.slotSeconds
            }
        } else if !step(to: entry.pointee.timeSeconds) {
            counters.dropBeforeWindow &+= 1
            return
        }
        let facts = flow.facts
        let (isActiveSrc, isActiveDst) = (rules.isActive(facts, .src), rules.isActive(facts, .dst))
        if settings.inactiveIPAggregation, !isActiveSrc, !isActiveDst {
            counters.dropInactive &+= 1
            return
        }
        let isReversed = entry.pointee.isReversed
        if facts.pointee.hasKnownEnd {
            let (srcDirection, dstDirection) = (facts.pointee.srcDirection, facts.pointee.dstDirection)
            let end: FlowEnd = srcDirection != 0 ? .src : .dst
            let isActive = end == .src ? isActiveSrc : isActiveDst
            let isAtEnd = srcDirection | dstDirection <= Raw.sideLocal || facts.pointee.signalSource != Raw.packet
            if isAtEnd, !settings.inactiveIPAggregation || isActive {
                let tag = DocumentTag.single(
                    facts, flow.ends, end, isActive: isActive, isReversed: isReversed, portSrc: flow.portSrc, rules)
                put(tag, entry, endpoint)
            }
        }
        let tag = DocumentTag.edge(
            facts, flow.ends, isActiveSrc: isActiveSrc, isActiveDst: isActiveDst, isReversed: isReversed,
            portSrc: flow.portSrc, rules)
        put(tag, entry, endpoint)
    }

    /// Moves the window; what came before it opened joins its first slot. False = too late.
    @inline(__always)
    @discardableResult
    private mutating func step(to time: UInt32) -> Bool {
        provisionalStart = nil
        let begun = window.start
        switch window.step(to: time) {
        case .late: return false
        case .open: return true
        case .over:
            flush(begun)
            return true
        }
    }

    private mutating func put(_ tag: DocumentTag, _ entry: UnsafePointer<AppEntry>, _ endpoint: String) {
        let facts = AppFacts(
            endpointHash: entry.pointee.endpointHash, timeSpanSlots: entry.pointee.timeSpanSlots,
            l7Protocol: entry.pointee.l7Protocol, bizType: entry.pointee.bizType, isApp: true)
        if !stash.add(tag, facts, entry, endpoint: endpoint, limit: settings.maxEntriesPerSlot) {
            counters.dropByCapacity &+= 1
        }
    }

    /// Nanoseconds from a second until now.
    private func age(of seconds: UInt32) -> UInt64 {
        clockSeconds > seconds ? UInt64(clockSeconds - seconds) * 1_000_000_000 : 0
    }

    /// - Parameter start: of the slot that is over.
    private mutating func flush(_ start: UInt32?) {
        guard stash.count > 0 else { return }
        counters.out &+= UInt64(stash.count)
        stash.startSeconds = start ?? provisionalStart ?? 0
        counters.windowDelayNs = max(counters.windowDelayNs, age(of: stash.startSeconds))
        provisionalStart = nil
        ready.append(stash)
        stash = spare.popLast() ?? AppStash()
    }
}
