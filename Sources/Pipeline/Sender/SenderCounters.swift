/// What one sender did since the last `take`; names of the reference's `collect_sender`. Source: wire.md 5.5.
package struct SenderCounters: Sendable, Equatable {
    /// Records taken from the queue.
    package var rx: UInt64 = 0
    /// Frames sent.
    package var tx: UInt64 = 0
    package var txBytes: UInt64 = 0
    /// Plain bytes of the frames sent, headers included.
    package var rawBytes: UInt64 = 0
    /// Frames lost by a failed connect or write, or by the throughput limit.
    package var dropped: UInt64 = 0
    /// Polls for budget.
    package var waited: UInt64 = 0
    /// Frames discarded without a connection, which the reference does not count.
    package var unsent: UInt64 = 0

    package init() {}

    /// Percent saved by compression, rounded.
    package var compressionRatio: Double {
        rawBytes == 0 ? 0 : ((1 - Double(txBytes) / Double(rawBytes)) * 100).rounded()
    }
}

/// Bits of the agent's exception bitmap that senders raise. Source: wire.md 5.3, 5.4.
package enum SenderException {
    package static let analyzerSocketError: UInt64 = 65_536
    package static let dataBpsThresholdExceeded: UInt64 = 2_097_152
}
