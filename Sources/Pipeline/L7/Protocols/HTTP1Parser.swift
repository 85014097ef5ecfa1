import Model

/// HTTP/1.0 and 1.1. Source: agent-l7-protocols.md 1.
struct HTTP1Parser {
    private var stream = HTTP1Stream()

    /// Methods are written in capitals.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xe0e0 == 0x4040 }

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

    /// Text of a method token of `count` bytes.
    @inline(__always)
    private static func methodName(_ payload: RawSpan, _ count: Int) -> String {
        switch payload.be32(at: 0) {
        case 0x4745_5420: "GET"
        case 0x504f_5354: "POST"
        default: payload.asciiText(0..<count)
        }
    }

    private static func token(_ payload: RawSpan, _ text: StaticString) -> Int? {
        payload.hasPrefix(text) ? text.utf8CodeUnitCount &- 1 : nil
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        if context.followsStream { return stream.parse(payload, context, settings, into: &out) }
        // Most payloads that fail, pieces of a body, fail here.
        guard Self.mayBegin(payload) else { return .failed }
        let start = out.messages.count
        let head = Self.read(payload, isResponse: context.direction == .serverToClient, settings, into: &out)
        guard let head else {
            out.messages.truncate(to: start)
            return .failed
        }
        Self.capture(payload, head, payload.byteCount, settings, out.messages[start])
        return .parsed
    }

    /// What is kept is not waited for any longer once the other side speaks.
    var endsByTurn: Bool { stream.endsByTurn }

    mutating func missBytes() { stream.missBytes() }

    @inline(__always)
    static func mayBegin(_ payload: RawSpan) -> Bool {
        payload.hasPrefix("HTTP/") || method(payload, detecting: true) != nil
    }

    /// Where the parts of a message lie.
    struct Head {
        let isResponse: Bool
        /// Behind the last header line.
        var headersEnd = 0
        /// Behind the empty line; nil when it is not there.
        var bodyStart: Int?
        var isChunked = false
    }

