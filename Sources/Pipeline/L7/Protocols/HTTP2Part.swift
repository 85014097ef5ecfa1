import Model

/// What one payload tells of one stream.
struct HTTP2Part {
    private static let endpointMinimum = 6

    let stream: UInt32
    /// Offset of the last frame with header fields.
    var offset = 0
    var hasHeaders = false
    var hasData = false
    var isEnded = false
    /// What follows is no frame, so that the length is not known.
    var isCutBehindHeaders = false
    var dataLength: Int32 = 0
    /// HTTP/2, or what the fields say that runs over it.
    private(set) var dialect = L7Protocol.http2

    private var method = ""
    private var host = ""
    private var path = ""
    private var endpoint = ""
    private var endpointHash: UInt64 = 0
    private var service = ""
    private var serviceVersion = ""
    private var status: Int32 = 0
    private var grpcStatus: Int32?
    private var contentLength: Int32?
    private var tags: TagCollector?

    init(stream: UInt32) { self.stream = stream }

    // MARK: - Fields

    /// Takes one header field. `text` holds its name and value.
    mutating func take(
        _ field: HPACKField, _ text: RawSpan, _ settings: borrowing L7Settings, _ texts: borrowing TextCache
    ) {
        switch field.header {
        case .other, .scheme: break
        case .method: method = text.text(field.value)
        case .status: status = Self.number(text, field.value) ?? 0
        case .host, .authority: host = texts.text(text, field.value)
        case .path: take(path: text, field.value, settings, texts)
        case .contentType:
            if text.hasPrefix("application/grpc", at: field.value.lowerBound), dialect == .http2 { dialect = .grpc }
        case .contentLength: contentLength = Self.number(text, field.value) ?? 0
        case .grpcStatus: grpcStatus = Self.number(text, field.value)
        case .serviceVersion:
            dialect = .triple
            serviceVersion = text.text(field.value)
        }
        guard field.isTag else { return }
        var all = tags ?? TagCollector()
        HTTP1Parser.readTags(text, field.name, field.value, isResponse: status != 0, settings, &all)
        tags = all
    }

    private mutating func take(
        path text: RawSpan, _ value: Range<Int>, _ settings: borrowing L7Settings, _ texts: borrowing TextCache
    ) {
        guard !value.isEmpty else { return }
        let known = texts.text(text, value) { settings.endpoint.endpoint(of: $0) }
        path = known.text
        endpoint = known.derived
        endpointHash = known.derivedHash
        service = Self.service(text, value).map { texts.text(text, $0) } ?? ""
    }

    /// `/package.Service/Method`: the part between the slashes, of which there are no others.
    private static func service(_ text: RawSpan, _ path: Range<Int>) -> Range<Int>? {
        guard path.count >= endpointMinimum, text.u8(at: path.lowerBound) == 47 else { return nil }
        let first = path.lowerBound &+ 1
        guard let slash = text.firstIndex(of: 47, from: first, to: path.upperBound),
            text.firstIndex(of: 47, from: slash &+ 1, to: path.upperBound) == nil
        else { return nil }
        return first..<slash
    }

    private static func number(_ text: RawSpan, _ value: Range<Int>) -> Int32? {
        guard !value.isEmpty else { return nil }
        var number: Int64 = 0
        for at in value {
            guard isASCIIDigit(text.u8(at: at)) else { return nil }
            number = number * 10 + Int64(text.u8(at: at) &- 48)
            guard number <= Int64(UInt32.max) else { return nil }
        }
        return Int32(clamping: number)
    }

    // MARK: - Messages

    /// Appends the message that the part is, if it is one. Source: agent-l7-protocols.md 2.
    func log(
        _ proto: L7Protocol, _ direction: PacketDirection, _ settings: borrowing L7Settings, into out: inout L7Output
    ) {
        let grpcCode = settings.readsGRPCStreams ? grpcStatus : nil
        guard let type = type(proto, direction, grpcCode, readsStreams: settings.readsGRPCStreams) else { return }
        let message = out.messages.add()
        message.pointee.type = type
        message.pointee.l7Protocol = proto
        message.pointee.sessionID = stream
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        message.pointee.log.version = proto == .triple ? serviceVersion : "2"
        message.pointee.log.requestType = requestType(proto, type, direction)
        message.pointee.log.requestDomain = host
        if proto == .grpc {
            message.pointee.log.requestResource = service
            message.pointee.log.endpoint = path
        } else {
            let cutsQuery = settings.obfuscated.contains(.http1) || settings.obfuscated.contains(.http2)
            message.pointee.log.requestResource = cutsQuery ? HTTP1Parser.withoutQuery(path) : path
            message.pointee.log.endpoint = endpoint
            message.pointee.endpointHash = endpointHash
        }
        let length = contentLength ?? (isCutBehindHeaders && !hasData ? -1 : dataLength)
        if type == .request || type == .session && direction == .clientToServer {
            message.pointee.log.requestLength = length
        } else {
            message.pointee.log.responseLength = length
        }
        if let grpcCode {
            message.pointee.log.responseCode = grpcCode
        } else if status != 0 {
            message.pointee.log.responseCode = status
        }
        if direction == .serverToClient {
            let known = grpcCode.map(Self.status(ofGRPC:)) ?? HTTP1Parser.status(of: status)
            message.pointee.log.responseStatus = known.rawValue
        }
        if let tags { HTTP1Parser.apply(tags, direction == .serverToClient, settings, message) }
        message.pointee.log.changeExt { ext in
            ext.requestID = stream
            if proto != .http2 { ext.rpcService = service }
        }
    }

    /// Nil: data, trailers and interim answers tell nothing by themselves.
    private func type(
        _ proto: L7Protocol, _ direction: PacketDirection, _ grpcCode: Int32?, readsStreams: Bool
    ) -> LogMessageType? {
        guard hasHeaders else { return proto != .http2 && readsStreams ? .session : nil }
        let isAnswer = direction == .serverToClient
        if proto == .http2 {
            if !method.isEmpty { return .request }
            guard status != 0 || isAnswer else { return nil }
            return (100...600).contains(status) && ![100, 102, 103].contains(status) ? .response : nil
        }
        if isAnswer {
            if grpcCode != nil { return .response }
            guard status != 0 else { return nil }
            return readsStreams ? .session : .response
        }
        return method.isEmpty && (status != 0 || grpcCode != nil) ? .response : .request
    }

    private func requestType(_ proto: L7Protocol, _ type: LogMessageType, _ direction: PacketDirection) -> String {
        if proto == .grpc {
            guard type == .session else { return "POST" }
            if hasHeaders { return direction == .clientToServer ? "_REQUEST_HEADER" : "_RESPONSE_HEADER" }
        }
        guard method.isEmpty, hasData else { return method }
        return direction == .clientToServer ? "_REQUEST_DATA" : "_RESPONSE_DATA"
    }

    private static func status(ofGRPC code: Int32) -> L7ResponseStatus {
        switch code {
        case 0: .ok
        case 1, 3, 5, 6, 7, 9, 11, 16: .clientError
        default: .serverError
        }
    }
}
