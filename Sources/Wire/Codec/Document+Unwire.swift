package import Model

/// Trap: a document whose `meter_id` is none of 1, 4, 5 is an error that costs the rest of its frame; so is an empty
/// record. Source: wire.md 6.6.
extension Document: WireDecodable {
    package static var skipsBadRecords: Bool { false }

    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        self.init()
        var reader = FieldReader(bytes, range)
        var meterID: UInt32 = 0
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 0x08: timestamp = try reader.u32(bytes)
            case 0x12: try self.tag.decode(bytes, reader.message(bytes))
            case 0x1a: try meter.decode(bytes, reader.message(bytes), id: &meterID)
            case 0x20: flags = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: 0b1_1110)
            }
        }
        switch meterID {
        case 1: if case .flow = meter { break } else { meter = .flow(FlowMeter()) }
        case 4: if case .usage = meter { break } else { meter = .usage(UsageMeter()) }
        case 5: if case .app = meter { break } else { meter = .app(AppMeter()) }
        default: throw .malformed(at: range.lowerBound)
        }
    }
}

extension MiniTag {
    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 0x0a: try field.decode(bytes, reader.message(bytes))
            case 0x10: code = try reader.u64(bytes)
            default: try reader.skip(bytes, tag, known: 0b110)
            }
        }
    }
}

extension MiniField {
    private static let known = fieldMask(1...17, 20...25, 27...28)

    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: ip = try reader.address(bytes)
            case 2 << 3 | 2: ip1 = try reader.address(bytes)
            case 3 << 3: globalThreadID = try reader.u32(bytes)
            case 4 << 3: isIPv6 = try reader.flag(bytes)
            case 5 << 3: l3EpcID = try reader.i32(bytes)
            case 6 << 3: l3EpcID1 = try reader.i32(bytes)
            case 7 << 3: mac = try reader.u64(bytes)
            case 8 << 3: mac1 = try reader.u64(bytes)
            case 9 << 3: direction = try reader.u8(bytes)
            case 10 << 3: tapSide = try reader.u8(bytes)
            case 11 << 3: proto = try reader.u8(bytes)
            case 12 << 3: aclGid = try reader.u16(bytes)
            case 13 << 3: serverPort = try reader.u16(bytes)
            case 14 << 3: vtapID = try reader.u32(bytes)
            case 15 << 3: tapPort = try reader.u64(bytes)
            case 16 << 3: tapType = try reader.u16(bytes)
            case 17 << 3: l7Protocol = try reader.u8(bytes)
            case 20 << 3: gpid = try reader.u32(bytes)
            case 21 << 3: gpid1 = try reader.u32(bytes)
            case 22 << 3: signalSource = try reader.u8(bytes)
            case 23 << 3 | 2: appService = try reader.string(bytes)
            case 24 << 3 | 2: appInstance = try reader.string(bytes)
            case 25 << 3 | 2: endpoint = try reader.string(bytes)
            case 27 << 3: podID = try reader.u32(bytes)
            case 28 << 3: bizType = try reader.u8(bytes)
            default: try reader.skip(bytes, tag, known: Self.known)
            }
        }
    }
}

extension Meter {
    /// Keeps the sub-message that `meter_id` names, which agents send first; others are checked and forgotten.
    fileprivate mutating func decode(
        _ bytes: RawSpan, _ within: FieldReader, id: inout UInt32
    ) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 0x08: id = try reader.u32(bytes)
            case 0x12:
                // A document starts with an empty flow meter, so there is nothing to carry over but in odd encodings.
                guard case .flow(var flow) = self else {
                    var ignored = FlowMeter()
                    try ignored.decode(bytes, reader.message(bytes))
                    if id == 1 || id == 0 { self = .flow(ignored) }
                    continue
                }
                try flow.decode(bytes, reader.message(bytes))
                if id == 1 || id == 0 { self = .flow(flow) }
            case 0x1a:
                var usage = UsageMeter()
                if case .usage(let before) = self { usage = before }
                try usage.decode(bytes, reader.message(bytes))
                if id == 4 || id == 0 { self = .usage(usage) }
            case 0x22:
                var app = AppMeter()
                if case .app(let before) = self { app = before }
                try app.decode(bytes, reader.message(bytes))
                if id == 5 || id == 0 { self = .app(app) }
            default: try reader.skip(bytes, tag, known: 0b1_1110)
            }
        }
    }
}

