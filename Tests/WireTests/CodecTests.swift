import Model
import Testing

@testable import Wire

/// Own bytes of a record, without its length.
private func encoded(_ record: borrowing some WireEncodable) -> [UInt8] {
    var writer = WireWriter()
    record.encode(into: &writer)
    return writer.bytes
}

private func decoded<Record: WireDecodable>(_: Record.Type, _ bytes: [UInt8]) throws -> Record {
    try Record(wire: bytes.span.bytes, 0..<bytes.count)
}

private func reference<Record: ReferenceCodable>(_: Record.Type, _ bytes: [UInt8]) throws -> Record {
    try Record(reference: bytes.span.bytes, 0..<bytes.count)
}

/// Encode vectors, read by protobuf-c. Source: agent-flow.md 16.4, 19.5.
struct EncodeVectorTests {
    @Test func flow() throws {
        var flow = TaggedFlow()
        flow.key.agentID = 5
        flow.dst.byteCount = 6
        flow.tunnel.type = TunnelType.vxlan.rawValue
        flow.flowID = 8
        flow.startTimeNs = 100_000_000_001
        flow.hasPerfStats = true
        flow.perf.tcp.rtt = 10
        flow.perf.l4Protocol = L4Protocol.tcp.rawValue
        let read = try reference(TaggedFlow.self, encoded(flow))
        #expect(read.key.agentID == 5 && read.dst.byteCount == 6 && read.tunnel.type == 1 && read.flowID == 8)
        #expect(read.startTimeNs == 100_000_000_001 && read.perf.tcp.rtt == 10 && read.perf.l4Protocol == 1)
    }

    /// The record carries the real ends in its key and the captured ones beside it.
    @Test func realAddresses() throws {
        var flow = TaggedFlow()
        flow.ethType = EtherType.ipv4
        flow.key.ipSrc = IPAddress(v4: 1)
        flow.key.portSrc = 10
        flow.src.realIP = IPAddress(v4: 2)
        flow.src.realPort = 20
        let bytes = encoded(flow)
        // Key 1 { 6 ip_src, 10 port_src }, source 2 { 20 real_ip, 21 real_port } inside of flow 1.
        let outer = try #require(ProtobufFields.read(bytes)[1]?.bytes)
        let key = try #require(ProtobufFields.read(outer)[1]?.bytes)
        let source = try #require(ProtobufFields.read(outer)[2]?.bytes)
        #expect(ProtobufFields.read(key)[6]?.number == 2 && ProtobufFields.read(key)[10]?.number == 20)
        #expect(ProtobufFields.read(source)[20]?.number == 1 && ProtobufFields.read(source)[21]?.number == 10)
        #expect(ProtobufFields.read(key)[8]?.bytes.count == 16, "always there")
    }

    @Test func document() throws {
        var document = Document()
        document.timestamp = 100
        document.flags = Document.perSecond
        document.tag.code = DocumentCode.ip | DocumentCode.l3EpcID
        document.tag.field.l3EpcID = 10
        let read = try reference(Document.self, encoded(document))
        #expect(read.timestamp == 100 && read.flags == 1 && read.tag.code == 3 && read.tag.field.l3EpcID == 10)
    }
}

@Suite(.enabled(if: SpecTable.isWanted, "no spec tables: set DFTOP_SPEC"))
struct GoldenCodecTests {
    private func check<Record: ReferenceCodable>(_ type: Record.Type, _ name: String) throws {
        for golden in try SpecTable.golden(name) {
            let own = try decoded(type, golden)
            #expect(hex(encoded(own)) == hex(golden), "own writer, \(name)")
            let viaC = try reference(type, golden)
            #expect(hex(viaC.referenceBytes()) == hex(golden), "protobuf-c, \(name)")
            #expect(described(own) == described(viaC))
        }
    }

    @Test func documents() throws { try check(Document.self, "metric.Document") }
    @Test func flows() throws { try check(TaggedFlow.self, "flow_log.TaggedFlow") }
    @Test func requests() throws { try check(L7FlowLog.self, "flow_log.AppProtoLogsData") }

    @Test func stats() throws {
        for golden in try SpecTable.golden("stats.Stats") {
            #expect(hex(encoded(try decoded(StatsRecord.self, golden))) == hex(golden))
        }
        let agent = try decoded(StatsRecord.self, SpecTable.golden("stats.Stats")[0])
        #expect(agent.timestamp == 1_700_000_000)
        #expect(agent.name == "deepflow_agent_collect_sender")
        #expect(agent.tags == [.init("type", "l7_log"), .init("host", "node-1")])
        #expect(agent.metrics == [.init("rx", 10), .init("tx", 2), .init("dropped", 0)])
    }

