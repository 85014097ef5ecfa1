import Model

/// A Redis connection whose bytes are followed: commands of a pipeline find their own answers, values may be of any length.
/// Source: "Redis serialization protocol specification".
final class RedisStream {
    /// One direction: elements of the message at hand that are still to come, and a value that is passed over.
    private struct Lane {
        var elements = 0
        var passesOver = false
        var next: UInt32 = 0
    }

    private enum Element {
        case next(Int, more: Int)
        case cut
        case foreign
    }

    /// Elements of one message; more are not followed.
    private static let mostElements = 1 << 28

    private var requests = Lane()
    private var responses = Lane()
    /// Commands without an answer; those that pushed data answer are marked.
    private var line = RequestLine()

    func missBytes() {
        requests = Lane()
        responses = Lane()
        line.forget()
    }

    /// `out.rest`: from where on the payload waits.
    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let isResponse = context.direction == .serverToClient
        var lane = isResponse ? responses : requests
        defer { if isResponse { responses = lane } else { requests = lane } }
        var at = 0
        if lane.passesOver {
            let rest = Int(Int32(bitPattern: lane.next &- context.tcpSeq))
            if rest <= payload.byteCount { lane.passesOver = false }
            at = min(max(rest, 0), payload.byteCount)
        }
        var result = at > 0 ? L7ParseResult.parsed : .failed
        while at < payload.byteCount {
            if lane.elements == 0 {
                let begun =
                    isResponse
                    ? readAnswer(payload, at, &lane, context, settings, into: &out)
                    : readCommand(payload, &at, &lane, context, settings, into: &out)
                switch begun {
                case .parsed: result = .parsed
                case .failed: return result
                case .incomplete:
                    out.rest = at
                    return at > 0 ? .parsed : .incomplete
                }
                if lane.elements == 0 { continue }
            }
            switch Self.element(payload, at) {
            case .next(let next, let more):
                lane.elements += more - 1
                at = next
                result = .parsed
            case .cut where context.mayWait:
                out.rest = at
                return at > 0 ? .parsed : .incomplete
            case .cut, .foreign:
                lane.elements = 0
                return result
            }
            if lane.elements > Self.mostElements { lane.elements = 0 }
            if at > payload.byteCount {
                lane.passesOver = true
                lane.next = context.tcpSeq &+ UInt32(truncatingIfNeeded: at)
            }
        }
        return result
    }

    // MARK: - Messages

    /// Logs the command and moves behind it, or leaves its elements to be walked over when it is long.
    private func readCommand(
        _ payload: RawSpan, _ at: inout Int, _ lane: inout Lane, _ context: L7ParseContext,
        _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let arguments: [Range<Int>]
        let next: Int?
        switch RedisParser.command(payload, at: at) {
        case .complete(let found, let end): (arguments, next) = (found, end)
        case .cut(let found):
            if context.mayWait, payload.byteCount &- at < settings.payloadTruncation { return .incomplete }
            (arguments, next) = (found, nil)
        case .bad: return .failed
        }
        // As much as parsers see.
        let end = at &+ max(settings.payloadTruncation, 0)
        let shown = arguments.filter { $0.lowerBound < end }.map { $0.lowerBound..<min($0.upperBound, end) }
        guard RedisParser.log(shown, payload, settings, into: &out) else { return .failed }
        let message = out.messages[out.messages.count &- 1]
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: at)
        let name = asciiUpperCased(message.pointee.log.requestType)
        if let id = line.add(isMarked: name.hasSuffix("SUBSCRIBE")) {
            message.pointee.sessionID = id
            message.pointee.hasSessionID = true
        }
        if let next { at = next } else { lane.elements = 1 }
        return .parsed
    }

    /// Logs the answer by its first line; its elements are to be walked over.
    private func readAnswer(
        _ payload: RawSpan, _ at: Int, _ lane: inout Lane, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        into out: inout L7Output
    ) -> L7ParseResult {
        let shown = payload.extracting(at..<min(payload.byteCount, at &+ max(settings.payloadTruncation, 0)))
        let kind = payload.u8(at: at)
        // An error is shown by its line, or by the text behind its line.
        let isError = kind == UInt8(ascii: "-") || kind == UInt8(ascii: "!")
        if context.mayWait, shown.byteCount == payload.byteCount &- at {
            guard var end = shown.crlf(from: 0) else { return .incomplete }
            if isError, kind == UInt8(ascii: "!") {
                guard let next = shown.crlf(from: end &+ 2) else { return .incomplete }
                end = next
            }
        }
        guard case .next = Self.element(payload, at) else { return .failed }
        lane.elements = 1
        guard let request = line.next, kind != UInt8(ascii: ">") || request.isMarked else { return .parsed }
        guard RedisParser.log(answer: shown, into: &out) else { return .failed }
        line.removeFirst()
        let message = out.messages[out.messages.count &- 1]
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: at)
        if let id = request.id {
            message.pointee.sessionID = id
            message.pointee.hasSessionID = true
        }
        return .parsed
    }

    // MARK: - Elements

    /// A line, for a string with the text behind it; of aggregates how many elements follow.
    private static func element(_ payload: RawSpan, _ at: Int) -> Element {
        switch payload.u8(at: at) {
        case UInt8(ascii: "$"), UInt8(ascii: "!"), UInt8(ascii: "="):
            return sized(payload, at) { length, next in .next(length < 0 ? next : next &+ length &+ 2, more: 0) }
        case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: ">"):
            return sized(payload, at) { count, next in .next(next, more: max(count, 0)) }
        case UInt8(ascii: "%"):
            return sized(payload, at) { count, next in .next(next, more: max(count, 0) &* 2) }
        case UInt8(ascii: "|"):
            // Attributes, and then what they belong to.
            return sized(payload, at) { count, next in .next(next, more: max(count, 0) &* 2 &+ 1) }
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "_"), UInt8(ascii: "#"),
            UInt8(ascii: ","), UInt8(ascii: "("):
            return payload.crlf(from: at).map { .next($0 &+ 2, more: 0) } ?? .cut
        default: return .foreign
        }
    }

    private static func sized(_ payload: RawSpan, _ at: Int, _ make: (Int, Int) -> Element) -> Element {
        var next = at &+ 1
        return switch RedisParser.number(payload, &next) {
        case .value(let value): make(value, next)
        case .cut: .cut
        case .bad: .foreign
        }
    }
}
