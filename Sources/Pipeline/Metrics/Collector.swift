package import Model

/// Of a collector, since the last `take`. Source: agent-flow.md 17.
package struct CollectorCounters: Sendable, Equatable {
    package var windowDelayNs: UInt64 = 0
    package var flowDelayNs: UInt64 = 0
    package var `in`: UInt64 = 0
    package var out: UInt64 = 0
    package var dropBeforeWindow: UInt64 = 0
    package var dropInactive: UInt64 = 0
    /// New documents refused because the slot was full.
    package var dropByCapacity: UInt64 = 0
    package var stashLength: UInt64 = 0
    package var stashCapacity: UInt64 = 0
    package var stashShrinks: UInt64 = 0

    package init() {}
}

/// The slot of a collector: exactly one is open. Source: agent-flow.md 14.1.
struct CollectorWindow: Sendable {
    enum Step: Equatable, Sendable {
        case late
        case open
        /// The open slot is over; its documents carry this second.
        case over(UInt32)
    }

    let slotSeconds: UInt32
    let delay: UInt32
    private(set) var start: UInt32?

    init(slotSeconds: UInt32, delay: UInt32) {
        self.slotSeconds = slotSeconds
        self.delay = delay
    }

    @inline(__always)
    mutating func step(to time: UInt32) -> Step {
        guard let begun = start else {
            start = begin(time)
            return .open
        }
        if time < begun { return .late }
        if time &- begun < slotSeconds { return .open }
        start = time / slotSeconds * slotSeconds
        return .over(begun)
    }

    /// The time of a tick as a record's time would be.
    func tickTime(_ clock: UInt32) -> UInt32 {
        let lag = slotSeconds == 1 ? delay : delay - min(delay, 60)
        return clock > lag ? clock - lag : 0
    }

    /// Before the first record there is nothing to flush, so the slot is that of the record.
    private func begin(_ time: UInt32) -> UInt32 { time / slotSeconds * slotSeconds }
}

/// Turns quadruples into documents: for each end that is known, and for the pair. Source: agent-flow.md 14.
package struct Collector: ~Copyable, MeterSink {
    private let settings: FlowMetricsSettings
    private let rules: TagRules
    private let flags: UInt32
    private var window: CollectorWindow
    private var stash = DocumentStash()
    private var counters = CollectorCounters()
    private var shrinksTaken: UInt64 = 0
    /// Finished batches, in order, for `takeReady`.
    private var ready: [[Document]] = []

    /// - Parameter slotSeconds: 1 or 60.
    package init(slotSeconds: UInt32, delay: UInt32, settings: FlowMetricsSettings, identity: MetricsIdentity) {
        self.settings = settings
        rules = TagRules(identity, settings)
        flags = slotSeconds == 1 ? Document.perSecond : 0
        window = CollectorWindow(slotSeconds: slotSeconds, delay: delay)
    }

    package var hasReady: Bool { !ready.isEmpty }

    /// Batches of at most 1024 documents whose slot is over, oldest first.
    package mutating func takeReady() -> [[Document]] {
        defer { ready = [] }
        return ready
    }

    /// Gives a batch back after it was sent.
    package mutating func recycle(_ batch: consuming [Document]) { stash.recycle(batch) }

    /// - Parameter seconds: clock, seconds since 1970.
    package mutating func tick(seconds: UInt32) {
        guard window.start != nil else { return }
        if case .over(let start) = window.step(to: window.tickTime(seconds)) { flush(start) }
    }

    /// Flushes the open slot: the end of a replay.
    package mutating func flushAll() {
        if let start = window.start { flush(start) }
    }

    package mutating func takeCounters() -> CollectorCounters {
        defer { counters = CollectorCounters() }
        counters.stashLength = UInt64(stash.count)
        counters.stashCapacity = UInt64(stash.capacity)
        counters.stashShrinks = stash.shrinks - shrinksTaken
        shrinksTaken = stash.shrinks
        return counters
    }

    package mutating func add(_ view: QuadrupleView) {
        let entry = view.entry
        counters.in &+= 1
        switch window.step(to: entry.pointee.timeSeconds) {
        case .late:
            counters.dropBeforeWindow &+= 1
            return
        case .over(let start): flush(start)
        case .open: break
        }
        guard let flow = entry.pointer(to: \.flow) else { return }
        let isActiveSrc = entry.pointee.isActiveSrc
        let isActiveDst = entry.pointee.isActiveDst
        if settings.inactiveIPAggregation, !isActiveSrc, !isActiveDst {
            counters.dropInactive &+= 1
            return
        }
        let srcDirection = flow.pointee.srcDirection
        let dstDirection = flow.pointee.dstDirection
        if (srcDirection == 0) == (dstDirection == 0) {
            let isOTel = flow.pointee.signalSource == Raw.otel
            let direction = isOTel ? Raw.sideApp : 0
            let tag = DocumentTag.edge(
                flow, direction: direction, isActiveSrc: isActiveSrc, isActiveDst: isActiveDst, isReversed: false,
                rules)
            put(tag, view, swapped: false)
            return
        }
        let end: FlowEnd = srcDirection != 0 ? .src : .dst
        let direction = srcDirection | dstDirection
        let isActive = end == .src ? isActiveSrc : isActiveDst
        if direction <= Raw.sideLocal, !settings.inactiveIPAggregation || isActive {
            let tag = DocumentTag.single(flow, end, isActive: isActive, isReversed: false, rules)
            put(tag, view, swapped: end == .dst)
        }
        let signal = flow.pointee.signalSource
        guard signal == Raw.packet || signal == Raw.xflow else { return }
        let tag = DocumentTag.edge(
            flow, direction: direction, isActiveSrc: isActiveSrc, isActiveDst: isActiveDst, isReversed: false, rules)
        put(tag, view, swapped: false)
    }

    @inline(__always)
    private mutating func put(_ tag: DocumentTag, _ view: QuadrupleView, swapped: Bool) {
        let app = AppFacts()
        let key = DocumentKey(tag, app)
        let hash = key.hash
        if let found = stash.find(key, hash) {
            stash.merge(view, swapped: swapped, at: found)
            return
        }
        guard stash.count < settings.maxEntriesPerSlot else {
            counters.dropByCapacity &+= 1
            return
        }
        let flow = view.entry.pointer(to: \.flow).unsafelyUnwrapped
        stash.append(key, hash, flowCount: view.entry.pointee.flowCount) { [flags, rules, window] document in
            document.pointee.flags = flags
            document.pointee.timestamp = window.start ?? 0
            tag.write(to: document.pointer(to: \.tag).unsafelyUnwrapped, flow, app, rules)
            let meter = DocumentStash.meter(of: document, as: FlowMeter.self)
            view.add(to: meter, swapped: swapped)
            meter.pointee.load = UInt64(view.entry.pointee.load)
        }
    }

    private mutating func flush(_ start: UInt32) {
        guard stash.count > 0 else { return }
        counters.out &+= UInt64(stash.count)
        ready += stash.take()
    }
}
