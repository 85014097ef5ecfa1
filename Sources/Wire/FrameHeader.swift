import Model

/// Who sends: what the controller assigned. All zero until then. Source: wire.md 5.2, 9.5.
package struct FrameIdentity: Sendable, Equatable {
    package var agentID: UInt16
    package var teamID: UInt32
    package var orgID: UInt16

    package init(agentID: UInt16 = 0, teamID: UInt32 = 0, orgID: UInt16 = 0) {
        self.agentID = agentID
        self.teamID = teamID
        self.orgID = orgID
    }
}

/// The head of every frame of the data plane, in the current, the legacy and the five-byte form.
///
/// Trap: `frame_size` is the only big-endian number of the data plane. Source: wire.md 2.
package struct FrameHeader: Sendable, Equatable {
    package enum Layout: Sendable, Equatable {
        /// Five bytes: types 0 and 1.
        case short
        /// Agents up to 6.5.8; the value is a date that nobody checks.
        case legacy(version: UInt32)
        case current
    }

    /// Bytes of the frame with its header, after compression.
    package var frameSize: UInt32
    package var type: MessageType
    package var layout: Layout
    /// `FrameEncoder` raw value as received; anything above 3 is unknown. Always 0 unless the layout is current.
    package var encoder: UInt8
    package var identity: FrameIdentity

    package static let baseLength = 5
    package static let length = 19
    package static let version: UInt16 = 0x8000
    /// Longest payload that a receiver reads. Source: wire.md 6.1.
    package static let maxPayload = 16_777_216

    package init(
        type: MessageType, encoder: FrameEncoder = .raw, identity: FrameIdentity = FrameIdentity(),
        frameSize: UInt32 = 0
    ) {
        self.frameSize = frameSize
        self.type = type
        self.layout = .current
        self.encoder = encoder.rawValue
        self.identity = identity
    }

    /// Bytes before the payload.
    package var headerLength: Int { layout == .short ? Self.baseLength : Self.length }

    /// The 19 bytes of the current layout.
    package var bytes: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(Self.length)
        for shift: UInt32 in [24, 16, 8, 0] { out.append(UInt8(truncatingIfNeeded: frameSize >> shift)) }
        out.append(type.rawValue)
        out.append(UInt8(truncatingIfNeeded: Self.version))
        out.append(UInt8(truncatingIfNeeded: Self.version >> 8))
        out.append(encoder)
        for shift: UInt32 in [0, 8, 16, 24] { out.append(UInt8(truncatingIfNeeded: identity.teamID >> shift)) }
        for shift: UInt16 in [0, 8] { out.append(UInt8(truncatingIfNeeded: identity.orgID >> shift)) }
        out += [0, 0]
        for shift: UInt16 in [0, 8] { out.append(UInt8(truncatingIfNeeded: identity.agentID >> shift)) }
        out.append(0)
        return out
    }

    /// Why the first five bytes cannot start a frame; each of them ends a TCP connection.
    package enum Refusal: Error, Sendable, Equatable {
        case unknownType(UInt8)
        case badSize(UInt32)
        case payloadTooLong(Int)
    }

    /// The first five bytes: size and type, checked by the class of the type. Source: wire.md 2.3, 6.1 step 2.
    struct Base: Sendable, Equatable {
        let frameSize: UInt32
        let type: MessageType

        /// - Parameter bytes: at least five from `offset` on.
        init(_ bytes: RawSpan, at offset: Int = 0) throws(Refusal) {
            frameSize = bytes.be32(at: offset)
            let number = bytes.u8(at: offset + 4)
            guard let type = MessageType(rawValue: number) else { throw .unknownType(number) }
            self.type = type
            let isGood =
                switch type.headerClass {
                case .short: frameSize > UInt32(FrameHeader.baseLength)
                case .shortUnchecked: frameSize >= UInt32(FrameHeader.baseLength)
                case .long: frameSize >= UInt32(FrameHeader.length)
                }
            guard isGood else { throw .badSize(frameSize) }
        }

        /// A frame of exactly 19 bytes holds nothing, whatever its type. Source: wire.md 6.1 step 3.
        var isEmpty: Bool { frameSize == UInt32(FrameHeader.length) }
    }

    /// Of a type with five header bytes.
    init(short base: Base) {
        frameSize = base.frameSize
        type = base.type
        layout = .short
        encoder = 0
        identity = FrameIdentity()
    }

    /// Of a type with nineteen. The encoder is taken only from the current layout: a legacy frame is raw.
    /// - Parameter bytes: at least 19 from `offset` on.
    init(long base: Base, _ bytes: RawSpan, at offset: Int = 0) {
        frameSize = base.frameSize
        type = base.type
        if bytes.le16(at: offset + 5) == Self.version {
            layout = .current
            encoder = bytes.u8(at: offset + 7)
            identity = FrameIdentity(
                agentID: bytes.le16(at: offset + 16), teamID: bytes.le32(at: offset + 8),
                orgID: bytes.le16(at: offset + 12))
        } else {
            layout = .legacy(version: bytes.le32(at: offset + 5))
            encoder = 0
            identity = FrameIdentity(agentID: bytes.le16(at: offset + 17), teamID: 1, orgID: 1)
        }
    }

    /// One UDP datagram: its header and where the payload starts. `frame_size` is not the length there. Nil when the
    /// datagram is shorter than its header, of an unknown type, fails the size check, or is compressed.
    /// Source: wire.md 6.3.
    package static func ofDatagram(_ bytes: RawSpan) -> (header: FrameHeader, payload: Range<Int>)? {
        guard bytes.byteCount >= baseLength, let base = try? Base(bytes) else { return nil }
        switch base.type.headerClass {
        case .short:
            guard base.frameSize <= UInt32(bytes.byteCount) else { return nil }
            return (FrameHeader(short: base), baseLength..<Int(base.frameSize))
        case .shortUnchecked:
            return (FrameHeader(short: base), baseLength..<bytes.byteCount)
        case .long:
            guard bytes.byteCount >= length else { return nil }
            let header = FrameHeader(long: base, bytes)
            guard header.encoder == 0 else { return nil }
            return (header, length..<bytes.byteCount)
        }
    }
}
