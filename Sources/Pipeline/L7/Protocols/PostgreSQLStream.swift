import Model

/// A PostgreSQL connection whose bytes are followed: requests wait in line for their answers, results may be of any length.
/// Source: PostgreSQL documentation, "Message Flow".
///
/// A simple query is answered by all up to ReadyForQuery; a Parse by what its first Execute yields, or by ParseComplete
/// when it is only prepared; each further Execute by its own result. An error ends all requests up to the next Sync.
final class PostgreSQLStream {
    private enum Kind {
        case query, prepared, executed
        /// Up to here an error ends what the client sent; ReadyForQuery follows.
        case sync
    }

    private struct Pending {
        var kind: Kind
        var id: UInt32
        var outcome: PostgreSQLOutcome?
    }

    /// More requests in line are given up.
    private static let maxPending = 1024
    /// Bytes of a block that is read for which the rest need not be waited for.
    private static let enough = 512

    private var client = StreamCursor()
    private var server = StreamCursor()
    private var pending: [Pending] = []
    /// Requests of `pending` that are answered and no longer count.
    private var first = 0
    private var lastID: UInt32 = 0
    private var awaitsEncryption = false

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings,
        _ obfuscator: inout SQLObfuscationCache, into out: inout L7Output
    ) -> L7ParseResult {
        let isRequest = context.direction == .clientToServer
        let opening =
            isRequest
            ? client.open(payload, context, frame: Self.clientFrame, needsRest: Self.needsStatement)
            : server.open(
                payload, context,
                frame: { [awaitsEncryption] in
                    awaitsEncryption ? Self.encryptionAnswer($0, $1) : Self.frame($0, $1, PostgreSQLTag.isAnyServer)
                }, needsRest: Self.needsOutcome)
        switch opening {
        case .nothing: return .parsed
        case .incomplete: return .incomplete
        case .foreign:
            giveUp()
            return !isRequest && answerByEnd(payload, into: &out) ? .parsed : .failed
        case .read(let start, let afterGap):
            if afterGap { giveUp() }
            if isRequest {
                readRequests(payload, from: start, settings, &obfuscator, into: &out)
            } else {
                readResults(payload, from: awaitsEncryption ? max(start, 1) : start, into: &out)
                awaitsEncryption = false
            }
            return .parsed
        }
    }

    // MARK: - Blocks

    private static func clientFrame(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        if let length = PostgreSQLBlock.openingLength(payload, at: at) { return .next(at &+ length) }
        return frame(payload, at, PostgreSQLTag.isAnyClient)
    }

    /// One byte answers a request for TLS or GSSAPI.
    private static func encryptionAnswer(_ payload: RawSpan, _ at: Int) -> StreamCursor.Frame {
        at == 0 ? .next(1) : frame(payload, at, PostgreSQLTag.isAnyServer)
    }

    private static func frame(_ payload: RawSpan, _ at: Int, _ isKnown: (UInt8) -> Bool) -> StreamCursor.Frame {
        guard isKnown(payload.u8(at: at)) else { return .foreign }
        if let block = PostgreSQLBlock(payload, at: at) { return .next(block.next) }
        return payload.byteCount &- at < PostgreSQLBlock.headerLength ? .cut : .foreign
    }

    private static func needsStatement(_ payload: RawSpan, _ at: Int) -> Bool {
        let tag = payload.u8(at: at)
        return (tag == PostgreSQLTag.query || tag == PostgreSQLTag.parse) && payload.byteCount &- at < enough
    }

    private static func needsOutcome(_ payload: RawSpan, _ at: Int) -> Bool {
        let tag = payload.u8(at: at)
        return (tag == PostgreSQLTag.complete || tag == PostgreSQLTag.error) && payload.byteCount &- at < enough
    }

    // MARK: - Requests

    private func readRequests(
        _ payload: RawSpan, from start: Int, _ settings: borrowing L7Settings,
        _ obfuscator: inout SQLObfuscationCache, into out: inout L7Output
    ) {
        var at = start
        while at < payload.byteCount {
            if let length = PostgreSQLBlock.openingLength(payload, at: at) {
                awaitsEncryption = PostgreSQLBlock.asksForEncryption(payload, at: at)
                at = at &+ length
                continue
            }
            guard let block = PostgreSQLBlock(payload, at: at) else { return }
            let offset = at
            at = block.next
            var type = ""
            var text: Range<Int>?
            switch block.tag {
            case PostgreSQLTag.query:
                wait(.query)
                type = PostgreSQLRequest.query
                text = PostgreSQLBlock.text(payload, block.body)?.text ?? block.body
            case PostgreSQLTag.parse:
                wait(.prepared)
                type = PostgreSQLRequest.parse
                let name = PostgreSQLBlock.text(payload, block.body)
                text = name.map { PostgreSQLBlock.text(payload, $0.rest)?.text ?? $0.rest }
            case PostgreSQLTag.execute:
                if let last = pending.indices.last, last >= first, pending[last].kind == .prepared {
                    pending[last].kind = .executed
                } else {
                    wait(.executed)
                    type = PostgreSQLRequest.execute
                }
            case PostgreSQLTag.sync: wait(.sync)
            default: break
            }
            guard !type.isEmpty else { continue }
            let shown = text.map { $0.prefix(settings.payloadTruncation) }
            let message = out.messages.add()
            message.pointee.sessionID = lastID
            message.pointee.hasSessionID = true
            message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
            PostgreSQLRequest.log(type, shown.map { payload.text($0) }, settings, &obfuscator, message)
        }
    }

    private func wait(_ kind: Kind) {
        if pending.count &- first >= Self.maxPending {
            pending.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 64, first &* 2 > pending.count {
            pending.removeFirst(first)
            first = 0
        }
        if kind != .sync { lastID &+= 1 }
        pending.append(Pending(kind: kind, id: lastID))
    }

    // MARK: - Results

    private func readResults(_ payload: RawSpan, from start: Int, into out: inout L7Output) {
        var at = start
        while let block = PostgreSQLBlock(payload, at: at) {
            let offset = at
            at = block.next
            switch block.tag {
            case PostgreSQLTag.complete:
                finish(PostgreSQLOutcome(tag: payload, block.body), offset, into: &out)
            case PostgreSQLTag.emptyQuery, PostgreSQLTag.suspended:
                finish(PostgreSQLOutcome(), offset, into: &out)
            case PostgreSQLTag.error:
                fail(PostgreSQLOutcome(error: payload, block.body, anyOrder: true), offset, into: &out)
            case PostgreSQLTag.parseComplete:
                if first < pending.count, pending[first].kind == .prepared {
                    answer(PostgreSQLOutcome(), offset, into: &out)
                }
            case PostgreSQLTag.ready: becomeReady(offset, into: &out)
            default: break
            }
        }
    }

    private func finish(_ outcome: PostgreSQLOutcome, _ offset: Int, into out: inout L7Output) {
        guard first < pending.count else { return }
        switch pending[first].kind {
        // One statement of perhaps several.
        case .query: pending[first].outcome = outcome
        case .prepared, .executed: answer(outcome, offset, into: &out)
        case .sync: break
        }
    }

    private func fail(_ outcome: PostgreSQLOutcome?, _ offset: Int, into out: inout L7Output) {
        guard first < pending.count, pending[first].kind != .sync else { return }
        let isQuery = pending[first].kind == .query
        answer(outcome ?? PostgreSQLOutcome(status: .clientError), offset, into: &out)
        if isQuery {
            first &-= 1
            pending[first] = Pending(kind: .sync, id: 0)
        } else {
            while first < pending.count, pending[first].kind == .prepared || pending[first].kind == .executed {
                first &+= 1
            }
        }
    }

    private func becomeReady(_ offset: Int, into out: inout L7Output) {
        while first < pending.count {
            let next = pending[first]
            switch next.kind {
            case .query:
                if let outcome = next.outcome { answer(outcome, offset, into: &out) } else { first &+= 1 }
                return
            case .sync:
                first &+= 1
                return
            case .prepared, .executed: first &+= 1
            }
        }
    }

    private func answer(_ outcome: PostgreSQLOutcome, _ offset: Int, into out: inout L7Output) {
        let message = out.messages.add()
        message.pointee.sessionID = pending[first].id
        message.pointee.hasSessionID = true
        message.pointee.tcpSeqOffset = UInt32(truncatingIfNeeded: offset)
        PostgreSQLRequest.log(outcome, message)
        first &+= 1
    }

    // MARK: - Gaps

    /// Bytes are missing: only a request that waits alone can still be told its answer.
    private func giveUp() {
        let waiting = pending[first...].filter { $0.kind != .sync }
        pending = waiting.count == 1 ? waiting : []
        first = 0
    }

    /// A payload in the middle of a result whose end is the end of the answer: CommandComplete and ReadyForQuery.
    private func answerByEnd(_ payload: RawSpan, into out: inout L7Output) -> Bool {
        let ready = payload.byteCount &- 6
        guard first < pending.count, pending[first].kind != .sync, ready > 0,
            payload.u8(at: ready) == PostgreSQLTag.ready,
            payload.be32(at: ready &+ 1) == 5
        else { return false }
        // The longest tag is `INSERT oid rows`.
        for at in stride(from: ready &- 6, through: max(0, ready &- 48), by: -1) {
            guard payload.u8(at: at) == PostgreSQLTag.complete, let block = PostgreSQLBlock(payload, at: at),
                block.next == ready
            else { continue }
            answer(PostgreSQLOutcome(tag: payload, block.body), at, into: &out)
            return true
        }
        return false
    }
}
