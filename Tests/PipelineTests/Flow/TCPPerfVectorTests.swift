import Model
import Testing

@testable import Pipeline

/// Cumulative counters after each packet. Source: agent-flow.md 19.1.
@Suite(.enabled(if: CaptureVectors.arePresent, "the L4 captures are absent"))
struct TCPPerfVectorTests {
    /// By capture: packet number and the counters that change there. A latency names its greatest value; sum and
    /// count (`_sum`, `_n`) are those of one value unless given.
    private static let tables: [(capture: String, packets: Int, changes: String)] = [
        ("rtt-syn-2-ack", 7, "1 syn=1; 2 rtt_1=216300 synack=1; 3 rtt_0=9100 full=225400; 5 fin=1; 6 fin=2"),
        ("rtt-200ms-window-update", 7, "1 syn=1; 2 rtt_1=216300 synack=1; 3 rtt_0=9100 full=225400; 5 fin=1; 6 fin=2"),
        (
            "rtt-rtt-2", 17,
            """
            1 syn=1; 2 rtt_1=10143 synack=1; 3 rtt_0=15512 full=25655; 4 cit=10141; 5 rs=1 r0=1; 6 rs=2 r0=2;
            7 rs=3 r0=3; 8 rs=4 r0=4; 9 rs=5 r1=1 synack=2 rsa=1; 11 rs=6 r0=5; 12 art_1=809; 13 srt_0=182; 14 fin=1;
            16 fin=2
            """
        ),
        (
            "client-keep-alive", 10,
            "1 syn=1; 2 rtt_1=751 synack=1; 3 rtt_0=74 full=825; 5 cit=816949; 7 fin=1; 9 fin=2"
        ),
        (
            "syn-retrans", 8,
            """
            1 syn=1; 2 rs=1 r0=1 rsyn=1 syn=2; 3 rtt_1=316300 synack=1; 4 rtt_0=9100 full=325400; 6 fin=1; 7 fin=2
            """
        ),
        (
            "syn-syn-ack-retrans", 9,
            """
            1 syn=1; 2 rs=1 r0=1 rsyn=1 syn=2; 3 rtt_1=316300 synack=1;
            4 rtt_1_n=2 rtt_1_sum=848900 rtt_1=532600 rs=2 r1=1 rsa=1 synack=2; 5 rtt_0=225400 full=541700; 7 fin=1;
            8 fin=2
            """
        ),
        (
            "syn-syn-ack-retrans-2", 9,
            """
            1 syn=1; 2 rtt_1=216300 synack=1; 3 rs=1 r0=1 rsyn=1 syn=2;
            4 rtt_1_n=2 rtt_1_sum=748900 rtt_1=532600 rs=2 r1=1 rsa=1 synack=2; 5 rtt_0=325400 full=541700; 7 fin=1;
            8 fin=2
            """
        ),
        ("out-of-order", 7, "1 synack=1; 2 syn=1; 5 fin=1; 6 fin=2"),
        (
            "art-continues-payload-len-larger-than-1", 14,
            """
            1 syn=1; 2 rtt_1=10226 synack=1; 3 rtt_0=20322 full=30548; 4 cit=15033; 5 srt_1=10040; 6 art_1=30358; 9 fin=1;
            13 fin=2
            """
        ),
        ("xiangdao-retrans", 13, "6 rs=1 r0=1; 9 rs=2 r0=2"),
    ]

