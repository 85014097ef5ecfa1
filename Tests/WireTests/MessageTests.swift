import Model
import Testing

@testable import Wire

/// Records of the specification's examples, and what is wrong with others.
@Suite(.enabled(if: SpecTable.isWanted, "no spec tables: set DFTOP_SPEC"))
struct GoldenMessageTests {
    private func read<Record: WireDecodable>(_ type: Record.Type, _ name: String) throws -> [Record] {
        try SpecTable.golden(name).map { try Record(wire: $0.span.bytes, 0..<$0.count) }
    }

    @Test func profiles() throws {
        let found = try read(ProfileRecord.self, "metric.Profile")
        #expect(found[0].processName == "app" && found[0].wideCount == 2 && found[0].eventType == 1)
        #expect(found[0].timestampNs == 1_700_000_000_123_456_789 && found[0].podID == 42 && found[0].tid == 1235)
        #expect(found[1].ip == [10, 1, 2, 3] && found[1].format == "pprof" && found[1].until == 1_700_000_010)
        #expect(found[1].contentType == "binary/octet-stream" && found[1].data == [0x1f, 0x8b])
    }

    @Test func processEvents() throws {
        let found = try read(ProcEventRecord.self, "metric.ProcEvent")
        #expect(found[0].processName == "nginx" && found[0].io?.fileName == "/var/log/a.log")
        #expect(found[0].io?.byteCount == 4096 && found[0].io?.offset == 8192 && found[0].io?.operation == 1)
        #expect(found[1].fileOperation?.type == 3 && found[1].fileOperation?.mode == 493)
        #expect(found[2].permission?.newUID == 1000)
        #expect(found[3].lifecycle?.commandLine == "sh -c ls" && found[3].lifecycle?.parentPID == 100)
    }

    @Test func prometheus() throws {
        let write = try read(PrometheusWrite.self, "metric.PrometheusMetric")[0]
        #expect(write.extraLabels == [.init("cluster", "c1")])
        var series: [PrometheusWrite.Series] = []
        write.forEachSeries { series.append($0) }
        #expect(series.count == 1 && series[0].samples == [.init(1, ms: 1_700_000_000_000)])
        #expect(series[0].labels == [.init("__name__", "up"), .init("instance", "h:9100"), .init("job", "node")])
    }

    @Test func traces() throws {
        let traces = try read(OTLPTraces.self, "opentelemetry.proto.trace.v1.TracesData")[0]
        let resource = traces.resources[0]
        #expect(resource.attributes.map(\.key) == ["service.name", "app.host.ip"])
        let span = resource.spans[0]
        #expect(span.name == "GET /a" && span.kind == 2 && span.endNs == 1_700_000_000_000_800_000)
        #expect(span.attributes[2] == OTLPAttribute("http.status_code", .int(200)) && span.statusCode == 1)
    }

    @Test func packetsAndKubernetes() throws {
        let batch = try read(PcapBatchRecord.self, "agent.PcapBatch")[0]
        #expect(batch.magic == 0xa1b2_3c4d && batch.batches[0].aclGids == [1, 300])
        #expect(batch.batches[0].records.count == 20 && batch.batches[0].packetCount == 1)
        let event = try read(K8sEventRecord.self, "k8s_event.KubernetesEvent")[0]
        #expect(event.kind == "Pod" && event.component == "kubelet" && event.type == 1)
        #expect(event.firstTimestampUs == 1_700_000_000_000_000)
    }

    /// Every prefix of a record is read or refused; nothing traps.
    @Test(arguments: ["metric.Profile", "metric.ProcEvent", "metric.PrometheusMetric", "agent.PcapBatch"])
    func cuts(name: String) throws {
        for golden in try SpecTable.golden(name) {
            for end in 0..<golden.count {
                let bytes = golden.span.bytes
                _ = try? ProfileRecord(wire: bytes, 0..<end)
                _ = try? ProcEventRecord(wire: bytes, 0..<end)
                _ = try? PrometheusWrite(wire: bytes, 0..<end)
                _ = try? PcapBatchRecord(wire: bytes, 0..<end)
                _ = try? OTLPTraces(wire: bytes, 0..<end)
            }
        }
    }
}

