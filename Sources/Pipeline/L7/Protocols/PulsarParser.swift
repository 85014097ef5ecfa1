import Model

/// Pulsar binary protocol. Source: agent-l7-protocols.md 19.
struct PulsarParser {
    /// What connections and openers of topics told, for the later messages of the flow.
    private final class Connection {
        var proxyURL = ""
        /// The smaller one of both ends; nil = none is known.
        var version: Int32?
        var producers = TopicTable()
        var consumers = TopicTable()
    }

    /// Topics by number of producer or consumer: bounded, the oldest goes.
    private struct TopicTable {
        private static let capacity = 256
        private var entries: [(id: UInt64, topic: String)] = []
        private var oldest = 0

        subscript(id: UInt64) -> String? {
            get { entries.last { $0.id == id }?.topic }
            set {
                guard let topic = newValue else { return }
                if let at = entries.firstIndex(where: { $0.id == id }) {
                    entries[at].topic = topic
                } else if entries.count < Self.capacity {
                    entries.append((id, topic))
                } else {
                    entries[oldest] = (id, topic)
                    oldest = (oldest &+ 1) % Self.capacity
                }
            }
        }
    }

    private static let newestVersion: Int32 = 21

    private var connection: Connection?

    /// Frames are smaller than 64 MiB.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool { start & 0xfc == 0 }

    static func detects(_ payload: RawSpan) -> Bool {
        guard let frame = PulsarFrame(payload, at: 0), PulsarCommand(payload, frame.command) != nil else {
            return false
        }
        // Only messages stand behind a command.
        return frame.size == frame.command.count &+ 4 || !frame.metadata.isEmpty
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let before = out.messages.count
        var at = 0
        while at < payload.byteCount, let frame = PulsarFrame(payload, at: at),
            let command = PulsarCommand(payload, frame.command)
        {
            log(command, frame, payload, settings, into: &out)
            at = frame.next
        }
        return out.messages.count > before ? .parsed : .failed
    }

    private mutating func log(
        _ command: PulsarCommand, _ frame: PulsarFrame, _ payload: RawSpan, _ settings: borrowing L7Settings,
        into out: inout L7Output
    ) {
        let connection = connection ?? Connection()
        self.connection = connection
        Self.learn(command, payload, connection)
        let message = out.messages.add()
        let type = command.type.messageType
        message.pointee.type = type
        message.pointee.log.requestType = command.type.name ?? ""
        message.pointee.log.requestDomain = connection.proxyURL
        if let version = connection.version { message.pointee.log.version = String(version) }
        let topic =
            command.producerID.flatMap { connection.producers[$0] }
            ?? command.consumerID.flatMap { connection.consumers[$0] }
        if let topic {
            message.pointee.log.requestResource = topic
            message.pointee.log.endpoint = topic
        }
        if let id = command.requestID {
            message.pointee.sessionID = id
            message.pointee.hasSessionID = true
        }
        if command.requestID ?? 0 != 0 || !command.messageID.isEmpty {
            message.pointee.log.changeExt { ext in
                ext.requestID = command.requestID ?? 0
                ext.xRequestID0 = command.messageID
            }
        }
        if type == .response {
            message.pointee.log.responseLength = Int32(clamping: frame.size)
            message.pointee.log.responseStatus = L7ResponseStatus.ok.rawValue
            if let code = command.errorCode {
                message.pointee.log.responseStatus = L7ResponseStatus.serverError.rawValue
                message.pointee.log.responseCode = code
                message.pointee.log.responseException = payload.text(command.errorText)
            }
        } else {
            message.pointee.log.requestLength = Int32(clamping: frame.size)
        }
        if let trace = frame.trace(payload, settings.trace) { message.pointee.log.trace = trace }
    }

    private static func learn(_ command: PulsarCommand, _ payload: RawSpan, _ connection: Connection) {
        switch command.type {
        case .connect, .connected:
            if command.type == .connect { connection.proxyURL = payload.text(command.proxyURL) }
            connection.version = min(connection.version ?? newestVersion, command.protocolVersion)
        case .producer: if let id = command.producerID { connection.producers[id] = topicName(command, payload) }
        case .subscribe: if let id = command.consumerID { connection.consumers[id] = topicName(command, payload) }
        default: break
        }
    }

    /// `persistent://tenant/namespace/topic`: the last part.
    private static func topicName(_ command: PulsarCommand, _ payload: RawSpan) -> String {
        var start = command.topic.upperBound
        while start > command.topic.lowerBound, payload.u8(at: start &- 1) != UInt8(ascii: "/") { start &-= 1 }
        return payload.text(start..<command.topic.upperBound)
    }
}
