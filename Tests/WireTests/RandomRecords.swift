import Model

/// SplitMix64: the same seed gives the same records everywhere.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// Zero a third of the time, else of any magnitude.
    mutating func number<Number: FixedWidthInteger>(_: Number.Type = Number.self) -> Number {
        switch next() % 6 {
        case 0, 1: 0
        case 2: Number(truncatingIfNeeded: next() & 0x7f)
        case 3: Number.max
        default: Number(truncatingIfNeeded: next() >> (next() % 64))
        }
    }

    mutating func flag() -> Bool { next() & 1 == 0 }

    /// Without NUL, at which protobuf-c would end.
    mutating func text() -> String {
        switch next() % 5 {
        case 0, 1: ""
        case 2: "é世🙂"
        case 3: String(repeating: "x", count: Int(next() % 300))
        default: String((0..<(next() % 20)).map { _ in Character(UnicodeScalar(UInt8(33 + next() % 90))) })
        }
    }

    mutating func texts() -> [String] { (0..<(next() % 4)).map { _ in text() } }

    mutating func address(v6: Bool) -> IPAddress {
        guard v6 else { return IPAddress(v4: number()) }
        switch next() % 5 {
        case 0: return IPAddress(high: 0, low: 1)
        case 1: return .mapped(number())
        default: return IPAddress(high: 0x2001_0db8_0000_0000 | next() >> 32, low: next())
        }
    }

    mutating func latency() -> LatencyStats {
        var stats = LatencyStats()
        stats.max = number()
        stats.count = number()
        stats.sum = number()
        return stats
    }

    /// As `latency`, with a sum that fits the 32 bits of a flow log.
    mutating func shortLatency() -> LatencyStats {
        var stats = latency()
        stats.sum = UInt64(number(UInt32.self))
        return stats
    }

    // MARK: Documents

    mutating func document() -> Document {
        var document = Document()
        document.timestamp = number()
        document.flags = number()
        document.tag.code = number()
        var field = MiniField()
        field.isIPv6 = flag()
        field.ip = address(v6: field.isIPv6)
        if document.tag.isEdge { field.ip1 = address(v6: field.isIPv6) }
        field.mac = number()
        field.mac1 = number()
        field.tapPort = number()
        field.l3EpcID = number()
        field.l3EpcID1 = number()
        field.gpid = number()
        field.gpid1 = number()
        field.podID = number()
        field.globalThreadID = number()
        field.vtapID = number()
        field.aclGid = number()
        field.serverPort = number()
        field.tapType = number()
        field.direction = number()
        field.tapSide = number()
        field.proto = number()
        field.l7Protocol = number()
        field.signalSource = number()
        field.bizType = number()
        field.appService = text()
        field.appInstance = text()
        field.endpoint = text()
        document.tag.field = field
        switch next() % 3 {
        case 0: document.meter = .flow(flowMeter())
        case 1:
            var usage = UsageMeter()
            usage.packetTx = number()
            usage.packetRx = number()
            usage.byteTx = number()
            usage.byteRx = number()
            usage.l3ByteTx = number()
            usage.l3ByteRx = number()
            usage.l4ByteTx = number()
            usage.l4ByteRx = number()
            document.meter = .usage(usage)
        default:
            var app = AppMeter()
            app.request = number()
            app.response = number()
            app.directionScore = number()
            app.rrt = latency()
            app.clientError = number()
            app.serverError = number()
            app.timeout = number()
            document.meter = .app(app)
        }
        return document
    }

    private mutating func flowMeter() -> FlowMeter {
        var meter = FlowMeter()
        meter.packetTx = number()
        meter.packetRx = number()
        meter.byteTx = number()
        meter.byteRx = number()
        meter.l3ByteTx = number()
        meter.l3ByteRx = number()
        meter.l4ByteTx = number()
        meter.l4ByteRx = number()
        meter.newFlow = number()
        meter.closedFlow = number()
        meter.l7Request = number()
        meter.l7Response = number()
        meter.syn = number()
        meter.synAck = number()
        meter.directionScore = number()
        meter.rtt = latency()
        meter.rttClient = latency()
        meter.rttServer = latency()
        meter.srt = latency()
        meter.art = latency()
        meter.rrt = latency()
        meter.cit = latency()
        meter.retransTx = number()
        meter.retransRx = number()
        meter.zeroWinTx = number()
        meter.zeroWinRx = number()
        meter.retransSyn = number()
        meter.retransSynAck = number()
        meter.clientRstFlow = number()
        meter.serverRstFlow = number()
        meter.serverSynMiss = number()
        meter.clientAckMiss = number()
        meter.clientHalfCloseFlow = number()
        meter.serverHalfCloseFlow = number()
        meter.clientSourcePortReuse = number()
        meter.clientEstablishReset = number()
        meter.serverReset = number()
        meter.serverQueueLack = number()
        meter.serverEstablishReset = number()
        meter.tcpTimeout = number()
        meter.l7ClientError = number()
        meter.l7ServerError = number()
        meter.l7Timeout = number()
        meter.clientOoo = number()
        meter.serverOoo = number()
        meter.load = number()
        return meter
    }

    // MARK: Flows

    mutating func flow() -> TaggedFlow {
        var flow = TaggedFlow()
        let isIPv6 = flag()
        flow.ethType = isIPv6 ? EtherType.ipv6 : number(UInt16.self)
        let v6 = flow.isIPv6
        flow.key.tapPort = number()
        flow.key.macSrc = number()
        flow.key.macDst = number()
        flow.key.ipSrc = address(v6: v6)
        flow.key.ipDst = address(v6: v6)
        flow.key.agentID = number()
        flow.key.tapType = number()
        flow.key.portSrc = number()
        flow.key.portDst = number()
        flow.key.proto = number()
        flow.src = peer(real: flow.key.ipSrc, v6: v6)
        flow.dst = peer(real: flow.key.ipDst, v6: v6)
        if flag() {
            flow.tunnel.type = UInt8(1 + next() % 7)
            flow.tunnel.txIP0 = number()
            flow.tunnel.txIP1 = number()
            flow.tunnel.rxIP0 = number()
            flow.tunnel.rxIP1 = number()
            flow.tunnel.txMAC0 = number()
            flow.tunnel.txMAC1 = number()
            flow.tunnel.rxMAC0 = number()
            flow.tunnel.rxMAC1 = number()
            flow.tunnel.txID = number()
            flow.tunnel.rxID = number()
            flow.tunnel.tier = number()
        }
        flow.hasPerfStats = flag()
        if flow.hasPerfStats { flow.perf = perf() }
        flow.flowID = number()
        flow.startTimeNs = number()
        flow.endTimeNs = number()
        flow.durationNs = number()
        flow.synSeq = number()
        flow.synAckSeq = number()
        flow.lastKeepaliveSeq = number()
        flow.lastKeepaliveAck = number()
        flow.vlan = number()
        flow.initIPID = number()
        flow.closeType = number()
        flow.signalSource = number()
        flow.tapSide = number()
        flow.directionScore = number()
        flow.queueHash = number()
        flow.isNewFlow = flag()
        flow.isActiveService = flag()
        if flag() {
            flow.extra = FlowExtra(
                requestDomain: "d" + text(), aclGids: (0..<(next() % 4)).map { _ in number() },
                aggregatedFlowIDs: (0..<(next() % 60)).map { _ in number() })
        }
        return flow
    }

    private mutating func peer(real: IPAddress, v6: Bool) -> FlowMetricsPeer {
        var peer = FlowMetricsPeer()
        peer.byteCount = number()
        peer.l3ByteCount = number()
        peer.l4ByteCount = number()
        peer.packetCount = number()
        peer.totalByteCount = number()
        peer.totalPacketCount = number()
        peer.firstNs = number()
        peer.lastNs = number()
        // An IPv6 address other than the captured one is not sent, so it would not come back.
        peer.realIP = v6 || flag() ? real : address(v6: false)
        peer.l3EpcID = number()
        peer.gpid = number()
        peer.realPort = number()
        peer.tcpFlags = number()
        peer.isL2End = flag()
        peer.isL3End = flag()
        peer.isActiveHost = flag()
        peer.isDevice = flag()
        peer.isVipInterface = flag()
        peer.isVip = flag()
        return peer
    }

    private mutating func perf() -> FlowPerfStats {
        var perf = FlowPerfStats()
        perf.tcp.rttClient.max = number()
        perf.tcp.rttServer.max = number()
        perf.tcp.rtt = number()
        perf.tcp.srt = shortLatency()
        perf.tcp.art = shortLatency()
        perf.tcp.cit = shortLatency()
        perf.tcp.tx.retrans = number()
        perf.tcp.tx.zeroWin = number()
        perf.tcp.tx.outOfOrder = number()
        perf.tcp.rx.retrans = number()
        perf.tcp.rx.zeroWin = number()
        perf.tcp.rx.outOfOrder = number()
        perf.tcp.totalRetrans = number()
        perf.tcp.synCount = number()
        perf.tcp.synAckCount = number()
        perf.tcp.finCount = number()
        perf.l7.requestCount = number()
        perf.l7.responseCount = number()
        perf.l7.errClientCount = number()
        perf.l7.errServerCount = number()
        perf.l7.errTimeout = number()
        perf.l7.rrtCount = number()
        perf.l7.rrtSum = number()
        perf.l7.rrtMax = number()
        perf.l7.tlsRtt = number()
        perf.l4Protocol = number()
        perf.l7Protocol = number()
        perf.l7FailedCount = number()
        return perf
    }

    // MARK: Requests

    mutating func l7Log() -> L7FlowLog {
        var log = L7FlowLog()
        log.base = l7Base()
        log.requestLength = number()
        log.responseLength = number()
        log.hasRequest = next() % 8 != 0
        if log.hasRequest {
            log.requestType = text()
            log.requestDomain = text()
            log.requestResource = text()
            log.endpoint = text()
        }
        log.hasResponse = next() % 8 != 0
        if log.hasResponse {
            log.responseStatus = number()
            log.responseCode = number()
            log.responseException = text()
            log.responseResult = text()
        } else {
            log.responseStatus = 0
            log.responseCode = 0
        }
        log.version = text()
        if flag() {
            var trace = L7Trace()
            trace.traceID = text()
            trace.spanID = text()
            trace.parentSpanID = text()
            trace.traceIDs = texts()
            log.trace = trace
        }
        if flag() {
            var ext = L7Ext()
            ext.serviceName = text()
            ext.clientIP = text()
            ext.requestID = number()
            ext.xRequestID0 = text()
            ext.xRequestID1 = text()
            ext.userAgent = text()
            ext.referer = text()
            ext.rpcService = text()
            ext.protocolText = text()
            ext.attributeNames = texts()
            ext.attributeValues = texts()
            ext.metricsNames = texts()
            ext.metricsValues = (0..<(next() % 4)).map { _ in Double(number(Int32.self)) / 8 }
            log.ext = ext
        }
        log.rowEffect = number()
        log.directionScore = number()
        log.flags = number()
        log.capturedRequestByte = number()
        log.capturedResponseByte = number()
        log.bizCode = text()
        log.bizScenario = text()
        log.bizResponseCode = text()
        return log
    }

    private mutating func l7Base() -> L7Base {
        var base = L7Base()
        base.isIPv6 = flag()
        base.ipSrc = address(v6: base.isIPv6)
        base.ipDst = address(v6: base.isIPv6)
        base.startTimeNs = number()
        base.endTimeNs = number()
        base.flowID = number()
        base.tapPort = number()
        base.macSrc = number()
        base.macDst = number()
        base.l3EpcIDSrc = number()
        base.l3EpcIDDst = number()
        base.reqTCPSeq = number()
        base.respTCPSeq = number()
        base.processID0 = number()
        base.processID1 = number()
        base.processName0 = text()
        base.processName1 = text()
        base.syscallTraceIDRequest = number()
        base.syscallTraceIDResponse = number()
        base.syscallThread0 = number()
        base.syscallThread1 = number()
        base.syscallCapSeq0 = UInt64(number(UInt32.self))
        base.syscallCapSeq1 = UInt64(number(UInt32.self))
        base.syscallCoroutine0 = number()
        base.syscallCoroutine1 = number()
        base.gpid0 = number()
        base.gpid1 = number()
        base.podID0 = number()
        base.podID1 = number()
        base.agentID = number()
        base.tapType = number()
        base.portSrc = number()
        base.portDst = number()
        base.isVipInterfaceSrc = flag()
        base.isVipInterfaceDst = flag()
        base.tapSide = number()
        base.proto = number()
        base.bizType = number()
        base.l7Protocol = number()
        base.messageType = number()
        base.rrtNs = number()
        return base
    }
}

/// Everything a record holds, as text: records are not `Equatable`.
func described(_ record: some Any) -> String {
    var text = ""
    dump(record, to: &text)
    return text
}