struct MessageBoundTests {
    @Test func nestedValuesEnd() {
        var value: [UInt8] = []
        for _ in 0..<200 {
            // AnyValue{array_value{values}}
            value = [0x0a] + varint(value.count) + value
            value = [0x2a] + varint(value.count) + value
        }
        let attribute = [0x12] + varint(value.count) + value
        let resource = [0x0a] + varint(attribute.count) + attribute
        let spans = [0x0a] + varint(resource.count) + resource
        let traces = [0x0a] + varint(spans.count) + spans
        #expect(throws: ParseError.self) { try OTLPTraces(wire: traces.span.bytes, 0..<traces.count) }
    }

    @Test func snappyBombIsRefused() {
        // Claims four gigabytes.
        let block: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0x0f, 0]
        let record: [UInt8] = [0x0a, UInt8(block.count)] + block
        #expect(throws: ParseError.self) { try PrometheusWrite(wire: record.span.bytes, 0..<record.count) }
    }

    @Test func labelsWithoutValuesAreRefused() {
        let record: [UInt8] = [0x0a, 1, 0, 0x12, 1, 97]
        #expect(throws: ParseError.self) { try PrometheusWrite(wire: record.span.bytes, 0..<record.count) }
    }

    private func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7)
    }
}

struct InfluxLineTests {
    private func points(_ text: String) -> (points: [InfluxPoint], errors: Int) {
        var lines = InfluxLines(Array(text.utf8))
        var points: [InfluxPoint] = []
        while let point = lines.next() { points.append(point) }
        return (points, lines.errors)
    }

    @Test func kindsOfFields() throws {
        let (found, errors) = points("m,b=2,a=1 f=1.5,i=-2i,u=3u,s=\"x, =y\\\"\",t=true,e=1e3 17")
        #expect(errors == 0 && found.count == 1)
        let point = try #require(found.first)
        #expect(point.measurement == "m" && point.timestampNs == 17 && point.otherFields == 2)
        #expect(point.tags == [.init("a", "1"), .init("b", "2")])
        #expect(point.fields == [.init("f", 1.5), .init("i", -2), .init("u", 3), .init("e", 1000)])
    }

    @Test func escapes() throws {
        let (found, errors) = points("m\\ x\\,y,k\\=1=v\\ w f\\ g=1\r\n")
        let point = try #require(found.first)
        #expect(errors == 0 && point.measurement == "m x,y" && point.timestampNs == nil)
        #expect(point.tags == [.init("k=1", "v w")] && point.fields == [.init("f g", 1)])
    }

    @Test func linesOverQuotes() {
        let (found, errors) = points("a s=\"one\ntwo\",f=1 5\n\n# nothing\nb f=2")
        #expect(errors == 0 && found.map(\.measurement) == ["a", "b"])
    }

    @Test(arguments: [
        "m", "m ", "m f", "m f=", "m,t f=1", "m,t= f=1", "m f=1 x", "m f=1x", "m f=inf", "m f=nan", "m f=0x1p3",
        ",t=1 f=1", "m f=\"open", "m f=1,", "m f=1 2 3",
    ])
    func noPoints(line: String) {
        let (found, errors) = points(line + "\nok f=1")
        #expect(errors >= 1 && found.count <= 1)
    }
}

struct StackProfileTests {
    @Test func stacksBeginOutside() throws {
        func block(_ number: UInt8, _ body: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(body.count)] + body }
        func numbers(_ first: UInt8, _ second: UInt8) -> [UInt8] { [1 << 3, first, 2 << 3, second] }
        var bytes = block(1, numbers(1, 2))
        bytes += block(2, block(1, [1, 2]) + block(2, [7]))
        // The second location holds an inlined call: the innermost comes first.
        bytes += block(4, [1 << 3, 1] + block(4, [1 << 3, 1]))
        bytes += block(4, [1 << 3, 2] + block(4, [1 << 3, 2]) + block(4, [1 << 3, 3]))
        for (id, name) in [(1, 3), (2, 4), (3, 5)] { bytes += block(5, numbers(UInt8(id), UInt8(name))) }
        for text in ["", "samples", "count", "leaf", "inlined", "main"] { bytes += block(6, Array(text.utf8)) }
        let profile = try StackProfile(pprof: bytes)
        #expect(profile.kinds == [.init(name: "samples", unit: "count")])
        #expect(profile.samples == [.init(stack: "main;inlined;leaf", values: [7])])
    }
}
