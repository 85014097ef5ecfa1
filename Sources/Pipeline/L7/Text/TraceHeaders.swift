import Model

/// Lower-case header name that payload bytes are compared with.
package struct HeaderName: Sendable, Equatable {
    private let bytes: [UInt8]

    package init(_ name: String) { bytes = Array(asciiLowerCased(name).utf8) }

    var count: Int { bytes.count }
    var first: UInt8? { bytes.first }
    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Equality with a range of the payload in any case.
    @inline(__always)
    func matches(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        guard range.count == bytes.count else { return false }
        for at in 0..<bytes.count where asciiLower(payload.u8(at: range.lowerBound &+ at)) != bytes[at] { return false }
        return true
    }
}

/// A configured trace or span header and how its value is read. Source: agent-l7.md 11.2.
package struct TraceName: Sendable, Equatable {
    enum Format: Sendable, Equatable {
        case traceparent, skywalking, sw3, uber, b3, b3TraceID, b3SpanID, rpcContext, closed, whole
    }

    /// Trimmed, lower case, only the part before a dot.
    package let name: String
    let format: Format
    let header: HeaderName
    /// As configured, trimmed: attachments of RPC calls are looked for in this spelling.
    let spelling: [UInt8]

    package init(_ configured: String) {
        spelling = Array(trimmed(configured).utf8)
        let lower = asciiLowerCased(String(trimmed(configured)))
        name = lower.firstIndex(of: ".").map { String(lower[..<$0]) } ?? lower
        header = HeaderName(name)
        format =
            switch name {
            case "traceparent": .traceparent
            case "sw8", "sw6": .skywalking
            case "sw3": .sw3
            case "uber-trace-id": .uber
            case "b3": .b3
            case "x-b3-traceid": .b3TraceID
            case "x-b3-spanid": .b3SpanID
            case "new_rpc_trace_context": .rpcContext
            case "x-tingyun", "cloudwise": .closed
            default: .whole
            }
    }

    /// Attachments of Dubbo calls carry it. Source: agent-l7-protocols.md 9.
    var isForAttachments: Bool {
        switch format {
        case .sw3, .whole: true
        case .skywalking: name == "sw8"
        default: false
        }
    }

    /// Trace id in a header value; nil = none.
    func traceID(_ bytes: RawSpan, _ value: Range<Int>) -> String? {
        let value = bytes.trimmedRange(value)
        switch format {
        case .traceparent: return Self.field(1, bytes, value, by: 45).map { bytes.text($0) }
        case .skywalking: return Self.field(1, bytes, value, by: 45).map { Self.decoded(bytes.text($0)) }
        case .sw3: return Self.field(7, bytes, value, by: 124).map { bytes.text($0) }
        case .uber: return Self.field(0, bytes, value, by: 58).map { bytes.text($0) }
        case .b3: return Self.field(0, bytes, value, by: 45).map { bytes.text($0) }
        case .rpcContext: return Self.contextValue("tcid=", bytes, value)
        case .closed: return nil
        case .b3TraceID, .b3SpanID, .whole: return bytes.text(value)
        }
    }

    /// Span id in a header value; nil = none.
    func spanID(_ bytes: RawSpan, _ value: Range<Int>) -> String? {
        let value = bytes.trimmedRange(value)
        switch format {
        case .traceparent: return Self.field(2, bytes, value, by: 45).map { bytes.text($0) }
        case .skywalking:
            guard let segment = Self.field(2, bytes, value, by: 45), let span = Self.field(3, bytes, value, by: 45)
            else { return nil }
            return Self.decoded(bytes.text(segment)) + "-" + bytes.text(span)
        case .sw3:
            guard let first = Self.field(0, bytes, value, by: 124), let second = Self.field(1, bytes, value, by: 124)
            else { return nil }
            return bytes.text(first) + "-" + bytes.text(second)
        case .uber: return Self.field(2, bytes, value, by: 58).map { bytes.text($0) }
        case .b3: return Self.field(1, bytes, value, by: 45).map { bytes.text($0) }
        case .rpcContext: return Self.contextValue("spid=", bytes, value)
        case .closed: return nil
        case .b3TraceID, .b3SpanID, .whole: return bytes.text(value)
        }
    }

    private static func field(
        _ number: Int, _ bytes: RawSpan, _ value: Range<Int>, by separator: UInt8
    ) -> Range<Int>? {
        var start = value.lowerBound
        for _ in 0..<number {
            guard let end = bytes.firstIndex(of: separator, from: start, to: value.upperBound) else { return nil }
            start = end &+ 1
        }
        return start..<(bytes.firstIndex(of: separator, from: start, to: value.upperBound) ?? value.upperBound)
    }

    /// `key=value&`: a value that no `&` ends does not count.
    private static func contextValue(_ key: StaticString, _ bytes: RawSpan, _ value: Range<Int>) -> String? {
        var start = value.lowerBound
        while let end = bytes.firstIndex(of: 38, from: start, to: value.upperBound) {
            let first = start &+ key.utf8CodeUnitCount
            if first <= end, bytes.hasPrefix(key, at: start) { return bytes.text(first..<end) }
            start = end &+ 1
        }
        return nil
    }

    /// Base64 text decoded, or the text itself if it is no base64 of UTF-8.
    private static func decoded(_ text: String) -> String {
        guard let bytes = base64Decoded(text), let plain = String(validating: bytes, as: UTF8.self) else { return text }
        return plain
    }
}