extension FlowMeter {
    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 0x0a: try decodeTraffic(bytes, reader.message(bytes))
            case 0x12: try decodeLatency(bytes, reader.message(bytes))
            case 0x1a: try decodePerformance(bytes, reader.message(bytes))
            case 0x22: try decodeAnomaly(bytes, reader.message(bytes))
            case 0x2a: try decodeLoad(bytes, reader.message(bytes))
            default: try reader.skip(bytes, tag, known: 0b11_1110)
            }
        }
    }

    private mutating func decodeTraffic(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: packetTx = try reader.u64(bytes)
            case 2 << 3: packetRx = try reader.u64(bytes)
            case 3 << 3: byteTx = try reader.u64(bytes)
            case 4 << 3: byteRx = try reader.u64(bytes)
            case 5 << 3: l3ByteTx = try reader.u64(bytes)
            case 6 << 3: l3ByteRx = try reader.u64(bytes)
            case 7 << 3: l4ByteTx = try reader.u64(bytes)
            case 8 << 3: l4ByteRx = try reader.u64(bytes)
            case 9 << 3: newFlow = try reader.u64(bytes)
            case 10 << 3: closedFlow = try reader.u64(bytes)
            case 11 << 3: l7Request = try reader.u32(bytes)
            case 12 << 3: l7Response = try reader.u32(bytes)
            case 13 << 3: syn = try reader.u32(bytes)
            case 14 << 3: synAck = try reader.u32(bytes)
            case 15 << 3: directionScore = try reader.u8(bytes)
            default: try reader.skip(bytes, tag, known: 0xfffe)
            }
        }
    }

    private static let latencyFields = fieldMask(1...21)

    private mutating func decodeLatency(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: rtt.max = try reader.u32(bytes)
            case 2 << 3: rttClient.max = try reader.u32(bytes)
            case 3 << 3: rttServer.max = try reader.u32(bytes)
            case 4 << 3: srt.max = try reader.u32(bytes)
            case 5 << 3: art.max = try reader.u32(bytes)
            case 6 << 3: rrt.max = try reader.u32(bytes)
            case 7 << 3: rtt.sum = try reader.u64(bytes)
            case 8 << 3: rttClient.sum = try reader.u64(bytes)
            case 9 << 3: rttServer.sum = try reader.u64(bytes)
            case 10 << 3: srt.sum = try reader.u64(bytes)
            case 11 << 3: art.sum = try reader.u64(bytes)
            case 12 << 3: rrt.sum = try reader.u64(bytes)
            case 13 << 3: rtt.count = try reader.u32(bytes)
            case 14 << 3: rttClient.count = try reader.u32(bytes)
            case 15 << 3: rttServer.count = try reader.u32(bytes)
            case 16 << 3: srt.count = try reader.u32(bytes)
            case 17 << 3: art.count = try reader.u32(bytes)
            case 18 << 3: rrt.count = try reader.u32(bytes)
            case 19 << 3: cit.max = try reader.u32(bytes)
            case 20 << 3: cit.sum = try reader.u64(bytes)
            case 21 << 3: cit.count = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: Self.latencyFields)
            }
        }
    }

    private mutating func decodePerformance(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: retransTx = try reader.u64(bytes)
            case 2 << 3: retransRx = try reader.u64(bytes)
            case 3 << 3: zeroWinTx = try reader.u64(bytes)
            case 4 << 3: zeroWinRx = try reader.u64(bytes)
            case 5 << 3: retransSyn = try reader.u32(bytes)
            case 6 << 3: retransSynAck = try reader.u32(bytes)
            default: try reader.skip(bytes, tag, known: 0x7e)
            }
        }
    }

    private static let anomalyFields = fieldMask(1...15, 20...21)

    private mutating func decodeAnomaly(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: clientRstFlow = try reader.u64(bytes)
            case 2 << 3: serverRstFlow = try reader.u64(bytes)
            case 3 << 3: serverSynMiss = try reader.u64(bytes)
            case 4 << 3: clientAckMiss = try reader.u64(bytes)
            case 5 << 3: clientHalfCloseFlow = try reader.u64(bytes)
            case 6 << 3: serverHalfCloseFlow = try reader.u64(bytes)
            case 7 << 3: clientSourcePortReuse = try reader.u64(bytes)
            case 8 << 3: clientEstablishReset = try reader.u64(bytes)
            case 9 << 3: serverReset = try reader.u64(bytes)
            case 10 << 3: serverQueueLack = try reader.u64(bytes)
            case 11 << 3: serverEstablishReset = try reader.u64(bytes)
            case 12 << 3: tcpTimeout = try reader.u64(bytes)
            case 13 << 3: l7ClientError = try reader.u32(bytes)
            case 14 << 3: l7ServerError = try reader.u32(bytes)
            case 15 << 3: l7Timeout = try reader.u32(bytes)
            case 20 << 3: clientOoo = try reader.u64(bytes)
            case 21 << 3: serverOoo = try reader.u64(bytes)
            default: try reader.skip(bytes, tag, known: Self.anomalyFields)
            }
        }
    }

    private mutating func decodeLoad(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: load = try reader.u64(bytes)
            default: try reader.skip(bytes, tag, known: 0b10)
            }
        }
    }
}

extension UsageMeter {
    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3: packetTx = try reader.u64(bytes)
            case 2 << 3: packetRx = try reader.u64(bytes)
            case 3 << 3: byteTx = try reader.u64(bytes)
            case 4 << 3: byteRx = try reader.u64(bytes)
            case 5 << 3: l3ByteTx = try reader.u64(bytes)
            case 6 << 3: l3ByteRx = try reader.u64(bytes)
            case 7 << 3: l4ByteTx = try reader.u64(bytes)
            case 8 << 3: l4ByteRx = try reader.u64(bytes)
            default: try reader.skip(bytes, tag, known: 0x1fe)
            }
        }
    }
}

extension AppMeter {
    fileprivate mutating func decode(_ bytes: RawSpan, _ within: FieldReader) throws(ParseError) {
        var reader = within
        while let tag = try reader.tag(bytes) {
            guard tag == 0x0a || tag == 0x12 || tag == 0x1a else {
                try reader.skip(bytes, tag, known: 0b1110)
                continue
            }
            var part = try reader.message(bytes)
            while let inner = try part.tag(bytes) {
                switch (tag, inner) {
                case (0x0a, 1 << 3): request = try part.u32(bytes)
                case (0x0a, 2 << 3): response = try part.u32(bytes)
                case (0x0a, 3 << 3): directionScore = try part.u8(bytes)
                case (0x12, 1 << 3): rrt.max = try part.u32(bytes)
                case (0x12, 2 << 3): rrt.sum = try part.u64(bytes)
                case (0x12, 3 << 3): rrt.count = try part.u32(bytes)
                case (0x1a, 1 << 3): clientError = try part.u32(bytes)
                case (0x1a, 2 << 3): serverError = try part.u32(bytes)
                case (0x1a, 3 << 3): timeout = try part.u32(bytes)
                default: try part.skip(bytes, inner, known: 0b1110)
                }
            }
        }
    }
}
