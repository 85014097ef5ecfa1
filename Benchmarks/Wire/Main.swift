import Glibc
import Model
import Wire

/// Own codecs beside protobuf-c on one record of each hot type: CPU nanoseconds a message, median of the rounds, which
/// are interleaved. The records are those of an ordinary TCP flow with HTTP on it.
@main
enum WireBench {
    static func main() {
        print("type      bytes   own encode  protobuf-c  ratio   own decode  protobuf-c  ratio")
        measure("document", document())
        measure("flow", flow())
        measure("l7", request())
    }

    static let rounds = 9
    static let messages = 20_000

    static func measure<Record: ReferenceCodable>(_ name: String, _ record: Record) {
        var writer = WireWriter(capacity: 1 << 16)
        record.encode(into: &writer)
        let bytes = writer.bytes
        precondition(bytes == record.referenceBytes(), "the codecs differ")
        var own: [Double] = []
        var viaC: [Double] = []
        var ownBack: [Double] = []
        var viaCBack: [Double] = []
        var sum = 0
        for _ in 0..<rounds {
            own.append(
                timed {
                    for _ in 0..<messages {
                        if writer.count > 262_144 { writer.removeAll() }
                        writer.appendRecord(record)
                        sum &+= writer.count
                    }
                })
            viaC.append(timed { for _ in 0..<messages { sum &+= record.referenceBytes().count } })
            ownBack.append(
                timed {
                    for _ in 0..<messages where (try? Record(wire: bytes.span.bytes, 0..<bytes.count)) != nil {
                        sum &+= 1
                    }
                })
            viaCBack.append(
                timed {
                    for _ in 0..<messages where (try? Record(reference: bytes.span.bytes, 0..<bytes.count)) != nil {
                        sum &+= 1
                    }
                })
        }
        precondition(sum != 0)
        let columns = [
            padded(name, 8, left: true), padded("\(bytes.count)", 6), padded(number(median(own)), 11),
            padded(number(median(viaC)), 11), padded(ratio(viaC, own), 6), padded(number(median(ownBack)), 12),
            padded(number(median(viaCBack)), 11), padded(ratio(viaCBack, ownBack), 6),
        ]
        print(columns.joined(separator: " "))
    }

    /// CPU nanoseconds of this thread for each of the messages.
    static func timed(_ body: () -> Void) -> Double {
        let before = cpuNs()
        body()
        return Double(cpuNs() - before) / Double(messages)
    }

    static func cpuNs() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    static func number(_ value: Double) -> String { "\(Int(value.rounded()))" }
    static func ratio(_ slow: [Double], _ fast: [Double]) -> String {
        let tenths = Int((median(slow) / median(fast) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
    static func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.utf8.count))
        return left ? text + blanks : blanks + text
    }

    static func document() -> Document {
        var document = Document()
        document.timestamp = 1_700_000_000
        document.flags = Document.perSecond
        document.tag.code = 190_215_511_638_019 | DocumentCode.ipPath
        document.tag.field.ip = IPAddress(v4: 0x0a01_0203)
        document.tag.field.ip1 = IPAddress(v4: 0x0a01_0204)
        document.tag.field.l3EpcID = 3
        document.tag.field.l3EpcID1 = -2
        document.tag.field.tapSide = 1
        document.tag.field.proto = 6
        document.tag.field.serverPort = 80
        document.tag.field.vtapID = 7
        document.tag.field.tapPort = 0xf000_0001
        document.tag.field.tapType = 3
        document.tag.field.l7Protocol = 20
        var meter = FlowMeter()
        meter.packetTx = 1234
        meter.packetRx = 1100
        meter.byteTx = 150_000
        meter.byteRx = 900_000
        meter.l3ByteTx = 136_000
        meter.l3ByteRx = 888_800
        meter.l4ByteTx = 116_000
        meter.l4ByteRx = 872_800
        meter.newFlow = 12
        meter.closedFlow = 11
        meter.l7Request = 200
        meter.l7Response = 200
        meter.syn = 12
        meter.synAck = 12
        meter.directionScore = 255
        for us: UInt32 in [300, 900, 1200] {
            meter.rtt.add(us)
            meter.rttClient.add(us)
            meter.rttServer.add(us)
            meter.srt.add(us)
            meter.art.add(us)
            meter.rrt.add(us)
            meter.cit.add(us)
        }
        meter.retransTx = 3
        meter.l7Timeout = 1
        meter.load = 40
        document.meter = .flow(meter)
        return document
    }

