import Model
import Synchronization
import Testing
import Wire

@testable import ServerCore

#if canImport(Glibc)
    import Glibc
#endif

/// A client that writes what a test wants and sees whether the receiver hung up.
private final class Client {
    private let descriptor: Int32

    init(port: UInt16, datagrams: Bool = false) {
        descriptor = socket(AF_INET, Int32((datagrams ? SOCK_DGRAM : SOCK_STREAM).rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        #expect(status == 0)
    }

    deinit { close(descriptor) }

    func write(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// True when the receiver closes within `ms`.
    func isClosed(withinMs ms: Int32) -> Bool {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, ms) == 1 else { return false }
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, 0) <= 0
    }
}

private func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).filter { $0 != 32 }
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16) ?? 0
    }
}

private func frame(
    _ type: MessageType, _ payload: [UInt8], encoder: FrameEncoder = .raw,
    identity: FrameIdentity = FrameIdentity(agentID: 7, teamID: 1, orgID: 1)
) -> [UInt8] {
    FrameHeader(type: type, encoder: encoder, identity: identity, frameSize: UInt32(19 + payload.count)).bytes + payload
}

/// Collects payloads of several threads.
private final class Inbox: Sendable {
    private let items = Mutex<[ReceivedPayload]>([])

    func add(_ batch: [ReceivedPayload]) { items.withLock { $0 += batch } }
    var all: [ReceivedPayload] { items.withLock { $0 } }
}

/// Waits for something another thread does; false after five seconds.
private func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<500 {
        if condition() { return true }
        usleep(10_000)
    }
    return condition()
}

private func makeReceiver(
    _ change: (inout Receiver.Settings) -> Void = { _ in }, types: [MessageType] = [.metrics, .agentStats],
    inbox: Inbox
) throws -> Receiver {
    var settings = Receiver.Settings()
    settings.port = 0
    settings.batchAgeMs = 0
    change(&settings)
    let receiver = Receiver(settings)
    for type in types { receiver.handle(type) { _, batch in inbox.add(batch) } }
    try receiver.start()
    return receiver
}

@Suite(.serialized)
struct ReceiverTests {
    /// wire.md 10.6: what ends a connection and what does not.
    @Test(arguments: [
        ("0000001416" + "0080000000000000000000000000", true),
        ("0000001203" + "00", true),
        ("0000000500", true),
        ("0000000401", true),
        ("0100001403" + "0080000000000000000000000000", true),
        ("0100001303" + "0080000000000000000000000000", false),
        ("0000000600aa", false),
        ("0000001303" + "0080000000000000000000070000", false),
        ("0000001c0a00800000000000000000000000000005000000" + "01020304", false),
    ])
    func negativeVectors(hex: String, closes: Bool) throws {
        let inbox = Inbox()
        let receiver = try makeReceiver(inbox: inbox)
        defer { receiver.stop() }
        let client = Client(port: receiver.port)
        client.write(bytes(hex))
        #expect(client.isClosed(withinMs: closes ? 5000 : 150) == closes)
    }

