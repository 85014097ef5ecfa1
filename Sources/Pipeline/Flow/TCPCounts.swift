import Model

/// What the packets of one TCP flow count until its next report: the common counts on a cache line, the rare ones, with the
/// numbers of a handshake that is going on, on two more. All counts begin as zero. Source: agent-flow.md 11.1.
struct TCPCounts: BitwiseCopyable {
    /// Of one sender, from its first packet of the handshake.
    struct Handshake: BitwiseCopyable {
        var timeNs: UInt64 = 0
        /// Acknowledgement that ends it; 0 = not known.
        var threshold: UInt32 = 0
        /// The sender's list of sequence ranges in their pool, -1 = none.
        var list: Int32 = -1
    }

    struct Rare: BitwiseCopyable {
        var rtt0 = LatencyStats()
        var rtt1 = LatencyStats()
        var art0 = LatencyStats()
        fileprivate var counts0 = TCPPerfCounts()
        fileprivate var counts1 = TCPPerfCounts()
        var rttFull: UInt32 = 0
        var synCount: UInt32 = 0
        var synAckCount: UInt32 = 0
        var retransSyn: UInt32 = 0
        var retransSynAck: UInt32 = 0
        var finCount: UInt32 = 0
        var clientHandshake = Handshake()
        var serverHandshake = Handshake()

        /// Neither end has opened the connection.
        var knowsNothing: Bool {
            clientHandshake.threshold | serverHandshake.threshold == 0
                && clientHandshake.timeNs | serverHandshake.timeNs == 0
        }

        /// Of a handshake that is over only that its numbers are known counts later.
        mutating func recallHandshake() {
            if clientHandshake.threshold == 0 { clientHandshake.threshold = 1 }
            if serverHandshake.threshold == 0 { serverHandshake.threshold = 1 }
        }

        /// The counts alone.
        mutating func clear() {
            let handshakes = (clientHandshake, serverHandshake)
            self = Rare()
            (clientHandshake, serverHandshake) = handshakes
        }

        func report(isReversed: Bool, into stats: inout TCPPerfStats) {
            stats.rttClient = rtt0
            stats.rttServer = rtt1
            if isReversed { stats.art = art0 }
            stats.rtt = rttFull
            stats.tx = isReversed ? counts1 : counts0
            stats.rx = isReversed ? counts0 : counts1
            stats.totalRetrans = counts0.retrans &+ counts1.retrans
            stats.synCount = synCount
            stats.synAckCount = synAckCount
            stats.retransSyn = retransSyn
            stats.retransSynAck = retransSynAck
            stats.finCount = finCount
        }
    }

    var srt0 = LatencyStats()
    var srt1 = LatencyStats()
    var art1 = LatencyStats()
    var cit = LatencyStats()
    var rare = Rare()

    /// The common counts.
    @inline(__always)
    mutating func clear() {
        srt0 = LatencyStats()
        srt1 = LatencyStats()
        art1 = LatencyStats()
        cit = LatencyStats()
    }

    func releaseLists(to lists: inout Pool<SequenceList>) {
        if rare.clientHandshake.list >= 0 { lists.give(back: rare.clientHandshake.list) }
        if rare.serverHandshake.list >= 0 { lists.give(back: rare.serverHandshake.list) }
    }
}

extension UnsafeMutablePointer<TCPCounts.Rare> {
    @inline(__always)
    func sent(byClient: Bool) -> UnsafeMutablePointer<TCPPerfCounts> {
        (byClient ? pointer(to: \.counts0) : pointer(to: \.counts1)).unsafelyUnwrapped
    }

    @inline(__always)
    func list(ofClient: Bool) -> UnsafeMutablePointer<Int32> {
        (ofClient ? pointer(to: \.clientHandshake.list) : pointer(to: \.serverHandshake.list)).unsafelyUnwrapped
    }
}
