import Model

/// Joining a request with its response. Source: agent-l7.md 9.3, merge rules of agent-l7-protocols.md.
extension L7Message {
    /// Takes the response into the request: first the content, then the base fields.
    mutating func merge(_ response: consuming L7Message) {
        mergeContent(response)
        isOnBlacklist = isOnBlacklist || response.isOnBlacklist
        isRequestEnd = isRequestEnd || response.isRequestEnd
        isResponseEnd = isResponseEnd || response.isResponseEnd
        log.base.merge(response.log.base)
        type = LogMessageType(rawValue: log.base.messageType) ?? .session
        l7Protocol = response.l7Protocol
        if skipSend && !response.skipSend { skipSend = false }
    }

    private mutating func mergeContent(_ response: borrowing L7Message) {
        log.merge(response.log, proto: l7Protocol)
        mergeDetail(response.detail)
    }

    private mutating func mergeDetail(_ other: L7Detail) {
        switch (detail, other) {
        case (.http(var kept), .http(let response)):
            kept.hasResponse = response.hasResponse
            kept.responseHeader = response.responseHeader
            kept.responsePayload = response.responsePayload
            detail = .http(kept)
        case (.none, .http): detail = other
        case (.mysql(var kept), .mysql(let response)):
            kept.affectedRows = response.affectedRows
            detail = .mysql(kept)
            if kept.countsRows { log.rowEffect = response.affectedRows }
            // The number of a statement is known only from the answer to PREPARE.
            if kept.command != MySQLCommand.prepare { log.ext?.requestID = 0 }
        default: break
        }
    }
}

extension L7FlowLog {
    /// Request <- response: columns of the request stay, those of the response are taken.
    mutating func merge(_ other: borrowing L7FlowLog, proto: L7Protocol) {
        if requestType.isEmpty { requestType = other.requestType }
        if requestDomain.isEmpty { requestDomain = other.requestDomain }
        if requestResource.isEmpty { requestResource = other.requestResource }
        if endpoint.isEmpty { endpoint = other.endpoint }
        if version.isEmpty { version = other.version }
        if requestLength < 0 { requestLength = other.requestLength }
        if responseLength < 0 { responseLength = other.responseLength }
        if other.responseStatus != L7ResponseStatus.unknown.rawValue { responseStatus = other.responseStatus }
        if other.responseCode != L7FlowLog.noCode, proto != .dns || responseCode <= 0 {
            responseCode = other.responseCode
        }
        if !other.responseException.isEmpty { responseException = other.responseException }
        if !other.responseResult.isEmpty { responseResult = other.responseResult }
        flags |= other.flags
        mergeCaptured(other, proto)
        mergeTrace(other.trace)
        mergeExt(other.ext)
    }

    /// The response's bytes overwrite; the HTTP family adds.
    private mutating func mergeCaptured(_ other: borrowing L7FlowLog, _ proto: L7Protocol) {
        switch proto {
        case .http1, .http2, .grpc, .triple:
            capturedRequestByte &+= other.capturedRequestByte
            capturedResponseByte &+= other.capturedResponseByte
        default: capturedResponseByte = other.capturedResponseByte
        }
    }

    private mutating func mergeTrace(_ other: L7Trace?) {
        guard let other else { return }
        guard var trace = self.trace else {
            self.trace = other
            return
        }
        for id in other.traceIDs where !trace.traceIDs.contains(id) { trace.traceIDs.append(id) }
        if trace.spanID.isEmpty { trace.spanID = other.spanID }
        if trace.parentSpanID.isEmpty { trace.parentSpanID = other.parentSpanID }
        self.trace = trace
    }

