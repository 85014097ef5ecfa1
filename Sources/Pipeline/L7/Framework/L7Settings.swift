package import Model

/// Settings of the L7 side of a flow table, with the defaults of agent-l7.md 3.
package struct L7Settings: Sendable {
    package var enabled: L7ProtocolSet = [.http1, .http2, .mysql, .redis, .kafka, .dns, .tls]
    package var portFilters = L7PortFilters()
    /// Failures of one server endpoint before it is skipped.
    package var inferenceMaxRetries: UInt32 = 128
    package var inferenceResultTTLSec: UInt32 = 60
    /// Bytes of a payload that parsers see.
    package var payloadTruncation = 1024
    package var tcpRequestTimeoutUs: UInt64 = 300_000_000
    /// Everything that is not TCP.
    package var otherRequestTimeoutUs: UInt64 = 150_000_000
    package var rrtCacheCapacity = 16000
    package var parsesLogs = true
    package var parsesMetrics = true
    package var trace = L7TraceSettings()
    package var endpoint = HTTPEndpointSettings()
    package var obfuscated: L7ProtocolSet = [.redis]
    package var rawCapture = RawCaptureSettings()
    /// Headers that become attributes.
    private(set) var httpCustomFields: [HeaderName] = []
    package var decompressesMySQL = true
    package var extractsMySQLEndpoint = true
    /// Messages within gRPC streams are logged, and the codes of gRPC are read.
    package var readsGRPCStreams = false
    package var unconcernedDNSSuffixes = DNSSuffixes([])
    package var blacklist = L7Blacklist()
    package var reassembly = ReassemblySettings()

    package init() {}

    package mutating func set(httpCustomFields names: [String]) { httpCustomFields = names.map { HeaderName($0) } }

    /// Only this protocol, on every port (`--l7-protocol`).
    package mutating func restrict(to proto: L7Protocol) {
        // Both are found through HTTP/2.
        let detected = proto == .grpc || proto == .triple ? .http2 : proto
        enabled = [detected]
        portFilters[detected] = .all
    }
}

package struct L7TraceSettings: Sendable {
    /// Lower case, compared for equality with the lower-cased header name; underscores stay (3.1, trap).
    private(set) var clientIPHeaders = [HeaderName("x_forwarded_for")]
    private(set) var xRequestIDHeaders = [HeaderName("x_request_id")]
    /// First = highest priority.
    private(set) var traceNames = [TraceName("traceparent"), TraceName("sw8")]
    private(set) var spanNames = [TraceName("traceparent"), TraceName("sw8")]
    package var collectsSeveralTraceIDs = true
    package var copiesTraceID = false
    /// Bits by length and first character of the names. Most header lines are told apart by this.
    private var nameMask: UInt64 = 0
    /// Bits by the first character of the names and of the three headers that every message may have.
    private var initialMask: UInt32 = 0

    package init() { updateMask() }

    package mutating func set(clientIPHeaders names: [String]) {
        clientIPHeaders = Self.distinct(names)
        updateMask()
    }

    package mutating func set(xRequestIDHeaders names: [String]) {
        xRequestIDHeaders = Self.distinct(names)
        updateMask()
    }

    package mutating func set(traceNames names: [String]) {
        traceNames = names.map(TraceName.init)
        updateMask()
    }

    package mutating func set(spanNames names: [String]) {
        spanNames = names.map(TraceName.init)
        updateMask()
    }

    private mutating func updateMask() {
        nameMask = 0
        // Host, Content-Length, Transfer-Encoding
        initialMask = Self.bit(of: 0x68) | Self.bit(of: 0x63) | Self.bit(of: 0x74)
        let all = clientIPHeaders + xRequestIDHeaders + traceNames.map(\.header) + spanNames.map(\.header)
        for name in all {
            guard let first = name.first else { continue }
            nameMask |= Self.bit(length: name.count, first: first)
            initialMask |= Self.bit(of: first)
        }
    }

    /// The same for both cases of a letter.
    @inline(__always)
    private static func bit(of first: UInt8) -> UInt32 { 1 << UInt32(first & 31) }

    @inline(__always)
    private static func bit(length: Int, first: UInt8) -> UInt64 {
        1 << UInt64(truncatingIfNeeded: (length &* 9 ^ Int(first & 31)) & 63)
    }

    /// Some header that is read may begin with this character.
    @inline(__always)
    func mayBegin(_ first: UInt8) -> Bool { initialMask & Self.bit(of: first) != 0 }

    /// The name stands in some list.
    func names(_ payload: RawSpan, _ name: Range<Int>) -> Bool {
        for index in 0..<traceNames.count where traceNames[index].header.matches(payload, name) { return true }
        for index in 0..<spanNames.count where spanNames[index].header.matches(payload, name) { return true }
        for index in 0..<xRequestIDHeaders.count where xRequestIDHeaders[index].matches(payload, name) { return true }
        for index in 0..<clientIPHeaders.count where clientIPHeaders[index].matches(payload, name) { return true }
        return false
    }

    @inline(__always)
    func mayName(length: Int, first: UInt8) -> Bool { nameMask & Self.bit(length: length, first: first) != 0 }

    private static func distinct(_ names: [String]) -> [HeaderName] {
        var out: [HeaderName] = []
        for name in names.map({ HeaderName($0) }) where !out.contains(name) { out.append(name) }
        return out
    }
}

/// Bytes of header and body that are kept when a request failed.
package struct RawCaptureSettings: Sendable {
    package var errorRequestHeader = 0
    package var errorResponseHeader = 0
    package var errorRequestPayload = 0
    package var errorResponsePayload = 256

    package init() {}
}

/// In-order assembly of a message that spans TCP segments.
package struct ReassemblySettings: Sendable {
    package var isEnabled = false
    /// Empty while enabled = every port.
    package var ports: [ClosedRange<UInt16>] = []
    /// Bytes held for one message; never more than the payload truncation is of use to a parser.
    package var maxBytes = 16384
    /// Messages waiting at one time; more are parsed as they are and counted.
    package var maxWaiting = 4096

    package init() {}

    func covers(_ port: UInt16) -> Bool { isEnabled && (ports.isEmpty || ports.contains { $0.contains(port) }) }
}