    @Test(arguments: tables.indices) func countersAfterEachPacket(index: Int) throws {
        let table = TCPPerfVectorTests.tables[index]
        let packets = try CaptureVectors.packets(table.capture)
        #expect(packets.count == table.packets)
        let changes = TCPPerfVectorTests.parse(table.changes)
        var bench = PerfBench()
        var lists = Pool(initial: SequenceList())
        var expected: [String: UInt64] = [:]
        for (index, packet) in packets.enumerated() {
            bench.run([packet], lists: &lists)
            for (name, value) in changes[index + 1] ?? [] {
                expected[name] = value
                guard ["rtt_0", "rtt_1", "srt_0", "srt_1", "art_0", "art_1", "cit"].contains(name) else { continue }
                if expected[name + "_n"] == nil { expected[name + "_n"] = 1 }
                if expected[name + "_sum"] == nil { expected[name + "_sum"] = value }
            }
            // Windows are not part of these vectors.
            let actual = bench.named.filter { !$0.key.hasPrefix("zero") }
            #expect(actual == expected, "\(table.capture), packet \(index + 1)")
        }
    }

    private static func parse(_ text: String) -> [Int: [(String, UInt64)]] {
        var changes: [Int: [(String, UInt64)]] = [:]
        for step in text.split(separator: ";") {
            let words = step.split { $0 == " " || $0 == "\n" }
            guard let number = words.first.flatMap({ Int($0) }) else { continue }
            changes[number] = words.dropFirst().compactMap { word in
                let parts = word.split(separator: "=")
                return UInt64(parts[1]).map { (String(parts[0]), $0) }
            }
        }
        return changes
    }

    /// Lists of the client of xiangdao-retrans, whose sequence numbers wrap.
    @Test func sequenceListAcrossTheWrap() throws {
        let packets = try CaptureVectors.packets("xiangdao-retrans")
        let expected: [Int: SequenceList.Segment] = [
            1: .init(seq: 4_294_966_404, length: 6), 2: .init(seq: 4_294_966_404, length: 606),
            3: .init(seq: 4_294_966_404, length: 612), 7: .init(seq: 339, length: 4),
            8: .init(seq: 339, length: 10), 10: .init(seq: 339, length: 613),
        ]
        var client = SequenceList()
        var server = SequenceList()
        for (index, packet) in packets.enumerated() where packet.hasValidPayload {
            if packet.ipSrc == packets[0].ipSrc {
                _ = client.assess(seq: packet.seq, length: UInt32(packet.l4PayloadLen))
            } else {
                _ = server.assess(seq: packet.seq, length: UInt32(packet.l4PayloadLen))
            }
            if let only = expected[index + 1] { #expect(client.list == [only], "packet \(index + 1)") }
        }
        #expect(server.list.isEmpty)
    }
}

/// Counters of one report and the next. Source: agent-flow.md 19.2.
@Suite(.enabled(if: CaptureVectors.arePresent, "the L4 captures are absent"))
struct TCPPerfReportTests {
    private let packets: [MetaPacket]

    init() throws { packets = try CaptureVectors.packets("art-continues-payload-len-larger-than-1") }

    private static func one(_ us: UInt32) -> LatencyStats {
        var latency = LatencyStats()
        latency.add(us)
        return latency
    }

    private static func stats(_ fill: (inout TCPPerfStats) -> Void) -> TCPPerfStats {
        var stats = TCPPerfStats()
        fill(&stats)
        return stats
    }

    /// Reports after `first` packets and at the end.
    /// - Parameter later: what follows the first report; nil = the rest of the capture.
    private func reports(
        after first: Int, of packets: [MetaPacket], then later: [MetaPacket]? = nil, isReversed: Bool = false
    ) -> [TCPPerfStats] {
        var bench = PerfBench()
        var lists = Pool(initial: SequenceList())
        // Always the same client, whichever packets are left out.
        bench.run(packets.prefix(first), lists: &lists)
        let early = bench.report(isReversed: isReversed)
        bench.run(later ?? Array(packets.dropFirst(first)), lists: &lists)
        return [early, bench.report(isReversed: isReversed)]
    }

