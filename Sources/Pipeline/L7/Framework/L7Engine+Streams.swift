import Model

/// Segments of TCP flows: put in order, repetitions left out, messages put together. Only with reassembly.
extension L7Engine {
    /// Bytes by which every protocol can be told; more of an unknown beginning need not be kept.
    static var recognisable: Int { 1024 }

    @inline(__always)
    mutating func follow(
        _ at: Int, _ packet: L7Packet, _ payload: RawSpan, _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let side = (packet.direction == .clientToServer) != packet.isFlowReversed ? 0 : 1
        guard slots[at].sides.keepNothing, slots[at].sides[side].continues(at: packet.tcpSeq) else {
            order(at, side, packet, payload, &outcome, into: &out)
            return
        }
        slots[at].sides[side].next = packet.tcpSeq &+ Self.length(packet, payload)
        parseFresh(at, side, packet, packet.direction, payload, &outcome, into: &out)
    }

    /// A connection begins anew between the same ends.
    package mutating func restart(slot index: Int32) {
        let at = Int(index)
        guard slots.contains(at), slots[at].isUsed else { return }
        forgetStreams(at)
        if let parser = L7Parser(slots[at].proto) { slots[at].parser = parser }
    }

    /// Gives up what is kept of a flow.
    mutating func forgetStreams(_ at: Int) {
        for side in 0...1 {
            if slots[at].sides[side].held >= 0 { held.free(slots[at].sides[side].held) }
            if slots[at].sides[side].early >= 0 { early.free(slots[at].sides[side].early) }
        }
        slots[at].sides = StreamSides()
    }

    /// Parses all that is kept of a flow: nothing more will come.
    mutating func endStreams(_ at: Int, _ outcome: inout L7ParseOutcome, into out: inout L7Output) {
        for side in 0...1 {
            let seen: PacketDirection = side == 0 ? .clientToServer : .serverToClient
            closeGaps(at, side, seen, &outcome, into: &out)
            release(at, side, seen, &outcome, into: &out)
        }
    }

    @inline(__always)
    private static func length(_ packet: L7Packet, _ payload: RawSpan) -> UInt32 {
        max(packet.tcpLength, UInt32(truncatingIfNeeded: payload.byteCount))
    }

    // MARK: - Order

    /// A segment that is not simply the next one.
    @inline(never)
    private mutating func order(
        _ at: Int, _ side: Int, _ packet: L7Packet, _ payload: RawSpan, _ outcome: inout L7ParseOutcome,
        into out: inout L7Output
    ) {
        let other = 1 - side
        if isGapLasting(at, other, packet, hasAck: true) {
            closeGaps(at, other, packet.direction.reversed, &outcome, into: &out)
        }
        if isGapLasting(at, side, packet, hasAck: false) {
            closeGaps(at, side, packet.direction, &outcome, into: &out)
        }
        if !slots[at].sides[side].isKnown { slots[at].sides[side].begin(at: packet.tcpSeq) }
        var ahead = distance(at, side, packet.tcpSeq)
        if ahead > 0, ahead <= StreamSide.window {
            if let kept = early.keep(slots[at].sides[side].early, packet, payload) {
                slots[at].sides[side].early = kept
                counters.earlySegments &+= 1
                if outcome.result == .skipped { outcome.result = .held }
                return
            }
            counters.reassemblyOverflow &+= 1
        }
        if ahead > 0 || ahead < -StreamSide.window {
            closeGaps(at, side, packet.direction, &outcome, into: &out)
            ahead = distance(at, side, packet.tcpSeq)
            if ahead > 0 || ahead < -StreamSide.window {
                jump(at, side, to: packet.tcpSeq, packet.direction, &outcome, into: &out)
            }
        }
        deliver(at, side, packet, packet.direction, payload, &outcome, into: &out)
        while slots[at].sides[side].early >= 0,
            let next = early.next(slots[at].sides[side].early, upTo: slots[at].sides[side].next)
        {
            deliver(at, side, next.packet, packet.direction, next.bytes.span.bytes, &outcome, into: &out)
            freeEarlyIfEmpty(at, side)
        }
    }

    @inline(__always)
    private mutating func distance(_ at: Int, _ side: Int, _ seq: UInt32) -> Int {
        Int(Int32(bitPattern: seq &- slots[at].sides[side].next))
    }

    private mutating func freeEarlyIfEmpty(_ at: Int, _ side: Int) {
        let number = slots[at].sides[side].early
        guard number >= 0, early.isEmpty(number) else { return }
        early.free(number)
        slots[at].sides[side].early = -1
    }

    /// What is missing in front of early segments will not come: the receiver has it, or it is long over.
    private mutating func isGapLasting(_ at: Int, _ side: Int, _ packet: L7Packet, hasAck: Bool) -> Bool {
        let number = slots[at].sides[side].early
        guard number >= 0 else { return false }
        return early.isOverdue(number, nowNs: packet.timeNs)
            || hasAck && packet.tcpAck != 0 && distance(at, side, packet.tcpAck) > 0
    }

