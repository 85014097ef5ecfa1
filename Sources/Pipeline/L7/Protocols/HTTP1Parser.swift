import Model

/// HTTP/1.0 and 1.1. Source: agent-l7-protocols.md 1.
struct HTTP1Parser {
    /// The first line is a request line. Responses are never detected.
    static func detects(_ payload: RawSpan) -> Bool {
        guard payload.byteCount >= 16, let first = method(payload, detecting: true), first > 0 else { return false }
        guard let end = payload.crlf(from: 0), end >= 14 else { return false }
        guard payload.hasPrefix(" HTTP/", at: end &- 9), payload.u8(at: end &- 2) == 46 else { return false }
        let (major, minor) = (payload.u8(at: end &- 3), payload.u8(at: end &- 1))
        guard (major == 48 && minor == 57) || (major == 49 && (minor == 48 || minor == 49)) else { return false }
        return payload.isASCII(0..<end) || isUTF8(payload, 0..<end)
    }

    private static func isUTF8(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        payload.extracting(range).withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) != nil }
    }

    /// Length of the method token, if the payload begins with one and a space.
    ///
    /// The first four bytes choose the method, so that other payloads cost one comparison each.
    @inline(__always)
    private static func method(_ payload: RawSpan, detecting: Bool) -> Int? {
        guard payload.byteCount >= 5 else { return payload.hasPrefix("GET ") || payload.hasPrefix("PUT ") ? 3 : nil }
        switch payload.be32(at: 0) {
        case 0x4745_5420, 0x5055_5420: return 3  // "GET ", "PUT "
        case 0x504f_5354, 0x4845_4144: return payload.u8(at: 4) == 32 ? 4 : nil  // "POST", "HEAD"
        case 0x4445_4c45: return token(payload, "DELETE ")
        case 0x4f50_5449: return token(payload, "OPTIONS ")
        case 0x5041_5443: return token(payload, "PATCH ")
        case 0x434f_4e4e: return token(payload, "CONNECT ")
        case 0x5452_4143: return token(payload, "TRACE ")
        case 0x4c49_4e4b, 0x434f_5059, 0x4d4f_5645:  // "LINK", "COPY", "MOVE"
            return detecting && payload.u8(at: 4) == 32 ? 4 : nil
        case 0x554e_4c49: return detecting ? token(payload, "UNLINK ") : nil
        case 0x5752_4150: return detecting ? token(payload, "WRAPPED ") : nil
        case 0x4558_5445: return detecting ? token(payload, "EXTENSION-METHOD ") : nil
        default: return nil
        }
    }

    private static func token(_ payload: RawSpan, _ text: StaticString) -> Int? {
        payload.hasPrefix(text) ? text.utf8CodeUnitCount &- 1 : nil
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout [L7Message]
    ) -> L7ParseResult {
        let isResponse = context.direction == .serverToClient
        guard payload.hasPrefix("HTTP/") || Self.method(payload, detecting: true) != nil else { return .failed }
        guard let lineEnd = payload.crlf(from: 0) else { return context.mayWait ? .incomplete : .failed }
        var message = L7Message()
        guard
            isResponse
                ? Self.readStatusLine(payload, lineEnd, &message) : Self.readRequestLine(payload, lineEnd, &message)
        else { return .failed }
        var tags = TagCollector()
        var attributes = L7Ext()
        var at = lineEnd &+ 2
        var headersEnd: Int?
        while let end = payload.crlf(from: at) {
            if end == at {
                headersEnd = at
                break
            }
            Self.readHeader(payload, at..<end, isResponse, settings, &message, &tags, &attributes)
            at = end &+ 2
        }
        if headersEnd == nil, context.mayWait { return .incomplete }
        let bodyStart = headersEnd.map { $0 &+ 2 } ?? payload.byteCount
        Self.apply(tags, &attributes, isResponse, settings, &message)
        Self.capture(payload, headersEnd ?? at, bodyStart, isResponse, settings, &message)
        if !message.log.requestResource.isEmpty, !isResponse {
            message.log.endpoint = settings.endpoint.endpoint(of: message.log.requestResource)
            if settings.obfuscated.contains(.http1) || settings.obfuscated.contains(.http2) {
                message.log.requestResource = Self.withoutQuery(message.log.requestResource)
            }
        }
        out.append(consume message)
        return .parsed
    }

    private static func readRequestLine(_ payload: RawSpan, _ end: Int, _ message: inout L7Message) -> Bool {
        guard let count = method(payload, detecting: false), end > count &+ 1 else { return false }
        var start = count
        while start < end, isASCIISpace(payload.u8(at: start)) { start &+= 1 }
        var stop = start
        while stop < end, !isASCIISpace(payload.u8(at: stop)) { stop &+= 1 }
        let version = payload.trimmedRange(stop..<end)
        guard version.count == 8, let text = self.version(payload, version.lowerBound) else { return false }
        message.type = .request
        message.log.version = text
        message.log.requestType = payload.text(0..<count)
        message.log.requestResource = payload.text(start..<stop)
        return true
    }

    private static func readStatusLine(_ payload: RawSpan, _ end: Int, _ message: inout L7Message) -> Bool {
        guard end >= 13, payload.isASCII(0..<end), let text = version(payload, 0) else { return false }
        var code: Int32 = 0
        for at in 9..<12 {
            guard isASCIIDigit(payload.u8(at: at)) else { return false }
            code = code * 10 + Int32(payload.u8(at: at) &- 48)
        }
        guard code >= 100, code <= 600, code != 100, code != 102, code != 103 else { return false }
        message.type = .response
        message.log.version = text
        message.log.responseCode = code
        message.log.responseStatus = status(of: code).rawValue
        return true
    }

    /// Status of an HTTP response code.
    static func status(of code: Int32) -> L7ResponseStatus {
        switch code {
        case 400...499: .clientError
        case 500...600: .serverError
        default: .ok
        }
    }

    private static func version(_ payload: RawSpan, _ at: Int) -> String? {
        if payload.hasPrefix("HTTP/1.1", at: at) { return "1.1" }
        return payload.hasPrefix("HTTP/1.0", at: at) ? "1.0" : nil
    }

    @inline(__always)
    private static func readHeader(
        _ payload: RawSpan, _ line: Range<Int>, _ isResponse: Bool, _ settings: borrowing L7Settings,
        _ message: inout L7Message, _ tags: inout TagCollector, _ ext: inout L7Ext
    ) {
        guard let colon = payload.firstIndex(of: 58, from: line.lowerBound, to: line.upperBound) else { return }
        let name = line.lowerBound..<colon
        let value = payload.trimmedRange(colon &+ 1..<line.upperBound)
        guard !value.isEmpty, !name.isEmpty else { return }
        switch name.count {
        case 4 where payload.equals(name, "host"):
            message.log.requestDomain = payload.text(value)
        case 14 where payload.equals(name, "content-length"):
            let length = Int32(clamping: decimal(payload, value))
            if isResponse { message.log.responseLength = length } else { message.log.requestLength = length }
        default: break
        }
        if settings.trace.mayName(length: name.count) {
            readTags(payload, name, value, isResponse, settings.trace, &tags)
        }
        for field in settings.httpCustomFields where field.matches(payload, name) {
            ext.attributeNames.append(String(decoding: field.text.utf8.map { $0 == 45 ? 95 : $0 }, as: UTF8.self))
            ext.attributeValues.append(payload.text(value))
        }
    }

    /// Header names that carry trace ids, span ids, request ids and the client's address.
    private static func readTags(
        _ payload: RawSpan, _ name: Range<Int>, _ value: Range<Int>, _ isResponse: Bool,
        _ trace: borrowing L7TraceSettings, _ tags: inout TagCollector
    ) {
        for index in 0..<trace.traceNames.count where trace.traceNames[index].header.matches(payload, name) {
            if let id = trace.traceNames[index].traceID(payload, value) {
                tags.addTrace(id, priority: TagCollector.builtIn(index), several: trace.collectsSeveralTraceIDs)
            }
        }
        for index in 0..<trace.spanNames.count where trace.spanNames[index].header.matches(payload, name) {
            if let id = trace.spanNames[index].spanID(payload, value) {
                tags.setSpan(id, priority: TagCollector.builtIn(index))
            }
        }
        for index in 0..<trace.xRequestIDHeaders.count where trace.xRequestIDHeaders[index].matches(payload, name) {
            tags.setXRequestID(payload.text(value), priority: TagCollector.builtIn(index))
        }
        guard !isResponse else { return }
        for index in 0..<trace.clientIPHeaders.count where trace.clientIPHeaders[index].matches(payload, name) {
            tags.setClientIP(payload.text(value), priority: TagCollector.builtIn(index))
        }
    }

    private static func apply(
        _ tags: TagCollector, _ ext: inout L7Ext, _ isResponse: Bool, _ settings: borrowing L7Settings,
        _ message: inout L7Message
    ) {
        let ids = tags.allTraceIDs(distinct: true)
        if !ids.isEmpty || !tags.spanID.isEmpty {
            var trace = L7Trace()
            trace.traceIDs = ids
            trace.spanID = tags.spanID
            message.log.trace = trace
        }
        if !tags.clientIP.isEmpty { ext.clientIP = tags.clientIP }
        if !tags.xRequestID.isEmpty {
            if isResponse { ext.xRequestID1 = tags.xRequestID } else { ext.xRequestID0 = tags.xRequestID }
        }
        if settings.trace.copiesTraceID, let first = ids.first {
            ext.attributeNames.append("apm_trace_id")
            ext.attributeValues.append(first)
        }
        if !ext.attributeNames.isEmpty || !ext.clientIP.isEmpty || !tags.xRequestID.isEmpty { message.log.ext = ext }
    }

    /// Keeps the raw text that is shown when the status is not Ok.
    private static func capture(
        _ payload: RawSpan, _ headersEnd: Int, _ bodyStart: Int, _ isResponse: Bool, _ settings: borrowing L7Settings,
        _ message: inout L7Message
    ) {
        let limits = settings.rawCapture
        var kept = HTTPErrorCapture()
        if isResponse {
            guard message.log.responseStatus != L7ResponseStatus.ok.rawValue else { return }
            kept.hasResponse = true
            kept.responseHeader = payload.text(0..<min(headersEnd, limits.errorResponseHeader))
            kept.responsePayload = payload.text(
                bodyStart..<min(payload.byteCount, bodyStart &+ limits.errorResponsePayload))
        } else {
            kept.hasRequest = true
            if limits.errorRequestHeader > 0 {
                kept.requestHeader = payload.text(0..<min(headersEnd, limits.errorRequestHeader))
            }
            if limits.errorRequestPayload > 0 {
                kept.requestPayload = payload.text(
                    bodyStart..<min(payload.byteCount, bodyStart &+ limits.errorRequestPayload))
            }
        }
        message.detail = .http(kept)
    }

    /// Decimal u32; anything else is 0.
    private static func decimal(_ payload: RawSpan, _ range: Range<Int>) -> UInt32 {
        var value: UInt64 = 0
        for at in range {
            guard isASCIIDigit(payload.u8(at: at)) else { return 0 }
            value = value * 10 + UInt64(payload.u8(at: at) &- 48)
            guard value <= UInt64(UInt32.max) else { return 0 }
        }
        return UInt32(value)
    }

    /// Cut behind the question mark, which stays.
    private static func withoutQuery(_ path: String) -> String {
        guard let mark = path.utf8.firstIndex(of: 63) else { return path }
        return String(path[...mark])
    }
}