    static func flow() -> TaggedFlow {
        var flow = TaggedFlow()
        flow.ethType = EtherType.ipv4
        flow.key.agentID = 7
        flow.key.tapType = 3
        flow.key.tapPort = 1
        flow.key.macSrc = 95_529_467_905
        flow.key.macDst = 95_529_467_906
        flow.key.ipSrc = IPAddress(v4: 0x0a01_0203)
        flow.key.ipDst = IPAddress(v4: 0x0a01_0204)
        flow.key.portSrc = 40000
        flow.key.portDst = 443
        flow.key.proto = 6
        var peer = FlowMetricsPeer()
        peer.byteCount = 1500
        peer.l3ByteCount = 1360
        peer.l4ByteCount = 1160
        peer.packetCount = 10
        peer.totalByteCount = 1500
        peer.totalPacketCount = 10
        peer.firstNs = 1_700_000_000_000_000_000
        peer.lastNs = 1_700_000_001_000_000_000
        peer.tcpFlags = 27
        peer.l3EpcID = 3
        peer.isL2End = true
        peer.isL3End = true
        flow.src = peer
        flow.dst = peer
        flow.dst.l3EpcID = -2
        flow.src.realIP = flow.key.ipSrc
        flow.dst.realIP = flow.key.ipDst
        flow.src.realPort = 40000
        flow.dst.realPort = 443
        flow.flowID = 72_057_594_037_927_937
        flow.startTimeNs = 1_700_000_000_000_000_000
        flow.endTimeNs = 1_700_000_060_000_000_000
        flow.durationNs = 1_000_000_000
        flow.hasPerfStats = true
        flow.perf.tcp.rtt = 1200
        flow.perf.tcp.rttClient.add(500)
        flow.perf.tcp.rttServer.add(700)
        flow.perf.tcp.srt.add(300)
        flow.perf.tcp.art.add(800)
        flow.perf.tcp.cit.add(77)
        flow.perf.tcp.synCount = 1
        flow.perf.tcp.synAckCount = 1
        flow.perf.tcp.finCount = 2
        flow.perf.l7.requestCount = 2
        flow.perf.l7.responseCount = 2
        flow.perf.l7.rrtCount = 2
        flow.perf.l7.rrtSum = 800
        flow.perf.l7.rrtMax = 500
        flow.perf.l4Protocol = 1
        flow.perf.l7Protocol = 20
        flow.closeType = 1
        flow.isActiveService = true
        flow.isNewFlow = true
        flow.tapSide = 1
        flow.synSeq = 3_000_000_000
        flow.synAckSeq = 2_000_000_000
        flow.directionScore = 255
        flow.initIPID = 4660
        return flow
    }

    static func request() -> L7FlowLog {
        var log = L7FlowLog()
        log.base.startTimeNs = 1_700_000_000_000_000_000
        log.base.endTimeNs = 1_700_000_000_000_800_000
        log.base.flowID = 72_057_594_037_927_937
        log.base.tapPort = 1
        log.base.agentID = 7
        log.base.tapType = 3
        log.base.tapSide = 1
        log.base.l7Protocol = 20
        log.base.messageType = 2
        log.base.rrtNs = 800_000
        log.base.macSrc = 95_529_467_905
        log.base.macDst = 95_529_467_906
        log.base.ipSrc = IPAddress(v4: 0x0a01_0203)
        log.base.ipDst = IPAddress(v4: 0x0a01_0204)
        log.base.l3EpcIDSrc = 3
        log.base.l3EpcIDDst = -2
        log.base.portSrc = 40000
        log.base.portDst = 80
        log.base.proto = 6
        log.base.reqTCPSeq = 3_000_000_000
        log.base.respTCPSeq = 2_000_000_000
        log.requestLength = 120
        log.responseLength = 512
        log.requestType = "GET"
        log.requestDomain = "shop.example.com"
        log.requestResource = "/cart/items?session=4bf92f35"
        log.endpoint = "/cart/items"
        log.responseStatus = 0
        log.responseCode = 200
        log.version = "1.1"
        var trace = L7Trace()
        trace.spanID = "00f067aa0ba902b7"
        trace.traceIDs = ["4bf92f3577b34da6a3ce929d0e0e4736"]
        log.trace = trace
        var ext = L7Ext()
        ext.userAgent = "Mozilla/5.0 (X11; Linux x86_64)"
        ext.attributeNames = ["host"]
        ext.attributeValues = ["node-1"]
        log.ext = ext
        log.directionScore = 255
        log.capturedRequestByte = 120
        log.capturedResponseByte = 512
        return log
    }
}