    private mutating func mergeExt(_ other: L7Ext?) {
        guard let other else { return }
        guard var ext = self.ext else {
            self.ext = other
            return
        }
        if ext.serviceName.isEmpty { ext.serviceName = other.serviceName }
        if ext.clientIP.isEmpty { ext.clientIP = other.clientIP }
        if ext.requestID == 0 { ext.requestID = other.requestID }
        if ext.xRequestID0.isEmpty { ext.xRequestID0 = other.xRequestID0 }
        if ext.xRequestID1.isEmpty { ext.xRequestID1 = other.xRequestID1 }
        if ext.userAgent.isEmpty { ext.userAgent = other.userAgent }
        if ext.referer.isEmpty { ext.referer = other.referer }
        if ext.rpcService.isEmpty { ext.rpcService = other.rpcService }
        if ext.protocolText.isEmpty { ext.protocolText = other.protocolText }
        for (name, value) in zip(other.attributeNames, other.attributeValues)
        where !zip(ext.attributeNames, ext.attributeValues).contains(where: { $0 == name && $1 == value }) {
            ext.attributeNames.append(name)
            ext.attributeValues.append(value)
        }
        ext.metricsNames += other.metricsNames
        ext.metricsValues += other.metricsValues
        self.ext = ext
    }
}

extension L7Detail {
    /// Shows what was kept for the case that the status is not Ok.
    func finish(_ log: inout L7FlowLog) {
        guard case .http(let kept) = self, log.responseStatus != L7ResponseStatus.ok.rawValue else { return }
        var ext = log.ext ?? L7Ext()
        if kept.hasRequest {
            // Appear even when nothing is kept of them (trap).
            ext.attributeNames += ["request_header", "request_payload"]
            ext.attributeValues += [kept.requestHeader, kept.requestPayload]
        }
        if kept.hasResponse, !kept.responseHeader.isEmpty {
            ext.attributeNames.append("response_header")
            ext.attributeValues.append(kept.responseHeader)
        }
        if kept.hasResponse, !kept.responsePayload.isEmpty {
            ext.attributeNames.append("response_payload")
            ext.attributeValues.append(kept.responsePayload)
        }
        log.ext = ext
    }
}

extension L7Base {
    /// Request <- response. Source: agent-l7.md 9.3.
    mutating func merge(_ other: L7Base) {
        l7Protocol = other.l7Protocol
        if other.processID0 != 0 { processID0 = other.processID0 }
        if other.processID1 != 0 { processID1 = other.processID1 }
        if !other.processName0.isEmpty { processName0 = other.processName0 }
        if !other.processName1.isEmpty { processName1 = other.processName1 }
        if other.syscallCoroutine0 != 0 { syscallCoroutine0 = other.syscallCoroutine0 }
        if other.syscallCoroutine1 != 0 { syscallCoroutine1 = other.syscallCoroutine1 }
        if other.syscallThread0 != 0 { syscallThread0 = other.syscallThread0 }
        if other.syscallThread1 != 0 { syscallThread1 = other.syscallThread1 }
        if other.syscallCapSeq0 != 0 { syscallCapSeq0 = other.syscallCapSeq0 }
        if other.syscallCapSeq1 != 0 { syscallCapSeq1 = other.syscallCapSeq1 }
        if other.syscallTraceIDRequest != 0 { syscallTraceIDRequest = other.syscallTraceIDRequest }
        if other.syscallTraceIDResponse != 0 { syscallTraceIDResponse = other.syscallTraceIDResponse }
        startTimeNs = min(startTimeNs, other.startTimeNs)
        endTimeNs = max(endTimeNs, other.endTimeNs)
        if reqTCPSeq == 0 { reqTCPSeq = other.reqTCPSeq }
        if respTCPSeq == 0 { respTCPSeq = other.respTCPSeq }
        if messageType != other.messageType { messageType = LogMessageType.session.rawValue }
        // Recomputed from the times, whatever the statistics say (trap).
        rrtNs = endTimeNs > startTimeNs ? (endTimeNs - startTimeNs) / 1000 * 1000 : 0
        if bizType == 0 { bizType = other.bizType }
    }
}
