package import Logging
package import Model
import Synchronization
package import Wire

#if canImport(Glibc)
    import Glibc
#endif

/// What all threads of a receiver share.
final class ReceiverShared: Sendable {
    let settings: Receiver.Settings
    let logger: Logger
    let tally = ReceiverTally()
    let agents: AgentStatusTable
    let budget: PayloadBudget
    /// The reading end of a pipe that hangs up when the receiver stops: every `poll` watches it. -1 without descriptors.
    let stopEvent: Int32
    private let stopTrigger: Mutex<Int32>
    private let routes = Mutex<[PayloadRoute?]>(Array(repeating: nil, count: 256))
    /// A few for all connections: each may hold a window and an output of 64 MiB.
    private let inflaters: [InflaterSlot]

    private final class InflaterSlot: Sendable {
        let inflater: Mutex<PayloadInflater>
        init(limit: Int) { inflater = Mutex(PayloadInflater(limit: limit)) }
    }

    init(_ settings: Receiver.Settings, logger: Logger) {
        self.settings = settings
        self.logger = logger
        agents = AgentStatusTable(capacity: settings.maxAgentEntries)
        budget = PayloadBudget(limit: settings.maxWaitingBytes)
        inflaters = (0..<4).map { _ in InflaterSlot(limit: settings.inflateLimit) }
        var ends: [Int32] = [-1, -1]
        if pipe(&ends) == 0 { for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) } }
        stopEvent = ends[0]
        stopTrigger = Mutex(ends[1])
    }

    deinit {
        signalStop()
        if stopEvent >= 0 { close(stopEvent) }
    }

    func set(_ route: PayloadRoute, for type: MessageType) { routes.withLock { $0[Int(type.rawValue)] = route } }

    func batcher() -> PayloadBatcher {
        PayloadBatcher(
            routes: routes.withLock { $0 }, batchItems: settings.batchItems,
            maxAgeNs: UInt64(settings.batchAgeMs) * 1_000_000)
    }

    /// - Parameter slot: any number; spreads the callers over the inflaters.
    func inflate(_ payload: [UInt8], _ encoder: FrameEncoder, slot: UInt64) throws(InflateError) -> [UInt8] {
        if encoder == .raw { return payload }
        let chosen = inflaters[Int(slot % UInt64(inflaters.count))]
        return try chosen.inflater.withLock { (inflater) throws(InflateError) in
            try inflater.inflate(payload, encoder)
        }
    }

    func signalStop() {
        stopTrigger.withLock { trigger in
            if trigger >= 0 { close(trigger) }
            trigger = -1
        }
    }
}

