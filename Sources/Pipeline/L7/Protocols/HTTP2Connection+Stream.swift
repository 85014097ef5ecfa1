import Model

/// A connection whose bytes are followed: each message is told by its own frames, whatever else its segments hold.
extension HTTP2Connection {
    /// Reads frames. `out.rest`: from where on the payload waits.
    func follow(
        _ payload: RawSpan, _ context: L7ParseContext, _ lane: inout HTTP2Lane, _ settings: borrowing L7Settings,
        into out: inout L7Output
    ) -> L7ParseResult {
        lane.waitsForData = false
        var place = lane.place(of: context.tcpSeq)
        if !lane.hasBegun, context.mayWait, Self.isPartOfPreface(payload) { return .incomplete }
        let preface = place.start == 0 ? Self.prefaceLength(payload) : 0
        if preface > 0 {
            place.isSure = true
            lane = HTTP2Lane()
        }
        let count = payload.byteCount
        let before = out.messages.count
        var at = place.start &+ preface
        while at < count {
            guard let frame = HTTP2Frame(payload, at: at) else {
                let mayBegin = place.isSure || at > place.start || !lane.hasBegun
                if context.mayWait, mayBegin { return wait(at, context, &lane, into: &out) }
                break
            }
            guard place.isSure ? frame.isPossible : frame.isLikely else {
                lane.stray(at: context.tcpSeq, count)
                return out.messages.count > before ? .parsed : .failed
            }
            if context.mayWait, let reason = need(frame, payload, lane, context, settings) {
                lane.waitsForData = reason == .data
                return wait(at, context, &lane, into: &out)
            }
            at = frame.end
            if frame.kind == HTTP2Frame.Kind.data {
                if frame.stream != 0 { take(data: frame, payload) }
            } else if frame.holdsHeaders {
                guard let range = frame.block(payload),
                    take(headers: frame, payload.extracting(range), payload, &lane, settings, out.texts)
                else {
                    parts.removeAll(keepingCapacity: true)
                    lane.stray(at: context.tcpSeq, count)
                    return out.messages.count > before ? .parsed : .failed
                }
                if let last = parts.last, !last.isEnded, let data = HTTP2Frame(payload, at: at),
                    data.kind == HTTP2Frame.Kind.data, data.stream == last.stream
                {
                    take(data: data, payload)
                    at = data.end
                    if let trailers = trailers(behind: data, payload, context, settings),
                        let range = trailers.block(payload),
                        take(headers: trailers, payload.extracting(range), payload, &lane, settings, out.texts)
                    {
                        at = trailers.end
                    }
                }
            }
            for part in parts { part.log(proto, context.direction, settings, into: &out) }
            parts.removeAll(keepingCapacity: true)
        }
        lane.read(to: at, of: context.tcpSeq, count)
        return .parsed
    }

    private enum Need {
        case frame, data
    }

    /// What has to come before a frame can be read.
    private func need(
        _ frame: HTTP2Frame, _ payload: RawSpan, _ lane: borrowing HTTP2Lane, _ context: L7ParseContext,
        _ settings: borrowing L7Settings
    ) -> Need? {
        let rest = payload.byteCount &- frame.end
        guard frame.holdsHeaders else {
            return frame.kind == HTTP2Frame.Kind.data && frame.lengthNeeds > payload.byteCount &- frame.start
                ? .frame : nil
        }
        if rest < 0 { return .frame }
        let opened = frame.kind == HTTP2Frame.Kind.continuation ? lane.blockStart : frame
        guard frame.endsHeaders, let opened, opened.kind == HTTP2Frame.Kind.headers, !opened.endsStream else {
            return nil
        }
        guard let next = HTTP2Frame(payload, at: frame.end) else { return .data }
        guard next.kind == HTTP2Frame.Kind.data else { return nil }
        if next.lengthNeeds > rest { return .data }
        guard next.stream == opened.stream, Self.mayAnswerAtOnce(next, context, settings) else { return nil }
        guard HTTP2Frame(payload, at: next.end) != nil else { return .data }
        guard let trailers = trailers(behind: next, payload, context, settings) else { return nil }
        return trailers.end > payload.byteCount ? .frame : nil
    }

    /// The status of a call that is answered by one message stands behind that: it is told together with it.
    private func trailers(
        behind data: HTTP2Frame, _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings
    ) -> HTTP2Frame? {
        guard Self.mayAnswerAtOnce(data, context, settings), let next = HTTP2Frame(payload, at: data.end),
            next.kind == HTTP2Frame.Kind.headers, next.stream == data.stream, next.endsStream, next.endsHeaders
        else { return nil }
        return next
    }

    private static func mayAnswerAtOnce(
        _ data: HTTP2Frame, _ context: L7ParseContext, _ settings: borrowing L7Settings
    ) -> Bool {
        settings.readsGRPCStreams && context.direction == .serverToClient && !data.endsStream
            && data.length < settings.payloadTruncation
    }

    /// Leaves the bytes from `at` on for later.
    private func wait(
        _ at: Int, _ context: L7ParseContext, _ lane: inout HTTP2Lane, into out: inout L7Output
    ) -> L7ParseResult {
        guard at > 0 else { return .incomplete }
        lane.read(to: at, of: context.tcpSeq, at)
        out.rest = at
        return .parsed
    }

    private static func isPartOfPreface(_ payload: RawSpan) -> Bool {
        payload.byteCount < preface.utf8CodeUnitCount && payload.isStart(of: preface)
    }
}