    /// Sixteen MiB are read, an unregistered frame is counted, an empty one skipped; all on one connection.
    @Test func toleratesMuch() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver(inbox: inbox)
        defer { receiver.stop() }
        let client = Client(port: receiver.port)
        client.write(frame(.metrics, [UInt8](repeating: 0, count: FrameHeader.maxPayload)))
        client.write(bytes("0000000600aa"))
        client.write(bytes("00000013030080000000000000000000070000"))
        client.write(frame(.k8sEvent, [1], encoder: .zstd))
        client.write(frame(.agentStats, [5, 0, 0, 0, 1, 2, 3, 4]))
        #expect(eventually { inbox.all.count == 2 })
        let all = inbox.all
        #expect(all.map(\.type).contains(.metrics) && all.map(\.type).contains(.agentStats))
        #expect(all.map(\.bytes.count).max() == FrameHeader.maxPayload)
        #expect(receiver.counters.unregistered == 2)
        #expect(receiver.counters.invalid == 1)
        #expect(receiver.counters.rxPackets == 4)
        #expect(receiver.counters.connections == 1)
    }

    @Test func normalises() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver(inbox: inbox)
        defer { receiver.stop() }
        let client = Client(port: receiver.port)
        client.write(frame(.metrics, [1], identity: FrameIdentity(agentID: 0, teamID: 0, orgID: 0)))
        client.write(frame(.metrics, [2], identity: FrameIdentity(agentID: 8, teamID: 0x1_0005, orgID: 1025)))
        client.write(frame(.metrics, [3], identity: FrameIdentity(agentID: 9, teamID: 3, orgID: 1024)))
        // Legacy header: org and team are not taken from it.
        client.write(bytes("0000001403d588340105000000060000000b0004"))
        #expect(eventually { inbox.all.count == 4 })
        let all = inbox.all.sorted { $0.bytes[0] < $1.bytes[0] }
        #expect(all.map(\.orgID) == [1, 1, 1024, 1])
        #expect(all.map(\.teamID) == [1, 5, 3, 1])
        #expect(all.map(\.agentID) == [0, 8, 9, 11])
        #expect(all.allSatisfy { $0.sender.text == "127.0.0.1" && !$0.sender.isIPv6 })
        #expect(receiver.counters.invalid == 1, "org above 1024")
        #expect(Set(receiver.communicatingAgents.map(\.agentID)) == [0, 8, 9, 11])
    }

    /// Damaged and unknown compression: the first is handed on as it came, the second dropped, both keep the connection.
    @Test func compression() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver({ $0.inflateLimit = 1000 }, inbox: inbox)
        defer { receiver.stop() }
        var compressor = try compressor()
        var good: [UInt8] = []
        var bomb: [UInt8] = []
        #expect([UInt8]([0, 0, 0, 0]).withUnsafeBytes { compressor.compress($0, into: &good) })
        #expect([UInt8](repeating: 0, count: 1001).withUnsafeBytes { compressor.compress($0, into: &bomb) })
        let client = Client(port: receiver.port)
        client.write(frame(.metrics, [9, 9, 9], encoder: .zstd))
        client.write(frame(.metrics, bomb, encoder: .zstd))
        var unknown = frame(.metrics, [1])
        unknown[7] = 4
        client.write(unknown)
        client.write(frame(.metrics, good, encoder: .zstd))
        #expect(eventually { inbox.all.count == 3 })
        let damaged = inbox.all.filter(\.isDamaged).map(\.bytes)
        #expect(damaged == [[9, 9, 9], bomb])
        #expect(inbox.all.filter { !$0.isDamaged }.map(\.bytes) == [[0, 0, 0, 0]])
        #expect(receiver.counters.inflateErrors == 2)
        #expect(receiver.counters.invalid == 1)
    }

    private func compressor() throws -> ZstdCompressor {
        guard let made = ZstdCompressor() else { throw InflateError.outOfMemory }
        return made
    }

    /// Cut anywhere, with pauses in which the receiver reads.
    @Test func splitWrites() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver(inbox: inbox)
        let one = frame(.metrics, [1, 2, 3])
        for cut in 0...one.count {
            let client = Client(port: receiver.port)
            client.write(Array(one[..<cut]))
            if cut % 4 == 0 { usleep(2000) }
            client.write(Array(one[cut...]) + one)
        }
        #expect(eventually { inbox.all.count == 2 * (one.count + 1) })
        receiver.stop()
        #expect(inbox.all.allSatisfy { $0.bytes == [1, 2, 3] })
        #expect(receiver.counters.connections == 0)
        #expect(receiver.waitingBytes == inbox.all.count * 3, "what the inbox still holds")
    }

    @Test func datagrams() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver(types: [.serverStats], inbox: inbox)
        defer { receiver.stop() }
        let client = Client(port: receiver.port, datagrams: true)
        client.write([0, 0, 0])
        client.write(bytes("0000001302008000"))
        client.write(bytes("0000001416" + "0080000000000000000000000000"))
        // `frame_size` says 19; the datagram's length counts.
        client.write(bytes("0000001302008000000000000000000000000000" + "0000") + [7])
        #expect(eventually { inbox.all.count == 1 && receiver.counters.invalid == 3 })
        #expect(inbox.all.first?.transport == .udp)
        #expect(inbox.all.first?.bytes == [0, 0, 0, 7])
        #expect(receiver.counters.rxPackets == 0 && receiver.counters.rxDatagrams == 1)
    }

    @Test func connectionsAreBounded() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver({ $0.maxConnections = 2 }, inbox: inbox)
        defer { receiver.stop() }
        let first = Client(port: receiver.port)
        let second = Client(port: receiver.port)
        #expect(!first.isClosed(withinMs: 50) && !second.isClosed(withinMs: 50))
        let third = Client(port: receiver.port)
        #expect(third.isClosed(withinMs: 5000))
        #expect(eventually { receiver.counters.refusedConnections == 1 })
        first.write(frame(.metrics, [1]))
        #expect(eventually { inbox.all.count == 1 })
    }

    @Test func stallInsideAFrame() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver({ $0.stallTimeoutS = 1 }, inbox: inbox)
        defer { receiver.stop() }
        let idle = Client(port: receiver.port)
        let stalled = Client(port: receiver.port)
        stalled.write([0, 0])
        #expect(stalled.isClosed(withinMs: 8000))
        #expect(!idle.isClosed(withinMs: 50), "between frames an agent may be silent for long")
        #expect(receiver.counters.stalledConnections == 1)
    }

    /// Bytes in half-read frames count too.
    @Test func waitingBytesAreBounded() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver({ $0.maxWaitingBytes = 1_000_000 }, inbox: inbox)
        defer { receiver.stop() }
        let client = Client(port: receiver.port)
        client.write(Array(frame(.metrics, [UInt8](repeating: 0, count: 2_000_000)).dropLast()))
        #expect(client.isClosed(withinMs: 5000))
        #expect(eventually { receiver.counters.overBudget == 1 && receiver.waitingBytes == 0 })
    }

    @Test func stopTakesWhatHasArrived() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver({ $0.batchAgeMs = 60_000 }, inbox: inbox)
        let client = Client(port: receiver.port)
        for index in 0..<100 { client.write(frame(.metrics, [UInt8(index)])) }
        #expect(eventually { receiver.counters.rxPackets == 100 })
        receiver.stop()
        #expect(inbox.all.map { Int($0.bytes[0]) }.sorted() == Array(0..<100))
        #expect(client.isClosed(withinMs: 1000))
    }

    @Test func takenPort() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver(inbox: inbox)
        defer { receiver.stop() }
        var settings = Receiver.Settings()
        settings.port = receiver.port
        let second = Receiver(settings)
        #expect(throws: Failure.self) { try second.start() }
        second.stop()
        settings.address = "nowhere"
        let third = Receiver(settings)
        #expect {
            try third.start()
        } throws: { ($0 as? Failure)?.exitCode == .usage }
    }

    @Test func randomBytes() throws {
        let inbox = Inbox()
        let receiver = try makeReceiver(types: MessageType.allCases, inbox: inbox)
        var state: UInt64 = 51
        func next() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        for round in 0..<40 {
            var noise = (0..<300).map { _ in next() }
            if round % 2 == 0 { noise.replaceSubrange(0..<5, with: [0, 0, 0, 20 + next() % 200, next() % 22]) }
            Client(port: receiver.port).write(noise)
            Client(port: receiver.port, datagrams: true).write(noise)
        }
        // It still listens.
        let client = Client(port: receiver.port)
        client.write(frame(.metrics, [42]))
        #expect(eventually { inbox.all.contains { $0.bytes == [42] } })
        receiver.stop()
    }
}

