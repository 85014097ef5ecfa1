package import Model

/// Absent sub-messages, even an empty record, read as zero; `has_perf_stats` decides, not the presence of
/// `perf_stats`. Source: wire.md 6.6.
extension TaggedFlow: WireDecodable {
    package static var skipsBadRecords: Bool { false }

    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        self.init()
        var ends = FlowEnds()
        var outer = FieldReader(bytes, range)
        var extra = FlowExtraParts()
        while let tag = try outer.tag(bytes) {
            switch tag {
            case 0x0a: try decodeFlow(bytes, outer.message(bytes), &ends, &extra)
            default: try outer.skip(bytes, tag, known: 0b10)
            }
        }
        ends.apply(to: &self)
        self.extra = extra.made
    }

    private static let known = fieldMask(1...8, 10...28)

    private mutating func decodeFlow(
        _ bytes: RawSpan, _ within: FieldReader, _ ends: inout FlowEnds, _ extra: inout FlowExtraParts
    ) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: try decodeKey(bytes, reader.message(bytes), &ends)
            case 2 << 3 | 2:
                try src.decode(bytes, reader.message(bytes), capturedIP: &ends.capturedSrc, port: &key.portSrc)
            case 3 << 3 | 2:
                try dst.decode(bytes, reader.message(bytes), capturedIP: &ends.capturedDst, port: &key.portDst)
            case 4 << 3 | 2: try tunnel.decode(bytes, reader.message(bytes))
            case 5 << 3: flowID = try reader.u64(bytes)
            case 6 << 3: startTimeNs = try reader.u64(bytes)
            case 7 << 3: endTimeNs = try reader.u64(bytes)
            case 8 << 3: durationNs = try reader.u64(bytes)
            case 10 << 3: vlan = try reader.u16(bytes)
            case 11 << 3: ethType = try reader.u16(bytes)
            case 12 << 3: hasPerfStats = try reader.flag(bytes)
            case 13 << 3 | 2: try perf.decode(bytes, reader.message(bytes))
            case 14 << 3: closeType = try reader.u8(bytes)
            case 15 << 3: signalSource = try reader.u8(bytes)
            case 16 << 3: isActiveService = try reader.flag(bytes)
            case 17 << 3: queueHash = try reader.u8(bytes)
            case 18 << 3: isNewFlow = try reader.flag(bytes)
            case 19 << 3: tapSide = try reader.u8(bytes)
            case 20 << 3: synSeq = try reader.u32(bytes)
            case 21 << 3: synAckSeq = try reader.u32(bytes)
            case 22 << 3: lastKeepaliveSeq = try reader.u32(bytes)
            case 23 << 3: lastKeepaliveAck = try reader.u32(bytes)
            case 24 << 3: extra.aclGids.append(try reader.u16(bytes))
            case 24 << 3 | 2: try reader.packed(bytes, into: &extra.aclGids)
            case 25 << 3: directionScore = try reader.u8(bytes)
            case 26 << 3 | 2: extra.requestDomain = try reader.string(bytes)
            case 27 << 3: extra.flowIDs.append(try reader.u64(bytes))
            case 27 << 3 | 2: try reader.packed(bytes, into: &extra.flowIDs)
            case 28 << 3: initIPID = try reader.u16(bytes)
            default: try reader.skip(bytes, tag, known: Self.known)
            }
        }
    }

    private mutating func decodeKey(
        _ bytes: RawSpan, _ within: FieldReader, _ ends: inout FlowEnds
    ) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: key.agentID = try reader.u16(bytes)
            case 2 << 3: key.tapType = try reader.u16(bytes)
            case 3 << 3: key.tapPort = try reader.u64(bytes)
            case 4 << 3: key.macSrc = try reader.u64(bytes)
            case 5 << 3: key.macDst = try reader.u64(bytes)
            case 6 << 3: ends.ipSrc = try reader.u32(bytes)
            case 7 << 3: ends.ipDst = try reader.u32(bytes)
            case 8 << 3 | 2: ends.ip6Src = try reader.address(bytes)
            case 9 << 3 | 2: ends.ip6Dst = try reader.address(bytes)
            case 10 << 3: src.realPort = try reader.u16(bytes)
            case 11 << 3: dst.realPort = try reader.u16(bytes)
            case 12 << 3: key.proto = try reader.u8(bytes)
            default: try reader.skip(bytes, tag, known: 0x1ffe)
            }
        }
    }
}

/// Collects what becomes `TaggedFlow.extra`.
struct FlowExtraParts {
    var requestDomain = ""
    var aclGids: [UInt16] = []
    var flowIDs: [UInt64] = []

    var made: FlowExtra? {
        if requestDomain.isEmpty, aclGids.isEmpty, flowIDs.isEmpty { return nil }
        return FlowExtra(requestDomain: requestDomain, aclGids: aclGids, aggregatedFlowIDs: flowIDs)
    }
}

extension FlowMetricsPeer {
    private static let known = fieldMask(1...16, 20...22)

