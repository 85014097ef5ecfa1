import Model
import Pipeline
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Ends a run on SIGINT and SIGTERM, or after a time, by calling back from a thread of its own. A second signal ends at once.
enum Interruption {
    private static let action = Mutex<(@Sendable () -> Void)?>(nil)

    /// Blocks the signals in this thread and all that it starts later: first thing of a command that starts threads.
    static func block() {
        var signals = set
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    private static var set: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGINT)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGHUP)
        return signals
    }

    static func onSignal(_ stop: @escaping @Sendable () -> Void) {
        block()
        action.withLock { $0 = stop }
        let waited = set
        _ = StageThread(name: "signals") {
            var waited = waited
            var number: Int32 = 0
            var count = 0
            while sigwait(&waited, &number) == 0 {
                count += 1
                if count > 1 { _exit(128 + number) }
                action.withLock { $0 }?()
            }
        }
    }

    static func after(_ ns: UInt64, _ stop: @escaping @Sendable () -> Void) {
        _ = StageThread(name: "timer") {
            let deadline = monotonicNs() &+ ns
            while monotonicNs() < deadline {
                var rest = timespec()
                let left = deadline &- min(deadline, monotonicNs())
                rest.tv_sec = Int(left / 1_000_000_000)
                rest.tv_nsec = Int(left % 1_000_000_000)
                nanosleep(&rest, nil)
            }
            stop()
        }
    }
}

/// Progress of a replay on stderr, when that is a terminal.
final class ProgressBar {
    private let isShown = isatty(2) == 1
    private let startNs = monotonicNs()
    private var lastNs: UInt64 = 0
    private var hasLine = false

    func show(_ progress: AgentPipeline.Progress) {
        guard isShown else { return }
        let now = monotonicNs()
        guard now &- lastNs > 200_000_000, now &- startNs > 500_000_000 else { return }
        lastNs = now
        hasLine = true
        let rate = Double(progress.packets) / (Double(now &- startNs) / 1_000_000_000)
        var line = "\r\(progress.packets) packets, \(Int(rate / 1000)) k/s"
        if let total = progress.totalBytes, total > 0 {
            let part = min(1, Double(progress.bytes) / Double(total))
            let filled = Int(part * 30)
            line +=
                " [" + String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
                + "] \(Int(part * 100)) %"
        }
        put(line + "\u{1b}[K")
    }

    func clear() {
        if hasLine { put("\r\u{1b}[K") }
    }

    private func put(_ text: String) {
        var bytes = Array(text.utf8)
        _ = write(2, &bytes, bytes.count)
    }
}
