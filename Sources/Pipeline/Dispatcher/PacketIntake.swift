import Capture
import Model

#if canImport(Glibc)
    import Glibc
#endif

/// The receiving half of a dispatcher: frames out of an engine, by the rules that hold in every mode. Used by one thread.
/// Source: agent-flow.md 4.2.
struct PacketIntake {
    /// Faults of the engine one after the other, 1 ms apart, that end the capture.
    private static let mostErrors = 1000

    let source: LaneSource
    /// What `next` has read.
    let frames: UnsafeMutableBufferPointer<CaptureFrame>
    private(set) var counters = ReceiveCounters()
    private let pace: CapturePace
    private let readsMarks: Bool
    private var timeGuard = TimeGuard()
    /// Packets that may pass before `pace` is asked again.
    private var tokens = 0
    private var errorsInRow = 0

    /// - Parameters:
    ///   - frames: room for a batch; belongs to the caller.
    ///   - readsMarks: switches mark what they have taken out of a tunnel.
    init(
        source: LaneSource, pace: CapturePace, frames: UnsafeMutableBufferPointer<CaptureFrame>, readsMarks: Bool
    ) {
        self.source = source
        self.pace = pace
        self.frames = frames
        self.readsMarks = readsMarks
    }

    /// The next frames, valid until the next call: how many were read, 0 = none for a while, and how many of them are left,
    /// the first ones of `frames`. A fault of the engine is one more pause. Source: agent-flow.md 4.2, rule 1.
    @inline(__always)
    mutating func next() throws(Failure) -> (read: Int, kept: Int) {
        do {
            let count = try source.next(into: frames)
            errorsInRow = 0
            return (count, accept(count))
        } catch {
            counters.errors &+= 1
            errorsInRow += 1
            guard errorsInRow < PacketIntake.mostErrors else { throw error }
            usleep(1000)
            return (0, 0)
        }
    }

    /// Leaves out what is too short and mends times, in place. Source: agent-flow.md 4.2, rules 2, 3 and 5.
    @inline(__always)
    private mutating func accept(_ count: Int) -> Int {
        var kept = 0
        for index in 0..<count {
            let frame = frames[index]
            guard frame.bytes.count >= 18 || frame.link != 1 else {
                counters.tooShort &+= 1
                continue
            }
            if kept != index { frames[kept] = frame }
            frames[kept].timeNs = timeGuard.corrected(frame.timeNs, clock: wallClockNs)
            counters.rxAllBytes &+= UInt64(frame.wire)
            if readsMarks { frames[kept].skipMarkedTunnel() }
            kept &+= 1
        }
        counters.rxAll &+= UInt64(kept)
        return kept
    }

    /// How many of `wanted` packets may pass now; 0 after a wait of 1 ms. Source: agent-flow.md 4.2, rule 4.
    @inline(__always)
    mutating func grant(_ wanted: Int, isUnlimited: Bool) -> Int {
        if isUnlimited { return wanted }
        if tokens == 0 { tokens = pace.take() }
        let granted = min(tokens, wanted)
        tokens -= granted
        if granted == 0 {
            counters.getTokenFailed &+= 1
            usleep(1000)
        }
        return granted
    }

    /// An order could not be followed.
    mutating func noteFault() { counters.errors &+= 1 }

    /// Counters with those of the kernel as of now.
    mutating func current() -> ReceiveCounters {
        counters.kernel = source.statistics
        return counters
    }
}

extension CaptureFrame {
    /// Switches that have taken a packet out of a tunnel write 0xff and the length of what was around it in place of the
    /// source MAC: the frame begins behind that. Source: agent-flow.md 5.5.
    mutating func skipMarkedTunnel() {
        guard link == 1, bytes.count >= 14, bytes[6] == 0xff else { return }
        let length = Int(bytes[7])
        guard bytes.count >= length + 14 else { return }
        bytes = UnsafeRawBufferPointer(rebasing: bytes[length...])
    }
}
