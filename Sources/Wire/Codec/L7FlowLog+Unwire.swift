package import Model

/// Absent `base`, `head`, `req`, `resp` read as zero, which is not the default of a record of our own.
/// Source: wire.md 6.6, 7.3.
extension L7FlowLog: WireDecodable {
    package static var skipsBadRecords: Bool { false }

    private static let known = fieldMask(1...1, 9...23)

    /// A record as an empty message reads.
    static var zero: L7FlowLog {
        var log = L7FlowLog()
        log.base.messageType = 0
        log.requestLength = 0
        log.responseLength = 0
        log.responseStatus = 0
        log.responseCode = 0
        log.hasRequest = false
        log.hasResponse = false
        return log
    }

    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        self = .zero
        var addresses = L7Addresses()
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: try base.decode(bytes, reader.message(bytes), &addresses)
            case 9 << 3: requestLength = try reader.i32(bytes)
            case 10 << 3: responseLength = try reader.i32(bytes)
            case 11 << 3 | 2: try decodeRequest(bytes, reader.message(bytes))
            case 12 << 3 | 2: try decodeResponse(bytes, reader.message(bytes))
            case 13 << 3 | 2: version = try reader.string(bytes)
            case 14 << 3 | 2: try decodeTrace(bytes, reader.message(bytes))
            case 15 << 3 | 2: try decodeExt(bytes, reader.message(bytes))
            case 16 << 3: rowEffect = try reader.u32(bytes)
            case 17 << 3: directionScore = try reader.u8(bytes)
            case 18 << 3: flags = try reader.u8(bytes)
            case 19 << 3: capturedRequestByte = try reader.u32(bytes)
            case 20 << 3: capturedResponseByte = try reader.u32(bytes)
            case 21 << 3 | 2: bizCode = try reader.string(bytes)
            case 22 << 3 | 2: bizScenario = try reader.string(bytes)
            case 23 << 3 | 2: bizResponseCode = try reader.string(bytes)
            default: try reader.skip(bytes, tag, known: Self.known)
            }
        }
        addresses.apply(to: &base)
    }

    private mutating func decodeRequest(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        hasRequest = true
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 0x0a: requestType = try reader.string(bytes)
            case 0x12: requestDomain = try reader.string(bytes)
            case 0x1a: requestResource = try reader.string(bytes)
            case 0x22: endpoint = try reader.string(bytes)
            default: try reader.skip(bytes, tag, known: 0b1_1110)
            }
        }
    }

    private mutating func decodeResponse(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        hasResponse = true
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 0x08: responseStatus = try reader.u8(bytes)
            case 0x10: responseCode = try reader.i32(bytes)
            case 0x1a: responseException = try reader.string(bytes)
            case 0x22: responseResult = try reader.string(bytes)
            default: try reader.skip(bytes, tag, known: 0b1_1110)
            }
        }
    }

    private mutating func decodeTrace(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        var trace = self.trace ?? L7Trace()
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 0x0a: trace.traceID = try reader.string(bytes)
            case 0x12: trace.spanID = try reader.string(bytes)
            case 0x1a: trace.parentSpanID = try reader.string(bytes)
            case 0x22: trace.traceIDs.append(try reader.string(bytes))
            default: try reader.skip(bytes, tag, known: 0b1_1110)
            }
        }
        self.trace = trace
    }

    private static let extFields = fieldMask(1...4, 6...10, 16...19)

    private mutating func decodeExt(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        var ext = self.ext ?? L7Ext()
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: ext.serviceName = try reader.string(bytes)
            case 2 << 3 | 2: ext.clientIP = try reader.string(bytes)
            case 3 << 3: ext.requestID = try reader.u32(bytes)
            case 4 << 3 | 2: ext.xRequestID0 = try reader.string(bytes)
            case 6 << 3 | 2: ext.userAgent = try reader.string(bytes)
            case 7 << 3 | 2: ext.referer = try reader.string(bytes)
            case 8 << 3 | 2: ext.rpcService = try reader.string(bytes)
            case 9 << 3 | 2: ext.protocolText = try reader.string(bytes)
            case 10 << 3 | 2: ext.xRequestID1 = try reader.string(bytes)
            case 16 << 3 | 2: ext.attributeNames.append(try reader.string(bytes))
            case 17 << 3 | 2: ext.attributeValues.append(try reader.string(bytes))
            case 18 << 3 | 2: ext.metricsNames.append(try reader.string(bytes))
            case 19 << 3 | 1: ext.metricsValues.append(try reader.double(bytes))
            case 19 << 3 | 2: try reader.packed(bytes, into: &ext.metricsValues)
            default: try reader.skip(bytes, tag, known: Self.extFields)
            }
        }
        self.ext = ext
    }
}

