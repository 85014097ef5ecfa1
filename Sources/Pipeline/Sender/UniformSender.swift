package import Logging
package import Model
import Synchronization
package import Wire

#if canImport(Glibc)
    import Glibc
#endif

/// What all senders of an agent have in common.
package final class SenderShared: Sendable {
    /// What happens to a frame when the budget of bytes is used up. Source: wire.md 5.4.
    package enum Overflow: Sendable {
        case wait
        case drop
    }

    package let links: SenderLinks
    package let limiter: ThroughputLimiter
    package let isReplay: Bool
    let logger: Logger
    private let identityNow: Mutex<FrameIdentity>
    private let overflowNow: Mutex<Overflow>
    private let failureNow = Mutex<Failure?>(nil)
    private let lostRecords = Atomic<UInt64>(0)
    private let raise: @Sendable (UInt64) -> Void

    /// - Parameters:
    ///   - isReplay: nothing may be lost; the first failure ends the sending.
    ///   - raise: receives bits for the agent's exception bitmap.
    package init(
        links: SenderLinks, limiter: ThroughputLimiter, identity: FrameIdentity, overflow: Overflow = .wait,
        isReplay: Bool, logger: Logger, raise: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) {
        self.links = links
        self.limiter = limiter
        self.isReplay = isReplay
        self.logger = logger
        self.raise = raise
        identityNow = Mutex(identity)
        overflowNow = Mutex(overflow)
    }

    /// What the controller assigned; frames carry it from the next flush on.
    package var identity: FrameIdentity {
        get { identityNow.withLock { $0 } }
        set { identityNow.withLock { $0 = newValue } }
    }

    package var overflow: Overflow {
        get { overflowNow.withLock { $0 } }
        set { overflowNow.withLock { $0 = newValue } }
    }

    /// The first failure of a replay.
    package var failure: Failure? { failureNow.withLock { $0 } }

    /// Records of a replay that were not sent because of a failure.
    package var lost: UInt64 { lostRecords.load(ordering: .relaxed) }
    func lose(_ records: Int) { lostRecords.add(UInt64(records), ordering: .relaxed) }

    func fail(_ failure: Failure) { failureNow.withLock { if $0 == nil { $0 = failure } } }

    func raise(_ exception: UInt64) { raise(exception) }
}

/// Takes records of one type from its queue, encodes, frames and sends them, on a thread of its own.
/// Source: wire.md 5.
package final class UniformSender<Record: WireEncodable>: Sendable {
    package let type: MessageType
    package let queue: OverwriteQueue<Record>
    private let group: SenderLinks.Group
    private let isCompressing: Bool
    private let shared: SenderShared
    private let counters = Mutex(SenderCounters())
    private let thread = Mutex<StageThread?>(nil)

    /// - Parameter group: whose connection is used when there are several; nil = its own.
    package init(
        type: MessageType, queue: OverwriteQueue<Record>, group: SenderLinks.Group? = nil, isCompressing: Bool,
        shared: SenderShared
    ) {
        self.type = type
        self.queue = queue
        self.group = group ?? .own(queue: queue.name)
        self.isCompressing = isCompressing
        self.shared = shared
    }

    package func start() {
        thread.withLock { thread in
            guard thread == nil else { return }
            thread = StageThread(name: "tx-\(type.agentName ?? type.ingesterName)") { [self] in run() }
        }
    }

    /// Sends what the queue holds, then ends the thread; returns when it has.
    package func finish() {
        queue.close()
        let running = thread.withLock { $0.take() }
        running?.join()
    }

    /// Counters since the last call.
    package func takeCounters() -> SenderCounters {
        counters.withLock { counters in
            defer { counters = SenderCounters() }
            return counters
        }
    }

    private func run() {
        var frame = FrameBuffer(isCompressing: isCompressing)
        var rule = FlushRule(nowNs: monotonicNs())
        while true {
            switch queue.receive(max: FlushRule.batch, timeoutMs: FlushRule.silenceMs) {
            case .items(let batch):
                counters.withLock { $0.rx += UInt64(batch.count) }
                if shared.failure != nil {
                    shared.lose(batch.count)
                    continue
                }
                rule.batchArrived(nowNs: monotonicNs())
                for record in batch {
                    frame.append(record)
                    if rule.appended(count: frame.plainCount) { flush(&frame) }
                }
            case .timedOut:
                flush(&frame)
            case .terminated:
                flush(&frame)
                return
            }
        }
    }

    private func flush(_ frame: inout FrameBuffer) {
        guard !frame.isEmpty else { return }
        defer {
            if shared.failure != nil { shared.lose(frame.records) }
            frame.clear()
        }
        guard shared.failure == nil else { return }
        let plainCount = frame.plainCount
        let length = frame.seal(FrameHeader(type: type, identity: shared.identity))
        guard let length, length - FrameHeader.length <= FrameHeader.maxPayload else {
            return lost("a record is longer than the \(FrameHeader.maxPayload) bytes that a receiver takes")
        }
        guard hasBudget(length) else { return }
        let outcome = frame.withSealed { shared.links.link(group).send($0) }
        switch outcome {
        case .sent:
            counters.withLock { counters in
                counters.tx += 1
                counters.txBytes += UInt64(length)
                counters.rawBytes += UInt64(plainCount)
            }
        case .notConnected:
            counters.withLock { $0.unsent += 1 }
            if shared.isReplay { shared.fail(.unreachable(shared.links.destination, "no destination is set")) }
        case .connectFailed(let why), .writeFailed(let why):
            lost(why)
        }
    }

    private func lost(_ why: String) {
        counters.withLock { $0.dropped += 1 }
        shared.raise(SenderException.analyzerSocketError)
        if shared.isReplay { shared.fail(.unreachable(shared.links.destination, why)) }
    }

    /// Waits at most 2 s for budget in live mode, as long as it takes in a replay.
    private func hasBudget(_ length: Int) -> Bool {
        if shared.limiter.take(length, nowNs: monotonicNs()) { return true }
        shared.raise(SenderException.dataBpsThresholdExceeded)
        if shared.overflow == .drop, !shared.isReplay {
            counters.withLock { $0.dropped += 1 }
            return false
        }
        var polls = 0
        while shared.isReplay || polls < 100 {
            polls += 1
            counters.withLock { $0.waited += 1 }
            usleep(20_000)
            if shared.limiter.take(length, nowNs: monotonicNs()) { return true }
        }
        return false
    }
}

