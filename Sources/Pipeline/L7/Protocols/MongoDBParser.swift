import Model

/// MongoDB wire protocol: OP_MSG and the legacy operations. Source: agent-l7-protocols.md 7.
///
/// Where the stream is followed, every message of a payload is told, and answers find their requests by number.
struct MongoDBParser {
    private var client = StreamCursor()
    private var server = StreamCursor()

    /// A length.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool {
        start > UInt32(MongoDBMessage.headerLength) && start <= UInt32(MongoDBMessage.maxLength)
    }

    static func detects(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        guard let message = MongoDBMessage(payload, at: 0) else { return false }
        guard
            message.length >= context.payloadSize
                || context.followsStream && MongoDBMessage(payload, at: message.next) != nil
        else { return false }
        return message.isRequest && message.responseTo == 0 && message.isPlain(payload)
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        guard context.followsStream else {
            guard let message = MongoDBMessage(payload, at: 0) else { return .failed }
            return message.log(payload, to: payload.byteCount, out.messages.add()) ? .parsed : .failed
        }
        // What is shown of a document fits into the truncation; the rest of it need not be waited for.
        let shown = settings.payloadTruncation
        let opening =
            context.direction == .clientToServer
            ? client.open(payload, context, frame: Self.frame) { $0.byteCount &- $1 < shown }
            : server.open(payload, context, frame: Self.frame) { $0.byteCount &- $1 < shown }
        switch opening {
        case .nothing: return .parsed
        case .incomplete: return .incomplete
        case .foreign: return .failed
        case .read(let start, _):
            var at = start
            while let found = MongoDBMessage(payload, at: at) {
                let message = out.messages.add()
                guard found.log(payload, to: at &+ shown, message) else { return .failed }
                message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: at)
                message.pointee.sessionID = found.isRequest ? found.requestID : found.responseTo
                message.pointee.hasSessionID = true
                message.pointee.needsSessionAggregation = !found.isRequest || !found.isOneWay(payload)
                at = found.next
            }
            return .parsed
        }
    }

    private static func frame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let message = MongoDBMessage(payload, at: at) { return .next(message.next) }
        return payload.byteCount &- at < MongoDBMessage.headerLength ? .cut : .foreign
    }
}
