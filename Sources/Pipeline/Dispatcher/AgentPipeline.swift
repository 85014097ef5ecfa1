package import Capture
package import Model
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Everything of an agent from frames to the record sink. Source: agent-flow.md 1, design.md 4.
///
/// A replay runs all stages in the calling thread, one after the other, so that the same file gives the same records in the
/// same order. Live capture gives each stage its thread and its bounded queue.
package final class AgentPipeline: Sendable {
    package struct Settings: Sendable {
        package var flow = FlowMap.Settings()
        package var l7 = L7Settings()
        package var isL7Enabled = true
        package var metrics = MetricsSettings()
        package var sessions = SessionAggregator.Settings()
        package var ring = PacketRing.Settings()
        package var interfaces = InterfaceSelection()
        /// pcap-filter expression, nil = everything.
        package var filter: String?
        package var identity = EndpointLabeler()

        package init() {}
    }

    /// Sees every packet, and every parsed message before it is joined; for `print packets` and `print l7-messages`.
    package protocol Observer: AnyObject {
        func observe(packet: MetaPacket, frame: CaptureFrame)
        func observe(messages: [L7Message])
        /// Asked between batches; true ends the capture early.
        var isSatisfied: Bool { get }
    }

    /// How far a replay is.
    package struct Progress: Sendable {
        package var packets: UInt64 = 0
        package var bytes: UInt64 = 0
        package var totalBytes: UInt64?
    }

    package let settings: Settings
    private let sink: any RecordSink
    private let isStopping = Atomic<Bool>(false)
    private let state = Mutex(PipelineCounters())

    package init(settings: Settings, sink: any RecordSink) {
        self.settings = settings
        self.sink = sink
    }

    /// Ends `replay` or `capture` soon; what was captured is still flushed. Callable from any thread.
    package func stop() { isStopping.store(true, ordering: .releasing) }
    package var isStopped: Bool { isStopping.load(ordering: .acquiring) }

    package func counters() -> PipelineCounters { state.withLock { $0 } }

    // MARK: - Replay

    /// Reads the captures one after the other at full speed with packet time as the clock, then lets time run on until
    /// every window is flushed, every flow has ended by its own timeout and unanswered requests have become timeouts.
    /// - Returns: what was wrong with captures that were read only in part.
    package func replay(
        _ paths: [String], observer: (any Observer)? = nil, progress: ((Progress) -> Void)? = nil
    ) throws(Failure) -> [(path: String, trouble: CaptureFile.Trouble)] {
        var troubles: [(path: String, trouble: CaptureFile.Trouble)] = []
        var stages: InlineStages?
        var filters: [UInt16: CaptureFilter] = [:]
        if let expression = settings.filter { filters[1] = try CaptureFilter(expression) }
        var done = Progress()
        for path in paths where !isStopped && observer?.isSatisfied != true {
            let file = try CaptureFile(path: path)
            done.totalBytes = file.size
            var frame = CaptureFrame()
            while let bytes = file.next(&frame) {
                if let expression = settings.filter {
                    if filters[frame.link] == nil {
                        filters[frame.link] = try CaptureFilter(expression, link: frame.link)
                    }
                    if filters[frame.link]?.matches(bytes, wire: frame.wire) == false { continue }
                }
                if stages == nil { stages = InlineStages(settings: settings, sink: sink, clockNs: frame.timeNs) }
                stages?.handle(frame, bytes, observer: observer)
                if file.packets & 0xfff == 0 {
                    if isStopped || observer?.isSatisfied == true { break }
                    if let progress, file.packets & 0xffff == 0 {
                        done.packets = file.packets
                        done.bytes = file.bytesRead
                        progress(done)
                    }
                    if file.packets & 0xffff == 0, let stages { state.withLock { stages.copyCounters(into: &$0) } }
                }
            }
            if let trouble = file.trouble { troubles.append((path, trouble)) }
            done.packets = file.packets
            done.bytes = file.bytesRead
            progress?(done)
        }
        stages?.finish(observer: observer)
        if let stages { state.withLock { stages.copyCounters(into: &$0) } }
        sink.flush()
        return troubles
    }
}
