import Model
import ServerCore
import Testing

/// Remembers which kind of call each column made.
private struct KindRecorder: RowEncoder {
    var kinds: [ColumnKind?] = []
    mutating func uint(_ value: UInt64) { kinds.append(.uint) }
    mutating func int(_ value: Int64) { kinds.append(.int) }
    mutating func real(_ value: Double) { kinds.append(.real) }
    mutating func text(_ value: String) { kinds.append(.text) }
    mutating func time(seconds: UInt64) { kinds.append(.seconds) }
    mutating func time(micros: UInt64) { kinds.append(.micros) }
    mutating func ip4(_ value: UInt32) { kinds.append(.ip4) }
    mutating func ip6(_ value: IPAddress) { kinds.append(.ip6) }
    mutating func mac(_ value: UInt64) { kinds.append(.mac) }
    mutating func texts(_ values: [String]) { kinds.append(.texts) }
    mutating func uints(_ values: [UInt64]) { kinds.append(.uints) }
    mutating func reals(_ values: [Double]) { kinds.append(.reals) }
    mutating func null() { kinds.append(nil) }
}

private func expectKinds(_ row: some TableRow, match table: TableSchema) {
    var recorder = KindRecorder()
    row.encode(into: &recorder)
    #expect(recorder.kinds.count == table.columns.count, "\(table.name)")
    for (kind, column) in zip(recorder.kinds, table.columns) {
        if let kind {
            #expect(kind == column.kind, "\(table.name).\(column.name)")
        } else {
            #expect(column.isNullable, "\(table.name).\(column.name) is null but not nullable")
        }
    }
}

private func fields(_ row: some TableRow, _ table: TableSchema) -> RowFields {
    var fields = RowFields(table: table)
    fields.read(row)
    return fields
}

@Suite struct RowTests {
    let platform = PlatformData()

    private func l7(_ change: (inout L7FlowLog) -> Void) -> RowFields {
        var log = L7FlowLog()
        log.base.messageType = LogMessageType.session.rawValue
        change(&log)
        return fields(
            L7FlowLogRow(log, id: 1, teamID: 1, traceIDs: TraceIDIndexer(), platform: platform), Catalogue.l7FlowLog)
    }

    private func document(_ code: UInt64, _ meter: Meter, _ change: (inout MiniField) -> Void = { _ in }) -> Document {
        var document = Document()
        document.timestamp = 1_700_000_040
        document.tag.code = code
        document.meter = meter
        change(&document.tag.field)
        return document
    }

    @Test func columnsFollowTheSpecification() throws {
        for (table, file) in [
            (Catalogue.l4FlowLog, "flow_log.l4_flow_log.tsv"), (Catalogue.l7FlowLog, "flow_log.l7_flow_log.tsv"),
            (Catalogue.network1m, "flow_metrics.network.tsv"),
            (Catalogue.networkMap1s, "flow_metrics.network_map.tsv"),
            (Catalogue.application1m, "flow_metrics.application.tsv"),
            (Catalogue.applicationMap1s, "flow_metrics.application_map.tsv"),
        ] {
            guard let expected = try SpecTables.columns(file) else { return }
            #expect(table.columns.map(\.name) == expected.map(\.name))
            #expect(table.columns.map(\.clickHouseType) == expected.map(\.type))
        }
    }

    @Test func rowsEncodeEveryColumnWithItsKind() throws {
        expectKinds(
            L4FlowLogRow(TaggedFlow(), id: 1, teamID: 1, platform: platform), match: Catalogue.l4FlowLog)
        expectKinds(
            L7FlowLogRow(L7FlowLog(), id: 1, teamID: 1, traceIDs: TraceIDIndexer(), platform: platform),
            match: Catalogue.l7FlowLog)
        let builder = DocumentRowBuilder()
        for (code, meter) in [
            (0xad00_0000_8003, Meter.flow(FlowMeter())), (0x3_ac08_0030_0000, .flow(FlowMeter())),
            (0x8_ad00_0000_8003, .app(AppMeter())), (0xb_ac08_0030_0000, .app(AppMeter())),
            (0x4000_8200_0000_0000, .usage(UsageMeter())),
        ] as [(UInt64, Meter)] {
            switch builder.row(document(code, meter), teamID: 1) {
            case .success(.network(let row)): expectKinds(row, match: Catalogue.network1m)
            case .success(.networkMap(let row)): expectKinds(row, match: Catalogue.networkMap1m)
            case .success(.application(let row)): expectKinds(row, match: Catalogue.application1m)
            case .success(.applicationMap(let row)): expectKinds(row, match: Catalogue.applicationMap1m)
            case .success(.trafficPolicy(let row)): expectKinds(row, match: Catalogue.trafficPolicy1m)
            case .failure(let refusal): Issue.record("code \(String(code, radix: 16)) refused: \(refusal)")
            }
        }
    }

    @Test func idsFollowTheVector() {
        #expect(RowIDs(analyzerID: 5).next(seconds: 1_700_000_000) == 7_301_444_403_220_971_521)
        #expect(RowIDs(analyzerID: 5).next(seconds: 1_700_000_000) == 0x6553_f100_0140_0001)
    }