    @Test func atTheEnd() {
        let all = TCPPerfReportTests.stats {
            $0.rttClient = TCPPerfReportTests.one(20322)
            $0.rttServer = TCPPerfReportTests.one(10226)
            $0.srt = TCPPerfReportTests.one(10040)
            $0.art = TCPPerfReportTests.one(30358)
            $0.cit = TCPPerfReportTests.one(15033)
            $0.rtt = 30548
            $0.synCount = 1
            $0.synAckCount = 1
            $0.finCount = 2
        }
        #expect(reports(after: 14, of: packets).first == all)
        var turned = all
        turned.srt = LatencyStats()
        turned.art = LatencyStats()
        #expect(reports(after: 14, of: packets, isReversed: true).first == turned)
    }

    @Test func afterTheHandshakeAndAtTheEnd() {
        let expected = [
            TCPPerfReportTests.stats {
                $0.rttClient = TCPPerfReportTests.one(20322)
                $0.rttServer = TCPPerfReportTests.one(10226)
                $0.rtt = 30548
                $0.synCount = 1
                $0.synAckCount = 1
            },
            TCPPerfReportTests.stats {
                $0.srt = TCPPerfReportTests.one(10040)
                $0.art = TCPPerfReportTests.one(30358)
                $0.cit = TCPPerfReportTests.one(15033)
                $0.finCount = 2
            },
        ]
        #expect(reports(after: 3, of: packets) == expected)
    }

    @Test func insideTheHandshakeAndAtTheEnd() {
        let expected = [
            TCPPerfReportTests.stats {
                $0.rttServer = TCPPerfReportTests.one(10226)
                $0.synCount = 1
                $0.synAckCount = 1
            },
            TCPPerfReportTests.stats {
                $0.rttClient = TCPPerfReportTests.one(20322)
                $0.rtt = 30548
                $0.srt = TCPPerfReportTests.one(10040)
                $0.art = TCPPerfReportTests.one(30358)
                $0.cit = TCPPerfReportTests.one(15033)
                $0.finCount = 2
            },
        ]
        #expect(reports(after: 2, of: packets) == expected)
    }

    @Test func withoutTheFirstOrTheThirdPacket() {
        let end = TCPPerfReportTests.stats {
            $0.srt = TCPPerfReportTests.one(10040)
            $0.art = TCPPerfReportTests.one(30358)
            $0.finCount = 2
        }
        // The first packet is lost: the SYN-ACK comes first, its sender is the server all the same.
        var bench = PerfBench(client: packets[0])
        var lists = Pool(initial: SequenceList())
        bench.run(packets[1..<3], lists: &lists)
        #expect(bench.report() == TCPPerfReportTests.stats { $0.synAckCount = 1 })
        bench.run(packets[3...], lists: &lists)
        #expect(bench.report() == end)

        let third = reports(after: 2, of: Array(packets[..<2] + packets[3...]))
        #expect(
            third.first
                == TCPPerfReportTests.stats {
                    $0.rttServer = TCPPerfReportTests.one(10226)
                    $0.synCount = 1
                    $0.synAckCount = 1
                })
        #expect(third.last == end)
    }

    /// The whole capture follows its own first three packets a minute later.
    @Test(arguments: [(false, UInt32(15033)), (true, UInt32(35355))])
    func theSameConnectionAgain(withoutThird: Bool, idle: UInt32) {
        var again = packets
        for index in again.indices { again[index].timeNs += 60_000_000_000 }
        if withoutThird { again.remove(at: 2) }
        let second = reports(after: 3, of: packets, then: again).last
        let expected = TCPPerfReportTests.stats {
            $0.srt = TCPPerfReportTests.one(10040)
            $0.art = TCPPerfReportTests.one(30358)
            $0.cit = TCPPerfReportTests.one(idle)
            $0.synCount = 1
            $0.synAckCount = 1
            $0.retransSyn = 1
            $0.retransSynAck = 1
            $0.finCount = 2
            $0.tx.retrans = 1
            $0.rx.retrans = 1
            $0.totalRetrans = 2
        }
        #expect(second == expected)
    }
}
