import Model

/// Commands of OpenWire that stand alone. Source: agent-l7-protocols.md 17.
struct OpenWireType: Equatable {
    let rawValue: UInt8

    static let wireFormatInfo = OpenWireType(rawValue: 1)

    /// Nil: no command, or one that only stands inside others.
    var name: String? {
        switch rawValue {
        case 1: "WireFormatInfo"
        case 2: "BrokerInfo"
        case 3: "ConnectionInfo"
        case 4: "SessionInfo"
        case 5: "ConsumerInfo"
        case 6: "ProducerInfo"
        case 7: "TransactionInfo"
        case 8: "DestinationInfo"
        case 9: "RemoveSubscriptionInfo"
        case 10: "KeepAliveInfo"
        case 11: "ShutdownInfo"
        case 12: "RemoveInfo"
        case 14: "ControlCommand"
        case 15: "FlushCommand"
        case 16: "ConnectionError"
        case 17: "ConsumerControl"
        case 18: "ConnectionControl"
        case 19: "ProducerAck"
        case 20: "MessagePull"
        case 21: "MessageDispatch"
        case 22: "MessageAck"
        case 23: "ActiveMQMessage"
        case 24: "ActiveMQBytesMessage"
        case 25: "ActiveMQMapMessage"
        case 26: "ActiveMQObjectMessage"
        case 27: "ActiveMQStreamMessage"
        case 28: "ActiveMQTextMessage"
        case 29: "ActiveMQBlobMessage"
        case 30: "Response"
        case 31: "ExceptionResponse"
        case 32: "DataResponse"
        case 33: "DataArrayResponse"
        case 34: "IntegerResponse"
        case 40: "DiscoveryEvent"
        case 55: "DurableSubscriptionInfo"
        case 60: "PartialCommand"
        case 61: "PartialLastCommand"
        case 65: "Replay"
        case 90: "MessageDispatchNotification"
        default: nil
        }
    }

    var isResponse: Bool { (30...34).contains(rawValue) }
}

/// What both ends have agreed upon. Source: agent-l7-protocols.md 17, frame.
struct OpenWireFormat: BitwiseCopyable {
    var version: UInt32 = 12
    var isTight = true
    var lacksSize = false
    var isCaching = true

    /// Of two ends: the older version, and what both want.
    init(_ one: OpenWireFormat, _ other: OpenWireFormat) {
        version = min(one.version, other.version)
        isTight = one.isTight && other.isTight
        lacksSize = one.lacksSize && other.lacksSize
        isCaching = one.isCaching && other.isCaching
    }

    init() {}

    /// What one end offers in its WireFormatInfo; `body` begins with the magic.
    init?(_ payload: RawSpan, _ body: Range<Int>) {
        guard body.count >= 17, payload.hasPrefix("ActiveMQ", at: body.lowerBound) else { return nil }
        version = payload.be32(at: body.lowerBound &+ 8)
        let map = body.lowerBound &+ 17..<body.upperBound
        guard payload.u8(at: body.lowerBound &+ 12) == 1, Int(payload.be32(at: body.lowerBound &+ 13)) == map.count
        else {
            return nil
        }
        isTight = Self.flag("TightEncodingEnabled\u{1}", payload, map)
        lacksSize = Self.flag("SizePrefixDisabled\u{1}", payload, map)
        isCaching = Self.flag("CacheEnabled\u{1}", payload, map)
    }

    /// The byte behind a name and its type in the marshalled map.
    private static func flag(_ name: StaticString, _ payload: RawSpan, _ map: Range<Int>) -> Bool {
        guard let at = payload.firstIndex(of: name, in: map), at < map.upperBound else { return false }
        return payload.u8(at: at) == 1
    }
}

extension RawSpan {
    /// Offset behind the first occurrence of a text in a range.
    func firstIndex(of text: StaticString, in range: Range<Int>) -> Int? {
        let count = text.utf8CodeUnitCount
        guard count > 0 else { return nil }
        let first = unsafe text.utf8Start.pointee
        var at = range.lowerBound
        while let hit = firstIndex(of: first, from: at, to: range.upperBound &- count &+ 1) {
            if hasPrefix(text, at: hit) { return hit &+ count }
            at = hit &+ 1
        }
        return nil
    }
}
