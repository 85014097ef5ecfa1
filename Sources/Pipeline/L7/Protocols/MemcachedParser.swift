import Model

/// Memcached: the text protocol, and the binary one. Source: agent-l7-protocols.md 8.
///
/// Packet by packet each command and each answer of a payload is a message, of which the first is counted. Where the
/// stream is followed each command of a pipeline finds its own answer (`MemcachedStream`).
struct MemcachedParser {
    private var stream: MemcachedStream?

    /// The first letter of a command, or a binary request.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool {
        switch UInt8(truncatingIfNeeded: start) {
        case UInt8(ascii: "s"), UInt8(ascii: "a"), UInt8(ascii: "r"), UInt8(ascii: "p"), UInt8(ascii: "c"),
            UInt8(ascii: "g"), UInt8(ascii: "d"), UInt8(ascii: "i"), UInt8(ascii: "t"), MemcachedBinary.request:
            true
        default: false
        }
    }

    static func detects(_ payload: RawSpan, _ context: L7ParseContext) -> Bool {
        guard payload.byteCount > 0 else { return false }
        if payload.u8(at: 0) == MemcachedBinary.request {
            guard let packet = MemcachedBinary(payload, at: 0) else { return false }
            return packet.isRequest && packet.isPlain(payload)
        }
        return MemcachedText.command(payload, at: 0).map { MemcachedText.isPlain(payload, $0) } ?? false
    }

    mutating func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        if context.followsStream {
            if stream == nil { stream = MemcachedStream() }
            return stream?.parse(payload, context, settings, into: &out) ?? .failed
        }
        let before = out.messages.count
        if MemcachedBinary(payload, at: 0) != nil {
            parseBinary(payload, context.direction, settings, into: &out)
        } else if context.direction == .clientToServer {
            parseCommands(payload, settings, into: &out)
        } else {
            parseAnswers(payload, settings, into: &out)
        }
        for number in before..<out.messages.count {
            out.messages[number].pointee.isCountedWithFirst = number > before
        }
        return out.messages.count > before ? .parsed : .failed
    }

    private func parseBinary(
        _ payload: RawSpan, _ direction: PacketDirection, _ settings: borrowing L7Settings, into out: inout L7Output
    ) {
        var at = 0
        while let packet = MemcachedBinary(payload, at: at) {
            guard packet.isRequest == (direction == .clientToServer) else { return }
            packet.log(payload, settings, at, out.messages.add())
            at = packet.next
        }
    }

    private func parseCommands(_ payload: RawSpan, _ settings: borrowing L7Settings, into out: inout L7Output) {
        var at = 0
        while at < payload.byteCount, let item = MemcachedText.command(payload, at: at) {
            Self.log(command: item, payload, settings, at, size: item.end &- at, out.messages.add())
            at = item.next
        }
    }

    /// Values up to END are one answer, which shows its first line.
    private func parseAnswers(_ payload: RawSpan, _ settings: borrowing L7Settings, into out: inout L7Output) {
        var at = 0
        while at < payload.byteCount, let item = MemcachedText.answer(payload, at: at) {
            var last = item
            while last.kind == .value, last.next < payload.byteCount,
                let more = MemcachedText.answer(payload, at: last.next)
            {
                last = more
            }
            Self.log(answer: item, payload, settings, at, size: last.end &- at, out.messages.add())
            at = last.next
        }
    }

    // MARK: - Log

    static func log(
        command item: MemcachedText.Item, _ payload: RawSpan, _ settings: borrowing L7Settings, _ offset: Int,
        size: Int,
        _ message: UnsafeMutablePointer<L7Message>
    ) {
        message.pointee.type = .request
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        message.pointee.ownBytes = UInt32(truncatingIfNeeded: size)
        let name = payload.nearIndex(of: 32, from: item.line.lowerBound, to: item.line.upperBound)
        message.pointee.log.requestType = payload.text(item.line.lowerBound..<(name ?? item.line.upperBound))
        message.pointee.log.requestResource = payload.text(item.line.prefix(settings.payloadTruncation))
    }

    static func log(
        answer item: MemcachedText.Item, _ payload: RawSpan, _ settings: borrowing L7Settings, _ offset: Int, size: Int,
        _ message: UnsafeMutablePointer<L7Message>
    ) {
        message.pointee.type = .response
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        message.pointee.ownBytes = UInt32(truncatingIfNeeded: size)
        let (status, exception) = MemcachedText.status(payload, item.line)
        message.pointee.log.responseStatus = status.rawValue
        message.pointee.log.responseException = exception
        message.pointee.log.responseResult = payload.text(item.line.prefix(settings.payloadTruncation))
    }
}
