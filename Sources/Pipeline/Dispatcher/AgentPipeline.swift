package import Capture
package import Model
import Synchronization

/// Everything of an agent from frames to the record sink. Source: agent-flow.md 1, design.md 4.
///
/// A replay runs all stages in the calling thread, one after the other, so that the same file gives the same records in the
/// same order. Live capture gives each stage its thread and its bounded queue.
package final class AgentPipeline: Sendable {
    package struct Settings: Sendable {
        package var decapsulator = Decapsulator()
        package var flow = FlowMap.Settings()
        package var l7 = L7Settings()
        package var isL7Enabled = true
        package var metrics = MetricsSettings()
        package var sessions = SessionAggregator.Settings()
        /// Between the stages of a live capture.
        package var queues = MetricsThreads.Capacities()
        package var ring = PacketRing.Settings()
        package var fanout = FanoutSettings()
        /// Instead of packet rings.
        package var usesLibpcap = false
        package var rawQueue = RawQueueSettings()
        package var isPromiscuous = false
        /// Of live packets; 0 = no limit.
        package var maxPacketsPerSecond = 1_048_576
        package var interfaces = InterfaceSelection()
        package var namespaces = NamespaceSettings()
        package var mirror = MirrorSettings()
        /// Interfaces that count as one, by name.
        package var bondMembers: [String] = []
        /// Whose traffic interfaces carry.
        package var machines = MachineMACs()
        /// `vm_mac_mapping_script`: prints `name,mac` lines; empty = there is none.
        package var machineScript = ""
        /// Indexes of interfaces whose packets are captured whole whatever the snap length: a policy asks for them.
        package var wholePacketInterfaces: Set<Int32> = []
        /// `bpf_filter_disabled`: neither the filter nor `own` holds for live packets.
        package var isFilterDisabled = false
        /// pcap-filter expression, nil = everything.
        package var filter: String?
        package var identity = EndpointLabeler()
        /// What is never captured live; nil = everything is.
        package var own: OwnTraffic?

        package init() {}
    }

    /// Sees every packet, and every parsed message before it is joined; for `print packets` and `print l7-messages`.
    /// Live, dispatchers call from threads of their own.
    package protocol Observer: AnyObject, Sendable {
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
    let sink: any RecordSink
    private let isStopping = Atomic<Bool>(false)
    let state = Mutex(PipelineCounters())

    package init(settings: Settings, sink: any RecordSink) {
        self.settings = settings
        self.sink = sink
    }

    /// Ends `replay` or `capture` soon; what was captured is still flushed. Callable from any thread.
    package func stop() { isStopping.store(true, ordering: .releasing) }
    package var isStopped: Bool { isStopping.load(ordering: .acquiring) }

    package func counters() -> PipelineCounters { state.withLock { $0 } }

    /// Counters for statistics: the greatest delays and lengths start anew.
    package func takeCounters() -> PipelineCounters {
        state.withLock { counters in
            counters.isPeriodTaken = true
            return counters
        }
    }

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
        var failure: Failure?
        for path in paths where failure == nil && !isStopped && observer?.isSatisfied != true {
            do {
                let file = try CaptureFile(path: path)
                try read(file, into: &stages, filters: &filters, observer: observer, progress: progress)
                if let trouble = file.trouble { troubles.append((path, trouble)) }
            } catch {
                // What was read before is still flushed.
                failure = error
            }
        }
        stages?.finish(observer: observer)
        if let stages { state.withLock { stages.copyCounters(into: &$0) } }
        sink.flush()
        if let failure { throw failure }
        return troubles
    }

    private func read(
        _ file: CaptureFile, into stages: inout InlineStages?, filters: inout [UInt16: CaptureFilter],
        observer: (any Observer)?, progress: ((Progress) -> Void)?
    ) throws(Failure) {
        var done = Progress()
        done.totalBytes = file.size
        let frames = AgentPipeline.frameBatch()
        defer { frames.deallocate() }
        var nextCheck: UInt64 = 4096
        var nextProgress: UInt64 = 65536
        while true {
            var count = file.next(into: frames)
            if count == 0 { break }
            if let expression = settings.filter { count = try keep(frames, count, matching: expression, by: &filters) }
            if count > 0 {
                let inline = stages ?? InlineStages(settings: settings, sink: sink, clockNs: frames[0].timeNs)
                stages = inline
                inline.handle(UnsafeBufferPointer(rebasing: frames[..<count]), observer: observer)
            }
            guard file.packets >= nextCheck else { continue }
            nextCheck = file.packets + 4096
            if isStopped || observer?.isSatisfied == true { break }
            guard file.packets >= nextProgress else { continue }
            nextProgress = file.packets + 65536
            done.packets = file.packets
            done.bytes = file.bytesRead
            progress?(done)
            if let stages { state.withLock { stages.copyCounters(into: &$0) } }
        }
        done.packets = file.packets
        done.bytes = file.bytesRead
        progress?(done)
    }

    static func frameBatch(_ capacity: Int = Dispatcher.batch) -> UnsafeMutableBufferPointer<CaptureFrame> {
        let frames = UnsafeMutableBufferPointer<CaptureFrame>.allocate(capacity: capacity)
        frames.initialize(repeating: CaptureFrame())
        return frames
    }

    /// Moves the frames that pass the filter to the front and returns their number.
    private func keep(
        _ frames: UnsafeMutableBufferPointer<CaptureFrame>, _ count: Int, matching expression: String,
        by filters: inout [UInt16: CaptureFilter]
    ) throws(Failure) -> Int {
        var kept = 0
        for index in 0..<count {
            let frame = frames[index]
            if filters[frame.link] == nil { filters[frame.link] = try CaptureFilter(expression, link: frame.link) }
            if filters[frame.link]?.matches(frame.bytes, wire: frame.wire) == false { continue }
            frames[kept] = frame
            kept += 1
        }
        return kept
    }
}