    /// Goes on behind all gaps, with the segments that waited behind them.
    ///
    /// - Parameter seen: direction in which the flow table sees the side at the beginning of the call.
    private mutating func closeGaps(
        _ at: Int, _ side: Int, _ seen: PacketDirection, _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        while slots[at].sides[side].early >= 0, let next = early.removeFirst(slots[at].sides[side].early) {
            if distance(at, side, next.packet.tcpSeq) > 0 {
                jump(at, side, to: next.packet.tcpSeq, seen, &outcome, into: &out)
            }
            deliver(at, side, next.packet, seen, next.bytes.span.bytes, &outcome, into: &out)
            freeEarlyIfEmpty(at, side)
        }
    }

    /// Bytes are missing: what is kept stays incomplete.
    private mutating func jump(
        _ at: Int, _ side: Int, to seq: UInt32, _ seen: PacketDirection, _ outcome: inout L7ParseOutcome,
        into out: inout L7Output
    ) {
        counters.sequenceGaps &+= 1
        release(at, side, seen, &outcome, into: &out)
        if abs(distance(at, side, seq)) > StreamSide.window {
            slots[at].sides[side].begin(at: seq)
        } else {
            slots[at].sides[side].next = seq
        }
        slots[at].parser.missBytes()
    }

    /// Takes a segment that begins at the next byte, or before it, and leaves out what was taken before.
    private mutating func deliver(
        _ at: Int, _ side: Int, _ packet: L7Packet, _ seen: PacketDirection, _ payload: RawSpan,
        _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let known = max(-distance(at, side, packet.tcpSeq), 0)
        let length = Int(Self.length(packet, payload))
        guard known < length else { return }
        var packet = packet
        packet.tcpSeq = slots[at].sides[side].next
        packet.tcpLength = UInt32(truncatingIfNeeded: length - known)
        slots[at].sides[side].next = packet.tcpSeq &+ packet.tcpLength
        guard known < payload.byteCount else { return }
        let bytes = payload.extracting(known..<payload.byteCount)
        // What a turn of the other side answers is complete.
        let kept = slots[at].sides[1 - side].held
        if kept >= 0, slots[at].parser.endsByTurn(held.direction(kept)) {
            release(at, 1 - side, seen.reversed, &outcome, into: &out)
        }
        let number = slots[at].sides[side].held
        if number >= 0 {
            if held.append(number, bytes) {
                retry(at, side, number, packet, seen, isWhole: bytes.byteCount == length - known, &outcome, into: &out)
                return
            }
            release(at, side, seen, &outcome, into: &out)
        }
        var fresh = L7ParseOutcome()
        let now = outcome.contradictsFlow ? seen.reversed : seen
        parseFresh(at, side, packet, now, bytes, &fresh, into: &out)
        outcome.add(fresh)
    }

    // MARK: - Messages

    /// Parses bytes in front of which nothing is kept; keeps what is the beginning of a message.
    ///
    /// - Parameter outcome: new.
    @inline(__always)
    private mutating func parseFresh(
        _ at: Int, _ side: Int, _ packet: L7Packet, _ seen: PacketDirection, _ payload: RawSpan,
        _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let isWhole = packet.tcpLength <= UInt32(truncatingIfNeeded: payload.byteCount)
        let mayWait = isWhole && settings.reassembly.covers(seen == .clientToServer ? packet.portDst : packet.portSrc)
        let rest = parseStream(at, side, packet, seen, payload, mayWait: mayWait, &outcome, into: &out)
        if rest < payload.byteCount {
            keep(at, side, packet, seen, payload.extracting(rest..<payload.byteCount), rest, &outcome, into: &out)
        }
    }

    /// Files a beginning of a message under its side, with the direction that was recognised: a difference to what the flow
    /// table believes is told when it is parsed.
    @inline(never)
    private mutating func keep(
        _ at: Int, _ side: Int, _ packet: L7Packet, _ seen: PacketDirection, _ rest: RawSpan, _ start: Int,
        _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let recognised = outcome.contradictsFlow ? seen.reversed : seen
        var packet = packet
        packet.tcpSeq &+= UInt32(truncatingIfNeeded: start)
        if let new = held.take(packet, rest, direction: recognised) {
            slots[at].sides[side].held = new
            if start == 0 {
                outcome.contradictsFlow = false
                outcome.result = .held
            }
            return
        }
        counters.reassemblyOverflow &+= 1
        _ = parseStream(at, side, packet, recognised, rest, mayWait: false, &outcome, into: &out)
    }

