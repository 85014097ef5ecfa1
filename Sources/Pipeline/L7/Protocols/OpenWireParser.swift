import Model

/// OpenWire of Apache ActiveMQ, in its tight and its loose encoding. Source: agent-l7-protocols.md 17.
struct OpenWireParser {
    private var clientOffer: OpenWireFormat?
    private var serverOffer: OpenWireFormat?
    /// Bytes still to come of a command that began in an earlier segment.
    private var skipRequest: Int32 = 0
    private var skipResponse: Int32 = 0

    private static let sw8 = TraceName("sw8")

    /// The highest byte of a size is 0.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xff == 0 }

    static func detects(_ payload: RawSpan) -> Bool { OpenWireCommand(wireFormatInfo: payload, at: 0) != nil }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let isRequest = context.direction == .clientToServer
        let before = out.messages.count
        var at = 0
        while at < payload.byteCount {
            if let command = command(payload, at: at) {
                log(command, at..<min(command.next, payload.byteCount), payload, isRequest, settings, into: &out)
                setSkip(isRequest, command.next &- context.payloadSize)
                at = command.next
            } else {
                // First behind the rest of what began earlier, then wherever a command is found.
                let skip = Int(isRequest ? skipRequest : skipResponse)
                setSkip(isRequest, skip &- (payload.byteCount &- at))
                at &+= max(skip, 1)
            }
        }
        return out.messages.count > before ? .parsed : .failed
    }

    private func command(_ payload: RawSpan, at: Int) -> OpenWireCommand? {
        OpenWireCommand(wireFormatInfo: payload, at: at) ?? OpenWireCommand(payload, at: at, format)
    }

    /// What holds for all but WireFormatInfo.
    private var format: OpenWireFormat {
        guard let clientOffer, let serverOffer else { return OpenWireFormat() }
        return OpenWireFormat(clientOffer, serverOffer)
    }

    private mutating func setSkip(_ isRequest: Bool, _ count: Int) {
        let skip = Int32(clamping: max(count, 0))
        if isRequest { skipRequest = skip } else { skipResponse = skip }
    }

    func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard !format.lacksSize else { return .foreign }
        guard payload.byteCount &- at >= 5 else { return .cut }
        return OpenWireCommand.mayBegin(payload, at: at) ? .next(at &+ 4 &+ Int(payload.be32(at: at))) : .foreign
    }

    private mutating func log(
        _ command: OpenWireCommand, _ range: Range<Int>, _ payload: RawSpan, _ isRequest: Bool,
        _ settings: borrowing L7Settings, into out: inout L7Output
    ) {
        var version = format.version
        if let offer = command.offer {
            if isRequest { clientOffer = offer } else { serverOffer = offer }
            version = offer.version
        }
        let message = out.messages.add()
        message.pointee.log.requestType = command.type.name ?? ""
        message.pointee.log.version = String(version)
        if command.type.isResponse {
            message.pointee.type = .response
            message.pointee.sessionID = command.correlationID
            message.pointee.hasSessionID = true
        } else if command.needsResponse {
            message.pointee.type = .request
            message.pointee.sessionID = command.commandID
            message.pointee.hasSessionID = true
        } else {
            message.pointee.type = .session
        }
        if isRequest {
            message.pointee.log.requestLength = Int32(clamping: command.size)
        } else {
            message.pointee.log.responseLength = Int32(clamping: command.size)
        }
        message.pointee.log.requestDomain = out.texts.text(payload, command.brokerURL)
        let destination = out.texts.text(payload, command.destination)
        message.pointee.log.requestResource = destination
        message.pointee.log.endpoint = destination
        message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
        if !command.errorText.isEmpty {
            let status: L7ResponseStatus = isRequest ? .clientError : .serverError
            message.pointee.log.responseStatus = status.rawValue
            message.pointee.log.responseException = payload.text(command.errorText)
        }
        let correlation = payload.text(command.messageCorrelation)
        if command.commandID != 0 || !correlation.isEmpty {
            message.pointee.log.changeExt { ext in
                ext.requestID = command.commandID
                if isRequest { ext.xRequestID0 = correlation } else { ext.xRequestID1 = correlation }
            }
        }
        if let trace = Self.trace(payload, range, settings.trace) { message.pointee.log.trace = trace }
    }

    /// A property `sw8` in the marshalled map of a message: type string, length, text.
    private static func trace(
        _ payload: RawSpan, _ range: Range<Int>, _ settings: borrowing L7TraceSettings
    ) -> L7Trace? {
        guard settings.traceNames.contains(sw8), let at = payload.firstIndex(of: "sw8\u{9}", in: range),
            range.upperBound &- at >= 2
        else { return nil }
        let value = at &+ 2..<min(at &+ 2 &+ Int(payload.be16(at: at)), range.upperBound)
        var tags = TagCollector()
        if let id = sw8.traceID(payload, value) { tags.addTrace(id, priority: TagCollector.builtIn(0), several: true) }
        if let id = sw8.spanID(payload, value) { tags.setSpan(id, priority: TagCollector.builtIn(0)) }
        return tags.trace
    }
}
