import Model

/// HTTP/2 in clear text, and gRPC and Triple, which speak it. Source: agent-l7-protocols.md 2, RFC 9113.
struct HTTP2Parser {
    private let connection: HTTP2Connection

    /// - Parameter proto: HTTP/2, gRPC or Triple, as far as it is known.
    init(_ proto: L7Protocol) { connection = HTTP2Connection(proto) }

    /// What the connection has turned out to speak.
    var l7Protocol: L7Protocol { connection.proto }

    /// "PRI ", or the header of a frame below 64 KiB.
    @inline(__always)
    static func mayDetect(_ start: UInt32) -> Bool {
        start == 0x2049_5250 || start & 0xff == 0 && start >> 24 <= UInt32(HTTP2Frame.Kind.continuation)
    }

    /// The payload opens a connection, or has the header fields of a request.
    static func detects(_ payload: RawSpan, _ settings: borrowing L7Settings) -> Bool {
        var at = HTTP2Connection.prefaceLength(payload)
        let isOpening = at > 0
        while let frame = HTTP2Frame(payload, at: at), frame.isLikely {
            if frame.kind == HTTP2Frame.Kind.headers { return isOpening || isRequest(frame, payload, settings) }
            at = frame.end
        }
        return isOpening
    }

    /// Clients open streams of odd numbers, and say the method with the path or scheme.
    private static func isRequest(
        _ frame: HTTP2Frame, _ payload: RawSpan, _ settings: borrowing L7Settings
    ) -> Bool {
        guard frame.stream & 1 == 1, let range = frame.block(payload) else { return false }
        let block = payload.extracting(range)
        var decoder = HPACKDecoder()
        var text: [UInt8] = []
        var at = 0
        var (hasMethod, hasTarget) = (false, false)
        while true {
            switch decoder.next(block, &at, settings, into: &text) {
            case .field(let field):
                switch field.header {
                case .status: return false
                case .method: hasMethod = true
                case .scheme, .path: hasTarget = true
                default: break
                }
            case .end: return hasTarget && frame.end <= payload.byteCount
            case .cut: return hasMethod && hasTarget && (frame.end > payload.byteCount || !frame.endsHeaders)
            case .broken: return false
            }
        }
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult { connection.parse(payload, context, settings, into: &out) }

    /// Header fields of that side wait for the data that may follow them.
    func waitsForData(_ direction: PacketDirection) -> Bool { connection.waitsForData(direction) }
}

/// State of one connection.
final class HTTP2Connection {
    private(set) var proto: L7Protocol
    private var requests = HTTP2Lane()
    private var responses = HTTP2Lane()
    /// Streams of the payload at hand, in order of their first frame.
    var parts: [HTTP2Part] = []
    /// Texts of the header field at hand.
    private var text: [UInt8] = []

    init(_ proto: L7Protocol) { self.proto = proto }

    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// Bytes of the client's connection preface; 0 = the payload does not begin with it. Source: RFC 9113 3.4.
    static func prefaceLength(_ payload: RawSpan) -> Int {
        payload.hasPrefix(preface) ? preface.utf8CodeUnitCount : 0
    }

    func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ settings: borrowing L7Settings, into out: inout L7Output
    ) -> L7ParseResult {
        switch (context.direction, context.followsStream) {
        case (.clientToServer, true): follow(payload, context, &requests, settings, into: &out)
        case (_, true): follow(payload, context, &responses, settings, into: &out)
        case (.clientToServer, _): parse(payload, context, &requests, settings, into: &out)
        default: parse(payload, context, &responses, settings, into: &out)
        }
    }

    func waitsForData(_ direction: PacketDirection) -> Bool {
        direction == .clientToServer ? requests.waitsForData : responses.waitsForData
    }

    private func parse(
        _ payload: RawSpan, _ context: L7ParseContext, _ lane: inout HTTP2Lane, _ settings: borrowing L7Settings,
        into out: inout L7Output
    ) -> L7ParseResult {
        var place = lane.place(of: context.tcpSeq)
        let preface = place.start == 0 ? Self.prefaceLength(payload) : 0
        if preface > 0 { place.isSure = true }
        let start = place.start &+ preface
        let next: Int?
        if place.isLate {
            var late = HTTP2Lane()
            next = read(payload, from: start, isSure: place.isSure, &late, settings, out.texts)
        } else {
            if preface > 0 { lane = HTTP2Lane() }
            next = read(payload, from: start, isSure: place.isSure, &lane, settings, out.texts)
            if let next {
                lane.read(to: next, of: context.tcpSeq, payload.byteCount)
            } else {
                lane.stray(at: context.tcpSeq, payload.byteCount)
            }
        }
        let before = out.messages.count
        for part in parts { part.log(proto, context.direction, settings, into: &out) }
        parts.removeAll(keepingCapacity: true)
        return next != nil || out.messages.count > before ? .parsed : .failed
    }