    /// Parses what is kept, which has grown.
    private mutating func retry(
        _ at: Int, _ side: Int, _ number: Int32, _ newest: L7Packet, _ seen: PacketDirection, isWhole: Bool,
        _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        var (packet, bytes) = held.lend(number)
        packet.tcpLength = 0
        let mayWait = isWhole && held.hasRoom(bytes.count)
        var grown = L7ParseOutcome()
        let rest = parseStream(
            at, side, packet, packet.direction, bytes.span.bytes, mayWait: mayWait, &grown, into: &out)
        let recognised = grown.contradictsFlow ? packet.direction.reversed : packet.direction
        if rest < bytes.count {
            if rest == 0 { grown.result = .held } else { counters.reassembled &+= 1 }
            var newest = newest
            newest.direction = recognised
            held.giveBack(number, bytes, from: rest, of: newest)
            if rest == 0 {
                grown.contradictsFlow = false
                outcome.add(grown)
                held.turn(number, to: recognised)
                return
            }
        } else {
            counters.reassembled &+= 1
            held.free(number)
            slots[at].sides[side].held = -1
        }
        grown.contradictsFlow = recognised != (outcome.contradictsFlow ? seen.reversed : seen)
        outcome.add(grown)
    }

    /// Parses what is kept of one side as it is.
    ///
    /// - Parameter seen: direction in which the flow table sees the side at the beginning of the call.
    private mutating func release(
        _ at: Int, _ side: Int, _ seen: PacketDirection, _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let number = slots[at].sides[side].held
        guard number >= 0 else { return }
        slots[at].sides[side].held = -1
        let (packet, bytes) = held.lend(number)
        held.free(number)
        var last = L7ParseOutcome()
        if slots[at].parser.isNone { counters.unrecognised &+= 1 }
        _ = parseStream(at, side, packet, packet.direction, bytes.span.bytes, mayWait: false, &last, into: &out)
        let recognised = last.contradictsFlow ? packet.direction.reversed : packet.direction
        last.contradictsFlow = recognised != (outcome.contradictsFlow ? seen.reversed : seen)
        outcome.add(last)
    }

    /// Recognises and parses bytes at which a message may begin. Returns from where on they have to wait for more.
    @inline(__always)
    private mutating func parseStream(
        _ at: Int, _ side: Int, _ packet: L7Packet, _ seen: PacketDirection, _ payload: RawSpan, mayWait: Bool,
        _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) -> Int {
        var context = L7ParseContext(
            direction: seen, l4Protocol: .tcp, payloadSize: payload.byteCount, mayWait: mayWait, tcpSeq: packet.tcpSeq,
            timeUs: packet.timeNs / 1000, followsStream: true)
        if slots[at].parser.isNone {
            let mayGrow = mayWait && payload.byteCount < Self.recognisable
            if isForeign(packet, payload, seen: seen, mayGrow: mayGrow) {
                reject(at, packet, seen, &outcome)
                return payload.byteCount
            }
            let shown = payload.extracting(0..<min(payload.byteCount, max(settings.payloadTruncation, 0)))
            context.mayWait = mayGrow
            guard payload.byteCount >= 2, let found = infer(at, packet, shown, context, out.texts) else {
                if mayGrow { return 0 }
                reject(at, packet, seen, &outcome)
                return payload.byteCount
            }
            if found != seen { outcome.contradictsFlow = true }
            context.direction = found
            context.mayWait = mayWait
        }
        guard L7Parser.isFramed(slots[at].proto) else {
            let isParsed = parseMessages(at, packet, context, payload, &outcome, into: &out)
            let rest = out.rest
            out.rest = .max
            return isParsed ? min(rest, payload.byteCount) : 0
        }
        return parseFrames(at, side, packet, context, payload, &outcome, into: &out)
    }

    /// Gives each message of a protocol that tells its length to the parser by itself, as much of it as parsers see; passes
    /// over the rest. Returns from where on the bytes have to wait.
    private mutating func parseFrames(
        _ at: Int, _ side: Int, _ packet: L7Packet, _ context: L7ParseContext, _ payload: RawSpan,
        _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) -> Int {
        let count = payload.byteCount
        var start = slots[at].sides[side].passedOver(from: packet.tcpSeq, count: count)
        if start == count, outcome.result == .skipped { outcome.result = .parsed }
        while start < count {
            let end: Int
            switch slots[at].parser.frame(payload, start, context.direction) {
            case .next(let next):
                if next > count, context.mayWait, count - start < settings.payloadTruncation { return start }
                end = next
            case .cut:
                if context.mayWait { return start }
                end = count
            case .foreign: end = count
            }
            let seen = min(end, count, start &+ max(settings.payloadTruncation, 0))
            var part = packet
            part.tcpSeq &+= UInt32(truncatingIfNeeded: start)
            var own = context
            own.payloadSize = end &- start
            own.mayWait = false
            own.tcpSeq = part.tcpSeq
            _ = parseMessages(at, part, own, payload.extracting(start..<seen), &outcome, into: &out)
            if end > count {
                slots[at].sides[side].passOver(to: packet.tcpSeq &+ UInt32(truncatingIfNeeded: end))
            }
            start = end
        }
        return count
    }
}
