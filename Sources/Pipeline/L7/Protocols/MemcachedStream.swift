import Model

/// A memcached connection whose bytes are followed: commands wait in line for their answers, values may be of any length.
final class MemcachedStream {
    private struct Pending {
        var kind: MemcachedText.Kind
        var id: UInt32
    }

    private static let maxPending = 1024

    private var client = StreamCursor()
    private var server = StreamCursor()
    private var pending: [Pending] = []
    private var first = 0
    private var lastID: UInt32 = 0
    /// The answer goes on behind its value; it was logged.
    private var isWithinValues = false

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        let isRequest = context.direction == .clientToServer
        let opening =
            isRequest
            ? client.open(payload, context, frame: Self.commandFrame) { _, _ in false }
            : server.open(payload, context, frame: Self.answerFrame) { _, _ in false }
        switch opening {
        case .nothing: return .parsed
        case .incomplete: return .incomplete
        case .foreign:
            giveUp()
            return .failed
        case .read(let start, let afterGap):
            if afterGap { giveUp() }
            var at = start
            while at < payload.byteCount,
                let next = isRequest
                    ? readCommand(payload, at, settings, into: &out) : readAnswer(payload, at, settings, into: &out)
            {
                at = next
            }
            return .parsed
        }
    }

    // MARK: - Items

    private static func commandFrame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let packet = MemcachedBinary(payload, at: at) { return packet.isRequest ? .next(packet.next) : .foreign }
        let item = MemcachedText.command(payload, at: at) ?? MemcachedText.other(payload, at: at)
        return item.map { .next($0.next) } ?? unfinished(payload, at)
    }

    private static func answerFrame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let packet = MemcachedBinary(payload, at: at) { return packet.isRequest ? .foreign : .next(packet.next) }
        let item = MemcachedText.answer(payload, at: at) ?? MemcachedText.otherAnswer(payload, at: at)
        return item.map { .next($0.next) } ?? unfinished(payload, at)
    }

    /// A line without an end, or a binary header that is cut.
    private static func unfinished(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        let rest = payload.byteCount &- at
        if payload.u8(at: at) >= MemcachedBinary.request {
            return rest < MemcachedBinary.headerLength ? .cut : .foreign
        }
        return MemcachedText.line(payload, from: at) == nil && payload.isASCII(at..<payload.byteCount) ? .cut : .foreign
    }

    // MARK: - Commands

    private func readCommand(
        _ payload: RawSpan, _ at: Int, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> Int? {
        if let packet = MemcachedBinary(payload, at: at) {
            let message = out.messages.add()
            packet.log(payload, settings, at, message)
            message.pointee.needsSessionAggregation = !packet.isQuiet
            return packet.next
        }
        if let item = MemcachedText.command(payload, at: at) {
            lastID &+= 1
            let message = out.messages.add()
            MemcachedParser.log(command: item, payload, settings, at, size: item.next &- at, message)
            message.pointee.sessionID = lastID
            message.pointee.hasSessionID = true
            if item.kind == .unanswered {
                message.pointee.needsSessionAggregation = false
            } else {
                wait(.logged)
            }
            return item.next
        }
        guard let item = MemcachedText.other(payload, at: at) else { return nil }
        if item.kind != .unanswered { wait(item.kind) }
        return item.next
    }

    private func wait(_ kind: MemcachedText.Kind) {
        if pending.count &- first >= Self.maxPending {
            pending.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 64, first &* 2 > pending.count {
            pending.removeFirst(first)
            first = 0
        }
        pending.append(Pending(kind: kind, id: lastID))
    }

    // MARK: - Answers

    private func readAnswer(
        _ payload: RawSpan, _ at: Int, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> Int? {
        if let packet = MemcachedBinary(payload, at: at) {
            packet.log(payload, settings, at, out.messages.add())
            return packet.next
        }
        guard let item = MemcachedText.answer(payload, at: at) ?? MemcachedText.otherAnswer(payload, at: at) else {
            return nil
        }
        if isWithinValues {
            // Logged by its first line.
            if item.kind != .value { isWithinValues = false }
            return item.next
        }
        guard first < pending.count else { return item.next }
        let asked = pending[first]
        switch asked.kind {
        case .listing:
            // STAT lines, then END.
            if item.kind == .logged || item.kind == .silent { first &+= 1 }
        case .silent: first &+= 1
        default:
            first &+= 1
            isWithinValues = item.kind == .value
            let message = out.messages.add()
            MemcachedParser.log(answer: item, payload, settings, at, size: item.next &- at, message)
            message.pointee.sessionID = asked.id
            message.pointee.hasSessionID = true
        }
        return item.next
    }

    /// Bytes are missing: only a command that waits alone can still be told its answer.
    private func giveUp() {
        pending = pending.count &- first == 1 ? [pending[first]] : []
        first = 0
        isWithinValues = false
    }
}
