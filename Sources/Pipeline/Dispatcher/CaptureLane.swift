import Capture
import Model
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One dispatcher of a live agent: its engine, its flow table and its thread; with a queue in between, its two threads.
/// Source: agent-flow.md 1, 5.1.
///
/// `@unchecked Sendable`: `intake` belongs to the thread that reads, `dispatcher` to the one that accounts, which is the
/// same without a queue, from `start` to `join`; others talk to them through `board`.
final class CaptureLane: @unchecked Sendable {
    /// What is captured, and what is known of where it comes from.
    struct Watch: Sendable {
        var places: [SourceGroup.Place]
        var interfaces: [NetworkInterface]
        var labeler: EndpointLabeler

        /// Takes over what an order before it, which was not followed, would have opened.
        mutating func replace(_ older: Watch) {
            for at in places.indices where places[at].source == nil {
                places[at].source = older.places.first { $0.key == places[at].key }?.source
            }
        }
    }

    private struct Board {
        /// For the reading thread to follow at its next pause.
        var order: Watch?
        /// For the accounting thread to learn before the next packets.
        var news: Watch?
        var counters: DispatcherCounters
        var received = ReceiveCounters()
        var failure: Failure?
    }

    private static let messageBatch = 512
    private static let checkNs: UInt64 = 500_000_000
    /// How long the end waits for an engine that goes on.
    private static let restNs: UInt64 = 1_000_000_000
    /// How long packets may stay away before time passes without them, as of an engine.
    private static let queuePollMs = 100

    let number: Int
    private var dispatcher: Dispatcher
    private var intake: PacketIntake
    private let queue: RawPacketQueue?
    private let stages: LiveStages
    private let observer: (any AgentPipeline.Observer)?
    private let frames: UnsafeMutableBufferPointer<CaptureFrame>
    private let board: Mutex<Board>
    private let hasNews = Atomic<Bool>(false)
    private let isEnding = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private var threads: [StageThread] = []

    init(
        number: Int, source: LaneSource, settings: AgentPipeline.Settings, stages: LiveStages, pace: CapturePace,
        observer: (any AgentPipeline.Observer)?
    ) {
        dispatcher = Dispatcher(settings: settings, number: number, isLive: true, clockNs: wallClockNs())
        let isAnalyzer = settings.mirror.mode == .analyzer
        queue = isAnalyzer || settings.rawQueue.isEnabled ? RawPacketQueue(settings: settings.rawQueue) : nil
        frames = AgentPipeline.frameBatch(queue == nil ? Dispatcher.batch : RawPacketQueue.batch)
        intake = PacketIntake(source: source, pace: pace, frames: frames, readsMarks: isAnalyzer)
        self.stages = stages
        self.observer = observer
        self.number = number
        board = Mutex(Board(counters: DispatcherCounters(number: number)))
    }

    deinit { frames.deallocate() }

    // MARK: - From the thread that looks after the lanes

    /// Begins to capture; before `start`.
    func open(on watch: Watch) throws(Failure) {
        learn(watch)
        try intake.source.apply(watch.places)
    }

    func start() {
        let suffix = number == 0 ? "" : " \(number)"
        if let queue {
            threads = [
                StageThread(name: "receiver" + suffix) { [self] in
                    read()
                    queue.close()
                },
                StageThread(name: "dispatcher" + suffix) { [self] in
                    account(from: queue)
                    close()
                },
            ]
        } else {
            threads = [
                StageThread(name: "dispatcher" + suffix) { [self] in
                    read()
                    close()
                }
            ]
        }
    }

    func order(_ watch: Watch) {
        board.withLock { board in
            var watch = watch
            if let older = board.order { watch.replace(older) }
            board.order = watch
        }
    }
    func end() { isEnding.store(true, ordering: .releasing) }
    func join() {
        for thread in threads { thread.join() }
        threads = []
    }

    /// False once the lane has ended, by itself only because of a failure.
    var isRunning: Bool { !hasEnded.load(ordering: .acquiring) }
    var failure: Failure? { board.withLock { $0.failure } }

    /// The greatest values start anew.
    func takeCounters() -> DispatcherCounters {
        board.withLock { board in
            var counters = board.counters
            board.counters.flowMap.startPeriod()
            counters.dispatcher.receive = board.received
            counters.queue = queue?.reading()
            return counters
        }
    }

    // MARK: - In the thread that reads

    private func read() {
        do {
            try captureUntilEnd()
            try captureRest()
        } catch {
            board.withLock { $0.failure = error }
        }
        publishReceived()
    }

    private func captureUntilEnd() throws(Failure) {
        var nextCheckNs = monotonicNs()
        var sinceCheck = 0
        while !isEnding.load(ordering: .acquiring) {
            let (read, kept) = try intake.next()
            if sinceCheck == 0, kept > 0, queue == nil { noteArrival(frames[0].timeNs) }
            var isPause = read == 0
            if !isPause { isPause = pass(kept) } else if queue == nil { tick() }
            sinceCheck &+= read
            guard sinceCheck >= 256 || isPause else { continue }
            sinceCheck = 0
            let now = monotonicNs()
            guard now >= nextCheckNs else { continue }
            nextCheckNs = now &+ CaptureLane.checkNs
            if queue == nil { publish() }
            publishReceived()
            let order = board.withLock { board in
                defer { board.order = nil }
                return board.order
            }
            if let order { retry(order) }
        }
    }

