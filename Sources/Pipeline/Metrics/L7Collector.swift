package import Model

/// Turns L7 counters into documents. Source: agent-flow.md 14, 15.
package struct L7Collector: ~Copyable, AppMeterSink {
    private let settings: FlowMetricsSettings
    private let rules: TagRules
    private let flags: UInt32
    private var window: CollectorWindow
    private var stash = DocumentStash()
    private var counters = CollectorCounters()
    private var shrinksTaken: UInt64 = 0
    private var ready: [[Document]] = []
    /// Slot of the first immediate entry, while no window has begun.
    private var provisionalStart: UInt32?

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

    package mutating func tick(seconds: UInt32) {
        guard window.start != nil || provisionalStart != nil else { return }
        begin(at: window.tickTime(seconds))
        if case .over = window.step(to: window.tickTime(seconds)) { flush() }
    }

    package mutating func flushAll() { flush() }

    package mutating func takeCounters() -> CollectorCounters {
        defer { counters = CollectorCounters() }
        counters.stashLength = UInt64(stash.count)
        counters.stashCapacity = UInt64(stash.capacity)
        counters.stashShrinks = stash.shrinks - shrinksTaken
        shrinksTaken = stash.shrinks
        return counters
    }

    package mutating func add(
        _ entry: borrowing AppMeterWithFlow, _ flow: UnsafePointer<MiniFlow>, isImmediate: Bool
    ) {
        counters.in &+= 1
        if isImmediate {
            // Counted in the open slot; before there is one, in the slot of its own time.
            if window.start == nil, provisionalStart == nil {
                provisionalStart = entry.timeSeconds / window.slotSeconds * window.slotSeconds
            }
        } else {
            begin(at: entry.timeSeconds)
            switch window.step(to: entry.timeSeconds) {
            case .late:
                counters.dropBeforeWindow &+= 1
                return
            case .over: flush()
            case .open: break
            }
        }
        if settings.inactiveIPAggregation, !entry.isActiveSrc, !entry.isActiveDst {
            counters.dropInactive &+= 1
            return
        }
        document(entry, flow)
    }

    /// Opens the window; what came before joins its first slot.
    private mutating func begin(at time: UInt32) {
        guard window.start == nil else { return }
        _ = window.step(to: time)
        if provisionalStart != nil, let start = window.start { stash.restamp(start, slotSeconds: window.slotSeconds) }
        provisionalStart = nil
    }

    @inline(__always)
    private mutating func document(_ entry: borrowing AppMeterWithFlow, _ flow: UnsafePointer<MiniFlow>) {
        let srcDirection = flow.pointee.srcDirection
        let dstDirection = flow.pointee.dstDirection
        let signal = flow.pointee.signalSource
        let isReversed = entry.isReversed
        if (srcDirection == 0) == (dstDirection == 0) {
            let direction = signal == SignalSource.otel.rawValue ? TapSide.app.rawValue : TapSide.rest.rawValue
            put(edge(entry, flow, direction), entry, flow)
            return
        }
        let end: FlowEnd = srcDirection != 0 ? .src : .dst
        let direction = srcDirection | dstDirection
        let isActive = end == .src ? entry.isActiveSrc : entry.isActiveDst
        let isAtEnd = direction <= TapSide.local.rawValue || signal != SignalSource.packet.rawValue
        if isAtEnd, !settings.inactiveIPAggregation || isActive {
            put(
                DocumentTag.single(flow, end, isActive: isActive, isReversed: isReversed, rules), entry, flow)
        }
        put(edge(entry, flow, direction), entry, flow)
    }

    private func edge(
        _ entry: borrowing AppMeterWithFlow, _ flow: UnsafePointer<MiniFlow>, _ direction: UInt8
    ) -> DocumentTag {
        DocumentTag.edge(
            flow, direction: direction, isActiveSrc: entry.isActiveSrc, isActiveDst: entry.isActiveDst,
            isReversed: entry.isReversed, rules)
    }

    private mutating func put(
        _ tag: DocumentTag, _ entry: borrowing AppMeterWithFlow, _ flow: UnsafePointer<MiniFlow>
    ) {
        let app = AppFacts(
            endpointHash: entry.endpointHash, timeSpanSlots: entry.timeSpanSlots, l7Protocol: entry.l7Protocol,
            bizType: entry.bizType, isApp: true)
        let key = DocumentKey(tag, app)
        let hash = key.hash
        if let found = stash.find(key, hash) {
            stash.merge(entry.meter, at: found)
            return
        }
        guard stash.count < settings.maxEntriesPerSlot else {
            counters.dropByCapacity &+= 1
            return
        }
        let start = timestamp(spanSlots: entry.timeSpanSlots)
        let (meter, endpoint) = (entry.meter, entry.endpoint)
        stash.append(key, hash, flowCount: 0) { [flags, rules] document in
            document.pointee.flags = flags
            document.pointee.timestamp = start
            tag.write(to: document.pointer(to: \.tag).unsafelyUnwrapped, flow, app, rules)
            document.pointee.tag.field.endpoint = endpoint
            document.pointee.meter = .app(meter)
        }
    }

    private func timestamp(spanSlots: UInt32) -> UInt32 {
        let start = window.start ?? provisionalStart ?? 0
        let back = spanSlots &* window.slotSeconds
        return start > back ? start - back : 0
    }

    private mutating func flush() {
        guard stash.count > 0 else { return }
        counters.out &+= UInt64(stash.count)
        ready += stash.take()
        provisionalStart = nil
    }
}
