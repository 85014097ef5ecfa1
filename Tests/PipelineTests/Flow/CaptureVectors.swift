import Capture
import Foundation
import Model
import Testing

@testable import Pipeline

/// Packets of the L4 captures beside the repository.
enum CaptureVectors {
    static let folder = TestVectors.root.appendingPathComponent("l4")

    /// Whether the captures are there; absent, tests that need them are skipped.
    static let arePresent = FileManager.default.fileExists(atPath: folder.appendingPathComponent("index.jsonl").path)

    /// All packets of a capture in file order, as a replay parses them.
    static func packets(_ name: String) throws -> [MetaPacket] {
        let file = try CaptureFile(path: folder.appendingPathComponent(name + ".pcap").path)
        let frames = UnsafeMutableBufferPointer<CaptureFrame>.allocate(capacity: 16)
        defer { frames.deallocate() }
        frames.initialize(repeating: CaptureFrame())
        var packets: [MetaPacket] = []
        while true {
            let count = file.next(into: frames)
            if count == 0 { return packets }
            for frame in frames[..<count] {
                var packet = MetaPacket()
                let bytes = RawSpan(_unsafeBytes: frame.bytes)
                #expect(PacketParser.parse(bytes, link: .ethernet, originalLength: 0, into: &packet))
                packet.timeNs = frame.timeNs
                packet.l2End0 = true
                packet.l2End1 = true
                packets.append(packet)
            }
        }
    }
}

/// One TCP connection through the per-packet engine alone; the sender of the first packet is the client.
struct PerfBench {
    var perf = TCPPerf()
    var counts = TCPCounts()
    var counters = FlowPerfCounters()
    private var client: IPAddress?

    init() {}

    /// - Parameter first: a packet of the client.
    init(client first: MetaPacket) { client = first.ipSrc }

    /// - Parameter lists: of the connection, kept by the caller between calls.
    mutating func run(_ packets: some Sequence<MetaPacket>, lists: inout Pool<SequenceList>) {
        for packet in packets {
            var packet = packet
            let isClient = client.map { $0 == packet.ipSrc } ?? true
            if client == nil { client = packet.ipSrc }
            _ = perf.parse(
                &packet, direction: isClient ? .clientToServer : .serverToClient, counts: &counts, lists: &lists,
                counters: &counters)
        }
    }

    /// What was counted since the last report; does not start a new period.
    func totals(isReversed: Bool = false) -> TCPPerfStats {
        var (stats, counts) = (TCPPerfStats(), counts)
        perf.report(&counts, isReversed: isReversed, into: &stats)
        return stats
    }

    mutating func report(isReversed: Bool = false) -> TCPPerfStats {
        let stats = totals(isReversed: isReversed)
        // As when the flow takes room for its counts anew.
        if perf.endPeriod(&counts) { counts = TCPCounts() }
        return stats
    }

    /// Counters that are not zero, by the names of agent-flow.md 19.1; latencies in µs.
    var named: [String: UInt64] {
        let stats = totals()
        let reversed = totals(isReversed: true)
        var named: [String: UInt64] = [
            "syn": UInt64(stats.synCount), "synack": UInt64(stats.synAckCount), "fin": UInt64(stats.finCount),
            "rs": UInt64(stats.totalRetrans), "r0": UInt64(stats.tx.retrans), "r1": UInt64(stats.rx.retrans),
            "rsyn": UInt64(stats.retransSyn), "rsa": UInt64(stats.retransSynAck), "full": UInt64(stats.rtt),
            "zero0": UInt64(stats.tx.zeroWin), "zero1": UInt64(stats.rx.zeroWin),
            "ooo0": UInt64(stats.tx.outOfOrder), "ooo1": UInt64(stats.rx.outOfOrder),
        ]
        let latencies = [
            ("rtt_0", stats.rttClient), ("rtt_1", stats.rttServer), ("srt_0", reversed.srt), ("srt_1", stats.srt),
            ("art_0", reversed.art), ("art_1", stats.art), ("cit", stats.cit),
        ]
        for (name, latency) in latencies {
            named[name] = UInt64(latency.max)
            named[name + "_n"] = UInt64(latency.count)
            named[name + "_sum"] = latency.sum
        }
        return named.filter { $0.value != 0 }
    }
}
