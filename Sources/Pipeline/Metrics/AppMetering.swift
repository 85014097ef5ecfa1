import Model

/// L7 counters with what both generators need of them, made once.
struct AppRecord: BitwiseCopyable {
    /// Valid as long as the batch.
    let stats: UnsafePointer<L7Stats>
    let flowHash: UInt64
    /// Makes documents; else it can only end its flow.
    let isCounted: Bool
    /// In each window.
    var second: AppPlace
    var minute: AppPlace

    @inline(__always)
    init(_ stats: UnsafePointer<L7Stats>, apmMetrics: Bool, second: AppPlace, minute: AppPlace) {
        self.stats = stats
        self.second = second
        self.minute = minute
        flowHash = MetricsHash.word(stats.pointee.flowID)
        // An unknown protocol makes documents only for OTel, so the counts that the reference makes up are left out.
        let isKnown = stats.pointee.l7Protocol != 0 || stats.pointee.flow.signalSource == Raw.otel
        isCounted = apmMetrics && isKnown && !AppEntry.isEmpty(stats)
    }

    /// Ended: its entries do not wait for their slots.
    @inline(__always)
    var endsFlow: Bool { stats.pointee.closeType != 0 && stats.pointee.closeType != Raw.forcedReport }
}

/// Where counters belong in one generator.
struct AppPlace: BitwiseCopyable {
    /// The open slot, unless the window moves before.
    let slot: UnsafeMutablePointer<AppSlot>
    /// Slots that the document is shifted back.
    let timeSpanSlots: UInt32
    /// Of the entry, or of the flow for what only ends it, as the tables had it before the group; -1 = none.
    var position: Int32 = -1
    var hash: UInt64 = 0

    @inline(__always)
    init(_ slot: UnsafeMutablePointer<AppSlot>, timeSpanSlots: UInt32) {
        self.slot = slot
        self.timeSpanSlots = timeSpanSlots
    }

    /// Finds the hash, and asks for the table that will be read.
    @inline(__always)
    mutating func prefetchTable(_ stats: UnsafePointer<L7Stats>, flowHash: UInt64, isCounted: Bool) {
        hash = AppEntry.hash(
            flowHash: flowHash, endpointHash: stats.pointee.endpointHash, l7Protocol: stats.pointee.l7Protocol,
            bizType: stats.pointee.bizType, isReversed: stats.pointee.isReversed, timeSpanSlots: timeSpanSlots)
        slot.pointee.prefetchTable(hash, flowHash: flowHash, isCounted: isCounted)
    }

    @inline(__always)
    mutating func prefetchEntry(flowHash: UInt64, isCounted: Bool) {
        position = Int32(
            truncatingIfNeeded: slot.pointee.prefetchEntry(hash, flowHash: flowHash, isCounted: isCounted))
    }

    @inline(__always)
    func prefetchFlow(isCounted: Bool) { slot.pointee.prefetchFlow(Int(position), isCounted: isCounted) }
}

/// The two L7 generators over one pass of counters, in groups whose memory is asked for ahead.
struct AppMetering: ~Copyable {
    static var groupSize: Int { 16 }

    private let hasSecond: Bool
    private let apmMetrics: Bool
    private var second: L7QuadrupleGenerator
    private var minute: L7QuadrupleGenerator
    private let records: UnsafeMutablePointer<AppRecord>

    init(_ settings: MetricsSettings) {
        hasSecond = settings.metrics.secondMetrics
        apmMetrics = settings.metrics.apmMetrics
        second = .perSecond(settings.delays, settings.metrics)
        minute = .perMinute(settings.delays, settings.metrics)
        records = .allocate(capacity: Self.groupSize)
    }

    deinit { records.deallocate() }

    /// A batch of any size.
    mutating func handle<Second: AppMeterSink & ~Copyable, Minute: AppMeterSink & ~Copyable>(
        _ batch: UnsafeBufferPointer<L7Stats>, second secondSink: inout Second, minute minuteSink: inout Minute
    ) {
        guard let base = batch.baseAddress else { return }
        for first in stride(from: 0, to: batch.count, by: Self.groupSize) {
            let count = min(Self.groupSize, batch.count - first)
            prepare(base + first, count: count)
            for index in 0..<count {
                let record = records + index
                if hasSecond { second.add(record, record.pointee.second, into: &secondSink) }
                minute.add(record, record.pointee.minute, into: &minuteSink)
            }
        }
    }

    mutating func tick<Second: AppMeterSink & ~Copyable, Minute: AppMeterSink & ~Copyable>(
        seconds: UInt32, second secondSink: inout Second, minute minuteSink: inout Minute
    ) {
        if hasSecond { second.tick(seconds: seconds, into: &secondSink) }
        minute.tick(seconds: seconds, into: &minuteSink)
    }

    mutating func flushAll<Second: AppMeterSink & ~Copyable, Minute: AppMeterSink & ~Copyable>(
        second secondSink: inout Second, minute minuteSink: inout Minute
    ) {
        if hasSecond { second.flushAll(into: &secondSink) }
        minute.flushAll(into: &minuteSink)
    }

    mutating func takeCounters() -> (second: GeneratorCounters, minute: GeneratorCounters) {
        (second.takeCounters(), minute.takeCounters())
    }

    /// First all table slots, then all entries, then all flows are asked for.
    @inline(__always)
    private func prepare(_ group: UnsafePointer<L7Stats>, count: Int) {
        for index in 0..<count {
            let (stats, record) = (group + index, records + index)
            record.initialize(
                to: AppRecord(
                    stats, apmMetrics: apmMetrics, second: second.place(of: stats), minute: minute.place(of: stats)))
            let (flowHash, isCounted) = (record.pointee.flowHash, record.pointee.isCounted)
            if hasSecond { record.pointee.second.prefetchTable(stats, flowHash: flowHash, isCounted: isCounted) }
            record.pointee.minute.prefetchTable(stats, flowHash: flowHash, isCounted: isCounted)
        }
        for index in 0..<count {
            let record = records + index
            let (flowHash, isCounted) = (record.pointee.flowHash, record.pointee.isCounted)
            if hasSecond { record.pointee.second.prefetchEntry(flowHash: flowHash, isCounted: isCounted) }
            record.pointee.minute.prefetchEntry(flowHash: flowHash, isCounted: isCounted)
        }
        for index in 0..<count {
            let record = records + index
            if hasSecond { record.pointee.second.prefetchFlow(isCounted: record.pointee.isCounted) }
            record.pointee.minute.prefetchFlow(isCounted: record.pointee.isCounted)
        }
    }
}
