import Model

/// Kafka. Requests and responses are paired by correlation id. Source: agent-l7-protocols.md 14.
struct KafkaParser {
    private var flow: KafkaFlow?

    /// A length below 256 MiB.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xf0 == 0 && start != 0 }

    /// One request whose body can be read, of a client that has a name.
    static func detects(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        guard KafkaRequest.isHeader(payload, 0), KafkaAPI.flexibleVersion(payload.be16(at: 4)) != nil,
            isFirst(payload, context), let request = KafkaRequest(payload, at: 0, to: payload.byteCount)
        else { return false }
        for at in request.clientID where payload.u8(at: at) < 32 || payload.u8(at: at) > 126 { return false }
        guard !request.clientID.isEmpty else { return false }
        // Of a request that is cut or fetches much, the beginning has to do.
        return request.isWhole || request.key == KafkaAPI.fetch || payload.byteCount < request.next
    }

    /// The payload is the request, or, of a stream, the beginning of it or of several.
    private static func isFirst(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        let end = Int(payload.be32(at: 0)) &+ 4
        if end == context.payloadSize { return true }
        guard context.followsStream else { return false }
        return end < context.payloadSize ? KafkaRequest.isHeader(payload, end) : !context.mayWait
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let flow = flow ?? KafkaFlow()
        self.flow = flow
        return flow.parse(payload, context, settings, into: &out)
    }
}

/// What a connection remembers.
final class KafkaFlow {
    private struct Waiting: BitwiseCopyable {
        var id: Int32
        var key: UInt16
        var version: UInt16
    }

    /// Requests whose responses can be read; the oldest is forgotten.
    private static let maxWaiting = 32