    /// Follows an order; when that fails, what was captured before goes on and the order waits for the next pause: an
    /// interface may go between the moment it was listed and the one it is opened.
    private func retry(_ watch: Watch) {
        do {
            try follow(watch)
        } catch {
            intake.noteFault()
            board.withLock { board in
                if board.order == nil { board.order = watch } else { board.order?.replace(watch) }
            }
        }
    }

    /// Nothing new comes in; what the kernel already holds is taken, so that every packet is accounted or counted lost.
    private func captureRest() throws(Failure) {
        let hasEnd = try intake.source.endIntake()
        let lastNs = monotonicNs() &+ CaptureLane.restNs
        while hasEnd || monotonicNs() < lastNs {
            let (read, kept) = try intake.next()
            guard read > 0 else { return }
            hand(on: 0..<kept)
        }
    }

    private func follow(_ watch: Watch) throws(Failure) {
        if queue == nil {
            learn(watch)
        } else {
            // Before the first packet of a new interface can be in the queue.
            board.withLock { $0.news = watch }
            hasNews.store(true, ordering: .releasing)
        }
        try intake.source.apply(watch.places)
    }

    /// Hands the frames on as fast as the limit allows.
    /// - Returns: whether it had to wait.
    private func pass(_ count: Int) -> Bool {
        var first = 0
        var hasWaited = false
        while first < count {
            // At the end what is in the ring goes without a limit.
            let granted = intake.grant(count - first, isUnlimited: isEnding.load(ordering: .relaxed))
            if granted == 0 { hasWaited = true } else { hand(on: first..<(first + granted)) }
            first += granted
        }
        return hasWaited
    }

    @inline(__always)
    private func hand(on range: Range<Int>) {
        let batch = UnsafeBufferPointer(rebasing: frames[range])
        if let queue { queue.put(batch) } else { handle(batch) }
    }

    private func publishReceived() {
        let received = intake.current()
        board.withLock { $0.received = received }
    }

    // MARK: - In the thread that accounts

    /// Until the queue is closed and empty.
    private func account(from queue: RawPacketQueue) {
        var nextCheckNs = monotonicNs()
        while true {
            switch queue.receive(timeoutMs: CaptureLane.queuePollMs) {
            case .items(let batches):
                if hasNews.exchange(false, ordering: .acquiring), let news = board.withLock({ $0.news }) { learn(news) }
                for batch in batches { handle(all: batch.frames) }
                if let time = batches.first?.frames.first?.timeNs { noteArrival(time) }
            case .timedOut: tick()
            case .terminated: return
            }
            let now = monotonicNs()
            guard now >= nextCheckNs else { continue }
            nextCheckNs = now &+ CaptureLane.checkNs
            publish()
        }
    }

    private func handle(all frames: UnsafeBufferPointer<CaptureFrame>) {
        for first in stride(from: 0, to: frames.count, by: Dispatcher.batch) {
            handle(UnsafeBufferPointer(rebasing: frames[first..<min(first + Dispatcher.batch, frames.count)]))
        }
    }

    /// Time runs on until no flow is left.
    private func close() {
        drain()
        while let next = dispatcher.flowMap.nextSecondNs {
            while !dispatcher.flowMap.advance(to: next) { drain() }
            drain()
        }
        publish()
        hasEnded.store(true, ordering: .releasing)
    }

    private func learn(_ watch: Watch) {
        dispatcher.setInterfaces(watch.interfaces)
        dispatcher.flowMap.labeler = watch.labeler
    }

    /// - Parameter timeNs: of a frame that has just come in.
    private func noteArrival(_ timeNs: UInt64) {
        let now = wallClockNs()
        if now > timeNs { dispatcher.flowMap.notePacketDelay(now - timeNs) }
    }

    private func handle(_ batch: UnsafeBufferPointer<CaptureFrame>) {
        dispatcher.prepare(batch)
        for index in 0..<batch.count {
            while !dispatcher.advance(to: index) { drain() }
            let packet = dispatcher.account(index, batch[index])
            if let observer, let packet { observer.observe(packet: packet.pointee, frame: batch[index]) }
            if dispatcher.flowMap.isOutputFull
                || dispatcher.flowMap.l7.output.messages.count >= CaptureLane.messageBatch
            {
                drain()
            }
        }
        dispatcher.endBatch()
    }

    private func tick() {
        let now = wallClockNs()
        while !dispatcher.flowMap.advance(to: now) { drain() }
        drain()
    }

    private func drain() {
        dispatcher.flowMap.drainOutput { [stages] batch, _ in stages.put(flows: Array(batch)) }
        if !dispatcher.flowMap.l7.stats.isEmpty {
            stages.put(l7Stats: dispatcher.flowMap.l7.stats)
            dispatcher.flowMap.l7.stats.removeAll(keepingCapacity: true)
        }
        guard !dispatcher.flowMap.l7.output.messages.isEmpty else { return }
        observer?.observe(messages: dispatcher.flowMap.l7.output.messages.all)
        if stages.makesL7Logs {
            stages.put(messages: dispatcher.flowMap.l7.output.messages.takeAll())
        } else {
            dispatcher.flowMap.l7.output.messages.removeAll()
        }
    }

    /// Not a tick: of packets that wait in the ring the clock would make late ones.
    private func publish() {
        drain()
        var flowMap = dispatcher.flowMap.takeCounters()
        board.withLock { board in
            flowMap.keepGreatest(of: board.counters.flowMap)
            board.counters.dispatcher = dispatcher.counters
            board.counters.flowMap = flowMap
            board.counters.concurrentFlows = dispatcher.flowMap.concurrentFlows
        }
    }
}
