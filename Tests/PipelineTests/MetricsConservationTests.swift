import Model
import Testing

@testable import Pipeline

/// Nothing is lost or counted twice on the way from second records to documents and logs.
@Suite struct MetricsConservationTests {
    private struct Sum: Equatable {
        var packets: UInt64 = 0
        var bytes: UInt64 = 0
        var new: UInt64 = 0
        var closed: UInt64 = 0
        var srt: UInt64 = 0
        var retrans: UInt64 = 0
        var requests: UInt64 = 0
    }

    private func sum(_ documents: [Document]) -> Sum {
        var sum = Sum()
        for document in documents where document.tag.isEdge {
            let meter = document.flowMeter
            sum.packets += meter.packetTx + meter.packetRx
            sum.bytes += meter.byteTx + meter.byteRx
            sum.new += meter.newFlow
            sum.closed += meter.closedFlow
            sum.srt += meter.srt.sum
            sum.retrans += meter.retransTx + meter.retransRx
            sum.requests += UInt64(meter.l7Request)
        }
        return sum
    }

    private func sum(_ flows: [TaggedFlow]) -> Sum {
        var sum = Sum()
        for flow in flows {
            sum.packets += flow.src.packetCount + flow.dst.packetCount
            sum.bytes += flow.src.byteCount + flow.dst.byteCount
            sum.new += flow.isNewFlow ? 1 : 0
            sum.closed += flow.closeType != CloseType.forcedReport.rawValue ? 1 : 0
            sum.srt += flow.perf.tcp.srt.sum
            sum.retrans += UInt64(flow.perf.tcp.tx.retrans) + UInt64(flow.perf.tcp.rx.retrans)
            sum.requests += UInt64(flow.perf.l7.requestCount)
        }
        return sum
    }

    /// Three minutes of random flows of both families: some thousand second records in batches of uneven size.
    private func traffic(seed: UInt64) -> [[TaggedFlow]] {
        var random = SeededGenerator(seed: seed)
        func below(_ bound: Int) -> Int { random.index(below: bound) }
        struct Open {
            var flow: TaggedFlow
            var left: Int
        }
        var open: [Open] = []
        var batches: [[TaggedFlow]] = []
        var id: UInt64 = 0
        for second in baseSeconds..<baseSeconds + 180 {
            for _ in 0..<below(12) {
                id += 1
                var flow = below(3) == 0 ? Flows.udp(id: id, at: second) : Flows.tcp(id: id, at: second)
                if below(4) == 0 {
                    flow.ethType = EtherType.ipv6
                    flow.key.ipSrc = IPAddress(high: 0xfd00_0000_0000_0000, low: UInt64(below(20)))
                    flow.key.ipDst = IPAddress(high: 0xfd00_0000_0000_0001, low: UInt64(below(3)))
                } else {
                    flow.key.ipSrc = IPAddress(v4: 0x0a00_0000 + UInt32(below(20)))
                    flow.key.ipDst = IPAddress(v4: 0x0a00_0100 + UInt32(below(3)))
                }
                flow.src.realIP = flow.key.ipSrc
                flow.dst.realIP = flow.key.ipDst
                flow.srcDirection = [0, 1, 1, 9][below(4)]
                flow.isNewFlow = true
                open.append(Open(flow: flow, left: 1 + below(90)))
            }
            var batch: [TaggedFlow] = []
            for index in open.indices {
                open[index].left -= 1
                var flow = open[index].flow
                open[index].flow.isNewFlow = false
                flow.flowStatTimeNs = second * 1_000_000_000
                flow.src.packetCount = UInt64(below(100))
                flow.dst.packetCount = UInt64(below(100))
                flow.src.byteCount = UInt64(below(1 << 20))
                flow.dst.byteCount = UInt64(below(1 << 20))
                if flow.key.proto == IPProtocol.tcp, below(2) == 0 {
                    flow.perf.tcp.srt.add(UInt32(below(1000)))
                    flow.perf.tcp.tx.retrans = UInt32(below(3))
                    flow.perf.tcp.rx.retrans = UInt32(below(3))
                }
                if below(3) == 0 {
                    flow.perf.l7Protocol = 20
                    flow.perf.l7.requestCount = UInt32(below(5))
                }
                if open[index].left == 0 { flow.closeType = CloseType.finish.rawValue }
                batch.append(flow)
            }
            open.removeAll { $0.left == 0 }
            while !batch.isEmpty {
                let length = min(batch.count, 1 + below(300))
                batches.append(Array(batch.prefix(length)))
                batch.removeFirst(length)
            }
        }
        return batches
    }

    private func run(_ batches: [[TaggedFlow]], ticks: Bool = true) -> RecordingSink {
        let sink = RecordingSink()
        let stage = MetricsStage(sink: sink)
        for batch in batches {
            stage.handle(flows: batch)
            if ticks, let last = batch.last { stage.tick(nowNs: last.flowStatTimeNs) }
        }
        stage.finish()
        return sink
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func documentsAndLogsHoldWhatTheFlowsHeld(seed: UInt64) {
        let batches = traffic(seed: seed)
        let flows = batches.flatMap { $0 }
        let sink = run(batches)
        let expected = sum(flows)
        #expect(expected.packets > 0)
        #expect(sum(sink.seconds) == expected)
        #expect(sum(sink.minutes) == expected)
        var logged = sum(sink.logs)
        // A flow's later logs are not new, so both counts hold for logs as well.
        #expect(logged.closed == expected.closed)
        logged.closed = expected.closed
        #expect(logged == expected)
        #expect(sink.largestBatch <= 1024)
    }

    @Test func secondDocumentsComeInOrderOfTheirSlots() {
        let sink = run(traffic(seed: 4))
        let times = sink.seconds.map(\.timestamp)
        #expect(times == times.sorted())
        // Within a slot no two documents have the same tag.
        var seen = Set<[UInt64]>()
        for document in sink.seconds {
            let field = document.tag.field
            let tag = [
                UInt64(document.timestamp), document.tag.code, field.ip.high, field.ip.low, field.ip1.high,
                field.ip1.low, UInt64(field.proto), UInt64(field.direction),
            ]
            #expect(seen.insert(tag).inserted)
        }
    }

    @Test func aReplayIsTheSameEveryTime() {
        let batches = traffic(seed: 5)
        let first = run(batches)
        let second = run(batches)
        let tags = { (sink: RecordingSink) in
            (sink.seconds + sink.minutes).map {
                [
                    UInt64($0.timestamp), $0.tag.code, $0.tag.field.ip.low, $0.tag.field.ip1.low,
                    UInt64($0.tag.field.proto), $0.flowMeter.byteTx,
                ]
            }
        }
        #expect(tags(first) == tags(second))
        #expect(first.logs.map(\.flowID) == second.logs.map(\.flowID))
        // Batching does not matter either.
        let cut = run(batches, ticks: false)
        let whole = run([batches.flatMap { $0 }], ticks: false)
        #expect(whole.logs.map(\.flowID) == cut.logs.map(\.flowID))
        #expect(tags(whole) == tags(cut))
    }
}
