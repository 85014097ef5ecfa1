/// Metrics of one tag set over one second or one minute. Source: agent-flow.md 14; wire.md 7.1.
@frozen
package struct Document: Sendable {
    /// Start of the slot, seconds since 1970.
    package var timestamp: UInt32 = 0
    /// Bit 0 set: one second, else one minute.
    package var flags: UInt32 = 0
    package var tag = MiniTag()
    package var meter = Meter.flow(FlowMeter())

    package static let perSecond: UInt32 = 1

    @inlinable package init() {}
}

/// Bits of `MiniTag.code`. Source: agent-flow.md 14.3.
package enum DocumentCode {
    package static let ip: UInt64 = 1 << 0
    package static let l3EpcID: UInt64 = 1 << 1
    package static let mac: UInt64 = 1 << 11
    package static let gpid: UInt64 = 1 << 15
    package static let ipPath: UInt64 = 1 << 20
    package static let l3EpcPath: UInt64 = 1 << 21
    package static let macPath: UInt64 = 1 << 31
    package static let gpidPath: UInt64 = 1 << 35
    package static let direction: UInt64 = 1 << 40
    package static let aclGid: UInt64 = 1 << 41
    package static let proto: UInt64 = 1 << 42
    package static let serverPort: UInt64 = 1 << 43
    package static let tapType: UInt64 = 1 << 45
    package static let vtapID: UInt64 = 1 << 47
    package static let tapSide: UInt64 = 1 << 48
    package static let tapPort: UInt64 = 1 << 49
    package static let l7Protocol: UInt64 = 1 << 51
    package static let tunnelIPID: UInt64 = 1 << 62
    /// Any of these makes a document an edge.
    package static let edgeMask: UInt64 = 0xff_fff0_0000
}

@frozen
package struct MiniTag: Sendable {
    /// As on the wire: an edge carries TAP_SIDE in place of DIRECTION.
    package var code: UInt64 = 0
    package var field = MiniField()

    @inlinable package init() {}
    @inlinable package var isEdge: Bool { code & DocumentCode.edgeMask != 0 }
}

@frozen
package struct MiniField: Sendable {
    package var ip = IPAddress()
    package var ip1 = IPAddress()
    package var mac: UInt64 = 0
    package var mac1: UInt64 = 0
    package var tapPort: UInt64 = 0
    package var l3EpcID: Int32 = 0
    package var l3EpcID1: Int32 = 0
    package var gpid: UInt32 = 0
    package var gpid1: UInt32 = 0
    package var podID: UInt32 = 0
    package var globalThreadID: UInt32 = 0
    package var vtapID: UInt32 = 0
    package var aclGid: UInt16 = 0
    package var serverPort: UInt16 = 0
    package var tapType: UInt16 = 0
    package var isIPv6 = false
    /// `TapSide` raw values.
    package var direction: UInt8 = 0
    package var tapSide: UInt8 = 0
    package var proto: UInt8 = 0
    package var l7Protocol: UInt8 = 0
    package var signalSource: UInt8 = 0
    package var bizType: UInt8 = 0
    package var appService = ""
    package var appInstance = ""
    package var endpoint = ""

    @inlinable package init() {}
}

@frozen
package enum Meter: Sendable {
    case flow(FlowMeter)
    case usage(UsageMeter)
    case app(AppMeter)

    /// `meter_id` of the wire.
    package var id: UInt32 {
        switch self {
        case .flow: 1
        case .usage: 4
        case .app: 5
        }
    }
}

@frozen
package struct FlowMeter: Sendable, BitwiseCopyable, Equatable {
    package var packetTx: UInt64 = 0
    package var packetRx: UInt64 = 0
    package var byteTx: UInt64 = 0
    package var byteRx: UInt64 = 0
    package var l3ByteTx: UInt64 = 0
    package var l3ByteRx: UInt64 = 0
    package var l4ByteTx: UInt64 = 0
    package var l4ByteRx: UInt64 = 0
    package var newFlow: UInt64 = 0
    package var closedFlow: UInt64 = 0
    package var l7Request: UInt32 = 0
    package var l7Response: UInt32 = 0
    package var syn: UInt32 = 0
    package var synAck: UInt32 = 0
    package var directionScore: UInt8 = 0

    package var rtt = LatencyStats()
    package var rttClient = LatencyStats()
    package var rttServer = LatencyStats()
    package var srt = LatencyStats()
    package var art = LatencyStats()
    package var rrt = LatencyStats()
    package var cit = LatencyStats()

    package var retransTx: UInt64 = 0
    package var retransRx: UInt64 = 0
    package var zeroWinTx: UInt64 = 0
    package var zeroWinRx: UInt64 = 0
    package var retransSyn: UInt32 = 0
    package var retransSynAck: UInt32 = 0

    package var clientRstFlow: UInt64 = 0
    package var serverRstFlow: UInt64 = 0
    package var serverSynMiss: UInt64 = 0
    package var clientAckMiss: UInt64 = 0
    package var clientHalfCloseFlow: UInt64 = 0
    package var serverHalfCloseFlow: UInt64 = 0
    package var clientSourcePortReuse: UInt64 = 0
    package var clientEstablishReset: UInt64 = 0
    package var serverReset: UInt64 = 0
    package var serverQueueLack: UInt64 = 0
    package var serverEstablishReset: UInt64 = 0
    package var tcpTimeout: UInt64 = 0
    package var l7ClientError: UInt32 = 0
    package var l7ServerError: UInt32 = 0
    package var l7Timeout: UInt32 = 0
    package var clientOoo: UInt64 = 0
    package var serverOoo: UInt64 = 0

    package var load: UInt64 = 0

    @inlinable package init() {}
}

@frozen
package struct UsageMeter: Sendable, BitwiseCopyable, Equatable {
    package var packetTx: UInt64 = 0
    package var packetRx: UInt64 = 0
    package var byteTx: UInt64 = 0
    package var byteRx: UInt64 = 0
    package var l3ByteTx: UInt64 = 0
    package var l3ByteRx: UInt64 = 0
    package var l4ByteTx: UInt64 = 0
    package var l4ByteRx: UInt64 = 0

    @inlinable package init() {}
}

@frozen
package struct AppMeter: Sendable, BitwiseCopyable, Equatable {
    package var request: UInt32 = 0
    package var response: UInt32 = 0
    package var directionScore: UInt8 = 0
    package var rrt = LatencyStats()
    package var clientError: UInt32 = 0
    package var serverError: UInt32 = 0
    package var timeout: UInt32 = 0

    @inlinable package init() {}
}