    /// Reads first line and header lines into a new message; nil when the first line is none.
    @inline(__always)
    static func read(
        _ payload: RawSpan, isResponse: Bool, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> Head? {
        let message = out.messages.add()
        guard let lineEnd = payload.crlf(from: 0) else { return nil }
        guard
            isResponse
                ? readStatusLine(payload, lineEnd, message)
                : readRequestLine(payload, lineEnd, settings.endpoint, message, out.texts)
        else { return nil }
        var head = Head(isResponse: isResponse)
        var tags: TagCollector?
        var at = lineEnd &+ 2
        let readsAll = !settings.httpCustomFields.isEmpty
        while let end = payload.crlf(from: at) {
            if end == at {
                head.bodyStart = end &+ 2
                break
            }
            if readsAll || settings.trace.mayBegin(payload.u8(at: at)) {
                readHeader(payload, at..<end, settings, message, &head, &tags, out.texts)
            }
            at = end &+ 2
        }
        head.headersEnd = at
        if let tags { apply(tags, isResponse, settings, message) }
        if !isResponse, settings.obfuscated.contains(.http1) || settings.obfuscated.contains(.http2) {
            message.pointee.log.requestResource = withoutQuery(message.pointee.log.requestResource)
        }
        return head
    }

    private static func readRequestLine(
        _ payload: RawSpan, _ end: Int, _ endpoints: borrowing HTTPEndpointSettings,
        _ message: UnsafeMutablePointer<L7Message>, _ texts: borrowing TextCache
    ) -> Bool {
        guard let count = method(payload, detecting: false), end > count &+ 1 else { return false }
        var start = count
        while start < end, isASCIISpace(payload.u8(at: start)) { start &+= 1 }
        let stop = payload.spaceIndex(from: start, to: end)
        let version = payload.trimmedRange(stop..<end)
        guard version.count == 8, let text = self.version(payload, version.lowerBound) else { return false }
        message.pointee.type = .request
        message.pointee.log.version = text
        message.pointee.log.requestType = methodName(payload, count)
        guard stop > start else { return true }
        let path = texts.text(payload, start..<stop) { endpoints.endpoint(of: $0) }
        message.pointee.log.requestResource = path.text
        message.pointee.log.endpoint = path.derived
        message.pointee.endpointHash = path.derivedHash
        return true
    }

    private static func readStatusLine(
        _ payload: RawSpan, _ end: Int, _ message: UnsafeMutablePointer<L7Message>
    ) -> Bool {
        guard end >= 13, payload.isASCII(0..<end), let text = version(payload, 0) else { return false }
        var code: Int32 = 0
        for at in 9..<12 {
            guard isASCIIDigit(payload.u8(at: at)) else { return false }
            code = code * 10 + Int32(payload.u8(at: at) &- 48)
        }
        guard code >= 100, code <= 600, code != 100, code != 102, code != 103 else { return false }
        message.pointee.type = .response
        message.pointee.log.version = text
        message.pointee.log.responseCode = code
        message.pointee.log.responseStatus = status(of: code).rawValue
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
        _ payload: RawSpan, _ line: Range<Int>, _ settings: borrowing L7Settings,
        _ message: UnsafeMutablePointer<L7Message>, _ head: inout Head, _ tags: inout TagCollector?,
        _ texts: borrowing TextCache
    ) {
        guard let colon = payload.nearIndex(of: 58, from: line.lowerBound, to: line.upperBound) else { return }
        let name = line.lowerBound..<colon
        guard !name.isEmpty else { return }
        let mayBeTag =
            settings.trace.mayName(length: name.count, first: payload.u8(at: name.lowerBound))
            || !settings.httpCustomFields.isEmpty
        // Most lines are told apart by the length of their name.
        guard name.count == 4 || name.count == 14 || name.count == 17 || mayBeTag else { return }
        let value = payload.trimmedRange(colon &+ 1..<line.upperBound)
        guard !value.isEmpty else { return }
        if name.count == 4 {
            if payload.equals(name, "host") { message.pointee.log.requestDomain = texts.text(payload, value) }
        } else {
            readLength(payload, name, value, message, &head)
        }
        if mayBeTag, isTag(payload, name, settings) {
            var all = tags ?? TagCollector()
            readTags(payload, name, value, isResponse: head.isResponse, settings, &all)
            tags = all
        }
    }

    /// The two headers that tell where a message ends.
    @inline(__always)
    static func readLength(
        _ payload: RawSpan, _ name: Range<Int>, _ value: Range<Int>, _ message: UnsafeMutablePointer<L7Message>,
        _ head: inout Head
    ) {
        switch name.count {
        case 14 where payload.equals(name, "content-length"):
            let length = Int32(clamping: decimal(payload, value))
            if head.isResponse {
                message.pointee.log.responseLength = length
            } else {
                message.pointee.log.requestLength = length
            }
        case 17 where payload.equals(name, "transfer-encoding"):
            head.isChunked = value.count >= 7 && payload.equals(value.upperBound &- 7..<value.upperBound, "chunked")
        default: break
        }
    }

    /// Some setting names the header.
    static func isTag(_ payload: RawSpan, _ name: Range<Int>, _ settings: borrowing L7Settings) -> Bool {
        settings.trace.names(payload, name) || settings.httpCustomFields.contains { $0.matches(payload, name) }
    }

    /// Header names that carry trace ids, span ids, request ids and the client's address.
    static func readTags(
        _ payload: RawSpan, _ name: Range<Int>, _ value: Range<Int>, isResponse: Bool,
        _ settings: borrowing L7Settings, _ tags: inout TagCollector
    ) {
        for field in settings.httpCustomFields where field.matches(payload, name) {
            tags.addAttribute(
                String(decoding: field.text.utf8.map { $0 == 45 ? 95 : $0 }, as: UTF8.self), payload.text(value))
        }
        for index in 0..<settings.trace.traceNames.count
        where settings.trace.traceNames[index].header.matches(payload, name) {
            if let id = settings.trace.traceNames[index].traceID(payload, value) {
                tags.addTrace(
                    id, priority: TagCollector.builtIn(index), several: settings.trace.collectsSeveralTraceIDs)
            }
        }
        for index in 0..<settings.trace.spanNames.count
        where settings.trace.spanNames[index].header.matches(payload, name) {
            if let id = settings.trace.spanNames[index].spanID(payload, value) {
                tags.setSpan(id, priority: TagCollector.builtIn(index))
            }
        }
        for index in 0..<settings.trace.xRequestIDHeaders.count
        where settings.trace.xRequestIDHeaders[index].matches(payload, name) {
            tags.setXRequestID(payload.text(value), priority: TagCollector.builtIn(index))
        }
        guard !isResponse else { return }
        for index in 0..<settings.trace.clientIPHeaders.count
        where settings.trace.clientIPHeaders[index].matches(payload, name) {
            tags.setClientIP(payload.text(value), priority: TagCollector.builtIn(index))
        }
    }

    @inline(never)
    static func apply(
        _ tags: borrowing TagCollector, _ isResponse: Bool, _ settings: borrowing L7Settings,
        _ message: UnsafeMutablePointer<L7Message>
    ) {
        let ids = tags.allTraceIDs(distinct: true)
        if !ids.isEmpty || !tags.spanID.isEmpty {
            var trace = L7Trace()
            trace.traceIDs = ids
            trace.spanID = tags.spanID
            message.pointee.log.trace = trace
        }
        var ext = L7Ext()
        ext.attributeNames = tags.attributeNames
        ext.attributeValues = tags.attributeValues
        ext.clientIP = tags.clientIP
        if isResponse { ext.xRequestID1 = tags.xRequestID } else { ext.xRequestID0 = tags.xRequestID }
        if settings.trace.copiesTraceID, let first = ids.first {
            ext.attributeNames.append("apm_trace_id")
            ext.attributeValues.append(first)
        }
        if !ext.attributeNames.isEmpty || !ext.clientIP.isEmpty || !tags.xRequestID.isEmpty {
            message.pointee.log.ext = ext
        }
    }

    /// Keeps the raw text that is shown when the status is not Ok.
    ///
    /// - Parameter end: of the body, as far as it is there.
    static func capture(
        _ payload: RawSpan, _ head: Head, _ end: Int, _ settings: borrowing L7Settings,
        _ message: UnsafeMutablePointer<L7Message>
    ) {
        let bodyStart = head.bodyStart ?? end
        var kept = HTTPErrorCapture()
        if head.isResponse {
            guard message.pointee.log.responseStatus != L7ResponseStatus.ok.rawValue else { return }
            kept.hasResponse = true
            kept.response = text(
                payload, head.headersEnd, bodyStart..<end, settings.rawCapture.errorResponseHeader,
                settings.rawCapture.errorResponsePayload)
        } else {
            kept.hasRequest = true
            kept.request = text(
                payload, head.headersEnd, bodyStart..<end, settings.rawCapture.errorRequestHeader,
                settings.rawCapture.errorRequestPayload)
        }
        message.pointee.detail = .http(kept)
    }

    /// The first bytes of header and body; nil when none are wanted.
    private static func text(
        _ payload: RawSpan, _ headersEnd: Int, _ body: Range<Int>, _ headerLimit: Int, _ bodyLimit: Int
    ) -> HTTPErrorCapture.Text? {
        guard headerLimit > 0 || bodyLimit > 0 else { return nil }
        return HTTPErrorCapture.Text(
            header: payload.text(0..<min(headersEnd, headerLimit)),
            payload: payload.text(body.prefix(bodyLimit)))
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
    static func withoutQuery(_ path: String) -> String {
        guard let mark = path.utf8.firstIndex(of: 63) else { return path }
        return String(path[...mark])
    }
}
