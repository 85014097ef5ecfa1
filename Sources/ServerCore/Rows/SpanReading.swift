import Model
import Wire

/// What the attributes of a span and its resource say in terms of a request. Source: ingester.md 5.3.
struct SpanReading {
    struct End {
        var address: IPAddress
        var isIPv6: Bool
    }

    struct Status {
        var status: L7ResponseStatus
        var code: Int64?
        var exception: String
    }

    let side: TapSide
    private(set) var ends: (End?, End?) = (nil, nil)
    private(set) var proto = IPProtocol.tcp
    private(set) var traceID: String
    private(set) var spanID: String
    private(set) var parentSpanID: String
    private(set) var appService = ""
    private(set) var appInstance = ""
    private(set) var bizProtocol = ""
    private(set) var version = ""
    private(set) var requestType = ""
    private(set) var requestDomain = ""
    private(set) var requestResource = ""
    private(set) var requestLength: Int64?
    private(set) var responseLength: Int64?
    private(set) var affectedRows: UInt64?
    private(set) var l7Protocol = L7Protocol.unknown.rawValue
    private(set) var isTLS = false
    private(set) var attributes: [(name: String, value: String)] = []
    private(set) var metrics: [(name: String, value: Double)] = []
    private var statusCode: Int32?
    private var hasPeerAddress = false
    private var urlPath = ""
    private var hasHTTPKey = false
    private var skyWalking = SkyWalking()

    private struct SkyWalking {
        var spanID = ""
        var parentSpanID = ""
        var segmentID = ""
    }

    init(_ span: OTLPSpan, resource: [OTLPAttribute]) {
        side =
            switch span.kind {
            case 3, 4: .clientApp
            case 2, 5: .serverApp
            default: .app
            }
        traceID = SpanReading.hex(span.traceID)
        spanID = SpanReading.hex(span.spanID)
        parentSpanID = SpanReading.hex(span.parentSpanID)
        for attribute in span.attributes {
            guard let value = attribute.value else { continue }
            takeSpan(attribute.key, OTLPText.attribute(value))
        }
        for attribute in resource {
            guard let value = attribute.value else { continue }
            takeResource(attribute.key, OTLPText.attribute(value))
        }
        if requestResource.isEmpty { requestResource = urlPath }
        takeSkyWalking(span.links)
        if bizProtocol.isEmpty, hasHTTPKey { bizProtocol = "HTTP" }
        (l7Protocol, isTLS) = SpanReading.recognise(bizProtocol, version: version)
    }

    // MARK: Attributes

    /// Names of numbers, which are metrics rather than attributes.
    private static let metricNames: Set<String> = [
        "http.request_content_length", "http.response_content_length", "db.cassandra.page_size",
        "message.uncompressed_size", "messaging.message_payload_size_bytes",
        "messaging.message_payload_compressed_size_bytes", "web.vitals.LCP.value", "web.vitals.TTFB.value",
        "web.vitals.FCP.value", "web.vitals.INP.value", "web.vitals.CLS.value",
    ]

    private mutating func takeSpan(_ key: String, _ text: String) {
        if key.utf8.starts(with: "http".utf8) { hasHTTPKey = true }
        var isKept = true
        switch key {
        case "net.transport":
            if text.contains("tcp") {
                proto = IPProtocol.tcp
            } else if text.contains("udp") {
                proto = IPProtocol.udp
            }
        case "network.peer.address":
            isKept = setPeer(text)
            if isKept { hasPeerAddress = true }
        case "net.peer.ip": isKept = !hasPeerAddress && setPeer(text)
        case "http.scheme", "db.system", "rpc.system", "messaging.system", "messaging.protocol": bizProtocol = text
        case "http.flavor": version = text
        // Text that is no number is the code 0, which leaves the answer to the status of the span.
        case "http.status_code": statusCode = Int32(text) ?? 0
        case "http.host", "db.connection_string": requestDomain = text
        case "http.method", "db.operation", "rpc.method": requestType = text
        case "http.target", "db.statement", "messaging.url", "rpc.service": requestResource = text
        case "http.url": urlPath = SpanReading.path(ofURL: text) ?? urlPath
        case "http.request_content_length": requestLength = Int64(text)
        case "http.response_content_length": responseLength = Int64(text)
        case "db.cassandra.page_size": affectedRows = UInt64(text)
        case "sw8.span_id": skyWalking.spanID = text
        case "sw8.parent_span_id": skyWalking.parentSpanID = text
        case "sw8.segment_id": skyWalking.segmentID = text
        case "sw8.trace_id": traceID = text
        default: break
        }
        if SpanReading.metricNames.contains(key) {
            metrics.append((key, Double(text) ?? 0))
        } else if isKept {
            attributes.append((key, text))
        }
    }

