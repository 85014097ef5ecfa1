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

    /// The first packet ends within the payload.
    @inline(__always)
    static func mayDetect(_ start: UInt32, count: Int) -> Bool {
        Int(start & 0xff_ffff) &+ MySQLPacket.headerLength <= count
    }

    static func detects(_ payload: RawSpan, _ settings: borrowing L7Settings) -> Bool {
        switch framing(of: payload) {
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
            framing = Self.framing(of: payload)
            guard framing != .unknown else { return context.mayWait && isCut(payload) ? .incomplete : .failed }
        }
        if context.mayWait, isCut(payload), context.direction == .clientToServer { return .incomplete }
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

    /// The first packet is longer than the payload.
    private func isCut(_ payload: RawSpan) -> Bool {
        guard payload.byteCount >= MySQLPacket.headerLength else { return true }
        let header = framing == .compressed ? MySQLCompressed.headerLength : MySQLPacket.headerLength
        return payload.le24(at: 0) &+ header > payload.byteCount
    }

    private mutating func parsePlain(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        _ obfuscator: inout SQLObfuscationCache, into out: inout L7Output
    ) -> L7ParseResult {
        var message = L7Message()
        let isKnown =
            context.direction == .clientToServer
            ? parseRequest(payload, settings, &obfuscator, &message) : parseResponse(payload, &message)
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
    private mutating func parseResponse(_ payload: RawSpan, _ message: inout L7Message) -> Bool? {
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
            guard first == 0 || first == 0xff || first == 0xfe else { continue }
            if first == 0xff || hasPendingLogin && first == 0 {
                if hasPendingLogin, first == 0, willCompress { framing = .compressed }
                hasPendingLogin = false
            } else if hasPendingRequest {
                hasPendingRequest = false
            } else {
                return false
            }
            return readResult(payload, body, first, &message)
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
