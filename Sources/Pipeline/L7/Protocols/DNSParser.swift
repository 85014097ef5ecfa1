import Model

/// DNS over UDP and TCP. Stateless. Source: agent-l7-protocols.md 3.
struct DNSParser {
    /// One message and where the next one starts.
    private struct Frame {
        var message: DNSMessage
        var start: Int
        var next: Int
    }

    static func detects(_ payload: RawSpan, _ context: L7ParseContext, _ texts: borrowing TextCache) -> Bool {
        let message: DNSMessage?
        switch context.l4Protocol {
        case .udp: message = DNSMessage(payload, 0..<payload.byteCount, texts)
        case .tcp: message = frame(payload, from: 0, texts)?.message
        default: return false
        }
        guard let message else { return false }
        return !message.isResponse && !message.questionName.isEmpty
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        guard context.l4Protocol == .tcp else {
            guard let message = DNSMessage(payload, 0..<payload.byteCount, out.texts) else { return .failed }
            Self.log(message, settings, offset: 0, out.messages.add())
            return .parsed
        }
        var at = 0
        let before = out.messages.count
        while let frame = Self.frame(payload, from: at, out.texts) {
            Self.log(frame.message, settings, offset: frame.start, out.messages.add())
            at = frame.next
        }
        return out.messages.count > before ? .parsed : .failed
    }

    /// Over TCP a length stands before each message.
    static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard payload.byteCount &- at >= 2 else { return .cut }
        let length = Int(payload.be16(at: at))
        return length >= 12 ? .next(at &+ 2 &+ length) : .foreign
    }

    /// Finds the message at `start`, behind its length or, for odd senders, with the length left out.
    private static func frame(_ payload: RawSpan, from start: Int, _ texts: borrowing TextCache) -> Frame? {
        guard start &+ 14 <= payload.byteCount else { return nil }
        let length = Int(payload.be16(at: start))
        let rest = payload.byteCount &- start &- 2
        guard length >= 12 else { return nil }
        let first = rest < length ? 0 : 2
        for offset in rest == length ? [2] : [first, 2 &- first] {
            let from = start &+ offset
            let to = min(from &+ length, payload.byteCount)
            if let message = DNSMessage(payload, from..<to, texts) {
                return Frame(message: message, start: start, next: to)
            }
        }
        return nil
    }

    private static func log(
        _ dns: DNSMessage, _ settings: borrowing L7Settings, offset: Int, _ message: UnsafeMutablePointer<L7Message>
    ) {
        message.pointee.type = dns.isResponse ? .response : .request
        message.pointee.sessionID = UInt32(dns.id)
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        message.pointee.log.requestType = dns.questionType == 0 ? "" : DNSType.name(dns.questionType)
        message.pointee.log.requestResource = dns.questionName
        message.pointee.log.endpoint = dns.questionName
        if dns.questionType == 1 || dns.questionType == 28 { message.pointee.log.requestDomain = dns.questionName }
        message.pointee.log.changeExt { ext in
            ext.requestID = UInt32(dns.id)
            ext.attributeNames = opcodeAttribute
            ext.attributeValues = dns.opcode == 0 ? standardQuery : [DNSMessage.opcodeName(dns.opcode)]
        }
        guard dns.isResponse else { return }
        message.pointee.log.responseCode = Int32(dns.responseCode)
        message.pointee.log.responseResult = result(dns.answers)
        let suffixes = settings.unconcernedDNSSuffixes
        let isUnconcerned =
            !suffixes.isEmpty
            && (suffixes.contains(dns.questionName) || dns.answers.contains { suffixes.contains($0.value) })
        message.pointee.log.responseStatus = (isUnconcerned ? .ok : status(of: dns.responseCode)).rawValue
    }

    /// Shared by all messages.
    private static let opcodeAttribute = ["opcode"]
    private static let standardQuery = [DNSMessage.opcodeName(0)]

    private static func result(_ answers: [DNSMessage.Answer]) -> String {
        answers.count == 1 ? answers[0].text : answers.map(\.text).joined(separator: "; ")
    }

    private static func status(of code: UInt16) -> L7ResponseStatus {
        switch code {
        case 0: .ok
        case 1, 3: .clientError
        default: .serverError
        }
    }
}

/// Names whose failures are of no interest, matched label by label from the right.
package struct DNSSuffixes: Sendable {
    private let suffixes: [[Substring]]

    package init(_ configured: [String]) {
        suffixes = configured.map { Array($0.split(separator: ".", omittingEmptySubsequences: false).reversed()) }
    }

    package var isEmpty: Bool { suffixes.isEmpty }

    package func contains(_ name: String) -> Bool {
        let labels = Array(name.split(separator: ".", omittingEmptySubsequences: false).reversed())
        return suffixes.contains { labels.starts(with: $0) }
    }
}