struct PayloadBatcherTests {
    private func route(_ queues: Int) -> (PayloadRoute, [PayloadRoute?]) {
        let route = PayloadRoute(
            queues: (0..<queues).map { OverwriteQueue<ReceivedPayload>(name: "q\($0)", capacity: 64) })
        var routes = [PayloadRoute?](repeating: nil, count: 256)
        routes[3] = route
        return (route, routes)
    }

    /// Sixteen a put, queues in turn, leftovers after their time.
    @Test func batches() {
        let (route, routes) = route(2)
        var batcher = PayloadBatcher(routes: routes, batchItems: 16, maxAgeNs: 3_000_000_000)
        for turn in 1...31 as ClosedRange<UInt64> {
            batcher.put(ReceivedPayload(type: .metrics, bytes: [UInt8(turn)]), turn: turn, nowNs: 0)
        }
        #expect(route.queues[1].snapshot().waiting == 16)
        #expect(route.queues[0].snapshot().waiting == 0)
        batcher.flush(nowNs: 2_999_999_999)
        #expect(route.queues[0].snapshot().waiting == 0)
        batcher.flush(nowNs: 3_000_000_000)
        #expect(route.queues[0].snapshot().waiting == 15)
        batcher.put(ReceivedPayload(type: .metrics, bytes: []), turn: 0, nowNs: 3_000_000_000)
        batcher.flush(nowNs: 3_000_000_000, all: true)
        #expect(route.queues[0].snapshot().waiting == 16)
        #expect(!batcher.hasRoute(.l4Log))
    }
}
