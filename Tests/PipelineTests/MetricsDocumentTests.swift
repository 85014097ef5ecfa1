import Model
import Testing

@testable import Pipeline

/// Documents: which, with what code, tag and meter. Source: agent-flow.md 13, 14, 19.5.
@Suite struct MetricsDocumentTests {
    @Test func packetsAddUpAndTurnRoundAtTheServer() throws {
        var first = Flows.tcp(at: baseSeconds)
        first.dstDirection = TapSide.server.rawValue
        first.dst.packetCount = 0
        first.directionScore = 200
        first.perf.tcp.tx.retrans = 4
        var second = first
        second.src.packetCount = 2
        let sink = replay([first, second])
        try #require(sink.seconds.count == 2)
        let single = sink.seconds[0]
        let edge = sink.seconds[1]
        #expect(edge.flowMeter.packetTx == 3)
        #expect(edge.flowMeter.packetRx == 0)
        #expect(edge.flowMeter.directionScore == 200)
        #expect(single.flowMeter.packetRx == 3)
        #expect(single.flowMeter.packetTx == 0)
        #expect(single.flowMeter.directionScore == 0)
        // Performance is the client's and the server's at both ends.
        #expect(single.flowMeter.retransTx == 8)
        #expect(edge.flowMeter.retransTx == 8)
    }

    @Test(arguments: [
        (TapSide.rest, TapSide.rest, [UInt64(0x0003_ac08_0030_0000)]),
        (.client, .rest, [0x0000_ad00_0000_8003, 0x0003_ac08_0030_0000]),
        (.rest, .server, [0x0000_ad00_0000_8003, 0x0003_ac08_0030_0000]),
        (.clientNode, .rest, [0x0003_ac08_0030_0000]),
        (.rest, .serverGateway, [0x0003_ac08_0030_0000]),
        (.client, .server, [0x0003_ac08_0030_0000]),
        (.rest, .local, [0x0000_ad00_0000_8803, 0x0003_ac08_8030_0000]),
    ])
    func kindsFollowTheKnownEnds(src: TapSide, dst: TapSide, codes: [UInt64]) {
        var flow = Flows.tcp(at: baseSeconds)
        flow.srcDirection = src.rawValue
        flow.dstDirection = dst.rawValue
        let sink = replay([flow])
        #expect(sink.seconds.map(\.tag.code) == codes)
        #expect(sink.minutes.map(\.tag.code) == codes)
        let known = src == .rest ? dst : src
        let isPair = (src == .rest) == (dst == .rest)
        for document in sink.documents {
            #expect(document.tag.field.direction == (isPair ? 0 : known.rawValue))
            #expect(document.tag.field.tapSide == document.tag.field.direction)
        }
    }

    @Test func tagsOfAStandaloneAgent() throws {
        var flow = Flows.tcp(at: baseSeconds)
        flow.srcDirection = TapSide.client.rawValue
        flow.src.l3EpcID = -2
        flow.dst.l3EpcID = 3302
        flow.dst.gpid = 7
        flow.src.realIP = IPAddress(v4: 0xc0a8_0001)
        let sink = replay([flow])
        try #require(sink.seconds.count == 2)
        let single = sink.seconds[0].tag.field
        #expect(single.ip == IPAddress(v4: 0xc0a8_0001))
        #expect(single.l3EpcID == -2)
        #expect(single.serverPort == 0)
        #expect(single.vtapID == 3302)
        #expect(single.globalThreadID == 1)
        #expect(single.mac == 0)
        let edge = sink.seconds[1].tag.field
        #expect(edge.ip == IPAddress(v4: 0xc0a8_0001))
        #expect(edge.ip1 == IPAddress(v4: 0x0a00_0002))
        #expect(edge.l3EpcID1 == 3302)
        #expect(edge.gpid1 == 7)
        #expect(edge.serverPort == 80)
        #expect(edge.tapPort == 0x1234)
        #expect(edge.tapType == 3)
        #expect(edge.proto == 6)
    }

    @Test func managedAgentsHideInternetClients() throws {
        var flow = Flows.tcp(at: baseSeconds)
        flow.srcDirection = TapSide.client.rawValue
        flow.src.l3EpcID = -2
        flow.dst.l3EpcID = -2
        let sink = replay([flow]) { $0.identity.isStandalone = false }
        try #require(sink.seconds.count == 2)
        #expect(sink.seconds[0].tag.field.ip.isZero)
        #expect(sink.seconds[1].tag.field.ip.isZero)
        #expect(sink.seconds[1].tag.field.ip1 == IPAddress(v4: 0x0a00_0002))
    }

    @Test func inactiveAddressesAreAggregated() throws {
        var device = Flows.tcp(at: baseSeconds)
        device.dst.isDevice = true
        device.dstDirection = TapSide.server.rawValue
        var stranger = Flows.tcp(id: 2, at: baseSeconds)
        stranger.key.portDst = 81
        let sink = replay([device, stranger]) {
            $0.identity.isStandalone = false
            $0.metrics.inactiveIPAggregation = true
        }
        try #require(sink.seconds.count == 2, "the pair of strangers is dropped")
        #expect(sink.seconds[0].tag.field.ip == IPAddress(v4: 0x0a00_0002))
        #expect(sink.seconds[1].tag.field.ip.isZero)
        #expect(sink.seconds[1].tag.field.ip1 == IPAddress(v4: 0x0a00_0002))
    }

