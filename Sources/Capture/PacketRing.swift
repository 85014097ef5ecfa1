import CLinux
package import Model

#if canImport(Glibc)
    import Glibc
#endif

/// A live AF_PACKET ring over all chosen interfaces of the present namespace, or over one. Source: agent-flow.md 4.1.
package final class PacketRing {
    /// `inputs.cbpf.af_packet.tunning.socket_version`.
    package enum Version: UInt32, Sendable {
        /// Version 3, or 2 where the kernel refuses it.
        case automatic = 0
        case v2 = 2
        case v3 = 3
    }

    package struct Settings: Sendable {
        package var version = Version.automatic
        /// 0 = all interfaces.
        package var interface: Int32 = 0
        package var blockBytes: UInt32 = 1 << 20
        package var blocks: UInt32 = 48
        /// Of version 2 what a packet may have at most, its header included.
        package var frameBytes: UInt32 = 1 << 16
        package var retireMs: UInt32 = 64
        package var pollMs: Int32 = 100
        package var snapLength: UInt32 = 65535
        package var fanout: Fanout?

        package init() {}
    }

    /// Rings among which the kernel deals packets out.
    package struct Fanout: Sendable, Equatable {
        /// 0 hash of the flow, 1 in turn, 2 CPU, 3 rollover, 4 random, 5 queue, 6 and 7 programs.
        package var mode: UInt16
        package var group = UInt16(truncatingIfNeeded: getpid())

        package init(mode: UInt16) { self.mode = mode }

        var argument: UInt32 { UInt32(mode) << 16 | UInt32(group) }
    }

    private var ring = dft_ring()
    private let settings: Settings
    /// Version 3: the block that is read, and where in it. Version 2: the first frame that is read.
    private var index: UInt32 = 0
    private var cursor: UnsafePointer<UInt8>?
    /// Version 3: packets of the block still to read. Version 2: frames to give back.
    private var left: UInt32 = 0
    private var hasBlock = false
    private var promiscuous: Set<Int32> = []
    package private(set) var statistics = KernelStatistics()

    /// Why there is no ring.
    package struct Refusal: Error {
        package let failure: Failure
        /// The kernel has no packet rings; another engine may do.
        package let isUnsupported: Bool
    }

    package init(settings: Settings = Settings()) throws(Refusal) {
        self.settings = settings
        var code: Int32 = 0
        for version in PacketRing.attempts(settings.version) {
            code = open(version)
            // Another version asks for the same right and the same memory.
            if code == 0 || code == EPERM || code == EACCES || code == ENOMEM { break }
        }
        guard code == 0 else { throw PacketRing.cannotOpen(code) }
        if let fanout = settings.fanout { try join(fanout) }
    }

    deinit { dft_ring_close(&ring) }

    /// 2 or 3.
    package var version: UInt32 { ring.version }

    static func attempts(_ version: Version) -> [UInt32] {
        switch version {
        case .automatic: [3, 2]
        case .v2: [2]
        case .v3: [3]
        }
    }

    private func open(_ version: UInt32) -> Int32 {
        var options = dft_ring_options(
            version: version, ifindex: settings.interface, block_size: settings.blockBytes,
            block_count: settings.blocks, frame_size: settings.frameBytes, retire_ms: settings.retireMs)
        return dft_ring_open(&ring, &options)
    }

    /// Once all is set, a class that throws in `init` is deinitialized, which closes the ring.
    private func join(_ fanout: Fanout) throws(Refusal) {
        let code = dft_ring_fanout(ring.fd, fanout.argument)
        guard code != 0 else { return }
        let failure = Failure(
            .failed, what: "cannot deal packets out to several dispatchers", why: String(cString: strerror(code)),
            mend: "set inputs.cbpf.af_packet.tunning.packet_fanout_count to 1, or another packet_fanout_mode")
        throw Refusal(failure: failure, isUnsupported: false)
    }

    private static func cannotOpen(_ code: Int32) -> Refusal {
        let unsupported = [EAFNOSUPPORT, EPROTONOSUPPORT, ENOPROTOOPT, EOPNOTSUPP, ENOSYS, EINVAL]
        return Refusal(failure: failure(code), isUnsupported: unsupported.contains(code))
    }

    private static func failure(_ code: Int32) -> Failure {
        switch code {
        case EPERM, EACCES:
            Failure(
                .notPermitted, what: "cannot capture packets", why: "the process lacks CAP_NET_RAW",
                mend:
                    "start as root, or: setcap cap_net_raw,cap_net_admin+ep on the dftop binary; files open without it (-r FILE)"
            )
        case ENOMEM:
            Failure(
                .failed, what: "cannot capture packets", why: "no memory for the receive ring",
                mend: "use fewer ring blocks")
        default:
            Failure(
                .failed, what: "cannot capture packets", why: String(cString: strerror(code)), mend: "see dftop doctor")
        }
    }

    // MARK: - What is captured

    /// Captures through this filter from now on.
    package func apply(_ filter: SocketFilter) throws(Failure) {
        let code = filter.attach(to: ring.fd)
        guard code == 0 else {
            throw Failure(
                .failed, what: "cannot attach the capture filter", why: String(cString: strerror(code)),
                mend: "use a shorter filter or fewer interfaces")
        }
    }

    /// These interfaces receive what is for others, too; the ones before no longer do. One that refuses stays as it is.
    package func setPromiscuous(_ interfaces: [Int32]) {
        let wanted = Set(interfaces)
        for interface in promiscuous.subtracting(wanted) { _ = dft_ring_promiscuous(ring.fd, interface, 0) }
        promiscuous = promiscuous.intersection(wanted).union(
            wanted.subtracting(promiscuous).filter { dft_ring_promiscuous(ring.fd, $0, 1) == 0 })
    }

    // MARK: - Packets

    /// The next frames, at most as many as `frames` holds, valid until the next call; 0 after the poll time without
    /// packets.
    /// - Parameter pollMs: another poll time; 0 = do not wait.
    package func next(
        into frames: UnsafeMutableBufferPointer<CaptureFrame>, pollMs: Int32? = nil
    ) throws(Failure) -> Int {
        let pollMs = pollMs ?? settings.pollMs
        return ring.version == 3 ? try nextOfBlock(into: frames, pollMs) : try nextFrames(into: frames, pollMs)
    }

    package var descriptor: Int32 { ring.fd }

    private func nextOfBlock(
        into frames: UnsafeMutableBufferPointer<CaptureFrame>, _ pollMs: Int32
    ) throws(Failure) -> Int {
        while left == 0 {
            if hasBlock {
                dft_ring_release(&ring, index)
                index = (index + 1) % ring.block_count
                hasBlock = false
            }
            guard try waitReady(pollMs) else { return 0 }
            hasBlock = true
            left = dft_ring_block(&ring, index, &cursor)
        }
        let count = min(frames.count, Int(left))
        var packet = dft_packet()
        for number in 0..<count {
            dft_ring_next(&cursor, &packet)
            PacketRing.fill(&frames[number], from: packet)
        }
        left -= UInt32(count)
        return count
    }

    private func nextFrames(
        into frames: UnsafeMutableBufferPointer<CaptureFrame>, _ pollMs: Int32
    ) throws(Failure) -> Int {
        for _ in 0..<left {
            dft_ring_release(&ring, index)
            index = (index + 1) % ring.frame_count
        }
        left = 0
        guard try waitReady(pollMs) else { return 0 }
        var packet = dft_packet()
        let most = min(frames.count, Int(ring.frame_count))
        while Int(left) < most, dft_ring_frame(&ring, (index + left) % ring.frame_count, &packet) == 1 {
            PacketRing.fill(&frames[Int(left)], from: packet)
            left += 1
        }
        return Int(left)
    }

    private func waitReady(_ pollMs: Int32) throws(Failure) -> Bool {
        let ready = dft_ring_wait(&ring, index, pollMs)
        guard ready < 0 else { return ready > 0 }
        throw Failure(
            .failed, what: "the capture ended", why: String(cString: strerror(errno)), mend: "see dftop doctor")
    }

    @inline(__always)
    private static func fill(_ frame: inout CaptureFrame, from packet: dft_packet) {
        frame.timeNs = packet.time_ns
        frame.bytes = UnsafeRawBufferPointer(start: packet.data, count: Int(packet.captured))
        frame.wire = Int(packet.wire)
        frame.interface = packet.ifindex
        // ARPHRD_NONE, PPP and tunnels without link header carry bare IP.
        frame.link =
            packet.hatype == 65534 || packet.hatype == 512 || packet.hatype == 768 || packet.hatype == 776 ? 101 : 1
    }

    /// Adds what the kernel counted since the last call.
    package func updateStatistics() {
        var counters = dft_ring_counters()
        guard dft_ring_statistics(&ring, &counters) == 0 else { return }
        statistics.packets &+= UInt64(counters.packets)
        statistics.drops &+= UInt64(counters.drops)
        statistics.freezes &+= UInt64(counters.freezes)
    }
}

/// What the kernel counted since the capture began.
package struct KernelStatistics: Sendable, Equatable {
    /// Passed the filter; those dropped are among them.
    package var packets: UInt64 = 0
    /// Did not fit into the ring.
    package var drops: UInt64 = 0
    /// How often the ring was full.
    package var freezes: UInt64 = 0

    package init() {}

    package mutating func add(_ other: KernelStatistics) {
        packets &+= other.packets
        drops &+= other.drops
        freezes &+= other.freezes
    }
}
