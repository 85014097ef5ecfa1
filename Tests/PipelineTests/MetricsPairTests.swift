import Model
import Testing

@testable import Pipeline

/// Quadruples whose pair is a document of its own, and what few flows have.
@Suite struct MetricsPairTests {
    @Test func aQuadrupleIsTwoCacheLines() {
        #expect(MemoryLayout<FlowMeterWithFlow>.stride == 128)
        #expect(MemoryLayout<FlowMeterWithFlow>.offset(of: \.byteTx) == 64)
        #expect(MemoryLayout<AppSlot.FlowRecord>.stride == 80)
    }

    private func traffic(seed: UInt64) -> [TaggedFlow] {
        var random = SeededGenerator(seed: seed)
        func below(_ bound: Int) -> Int { random.index(below: bound) }
        return (0..<600).map { number in
            var flow = below(3) == 0 ? Flows.udp(at: baseSeconds) : Flows.tcp(at: baseSeconds)
            flow.flowID = UInt64(number)
            if below(4) == 0 {
                flow.ethType = EtherType.ipv6
                flow.key.ipSrc = IPAddress(high: 0xfd00_0000_0000_0000, low: UInt64(below(9)))
                flow.key.ipDst = IPAddress(high: 0xfd00_0000_0000_0001, low: UInt64(below(3)))
            } else {
                flow.key.ipSrc = IPAddress(v4: 0x0a00_0000 + UInt32(below(9)))
            }
            flow.src.realIP = flow.key.ipSrc
            flow.dst.realIP = flow.key.ipDst
            flow.src.l3EpcID = below(2) == 0 ? -2 : 7
            flow.isNewFlow = below(2) == 0
            flow.closeType = below(2) == 0 ? CloseType.finish.rawValue : CloseType.forcedReport.rawValue
            if below(2) == 0 { flow.perf.tcp.art.add(UInt32(below(100))) }
            if below(4) == 0 { flow.perf.tcp.rttClient.add(UInt32(below(100))) }
            if below(8) == 0 { flow.perf.tcp.tx.retrans = 1 }
            return flow
        }
    }

    /// Documents that are planned, because one flow's pair may be another's, are those that are not.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func pairsAreDocumentsOfTheirOwn(seed: UInt64) {
        let flows = traffic(seed: seed)
        var odd = Flows.tcp(at: baseSeconds)
        odd.key.tapPort = 99
        odd.tunnel.type = TunnelType.vxlan.rawValue
        let direct = replay(flows).seconds
        let planned = replay(flows + [odd]).seconds
        #expect(direct.count + 1 == planned.count)
        for (one, other) in zip(direct, planned) {
            #expect(one.flowMeter == other.flowMeter)
            #expect(one.tag.field.ip == other.tag.field.ip && one.tag.field.ip1 == other.tag.field.ip1)
            #expect(one.tag.field.l3EpcID == other.tag.field.l3EpcID)
        }
    }

    @Test func pairsThatDifferInNothingShownAreOneDocument() {
        var tunnelled = Flows.tcp(id: 2, at: baseSeconds)
        tunnelled.tunnel.type = TunnelType.vxlan.rawValue
        var captured = Flows.tcp(id: 3, at: baseSeconds)
        captured.key.ipSrc = IPAddress(v4: 0x0a00_0009)
        let sink = replay([Flows.tcp(at: baseSeconds), tunnelled, captured])
        #expect(sink.seconds.map(\.flowMeter.packetTx) == [3])
    }

    @Test func processesAreApart() {
        var other = Flows.tcp(id: 2, at: baseSeconds)
        other.dst.gpid = 7
        let sink = replay([Flows.tcp(at: baseSeconds), other, other, Flows.tcp(at: baseSeconds)])
        #expect(sink.seconds.map(\.flowMeter.packetTx) == [2, 2])
        #expect(sink.seconds.map(\.tag.field.gpid1) == [0, 7])
    }

    @Test func factsThatDoNotFit() {
        var flow = Flows.tcp(at: baseSeconds)
        flow.key.tapType = 256
        flow.dst.realPort = 8080
        let field = replay([flow]).seconds.first?.tag.field
        #expect(field?.tapType == 256)
        #expect(field?.serverPort == 8080)
        let app = replay([], l7Stats: [Flows.l7(flow, at: baseSeconds)]).seconds.first?.tag.field
        #expect(app?.tapType == 256)
        #expect(app?.serverPort == 8080)
    }

    @Test func sampledFlowsAreNoConnections() {
        var flow = Flows.tcp(at: baseSeconds)
        flow.isNewFlow = true
        var sampled = flow
        sampled.signalSource = SignalSource.xflow.rawValue
        sampled.isActiveService = true
        let meter = replay([flow, sampled, sampled]).seconds.first?.flowMeter
        #expect(meter?.newFlow == 3)
        #expect(meter?.load == 1)
    }

    @Test func loadsWithoutConnectionsFollowTheMerges() {
        var flow = Flows.tcp(at: baseSeconds)
        flow.key.proto = IPProtocol.icmp
        flow.isNewFlow = true
        #expect(replay([flow]).seconds.map(\.flowMeter.load) == [0])
        #expect(replay([flow, flow, flow]).seconds.map(\.flowMeter.load) == [2])
        var closed = flow
        closed.isNewFlow = false
        closed.closeType = CloseType.finish.rawValue
        #expect(replay([flow, flow, closed]).seconds.map(\.flowMeter.load) == [1])
        #expect(replay([flow, flow, closed, closed]).seconds.map(\.flowMeter.load) == [0])
    }
}
