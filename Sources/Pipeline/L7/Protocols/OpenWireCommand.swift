import Model

/// What is read of one command; offsets into the payload, empty = absent. Source: agent-l7-protocols.md 17, fields.
struct OpenWireCommand {
    private static let maxSize = 0xff_ffff
    /// Objects inside objects; no command has more.
    private static let maxDepth = 6

    private(set) var type = OpenWireType.wireFormatInfo
    /// As its size field says; without one, what was read.
    private(set) var size = 0
    /// May lie behind the payload.
    private(set) var next = 0
    private(set) var commandID: UInt32 = 0
    private(set) var correlationID: UInt32 = 0
    private(set) var needsResponse = false
    private(set) var destination = 0..<0
    private(set) var brokerURL = 0..<0
    private(set) var errorText = 0..<0
    private(set) var messageCorrelation = 0..<0
    /// Of WireFormatInfo.
    private(set) var offer: OpenWireFormat?

    private var hasHeader = false

    // MARK: - WireFormatInfo

    /// WireFormatInfo is never tight, and has a size unless both ends agreed to do without long before.
    init?(wireFormatInfo payload: RawSpan, at: Int) {
        guard payload.byteCount &- at >= 5, payload.u8(at: at &+ 4) == OpenWireType.wireFormatInfo.rawValue else {
            return nil
        }
        size = Int(payload.be32(at: at))
        next = at &+ 4 &+ size
        guard size <= Self.maxSize, next <= payload.byteCount, size > 0,
            let offer = OpenWireFormat(payload, at &+ 5..<next)
        else { return nil }
        self.offer = offer
    }

    // MARK: - All others

    /// A command begins here, as far as its first bytes tell.
    static func mayBegin(_ payload: RawSpan, at: Int) -> Bool {
        payload.byteCount &- at >= 5 && Int(payload.be32(at: at)) <= maxSize && payload.be32(at: at) > 0
            && OpenWireType(rawValue: payload.u8(at: at &+ 4)).name != nil
    }

    /// Nil: no command stands here, or less than its header.
    init?(_ payload: RawSpan, at start: Int, _ format: OpenWireFormat) {
        var first = start
        if !format.lacksSize {
            guard Self.mayBegin(payload, at: start) else { return nil }
            size = Int(payload.be32(at: start))
            first = start &+ 4
            next = first &+ size
        } else {
            next = payload.byteCount
        }
        guard first < payload.byteCount else { return nil }
        type = OpenWireType(rawValue: payload.u8(at: first))
        guard type.name != nil, type != .wireFormatInfo else { return nil }
        var reader = OpenWireReader(payload, at: first &+ 1, commandEnd: next, isTight: format.isTight)
        read(type.rawValue, payload, format, &reader, depth: 0)
        switch reader.state {
        case .broken: return nil
        case .cut, .stopped: break
        case .reading:
            if format.lacksSize { next = reader.at } else if reader.at != next { return nil }
        }
        guard hasHeader else { return nil }
        if format.lacksSize { size = next &- start }
    }

    /// Reads a command or one of the values inside it.
    private mutating func read(
        _ type: UInt8, _ payload: RawSpan, _ format: OpenWireFormat, _ reader: inout OpenWireReader, depth: Int
    ) {
        guard depth <= Self.maxDepth else { return reader.fail() }
        if type < 100 { readHeader(payload, &reader) }
        func cached() {
            guard let type = reader.cachedType(payload, isCaching: format.isCaching) else { return }
            read(type, payload, format, &reader, depth: depth + 1)
        }
        func nested() {
            guard let type = reader.nestedType(payload) else { return }
            read(type, payload, format, &reader, depth: depth + 1)
        }
        switch type {
        case 2:
            cached()
            let url = reader.string(payload)
            if !url.isEmpty { brokerURL = url }
            reader.stop()
        case 3:
            cached()
            _ = reader.string(payload)
            reader.stop()
        case 4: cached()
        case 5:
            cached()
            // In the loose form the boolean is taken for the first byte of the destination (trap).
            if format.isTight { _ = reader.bool(payload) }
            cached()
            reader.stop()
        case 6:
            cached()
            cached()
            reader.stop()
        case 16:
            readError(payload, &reader)
            nested()
        case 21:
            cached()
            cached()
            nested()
            _ = reader.u32(payload)
        case 22:
            for _ in 0..<3 { cached() }
            _ = reader.u8(payload)
            nested()
            nested()
            _ = reader.u32(payload)
            if format.version >= 7 { readError(payload, &reader) }
        case 23...29:
            for _ in 0..<4 { cached() }
            nested()
            cached()
            _ = reader.string(payload)
            _ = reader.u32(payload)
            let correlation = reader.string(payload)
            if !correlation.isEmpty { messageCorrelation = correlation }
            reader.stop()
        case 30, 31:
            let id = reader.u32(payload)
            if reader.state == .reading { correlationID = id }
            if type == 31 { readError(payload, &reader) }
        case 100...103:
            let name = reader.string(payload)
            if destination.isEmpty { destination = name }
        case 110:
            if format.version >= 10 { _ = reader.string(payload) }
            cached()
            reader.skipLong(payload)
            reader.skipLong(payload)
        case 111:
            reader.skipLong(payload)
            cached()
        case 112:
            _ = reader.u32(payload)
            reader.skipByteArray(payload)
            reader.skipByteArray(payload)
        case 120, 124: _ = reader.string(payload)
        case 121:
            _ = reader.string(payload)
            reader.skipLong(payload)
        case 122, 123:
            _ = reader.string(payload)
            reader.skipLong(payload)
            reader.skipLong(payload)
        default: reader.stop()
        }
    }

    /// A message inside a dispatch overwrites the header of the dispatch, which has no number of its own.
    private mutating func readHeader(_ payload: RawSpan, _ reader: inout OpenWireReader) {
        let id = reader.u32(payload)
        let needsResponse = reader.bool(payload)
        guard reader.state == .reading else { return }
        guard id <= 0xff_ffff else { return reader.fail() }
        commandID = id
        self.needsResponse = needsResponse
        hasHeader = true
    }

    /// Class and message of an exception; its stack trace is not read.
    private mutating func readError(_ payload: RawSpan, _ reader: inout OpenWireReader) {
        guard reader.bool(payload) else { return }
        _ = reader.string(payload)
        let text = reader.string(payload)
        if !text.isEmpty { errorText = text }
        reader.stop()
    }
}