    @Test func portsOfInactiveServicesAndICMPAreLeftOut() {
        var icmp = Flows.tcp(at: baseSeconds)
        icmp.key.proto = IPProtocol.icmp
        #expect(replay([icmp]).seconds.map(\.tag.field.serverPort) == [0])
        var flow = Flows.tcp(at: baseSeconds)
        #expect(replay([flow]) { $0.metrics.inactiveServerPortAggregation = true }.seconds[0].tag.field.serverPort == 0)
        flow.isActiveService = true
        #expect(
            replay([flow]) { $0.metrics.inactiveServerPortAggregation = true }.seconds[0].tag.field.serverPort == 80)
    }

    /// Close types and the counter that each adds to. Source: agent-flow.md 13.3.
    @Test func anomaliesOfTCP() {
        let counters: [(CloseType, KeyPath<FlowMeter, UInt64>)] = [
            (.tcpServerRst, \.serverRstFlow), (.timeout, \.tcpTimeout), (.clientSynRepeat, \.serverSynMiss),
            (.serverHalfClose, \.serverHalfCloseFlow), (.tcpClientRst, \.clientRstFlow),
            (.serverSynAckRepeat, \.clientAckMiss), (.clientHalfClose, \.clientHalfCloseFlow),
            (.clientSourcePortReuse, \.clientSourcePortReuse), (.serverReset, \.serverReset),
            (.serverQueueLack, \.serverQueueLack), (.clientEstablishReset, \.clientEstablishReset),
            (.serverEstablishReset, \.serverEstablishReset),
        ]
        let closeTypes: [CloseType] = counters.map(\.0) + [.unknown, .finish, .forcedReport, .tcpFinClientRst]
        for closeType in closeTypes {
            var flow = Flows.tcp(at: baseSeconds)
            flow.closeType = closeType.rawValue
            let meter = replay([flow]).seconds[0].flowMeter
            #expect(meter.closedFlow == (closeType == .forcedReport ? 0 : 1))
            flow.key.proto = IPProtocol.udp
            let udp = replay([flow]).seconds[0].flowMeter
            for (counted, field) in counters {
                #expect(meter[keyPath: field] == (counted == closeType ? 1 : 0), "\(closeType)")
                #expect(udp[keyPath: field] == 0)
            }
        }
    }

    @Test func latenciesOfTCP() {
        var first = Flows.tcp(at: baseSeconds)
        first.perf.tcp.rtt = 300
        first.perf.tcp.rttClient.add(100)
        first.perf.tcp.srt.add(10)
        first.perf.tcp.retransSyn = 1
        var second = Flows.tcp(at: baseSeconds)
        second.perf.tcp.srt.add(30)
        second.perf.tcp.srt.add(20)
        second.perf.tcp.tx.zeroWin = 2
        second.perf.tcp.rx.outOfOrder = 3
        let meter = replay([first, second]).seconds[0].flowMeter
        #expect(meter.rtt.max == 300)
        #expect(meter.rtt.sum == 300)
        #expect(meter.rtt.count == 1)
        #expect(meter.rttClient.sum == 100)
        #expect(meter.srt.max == 30)
        #expect(meter.srt.sum == 60)
        #expect(meter.srt.count == 3)
        #expect(meter.zeroWinTx == 2)
        #expect(meter.serverOoo == 3)
        #expect(meter.retransSyn == 1)
    }

    @Test func udpCountsItsLongestResponse() {
        var flow = Flows.udp(at: baseSeconds)
        flow.perf.tcp.art.add(24_416)
        #expect(replay([flow]).seconds[0].flowMeter.art.count == 24_416)
        #expect(replay([flow]) { $0.metrics.countsUDPResponses = true }.seconds[0].flowMeter.art.count == 1)
    }

    @Test func withoutPerfStatsOnlyTraffic() {
        var flow = Flows.tcp(at: baseSeconds)
        flow.hasPerfStats = false
        flow.perf.tcp.synCount = 1
        flow.perf.tcp.srt.add(10)
        let meter = replay([flow]).seconds[0].flowMeter
        #expect(meter.byteTx == 100)
        #expect(meter.syn == 0)
        #expect(meter.srt.count == 0)
    }

    @Test func l7CountsNeedAKnownProtocol() {
        var flow = Flows.tcp(at: baseSeconds)
        flow.perf.l7.requestCount = 5
        flow.perf.l7.rrtMax = 9
        #expect(replay([flow]).seconds[0].flowMeter.l7Request == 0)
        flow.perf.l7Protocol = L7Protocol.http1.rawValue
        #expect(replay([flow]).seconds[0].flowMeter.l7Request == 5)
        #expect(replay([flow]).seconds[0].flowMeter.rrt.max == 9)
        #expect(replay([flow]) { $0.metrics.apmMetrics = false }.seconds[0].flowMeter.l7Request == 0)
    }

    @Test func sourcePortsMergeAndServicePortsDoNot() {
        var second = Flows.tcp(id: 2, at: baseSeconds)
        second.key.portSrc = 40_001
        var third = Flows.tcp(id: 3, at: baseSeconds)
        third.key.portDst = 81
        third.dst.realPort = 81
        let sink = replay([Flows.tcp(at: baseSeconds), second, third])
        #expect(sink.seconds.map(\.flowMeter.packetTx) == [2, 1])
        #expect(sink.seconds.map(\.tag.field.serverPort) == [80, 81])
    }
}
