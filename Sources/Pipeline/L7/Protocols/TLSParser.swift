import Model

/// Handshakes of TLS 1.0 to 1.3, as far as they are in clear text. Source: agent-l7-protocols.md 24, RFC 5246, RFC 8446.
struct TLSParser {
    private let connection = TLSConnection()

    /// A handshake record of version 3.0 to 3.4 of some 16 KiB at most.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xffff == 0x0316 && start >> 16 & 0xff <= 4 }

    /// The payload begins with a ClientHello.
    static func detects(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        guard context.l4Protocol == .tcp, let record = TLSRecord(payload, at: 0),
            record.kind == TLSRecord.Kind.handshake, payload.byteCount >= record.bodyStart &+ TLSHandshake.headerLength
        else { return false }
        var reader = TLSReader(record.body(payload))
        guard reader.u8(payload) == TLSHandshake.clientHello, reader.u24(payload) ?? 0 < 1 << 16 else { return false }
        return TLSHello(client: payload, reader.rest) != nil
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, into out: inout L7Output
    ) -> L7ParseResult { connection.parse(payload, context, into: &out) }
}

/// State of one connection.
final class TLSConnection {
    /// What one payload holds besides hellos and certificates.
    private struct Flight {
        var types: [Int] = []
        var hello: TLSHello?
        var certificate: TLSCertificate?
        var alert: (level: UInt8, code: UInt8)?
        /// The handshake goes on, in further records of the same side.
        var isOpen = false
    }

    private static let version13 = 0x0304

    private var serverName = ""
    /// What the client offers at best.
    private var offered = 0
    /// What the server chose.
    private var chosen = 0
    private var startUs: UInt64 = 0
    private var isAnswered = false
    private var hasRecords = false
    private var hasEnded = false
    /// Changes of cipher, before TLS 1.3. Behind its own a side's handshake records cannot be read.
    private var changeCount = 0
    private var isClientSecret = false
    private var isServerSecret = false

    func parse(_ payload: RawSpan, _ context: L7ParseContext, into out: inout L7Output) -> L7ParseResult {
        let fromClient = context.direction == .clientToServer
        if hasEnded { return .parsed }
        // Behind the first record of a connection a payload may begin in the middle of one.
        guard TLSRecord(payload, at: 0) != nil else { return hasRecords ? .parsed : .failed }
        let (wasClientSecret, wasServerSecret, wasCount) = (isClientSecret, isServerSecret, changeCount)
        var (flight, isCut, isFinal) = (Flight(), false, false)
        read(payload, fromClient: fromClient, &flight, isCut: &isCut, isFinal: &isFinal)
        if context.mayWait, isCut || flight.isOpen, !flight.types.isEmpty || isCut, flight.alert == nil {
            (isClientSecret, isServerSecret, changeCount) = (wasClientSecret, wasServerSecret, wasCount)
            return .incomplete
        }
        hasRecords = true
        log(flight, fromClient: fromClient, context, into: &out)
        if isFinal || changeCount >= 2 {
            hasEnded = true
            if startUs != 0, context.timeUs > startUs { out.tlsRttUs = UInt32(clamping: context.timeUs &- startUs) }
        }
        return .parsed
    }

    // MARK: - Records

    private func read(
        _ payload: RawSpan, fromClient: Bool, _ flight: inout Flight, isCut: inout Bool, isFinal: inout Bool
    ) {
        var messages: [UInt8] = []
        var at = 0
        while at < payload.byteCount {
            guard let record = TLSRecord(payload, at: at) else {
                isCut = payload.byteCount &- at < TLSRecord.headerLength
                break
            }
            let isSecret = fromClient ? isClientSecret : isServerSecret
            switch record.kind {
            case TLSRecord.Kind.changeCipherSpec: changeCipher(fromClient: fromClient)
            case TLSRecord.Kind.alert where !isSecret && record.end &- record.bodyStart == 2:
                if record.end <= payload.byteCount {
                    flight.alert = (payload.u8(at: record.bodyStart), payload.u8(at: record.bodyStart &+ 1))
                }
            case TLSRecord.Kind.handshake where !isSecret:
                payload.extracting(record.body(payload)).withUnsafeBytes { messages.append(contentsOf: $0) }
                if record.end > payload.byteCount { isCut = true }
            case TLSRecord.Kind.applicationData:
                // In TLS 1.3 the end of the handshake looks so.
                if fromClient, isAnswered { isFinal = true }
            default: break
            }
            at = record.end
        }
        readMessages(messages.span.bytes, &flight, isCut: &isCut)
        guard !fromClient, let hello = flight.hello else { return }
        if hello.version >= Self.version13 {
            (isServerSecret, changeCount) = (false, 0)
        } else if !isServerSecret {
            // The flight of the server ends with ServerHelloDone, or with a change of cipher.
            flight.isOpen = flight.types.last != TLSHandshake.serverHelloDone
        }
    }