    @Test(arguments: [(-3, 65533), (-32768, 32768), (0, 0), (7, 7), (-1, -1), (-2, -2)] as [(Int32, Int32)])
    func vpcIdsAreNormalised(_ value: Int32, _ expected: Int32) {
        #expect(EPC.normalized(value) == expected)
    }

    @Test func traceIndexFollowsTheVectors() {
        #expect(TraceIDIndexer.hash("abc") == 719_895)
        #expect(TraceIDIndexer.hash("0123456789abcdef0123456789abcdef") == 6_000_173_707_538_452_245)
        let indexer = TraceIDIndexer()
        #expect(indexer.index(of: "abc") == 719_895)
        #expect(indexer.index(of: "") == 719_896)
        #expect(indexer.index(of: "") == 719_896)
        let incremental = TraceIDIndexer(rule: .incremental(start: -4, length: 4, isHex: true))
        #expect(incremental.index(of: "xx00ff") == 255 << 16 | TraceIDIndexer.hash("xx00ff") & 0xffff)
        #expect(TraceIDIndexer(rule: .disabled).index(of: "abc") == 0)
    }

    @Test func derivedMetersFollowTheVector() throws {
        var meter = FlowMeter()
        meter.clientAckMiss = 1
        meter.clientSourcePortReuse = 1
        meter.clientEstablishReset = 1
        meter.serverSynMiss = 1
        meter.serverReset = 1
        meter.serverQueueLack = 1
        meter.serverEstablishReset = 1
        meter.l7ClientError = 1
        meter.l7ServerError = 1
        meter.clientRstFlow = 1
        meter.serverRstFlow = 1
        meter.tcpTimeout = 1
        guard
            case .success(.network(let row)) = DocumentRowBuilder().row(
                document(0xad00_0000_8003, .flow(meter)), teamID: 1)
        else { throw DocumentRefusal.unknownCode }
        let values = fields(row, Catalogue.network1m)
        #expect(values["client_establish_fail"] == .uint(3))
        #expect(values["server_establish_fail"] == .uint(4))
        #expect(values["tcp_establish_fail"] == .uint(7))
        #expect(values["tcp_transfer_fail"] == .uint(4))
        #expect(values["tcp_rst_fail"] == .uint(5))
        #expect(values["l7_error"] == .uint(2))
    }

