import Model

/// Cuts a byte stream into frames, whatever pieces it arrives in.
///
/// A value without I/O: the reader hands over chunks, and does what the answer says. A payload's memory grows with the
/// bytes that arrive, not with the length that a peer claims. Source: wire.md 6.1 steps 1-6.
package struct FrameDecoder: Sendable {
    package enum Event: Sendable, Equatable {
        /// The chunk is used up.
        case needsMore
        /// A complete frame; the payload is as transmitted, compressed or not.
        case frame(FrameHeader, [UInt8])
        /// A frame without payload: counted invalid, the connection goes on.
        case empty(MessageType)
        /// The connection must be closed.
        case close(FrameHeader.Refusal)
    }

    private enum State: Sendable {
        case base
        case rest(FrameHeader.Base)
        case payload(FrameHeader, missing: Int)
        case closed(FrameHeader.Refusal)
    }

    private var state = State.base
    private var head: [UInt8] = []
    private var payload: [UInt8] = []

    /// Payloads below this get all their memory at once.
    private static let eagerCapacity = 512 * 1024

    package init() {
        head.reserveCapacity(FrameHeader.length)
    }

    /// True between two frames: a stream that ends here was not cut.
    package var isAtBoundary: Bool {
        if case .base = state { return head.isEmpty }
        return false
    }

    /// Payload bytes held back for an unfinished frame.
    package var buffered: Int { payload.count }

    /// Takes bytes from `offset` on, moves it past what was used, and says what came of it. Call until `.needsMore`
    /// or `.close`.
    package mutating func next(_ chunk: RawSpan, at offset: inout Int) -> Event {
        while true {
            switch state {
            case .closed(let refusal):
                return .close(refusal)

            case .base:
                guard collect(FrameHeader.baseLength, chunk, &offset) else { return .needsMore }
                do throws(FrameHeader.Refusal) {
                    let base = try FrameHeader.Base(head.span.bytes)
                    if base.isEmpty || base.type.headerClass == .long {
                        state = .rest(base)
                    } else if let event = begin(FrameHeader(short: base)) {
                        return event
                    }
                } catch {
                    state = .closed(error)
                }

            case .rest(let base):
                guard collect(FrameHeader.length, chunk, &offset) else { return .needsMore }
                if base.isEmpty {
                    head.removeAll(keepingCapacity: true)
                    state = .base
                    return .empty(base.type)
                }
                if let event = begin(FrameHeader(long: base, head.span.bytes)) { return event }

            case .payload(let header, let missing):
                let taken = min(missing, chunk.byteCount - offset)
                if taken > 0 {
                    let from = offset
                    chunk.withUnsafeBytes { payload.append(contentsOf: $0[from..<(from + taken)]) }
                    offset += taken
                }
                guard taken == missing else {
                    state = .payload(header, missing: missing - taken)
                    return .needsMore
                }
                let whole = payload
                payload = []
                state = .base
                return .frame(header, whole)
            }
        }
    }

    /// Fills `head` up to `count` bytes; false when the chunk ends before.
    private mutating func collect(_ count: Int, _ chunk: RawSpan, _ offset: inout Int) -> Bool {
        while head.count < count, offset < chunk.byteCount {
            head.append(chunk.u8(at: offset))
            offset += 1
        }
        return head.count == count
    }

    /// Goes over to the payload; an event only when there is none to read.
    private mutating func begin(_ header: FrameHeader) -> Event? {
        head.removeAll(keepingCapacity: true)
        let length = Int(header.frameSize) - header.headerLength
        if length > FrameHeader.maxPayload {
            state = .closed(.payloadTooLong(length))
            return nil
        }
        if length == 0 {
            state = .base
            return .frame(header, [])
        }
        payload.reserveCapacity(min(length, Self.eagerCapacity))
        state = .payload(header, missing: length)
        return nil
    }
}
