import CLinux
package import Model

#if canImport(Glibc)
    import Glibc
#endif

/// A live AF_PACKET ring (TPACKET_V3) over all chosen interfaces of the present namespace. Source: agent-flow.md 4.1.
package final class PacketRing {
    package struct Settings: Sendable {
        package var blockBytes: UInt32 = 1 << 20
        package var blocks: UInt32 = 48
        package var retireMs: UInt32 = 64
        package var pollMs: Int32 = 100
        package var snapLength: UInt32 = 65535

        package init() {}
    }

    private var ring = dft_ring()
    private let settings: Settings
    private var block: UInt32 = 0
    private var cursor: UnsafePointer<UInt8>?
    private var left: UInt32 = 0
    private var hasBlock = false
    /// Kernel's counters since the start.
    package private(set) var kernelPackets: UInt64 = 0
    package private(set) var kernelDrops: UInt64 = 0

    package init(settings: Settings = Settings()) throws(Failure) {
        self.settings = settings
        let code = dft_ring_open(&ring, 0, settings.blockBytes, settings.blocks, settings.retireMs)
        guard code == 0 else { throw PacketRing.cannotOpen(code) }
    }

    deinit { dft_ring_close(&ring) }

    private static func cannotOpen(_ code: Int32) -> Failure {
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

    /// Captures on these interfaces from now on, through this filter.
    package func apply(_ filter: SocketFilter) throws(Failure) {
        let code = filter.attach(to: ring.fd)
        guard code == 0 else {
            throw Failure(
                .failed, what: "cannot attach the capture filter", why: String(cString: strerror(code)),
                mend: "use a shorter filter or fewer interfaces")
        }
    }

    /// The next frames of the present block, at most as many as `frames` holds, valid until the next call; 0 after the
    /// poll time without packets.
    package func next(into frames: UnsafeMutableBufferPointer<CaptureFrame>) throws(Failure) -> Int {
        while left == 0 {
            if hasBlock {
                dft_ring_release(&ring, block)
                block = (block + 1) % ring.block_count
                hasBlock = false
            }
            let ready = dft_ring_wait(&ring, block, settings.pollMs)
            if ready == 0 { return 0 }
            guard ready > 0 else {
                throw Failure(
                    .failed, what: "the capture ended", why: String(cString: strerror(errno)), mend: "see dftop doctor")
            }
            hasBlock = true
            left = dft_ring_block(&ring, block, &cursor)
        }
        let count = min(frames.count, Int(left))
        var packet = dft_packet()
        for index in 0..<count {
            dft_ring_next(&cursor, &packet)
            frames[index].timeNs = packet.time_ns
            frames[index].bytes = UnsafeRawBufferPointer(start: packet.data, count: Int(packet.captured))
            frames[index].wire = Int(packet.wire)
            frames[index].interface = packet.ifindex
            // ARPHRD_NONE, PPP and tunnels without link header carry bare IP.
            frames[index].link =
                packet.hatype == 65534 || packet.hatype == 512 || packet.hatype == 768 || packet.hatype == 776 ? 101 : 1
        }
        left -= UInt32(count)
        return count
    }

    /// Adds what the kernel counted since the last call.
    package func updateStatistics() {
        var packets: UInt32 = 0
        var drops: UInt32 = 0
        guard dft_ring_statistics(ring.fd, &packets, &drops) == 0 else { return }
        kernelPackets &+= UInt64(packets)
        kernelDrops &+= UInt64(drops)
    }
}
