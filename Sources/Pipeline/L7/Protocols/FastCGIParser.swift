import Model

/// FastCGI 1. Source: agent-l7-protocols.md 11, fastcgi-archives.github.io "FastCGI Specification".
///
/// Of several records with parameters or output the first of a request tells everything.
struct FastCGIParser {
    /// Requests of either side of which the followed stream has told, -1 = none.
    private var toldRequest: Int32 = -1
    private var toldResponse: Int32 = -1

    private enum Kind {
        static let begin: UInt8 = 1
        static let end: UInt8 = 3
        static let params: UInt8 = 4
        static let stdout: UInt8 = 6
        static let last: UInt8 = 11
    }

    private struct Record {
        static let headerLength = 8

        let kind: UInt8
        let requestID: UInt16
        let start: Int
        /// As far as the payload goes.
        let content: Range<Int>
        let next: Int

        init?(_ payload: RawSpan, at: Int) {
            guard payload.byteCount &- at >= Record.headerLength, payload.u8(at: at) == 1 else { return nil }
            kind = payload.u8(at: at &+ 1)
            guard kind >= 1, kind <= Kind.last else { return nil }
            requestID = payload.be16(at: at &+ 2)
            start = at
            let from = at &+ Record.headerLength
            let to = from &+ Int(payload.be16(at: at &+ 4))
            content = from..<min(to, payload.byteCount)
            next = to &+ Int(payload.u8(at: at &+ 6))
        }
    }