extension Failure {
    static func unreachable(_ destination: Destination, _ why: String) -> Failure {
        Failure(
            .unreachable, what: "cannot send to \(destination.text)", why: why,
            mend: "check that a server listens there (`dftop server`), or name another with --ingester HOST:PORT")
    }
}

/// One frame in the making: header, then records; compressed when it is sealed.
struct FrameBuffer: ~Copyable {
    private var plain = WireWriter(capacity: FlushRule.bufferLimit + 4096)
    private var sealed: [UInt8] = []
    private var compressor: ZstdCompressor?
    private(set) var records = 0
    private let isCompressing: Bool
    private let blank = FrameHeader(type: .metrics).bytes

    init(isCompressing: Bool) {
        self.isCompressing = isCompressing
        if isCompressing { compressor = ZstdCompressor() }
    }

    var isEmpty: Bool { plain.isEmpty }
    /// Bytes before compression, header included.
    var plainCount: Int { plain.count }

    mutating func append(_ record: borrowing some WireEncodable) {
        if plain.isEmpty { plain.append(blank) }
        plain.appendRecord(record)
        records += 1
    }

    /// Completes the frame; its length, or nil when it cannot be made.
    mutating func seal(_ header: FrameHeader) -> Int? {
        var header = header
        sealed.removeAll(keepingCapacity: true)
        if isCompressing {
            guard compressor != nil else { return nil }
            sealed += blank
            let isDone = plain.withBytes { bytes in
                compressor?.compress(
                    UnsafeRawBufferPointer(rebasing: bytes[FrameHeader.length...]), into: &sealed) ?? false
            }
            guard isDone else { return nil }
            header.encoder = FrameEncoder.zstd.rawValue
        }
        let length = isCompressing ? sealed.count : plain.count
        guard let size = UInt32(exactly: length) else { return nil }
        header.frameSize = size
        if isCompressing {
            sealed.replaceSubrange(0..<FrameHeader.length, with: header.bytes)
        } else {
            plain.replace(at: 0, with: header.bytes)
        }
        return length
    }

    func withSealed<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        isCompressing ? sealed.withUnsafeBytes(body) : plain.withBytes(body)
    }

    mutating func clear() {
        plain.removeAll()
        records = 0
        plain.shrink(to: 2 * FlushRule.bufferLimit)
    }
}
