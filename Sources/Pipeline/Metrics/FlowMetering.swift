import CLinux
import Model

/// The two L4 generators over one pass of flow records: the key is made once, and memory is asked for ahead.
///
/// The tables are larger than the caches, so records are taken in groups: first all hashes, then all table slots, then
/// all entries, then the work.
struct FlowMetering: ~Copyable {
    /// The open slots of a record, unless the windows move before it is added, and its entries there; -1 = none.
    private struct LikelySlots: BitwiseCopyable {
        let second: UnsafeMutablePointer<QuadrupleSlot>
        let minute: UnsafeMutablePointer<QuadrupleSlot>
        var secondEntry = -1
        var minuteEntry = -1
    }

    static var groupSize: Int { 16 }

    private let hasSecond: Bool
    private var second: QuadrupleGenerator
    private var minute: QuadrupleGenerator
    private let apmMetrics: Bool
    private let records: UnsafeMutablePointer<MeteredRecord>
    private let likely: UnsafeMutablePointer<LikelySlots>

    init(_ settings: MetricsSettings) {
        hasSecond = settings.metrics.secondMetrics
        second = .perSecond(settings.delays, settings.metrics)
        minute = .perMinute(settings.delays, settings.metrics)
        apmMetrics = settings.metrics.apmMetrics
        records = .allocate(capacity: Self.groupSize)
        likely = .allocate(capacity: Self.groupSize)
    }

    deinit {
        records.deallocate()
        likely.deallocate()
    }

    /// A batch of any size.
    mutating func handle<Second: MeterSink & ~Copyable, Minute: MeterSink & ~Copyable>(
        _ flows: UnsafeBufferPointer<TaggedFlow>, second secondSink: inout Second, minute minuteSink: inout Minute
    ) {
        guard let base = flows.baseAddress else { return }
        for index in stride(from: 0, to: flows.count, by: Self.groupSize) {
            let count = min(Self.groupSize, flows.count - index)
            handle(base + index, count: count, second: &secondSink, minute: &minuteSink)
        }
    }

    /// - Parameter count: at most `groupSize`.
    @inline(__always)
    private mutating func handle<Second: MeterSink & ~Copyable, Minute: MeterSink & ~Copyable>(
        _ flows: UnsafePointer<TaggedFlow>, count: Int, second secondSink: inout Second, minute minuteSink: inout Minute
    ) {
        for index in 0..<count {
            let record = records + index
            record.initialize(to: MeteredRecord(flows + index, apmMetrics: apmMetrics))
            let seconds = record.pointee.seconds
            let slots = LikelySlots(second: second.likelySlot(seconds), minute: minute.likelySlot(seconds))
            (likely + index).initialize(to: slots)
            if hasSecond { dft_prefetch(slots.second.pointee.positions.home(of: record.pointee.hash)) }
            dft_prefetch(slots.minute.pointee.positions.home(of: record.pointee.hash))
        }
        for index in 0..<count {
            let hash = records[index].hash
            if hasSecond { likely[index].secondEntry = prefetchEntry(hash, likely[index].second) }
            likely[index].minuteEntry = prefetchEntry(hash, likely[index].minute)
        }
        for index in 0..<count where records[index].parts & MeteredRecord.Parts.response != 0 {
            likely[index].second.pointee.prefetchResponse(of: likely[index].secondEntry)
            likely[index].minute.pointee.prefetchResponse(of: likely[index].minuteEntry)
        }
        for index in 0..<count {
            if hasSecond { second.add(records + index, into: &secondSink) }
            minute.add(records + index, into: &minuteSink)
        }
    }

    mutating func tick<Second: MeterSink & ~Copyable, Minute: MeterSink & ~Copyable>(
        seconds: UInt32, second secondSink: inout Second, minute minuteSink: inout Minute
    ) {
        if hasSecond { second.tick(seconds: seconds, into: &secondSink) }
        minute.tick(seconds: seconds, into: &minuteSink)
    }

    mutating func flushAll<Second: MeterSink & ~Copyable, Minute: MeterSink & ~Copyable>(
        second secondSink: inout Second, minute minuteSink: inout Minute
    ) {
        if hasSecond { second.flushAll(into: &secondSink) }
        minute.flushAll(into: &minuteSink)
    }

    mutating func takeCounters() -> (second: GeneratorCounters, minute: GeneratorCounters) {
        (second.takeCounters(), minute.takeCounters())
    }

    /// Facts and traffic counters: every merge touches both lines.
    @inline(__always)
    private func prefetchEntry(_ hash: UInt64, _ slot: UnsafeMutablePointer<QuadrupleSlot>) -> Int {
        let position = slot.pointee.positions.likelyPosition(hash)
        guard position >= 0 else { return -1 }
        let entry = UnsafeRawPointer(slot.pointee.entries[position])
        dft_prefetch(entry)
        dft_prefetch(entry + 64)
        return position
    }
}