    @Test func codesSelectTheTable() {
        let builder = DocumentRowBuilder()
        #expect(
            builder.row(document(0xad00_0000_0003 | 0x800, .flow(FlowMeter())), teamID: 1).isNetwork)
        #expect(!builder.row(document(0x1234, .flow(FlowMeter())), teamID: 1).isNetwork)
        #expect(!builder.row(document(0xad00_0000_8003, .app(AppMeter())), teamID: 1).isNetwork)
    }

    @Test func tagsOfAnUnknownPlatform() throws {
        var flow = TaggedFlow()
        flow.ethType = EtherType.ipv4
        flow.key.ipSrc = IPAddress(v4: 0x0a00_0001)
        flow.src.l3EpcID = -2
        flow.dst.l3EpcID = 3302
        flow.dst.gpid = 9
        flow.src.realIP = flow.key.ipSrc
        let row = fields(
            L4FlowLogRow(flow, id: 1, teamID: 1, platform: platform), Catalogue.l4FlowLog)
        #expect(row["auto_instance_type_0"] == .uint(0))
        #expect(row["auto_instance_type_1"] == .uint(120))
        #expect(row["auto_service_id_1"] == .uint(9))
        #expect(row["tag_source_0"] == .uint(8))
        #expect(row["l3_epc_id_0"] == .int(-2))
        #expect(row["is_ipv4"] == .uint(1))
    }

    @Test func platformDataFillsTags() throws {
        var known = PlatformInfo()
        known.podID = 77
        known.podNsID = 3
        known.podGroupID = 5
        known.podGroupType = 130
        var platform = PlatformData()
        platform.byAddress[.init(epc: 1, address: IPAddress(v4: 0x0a00_0002))] = known
        var flow = TaggedFlow()
        flow.dst.l3EpcID = 1
        flow.key.ipDst = IPAddress(v4: 0x0a00_0002)
        flow.dst.realIP = flow.key.ipDst
        let row = fields(
            L4FlowLogRow(flow, id: 1, teamID: 1, platform: platform), Catalogue.l4FlowLog)
        #expect(row["pod_id_1"] == .uint(77))
        #expect(row["auto_instance_id_1"] == .uint(77))
        #expect(row["auto_instance_type_1"] == .uint(10))
        #expect(row["auto_service_type_1"] == .uint(130))
        #expect(row["auto_service_id_1"] == .uint(5))
    }

    @Test(
        arguments: [
            (1, 6, 0), (5, 6, 0), (20, 6, 0), (3, 6, 3), (3, 17, 0), (9, 6, 4), (13, 6, 4), (2, 6, 3), (7, 6, 3),
            (7, 17, 2), (0, 6, 2),
        ] as [(UInt8, UInt8, UInt8)])
    func statusOfACloseType(_ closeType: UInt8, _ proto: UInt8, _ status: UInt8) {
        var flow = TaggedFlow()
        flow.closeType = closeType
        flow.key.proto = proto
        #expect(L4FlowLogRow(flow, id: 1, teamID: 1, platform: platform).status == status)
    }

    @Test func realEndsAreSwappedOnce() {
        var flow = TaggedFlow()
        flow.ethType = EtherType.ipv4
        flow.key.ipSrc = IPAddress(v4: 1)
        flow.key.portSrc = 10
        flow.src.realIP = IPAddress(v4: 2)
        flow.src.realPort = 20
        flow.key.ipDst = IPAddress(v4: 3)
        flow.key.portDst = 30
        flow.dst.realIP = flow.key.ipDst
        flow.dst.realPort = flow.key.portDst
        let sent = flow.asSent()
        #expect(sent.key.ipSrc.v4 == 2 && sent.key.portSrc == 20)
        #expect(sent.src.realIP.v4 == 1 && sent.src.realPort == 10)
        #expect(sent.key.ipDst.v4 == 3 && sent.dst.realIP.v4 == 3 && sent.dst.realPort == 30)
    }

    @Test func lengthsAndCodesDependOnTheMessageType() {
        let request = l7 {
            $0.base.messageType = LogMessageType.request.rawValue
            $0.requestLength = 5
            $0.responseLength = 6
            $0.responseCode = 200
            $0.responseStatus = 0
        }
        #expect(request["request_length"] == .int(5))
        #expect(request["response_length"] == .null)
        #expect(request["response_code"] == .null)
        #expect(request["response_status"] == .uint(0))
        let session = l7 {
            $0.requestLength = -1
            $0.responseLength = 6
            $0.responseCode = L7FlowLog.noCode
        }
        #expect(session["request_length"] == .null)
        #expect(session["response_length"] == .int(6))
        #expect(session["response_code"] == .null)
        #expect(session["response_status"] == .uint(5))
    }

    @Test func exceptionsAreFilledFromTheTables() {
        func exception(_ proto: L7Protocol, _ status: L7ResponseStatus, _ code: Int32, version: String = "")
            -> FieldValue
        {
            l7 {
                $0.base.l7Protocol = proto.rawValue
                $0.responseStatus = status.rawValue
                $0.responseCode = code
                $0.version = version
            }["response_exception"]
        }
        #expect(exception(.http1, .clientError, 404) == .text("Not Found"))
        #expect(exception(.http1, .clientError, 200) == .text(""))
        #expect(exception(.http2, .serverError, 599) == .text(""))
        #expect(exception(.dns, .clientError, 3) == .text("Non-Existent Domain"))
        #expect(exception(.dns, .serverError, 3900) == .text("Private Use"))
        #expect(exception(.dns, .serverError, 5000) == .text("available for assignment"))
        #expect(exception(.dns, .ok, 3) == .text(""))
        #expect(exception(.mqtt, .serverError, 5) == .text("not authorized"))
        #expect(exception(.mqtt, .serverError, 135, version: "5") == .text("Not authorized"))
        #expect(exception(.mqtt, .serverError, 0, version: "5") == .text(""))
        #expect(exception(.kafka, .serverError, -1) == .text("UNKNOWN_SERVER_ERROR"))
    }

    @Test func kafkaRequestsWithoutCodeBecomeTimeouts() {
        let other = l7 {
            $0.base.l7Protocol = L7Protocol.kafka.rawValue
            $0.requestType = "Metadata"
            $0.responseCode = 0
            $0.responseStatus = 0
        }
        #expect(other["response_status"] == .uint(2))
        #expect(other["response_code"] == .null)
        #expect(other["request_id"] == .uint(0))
        let fetch = l7 {
            $0.base.l7Protocol = L7Protocol.kafka.rawValue
            $0.requestType = "Fetch"
            $0.responseCode = 0
            $0.responseStatus = 0
        }
        #expect(fetch["response_status"] == .uint(0))
        #expect(fetch["response_code"] == .int(0))
    }

    @Test func protocolNamesAndAttributes() {
        let row = l7 {
            $0.base.l7Protocol = L7Protocol.http1.rawValue
            $0.flags = L7FlowLog.flagTLS
            var ext = L7Ext()
            ext.userAgent = "curl"
            ext.attributeNames = ["a"]
            ext.attributeValues = ["b"]
            $0.ext = ext
            var trace = L7Trace()
            trace.traceIDs = ["abc", "def"]
            $0.trace = trace
        }
        #expect(row["biz_protocol"] == .text("HTTP_TLS"))
        #expect(row["attribute_names"] == .list([.text("http_user_agent"), .text("a")]))
        #expect(row["attribute_values"] == .list([.text("curl"), .text("b")]))
        #expect(row["trace_id"] == .text("abc"))
        #expect(row["_trace_id_2"] == .text("def"))
        #expect(row["trace_id_index"] == .uint(719_895))
        #expect(row["request_id"] == .null)
    }
}

extension Result where Success == DocumentRow {
    fileprivate var isNetwork: Bool {
        guard case .success(.network) = self else { return false }
        return true
    }
}