/// Strict RFC 4648 base64 with padding; nil when the text is not exactly that.
func base64Decoded(_ text: String) -> [UInt8]? {
    let bytes = Array(text.utf8)
    guard !bytes.isEmpty, bytes.count % 4 == 0 else { return nil }
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count / 4 * 3)
    for at in stride(from: 0, to: bytes.count, by: 4) {
        var word: UInt32 = 0
        var padding = 0
        for (position, byte) in bytes[at..<at + 4].enumerated() {
            let value: UInt32
            switch byte {
            case 65...90: value = UInt32(byte) - 65
            case 97...122: value = UInt32(byte) - 71
            case 48...57: value = UInt32(byte) + 4
            case 43: value = 62
            case 47: value = 63
            case 61 where at + 4 == bytes.count && position >= 2:
                padding += 1
                word <<= 6
                continue
            default: return nil
            }
            guard padding == 0 else { return nil }
            word = word << 6 | value
        }
        // Bits behind the last byte must be zero.
        if padding == 1, word & 0xff != 0 { return nil }
        if padding == 2, word & 0xffff != 0 { return nil }
        out.append(UInt8(truncatingIfNeeded: word >> 16))
        if padding < 2 { out.append(UInt8(truncatingIfNeeded: word >> 8)) }
        if padding < 1 { out.append(UInt8(truncatingIfNeeded: word)) }
    }
    return out
}

/// Trace ids, span id and the like found in one message; smaller priority wins. Source: agent-l7.md 11.1.
struct TagCollector {
    private var traceIDs: [(priority: UInt8, value: String)] = []
    private var spanPriority: UInt8 = .max
    private(set) var spanID = ""
    private var requestIDPriority: UInt8 = .max
    private(set) var xRequestID = ""
    private var clientPriority: UInt8 = .max
    private(set) var clientIP = ""
    /// Configured headers, in order.
    private(set) var attributeNames: [String] = []
    private(set) var attributeValues: [String] = []

    static func builtIn(_ index: Int) -> UInt8 { UInt8(clamping: 128 + index) }

    mutating func addTrace(_ value: String, priority: UInt8, several: Bool) {
        guard !value.isEmpty else { return }
        if !several, traceIDs.contains(where: { $0.priority <= priority }) { return }
        let at = traceIDs.firstIndex { $0.priority > priority } ?? traceIDs.endIndex
        traceIDs.insert((priority, value), at: at)
    }

    mutating func setSpan(_ value: String, priority: UInt8) {
        guard !value.isEmpty, priority < spanPriority else { return }
        spanPriority = priority
        spanID = value
    }

    /// As `setSpan`, but the last one wins.
    mutating func replaceSpan(_ value: String) { spanID = value }

    mutating func setXRequestID(_ value: String, priority: UInt8) {
        guard priority < requestIDPriority else { return }
        requestIDPriority = priority
        xRequestID = value
    }

    mutating func setClientIP(_ value: String, priority: UInt8) {
        guard priority < clientPriority else { return }
        clientPriority = priority
        clientIP = value
    }

    mutating func addAttribute(_ name: String, _ value: String) {
        attributeNames.append(name)
        attributeValues.append(value)
    }

    /// Every distinct trace id in order of priority (HTTP family, MySQL without the distinction).
    func allTraceIDs(distinct: Bool) -> [String] {
        var out: [String] = []
        for (_, value) in traceIDs where !distinct || !out.contains(value) { out.append(value) }
        return out
    }

    /// The first three distinct trace ids.
    var firstTraceIDs: [String] { Array(allTraceIDs(distinct: true).prefix(3)) }
}
