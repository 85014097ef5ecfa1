import Model

/// Which documents of a slot are one: nine words. Source: agent-flow.md 14.5.
///
/// MAC addresses, agent, pod, family and signal source are not part of it.
struct DocumentKey: BitwiseCopyable {
    enum Variant: UInt8 {
        case single = 1
        case singleMac = 2
        case edge = 3
        case edgeMac = 4
        case appSingle = 5
        case appSingleMac = 6
        case appEdge = 7
        case appEdgeMac = 8
    }

    /// variant (8), protocol (8), direction (8), L7 protocol (8), server port (16), capture network (16).
    var service: UInt64 = 0
    /// epc0 (16), epc1 (16), business type (8), time span in slots (24).
    var place: UInt64 = 0
    var tapPort: UInt64 = 0
    var gpids: UInt64 = 0
    var endpoint: UInt64 = 0
    var ip = IPAddress()
    var ip1 = IPAddress()

    @inline(__always)
    init(_ tag: DocumentTag, _ app: AppFacts) {
        let isApp = app.isApp
        let isEdge = tag.isEdge
        let hasMac = tag.mac | tag.mac1 != 0 || tag.hasMac
        let variant: Variant
        switch (isApp, isEdge) {
        case (false, false): variant = hasMac ? .singleMac : .single
        case (false, true): variant = hasMac ? .edgeMac : .edge
        case (true, false): variant = hasMac ? .appSingleMac : .appSingle
        case (true, true): variant = hasMac ? .appEdgeMac : .appEdge
        }
        // The reference leaves the L7 protocol out of an edge without MAC.
        let l7 = variant == .appEdge ? 0 : UInt64(app.l7Protocol)
        let kind = UInt64(variant.rawValue) << 56 | UInt64(tag.proto) << 48 | UInt64(tag.direction) << 40
        service = kind | l7 << 32 | UInt64(tag.serverPort) << 16 | UInt64(tag.tapType)
        let epcs =
            UInt64(UInt16(truncatingIfNeeded: tag.epc)) << 48 | UInt64(UInt16(truncatingIfNeeded: tag.epc1)) << 32
        place = epcs | UInt64(app.bizType) << 24 | UInt64(app.timeSpanSlots & 0xff_ffff)
        tapPort = isEdge ? tag.tapPort : 0
        gpids = UInt64(tag.gpid) << 32 | UInt64(tag.gpid1)
        endpoint = app.endpointHash
        ip = tag.ip
        ip1 = tag.ip1
    }

    @inline(__always)
    var hash: UInt64 {
        let ends = MetricsHash.mix(
            ip.low ^ (ip.high &* MetricsHash.k1), ip1.low ^ (ip1.high &* MetricsHash.k0))
        let what = MetricsHash.mix(service, place)
        let rest = MetricsHash.mix(tapPort ^ gpids &* MetricsHash.k0, endpoint)
        return MetricsHash.step(ends ^ rest, what)
    }

    @inline(__always)
    func equals(_ other: DocumentKey) -> Bool {
        let low = (ip.low ^ other.ip.low) | (ip1.low ^ other.ip1.low)
        let high = (ip.high ^ other.ip.high) | (ip1.high ^ other.ip1.high)
        let what = (service ^ other.service) | (place ^ other.place)
        let rest = (tapPort ^ other.tapPort) | (gpids ^ other.gpids)
        return low | high | what | rest | (endpoint ^ other.endpoint) == 0
    }
}

/// What an L7 document has beyond the L4 tag; the default is an L4 document.
struct AppFacts: BitwiseCopyable {
    var endpointHash: UInt64 = 0
    var timeSpanSlots: UInt32 = 0
    var l7Protocol: UInt8 = 0
    var bizType: UInt8 = 0
    var isApp = false
}
