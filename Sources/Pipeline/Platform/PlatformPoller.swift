import Glibc
package import Model
import Synchronization

/// Reads the platform again and again on a thread of its own and hands each snapshot on.
package final class PlatformPoller: Sendable {
    private let thread = Mutex<StageThread?>(nil)
    private let isStopping = Atomic(false)

    package init() {}

    /// - Parameters:
    ///   - intervalMs: from the end of one reading to the start of the next, at least; a slow reading waits longer, so
    ///     that it costs 5 % of a core at most.
    ///   - take: called on the poller's thread.
    package func start(intervalMs: UInt64 = 3000, take: @escaping @Sendable (PlatformSnapshot) -> Void) {
        thread.withLock { thread in
            guard thread == nil else { return }
            thread = StageThread(name: "platform") { [self] in
                var reader = ProcessReader()
                while !isStopping.load(ordering: .relaxed) {
                    let begin = monotonicNs()
                    take(PlatformPoller.read(&reader))
                    let cost = (monotonicNs() - begin) / 1_000_000
                    pause(ms: max(intervalMs, cost * 20))
                }
            }
        }
    }

    package func stop() {
        isStopping.store(true, ordering: .relaxed)
        thread.withLock { $0.take() }?.join()
    }

    /// One reading.
    package static func read(_ reader: inout ProcessReader) -> PlatformSnapshot {
        var snapshot = PlatformSnapshot()
        snapshot.timeNs = wallClockNs()
        snapshot.host = HostReader.read()
        snapshot.interfaces = InterfaceReader.read()
        reader.read(into: &snapshot)
        return snapshot
    }

    private func pause(ms: UInt64) {
        let end = monotonicNs() + ms * 1_000_000
        while monotonicNs() < end, !isStopping.load(ordering: .relaxed) { usleep(50_000) }
    }
}
