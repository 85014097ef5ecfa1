import Logging
import Model
import Wire

#if canImport(Glibc)
    import Glibc
#endif

/// One agent's TCP connection, on a thread of its own: reads, cuts into frames, hands payloads on. Nothing is ever
/// written back. Source: wire.md 6.1.
struct StreamConnection: ~Copyable {
    private let descriptor: Int32
    private let peer: PeerAddress
    private let shared: ReceiverShared
    private var decoder = FrameDecoder()
    private var intake: PayloadIntake
    private let buffer: UnsafeMutableRawBufferPointer
    /// What this connection has in the budget for an unfinished payload.
    private var held = 0

    /// Owns the descriptor from here on.
    init(_ descriptor: Int32, peer: PeerAddress, shared: ReceiverShared) {
        self.descriptor = descriptor
        self.peer = peer
        self.shared = shared
        intake = PayloadIntake(shared: shared, sender: peer, transport: .tcp)
        buffer = .allocate(byteCount: 256 * 1024, alignment: 16)
        ListenSocket.set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    }

    deinit {
        shared.budget.adjust(-held)
        buffer.deallocate()
        close(descriptor)
    }

    /// Returns when the peer has gone, broke a rule, or the receiver stops.
    mutating func run() {
        var movedNs = monotonicNs()
        var grace = StopGrace()
        while true {
            var waits = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: shared.stopEvent, events: Int16(POLLIN), revents: 0),
            ]
            // Not longer than a frame may wait for company.
            let ready = poll(&waits, 2, Int32(clamping: min(1000, max(10, shared.settings.batchAgeMs))))
            if ready < 0, errno != EINTR { break }
            if grace.isOver(stop: waits[1].revents != 0, idle: waits[0].revents == 0) { break }
            if waits[0].revents != 0 {
                let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
                if count == 0 {
                    if !decoder.isAtBoundary { shared.tally.invalid.count() }
                    break
                }
                if count < 0 {
                    guard errno == EAGAIN || errno == EINTR else { break }
                } else {
                    movedNs = monotonicNs()
                    guard feed(count) else { break }
                }
            }
            intake.flush()
            let stalledS = (monotonicNs() - movedNs) / 1_000_000_000
            if !decoder.isAtBoundary, stalledS >= shared.settings.stallTimeoutS {
                shared.tally.stalledConnections.count()
                shared.logger.warning(
                    "connection stood still inside a frame and was closed", metadata: ["peer": "\(peer.text)"])
                break
            }
        }
        intake.flush(all: true)
    }

    /// False when the connection must be closed.
    private mutating func feed(_ count: Int) -> Bool {
        let chunk = UnsafeRawBufferPointer(rebasing: buffer[..<count])
        var offset = 0
        while true {
            switch decoder.next(chunk.bytes, at: &offset) {
            case .needsMore:
                return hold(decoder.buffered)
            case .frame(let header, let payload):
                intake.take(header, payload)
            case .empty:
                shared.tally.invalid.count()
            case .close(let refusal):
                if case .payloadTooLong = refusal {
                    shared.tally.invalid.count()
                } else {
                    shared.tally.refusedFrames.count()
                }
                shared.logger.warning(
                    "frame refused, connection closed", metadata: ["peer": "\(peer.text)", "why": "\(refusal)"])
                return false
            }
        }
    }

    private mutating func hold(_ bytes: Int) -> Bool {
        let fits = shared.budget.adjust(bytes - held) || bytes <= held
        held = bytes
        guard !fits else { return true }
        shared.tally.overBudget.count()
        shared.logger.warning(
            "too many bytes are waiting, connection closed", metadata: ["peer": "\(peer.text)"])
        return false
    }
}

/// The datagram side: one datagram, one frame. Source: wire.md 6.3.
struct DatagramLoop: ~Copyable {
    private let socket: ListenSocket
    private let shared: ReceiverShared
    private var intake: PayloadIntake

    init(_ socket: consuming ListenSocket, shared: ReceiverShared) {
        self.socket = socket
        self.shared = shared
        intake = PayloadIntake(shared: shared, sender: PeerAddress(), transport: .udp)
    }

    mutating func run() {
        var buffer = [UInt8](repeating: 0, count: 2048)
        var grace = StopGrace()
        while true {
            var waits = [
                pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: shared.stopEvent, events: Int16(POLLIN), revents: 0),
            ]
            // Not longer than a frame may wait for company.
            let ready = poll(&waits, 2, Int32(clamping: min(1000, max(10, shared.settings.batchAgeMs))))
            if ready < 0, errno != EINTR { break }
            if grace.isOver(stop: waits[1].revents != 0, idle: waits[0].revents == 0) { break }
            if waits[0].revents != 0 {
                var storage = sockaddr_storage()
                let count = receive(&buffer, &storage)
                if count > 0 { take(buffer[..<count], PeerAddress(storage)) }
            }
            intake.flush()
        }
        intake.flush(all: true)
    }

    private func receive(_ buffer: inout [UInt8], _ storage: inout sockaddr_storage) -> Int {
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutableBytes(of: &storage) { raw in
            recvfrom(
                socket.descriptor, &buffer, buffer.count, 0,
                raw.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
    }

    private mutating func take(_ datagram: ArraySlice<UInt8>, _ peer: PeerAddress) {
        let bytes = Array(datagram)
        guard let (header, payload) = FrameHeader.ofDatagram(bytes.span.bytes) else {
            shared.tally.invalid.count()
            return
        }
        intake.take(header, Array(bytes[payload]), from: peer)
    }
}
