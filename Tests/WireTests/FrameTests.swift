import Model
import Testing

@testable import Wire

/// All events of a stream cut at the given sizes; the last one is `.needsMore` or `.close`.
private func events(_ bytes: [UInt8], cutAt cuts: [Int] = []) -> [FrameDecoder.Event] {
    var decoder = FrameDecoder()
    var out: [FrameDecoder.Event] = []
    var start = 0
    for end in cuts + [bytes.count] {
        let piece = Array(bytes[start..<end])
        start = end
        var offset = 0
        while true {
            let event = decoder.next(piece.span.bytes, at: &offset)
            if event == .needsMore { break }
            out.append(event)
            if case .close = event { return out }
        }
    }
    return out
}

private func datagram(_ bytes: [UInt8]) -> (header: FrameHeader, payload: [UInt8])? {
    FrameHeader.ofDatagram(bytes.span.bytes).map { ($0.header, Array(bytes[$0.payload])) }
}

private func nextRecord(_ cursor: inout RecordCursor, _ payload: [UInt8]) throws(ParseError) -> Range<Int>? {
    try cursor.next(in: payload.span.bytes)
}

/// Header and inflated payload of a stream that holds one frame.
private func single(_ bytes: [UInt8]) throws -> (FrameHeader, [UInt8]) {
    let all = events(bytes)
    guard all.count == 1, case .frame(let header, let payload) = all[0] else {
        throw SpecTable.Missing(name: "\(all)")
    }
    var inflater = PayloadInflater()
    return (header, try inflater.inflate(payload, FrameEncoder(rawValue: header.encoder) ?? .raw))
}

@Suite(.enabled(if: SpecTable.isWanted, "no spec tables: set DFTOP_SPEC"))
struct FrameVectorTests {
    @Test func metrics() throws {
        let (header, payload) = try single(SpecTable.frame("metrics_raw"))
        #expect(header.type == .metrics && header.encoder == 0)
        #expect(header.identity == FrameIdentity(agentID: 7, teamID: 1, orgID: 1))
        let batch = Document.decodeAll(payload.span.bytes)
        #expect(batch.records.count == 2 && batch.errors == 0)
        try expectSame(batch.records, "metrics_raw", .metrics)
    }

    @Test func flows() throws {
        let (header, payload) = try single(SpecTable.frame("l4_raw"))
        #expect(header.type == .l4Log)
        let batch = TaggedFlow.decodeAll(payload.span.bytes)
        #expect(batch.records.count == 1 && batch.errors == 0)
        try expectSame(batch.records, "l4_raw", .l4Log)
    }

    @Test func requests() throws {
        let (header, payload) = try single(SpecTable.frame("l7_zstd"))
        #expect(header.type == .l7Log && header.encoder == FrameEncoder.zstd.rawValue)
        #expect(payload.count == 656)
        let batch = L7FlowLog.decodeAll(payload.span.bytes)
        #expect(batch.records.count == 2 && batch.errors == 0)
        let golden = try SpecTable.golden("flow_log.AppProtoLogsData")[0]
        #expect(Array(payload[4..<328]) == golden && Array(payload[332...]) == golden)
    }

    @Test func agentStats() throws {
        let (header, payload) = try single(SpecTable.frame("dfstats_raw"))
        #expect(header.type == .agentStats)
        let batch = StatsRecord.decodeAll(payload.span.bytes)
        #expect(batch.records.count == 1)
        try expectSame(batch.records, "dfstats_raw", .agentStats)
    }

    /// Records written again give the whole frame of the table.
    private func expectSame(_ records: [some WireEncodable], _ name: String, _ type: MessageType) throws {
        var writer = WireWriter()
        var header = FrameHeader(type: type, identity: FrameIdentity(agentID: 7, teamID: 1, orgID: 1))
        writer.append(header.bytes)
        for record in records { writer.appendRecord(record) }
        header.frameSize = UInt32(writer.count)
        writer.replace(at: 0, with: header.bytes)
        #expect(hex(writer.bytes) == hex(try SpecTable.frame(name)))
    }

    @Test func legacyHeader() throws {
        let (header, payload) = try single(SpecTable.frame("metrics_old_header"))
        #expect(header.layout == .legacy(version: 20_220_117))
        #expect(header.identity == FrameIdentity(agentID: 7, teamID: 1, orgID: 1) && header.encoder == 0)
        #expect(Document.decodeAll(payload.span.bytes).records.count == 1)
    }

    @Test func beforeRegistration() throws {
        let (header, _) = try single(SpecTable.frame("agent_log_unregistered"))
        #expect(header.identity == FrameIdentity())
    }

