import Capture
import Model
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// One dispatcher of a live agent: its engine, its flow table and its thread. Source: agent-flow.md 1, 5.1.
///
/// `@unchecked Sendable`: engine and dispatcher belong to the lane's thread from `start` to `join`; others talk to it
/// through `board`.
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
        /// For the lane to follow at its next pause.
        var order: Watch?
        var counters = PipelineCounters()
        var failure: Failure?
    }

    private static let messageBatch = 512
    private static let checkNs: UInt64 = 500_000_000
    /// How long the end waits for an engine that goes on.
    private static let restNs: UInt64 = 1_000_000_000
    /// Faults of the engine one after the other, 1 ms apart, that end the capture.
    private static let mostErrors = 1000

    private var dispatcher: Dispatcher
    private let source: LaneSource
    private let stages: LiveStages
    private let pace: CapturePace
    private var timeGuard = TimeGuard()
    private var received = ReceiveCounters()
    /// Packets that may pass before `pace` is asked again.
    private var tokens = 0
    private var errorsInRow = 0
    private let observer: (any AgentPipeline.Observer)?
    private let frames = AgentPipeline.frameBatch()
    private let name: String
    private let board = Mutex(Board())
    private let isEnding = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private var thread: StageThread?

    init(
        number: Int, source: LaneSource, settings: AgentPipeline.Settings, stages: LiveStages, pace: CapturePace,
        observer: (any AgentPipeline.Observer)?
    ) {
        dispatcher = Dispatcher(settings: settings, number: number, isLive: true, clockNs: wallClockNs())
        self.source = source
        self.stages = stages
        self.pace = pace
        self.observer = observer
        name = number == 0 ? "dispatcher" : "dispatcher \(number)"
    }

    deinit { frames.deallocate() }

    // MARK: - From the thread that looks after the lanes

    /// Begins to capture; before `start`.
    func open(on watch: Watch) throws(Failure) { try follow(watch) }

    func start() {
        thread = StageThread(name: name) { [self] in run() }
    }

    func order(_ watch: Watch) {
        board.withLock { board in
            var watch = watch
            if let older = board.order { watch.replace(older) }
            board.order = watch
        }
    }
    func end() { isEnding.store(true, ordering: .releasing) }
    func join() { thread?.join() }

    /// False once the lane has ended, by itself only because of a failure.
    var isRunning: Bool { !hasEnded.load(ordering: .acquiring) }
    var failure: Failure? { board.withLock { $0.failure } }

    /// The greatest values start anew.
    func takeCounters(into sum: inout PipelineCounters) {
        board.withLock { board in
            sum.add(board.counters.dispatcher, board.counters.flowMap, flows: board.counters.concurrentFlows)
            board.counters.flowMap.startPeriod()
        }
    }

    // MARK: - In the lane's thread

    private func run() {
        do {
            try captureUntilEnd()
            try captureRest()
        } catch {
            board.withLock { $0.failure = error }
        }
        drain()
        while let next = dispatcher.flowMap.nextSecondNs {
            while !dispatcher.flowMap.advance(to: next) { drain() }
            drain()
        }
        publish()
        hasEnded.store(true, ordering: .releasing)
    }

    private func captureUntilEnd() throws(Failure) {
        var nextCheckNs = monotonicNs()
        var sinceCheck = 0
        while !isEnding.load(ordering: .acquiring) {
            let read = try receive()
            let count = accept(read)
            if sinceCheck == 0, count > 0 { noteArrival(frames[0].timeNs) }
            var isPause = read == 0
            if isPause { tick() } else { isPause = pass(count) }
            sinceCheck &+= read
            guard sinceCheck >= 256 || isPause else { continue }
            sinceCheck = 0
            let now = monotonicNs()
            guard now >= nextCheckNs else { continue }
            nextCheckNs = now &+ CaptureLane.checkNs
            // Not a tick: of packets that wait in the ring the clock would make late ones.
            drain()
            publish()
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
            received.errors &+= 1
            board.withLock { board in
                if board.order == nil { board.order = watch } else { board.order?.replace(watch) }
            }
        }
    }

    /// Nothing new comes in; what the kernel already holds is taken, so that every packet is accounted or counted lost.
    private func captureRest() throws(Failure) {
        let hasEnd = try source.endIntake()
        let lastNs = monotonicNs() &+ CaptureLane.restNs
        while hasEnd || monotonicNs() < lastNs {
            let count = try source.next(into: frames)
            guard count > 0 else { return }
            handle(0..<accept(count))
        }
    }

    private func follow(_ watch: Watch) throws(Failure) {
        dispatcher.setInterfaces(watch.interfaces)
        dispatcher.flowMap.labeler = watch.labeler
        try source.apply(watch.places)
    }

    /// - Parameter timeNs: of a frame that has just come in.
    private func noteArrival(_ timeNs: UInt64) {
        let now = wallClockNs()
        if now > timeNs { dispatcher.flowMap.notePacketDelay(now - timeNs) }
    }

    // MARK: - Per packet

    /// The next frames; 0 = none for a while. A fault of the engine is one more pause.
    /// Source: agent-flow.md 4.2, rule 1.
    private func receive() throws(Failure) -> Int {
        do {
            let count = try source.next(into: frames)
            errorsInRow = 0
            return count
        } catch {
            received.errors &+= 1
            errorsInRow += 1
            guard errorsInRow < CaptureLane.mostErrors else { throw error }
            usleep(1000)
            return 0
        }
    }

    /// Leaves out what is too short and mends times, in place. Source: agent-flow.md 4.2, rules 2, 3 and 5.
    private func accept(_ count: Int) -> Int {
        var kept = 0
        for index in 0..<count {
            let frame = frames[index]
            guard frame.bytes.count >= 18 || frame.link != 1 else {
                received.tooShort &+= 1
                continue
            }
            if kept != index { frames[kept] = frame }
            frames[kept].timeNs = timeGuard.corrected(frame.timeNs, clock: wallClockNs)
            received.rxAllBytes &+= UInt64(frame.wire)
            kept &+= 1
        }
        received.rxAll &+= UInt64(kept)
        return kept
    }

    /// Handles the frames as fast as the limit allows. Source: agent-flow.md 4.2, rule 4.
    /// - Returns: whether it had to wait.
    private func pass(_ count: Int) -> Bool {
        var first = 0
        var hasWaited = false
        while first < count {
            if tokens == 0 { tokens = pace.take() }
            // At the end what is in the ring goes without a limit.
            let granted = isEnding.load(ordering: .relaxed) ? count - first : min(tokens, count - first)
            guard granted > 0 else {
                received.getTokenFailed &+= 1
                hasWaited = true
                usleep(1000)
                continue
            }
            tokens -= min(tokens, granted)
            handle(first..<(first + granted))
            first += granted
        }
        return hasWaited
    }

    private func handle(_ range: Range<Int>) {
        let batch = UnsafeBufferPointer(rebasing: frames[range])
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

    private func publish() {
        received.kernel = source.statistics
        dispatcher.note(received)
        var flowMap = dispatcher.flowMap.takeCounters()
        board.withLock { board in
            flowMap.keepGreatest(of: board.counters.flowMap)
            board.counters.dispatcher = dispatcher.counters
            board.counters.flowMap = flowMap
            board.counters.concurrentFlows = dispatcher.flowMap.concurrentFlows
        }
    }
}