    /// Values of the JSON column, by hand: the mapping of names, not only of numbers.
    @Test func flowValues() throws {
        let flow = try decoded(TaggedFlow.self, SpecTable.golden("flow_log.TaggedFlow")[0])
        #expect(flow.key.agentID == 7)
        #expect(flow.src.realIP == IPAddress(v4: 0x0a01_0203))
        #expect(flow.key.ipSrc == IPAddress(v4: 0x0a01_0203))
        #expect(flow.src.realPort == 40000 && flow.key.portSrc == 40000)
        #expect(flow.dst.realPort == 443 && flow.key.portDst == 443)
        #expect(flow.dst.l3EpcID == -2)
        #expect(flow.perf.tcp.rtt == 1200 && flow.perf.tcp.cit.sum == 77 && flow.perf.tcp.finCount == 2)
        #expect(flow.perf.l7.tlsRtt == 40)
        #expect(flow.extra?.requestDomain == "example.com")
        #expect(flow.extra?.aclGids == [1, 300])
        #expect(flow.extra?.aggregatedFlowIDs == [1, 300])
        #expect(flow.initIPID == 4660)
    }

    @Test func requestValues() throws {
        let log = try decoded(L7FlowLog.self, SpecTable.golden("flow_log.AppProtoLogsData")[0])
        #expect(log.base.l7Protocol == 20 && log.base.messageType == 2 && log.base.rrtNs == 800_000 / 1000)
        #expect(log.requestLength == 120 && log.responseLength == -1)
        #expect(log.requestType == "GET" && log.requestResource == "/a?b=1" && log.endpoint == "/a")
        #expect(log.responseStatus == 0 && log.responseCode == 200)
        #expect(log.trace?.traceIDs == ["4bf92f3577b34da6a3ce929d0e0e4736"])
        #expect(log.ext?.metricsValues == [1.5])
        #expect(log.base.processName0 == "curl" && log.base.podID0 == 42)
    }

    @Test func documentValues() throws {
        let documents = try SpecTable.golden("metric.Document").map { try decoded(Document.self, $0) }
        #expect(documents[0].tag.field.l3EpcID1 == -2 && documents[0].flags == 1)
        guard case .flow(let meter) = documents[0].meter, case .app(let app) = documents[1].meter else {
            Issue.record("wrong meters")
            return
        }
        #expect(meter.byteRx == 9000 && meter.srt.sum == 500 && meter.cit.count == 1 && meter.clientOoo == 2)
        #expect(app.rrt.sum == 1500 && app.timeout == 1)
        #expect(documents[1].tag.field.ip1.text(v6: true) == "2001:db8::2")
        #expect(documents[2].tag.field.aclGid == 9)
    }
}

struct CodecPropertyTests {
    /// Own codec and protobuf-c write the same bytes and read the same record, both ways.
    private func check<Record: ReferenceCodable>(
        _ type: Record.Type, seed: UInt64, _ make: (inout Seeded) -> Record
    ) throws {
        var random = Seeded(seed)
        for round in 0..<400 {
            let record = make(&random)
            let own = encoded(record)
            let viaC = record.referenceBytes()
            try #require(hex(own) == hex(viaC), "seed \(seed), round \(round)")
            let back = described(try decoded(type, viaC))
            #expect(back == described(try reference(type, own)), "seed \(seed), round \(round)")
            #expect(back == described(record), "seed \(seed), round \(round)")
        }
    }

    @Test(arguments: [1, 2] as [UInt64])
    func documents(seed: UInt64) throws { try check(Document.self, seed: seed) { $0.document() } }
    @Test(arguments: [3, 4] as [UInt64])
    func flows(seed: UInt64) throws { try check(TaggedFlow.self, seed: seed) { $0.flow() } }
    @Test(arguments: [5, 6] as [UInt64])
    func requests(seed: UInt64) throws { try check(L7FlowLog.self, seed: seed) { $0.l7Log() } }

    /// Damaged records: nothing traps, and what both codecs accept they read alike.
    private func damage<Record: ReferenceCodable>(
        _ type: Record.Type, seed: UInt64, _ make: (inout Seeded) -> Record
    ) {
        var random = Seeded(seed)
        var compared = 0
        for round in 0..<300 {
            var bytes = encoded(make(&random))
            for _ in 0..<(1 + random.next() % 3) where !bytes.isEmpty {
                let at = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[at] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.removeSubrange(at...)
                default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
                }
            }
            guard let own = try? decoded(type, bytes), let viaC = try? reference(type, bytes) else { continue }
            let text = described(own)
            if text.contains("\\0") { continue }  // protobuf-c ends a string there
            #expect(text == described(viaC), "seed \(seed), round \(round)")
            compared += 1
        }
        #expect(compared > 10)
    }

    @Test func damagedRecords() {
        damage(Document.self, seed: 11) { $0.document() }
        damage(TaggedFlow.self, seed: 12) { $0.flow() }
        damage(L7FlowLog.self, seed: 13) { $0.l7Log() }
    }

    @Test func randomBytes() {
        var random = Seeded(21)
        for _ in 0..<2000 {
            let bytes = (0..<(random.next() % 200)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = try? decoded(Document.self, bytes)
            _ = try? decoded(TaggedFlow.self, bytes)
            _ = try? decoded(L7FlowLog.self, bytes)
            _ = try? decoded(StatsRecord.self, bytes)
            _ = Document.decodeAll(bytes.span.bytes)
            _ = TaggedFlow.decodeAll(bytes.span.bytes)
            _ = StatsRecord.decodeAll(bytes.span.bytes)
        }
    }
}

