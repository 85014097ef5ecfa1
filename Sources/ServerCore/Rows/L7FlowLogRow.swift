package import Model

/// A row of `flow_log.l7_flow_log` made from a protocol log, or from a span of OpenTelemetry.
/// Source: ingester.md 5.2, 5.3 and the table's columns.
package struct L7FlowLogRow: TableRow {
    package let id: UInt64
    package let log: L7FlowLog
    package let client: SideTags
    package let server: SideTags
    package let teamID: UInt16
    package let traceIDIndex: UInt64
    package let bizProtocol: String
    package let responseStatus: UInt8
    package let responseCode: Int64?
    package let responseException: String
    package let requestID: UInt64?
    /// What only spans have; nil for a protocol log.
    let span: SpanColumns?

    package var isIPv6: Bool { log.base.isIPv6 }

    /// - Parameter isMessage: the log is one message of a session, which is shown as it was parsed.
    package init(
        _ log: L7FlowLog, id: UInt64, teamID: UInt16, traceIDs: TraceIDIndexer, platform: PlatformData,
        isMessage: Bool = false
    ) {
        let base = log.base
        self.id = id
        self.log = log
        self.teamID = teamID
        var tags = AutoTagging(platform: platform).tagLog(
            TaggedEnd(
                epc: base.l3EpcIDSrc, address: base.ipSrc, mac: base.macSrc, gpid: base.gpid0, podID: base.podID0,
                isVipInterface: base.isVipInterfaceSrc),
            TaggedEnd(
                epc: base.l3EpcIDDst, address: base.ipDst, mac: base.macDst, gpid: base.gpid1, podID: base.podID1,
                isVipInterface: base.isVipInterfaceDst),
            isIPv6: base.isIPv6, tapSide: base.tapSide, agentID: base.agentID, proto: base.proto,
            serverPort: base.portDst)
        // After the automatic ids, which therefore know the process of the record only.
        L7FlowLogRow.findProcess(base.processID0, agent: base.agentID, platform, &tags.0)
        L7FlowLogRow.findProcess(base.processID1, agent: base.agentID, platform, &tags.1)
        (client, server) = tags

        traceIDIndex = traceIDs.index(of: L7FlowLogRow.traceID(of: log))
        bizProtocol = L7FlowLogRow.bizProtocol(of: log)
        let isRequest = base.messageType == LogMessageType.request.rawValue
        var status = log.hasResponse ? log.responseStatus : L7ResponseStatus.unknown.rawValue
        let shownCode = log.hasResponse && !isRequest ? log.responseCode : 0
        var code: Int64? = log.hasResponse && !isRequest && shownCode != L7FlowLog.noCode ? Int64(shownCode) : nil
        var exception = log.hasResponse && !isRequest ? log.responseException : ""
        if exception.isEmpty, log.hasResponse, !isRequest {
            exception = ResponseExceptions.text(
                protocol: base.l7Protocol, version: log.version, status: status, code: shownCode)
        }
        let protocolNumber = L7Protocol(rawValue: base.l7Protocol)
        let requestNumber = log.ext?.requestID ?? 0
        var keepsZeroID = protocolNumber == .sofaRPC
        if protocolNumber == .kafka, log.hasRequest {
            keepsZeroID = true
            if shownCode == 0, !isMessage, !L7FlowLogRow.kafkaTypesWithCode.contains(log.requestType) {
                status = L7ResponseStatus.timeout.rawValue
                code = nil
            }
        }
        responseStatus = status
        responseCode = code
        responseException = exception
        requestID = requestNumber != 0 || keepsZeroID ? UInt64(requestNumber) : nil
        span = nil
    }

    /// Kafka requests whose answer carries an error code. Source: ingester.md 5.2.
    private static let kafkaTypesWithCode: Set<String> = ["Fetch", "Produce", "JoinGroup", "LeaveGroup", "SyncGroup"]

    private static func findProcess(
        _ pid: UInt32, agent: UInt16, _ platform: PlatformData, _ tags: inout SideTags
    ) {
        guard pid != 0, tags.gpid == 0 else { return }
        tags.source |= TagSource.processID
        tags.gpid = platform.processID(agent: agent, pid: pid) ?? 0
    }

    private static func traceID(of log: L7FlowLog) -> String {
        guard let trace = log.trace else { return "" }
        return trace.traceIDs.first ?? trace.traceID
    }

    private static func bizProtocol(of log: L7FlowLog) -> String {
        let known = L7Protocol(rawValue: log.base.l7Protocol) ?? .unknown
        var name = known.displayName
        if let custom = log.ext?.protocolText, !custom.isEmpty { name = custom }
        return log.flags & L7FlowLog.flagTLS != 0 && known != .tls ? name + "_TLS" : name
    }

    private var responseResult: String {
        log.hasResponse && log.base.messageType != LogMessageType.request.rawValue ? log.responseResult : ""
    }

    private var requestLength: Int64? {
        log.hasRequest && log.requestLength != -1 && log.base.messageType != LogMessageType.response.rawValue
            ? Int64(log.requestLength) : nil
    }

    private var responseLength: Int64? {
        log.hasResponse && log.responseLength != -1 && log.base.messageType != LogMessageType.request.rawValue
            ? Int64(log.responseLength) : nil
    }

    /// User agent, referrer and RPC service go before the record's own attributes.
    private var attributes: (names: [String], values: [String]) {
        guard let ext = log.ext else { return ([], []) }
        if ext.userAgent.isEmpty, ext.referer.isEmpty, ext.rpcService.isEmpty {
            return (ext.attributeNames, ext.attributeValues)
        }
        var names: [String] = []
        var values: [String] = []
        for (name, value) in [
            ("http_user_agent", ext.userAgent), ("http_referer", ext.referer), ("rpc_service", ext.rpcService),
        ] where !value.isEmpty {
            names.append(name)
            values.append(value)
        }
        return (names + ext.attributeNames, values + ext.attributeValues)
    }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let base = log.base
        let isIPv6 = base.isIPv6
        let nic = CaptureNIC(tapPort: base.tapPort)
        let traceID = L7FlowLogRow.traceID(of: log)
        let secondTraceID = log.trace.map { $0.traceIDs.count > 1 ? $0.traceIDs[1] : "" } ?? ""
        let attributes = self.attributes
        e.uint(id)
        e.uint(UInt64(client.regionID))
        e.uint(UInt64(server.regionID))
        e.uint(UInt64(client.azID))
        e.uint(UInt64(server.azID))
        e.uint(UInt64(client.hostID))
        e.uint(UInt64(server.hostID))
        e.uint(UInt64(client.l3DeviceType))
        e.uint(UInt64(server.l3DeviceType))
        e.uint(UInt64(client.l3DeviceID))
        e.uint(UInt64(server.l3DeviceID))
        e.uint(UInt64(client.podNodeID))
        e.uint(UInt64(server.podNodeID))
        e.uint(UInt64(client.podNsID))
        e.uint(UInt64(server.podNsID))
        e.uint(UInt64(client.podGroupID))
        e.uint(UInt64(server.podGroupID))
        e.uint(UInt64(client.podID))
        e.uint(UInt64(server.podID))
        e.uint(UInt64(client.podClusterID))
        e.uint(UInt64(server.podClusterID))
        e.int(Int64(client.l3EpcID))
        e.int(Int64(server.l3EpcID))
        e.int(Int64(client.l2EpcID))
        e.int(Int64(server.l2EpcID))
        e.uint(UInt64(client.subnetID))
        e.uint(UInt64(server.subnetID))
        e.uint(UInt64(client.serviceID))
        e.uint(UInt64(server.serviceID))
        e.uint(UInt64(client.autoInstanceID))
        e.uint(UInt64(client.autoInstanceType))
        e.uint(UInt64(client.autoServiceID))
        e.uint(UInt64(client.autoServiceType))
        e.uint(UInt64(server.autoInstanceID))
        e.uint(UInt64(server.autoInstanceType))
        e.uint(UInt64(server.autoServiceID))
        e.uint(UInt64(server.autoServiceType))
        e.uint(UInt64(client.source))
        e.uint(UInt64(server.source))
        e.uint(UInt64(teamID))
        e.time(seconds: base.endTimeNs / 1_000_000_000)
        let (isWideSrc, isWideDst) = span.map { ($0.isIPv6Src, $0.isIPv6Dst) } ?? (isIPv6, isIPv6)
        e.ip4(isWideSrc ? 0 : base.ipSrc.v4)
        e.ip4(isWideDst ? 0 : base.ipDst.v4)
        e.ip6(isWideSrc ? base.ipSrc : IPAddress())
        e.ip6(isWideDst ? base.ipDst : IPAddress())
        e.uint(isIPv6 ? 0 : 1)
        e.uint(UInt64(base.proto))
        e.uint(UInt64(base.portSrc))
        e.uint(UInt64(base.portDst))
        e.uint(base.flowID)
        e.uint(UInt64(base.tapType & 0xff))
        e.uint(nic.natSource)
        e.uint(nic.type)
        e.uint(nic.signalSource)
        e.uint(nic.tunnelType)
        e.uint(nic.id)
        e.text(observationPoint(base.tapSide))
        e.uint(UInt64(base.agentID))
        e.uint(UInt64(base.reqTCPSeq))
        e.uint(UInt64(base.respTCPSeq))
        e.time(micros: base.startTimeNs / 1000)
        e.time(micros: base.endTimeNs / 1000)
        e.uint(UInt64(client.gpid))
        e.uint(UInt64(server.gpid))
        e.uint(UInt64(base.bizType))
        e.text(log.bizCode)
        e.text(log.bizScenario)
        e.text(log.bizResponseCode)
        e.int(Int64(Int32(bitPattern: base.processID0)))
        e.int(Int64(Int32(bitPattern: base.processID1)))
        e.text(base.processName0)
        e.text(base.processName1)
        e.uint(base.syscallTraceIDRequest)
        e.uint(base.syscallTraceIDResponse)
        e.uint(UInt64(base.syscallThread0))
        e.uint(UInt64(base.syscallThread1))
        e.uint(base.syscallCoroutine0)
        e.uint(base.syscallCoroutine1)
        e.uint(base.syscallCapSeq0 & 0xffff_ffff)
        e.uint(base.syscallCapSeq1 & 0xffff_ffff)
        e.uint(UInt64(base.l7Protocol))
        e.text(bizProtocol)
        e.text(log.version)
        e.uint(UInt64(base.messageType))
        e.uint(log.flags & L7FlowLog.flagTLS != 0 ? 1 : 0)
        e.uint(log.flags & L7FlowLog.flagAsync != 0 ? 1 : 0)
        e.uint(log.flags & L7FlowLog.flagReversed != 0 ? 1 : 0)
        e.text(log.requestType)
        e.text(log.requestDomain)
        e.text(log.requestResource)
        e.text(log.endpoint)
        e.optional(requestID)
        e.uint(UInt64(responseStatus))
        e.optional(responseCode)
        e.text(responseException)
        e.text(responseResult)
        e.text(log.ext?.clientIP ?? "")
        e.text(log.ext?.xRequestID0 ?? "")
        e.text(log.ext?.xRequestID1 ?? "")
        e.text(traceID)
        e.text(secondTraceID)
        e.uint(traceIDIndex)
        e.text(log.trace?.spanID ?? "")
        e.text(log.trace?.parentSpanID ?? "")
        e.optional(span.map { UInt64($0.kind) })
        e.text(log.ext?.serviceName ?? "")
        e.text(span?.appInstance ?? "")
        e.uint(base.rrtNs / 1000)
        e.optional(span.map(\.requestLength) ?? requestLength)
        e.optional(span.map(\.responseLength) ?? responseLength)
        e.optional(span.map(\.affectedRows) ?? (log.rowEffect == 0 ? nil : UInt64(log.rowEffect)))
        e.uint(UInt64(log.directionScore))
        e.uint(UInt64(log.capturedRequestByte))
        e.uint(UInt64(log.capturedResponseByte))
        e.texts(attributes.names)
        e.texts(attributes.values)
        e.texts(log.ext?.metricsNames ?? [])
        e.reals(log.ext?.metricsValues ?? [])
        e.text(span?.events ?? "")
    }
}

extension RowEncoder {
    @inline(__always)
    mutating func optional(_ value: UInt64?) {
        if let value { uint(value) } else { null() }
    }

    @inline(__always)
    mutating func optional(_ value: Int64?) {
        if let value { int(value) } else { null() }
    }
}