/// Both forms of the addresses of a request, until `is_ipv6` says which counts.
struct L7Addresses {
    var ipSrc: UInt32 = 0
    var ipDst: UInt32 = 0
    var ip6Src = IPAddress()
    var ip6Dst = IPAddress()

    func apply(to base: inout L7Base) {
        base.ipSrc = base.isIPv6 ? ip6Src : IPAddress(v4: ipSrc)
        base.ipDst = base.isIPv6 ? ip6Dst : IPAddress(v4: ipDst)
    }
}

extension L7Base {
    private static let known = fieldMask(1...36, 39...43)

    fileprivate mutating func decode(
        _ bytes: RawSpan, _ within: FieldReader, _ addresses: inout L7Addresses
    ) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: startTimeNs = try reader.u64(bytes)
            case 2 << 3: endTimeNs = try reader.u64(bytes)
            case 3 << 3: flowID = try reader.u64(bytes)
            case 4 << 3: tapPort = try reader.u64(bytes)
            case 5 << 3: agentID = try reader.u16(bytes)
            case 6 << 3: tapType = try reader.u16(bytes)
            case 7 << 3: isIPv6 = try reader.flag(bytes)
            case 8 << 3: tapSide = try reader.u8(bytes)
            case 9 << 3 | 2: try decodeHead(bytes, reader.message(bytes))
            case 10 << 3: macSrc = try reader.u64(bytes)
            case 11 << 3: macDst = try reader.u64(bytes)
            case 12 << 3: addresses.ipSrc = try reader.u32(bytes)
            case 13 << 3: addresses.ipDst = try reader.u32(bytes)
            case 14 << 3 | 2: addresses.ip6Src = try reader.address(bytes)
            case 15 << 3 | 2: addresses.ip6Dst = try reader.address(bytes)
            case 16 << 3: l3EpcIDSrc = try reader.i32(bytes)
            case 17 << 3: l3EpcIDDst = try reader.i32(bytes)
            case 18 << 3: portSrc = try reader.u16(bytes)
            case 19 << 3: portDst = try reader.u16(bytes)
            case 20 << 3: proto = try reader.u8(bytes)
            case 21 << 3: isVipInterfaceSrc = try reader.flag(bytes)
            case 22 << 3: isVipInterfaceDst = try reader.flag(bytes)
            case 23 << 3: reqTCPSeq = try reader.u32(bytes)
            case 24 << 3: respTCPSeq = try reader.u32(bytes)
            case 25 << 3: processID0 = try reader.u32(bytes)
            case 26 << 3: processID1 = try reader.u32(bytes)
            case 27 << 3 | 2: processName0 = try reader.string(bytes)
            case 28 << 3 | 2: processName1 = try reader.string(bytes)
            case 29 << 3: syscallTraceIDRequest = try reader.u64(bytes)
            case 30 << 3: syscallTraceIDResponse = try reader.u64(bytes)
            case 31 << 3: syscallThread0 = try reader.u32(bytes)
            case 32 << 3: syscallThread1 = try reader.u32(bytes)
            case 33 << 3: syscallCapSeq0 = UInt64(try reader.u32(bytes))
            case 34 << 3: syscallCapSeq1 = UInt64(try reader.u32(bytes))
            case 35 << 3: gpid0 = try reader.u32(bytes)
            case 36 << 3: gpid1 = try reader.u32(bytes)
            case 39 << 3: syscallCoroutine0 = try reader.u64(bytes)
            case 40 << 3: syscallCoroutine1 = try reader.u64(bytes)
            case 41 << 3: podID0 = try reader.u32(bytes)
            case 42 << 3: podID1 = try reader.u32(bytes)
            case 43 << 3: bizType = try reader.u8(bytes)
            default: try reader.skip(bytes, tag, known: Self.known)
            }
        }
    }

    private mutating func decodeHead(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: l7Protocol = try reader.u8(bytes)
            case 2 << 3: messageType = try reader.u8(bytes)
            case 5 << 3: rrtNs = try reader.u64(bytes)
            default: try reader.skip(bytes, tag, known: 0b10_0110)
            }
        }
    }
}
