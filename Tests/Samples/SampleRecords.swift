package import Model

/// Plausible records for tests and benchmarks of rows and stores.
package enum SampleRecords {
    package static func log(_ number: Int, second: UInt64 = 1_700_000_000) -> L7FlowLog {
        var log = L7FlowLog()
        log.base.endTimeNs = second * 1_000_000_000 + UInt64(number % 1_000_000) * 1000
        log.base.startTimeNs = log.base.endTimeNs - 3_000_000
        log.base.flowID = 0x8123_4567_89ab_0000 &+ UInt64(number)
        log.base.ipSrc = IPAddress(v4: 0x0a00_0001 + UInt32(number % 100))
        log.base.ipDst = IPAddress(v4: 0xc0a8_0002)
        log.base.portSrc = UInt16(30_000 + number % 20_000)
        log.base.portDst = 80
        log.base.proto = 6
        log.base.l3EpcIDSrc = -2
        log.base.l3EpcIDDst = 3302
        log.base.agentID = 1
        log.base.tapType = 3
        log.base.tapSide = 4
        log.base.l7Protocol = 20
        log.base.messageType = 2
        log.base.rrtNs = UInt64(number % 5000) * 1000
        log.base.reqTCPSeq = UInt32(truncatingIfNeeded: number &* 77)
        log.base.respTCPSeq = UInt32(truncatingIfNeeded: number &* 99)
        log.requestType = number % 3 == 0 ? "POST" : "GET"
        log.requestDomain = "shop.example.com"
        log.requestResource = "/api/v1/items/\(number % 500)"
        log.endpoint = "/api/v1/items"
        log.version = "1.1"
        log.responseStatus = number % 50 == 0 ? 3 : 0
        log.responseCode = number % 50 == 0 ? 500 : 200
        log.requestLength = 0
        log.responseLength = Int32(number % 3000)
        log.capturedRequestByte = 120
        log.capturedResponseByte = 400
        return log
    }

    package static func flow(_ number: Int, second: UInt64 = 1_700_000_000, isIPv6: Bool = false) -> TaggedFlow {
        var flow = TaggedFlow()
        flow.ethType = isIPv6 ? EtherType.ipv6 : EtherType.ipv4
        flow.key.agentID = 1
        flow.key.tapType = 3
        flow.key.proto = 6
        flow.key.macSrc = 0x163e_0000_0001
        flow.key.macDst = 0x163e_0000_0002
        flow.key.ipSrc =
            isIPv6
            ? IPAddress(high: 0x2001_0db8 << 32, low: UInt64(number))
            : IPAddress(v4: 0x0a00_0001 + UInt32(number % 999))
        flow.key.ipDst = isIPv6 ? IPAddress(high: 0x2001_0db8 << 32, low: 1 << 20) : IPAddress(v4: 0xc0a8_0002)
        flow.key.portSrc = UInt16(30_000 + number % 20_000)
        flow.key.portDst = 443
        flow.src.realIP = flow.key.ipSrc
        flow.src.realPort = flow.key.portSrc
        flow.dst.realIP = flow.key.ipDst
        flow.dst.realPort = flow.key.portDst
        flow.flowID = UInt64(number) &+ 1 << 40
        flow.endTimeNs = second * 1_000_000_000
        flow.startTimeNs = flow.endTimeNs - 900_000_000
        flow.durationNs = 900_000_000
        flow.closeType = 1
        flow.isNewFlow = true
        flow.hasPerfStats = true
        flow.perf.tcp.rtt = 158
        flow.perf.tcp.rttClient.add(100)
        flow.perf.tcp.srt.add(12)
        flow.perf.tcp.synCount = 1
        flow.perf.tcp.synAckCount = 1
        flow.perf.l7Protocol = 121
        flow.perf.l7.requestCount = 1
        flow.src.packetCount = 10
        flow.dst.packetCount = 8
        flow.src.byteCount = 1000
        flow.dst.byteCount = 9000
        flow.src.totalByteCount = 1000
        flow.dst.totalByteCount = 9000
        flow.src.l3EpcID = -2
        flow.dst.l3EpcID = 3302
        flow.tapSide = 4
        return flow
    }

    /// A path document (`network_map`, or `application_map` with `isApplication`).
    package static func document(
        _ number: Int, second: UInt32, perSecond: Bool = false, isApplication: Bool = false
    ) -> Document {
        var document = Document()
        document.timestamp = second
        document.flags = perSecond ? Document.perSecond : 0
        document.tag.code = isApplication ? 0xb_ac08_0030_0000 : 0x3_ac08_0030_0000
        document.tag.field.ip = IPAddress(v4: 0x0a00_0001 + UInt32(number))
        document.tag.field.ip1 = IPAddress(v4: 0xc0a8_0002)
        document.tag.field.serverPort = 80
        document.tag.field.proto = 6
        document.tag.field.vtapID = 1
        document.tag.field.tapType = 3
        document.tag.field.tapSide = 1
        document.tag.field.direction = 1
        document.tag.field.l3EpcID = -2
        document.tag.field.l3EpcID1 = 3302
        if isApplication {
            var meter = AppMeter()
            meter.request = 2
            meter.rrt.add(UInt32(1000 + number))
            document.meter = .app(meter)
        } else {
            var meter = FlowMeter()
            meter.byteTx = 100
            meter.packetTx = 1
            meter.rtt.add(UInt32(10 + number))
            meter.directionScore = UInt8(number % 200)
            document.meter = .flow(meter)
        }
        return document
    }
}
