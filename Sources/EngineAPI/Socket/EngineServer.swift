import Glibc
package import Model
import Synchronization

/// Answers questions of other processes: one thread that accepts, one a connection, all bounded.
///
/// A UNIX socket serves its owner and root only. TCP has no such check: it is off unless asked for, and meant for
/// loopback.
package final class EngineServer: Sendable {
    package struct Limits: Sendable {
        package var connections = 16
        /// A message that began must be complete, and an answer taken, within this.
        package var messageSeconds = 10
        /// A silent client is let go.
        package var idleSeconds = 600

        package init() {}
    }

    package struct Counters: Sendable, Equatable {
        package var accepted = 0
        /// Over the bound, or a foreign user.
        package var refused = 0
        package var questions = 0
        /// Messages that were no questions.
        package var malformed = 0
    }

    private struct State {
        var listeners: [(fd: Int32, address: EngineAddress)] = []
        var clients: Set<Int32> = []
        var threads: [StageThread] = []
        var counters = Counters()
    }

    private let view: any EngineView
    private let limits: Limits
    private let state = Mutex(State())
    private let isStopping = Atomic(false)

    package init(view: any EngineView, limits: Limits = Limits()) {
        self.view = view
        self.limits = limits
    }

    package var counters: Counters { state.withLock { $0.counters } }

    /// Listens and returns; may be called for several addresses.
    package func start(on address: EngineAddress) throws(Failure) {
        let fd = try SocketIO.listen(on: address)
        let thread = StageThread(name: "engine-accept") { [self] in accept(on: fd, address) }
        state.withLock {
            $0.listeners.append((fd, address))
            $0.threads.append(thread)
        }
    }

    /// Closes the listeners and connections and waits for their threads.
    package func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        let (listeners, threads) = state.withLock { state in
            for client in state.clients { shutdown(client, Int32(SHUT_RDWR)) }
            defer {
                state.listeners = []
                state.threads = []
            }
            return (state.listeners, state.threads)
        }
        for thread in threads { thread.join() }
        for (fd, address) in listeners {
            close(fd)
            if case .unix(let path) = address { unlink(path) }
        }
        while state.withLock({ !$0.clients.isEmpty }) { usleep(2000) }
    }

    private var stops: Bool { isStopping.load(ordering: .relaxed) }

    private func accept(on listener: Int32, _ address: EngineAddress) {
        while !stops {
            guard SocketIO.waitReadable(listener, timeoutMs: 100) else { continue }
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else {
                // Out of descriptors: leave the others some time to end.
                if errno == EMFILE || errno == ENFILE { usleep(100_000) }
                continue
            }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            guard isWelcome(client, address) else {
                close(client)
                continue
            }
            StageThread(name: "engine-client") { [self] in
                serve(client)
                _ = state.withLock { $0.clients.remove(client) }
                close(client)
            }
            .detach()
        }
    }

    private func isWelcome(_ client: Int32, _ address: EngineAddress) -> Bool {
        if case .unix = address {
            guard let user = SocketIO.peerUser(client), user == geteuid() || user == 0 else {
                state.withLock { $0.counters.refused += 1 }
                return false
            }
        }
        return state.withLock { state in
            guard state.clients.count < limits.connections, !stops else {
                state.counters.refused += 1
                return false
            }
            state.clients.insert(client)
            state.counters.accepted += 1
            return true
        }
    }

    private func serve(_ client: Int32) {
        var idleSince = monotonicNs()
        while !stops {
            guard SocketIO.waitReadable(client, timeoutMs: 200) else {
                if monotonicNs() - idleSince > UInt64(limits.idleSeconds) * 1_000_000_000 { return }
                continue
            }
            guard let answer = next(from: client) else { return }
            let bytes =
                EngineFrame.encode(answer)
                ?? EngineFrame.encode(
                    .failed(
                        Refusal(
                            .failed, what: "the answer does not fit a message",
                            why: "it has more than \(EngineFrame.maxAnswer >> 20) MiB", mend: "ask for less at once")))
            guard let bytes, (try? SocketIO.write(client, bytes, deadlineNs: deadline)) != nil else { return }
            idleSince = monotonicNs()
        }
    }

    private var deadline: UInt64 { monotonicNs() + UInt64(limits.messageSeconds) * 1_000_000_000 }

    /// Nil: the connection is of no more use.
    private func next(from client: Int32) -> Answer? {
        let end = deadline
        guard let head = try? SocketIO.read(client, count: 4, deadlineNs: end) else { return nil }
        guard let length = EngineFrame.length(of: head, limit: EngineFrame.maxQuestion) else {
            state.withLock { $0.counters.malformed += 1 }
            return nil
        }
        guard let body = try? SocketIO.read(client, count: length, deadlineNs: end) else { return nil }
        guard let question = EngineFrame.decodeQuestion(body) else {
            state.withLock { $0.counters.malformed += 1 }
            return .failed(
                Refusal(
                    .invalidInput, what: "the question was not understood",
                    why: "it is no question of version \(EngineFrame.version)",
                    mend: "use the same release of dftop on both sides"))
        }
        state.withLock { $0.counters.questions += 1 }
        return view.answer(question)
    }
}
