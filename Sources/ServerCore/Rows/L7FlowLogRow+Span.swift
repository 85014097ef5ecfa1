import Model
import Wire

/// Columns of a request log that only spans fill. Behind one pointer: rows of protocol logs are many and have none.
final class SpanColumns: Sendable {
    let kind: UInt8
    let appInstance: String
    let requestLength: Int64?
    let responseLength: Int64?
    let affectedRows: UInt64?
    let events: String
    /// A span may name ends of both families.
    let isIPv6Src: Bool
    let isIPv6Dst: Bool

    init(_ reading: SpanReading, kind: Int32, events: String) {
        self.kind = UInt8(truncatingIfNeeded: kind)
        appInstance = reading.appInstance
        requestLength = reading.requestLength
        responseLength = reading.responseLength
        affectedRows = reading.affectedRows
        self.events = events
        isIPv6Src = reading.ends.0?.isIPv6 ?? false
        isIPv6Dst = reading.ends.1?.isIPv6 ?? false
    }
}

extension L7FlowLogRow {
    init(_ received: ReceivedSpan, id: UInt64, teamID: UInt16, traceIDs: TraceIDIndexer, platform: PlatformData) {
        let span = received.span
        let reading = SpanReading(span, resource: received.resourceAttributes)
        var log = L7FlowLog()
        log.base.startTimeNs = span.startNs
        log.base.endTimeNs = span.endNs
        let (startUs, endUs) = (span.startNs / 1000, span.endNs / 1000)
        log.base.rrtNs = endUs > startUs ? (endUs - startUs) * 1000 : 0
        log.base.tapType = 3
        log.base.tapPort = CaptureNIC.openTelemetry << 60
        log.base.tapSide = reading.side.rawValue
        log.base.messageType = LogMessageType.session.rawValue
        log.base.proto = reading.proto
        log.base.agentID = received.agentID
        log.base.ipSrc = reading.ends.0?.address ?? IPAddress()
        log.base.ipDst = reading.ends.1?.address ?? IPAddress()
        log.base.isIPv6 = reading.ends.0?.isIPv6 == true || reading.ends.1?.isIPv6 == true
        log.requestType = reading.requestType
        log.requestDomain = reading.requestDomain
        log.requestResource = reading.requestResource
        log.endpoint = span.name
        log.version = reading.version
        log.base.l7Protocol = reading.l7Protocol
        log.flags = reading.isTLS ? L7FlowLog.flagTLS : 0
        var trace = L7Trace()
        trace.traceID = reading.traceID
        trace.spanID = reading.spanID
        trace.parentSpanID = reading.parentSpanID
        log.trace = trace
        var ext = L7Ext()
        ext.serviceName = reading.appService
        ext.attributeNames = reading.attributes.map(\.name)
        ext.attributeValues = reading.attributes.map(\.value)
        ext.metricsNames = reading.metrics.map(\.name)
        ext.metricsValues = reading.metrics.map(\.value)
        log.ext = ext

        let epcs = L7FlowLogRow.epcs(reading, agentID: received.agentID, platform)
        log.base.l3EpcIDSrc = epcs.0
        log.base.l3EpcIDDst = epcs.1
        var tags = AutoTagging(platform: platform).tagLog(
            TaggedEnd(epc: epcs.0, address: log.base.ipSrc, mac: 0, gpid: 0, podID: 0),
            TaggedEnd(epc: epcs.1, address: log.base.ipDst, mac: 0, gpid: 0, podID: 0),
            isIPv6: log.base.isIPv6, tapSide: TapSide.rest.rawValue, agentID: received.agentID, proto: log.base.proto,
            serverPort: 0)
        tags.0.adjustForOTel()
        tags.1.adjustForOTel()
        if reading.side == .serverApp { log.base.portDst = 65535 }

        self.init(
            id: id, log: log, client: tags.0, server: tags.1, teamID: teamID,
            traceIDIndex: traceIDs.index(of: reading.traceID), bizProtocol: reading.bizProtocol,
            status: reading.status(of: span),
            span: SpanColumns(reading, kind: span.kind, events: OTLPText.events(span.events)))
    }

    private init(
        id: UInt64, log: L7FlowLog, client: SideTags, server: SideTags, teamID: UInt16, traceIDIndex: UInt64,
        bizProtocol: String, status: SpanReading.Status, span: SpanColumns
    ) {
        self.id = id
        self.log = log
        self.client = client
        self.server = server
        self.teamID = teamID
        self.traceIDIndex = traceIDIndex
        self.bizProtocol = bizProtocol
        responseStatus = status.status.rawValue
        responseCode = status.code
        responseException = status.exception
        requestID = nil
        self.span = span
    }

    /// VPCs of both ends: the agent's for its own, and for the other that of the peer's address.
    private static func epcs(_ reading: SpanReading, agentID: UInt16, _ platform: PlatformData) -> (Int32, Int32) {
        let own = platform.epc(ofAgent: agentID)
        switch reading.side {
        case .clientApp: return (own, epc(of: reading.ends.1, own, platform))
        case .serverApp: return (epc(of: reading.ends.0, own, platform), own)
        default: return (own, own)
        }
    }

    /// The agent's VPC when it has the address; else the owner of a wide-area address; else the Internet.
    private static func epc(of end: SpanReading.End?, _ own: Int32, _ platform: PlatformData) -> Int32 {
        let (address, isIPv6) = end.map { ($0.address, $0.isIPv6) } ?? (IPAddress(), false)
        if platform.contains(address, v6: isIPv6, epc: own) { return own }
        if let wide = platform.byAddress[.init(epc: 0, address: address)] { return wide.epcID }
        return platform.contains(address, v6: isIPv6, epc: 0) ? 0 : EPC.internet
    }
}