    /// Version 1 and a record with which, or in the middle of which, a request begins.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool {
        start & 0xff == 1 && UInt8(truncatingIfNeeded: start >> 8) <= Kind.last
    }

    static func detects(_ payload: RawSpan) -> Bool {
        var at = 0
        while let record = Record(payload, at: at), record.kind != Kind.stdout, record.kind != Kind.end {
            if record.kind == Kind.params {
                var pairs = FastCGIPairs(record.content)
                while let pair = pairs.next(payload) {
                    if payload.equals(pair.name, "request_method") { return isMethod(payload, pair.value) }
                }
                return false
            }
            at = record.next
        }
        return false
    }

    private static func isMethod(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        switch range.count {
        case 3: payload.hasPrefix("GET", at: range.lowerBound) || payload.hasPrefix("PUT", at: range.lowerBound)
        case 4: payload.hasPrefix("HEAD", at: range.lowerBound) || payload.hasPrefix("POST", at: range.lowerBound)
        case 5: payload.hasPrefix("TRACE", at: range.lowerBound) || payload.hasPrefix("PATCH", at: range.lowerBound)
        case 6: payload.hasPrefix("DELETE", at: range.lowerBound)
        case 7: payload.hasPrefix("CONNECT", at: range.lowerBound) || payload.hasPrefix("OPTIONS", at: range.lowerBound)
        default: false
        }
    }

    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let record = Record(payload, at: at) { return .next(record.next) }
        return payload.byteCount &- at < Record.headerLength && payload.u8(at: at) == 1 ? .cut : .foreign
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let before = out.messages.count
        let isRequest = context.direction == .clientToServer
        var told: Int32 = context.followsStream ? isRequest ? toldRequest : toldResponse : -1
        defer { if isRequest { toldRequest = told } else { toldResponse = told } }
        var at = 0
        while let record = Record(payload, at: at) {
            switch record.kind {
            case Kind.begin where isRequest, Kind.end where !isRequest: told = -1
            case Kind.params where isRequest && told != Int32(record.requestID) && !record.content.isEmpty,
                Kind.stdout where !isRequest && told != Int32(record.requestID) && !record.content.isEmpty:
                let start = out.messages.count
                let message = out.messages.add()
                let isRead =
                    isRequest
                    ? Self.readRequest(record, payload, settings.trace, message, out.texts)
                    : Self.readResponse(record, payload, settings.trace, message)
                if isRead { told = Int32(record.requestID) } else { out.messages.truncate(to: start) }
            default: break
            }
            at = record.next
        }
        return out.messages.count > before || context.followsStream && at > 0 ? .parsed : .failed
    }

    /// A name and its value, in case that some setting names it.
    private static func readTag(
        _ payload: RawSpan, _ name: Range<Int>, _ value: Range<Int>, _ settings: borrowing L7TraceSettings,
        _ tags: inout TagCollector
    ) {
        guard let first = name.first, settings.mayName(length: name.count, first: payload.u8(at: first)) else { return }
        tags.read(payload, name: name, value: value, settings)
        for index in 0..<settings.xRequestIDHeaders.count
        where settings.xRequestIDHeaders[index].matches(payload, name) {
            tags.setXRequestID(payload.text(value), priority: TagCollector.builtIn(index))
        }
    }

    private static func begin(_ record: Record, _ message: UnsafeMutablePointer<L7Message>) {
        message.pointee.sessionID = UInt32(record.requestID)
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: record.start)
        message.pointee.log.version = "1"
    }

    private static func readRequest(
        _ record: Record, _ payload: RawSpan, _ settings: borrowing L7TraceSettings,
        _ message: UnsafeMutablePointer<L7Message>, _ texts: borrowing TextCache
    ) -> Bool {
        begin(record, message)
        message.pointee.type = .request
        var tags = TagCollector()
        var script = 0..<0
        var pairs = FastCGIPairs(record.content)
        while let (name, value) = pairs.next(payload) {
            switch name.count {
            case 14 where payload.equals(name, "request_method"):
                message.pointee.log.requestType = payload.text(value)
            case 11 where payload.equals(name, "request_uri"):
                message.pointee.log.requestResource = texts.text(payload, value)
            case 11 where payload.equals(name, "script_name"): script = value
            case 9 where payload.equals(name, "http_host"):
                message.pointee.log.requestDomain = texts.text(payload, value)
            case 12 where payload.equals(name, "document_uri"):
                message.pointee.log.endpoint = texts.text(payload, value)
            case 14 where payload.equals(name, "content_length"):
                for at in value where !isASCIIDigit(payload.u8(at: at)) { return false }
            default: readTag(payload, name, value, settings, &tags)
            }
        }
        guard !message.pointee.log.requestType.isEmpty else { return false }
        if message.pointee.log.requestResource.isEmpty {
            message.pointee.log.requestResource = texts.text(payload, script)
        }
        message.pointee.log.trace = tags.trace
        message.pointee.log.changeExt { ext in
            ext.requestID = UInt32(record.requestID)
            ext.xRequestID0 = tags.xRequestID
        }
        return true
    }

    /// Header lines at the start of a record.
    private static func readResponse(
        _ record: Record, _ payload: RawSpan, _ settings: borrowing L7TraceSettings,
        _ message: UnsafeMutablePointer<L7Message>
    ) -> Bool {
        begin(record, message)
        message.pointee.type = .response
        var tags = TagCollector()
        var code: Int32 = 200
        var lines = 0
        var at = record.content.lowerBound
        while true {
            guard let end = payload.crlf(from: at), end &+ 2 <= record.content.upperBound else {
                break
            }
            guard let colon = payload.firstIndex(of: 58, from: at, to: end), colon > at, colon &+ 1 < end else { break }
            let (name, value) = (at..<colon, colon &+ 1..<end)
            at = end &+ 2
            lines &+= 1
            if name.count == 6, payload.hasPrefix("Status", at: name.lowerBound) {
                // Behind one blank.
                guard value.count >= 4 else { return false }
                code = 0
                for digit in value.lowerBound &+ 1..<value.lowerBound &+ 4 {
                    guard isASCIIDigit(payload.u8(at: digit)) else { return false }
                    code = code * 10 + Int32(payload.u8(at: digit) &- 48)
                }
                break
            }
            readTag(payload, name, value, settings, &tags)
        }
        guard lines > 0 else { return false }
        message.pointee.log.responseCode = code
        message.pointee.log.responseStatus = HTTP1Parser.status(of: code).rawValue
        message.pointee.log.trace = tags.trace
        message.pointee.log.changeExt { ext in
            ext.requestID = UInt32(record.requestID)
            ext.xRequestID1 = tags.xRequestID
        }
        return true
    }
}

/// Walks over the name-value pairs of FastCGI.
struct FastCGIPairs {
    private var at: Int
    private let end: Int

    init(_ range: Range<Int>) {
        at = range.lowerBound
        end = range.upperBound
    }

    /// Nil at the end, and at a pair that does not fit.
    mutating func next(_ payload: RawSpan) -> (name: Range<Int>, value: Range<Int>)? {
        guard let nameLength = length(payload), let valueLength = length(payload) else { return nil }
        guard end &- at >= nameLength, end &- at &- nameLength >= valueLength else { return nil }
        let value = at &+ nameLength
        defer { at = value &+ valueLength }
        return (at..<value, value..<value &+ valueLength)
    }

    /// One byte, or four when the first has its highest bit set.
    private mutating func length(_ payload: RawSpan) -> Int? {
        guard at < end else { return nil }
        if payload.u8(at: at) < 0x80 {
            at &+= 1
            return Int(payload.u8(at: at &- 1))
        }
        guard end &- at >= 4 else { return nil }
        at &+= 4
        return Int(payload.be32(at: at &- 4) & 0x7fff_ffff)
    }
}