    @Test func serverDatagram() throws {
        let bytes = try SpecTable.frame("server_dfstats_udp")
        let found = try #require(datagram(bytes))
        #expect(found.header.type == .serverStats && found.header.frameSize == 19)
        let batch = StatsRecord.decodeAll(found.payload.span.bytes)
        #expect(batch.records.first?.name == "deepflow_server_ingester_recviver")
        for length in 0..<19 { #expect(datagram(Array(bytes[..<length])) == nil) }
    }

    @Test func emptyFrame() throws {
        #expect(events(try SpecTable.frame("empty")) == [.empty(.metrics)])
    }

    /// Everything one connection may carry, split at every byte.
    @Test func splitAnywhere() throws {
        let names = ["metrics_raw", "empty", "l7_zstd", "metrics_old_header", "agent_log_unregistered", "l4_raw"]
        let stream = try names.flatMap { try SpecTable.frame($0) }
        let whole = events(stream)
        #expect(whole.count == names.count)
        for cut in 0...stream.count { #expect(events(stream, cutAt: [cut]) == whole) }
        #expect(events(stream, cutAt: Array(0..<stream.count)) == whole, "one byte at a time")
    }
}

struct FrameRuleTests {
    @Test func headerExample() {
        let header = FrameHeader(
            type: .l7Log, encoder: .zstd, identity: FrameIdentity(agentID: 7, teamID: 1, orgID: 1), frameSize: 1000)
        #expect(hex(header.bytes) == "000003e80500800301000000010000000700" + "00")
    }

    @Test(arguments: [
        ("0000001416", FrameHeader.Refusal.unknownType(22)),
        ("0000001203", .badSize(18)),
        ("0000000500", .badSize(5)),
        ("0000000401", .badSize(4)),
        ("0100001403" + "0080000000000000000000000000", .payloadTooLong(16_777_217)),
    ])
    func refused(bytes: String, refusal: FrameHeader.Refusal) {
        #expect(events(SpecTable.bytes(bytes)) == [.close(refusal)])
    }

    @Test func longestPayloadIsRead() {
        let start = SpecTable.bytes("0100001303" + "0080000000000000000000000000")
        let all = events(start + [UInt8](repeating: 1, count: FrameHeader.maxPayload), cutAt: [19, 1_000_019])
        guard all.count == 1, case .frame(_, let payload) = all[0] else {
            Issue.record("no frame")
            return
        }
        #expect(payload.count == 16_777_216)
    }

    @Test func shortHeaders() {
        guard case .frame(let pcap, [0xaa])? = events([0, 0, 0, 6, 0, 0xaa]).first else {
            Issue.record("no frame")
            return
        }
        #expect(pcap.type == .compressedPcap && pcap.frameSize == 6 && pcap.headerLength == 5)
        // A type 1 frame of 19 bytes is swallowed as empty; one of five has no payload.
        #expect(events([0, 0, 0, 19, 1] + [UInt8](repeating: 65, count: 14)) == [.empty(.syslog)])
        let bare = events([0, 0, 0, 5, 1])
        guard bare.count == 1, case .frame(let header, let payload) = bare[0] else {
            Issue.record("no frame")
            return
        }
        #expect(header.layout == .short && payload.isEmpty)
    }

    /// A raw frame with a legacy header after a zstd frame is not inflated.
    @Test func encoderIsNotRemembered() {
        var current = FrameHeader(type: .l7Log, encoder: .zstd, frameSize: 20).bytes
        current.append(0)
        let legacy: [UInt8] = [0, 0, 0, 20, 3, 0xd5, 0x88, 0x34, 0x01, 3, 0, 0, 0, 3, 0, 0, 0, 7, 0, 1]
        let all = events(current + legacy)
        guard all.count == 2, case .frame(let header, _) = all[1] else {
            Issue.record("no frame")
            return
        }
        #expect(header.encoder == 0 && header.identity.agentID == 7)
    }

    @Test func datagramRules() {
        #expect(datagram([0, 0, 0, 0]) == nil)
        #expect(datagram([0, 0, 0, 30, 0, 1]) == nil, "type 0 longer than the datagram")
        let compressed = FrameHeader(type: .agentStats, encoder: .zstd, frameSize: 19).bytes + [1]
        #expect(datagram(compressed) == nil)
    }

    @Test func randomStreams() {
        var random = Seeded(31)
        for _ in 0..<500 {
            var bytes = (0..<(random.next() % 400)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            // Half of them with a plausible start, so that the later states are reached.
            if random.flag(), bytes.count > 8 {
                bytes[0] = 0
                bytes[1] = 0
                bytes[2] = 0
                bytes[4] = UInt8(random.next() % 22)
            }
            let cut = bytes.isEmpty ? 0 : Int(random.next() % UInt64(bytes.count))
            #expect(events(bytes) == events(bytes, cutAt: [cut]))
        }
    }

    @Test func recordsThatOverrun() throws {
        var cursor = RecordCursor()
        let payload: [UInt8] = [1, 0, 0, 0, 9, 0, 0, 0, 0, 5, 0, 0, 0, 1, 2, 3, 4]
        #expect(try nextRecord(&cursor, payload) == 4..<5)
        #expect(try nextRecord(&cursor, payload) == 9..<9)
        #expect(throws: ParseError.truncated(needed: 5, have: 4)) { try nextRecord(&cursor, payload) }
        var short = RecordCursor()
        #expect(throws: ParseError.self) { try nextRecord(&short, [1, 0]) }
    }
}