    private mutating func takeResource(_ key: String, _ text: String) {
        if key.utf8.starts(with: "http".utf8) { hasHTTPKey = true }
        var isKept = true
        switch key {
        case "service.name": appService = text
        case "service.instance.id": appInstance = text
        case "sw8.trace_id": traceID = text
        case "app.host.ip":
            if let parsed = IPAddress.parse(text) {
                let end = End(address: parsed.address, isIPv6: parsed.isIPv6)
                if side == .clientApp { ends.0 = end } else { ends.1 = end }
            } else {
                isKept = false
            }
        default: break
        }
        if isKept { attributes.append((key, text)) }
    }

    private mutating func setPeer(_ text: String) -> Bool {
        guard let parsed = IPAddress.parse(text) else { return false }
        let end = End(address: parsed.address, isIPv6: parsed.isIPv6)
        if side == .clientApp { ends.1 = end } else { ends.0 = end }
        return true
    }

    /// The path of `scheme://host/path`; nil when it is no such URL.
    static func path(ofURL url: String) -> String? {
        let bytes = Array(url.utf8)
        guard let scheme = bytes.indices.dropLast(2).first(where: { bytes[$0...].starts(with: "://".utf8) }),
            scheme + 3 < bytes.count
        else { return nil }
        let rest = bytes[(scheme + 3)...]
        guard let slash = rest.firstIndex(of: UInt8(ascii: "/")) else { return "/" }
        return String(decoding: rest[slash...], as: UTF8.self)
    }

    // MARK: SkyWalking

    /// With a segment, spans are named by it: `segment-span`.
    private mutating func takeSkyWalking(_ links: [[OTLPAttribute]]) {
        let ids = skyWalking
        guard !ids.segmentID.isEmpty else {
            if !ids.spanID.isEmpty { spanID = ids.spanID }
            if !ids.parentSpanID.isEmpty { parentSpanID = ids.parentSpanID }
            return
        }
        spanID = ids.segmentID + "-" + ids.spanID
        if !ids.parentSpanID.isEmpty {
            parentSpanID = ids.segmentID + "-" + ids.parentSpanID
            return
        }
        for link in links {
            var values: [String: String] = [:]
            for attribute in link {
                if let value = attribute.value { values[attribute.key] = OTLPText.attribute(value) }
            }
            guard values["refType"] == "CrossProcess" || values["refType"] == "CrossThread",
                let span = values["sw8.parent_span_id"], let segment = values["sw8.parent_segment_id"]
            else { continue }
            parentSpanID = segment + "-" + span
            return
        }
    }

    // MARK: Protocol and status

    /// Of all protocols whose name holds the text the exact one, else that of the lowest number.
    private static func recognise(_ bizProtocol: String, version: String) -> (proto: UInt8, isTLS: Bool) {
        let wanted = bizProtocol.lowercased()
        guard !wanted.isEmpty else { return (L7Protocol.unknown.rawValue, false) }
        let known = L7Protocol.allCases.filter { $0 != .unknown && $0 != .memcached && $0 != .ping }
        let holders = known.filter { $0.displayName.lowercased().contains(wanted) }
        let found =
            holders.first { $0.displayName.lowercased() == wanted } ?? holders.min { $0.rawValue < $1.rawValue }
            ?? .unknown
        let isTLS = wanted.contains("https")
        guard found == .http1 || found == .http2 else { return (found.rawValue, isTLS) }
        let isSecond = version.utf8.first == UInt8(ascii: "2")
        return ((isSecond ? L7Protocol.http2 : .http1).rawValue, isTLS)
    }

    /// By the code of HTTP, else by the status of the span.
    func status(of span: OTLPSpan) -> Status {
        if let statusCode, statusCode != 0 {
            let status: L7ResponseStatus =
                switch statusCode {
                case 400...499: .clientError
                case 500...600: .serverError
                default: .ok
                }
            return Status(
                status: status, code: Int64(statusCode),
                exception: ResponseExceptions.text(
                    protocol: L7Protocol.http1.rawValue, version: version, status: status.rawValue, code: statusCode))
        }
        switch span.statusCode {
        case 1: return Status(status: .ok, code: 1, exception: "")
        case 2: return Status(status: .serverError, code: 2, exception: span.statusMessage)
        default: return Status(status: .unknown, code: statusCode.map { Int64($0) }, exception: "")
        }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
