import Model

/// MySQL client/server protocol, plain and compressed. Source: agent-l7-protocols.md 4.
struct MySQLParser {
    private enum Framing {
        case unknown, plain, compressed
    }

    private var framing = Framing.unknown
    /// Protocol version of the greeting, 0 = none seen.
    private var greetingVersion: UInt8 = 0
    private var hasPendingRequest = false
    private var hasPendingLogin = false
    /// The login that is pending asked for the compressed protocol.
    private var willCompress = false
    /// Placeholders of the last PREPARE, for the next EXECUTE.
    private var placeholders = 0

    // MARK: - Detection

    /// The first packet ends within the payload, or may when that has grown: it is a statement or a login then.
    @inline(__always)
    static func mayDetect(_ start: UInt32, count: Int, mayGrow: Bool) -> Bool {
        let length = Int(start & 0xff_ffff)
        return length &+ MySQLPacket.headerLength <= count && (!mayGrow || length > 0 && start >> 24 <= 2)
    }

    static func detects(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings
    ) -> Bool {
        switch context.followsStream ? firstFraming(of: payload) : framing(of: payload) {
        case .unknown: return false
        case .plain: return detectsPlain(payload)
        case .compressed:
            guard let header = MySQLCompressed(payload) else { return false }
            if header.uncompressedLength == 0 {
                return detectsPlain(payload.extracting(header.bodyStart..<header.bodyEnd))
            }
            guard settings.decompressesMySQL,
                let inner = header.inflated(payload, limit: settings.payloadTruncation)
            else { return false }
            return detectsPlain(inner.span.bytes)
        }
    }

    private static func detectsPlain(_ payload: RawSpan) -> Bool {
        guard let packet = MySQLPacket(payload, at: 0), !packet.body.isEmpty else { return false }
        let body = packet.body
        if packet.sequence == 0 {
            let command = payload.u8(at: body.lowerBound)
            guard command == MySQLCommand.query || command == MySQLCommand.prepare else { return false }
            let text = MySQLCommand.text(payload, body)
            return payload.isASCII(text) && SQLStatement.isMySQL(payload, text)
        }
        return MySQLLogin(payload, body) != nil
    }

    /// How the flow frames its packets, told by its first payload.
    private static func framing(of payload: RawSpan) -> Framing {
        guard payload.byteCount >= MySQLPacket.headerLength else { return .unknown }
        let length = Int(payload.le32(at: 0) & 0xff_ffff)
        if length &+ MySQLCompressed.headerLength == payload.byteCount, let header = MySQLCompressed(payload),
            header.uncompressedLength == 0 || header.uncompressedLength >= length
        {
            return .compressed
        }
        var at = MySQLPacket.headerLength &+ length
        while at < payload.byteCount {
            guard payload.byteCount &- at >= MySQLPacket.headerLength else { return .unknown }
            at = at &+ MySQLPacket.headerLength &+ payload.le24(at: at)
        }
        return at == payload.byteCount ? .plain : .unknown
    }

