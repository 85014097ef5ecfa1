import CLinux
import Model

/// The two L4 generators over one pass of flow records: the key is made once, and memory is asked for ahead.
///
/// The tables are larger than the caches, so records are taken in groups: first all hashes, then all table slots, then
/// all entries, then the work.
struct FlowMetering: ~Copyable {
    private struct Prepared: BitwiseCopyable {
        var key: QuadrupleKey
        var hash: UInt64
        var second: UnsafeMutablePointer<QuadrupleSlot>
        var minute: UnsafeMutablePointer<QuadrupleSlot>
        /// Of the entries, as the tables had them before the group; -1 = none.
        var secondPosition = -1
        var minutePosition = -1
    }

    static var groupSize: Int { 16 }

    private let hasSecond: Bool
    private var second: QuadrupleGenerator
    private var minute: QuadrupleGenerator
    private let prepared: UnsafeMutablePointer<Prepared>

    init(_ settings: MetricsSettings) {
        hasSecond = settings.metrics.secondMetrics
        second = .perSecond(settings.delays, settings.metrics)
        minute = .perMinute(settings.delays, settings.metrics)
        prepared = .allocate(capacity: Self.groupSize)
    }

    deinit { prepared.deallocate() }

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
            let flow = flows + index
            let key = QuadrupleKey(flow)
            let hash = key.hash
            let seconds = UInt32(truncatingIfNeeded: flow.pointee.flowStatTimeNs / 1_000_000_000)
            let (secondSlot, minuteSlot) = (second.likelySlot(seconds), minute.likelySlot(seconds))
            prepared[index] = Prepared(key: key, hash: hash, second: secondSlot, minute: minuteSlot)
            if hasSecond { dft_prefetch(secondSlot.pointee.positions.home(of: hash)) }
            dft_prefetch(minuteSlot.pointee.positions.home(of: hash))
        }
        for index in 0..<count {
            let record = prepared + index
            if hasSecond { record.pointee.secondPosition = prefetchEntry(record.pointee.second, record.pointee.hash) }
            record.pointee.minutePosition = prefetchEntry(record.pointee.minute, record.pointee.hash)
        }
        for index in 0..<count {
            prefetchPart(prepared[index].second, prepared[index].secondPosition)
            prefetchPart(prepared[index].minute, prepared[index].minutePosition)
        }
        if hasSecond {
            for index in 0..<count {
                second.add(flows + index, prepared[index].key, hash: prepared[index].hash, into: &secondSink)
            }
        }
        for index in 0..<count {
            minute.add(flows + index, prepared[index].key, hash: prepared[index].hash, into: &minuteSink)
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

    /// Facts and traffic counters: every merge touches all of them.
    @inline(__always)
    private func prefetchEntry(_ slot: UnsafeMutablePointer<QuadrupleSlot>, _ hash: UInt64) -> Int {
        let position = slot.pointee.positions.likelyPosition(hash)
        guard position >= 0 else { return -1 }
        let entry = UnsafeRawPointer(slot.pointee.entries[position])
        dft_prefetch(entry)
        dft_prefetch(entry + 64)
        dft_prefetch(entry + 128)
        dft_prefetch(entry + 192)
        return position
    }

    @inline(__always)
    private func prefetchPart(_ slot: UnsafeMutablePointer<QuadrupleSlot>, _ position: Int) {
        guard position >= 0 else { return }
        let number = slot.pointee.entries[position].pointee.performance
        guard number != FlowMeterWithFlow.none else { return }
        let part = UnsafeRawPointer(slot.pointee.performance[Int(number)])
        dft_prefetch(part)
        dft_prefetch(part + 64)
    }
}
