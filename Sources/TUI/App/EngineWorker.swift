import EngineAPI
import Glibc
import Model
import Synchronization

/// Asks the engine on a thread of its own, so that a slow answer never holds up a key.
///
/// One question a slot waits; a newer one replaces it. Answers are fetched by the drawing thread, which is woken by a
/// byte in a pipe.
final class EngineWorker: Sendable {
    private enum Job: Sendable {
        case question(Slot, Question)
        case export(ExportJob)
    }

    private struct State {
        var waiting: [Job] = []
        var done: [Event] = []
        var isStopping = false
    }

    private let engine: any EngineView
    private let state = Mutex(State())
    private let wake: Int32
    private let pending: Pipe
    private let thread = Mutex<StageThread?>(nil)

    /// - Parameter wake: end of a pipe, written to when an answer is there.
    init(engine: any EngineView, wake: Int32) throws(Failure) {
        self.engine = engine
        self.wake = wake
        pending = try Pipe()
        thread.withLock { thread in thread = StageThread(name: "tui-questions") { [self] in run() } }
    }

    func ask(_ slot: Slot, _ question: Question) {
        state.withLock { state in
            state.waiting.removeAll { job in
                if case .question(slot, _) = job { return true }
                return false
            }
            state.waiting.append(.question(slot, question))
        }
        pending.signal()
    }

    func export(_ job: ExportJob) {
        state.withLock { $0.waiting.append(.export(job)) }
        pending.signal()
    }

    /// Answers since the last call.
    func take() -> [Event] {
        state.withLock { state in
            defer { state.done = [] }
            return state.done
        }
    }

    /// Does not wait for an answer that is under way.
    func stop() {
        state.withLock { $0.isStopping = true }
        pending.signal()
        thread.withLock { $0.take() }?.detach()
    }

    private func run() {
        while true {
            pending.wait()
            while true {
                let next: Job? = state.withLock { $0.waiting.isEmpty || $0.isStopping ? nil : $0.waiting.removeFirst() }
                guard let job = next else { break }
                let event: Event =
                    switch job {
                    case .question(let slot, let question): .answered(slot, question, engine.answer(question))
                    case .export(let job): .exported(Export.run(job, engine: engine))
                    }
                let goesOn = state.withLock { state in
                    if !state.isStopping { state.done.append(event) }
                    return !state.isStopping
                }
                guard goesOn else { return }
                var byte: UInt8 = 0
                _ = write(wake, &byte, 1)
            }
            if state.withLock({ $0.isStopping }) { return }
        }
    }
}

/// Two ends of a pipe that carries only the news that something is there.
final class Pipe: Sendable {
    let readEnd: Int32
    let writeEnd: Int32

    init() throws(Failure) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else {
            throw Failure(.failed, what: "cannot open a pipe", why: String(cString: strerror(errno)))
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        // A full pipe already says what there is to say.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    func signal() {
        var byte: UInt8 = 0
        _ = write(writeEnd, &byte, 1)
    }

    /// Blocks until signalled and takes all signals.
    func wait() { _ = drain() }

    /// The bytes that wait; blocks when there are none.
    func drain() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = read(readEnd, &bytes, bytes.count)
        return count > 0 ? Array(bytes[..<count]) : []
    }
}
