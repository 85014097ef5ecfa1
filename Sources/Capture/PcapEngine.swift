import CPcap
package import Model

#if canImport(Glibc)
    import Glibc
#endif

/// Live capture by libpcap, a handle an interface: for kernels without packet rings, and devices that are none of theirs.
/// Packets are copied out of libpcap. Source: agent-flow.md 3 (`special_network.libpcap`), 4.3.
package final class PcapEngine {
    private struct Handle {
        let pcap: OpaquePointer
        let name: String
        let interface: Int32
        let link: UInt16
        let descriptor: Int32
        /// When it is asked again after an error, by the monotonic clock; 0 = it works.
        var restsUntilNs: UInt64 = 0
    }

    private static let slotBytes = 1 << 16
    private static let restNs: UInt64 = 1_000_000_000

    private let pollMs: Int32
    private let bufferBytes: Int32
    private let slots: Int
    private let buffer: UnsafeMutableRawPointer
    private var handles: [Handle] = []
    private var expression = ""
    /// The handle that is asked first, so that a busy one does not starve the others.
    private var turn = 0
    /// Of handles that were closed.
    private var closed = KernelStatistics()
    package private(set) var statistics = KernelStatistics()

    /// - Parameter batch: frames that `next` returns at most.
    package init(ring: PacketRing.Settings, batch: Int) {
        pollMs = ring.pollMs
        bufferBytes = Int32(clamping: UInt64(ring.blockBytes) * UInt64(ring.blocks))
        slots = batch
        buffer = .allocate(byteCount: batch * PcapEngine.slotBytes, alignment: 64)
    }

    deinit {
        for handle in handles { pcap_close(handle.pcap) }
        buffer.deallocate()
    }

    /// Opens interfaces that are new and closes those that are no longer wanted.
    /// - Throws: when an interface cannot be opened; the others then capture all the same.
    package func apply(_ rule: CaptureRule) throws(Failure) {
        let isSame = rule.expression == expression
        expression = rule.expression
        for handle in handles where !rule.interfaces.contains(where: { $0.index == handle.interface }) { close(handle) }
        if !isSame { for handle in handles { try PcapEngine.set(expression, on: handle.pcap, name: handle.name) } }
        var failure: Failure?
        for interface in rule.interfaces where !handles.contains(where: { $0.interface == interface.index }) {
            do { handles.append(try open(interface, rule)) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func close(_ handle: Handle) {
        closed.add(PcapEngine.statistics(of: handle))
        pcap_close(handle.pcap)
        handles.removeAll { $0.pcap == handle.pcap }
    }

    private func open(_ interface: NetworkInterface, _ rule: CaptureRule) throws(Failure) -> Handle {
        var text = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let pcap = pcap_create(interface.name, &text) else {
            throw PcapEngine.cannotOpen(interface.name, PcapEngine.text(text), isRight: true)
        }
        pcap_set_snaplen(pcap, Int32(rule.snapLength))
        pcap_set_promisc(pcap, rule.isPromiscuous ? 1 : 0)
        pcap_set_timeout(pcap, pollMs)
        pcap_set_buffer_size(pcap, bufferBytes)
        pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO)
        let status = pcap_activate(pcap)
        // Above 0 are warnings.
        guard status >= 0, pcap_setnonblock(pcap, 1, &text) == 0 else {
            let why = String(cString: pcap_geterr(pcap))
            pcap_close(pcap)
            throw PcapEngine.cannotOpen(interface.name, why, isRight: status != PCAP_ERROR_PERM_DENIED)
        }
        do {
            try PcapEngine.set(expression, on: pcap, name: interface.name)
        } catch {
            pcap_close(pcap)
            throw error
        }
        return Handle(
            pcap: pcap, name: interface.name, interface: interface.index,
            // The number in memory of raw IP; in files it is 101.
            link: UInt16(clamping: pcap_datalink(pcap) == 12 ? 101 : pcap_datalink(pcap)),
            descriptor: pcap_get_selectable_fd(pcap))
    }

    private static func set(_ expression: String, on pcap: OpaquePointer, name: String) throws(Failure) {
        var program = pcap_bpf_program()
        guard pcap_compile(pcap, &program, expression, 1, 0xffff_ffff) == 0 else {
            throw Failure(
                .usage, what: "the filter \"\(expression)\" is not valid on \(name)",
                why: String(cString: pcap_geterr(pcap)), mend: "see pcap-filter(7)")
        }
        defer { pcap_freecode(&program) }
        guard pcap_setfilter(pcap, &program) == 0 else {
            throw Failure(.failed, what: "cannot attach the capture filter", why: String(cString: pcap_geterr(pcap)))
        }
    }

    private static func cannotOpen(_ name: String, _ why: String, isRight: Bool) -> Failure {
        isRight
            ? Failure(.failed, what: "cannot capture on \(name)", why: why, mend: "choose another interface with -i")
            : Failure(
                .notPermitted, what: "cannot capture on \(name)", why: "the process lacks CAP_NET_RAW",
                mend: "start as root, or: setcap cap_net_raw,cap_net_admin+ep on the dftop binary")
    }

    private static func text(_ bytes: [CChar]) -> String {
        String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: - Packets

    /// The next frames, at most as many as the batch, valid until the next call; 0 after the poll time without packets.
    /// - Parameter pollMs: another poll time; 0 = do not wait.
    package func next(
        into frames: UnsafeMutableBufferPointer<CaptureFrame>, pollMs: Int32? = nil
    ) throws(Failure) -> Int {
        let pollMs = pollMs ?? self.pollMs
        var count = try read(into: frames)
        guard count == 0, pollMs > 0 else { return count }
        var waited = handles.filter { $0.restsUntilNs == 0 }.map {
            pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0)
        }
        if poll(&waited, UInt(waited.count), pollMs) > 0 { count = try read(into: frames) }
        return count
    }

    /// A handle that fails, as of an interface that is down, rests for a while; an error only when none works.
    private func read(into frames: UnsafeMutableBufferPointer<CaptureFrame>) throws(Failure) -> Int {
        var count = 0
        var failure: Failure?
        let most = min(frames.count, slots)
        turn &+= 1
        for step in 0..<handles.count {
            let at = (turn &+ step) % handles.count
            guard isReady(at) else { continue }
            while count < most {
                var header: UnsafeMutablePointer<pcap_pkthdr>?
                var data: UnsafePointer<UInt8>?
                let status = pcap_next_ex(handles[at].pcap, &header, &data)
                if status == 0 { break }
                guard status == 1, let header, let data else {
                    failure = fault(of: at)
                    break
                }
                copy(header.pointee, data, of: handles[at], to: count, &frames[count])
                count += 1
            }
        }
        if count == 0, let failure, handles.allSatisfy({ $0.restsUntilNs != 0 }) {
            for index in handles.indices { handles[index].restsUntilNs = 0 }
            throw failure
        }
        return count
    }

    @inline(__always)
    private func isReady(_ at: Int) -> Bool {
        if handles[at].restsUntilNs == 0 { return true }
        guard monotonicNs() >= handles[at].restsUntilNs else { return false }
        handles[at].restsUntilNs = 0
        return true
    }

    private func fault(of at: Int) -> Failure {
        handles[at].restsUntilNs = monotonicNs() &+ PcapEngine.restNs
        return Failure(
            .failed, what: "the capture on \(handles[at].name) ended",
            why: String(cString: pcap_geterr(handles[at].pcap)), mend: "see dftop doctor")
    }

    private func copy(
        _ header: pcap_pkthdr, _ data: UnsafePointer<UInt8>, of handle: Handle, to slot: Int,
        _ frame: inout CaptureFrame
    ) {
        let bytes = min(Int(header.caplen), PcapEngine.slotBytes)
        let place = buffer + slot * PcapEngine.slotBytes
        place.copyMemory(from: data, byteCount: bytes)
        frame.bytes = UnsafeRawBufferPointer(start: place, count: bytes)
        frame.wire = Int(header.len)
        frame.timeNs = UInt64(header.ts.tv_sec) &* 1_000_000_000 &+ UInt64(header.ts.tv_usec)
        frame.interface = handle.interface
        frame.link = handle.link
    }

    package func updateStatistics() {
        statistics = closed
        for handle in handles { statistics.add(PcapEngine.statistics(of: handle)) }
    }

    private static func statistics(of handle: Handle) -> KernelStatistics {
        var counted = KernelStatistics()
        var stat = pcap_stat()
        guard pcap_stats(handle.pcap, &stat) == 0 else { return counted }
        counted.packets = UInt64(stat.ps_recv)
        counted.drops = UInt64(stat.ps_drop)
        return counted
    }
}
