import Model

/// Messages and bodies of a connection whose bytes are followed. Source: RFC 9112 6.
struct HTTP1Stream: BitwiseCopyable {
    private enum Mode: UInt8 {
        /// A message begins here.
        case head
        /// A chunk of a body, or the lines behind the last one.
        case chunk, trailer
        /// Everything, to the end of the connection.
        case toEnd
    }

    /// One direction.
    private struct Lane: BitwiseCopyable {
        var mode = Mode.head
        var passesOver = false
        /// Sequence number behind a body.
        var next: UInt32 = 0
    }

    /// Longer bodies count as endless.
    private static let longestBody = 1 << 30

    private var requests = Lane()
    private var responses = Lane()
    /// Requests without an answer; those with the method HEAD are marked.
    private var line = RequestLine()

    var endsByTurn: Bool { line.count == 0 }

    mutating func missBytes() {
        requests.mode = .head
        responses.mode = .head
        line.forget()
    }

    /// Reads messages and passes over bodies. `out.rest`: from where on the payload waits.
    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let isResponse = context.direction == .serverToClient
        var lane = isResponse ? responses : requests
        defer { if isResponse { responses = lane } else { requests = lane } }
        var at = Self.passedOver(&lane, context.tcpSeq, payload.byteCount)
        var result = at > 0 ? L7ParseResult.parsed : .failed
        while at < payload.byteCount {
            switch lane.mode {
            case .head:
                switch readMessage(payload, &at, &lane, isResponse, context, settings, into: &out) {
                case .parsed: result = .parsed
                case .failed: return result
                case .incomplete:
                    out.rest = at
                    return at > 0 ? .parsed : .incomplete
                }
            case .chunk, .trailer:
                guard let end = payload.crlf(from: at) else {
                    guard context.mayWait, payload.byteCount &- at < settings.payloadTruncation else {
                        lane.mode = .head
                        return .parsed
                    }
                    out.rest = at
                    return at > 0 ? .parsed : .incomplete
                }
                Self.readChunk(payload, &at, end, &lane)
                result = .parsed
            case .toEnd:
                // The answer to a request says that the body was none, or had an end.
                if !isResponse, context.mayWait,
                    payload.extracting(at..<payload.byteCount).isStart(of: HTTP2Connection.preface)
                {
                    out.rest = at
                    return at > 0 ? .parsed : .incomplete
                }
                guard isResponse, line.count > 0, payload.hasPrefix("HTTP/1.", at: at) else { return .parsed }
                lane.mode = .head
            }
            if at > payload.byteCount {
                lane.passesOver = true
                lane.next = context.tcpSeq &+ UInt32(truncatingIfNeeded: at)
            }
        }
        return result
    }

    private static func passedOver(_ lane: inout Lane, _ seq: UInt32, _ count: Int) -> Int {
        guard lane.passesOver else { return 0 }
        let rest = Int(Int32(bitPattern: lane.next &- seq))
        if rest <= count { lane.passesOver = false }
        return min(max(rest, 0), count)
    }

    // MARK: - Messages

    private mutating func readMessage(
        _ payload: RawSpan, _ at: inout Int, _ lane: inout Lane, _ isResponse: Bool, _ context: L7ParseContext,
        _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let shown = payload.extracting(at..<min(payload.byteCount, at &+ max(settings.payloadTruncation, 0)))
        guard HTTP1Parser.mayBegin(shown) else {
            return context.mayWait && Self.isShort(shown, isResponse) ? .incomplete : .failed
        }
        let start = out.messages.count
        guard var head = HTTP1Parser.read(shown, isResponse: isResponse, settings, into: &out) else {
            out.messages.truncate(to: start)
            guard shown.crlf(from: 0) != nil else { return context.mayWait ? .incomplete : .failed }
            // 100 Continue and the like are no answers.
            guard isResponse, shown.hasPrefix("HTTP/1."), shown.byteCount > 9, shown.u8(at: 9) == 49 else {
                return .failed
            }
            guard let end = Self.headEnd(payload, from: at) else { return context.mayWait ? .incomplete : .failed }
            at = end
            return .parsed
        }
        var bodyAt = head.bodyStart.map { at &+ $0 }
        if bodyAt == nil, shown.byteCount < payload.byteCount &- at {
            // What parsers see ends within the header lines, what is to be passed over does not.
            bodyAt = Self.headEnd(payload, from: at)
            if let bodyAt { Self.readLengths(payload, at..<bodyAt, &head, out.messages[start]) }
        }
        guard bodyAt != nil || !context.mayWait else {
            out.messages.truncate(to: start)
            return .incomplete
        }
        let message = out.messages[start]
        let body = Self.bodyLength(head, message, line.next)
        let wanted = Self.wanted(head, message, settings)
        if context.mayWait, let bodyStart = head.bodyStart, wanted > 0 {
            let there = payload.byteCount &- at &- bodyStart
            if there < min(wanted, body ?? .max), !(head.isChunked && Self.endsChunked(payload)) {
                out.messages.truncate(to: start)
                return .incomplete
            }
        }
        let bodyStart = head.bodyStart ?? shown.byteCount
        let end = min(shown.byteCount, bodyStart &+ min(body ?? Self.longestBody, Self.longestBody))
        HTTP1Parser.capture(shown, head, end, settings, message)
        pair(message, isResponse)
        finish(head, body, message, isResponse, &lane)
        guard let bodyAt else {
            at = payload.byteCount
            return .parsed
        }
        at = bodyAt &+ (lane.mode == .head ? body ?? 0 : 0)
        return .parsed
    }

    /// Too little to tell whether a message begins.
    private static func isShort(_ payload: RawSpan, _ isResponse: Bool) -> Bool {
        guard payload.byteCount < 24 else { return false }
        if isResponse { return payload.isStart(of: "HTTP/1.") }
        return payload.isStart(of: HTTP2Connection.preface)
            || payload.byteCount < 18 && (0..<payload.byteCount).allSatisfy { isMethodByte(payload.u8(at: $0)) }
    }

    private static func isMethodByte(_ byte: UInt8) -> Bool { byte >= 65 && byte <= 90 || byte == 45 }

    /// Behind the empty line that ends a header.
    private static func headEnd(_ payload: RawSpan, from start: Int) -> Int? {
        var at = start
        while let end = payload.crlf(from: at) {
            if end == at { return end &+ 2 }
            at = end &+ 2
        }
        return nil
    }

    // MARK: - Bodies

    /// Nil: it ends with the connection, or in chunks.
    private static func bodyLength(
        _ head: HTTP1Parser.Head, _ message: UnsafeMutablePointer<L7Message>, _ answered: RequestLine.Request?
    ) -> Int? {
        if head.isResponse {
            let code = message.pointee.log.responseCode
            if code == 204 || code == 304 || answered?.isMarked == true { return 0 }
            if head.isChunked { return nil }
            let length = Int(message.pointee.log.responseLength)
            return length >= 0 && length < longestBody && code != 101 ? length : nil
        }
        if head.isChunked { return nil }
        return max(0, Int(message.pointee.log.requestLength))
    }

    /// Bytes of the body that are shown when the request failed.
    private static func wanted(
        _ head: HTTP1Parser.Head, _ message: UnsafeMutablePointer<L7Message>, _ settings: borrowing L7Settings
    ) -> Int {
        guard head.isResponse else { return settings.rawCapture.errorRequestPayload }
        return message.pointee.log.responseStatus == L7ResponseStatus.ok.rawValue
            ? 0 : settings.rawCapture.errorResponsePayload
    }

    private static func endsChunked(_ payload: RawSpan) -> Bool {
        payload.byteCount >= 5 && payload.hasPrefix("0\r\n\r\n", at: payload.byteCount &- 5)
    }

    /// In lines of which some are not shown.
    private static func readLengths(
        _ payload: RawSpan, _ range: Range<Int>, _ head: inout HTTP1Parser.Head,
        _ message: UnsafeMutablePointer<L7Message>
    ) {
        var at = range.lowerBound
        while let end = payload.crlf(from: at), end > at, end < range.upperBound {
            if let colon = payload.nearIndex(of: 58, from: at, to: end) {
                HTTP1Parser.readLength(payload, at..<colon, payload.trimmedRange(colon &+ 1..<end), message, &head)
            }
            at = end &+ 2
        }
    }

    private static func readChunk(_ payload: RawSpan, _ at: inout Int, _ end: Int, _ lane: inout Lane) {
        if lane.mode == .trailer {
            if end == at { lane.mode = .head }
            at = end &+ 2
            return
        }
        guard let size = chunkSize(payload, at..<end) else {
            lane.mode = .head
            at = payload.byteCount
            return
        }
        if size == 0 { lane.mode = .trailer }
        at = end &+ 2 &+ (size == 0 ? 0 : size &+ 2)
    }

    /// Hexadecimal digits, perhaps with extensions behind them.
    private static func chunkSize(_ payload: RawSpan, _ line: Range<Int>) -> Int? {
        var (size, digits) = (0, 0)
        for at in line {
            let byte = payload.u8(at: at) | 32
            guard isASCIIDigit(payload.u8(at: at)) || byte >= 97 && byte <= 102 else { break }
            size = size << 4 | Int(byte <= 57 ? byte &- 48 : byte &- 87)
            digits &+= 1
            guard size < longestBody else { return nil }
        }
        return digits > 0 ? size : nil
    }

    private mutating func pair(_ message: UnsafeMutablePointer<L7Message>, _ isResponse: Bool) {
        let id =
            isResponse
            ? line.next?.id
            : line.add(isMarked: message.pointee.log.requestType == "HEAD")
        guard let id else { return }
        message.pointee.sessionID = id
        message.pointee.hasSessionID = true
    }

    private mutating func finish(
        _ head: HTTP1Parser.Head, _ body: Int?, _ message: UnsafeMutablePointer<L7Message>, _ isResponse: Bool,
        _ lane: inout Lane
    ) {
        if isResponse { line.removeFirst() }
        lane.mode = body != nil ? .head : head.isChunked ? .chunk : .toEnd
        // The client speaks something else from here on.
        if isResponse, message.pointee.log.responseCode == 101 { requests.mode = .toEnd }
    }
}