    private var waiting: [Waiting] = []
    private var client = StreamCursor()
    private var server = StreamCursor()

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let isRequest = context.direction == .clientToServer
        var start = 0
        if context.followsStream {
            // What is read of a message fits into the truncation; the rest of it need not be waited for.
            let shown = settings.payloadTruncation
            let opening =
                isRequest
                ? client.open(payload, context, frame: Self.requestFrame) { $0.byteCount &- $1 < shown }
                : server.open(payload, context, frame: Self.responseFrame) { $0.byteCount &- $1 < shown }
            switch opening {
            case .nothing: return .parsed
            case .incomplete: return .incomplete
            case .foreign: return .failed
            case .read(let from, _): start = from
            }
        }
        var at = start
        let before = out.messages.count
        while let next = isRequest
            ? readRequest(payload, at, context, settings, into: &out)
            : readResponse(payload, at, context, settings, into: &out)
        {
            at = next
        }
        return out.messages.count > before || context.followsStream && at > start ? .parsed : .failed
    }

    private static func requestFrame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if KafkaRequest.isHeader(payload, at) { return .next(at &+ 4 &+ Int(payload.be32(at: at))) }
        return payload.byteCount &- at < KafkaRequest.headerLength &+ 2 ? .cut : .foreign
    }

    private static func responseFrame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        guard payload.byteCount &- at >= KafkaResponse.headerLength else { return .cut }
        let length = Int(payload.be32(at: at))
        return length >= 4 && length <= 0x4000_0000 ? .next(at &+ 4 &+ length) : .foreign
    }

    // MARK: - Requests

    /// Offset of the next request; nil = none begins here.
    private func readRequest(
        _ payload: RawSpan, _ at: Int, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        into out: inout L7Output
    ) -> Int? {
        let end = context.followsStream ? at &+ settings.payloadTruncation : payload.byteCount
        guard let request = KafkaRequest(payload, at: at, to: end) else { return nil }
        if waiting.count >= Self.maxWaiting { waiting.removeFirst() }
        waiting.append(Waiting(id: request.correlationID, key: request.key, version: request.version))
        let message = out.messages.add()
        message.pointee.type = .request
        message.pointee.log.requestLength = Int32(truncatingIfNeeded: request.length)
        if context.followsStream, request.isUnanswered { message.pointee.needsSessionAggregation = false }
        Self.identify(message, request.key, request.version, request.correlationID, at)
        Self.place(message, request.topic, request.partition)
        if request.key == KafkaAPI.fetch, !request.topic.isEmpty {
            Self.setResource(message, request.topic, request.partition, request.offset)
        }
        if !request.group.isEmpty {
            message.pointee.log.changeExt { ext in
                ext.attributeNames.append("group_id")
                ext.attributeValues.append(request.group)
            }
        }
        guard !request.traceIDs.isEmpty || !request.spanID.isEmpty else { return request.next }
        var trace = L7Trace()
        for id in request.traceIDs where trace.traceIDs.count < 3 && !trace.traceIDs.contains(id) {
            trace.traceIDs.append(id)
        }
        trace.spanID = request.spanID
        message.pointee.log.trace = trace
        return request.next
    }

    // MARK: - Responses

    private func readResponse(
        _ payload: RawSpan, _ at: Int, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        into out: inout L7Output
    ) -> Int? {
        guard payload.byteCount &- at >= KafkaResponse.headerLength else { return nil }
        let length = Int(payload.be32(at: at))
        let id = Int32(bitPattern: payload.be32(at: at &+ 4))
        let next = at &+ 4 &+ length
        guard length >= 4 else { return nil }
        guard let place = waiting.lastIndex(where: { $0.id == id }) else { return context.followsStream ? next : nil }
        let asked = waiting.remove(at: place)
        let message = out.messages.add()
        message.pointee.type = .response
        message.pointee.log.responseLength = Int32(truncatingIfNeeded: length)
        Self.identify(message, asked.key, asked.version, id, at)
        guard KafkaAPI.flexibleVersion(asked.key) != nil else {
            message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
            message.pointee.log.responseCode = -2
            message.pointee.log.responseException = "Type not yet inspected by DeepFlow"
            return next
        }
        let end = context.followsStream ? min(next, at &+ settings.payloadTruncation) : next
        let cursor = ByteCursor(payload, at: at &+ KafkaResponse.headerLength, end: end)
        let response = KafkaResponse(payload, cursor, key: asked.key, version: asked.version)
        if let code = response.code {
            message.pointee.log.responseCode = Int32(code)
            message.pointee.log.responseStatus = (code == 0 ? L7ResponseStatus.ok : .serverError).rawValue
        } else if !response.isWhole {
            message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
        }
        Self.place(message, response.topic, response.partition)
        if asked.key == KafkaAPI.produce, !response.topic.isEmpty {
            Self.setResource(message, response.topic, response.partition, response.offset)
        }
        return next
    }

    // MARK: - Log

    private static func identify(
        _ message: UnsafeMutablePointer<L7Message>, _ key: UInt16, _ version: UInt16, _ id: Int32, _ offset: Int
    ) {
        message.pointee.sessionID = UInt32(bitPattern: id)
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        message.pointee.log.version = String(version)
        message.pointee.log.requestType = KafkaAPI.name(key)
        let text = String(id)
        message.pointee.log.changeExt { ext in
            ext.requestID = UInt32(bitPattern: id)
            ext.xRequestID0 = text
            ext.xRequestID1 = text
        }
    }

    private static func place(_ message: UnsafeMutablePointer<L7Message>, _ topic: String, _ partition: Int32?) {
        guard !topic.isEmpty else { return }
        message.pointee.log.requestDomain = topic
        if let partition, partition >= 0 { message.pointee.log.endpoint = "\(topic)-\(partition)" }
    }

    private static func setResource(
        _ message: UnsafeMutablePointer<L7Message>, _ topic: String, _ partition: Int32?, _ offset: Int64?
    ) {
        message.pointee.log.requestResource = "\(topic)-\(partition ?? 0):\(offset ?? 0)"
    }
}
