import Model

/// A recent request: the log record and what live tables know beside it.
struct LiveRequest: LiveRecord {
    let id: UInt64
    let log: L7FlowLog
    let clientText: String
    let serverText: String
    let process0: String
    let process1: String
    let pid0: Int32
    let pid1: Int32

    /// - Parameter flow: the flow it came in, when still known.
    init(id: UInt64, log: L7FlowLog, flow: LiveFlow?) {
        self.id = id
        self.log = log
        clientText = log.base.ipSrc.text(v6: log.base.isIPv6)
        serverText = log.base.ipDst.text(v6: log.base.isIPv6)
        process0 = log.base.processName0.isEmpty ? flow?.process0 ?? "" : log.base.processName0
        process1 = log.base.processName1.isEmpty ? flow?.process1 ?? "" : log.base.processName1
        pid0 = log.base.processID0 == 0 ? flow?.pid0 ?? 0 : Int32(truncatingIfNeeded: log.base.processID0)
        pid1 = log.base.processID1 == 0 ? flow?.pid1 ?? 0 : Int32(truncatingIfNeeded: log.base.processID1)
    }

    var isRequestOnly: Bool { log.base.messageType == LogMessageType.request.rawValue }
    var durationUs: UInt64 { log.base.rrtNs / 1000 }
    var isError: Bool {
        switch L7ResponseStatus(rawValue: log.responseStatus) {
        case .clientError, .serverError, .timeout: true
        default: false
        }
    }
    var l7Name: String {
        if let text = log.ext?.protocolText, !text.isEmpty { return text }
        return (L7Protocol(rawValue: log.base.l7Protocol) ?? .unknown).displayName
    }
    var traceID: String { log.trace.map { $0.traceIDs.first ?? $0.traceID } ?? "" }

    static let columns: [KnownColumn] = [
        .flowID, .time, .startTime, .endTime, .ip0, .clientPort, .ip1, .serverPort, .protocol, .l7Protocol, .type,
        .version, .requestType, .requestDomain, .requestResource, .endpoint, .requestID, .responseStatus,
        .responseCode, .responseDuration, .responseException, .responseResult, .requestLength, .responseLength,
        .traceID, .spanID, .isTLS, .pid0, .process0, .pid1, .process1, .observationPoint, .captureNic, .agentID,
    ]

    package func field(_ column: FilterColumn) -> FieldValue? {
        guard let known = column.known else { return nil }
        switch known {
        case .flowID: return .uint(log.base.flowID)
        case .time, .endTime: return .uint(log.base.endTimeNs / 1000)
        case .startTime: return .uint(log.base.startTimeNs / 1000)
        case .ip0: return .text(clientText)
        case .ip1: return .text(serverText)
        case .clientPort: return .uint(UInt64(log.base.portSrc))
        case .serverPort: return .uint(UInt64(log.base.portDst))
        case .protocol: return .uint(UInt64(log.base.proto))
        case .l7Protocol: return .uint(UInt64(log.base.l7Protocol))
        case .type: return .uint(UInt64(log.base.messageType))
        case .version: return .text(log.version)
        case .requestType: return .text(log.requestType)
        case .requestDomain: return .text(log.requestDomain)
        case .requestResource: return .text(log.requestResource)
        case .endpoint: return .text(log.endpoint)
        case .requestID: return log.ext.flatMap { $0.requestID == 0 ? nil : .uint(UInt64($0.requestID)) } ?? .null
        case .responseStatus: return .uint(UInt64(log.responseStatus))
        case .responseCode:
            return log.responseCode == L7FlowLog.noCode || isRequestOnly ? .null : .int(Int64(log.responseCode))
        case .responseDuration: return .uint(durationUs)
        case .responseException: return .text(log.responseException)
        case .responseResult: return .text(log.responseResult)
        case .requestLength: return log.requestLength < 0 ? .null : .int(Int64(log.requestLength))
        case .responseLength: return log.responseLength < 0 ? .null : .int(Int64(log.responseLength))
        case .traceID: return .text(traceID)
        case .spanID: return .text(log.trace?.spanID ?? "")
        case .isTLS: return .uint(log.flags & L7FlowLog.flagTLS == 0 ? 0 : 1)
        case .pid0: return .int(Int64(pid0))
        case .process0: return .text(process0)
        case .pid1: return .int(Int64(pid1))
        case .process1: return .text(process1)
        case .observationPoint: return .text(TapSide(rawValue: log.base.tapSide)?.text ?? "")
        case .captureNic: return .uint(log.base.tapPort & 0xffff_ffff)
        case .agentID: return .uint(UInt64(log.base.agentID))
        default: return nil
        }
    }

    package func address(_ column: FilterColumn) -> FilterAddress? {
        switch column.known {
        case .ip0: FilterAddress(address: log.base.ipSrc, isIPv6: log.base.isIPv6)
        case .ip1: FilterAddress(address: log.base.ipDst, isIPv6: log.base.isIPv6)
        default: nil
        }
    }

    package func hasText(_ pattern: TextPattern) -> Bool {
        pattern.matches(log.requestResource) || pattern.matches(log.requestDomain) || pattern.matches(log.endpoint)
            || pattern.matches(log.requestType) || pattern.matches(log.responseException)
            || pattern.matches(log.responseResult) || pattern.matches(clientText) || pattern.matches(serverText)
            || pattern.matches(l7Name) || (!process0.isEmpty && pattern.matches(process0))
            || (!process1.isEmpty && pattern.matches(process1)) || pattern.matches(String(log.base.portDst))
            || pattern.matches(traceID)
            || (log.responseCode != L7FlowLog.noCode && pattern.matches(String(log.responseCode)))
    }

    func sortKey(_ column: FilterColumn) -> SortKey {
        switch column.known {
        // The order in which they came decides between equal times.
        case .time, .endTime: SortKey(high: log.base.endTimeNs / 1000, low: id)
        case .startTime: SortKey(high: log.base.startTimeNs, low: id)
        case .ip0: SortKey(log.base.ipSrc)
        case .ip1: SortKey(log.base.ipDst)
        case .l7Protocol: SortKey(l7Name)
        default: SortKey(field(column))
        }
    }
}

/// The last requests; the oldest makes room.
struct RequestRing {
    private(set) var requests: [LiveRequest] = []
    private var next = 0
    private(set) var seen: UInt64 = 0
    let capacity: Int

    init(capacity: Int) {
        self.capacity = max(16, capacity)
    }

    mutating func add(_ log: L7FlowLog, flow: LiveFlow?) {
        seen &+= 1
        let request = LiveRequest(id: seen, log: log, flow: flow)
        if requests.count < capacity {
            requests.append(request)
        } else {
            requests[next] = request
            next = (next + 1) % capacity
        }
    }

    func request(id: UInt64) -> LiveRequest? {
        guard id > 0, id <= seen, id &+ UInt64(capacity) > seen else { return nil }
        let index = Int((id - 1) % UInt64(capacity))
        return index < requests.count && requests[index].id == id ? requests[index] : nil
    }
}