struct CodecRuleTests {
    @Test func negativeNumbersTakeTenBytes() {
        var log = L7FlowLog()
        log.responseCode = -32768
        let text = hex(encoded(log))
        #expect(text.contains("50ffffffffffffffffff01"))
        #expect(text.contains("108080feffffffffffff01"))
        var document = Document()
        document.tag.field.l3EpcID1 = -2
        #expect(hex(encoded(document)).contains("30feffffffffffffffff01"))
    }

    /// An empty record is all zero for flows and requests, and an error for documents.
    @Test func emptyRecords() throws {
        #expect(throws: ParseError.self) { try decoded(Document.self, []) }
        #expect(try decoded(TaggedFlow.self, []).hasPerfStats == false)
        let log = try decoded(L7FlowLog.self, [])
        #expect(log.requestLength == 0 && log.responseCode == 0 && !log.hasRequest)
    }

    @Test func unknownMeterEndsTheFrame() {
        let payload: [UInt8] = [4, 0, 0, 0, 0x1a, 2, 8, 9] + [6, 0, 0, 0, 0x1a, 4, 8, 4, 0x1a, 0]
        let batch = Document.decodeAll(payload.span.bytes)
        #expect(batch.records.isEmpty && batch.errors == 1)
        let good = Document.decodeAll(payload.span.bytes.extracting(8..<payload.count))
        #expect(good.records.count == 1 && good.errors == 0)
    }

    /// A stats record that is no protobuf is skipped, the next one read.
    @Test func badStatsAreSkipped() {
        let payload: [UInt8] = [1, 0, 0, 0, 0xff] + [3, 0, 0, 0, 0x12, 1, 0x61] + [0, 0, 0, 0]
        let batch = StatsRecord.decodeAll(payload.span.bytes)
        #expect(batch.records.map(\.name) == ["a"])
        #expect(batch.errors == 2)
    }

    /// Real and captured ends are exchanged; of an IPv6 pair only mapped and `::/96` captured addresses travel.
    @Test func realEndsTravelInTheKey() throws {
        var flow = TaggedFlow()
        flow.ethType = EtherType.ipv4
        flow.key.ipSrc = IPAddress(v4: 1)
        flow.key.portSrc = 10
        flow.src.realIP = IPAddress(v4: 2)
        flow.src.realPort = 20
        let bytes = hex(encoded(flow))
        #expect(bytes.hasPrefix("0a"))
        #expect(bytes.contains("3002") && bytes.contains("5014"), "the real client is in flow_key")
        #expect(bytes.contains("a00101a8010a"), "the captured one in metrics_peer_src")
        let back = try decoded(TaggedFlow.self, encoded(flow))
        #expect(back.key.ipSrc == IPAddress(v4: 1) && back.key.portSrc == 10)
        #expect(back.src.realIP == IPAddress(v4: 2) && back.src.realPort == 20)

        flow.src.realIP = IPAddress(high: 0x2001_0db8_0000_0000, low: 9)
        let mixed = FlowEnds(flow)
        #expect(mixed.ip6Src == flow.src.realIP && mixed.ip6Dst == .mapped(0) && mixed.ipSrc == 0)
    }

    /// A document with one end of each family: both sixteen octets, the IPv4 one mapped.
    @Test func mixedFamiliesAreMapped() throws {
        var document = Document()
        document.tag.code = DocumentCode.ipPath
        document.tag.field.ip = IPAddress(v4: 0x0a00_0001)
        document.tag.field.ip1 = IPAddress(high: 0x2001_0db8_0000_0000, low: 9)
        #expect(document.tag.isEdge)
        #expect(
            hex(encoded(document)).contains("0a1000000000000000000000ffff0a000001121020010db8000000000000000000000009"))
    }

    /// Strings with a NUL survive the own codec; protobuf-c would cut them.
    @Test func nulInStrings() throws {
        var log = L7FlowLog()
        log.requestResource = "a\0b"
        #expect(try decoded(L7FlowLog.self, encoded(log)).requestResource == "a\0b")
    }

    /// Agent-flow 16.4, encode vector.
    @Test func encodeVector() throws {
        var flow = TaggedFlow()
        flow.key.agentID = 5
        flow.dst.byteCount = 6
        flow.tunnel.type = TunnelType.vxlan.rawValue
        flow.flowID = 8
        flow.startTimeNs = 100_000_000_001
        flow.hasPerfStats = true
        flow.perf.tcp.rtt = 10
        flow.perf.l4Protocol = 1
        let back = try reference(TaggedFlow.self, encoded(flow))
        #expect(back.key.agentID == 5 && back.dst.byteCount == 6 && back.tunnel.type == 1 && back.flowID == 8)
        #expect(back.startTimeNs == 100_000_000_001 && back.perf.tcp.rtt == 10 && back.perf.l4Protocol == 1)
    }
}
