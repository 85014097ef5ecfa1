#if canImport(Glibc)
    import Glibc
#endif

/// A pthread of a pipeline stage; `join` waits for its body to return.
///
/// `@unchecked Sendable`: `handle` is written once in `init` before the object is shared.
package final class StageThread: @unchecked Sendable {
    private var handle = pthread_t()

    private final class Body {
        let name: String
        let run: @Sendable () -> Void
        init(name: String, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }

    /// - Parameter name: at most 15 characters are shown by the kernel.
    package init(name: String, _ run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(name: name, run: run))
        let status = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                nameCurrentThread(body.name)
                body.run()
                return nil
            }, body.toOpaque())
        precondition(status == 0, "pthread_create failed: the process is out of threads")
    }

    package func join() {
        pthread_join(handle, nil)
    }

    /// Nobody will join it: its memory is freed when its body returns.
    package func detach() {
        pthread_detach(handle)
    }
}

/// What `top -H` shows; failing to set it harms nothing.
private func nameCurrentThread(_ name: String) {
    let comm = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
    guard comm >= 0 else { return }
    var bytes = Array(name.utf8.prefix(15))
    _ = write(comm, &bytes, bytes.count)
    close(comm)
}

/// Wall clock, nanoseconds since 1970.
package func wallClockNs() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}

/// Monotonic clock, nanoseconds.
package func monotonicNs() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