    /// Reads frames. Returns where the next one begins; nil: something else stands in the payload.
    private func read(
        _ payload: RawSpan, from start: Int, isSure: Bool, _ lane: inout HTTP2Lane, _ settings: borrowing L7Settings,
        _ texts: borrowing TextCache
    ) -> Int? {
        var at = start
        while let frame = HTTP2Frame(payload, at: at) {
            guard isSure ? frame.isPossible : frame.isLikely else {
                if !parts.isEmpty { parts[parts.count &- 1].isCutBehindHeaders = true }
                return nil
            }
            if frame.kind == HTTP2Frame.Kind.data {
                // A header at the very end does not count. Source: agent-l7-protocols.md 2, detect.
                if payload.byteCount &- at > HTTP2Frame.headerLength, frame.stream != 0 { take(data: frame, payload) }
            } else if frame.holdsHeaders {
                guard let range = frame.block(payload),
                    take(headers: frame, payload.extracting(range), payload, &lane, settings, texts)
                else { return nil }
            }
            at = frame.end
        }
        return at
    }

    // MARK: - Frames

    /// The open part of a stream, which is made when it is missing.
    private func part(of frame: HTTP2Frame) -> Int {
        if let open = parts.lastIndex(where: { $0.stream == frame.stream && !$0.isEnded }) { return open }
        parts.append(HTTP2Part(stream: frame.stream))
        return parts.count &- 1
    }

    func take(data frame: HTTP2Frame, _ payload: RawSpan) {
        let at = part(of: frame)
        parts[at].hasData = true
        parts[at].dataLength = Int32(truncatingIfNeeded: frame.dataLength(payload))
        if frame.endsStream { parts[at].isEnded = true }
    }

    /// False: the fields cannot be read, and none behind them.
    func take(
        headers frame: HTTP2Frame, _ piece: RawSpan, _ payload: RawSpan, _ lane: inout HTTP2Lane,
        _ settings: borrowing L7Settings, _ texts: borrowing TextCache
    ) -> Bool {
        let isCut = frame.end > payload.byteCount
        if frame.kind == HTTP2Frame.Kind.continuation {
            guard lane.append(frame, piece) else {
                lane.dropBlock()
                lane.decoder.forget()
                return true
            }
        } else if !frame.endsHeaders, !isCut {
            lane.begin(frame, piece)
        } else {
            lane.dropBlock()
            return decode(frame, frame.start, piece, isCut: isCut, &lane.decoder, settings, texts)
        }
        guard frame.endsHeaders || isCut, let first = lane.blockStart else { return true }
        let block = lane.takeBlock()
        return decode(first, frame.start, block.span.bytes, isCut: isCut, &lane.decoder, settings, texts)
    }

    /// Reads a header block into the part of its stream. A promise of the server counts for the table only.
    private func decode(
        _ frame: HTTP2Frame, _ offset: Int, _ block: RawSpan, isCut: Bool, _ decoder: inout HPACKDecoder,
        _ settings: borrowing L7Settings, _ texts: borrowing TextCache
    ) -> Bool {
        let target = frame.kind == HTTP2Frame.Kind.headers && frame.stream != 0 ? part(of: frame) : -1
        if target >= 0 {
            parts[target].hasHeaders = true
            parts[target].offset = offset
        }
        var at = 0
        while true {
            switch decoder.next(block, &at, settings, into: &text) {
            case .field(let field):
                guard target >= 0 else { continue }
                let value = text
                parts[target].take(field, value.span.bytes, settings, texts)
            case .end:
                if isCut { decoder.forget() }
                if target >= 0 { end(target, frame) }
                return true
            case .cut where isCut:
                decoder.forget()
                if target >= 0 { end(target, frame) }
                return true
            case .cut, .broken:
                decoder.forget()
                if target == parts.count &- 1, target >= 0 { parts.removeLast() }
                return false
            }
        }
    }

    private func end(_ target: Int, _ frame: HTTP2Frame) {
        if frame.endsStream { parts[target].isEnded = true }
        switch parts[target].dialect {
        case .triple: proto = .triple
        // One service of a connection that speaks Triple makes all of it Triple.
        case .grpc where proto == .http2: proto = .grpc
        default: break
        }
    }
}