    fileprivate mutating func decode(
        _ bytes: RawSpan, _ within: FieldReader, capturedIP: inout UInt32, port: inout UInt16
    ) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: byteCount = try reader.u64(bytes)
            case 2 << 3: l3ByteCount = try reader.u64(bytes)
            case 3 << 3: l4ByteCount = try reader.u64(bytes)
            case 4 << 3: packetCount = try reader.u64(bytes)
            case 5 << 3: totalByteCount = try reader.u64(bytes)
            case 6 << 3: totalPacketCount = try reader.u64(bytes)
            case 7 << 3: firstNs = try reader.u64(bytes)
            case 8 << 3: lastNs = try reader.u64(bytes)
            case 9 << 3: tcpFlags = try reader.u8(bytes)
            case 10 << 3: l3EpcID = try reader.i32(bytes)
            case 11 << 3: isL2End = try reader.flag(bytes)
            case 12 << 3: isL3End = try reader.flag(bytes)
            case 13 << 3: isActiveHost = try reader.flag(bytes)
            case 14 << 3: isDevice = try reader.flag(bytes)
            case 15 << 3: isVipInterface = try reader.flag(bytes)
            case 16 << 3: isVip = try reader.flag(bytes)
            case 20 << 3: capturedIP = try reader.u32(bytes)
            case 21 << 3: port = try reader.u16(bytes)
            case 22 << 3: gpid = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: Self.known)
            }
        }
    }
}

extension TunnelField {
    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: txIP0 = try reader.u32(bytes)
            case 2 << 3: txIP1 = try reader.u32(bytes)
            case 3 << 3: rxIP0 = try reader.u32(bytes)
            case 4 << 3: rxIP1 = try reader.u32(bytes)
            case 5 << 3: txMAC0 = try reader.u32(bytes)
            case 6 << 3: txMAC1 = try reader.u32(bytes)
            case 7 << 3: rxMAC0 = try reader.u32(bytes)
            case 8 << 3: rxMAC1 = try reader.u32(bytes)
            case 9 << 3: txID = try reader.u32(bytes)
            case 10 << 3: rxID = try reader.u32(bytes)
            case 11 << 3: type = try reader.u8(bytes)
            case 12 << 3: tier = try reader.u8(bytes)
            case 13 << 3: _ = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: 0x3ffe)
            }
        }
    }
}

extension FlowPerfStats {
    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 0x0a: try tcp.decode(bytes, reader.message(bytes))
            case 0x12: try l7.decode(bytes, reader.message(bytes))
            case 3 << 3: l4Protocol = try reader.u8(bytes)
            case 4 << 3: l7Protocol = try reader.u8(bytes)
            case 5 << 3: l7FailedCount = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: 0b11_1110)
            }
        }
    }
}

extension TCPPerfStats {
    private static let known = fieldMask(1...5, 8...9, 12...22)

    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: rttClient.max = try reader.u32(bytes)
            case 2 << 3: rttServer.max = try reader.u32(bytes)
            case 3 << 3: srt.max = try reader.u32(bytes)
            case 4 << 3: art.max = try reader.u32(bytes)
            case 5 << 3: rtt = try reader.u32(bytes)
            case 8 << 3: srt.sum = UInt64(try reader.u32(bytes))
            case 9 << 3: art.sum = UInt64(try reader.u32(bytes))
            case 12 << 3: srt.count = try reader.u32(bytes)
            case 13 << 3: art.count = try reader.u32(bytes)
            case 14 << 3 | 2: try tx.decode(bytes, reader.message(bytes))
            case 15 << 3 | 2: try rx.decode(bytes, reader.message(bytes))
            case 16 << 3: totalRetrans = try reader.u32(bytes)
            case 17 << 3: synCount = try reader.u32(bytes)
            case 18 << 3: synAckCount = try reader.u32(bytes)
            case 19 << 3: cit.max = try reader.u32(bytes)
            case 20 << 3: cit.sum = UInt64(try reader.u32(bytes))
            case 21 << 3: cit.count = try reader.u32(bytes)
            case 22 << 3: finCount = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: Self.known)
            }
        }
    }
}

extension TCPPerfCounts {
    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: retrans = try reader.u32(bytes)
            case 2 << 3: zeroWin = try reader.u32(bytes)
            case 3 << 3: outOfOrder = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: 0b1110)
            }
        }
    }
}

extension L7PerfStats {
    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: requestCount = try reader.u32(bytes)
            case 2 << 3: responseCount = try reader.u32(bytes)
            case 3 << 3: errClientCount = try reader.u32(bytes)
            case 4 << 3: errServerCount = try reader.u32(bytes)
            case 5 << 3: errTimeout = try reader.u32(bytes)
            case 6 << 3: rrtCount = try reader.u32(bytes)
            case 7 << 3: rrtSum = try reader.u64(bytes)
            case 8 << 3: rrtMax = try reader.u32(bytes)
            case 9 << 3: tlsRtt = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: 0x3fe)
            }
        }
    }
}
