import Model

/// PostgreSQL, protocol 3. Source: agent-l7-protocols.md 5.
///
/// Packet by packet all blocks of a payload fold into one message. Where the stream is followed every request of a
/// pipeline is a message of its own, and finds its own answer (`PostgreSQLStream`).
struct PostgreSQLParser {
    private var hasPendingRequest = false
    private var stream: PostgreSQLStream?

    // MARK: - Detection

    /// A block of a client, or a request for TLS.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool {
        start == 0x0800_0000 || PostgreSQLTag.isClient(UInt8(truncatingIfNeeded: start))
    }

    /// Blocks of a client, one of them with a statement.
    static func detects(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        if PostgreSQLBlock.isTLSRequest(payload) { return true }
        var at = 0
        var hasStatement = false
        while let block = PostgreSQLBlock(payload, at: at) {
            guard PostgreSQLTag.isClient(block.tag) else { return false }
            guard block.isWhole(payload) else {
                // A long statement goes on in the next segment.
                guard at == 0, context.followsStream, block.tag == PostgreSQLTag.query else { return hasStatement }
                return SQLStatement.isPostgreSQL(payload, block.body)
            }
            switch block.tag {
            case PostgreSQLTag.query:
                guard let text = PostgreSQLBlock.text(payload, block.body), text.rest.isEmpty,
                    isPlain(payload, text.text)
                else { return false }
                hasStatement = true
            case PostgreSQLTag.parse:
                guard let text = statement(payload, block.body), SQLStatement.isPostgreSQL(payload, text) else {
                    return false
                }
                hasStatement = true
            default: break
            }
            at = block.next
        }
        // What follows the last block is the beginning of another one, if anything.
        return hasStatement && payload.byteCount &- at < PostgreSQLBlock.headerLength
    }

    /// No control characters but white space.
    private static func isPlain(_ payload: RawSpan, _ text: Range<Int>) -> Bool {
        for at in text {
            let byte = payload.u8(at: at)
            if byte < 32, !isASCIISpace(byte) { return false }
        }
        return true
    }

    /// Statement of a Parse block, which stands behind the name.
    static func statement(_ payload: RawSpan, _ body: Range<Int>) -> Range<Int>? {
        guard let name = PostgreSQLBlock.text(payload, body) else { return nil }
        return PostgreSQLBlock.text(payload, name.rest)?.text
    }

    // MARK: - Parsing

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        _ obfuscator: inout SQLObfuscationCache, into out: inout L7Output
    ) -> L7ParseResult {
        if context.followsStream {
            if stream == nil { stream = PostgreSQLStream() }
            return stream?.parse(payload, context, settings, &obfuscator, into: &out) ?? .failed
        }
        if context.direction == .serverToClient { return parseResponse(payload, into: &out) }
        if PostgreSQLBlock.isTLSRequest(payload) { return .parsed }
        return parseRequest(payload, settings, &obfuscator, into: &out)
    }

    private mutating func parseRequest(
        _ payload: RawSpan, _ settings: borrowing L7Settings, _ obfuscator: inout SQLObfuscationCache,
        into out: inout L7Output
    ) -> L7ParseResult {
        var type = ""
        var text: Range<Int>?
        var at = 0
        while at < payload.byteCount {
            guard let block = PostgreSQLBlock(payload, at: at) else {
                guard payload.byteCount &- at < PostgreSQLBlock.headerLength else { return .failed }
                break
            }
            guard PostgreSQLTag.isClient(block.tag) else { return .failed }
            guard block.isWhole(payload) else { break }
            switch block.tag {
            case PostgreSQLTag.query:
                type = PostgreSQLRequest.query
                text = PostgreSQLBlock.text(payload, block.body)?.text ?? block.body
            case PostgreSQLTag.parse:
                guard let found = Self.statement(payload, block.body), SQLStatement.isPostgreSQL(payload, found) else {
                    return .failed
                }
                type = PostgreSQLRequest.parse
                text = found
            case PostgreSQLTag.execute:
                if type.isEmpty { type = PostgreSQLRequest.execute }
            default: break
            }
            at = block.next
        }
        guard !type.isEmpty else { return .failed }
        hasPendingRequest = true
        PostgreSQLRequest.log(type, text.map { payload.text($0) }, settings, &obfuscator, out.messages.add())
        return .parsed
    }

    /// The last result of the payload answers the request that is pending.
    private mutating func parseResponse(_ payload: RawSpan, into out: inout L7Output) -> L7ParseResult {
        guard hasPendingRequest else { return .failed }
        var outcome: PostgreSQLOutcome?
        var at = 0
        while at < payload.byteCount {
            guard let block = PostgreSQLBlock(payload, at: at) else {
                guard payload.byteCount &- at < PostgreSQLBlock.headerLength else { return .failed }
                break
            }
            guard PostgreSQLTag.isServer(block.tag) else { return .failed }
            guard block.isWhole(payload) else { break }
            if block.tag == PostgreSQLTag.complete {
                outcome = PostgreSQLOutcome(tag: payload, block.body)
            } else if block.tag == PostgreSQLTag.error {
                guard let found = PostgreSQLOutcome(error: payload, block.body, anyOrder: false) else { return .failed }
                outcome = found
            }
            at = block.next
        }
        guard let outcome else { return .failed }
        hasPendingRequest = false
        PostgreSQLRequest.log(outcome, out.messages.add())
        return .parsed
    }
}

/// What requests and their answers write into the log.
enum PostgreSQLRequest {
    static let query = "simple query"
    static let parse = "parse"
    static let execute = "execute"

    static func log(
        _ type: String, _ text: String?, _ settings: borrowing L7Settings, _ obfuscator: inout SQLObfuscationCache,
        _ message: UnsafeMutablePointer<L7Message>
    ) {
        message.pointee.type = .request
        message.pointee.log.requestType = type
        guard let text else { return }
        message.pointee.log.requestResource =
            settings.obfuscated.contains(.postgresql) ? obfuscator.obfuscated(text) : text
    }

    static func log(_ outcome: PostgreSQLOutcome, _ message: UnsafeMutablePointer<L7Message>) {
        message.pointee.type = .response
        message.pointee.log.responseStatus = outcome.status.rawValue
        message.pointee.log.responseException = outcome.condition
        message.pointee.log.responseResult = outcome.state
        message.pointee.log.rowEffect = outcome.rows
    }
}
