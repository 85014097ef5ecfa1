import Model

/// What a ClientHello offers, or a ServerHello chooses. Source: RFC 8446 4.1.2, 4.1.3, 4.2; RFC 6066 3; RFC 7301.
struct TLSHello {
    private enum Extension {
        static let serverName = 0
        static let protocols = 16
        static let supportedVersions = 43
    }

    private static let randomLength = 32

    /// Highest of a ClientHello.
    private(set) var version = 0
    /// 0 in a ClientHello.
    private(set) var cipherSuite: UInt16 = 0
    private(set) var serverName = ""
    private(set) var protocols: [String] = []
    private(set) var isRetryRequest = false

    /// Nil: the message contradicts itself. One that is cut gives what is there.
    init?(client bytes: RawSpan, _ range: Range<Int>) {
        var reader = TLSReader(range)
        guard let legacy = reader.u16(bytes), Self.isVersion(legacy), reader.take(Self.randomLength) != nil,
            let session = reader.u8(bytes), session <= 32, reader.take(session) != nil,
            let suites = reader.u16(bytes), suites >= 2, suites % 2 == 0
        else { return nil }
        version = legacy
        guard reader.take(suites) != nil, let compressions = reader.u8(bytes), reader.take(compressions) != nil else {
            return
        }
        readExtensions(bytes, &reader, isClient: true)
    }

    init?(server bytes: RawSpan, _ range: Range<Int>) {
        var reader = TLSReader(range)
        guard let legacy = reader.u16(bytes), Self.isVersion(legacy), let random = reader.take(Self.randomLength),
            let session = reader.u8(bytes), session <= 32, reader.take(session) != nil, let suite = reader.u16(bytes),
            reader.u8(bytes) != nil
        else { return nil }
        version = legacy
        cipherSuite = UInt16(truncatingIfNeeded: suite)
        // SHA-256 of "HelloRetryRequest".
        isRetryRequest =
            bytes.be32(at: random.lowerBound) == 0xcf21_ad74 && bytes.be32(at: random.lowerBound &+ 4) == 0xe59a_6111
        readExtensions(bytes, &reader, isClient: false)
    }

    static func isVersion(_ version: Int) -> Bool { version >= 0x0300 && version <= 0x0304 }

    private mutating func readExtensions(_ bytes: RawSpan, _ reader: inout TLSReader, isClient: Bool) {
        guard let all = reader.clamped(reader.u16(bytes)) else { return }
        var reader = TLSReader(all)
        while let type = reader.u16(bytes), let body = reader.u16(bytes).flatMap({ reader.take($0) }) {
            var body = TLSReader(body)
            switch type {
            case Extension.serverName: readServerName(bytes, &body)
            case Extension.protocols: readProtocols(bytes, &body)
            case Extension.supportedVersions: readVersions(bytes, &body, isClient: isClient)
            default: break
            }
        }
    }

    private mutating func readServerName(_ bytes: RawSpan, _ reader: inout TLSReader) {
        // Empty in a server's answer.
        guard reader.u16(bytes) != nil, reader.u8(bytes) == 0, let name = reader.u16(bytes).flatMap({ reader.take($0) })
        else { return }
        serverName = bytes.text(name)
    }

    private mutating func readProtocols(_ bytes: RawSpan, _ reader: inout TLSReader) {
        guard reader.u16(bytes) != nil else { return }
        while let name = reader.u8(bytes).flatMap({ reader.take($0) }) { protocols.append(bytes.text(name)) }
    }

    /// Versions that are none keep the lists of peers open (RFC 8701).
    private mutating func readVersions(_ bytes: RawSpan, _ reader: inout TLSReader, isClient: Bool) {
        if isClient { _ = reader.u8(bytes) }
        var highest = 0
        while let offered = reader.u16(bytes) {
            if Self.isVersion(offered) || !isClient { highest = max(highest, offered) }
        }
        if highest != 0 { version = highest }
    }
}
