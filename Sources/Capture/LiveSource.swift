package import Model

/// The engine that live packets come from.
///
/// `@unchecked Sendable`: it is handed from the thread that opens it to the one that reads, never used by two at once.
package enum LiveSource: @unchecked Sendable {
    case ring(PacketRing)
    case pcap(PcapEngine)

    /// - Parameters:
    ///   - usesLibpcap: a choice of the user; without it libpcap is taken only where the kernel has no packet rings.
    ///   - batch: frames that `next` returns at most.
    package static func open(
        _ settings: PacketRing.Settings, usesLibpcap: Bool, batch: Int
    ) throws(Failure) -> LiveSource {
        if usesLibpcap { return .pcap(PcapEngine(ring: settings, batch: batch)) }
        do {
            return .ring(try PacketRing(settings: settings))
        } catch {
            guard error.isUnsupported else { throw error.failure }
            return .pcap(PcapEngine(ring: settings, batch: batch))
        }
    }

    package func apply(_ rule: CaptureRule) throws(Failure) {
        switch self {
        case .ring(let ring):
            try ring.apply(rule.socketFilter)
            ring.setPromiscuous(rule.isPromiscuous ? rule.indexes : [])
        case .pcap(let engine): try engine.apply(rule)
        }
    }

    /// Lets nothing more in; what has come in can still be read.
    /// - Returns: false where packets go on coming.
    package func endIntake() throws(Failure) -> Bool {
        guard case .ring(let ring) = self else { return false }
        try ring.apply(.nothing)
        return true
    }

    /// The next frames, valid until the next call; 0 after the poll time without packets.
    /// - Parameter pollMs: another poll time; 0 = do not wait.
    package func next(
        into frames: UnsafeMutableBufferPointer<CaptureFrame>, pollMs: Int32? = nil
    ) throws(Failure) -> Int {
        switch self {
        case .ring(let ring): try ring.next(into: frames, pollMs: pollMs)
        case .pcap(let engine): try engine.next(into: frames, pollMs: pollMs)
        }
    }

    /// To wait for packets with; libpcap may have several and is asked in turn instead.
    var descriptor: Int32 {
        switch self {
        case .ring(let ring): ring.descriptor
        case .pcap: -1
        }
    }

    /// As of now.
    package var statistics: KernelStatistics {
        switch self {
        case .ring(let ring):
            ring.updateStatistics()
            return ring.statistics
        case .pcap(let engine):
            engine.updateStatistics()
            return engine.statistics
        }
    }

    package var name: String {
        switch self {
        case .ring(let ring): "AF_PACKET ring, TPACKET_V\(ring.version)"
        case .pcap: "libpcap"
        }
    }
}