    // MARK: - Parsing

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        _ obfuscator: inout SQLObfuscationCache, into out: inout L7Output
    ) -> L7ParseResult {
        if framing == .unknown {
            framing = context.followsStream ? Self.framing(at: 0, of: payload) ?? .plain : Self.framing(of: payload)
            guard framing != .unknown else { return .failed }
        }
        if context.followsStream, context.direction == .serverToClient, isPassedOver(payload) { return .parsed }
        guard framing == .compressed else {
            return parsePlain(payload, context, settings, &obfuscator, into: &out)
        }
        guard let header = MySQLCompressed(payload) else { return .failed }
        if header.uncompressedLength == 0 {
            return parsePlain(
                payload.extracting(header.bodyStart..<header.bodyEnd), context, settings, &obfuscator, into: &out)
        }
        guard settings.decompressesMySQL else {
            guard context.direction == .serverToClient else { return .failed }
            var message = L7Message()
            message.type = .response
            message.skipSend = true
            message.log.responseStatus = L7ResponseStatus.parseFailed.rawValue
            out.messages.append(message)
            return .parsed
        }
        guard let inner = header.inflated(payload, limit: settings.payloadTruncation), !inner.isEmpty else {
            return .failed
        }
        return parsePlain(inner.span.bytes, context, settings, &obfuscator, into: &out)
    }

    // MARK: - Streams

    /// Framing of a stream that begins with a whole packet.
    private static func firstFraming(of payload: RawSpan) -> Framing {
        guard let framing = framing(at: 0, of: payload) else { return .unknown }
        let header = framing == .compressed ? MySQLCompressed.headerLength : MySQLPacket.headerLength
        return header &+ payload.le24(at: 0) <= payload.byteCount ? framing : .unknown
    }

    func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard payload.byteCount &- at >= MySQLPacket.headerLength else { return .cut }
        guard let framing = framing == .unknown ? Self.framing(at: at, of: payload) : framing else { return .cut }
        let header = framing == .compressed ? MySQLCompressed.headerLength : MySQLPacket.headerLength
        return .next(at &+ header &+ payload.le24(at: at))
    }

    /// How the packet is framed that begins here; nil when too little of it is there.
    private static func framing(at: Int, of payload: RawSpan) -> Framing? {
        let rest = payload.byteCount &- at
        guard rest >= MySQLPacket.headerLength else { return nil }
        let length = payload.le24(at: at)
        guard length >= MySQLPacket.headerLength else { return .plain }
        guard rest >= MySQLCompressed.headerLength &+ MySQLPacket.headerLength else { return nil }
        let (inner, first) = (payload.le24(at: at &+ 4), at &+ MySQLCompressed.headerLength)
        let isCompressed =
            inner == 0
            ? payload.le24(at: first) &+ MySQLPacket.headerLength == length
            : inner >= length && payload.u8(at: first) & 0x0f == 8 && payload.be16(at: first) % 31 == 0
        return isCompressed ? .compressed : .plain
    }

    /// A packet behind the one that answered: most of a large result.
    private func isPassedOver(_ payload: RawSpan) -> Bool {
        framing == .plain && !hasPendingRequest && !hasPendingLogin
            && payload.byteCount > MySQLPacket.headerLength && payload.u8(at: 3) > 1
    }

    /// What is pending cannot be told any more.
    mutating func missBytes() { hasPendingRequest = false }

    private mutating func parsePlain(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        _ obfuscator: inout SQLObfuscationCache, into out: inout L7Output
    ) -> L7ParseResult {
        var message = L7Message()
        let isKnown =
            context.direction == .clientToServer
            ? parseRequest(payload, settings, &obfuscator, &message)
            : parseResponse(payload, context, &message)
        guard let isKnown else { return .failed }
        if isKnown {
            if greetingVersion != 0 { message.log.version = String(greetingVersion) }
            out.messages.append(message)
        }
        return .parsed
    }

    /// true: a message; false: nothing to log; nil: not a message of this protocol.
    private mutating func parseRequest(
        _ payload: RawSpan, _ settings: borrowing L7Settings, _ obfuscator: inout SQLObfuscationCache,
        _ message: inout L7Message
    ) -> Bool? {
        guard let packet = MySQLPacket(payload, at: 0) else { return nil }
        guard packet.sequence == 0 else {
            guard packet.sequence == 1 else { return false }
            guard let login = MySQLLogin(payload, packet.body) else { return false }
            hasPendingLogin = true
            willCompress = login.asksForCompression
            message.type = .request
            message.log.requestResource = login.text
            if settings.extractsMySQLEndpoint { message.log.endpoint = login.text }
            message.log.responseStatus = L7ResponseStatus.ok.rawValue
            message.detail = .mysql(MySQLDetail(isRequest: true))
            return true
        }
        guard !packet.body.isEmpty else { return nil }
        let command = payload.u8(at: packet.body.lowerBound)
        var detail = MySQLDetail(command: command, isRequest: true)
        message.type = .request
        switch command {
        case MySQLCommand.quit, MySQLCommand.closeStatement:
            message.type = .session
            message.log.responseStatus = L7ResponseStatus.ok.rawValue
        case MySQLCommand.fieldList, MySQLCommand.fetch, MySQLCommand.ping:
            break
        case MySQLCommand.query, MySQLCommand.prepare, MySQLCommand.initDB:
            let text = MySQLCommand.text(payload, packet.body)
            guard command == MySQLCommand.initDB || SQLStatement.isMySQL(payload, text) else { return nil }
            if command == MySQLCommand.prepare { placeholders = MySQLPlaceholders.count(payload, text) }
            detail.countsRows = command == MySQLCommand.query && SQLStatement.isCommon(payload, text)
            apply(payload, text, settings, &obfuscator, &message)
        case MySQLCommand.execute:
            guard packet.body.count >= 5 else { break }
            setStatement(payload.le32(at: packet.body.lowerBound &+ 1), &message)
            if placeholders > 0 {
                if !settings.obfuscated.contains(.mysql) {
                    message.log.requestResource = MySQLParameters.text(payload, packet.body, count: placeholders)
                }
                placeholders = 0
            }
        default: return false
        }
        message.log.requestType = MySQLCommand.name(command)
        message.detail = .mysql(detail)
        if message.type == .request { hasPendingRequest = true }
        return true
    }

    private func apply(
        _ payload: RawSpan, _ text: Range<Int>, _ settings: borrowing L7Settings,
        _ obfuscator: inout SQLObfuscationCache, _ message: inout L7Message
    ) {
        var tags = TagCollector()
        SQLComments.collect(payload, text, settings.trace, into: &tags)
        let ids = tags.allTraceIDs(distinct: false)
        if !ids.isEmpty || !tags.spanID.isEmpty {
            var trace = L7Trace()
            trace.traceIDs = ids
            trace.spanID = tags.spanID
            message.log.trace = trace
            if settings.trace.copiesTraceID, let first = ids.first {
                var ext = message.log.ext ?? L7Ext()
                ext.attributeNames.append("apm_trace_id")
                ext.attributeValues.append(first)
                message.log.ext = ext
            }
        }
        message.log.requestResource = payload.text(text)
        if settings.obfuscated.contains(.mysql) {
            message.log.requestResource = obfuscator.obfuscated(message.log.requestResource)
            if settings.extractsMySQLEndpoint { message.log.endpoint = SQLEndpoint.of(message.log.requestResource) }
        } else if settings.extractsMySQLEndpoint {
            message.log.endpoint = SQLEndpoint.of(payload, text)
        }
    }

    private func setStatement(_ number: UInt32, _ message: inout L7Message) {
        guard number != 0 else { return }
        var ext = message.log.ext ?? L7Ext()
        ext.requestID = number
        message.log.ext = ext
    }

    /// The first packet that is a greeting, OK, ERR or EOF decides; without one the payload is part of a large result.
    ///
    /// Of a stream each packet comes by itself: the first one behind a request answers it.
    private mutating func parseResponse(
        _ payload: RawSpan, _ context: L7ParseContext, _ message: inout L7Message
    ) -> Bool? {
        message.type = .response
        message.skipSend = true
        var at = 0
        while let packet = MySQLPacket(payload, at: at) {
            at = packet.next
            guard !packet.body.isEmpty else { continue }
            let body = packet.body
            let first = payload.u8(at: body.lowerBound)
            if packet.sequence == 0, first == 9 || first == 10, Self.isGreeting(payload, body) {
                if first == 10 { greetingVersion = first }
                return false
            }
            if context.followsStream {
                let isAnswer = hasPendingRequest || hasPendingLogin || packet.sequence == 1 && first == 0xff
                guard isAnswer else { return false }
            }
            guard first == 0 || first == 0xff || first == 0xfe else { continue }
            if first == 0xff || hasPendingLogin && first == 0 {
                if hasPendingLogin, first == 0, willCompress { framing = .compressed }
                hasPendingLogin = false
                if context.followsStream { hasPendingRequest = false }
            } else if hasPendingRequest {
                hasPendingRequest = false
            } else {
                return false
            }
            return readResult(payload, body, first, &message)
        }
        if context.followsStream {
            // Number of columns of a result.
            guard hasPendingRequest else { return false }
            hasPendingRequest = false
        }
        message.log.responseStatus = L7ResponseStatus.ok.rawValue
        message.detail = .mysql(MySQLDetail())
        return true
    }

    private static func isGreeting(_ payload: RawSpan, _ body: Range<Int>) -> Bool {
        guard let end = payload.firstIndex(of: 0, from: body.lowerBound &+ 1, to: body.upperBound),
            end > body.lowerBound &+ 1
        else { return false }
        for at in body.lowerBound &+ 1..<end {
            let byte = payload.u8(at: at)
            guard isASCIIDigit(byte) || byte == 46 else { return false }
        }
        return true
    }

    private func readResult(
        _ payload: RawSpan, _ body: Range<Int>, _ first: UInt8, _ message: inout L7Message
    ) -> Bool? {
        var detail = MySQLDetail()
        message.log.responseStatus = L7ResponseStatus.ok.rawValue
        if first == 0 {
            detail.affectedRows = Self.affectedRows(payload, body)
            if body.count >= 5 { setStatement(payload.le32(at: body.lowerBound &+ 1), &message) }
        } else if first == 0xff {
            guard body.count >= 3 else { return nil }
            let code = payload.le16(at: body.lowerBound &+ 1)
            guard code >= 1000, code <= 2999 else { return nil }
            message.log.responseCode = Int32(code)
            let status = code >= 2000 ? L7ResponseStatus.clientError : .serverError
            message.log.responseStatus = status.rawValue
            var start = body.lowerBound &+ 3
            if start < body.upperBound, payload.u8(at: start) == 35 { start = min(start &+ 6, body.upperBound) }
            if payload.isASCII(start..<body.upperBound) {
                message.log.responseException = payload.text(start..<body.upperBound)
            }
        }
        message.detail = .mysql(detail)
        return true
    }

    /// Length-encoded number behind the OK byte.
    private static func affectedRows(_ payload: RawSpan, _ body: Range<Int>) -> UInt32 {
        guard body.count >= 2 else { return 0 }
        let at = body.lowerBound &+ 1
        let first = payload.u8(at: at)
        let width =
            switch first {
            case 0xfc: 2
            case 0xfd: 3
            case 0xfe: 8
            default: 0
            }
        guard width > 0, body.upperBound &- at &- 1 > width else { return UInt32(first) }
        switch width {
        case 2: return UInt32(payload.le16(at: at &+ 1))
        case 3: return UInt32(payload.le24(at: at &+ 1))
        default: return UInt32(clamping: payload.le64(at: at &+ 1))
        }
    }
}
