import Model

/// Joining a request with its response. Source: agent-l7.md 9.3, merge rules of agent-l7-protocols.md.
extension L7Message {
    /// Takes the response into the request: first the content, then the base fields.
    mutating func merge(_ response: UnsafePointer<L7Message>) {
        let record = response.pointer(to: \.log).unsafelyUnwrapped
        log.mergeContent(record, l7Protocol)
        if !response.pointee.detail.isNone { mergeDetail(response.pointee.detail) }
        isOnBlacklist = isOnBlacklist || response.pointee.isOnBlacklist
        isRequestEnd = isRequestEnd || response.pointee.isRequestEnd
        isResponseEnd = isResponseEnd || response.pointee.isResponseEnd
        log.base.merge(record)
        type = LogMessageType(rawValue: log.base.messageType) ?? .session
        l7Protocol = response.pointee.l7Protocol
        if skipSend && !response.pointee.skipSend { skipSend = false }
    }

    private mutating func mergeDetail(_ other: L7Detail) {
        switch (detail, other) {
        case (.http(var kept), .http(let response)):
            kept.hasResponse = response.hasResponse
            kept.response = response.response
            detail = .http(kept)
        case (.none, .http(let response)): detail = .http(response)
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
    fileprivate mutating func mergeContent(_ record: UnsafePointer<L7FlowLog>, _ proto: L7Protocol) {
        if requestType.isEmpty { requestType = record.pointee.requestType }
        if requestDomain.isEmpty { requestDomain = record.pointee.requestDomain }
        if requestResource.isEmpty { requestResource = record.pointee.requestResource }
        if endpoint.isEmpty { endpoint = record.pointee.endpoint }
        // The partition of a Produce is known from its response only.
        if proto == .kafka, requestType == "Produce", !record.pointee.endpoint.isEmpty {
            endpoint = record.pointee.endpoint
        }
        if version.isEmpty { version = record.pointee.version }
        if requestLength < 0 { requestLength = record.pointee.requestLength }
        if responseLength <= 0 { responseLength = record.pointee.responseLength }
        if takesStatus(record.pointee.responseStatus, proto) { responseStatus = record.pointee.responseStatus }
        if record.pointee.responseCode != L7FlowLog.noCode, proto != .dns || responseCode <= 0 {
            responseCode = record.pointee.responseCode
        }
        if !record.pointee.responseResult.isEmpty { responseResult = record.pointee.responseResult }
        flags |= record.pointee.flags
        // The response's bytes overwrite; the HTTP family adds.
        switch proto {
        case .http1, .http2, .grpc, .triple:
            capturedRequestByte &+= record.pointee.capturedRequestByte
            capturedResponseByte &+= record.pointee.capturedResponseByte
        case .tls:
            capturedResponseByte = record.pointee.capturedResponseByte
            // What was chosen, and all messages of the handshake.
            version = record.pointee.version
            requestType += "|" + record.pointee.requestType
        // Nor do its sessions have the response's bytes (trap).
        case .brpc: break
        default: capturedResponseByte = record.pointee.capturedResponseByte
        }
        if proto == .postgresql { rowEffect = record.pointee.rowEffect }
        if record.pointee.isPlain { return }
        mergeRare(of: record, trace: { $0.merge($1) }, ext: { $0.merge($1) })
    }
}

extension L7FlowLog {
    /// Whether the status of a response becomes that of its session.
    @inline(__always)
    private func takesStatus(_ new: UInt8, _ proto: L7Protocol) -> Bool {
        guard new != L7ResponseStatus.unknown.rawValue else { return false }
        return switch proto {
        case .amqp, .rocketMQ: responseStatus == L7ResponseStatus.unknown.rawValue
        case .openWire: responseStatus == L7ResponseStatus.ok.rawValue
        // A successful session stays unknown (trap).
        case .pulsar, .brpc: new != L7ResponseStatus.ok.rawValue
        default: true
        }
    }
}

extension L7Trace {
    fileprivate mutating func merge(_ other: borrowing L7Trace) {
        for id in other.traceIDs where !traceIDs.contains(id) { traceIDs.append(id) }
        if spanID.isEmpty { spanID = other.spanID }
        if parentSpanID.isEmpty { parentSpanID = other.parentSpanID }
    }
}

extension L7Ext {
    fileprivate mutating func merge(_ other: borrowing L7Ext) {
        if serviceName.isEmpty { serviceName = other.serviceName }
        if clientIP.isEmpty { clientIP = other.clientIP }
        if requestID == 0 { requestID = other.requestID }
        if xRequestID0.isEmpty { xRequestID0 = other.xRequestID0 }
        if xRequestID1.isEmpty { xRequestID1 = other.xRequestID1 }
        if userAgent.isEmpty { userAgent = other.userAgent }
        if referer.isEmpty { referer = other.referer }
        if rpcService.isEmpty { rpcService = other.rpcService }
        if protocolText.isEmpty { protocolText = other.protocolText }
        // Mostly both have the same ones.
        if attributeNames != other.attributeNames || attributeValues != other.attributeValues {
            mergeAttributes(other)
        }
        metricsNames += other.metricsNames
        metricsValues += other.metricsValues
    }

    private mutating func mergeAttributes(_ other: borrowing L7Ext) {
        for (name, value) in zip(other.attributeNames, other.attributeValues)
        where !zip(attributeNames, attributeValues).contains(where: { $0 == name && $1 == value }) {
            attributeNames.append(name)
            attributeValues.append(value)
        }
    }
}

extension L7Detail {
    /// Shows what was kept for the case that the status is not Ok.
    func finish(_ log: inout L7FlowLog) {
        guard log.responseStatus != L7ResponseStatus.ok.rawValue, case .http(let kept) = self else { return }
        var (names, values): ([String], [String]) = ([], [])
        names.reserveCapacity(4)
        values.reserveCapacity(4)
        if kept.hasRequest {
            // Appear even when nothing is kept of them (trap).
            names.append("request_header")
            names.append("request_payload")
            values.append(kept.request?.header ?? "")
            values.append(kept.request?.payload ?? "")
        }
        if kept.hasResponse, let text = kept.response {
            if !text.header.isEmpty {
                names.append("response_header")
                values.append(text.header)
            }
            if !text.payload.isEmpty {
                names.append("response_payload")
                values.append(text.payload)
            }
        }
        log.changeExt { ext in
            if ext.attributeNames.isEmpty {
                (ext.attributeNames, ext.attributeValues) = (names, values)
            } else {
                ext.attributeNames += names
                ext.attributeValues += values
            }
        }
    }
}

extension L7Base {
    /// Request <- response. Source: agent-l7.md 9.3.
    mutating func merge(_ record: UnsafePointer<L7FlowLog>) {
        l7Protocol = record.pointee.base.l7Protocol
        if record.pointee.base.hasOrigins { mergeOrigins(record) }
        startTimeNs = min(startTimeNs, record.pointee.base.startTimeNs)
        endTimeNs = max(endTimeNs, record.pointee.base.endTimeNs)
        if reqTCPSeq == 0 { reqTCPSeq = record.pointee.base.reqTCPSeq }
        if respTCPSeq == 0 { respTCPSeq = record.pointee.base.respTCPSeq }
        if messageType != record.pointee.base.messageType { messageType = LogMessageType.session.rawValue }
        // Recomputed from the times, whatever the statistics say (trap).
        rrtNs = endTimeNs > startTimeNs ? (endTimeNs - startTimeNs) / 1000 * 1000 : 0
        if bizType == 0 { bizType = record.pointee.base.bizType }
    }

    private mutating func mergeOrigins(_ record: UnsafePointer<L7FlowLog>) {
        if record.pointee.base.processID0 != 0 { processID0 = record.pointee.base.processID0 }
        if record.pointee.base.processID1 != 0 { processID1 = record.pointee.base.processID1 }
        if !record.pointee.base.processName0.isEmpty { processName0 = record.pointee.base.processName0 }
        if !record.pointee.base.processName1.isEmpty { processName1 = record.pointee.base.processName1 }
        if record.pointee.base.syscallCoroutine0 != 0 { syscallCoroutine0 = record.pointee.base.syscallCoroutine0 }
        if record.pointee.base.syscallCoroutine1 != 0 { syscallCoroutine1 = record.pointee.base.syscallCoroutine1 }
        if record.pointee.base.syscallThread0 != 0 { syscallThread0 = record.pointee.base.syscallThread0 }
        if record.pointee.base.syscallThread1 != 0 { syscallThread1 = record.pointee.base.syscallThread1 }
        if record.pointee.base.syscallCapSeq0 != 0 { syscallCapSeq0 = record.pointee.base.syscallCapSeq0 }
        if record.pointee.base.syscallCapSeq1 != 0 { syscallCapSeq1 = record.pointee.base.syscallCapSeq1 }
        if record.pointee.base.syscallTraceIDRequest != 0 {
            syscallTraceIDRequest = record.pointee.base.syscallTraceIDRequest
        }
        if record.pointee.base.syscallTraceIDResponse != 0 {
            syscallTraceIDResponse = record.pointee.base.syscallTraceIDResponse
        }
    }
}