    /// In TLS 1.3 it means nothing; before, a client changes only when it was answered. Source: RFC 8446 D.4.
    private func changeCipher(fromClient: Bool) {
        guard chosen < Self.version13, !fromClient || chosen != 0 else { return }
        changeCount += 1
        if fromClient { isClientSecret = true } else { isServerSecret = true }
    }

    private func readMessages(_ bytes: RawSpan, _ flight: inout Flight, isCut: inout Bool) {
        var reader = TLSReader(0..<bytes.byteCount)
        while let type = reader.u8(bytes) {
            guard let length = reader.u24(bytes) else {
                isCut = true
                return
            }
            if length > reader.end &- reader.at { isCut = true }
            guard let body = reader.clamped(length) else { return }
            switch type {
            case TLSHandshake.clientHello:
                guard let hello = TLSHello(client: bytes, body) else { return }
                flight.hello = hello
            case TLSHandshake.serverHello:
                guard let hello = TLSHello(server: bytes, body) else { return }
                flight.hello = hello
            case TLSHandshake.certificate:
                var list = TLSReader(body)
                if let all = list.clamped(list.u24(bytes)) {
                    var entries = TLSReader(all)
                    if let leaf = entries.clamped(entries.u24(bytes)) {
                        flight.certificate = TLSCertificate(bytes, leaf)
                    }
                }
            default: break
            }
            flight.types.append(type)
        }
    }

    // MARK: - Messages

    /// A hello is a request or its answer. Alone are an alert, unless it is the answer, and the client's certificate.
    private func log(_ flight: Flight, fromClient: Bool, _ context: L7ParseContext, into out: inout L7Output) {
        let isRequest = fromClient && flight.types.first == TLSHandshake.clientHello
        let isAnswer = !fromClient && flight.hello != nil
        if isRequest, let hello = flight.hello {
            serverName = hello.serverName
            offered = hello.version
            if startUs == 0 { startUs = context.timeUs }
        } else if isAnswer, let hello = flight.hello {
            chosen = hello.version
            isAnswered = !hello.isRetryRequest
        }
        if isRequest || isAnswer || flight.certificate != nil {
            let message = add(flight, fromClient: fromClient, &out)
            message.pointee.type = isRequest ? .request : isAnswer ? .response : .session
            if isAnswer { message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue }
            if message.pointee.type == .session { message.pointee.needsSessionAggregation = false }
        }
        if let alert = flight.alert, !TLSAlert.isHarmless(level: alert.level, alert.code) {
            let message = add(Flight(), fromClient: fromClient, &out)
            let answers = !fromClient && !isAnswered && !isAnswer
            message.pointee.type = answers ? .response : .session
            message.pointee.needsSessionAggregation = answers
            message.pointee.log.requestType = "Alert"
            message.pointee.log.responseStatus =
                (fromClient ? L7ResponseStatus.clientError : .serverError).rawValue
            message.pointee.log.responseCode = Int32(alert.code)
            message.pointee.log.responseResult = TLSAlert.name(alert.code)
        }
    }

    private func add(
        _ flight: Flight, fromClient: Bool, _ out: inout L7Output
    ) -> UnsafeMutablePointer<L7Message> {
        let message = out.messages.add()
        message.pointee.log.version = Self.name(ofVersion: chosen != 0 ? chosen : offered)
        message.pointee.log.requestType = flight.types.map { TLSHandshake.name($0) }.joined(separator: "|")
        message.pointee.log.requestDomain = serverName
        message.pointee.log.requestResource = serverName
        let side = fromClient ? "client" : "server"
        var (names, values): ([String], [String]) = ([], [])
        if let hello = flight.hello {
            if !fromClient {
                names.append("cipher_suite")
                values.append(TLSCipherSuite.name(hello.cipherSuite))
            }
            if !hello.protocols.isEmpty {
                names.append("\(side)_alpn")
                values.append(hello.protocols.joined(separator: ","))
            }
        }
        if let certificate = flight.certificate {
            names += ["\(side)_cert_not_before", "\(side)_cert_not_after"]
            values += [certificate.notBefore, certificate.notAfter]
            if !certificate.commonName.isEmpty {
                names.append("\(side)_cert_common_name")
                values.append(certificate.commonName)
            }
            if !certificate.names.isEmpty {
                names.append("\(side)_cert_dns_names")
                values.append(certificate.names.joined(separator: ","))
            }
        }
        guard !names.isEmpty else { return message }
        message.pointee.log.changeExt { ext in
            ext.attributeNames = names
            ext.attributeValues = values
            if let certificate = flight.certificate {
                ext.metricsNames = ["\(side)_cert_valid_days"]
                ext.metricsValues = [Double(certificate.validDays)]
            }
        }
        return message
    }

    private static func name(ofVersion version: Int) -> String {
        switch version {
        case 0x0301: "1.0"
        case 0x0302: "1.1"
        case 0x0303: "1.2"
        case 0x0304: "1.3"
        default: version == 0 ? "" : unknownTLSNumber(UInt16(truncatingIfNeeded: version))
        }
    }
}
