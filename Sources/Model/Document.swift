/// Metrics of one tag set over one second or one minute. Source: agent-flow.md 14; wire.md 7.1.
@frozen
public struct Document: Sendable {
    /// Start of the slot, seconds since 1970.
    public var timestamp: UInt32 = 0
    /// Bit 0 set: one second, else one minute.
    public var flags: UInt32 = 0
    public var tag = MiniTag()
    public var meter = Meter.flow(FlowMeter())

    public static let perSecond: UInt32 = 1

    @inlinable public init() {}
}

/// Bits of `MiniTag.code`. Source: agent-flow.md 14.3.
public enum DocumentCode {
    public static let ip: UInt64 = 1 << 0
    public static let l3EpcID: UInt64 = 1 << 1
    public static let mac: UInt64 = 1 << 11
    public static let gpid: UInt64 = 1 << 15
    public static let ipPath: UInt64 = 1 << 20
    public static let l3EpcPath: UInt64 = 1 << 21
    public static let macPath: UInt64 = 1 << 31
    public static let gpidPath: UInt64 = 1 << 35
    public static let direction: UInt64 = 1 << 40
    public static let aclGid: UInt64 = 1 << 41
    public static let proto: UInt64 = 1 << 42
    public static let serverPort: UInt64 = 1 << 43
    public static let tapType: UInt64 = 1 << 45
    public static let vtapID: UInt64 = 1 << 47
    public static let tapSide: UInt64 = 1 << 48
    public static let tapPort: UInt64 = 1 << 49
    public static let l7Protocol: UInt64 = 1 << 51
    public static let tunnelIPID: UInt64 = 1 << 62
    /// Any of these makes a document an edge.
    public static let edgeMask: UInt64 = 0xff_fff0_0000
}

@frozen
public struct MiniTag: Sendable {
    /// As on the wire: an edge carries TAP_SIDE in place of DIRECTION.
    public var code: UInt64 = 0
    public var field = MiniField()

    @inlinable public init() {}
    @inlinable public var isEdge: Bool { code & DocumentCode.edgeMask != 0 }
}

@frozen
public struct MiniField: Sendable {
    public var ip = IPAddress()
    public var ip1 = IPAddress()
    public var mac: UInt64 = 0
    public var mac1: UInt64 = 0
    public var tapPort: UInt64 = 0
    public var l3EpcID: Int32 = 0
    public var l3EpcID1: Int32 = 0
    public var gpid: UInt32 = 0
    public var gpid1: UInt32 = 0
    public var podID: UInt32 = 0
    public var globalThreadID: UInt32 = 0
    public var vtapID: UInt32 = 0
    public var aclGid: UInt16 = 0
    public var serverPort: UInt16 = 0
    public var tapType: UInt16 = 0
    public var isIPv6 = false
    /// `TapSide` raw values.
    public var direction: UInt8 = 0
    public var tapSide: UInt8 = 0
    public var proto: UInt8 = 0
    public var l7Protocol: UInt8 = 0
    public var signalSource: UInt8 = 0
    public var bizType: UInt8 = 0
    public var appService = ""
    public var appInstance = ""
    public var endpoint = ""

    @inlinable public init() {}
}

@frozen
public enum Meter: Sendable {
    case flow(FlowMeter)
    case usage(UsageMeter)
    case app(AppMeter)

    /// `meter_id` of the wire.
    public var id: UInt32 {
        switch self {
        case .flow: 1
        case .usage: 4
        case .app: 5
        }
    }
}

@frozen
public struct FlowMeter: Sendable, BitwiseCopyable, Equatable {
    public var packetTx: UInt64 = 0
    public var packetRx: UInt64 = 0
    public var byteTx: UInt64 = 0
    public var byteRx: UInt64 = 0
    public var l3ByteTx: UInt64 = 0
    public var l3ByteRx: UInt64 = 0
    public var l4ByteTx: UInt64 = 0
    public var l4ByteRx: UInt64 = 0
    public var newFlow: UInt64 = 0
    public var closedFlow: UInt64 = 0
    public var l7Request: UInt32 = 0
    public var l7Response: UInt32 = 0
    public var syn: UInt32 = 0
    public var synAck: UInt32 = 0
    public var directionScore: UInt8 = 0

    public var rtt = LatencyStats()
    public var rttClient = LatencyStats()
    public var rttServer = LatencyStats()
    public var srt = LatencyStats()
    public var art = LatencyStats()
    public var rrt = LatencyStats()
    public var cit = LatencyStats()

    public var retransTx: UInt64 = 0
    public var retransRx: UInt64 = 0
    public var zeroWinTx: UInt64 = 0
    public var zeroWinRx: UInt64 = 0
    public var retransSyn: UInt32 = 0
    public var retransSynAck: UInt32 = 0

    public var clientRstFlow: UInt64 = 0
    public var serverRstFlow: UInt64 = 0
    public var serverSynMiss: UInt64 = 0
    public var clientAckMiss: UInt64 = 0
    public var clientHalfCloseFlow: UInt64 = 0
    public var serverHalfCloseFlow: UInt64 = 0
    public var clientSourcePortReuse: UInt64 = 0
    public var clientEstablishReset: UInt64 = 0
    public var serverReset: UInt64 = 0
    public var serverQueueLack: UInt64 = 0
    public var serverEstablishReset: UInt64 = 0
    public var tcpTimeout: UInt64 = 0
    public var l7ClientError: UInt32 = 0
    public var l7ServerError: UInt32 = 0
    public var l7Timeout: UInt32 = 0
    public var clientOoo: UInt64 = 0
    public var serverOoo: UInt64 = 0

    public var load: UInt64 = 0

    @inlinable public init() {}
}

@frozen
public struct UsageMeter: Sendable, BitwiseCopyable, Equatable {
    public var packetTx: UInt64 = 0
    public var packetRx: UInt64 = 0
    public var byteTx: UInt64 = 0
    public var byteRx: UInt64 = 0
    public var l3ByteTx: UInt64 = 0
    public var l3ByteRx: UInt64 = 0
    public var l4ByteTx: UInt64 = 0
    public var l4ByteRx: UInt64 = 0

    @inlinable public init() {}
}

@frozen
public struct AppMeter: Sendable, BitwiseCopyable, Equatable {
    public var request: UInt32 = 0
    public var response: UInt32 = 0
    public var directionScore: UInt8 = 0
    public var rrt = LatencyStats()
    public var clientError: UInt32 = 0
    public var serverError: UInt32 = 0
    public var timeout: UInt32 = 0

    @inlinable public init() {}
}