/// The ingester's ear: TCP and UDP on one port, a thread per connection, payloads by type into decode queues.
///
/// Register handlers, `start`, later `stop`; a receiver is used once. Source: wire.md 6, ingester.md 2.
package final class Receiver: Sendable {
    package struct Settings: Sendable {
        /// Numeric address; the default admits this host only, `::` everybody.
        package var address = "127.0.0.1"
        /// 0 = any free port, told by `port`.
        package var port: UInt16 = 20033
        package var takesDatagrams = true
        package var maxConnections = 1024
        /// Frames a put, and how long one may wait for company.
        package var batchItems = 16
        package var batchAgeMs = 3000
        package var inflateLimit = PayloadInflater.defaultLimit
        /// Bound of all payload bytes in connections and decode queues together.
        package var maxWaitingBytes = 512 << 20
        /// A connection that stands still inside a frame for so long is closed.
        package var stallTimeoutS: UInt64 = 60
        package var maxAgentEntries = 16_384
        package var tcpReceiveBuffer: Int32 = 4 << 20
        package var udpReceiveBuffer: Int32 = 64 << 20

        package init() {}
    }

    private struct State {
        var isStarted = false
        var port: UInt16 = 0
        var acceptor: StageThread?
        var datagrams: StageThread?
        var decoders: [StageThread] = []
        var ownQueues: [OverwriteQueue<ReceivedPayload>] = []
        var streams: [UInt64: StageThread] = [:]
        var ended: [UInt64] = []
    }

    private let shared: ReceiverShared
    private let state = Mutex(State())

    package init(_ settings: Settings = Settings(), logger: Logger = Logger(label: "dftop.receiver")) {
        shared = ReceiverShared(settings, logger: logger)
    }

    package var counters: ReceiverCounters { shared.tally.snapshot }
    /// Everybody who sent something, by type.
    package var agents: [AgentStatus] { shared.agents.all }
    /// Agents that count as communicating: those that send metrics. Source: wire.md 6.5.
    package var communicatingAgents: [AgentStatus] { agents.filter { $0.type == .metrics } }
    /// Where it listens; 0 before `start`.
    package var port: UInt16 { state.withLock { $0.port } }
    package var waitingBytes: Int { shared.budget.inUse }

    /// Name of a type's decode queue. Source: wire.md 6.4.
    package static func queueName(_ type: MessageType) -> String {
        switch type {
        case .metrics: "1-recv-unmarshall"
        case .l4Log: "1-receive-to-decode-l4"
        case .l7Log: "1-receive-to-decode-l7"
        default: "1-receive-to-decode-\(type.ingesterName)"
        }
    }

    /// Gives the payloads of a type to queues that somebody else reads. Before `start`.
    package func register(_ type: MessageType, queues: [OverwriteQueue<ReceivedPayload>]) {
        shared.set(PayloadRoute(queues: queues), for: type)
    }

    /// Gives the payloads of a type to decoder threads of this receiver. Before `start`.
    ///
    /// - Parameters:
    ///   - decoders: threads, each with a queue of its own; frames go to them in turn.
    ///   - body: gets a batch, at most 1024 payloads; an empty one after three seconds of silence and once at the end,
    ///     so that caches can be written out. Called on the decoder's thread, `decoder` counting from 0.
    @discardableResult
    package func handle(
        _ type: MessageType, decoders: Int = 1, queueSize: Int = 4096,
        _ body: @escaping @Sendable (_ decoder: Int, _ batch: [ReceivedPayload]) -> Void
    ) -> [OverwriteQueue<ReceivedPayload>] {
        let queues = (0..<max(1, decoders)).map { _ in
            OverwriteQueue<ReceivedPayload>(name: Self.queueName(type), capacity: queueSize)
        }
        register(type, queues: queues)
        let threads = queues.enumerated().map { index, queue in
            StageThread(name: "rx-\(type.ingesterName)") {
                while true {
                    switch queue.receive(max: 1024, timeoutMs: 3000) {
                    case .items(let batch): body(index, batch)
                    case .timedOut: body(index, [])
                    case .terminated: return body(index, [])
                    }
                }
            }
        }
        state.withLock { state in
            state.decoders += threads
            state.ownQueues += queues
        }
        return queues
    }

    /// Binds and starts to listen.
    /// - Throws: when the address cannot be used; nothing runs then but idle decoders, which `stop` ends.
    package func start() throws(Failure) {
        let settings = shared.settings
        guard shared.stopEvent >= 0 else {
            throw Failure(.failed, what: "cannot start the receiver", why: "the process is out of file descriptors")
        }
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted
        }
        precondition(isFirst, "a receiver is started once")
        let sockets = try ListenSockets(settings)
        let port = sockets.stream.port
        state.withLock { $0.port = port }
        let stream = SocketBox(sockets.stream)
        if settings.takesDatagrams {
            let box = SocketBox(sockets.datagram)
            let thread = StageThread(name: "rx-udp") { [shared] in
                guard let socket = box.take() else { return }
                var loop = DatagramLoop(socket, shared: shared)
                loop.run()
            }
            state.withLock { $0.datagrams = thread }
        }
        let thread = StageThread(name: "rx-accept") { [self] in
            guard let socket = stream.take() else { return }
            accept(on: socket)
        }
        state.withLock { $0.acceptor = thread }
        shared.logger.info("receiver listens", metadata: ["address": "\(settings.address)", "port": "\(port)"])
    }

    /// Reads what has arrived, hands everything to the decoders, waits until they have taken it.
    package func stop() {
        shared.signalStop()
        let (acceptor, datagrams) = state.withLock { ($0.acceptor.take(), $0.datagrams.take()) }
        acceptor?.join()
        datagrams?.join()
        for thread in state.withLock({ Array($0.streams.values) }) { thread.join() }
        let (decoders, queues) = state.withLock { state in
            state.streams = [:]
            state.ended = []
            defer {
                state.decoders = []
                state.ownQueues = []
            }
            return (state.decoders, state.ownQueues)
        }
        for queue in queues { queue.close() }
        for thread in decoders { thread.join() }
    }

    private func accept(on socket: borrowing ListenSocket) {
        var number: UInt64 = 0
        var grace = StopGrace()
        while true {
            var waits = [
                pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: shared.stopEvent, events: Int16(POLLIN), revents: 0),
            ]
            let ready = poll(&waits, 2, 1000)
            if ready < 0, errno != EINTR { return }
            reap()
            if grace.isOver(stop: waits[1].revents != 0, idle: waits[0].revents == 0) { return }
            if waits[0].revents != 0 {
                number += 1
                acceptOne(socket.descriptor, number)
            }
        }
    }

    private func acceptOne(_ listener: Int32, _ number: UInt64) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let descriptor = withUnsafeMutableBytes(of: &storage) { raw in
            Glibc.accept(listener, raw.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard descriptor >= 0 else {
            // Out of descriptors: the connection stays in the backlog, so do not spin on it.
            if errno == EMFILE || errno == ENFILE || errno == ENOMEM { usleep(100_000) }
            return
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        let peer = PeerAddress(storage)
        let isFull = state.withLock { $0.streams.count >= shared.settings.maxConnections }
        if isFull {
            close(descriptor)
            shared.tally.refusedConnections.count()
            return
        }
        shared.tally.connections.count()
        // The lock is held until the thread is in the table, so that it cannot end before.
        state.withLock { state in
            state.streams[number] = StageThread(name: "rx-tcp") { [self] in
                var connection = StreamConnection(descriptor, peer: peer, shared: shared)
                connection.run()
                shared.tally.connections.wrappingSubtract(1, ordering: .relaxed)
                self.state.withLock { $0.ended.append(number) }
            }
        }
    }

    /// Joins the threads of connections that have ended.
    private func reap() {
        let done = state.withLock { state in
            let threads = state.ended.compactMap { state.streams.removeValue(forKey: $0) }
            state.ended = []
            return threads
        }
        for thread in done { thread.join() }
    }
}

/// What was sent before a stop is still read, for two seconds at most: a peer that never pauses must not hold it up.
struct StopGrace {
    private var sinceNs: UInt64?

    mutating func isOver(stop: Bool, idle: Bool) -> Bool {
        guard stop else { return false }
        let nowNs = monotonicNs()
        let since = sinceNs ?? nowNs
        sinceNs = since
        return idle || nowNs - since > 2_000_000_000
    }
}

/// Carries a socket into the thread that will own it.
private final class SocketBox: Sendable {
    private let socket: Mutex<ListenSocket?>

    init(_ socket: consuming ListenSocket?) { self.socket = Mutex(socket) }

    func take() -> ListenSocket? { socket.withLock { $0.take() } }
}

/// One port for streams and datagrams.
private struct ListenSockets: ~Copyable {
    let stream: ListenSocket
    /// nil when only streams are taken.
    let datagram: ListenSocket?

    /// A port that the kernel chose for streams may be in use for datagrams; then it chooses another.
    init(_ settings: Receiver.Settings) throws(Failure) {
        var attempts = settings.port == 0 ? 16 : 1
        while true {
            attempts -= 1
            let stream = try ListenSocket(
                .stream, address: settings.address, port: settings.port, receiveBuffer: settings.tcpReceiveBuffer)
            do {
                let datagram =
                    settings.takesDatagrams
                    ? try ListenSocket(
                        .datagram, address: settings.address, port: stream.port,
                        receiveBuffer: settings.udpReceiveBuffer) : nil
                self.stream = stream
                self.datagram = datagram
                return
            } catch  where attempts > 0 && error.exitCode == .conflict {
                continue
            }
        }
    }
}
