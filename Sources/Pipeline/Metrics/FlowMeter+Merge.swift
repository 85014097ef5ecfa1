package import Model

/// Which parts of a flow meter may be non-zero, so that merges leave the other cache lines alone.
struct MeterParts: OptionSet, BitwiseCopyable, Sendable {
    let rawValue: UInt8
    /// Latency, performance and out-of-order counts.
    static let performance = MeterParts(rawValue: 1)
    /// Close types.
    static let anomaly = MeterParts(rawValue: 2)
    /// L7 counts, response times and errors.
    static let l7 = MeterParts(rawValue: 4)
    static let all: MeterParts = [.performance, .anomaly, .l7]
}

extension FlowMeter {
    /// Adds another meter: counters add, maxima and the direction score take the larger. `load` is left to `FlowLoad`.
    /// Source: agent-flow.md 13.4.
    package mutating func merge(_ other: FlowMeter) {
        withUnsafeMutablePointer(to: &self) { own in
            withUnsafePointer(to: other) { FlowMeter.merge(into: own, $0, parts: .all, swapped: false) }
        }
    }

    /// Swaps what was sent and received, as seen from the other end. Only the traffic has ends of its own: latency,
    /// performance and anomalies are the client's and the server's wherever they are seen. The score becomes 0.
    package mutating func reverseTraffic() {
        swap(&packetTx, &packetRx)
        swap(&byteTx, &byteRx)
        swap(&l3ByteTx, &l3ByteRx)
        swap(&l4ByteTx, &l4ByteRx)
        directionScore = 0
    }

    /// - Parameter swapped: adds the traffic of `other` as if reversed.
    @inline(__always)
    static func merge(
        into own: UnsafeMutablePointer<FlowMeter>, _ other: UnsafePointer<FlowMeter>, parts: MeterParts, swapped: Bool
    ) {
        if swapped {
            own.pointee.packetTx &+= other.pointee.packetRx
            own.pointee.packetRx &+= other.pointee.packetTx
            own.pointee.byteTx &+= other.pointee.byteRx
            own.pointee.byteRx &+= other.pointee.byteTx
            own.pointee.l3ByteTx &+= other.pointee.l3ByteRx
            own.pointee.l3ByteRx &+= other.pointee.l3ByteTx
            own.pointee.l4ByteTx &+= other.pointee.l4ByteRx
            own.pointee.l4ByteRx &+= other.pointee.l4ByteTx
        } else {
            own.pointee.packetTx &+= other.pointee.packetTx
            own.pointee.packetRx &+= other.pointee.packetRx
            own.pointee.byteTx &+= other.pointee.byteTx
            own.pointee.byteRx &+= other.pointee.byteRx
            own.pointee.l3ByteTx &+= other.pointee.l3ByteTx
            own.pointee.l3ByteRx &+= other.pointee.l3ByteRx
            own.pointee.l4ByteTx &+= other.pointee.l4ByteTx
            own.pointee.l4ByteRx &+= other.pointee.l4ByteRx
            own.pointee.directionScore = max(own.pointee.directionScore, other.pointee.directionScore)
        }
        own.pointee.newFlow &+= other.pointee.newFlow
        own.pointee.closedFlow &+= other.pointee.closedFlow
        own.pointee.syn &+= other.pointee.syn
        own.pointee.synAck &+= other.pointee.synAck
        if parts.contains(.performance) { mergePerformance(into: own, other) }
        if parts.contains(.anomaly) { mergeAnomaly(into: own, other) }
        if parts.contains(.l7) { mergeL7(into: own, other) }
    }

    private static func mergePerformance(into own: UnsafeMutablePointer<FlowMeter>, _ other: UnsafePointer<FlowMeter>) {
        own.pointee.rtt.merge(other.pointee.rtt)
        own.pointee.rttClient.merge(other.pointee.rttClient)
        own.pointee.rttServer.merge(other.pointee.rttServer)
        own.pointee.srt.merge(other.pointee.srt)
        own.pointee.art.merge(other.pointee.art)
        own.pointee.cit.merge(other.pointee.cit)
        own.pointee.retransTx &+= other.pointee.retransTx
        own.pointee.retransRx &+= other.pointee.retransRx
        own.pointee.zeroWinTx &+= other.pointee.zeroWinTx
        own.pointee.zeroWinRx &+= other.pointee.zeroWinRx
        own.pointee.retransSyn &+= other.pointee.retransSyn
        own.pointee.retransSynAck &+= other.pointee.retransSynAck
        own.pointee.clientOoo &+= other.pointee.clientOoo
        own.pointee.serverOoo &+= other.pointee.serverOoo
    }

    private static func mergeAnomaly(into own: UnsafeMutablePointer<FlowMeter>, _ other: UnsafePointer<FlowMeter>) {
        own.pointee.clientRstFlow &+= other.pointee.clientRstFlow
        own.pointee.serverRstFlow &+= other.pointee.serverRstFlow
        own.pointee.serverSynMiss &+= other.pointee.serverSynMiss
        own.pointee.clientAckMiss &+= other.pointee.clientAckMiss
        own.pointee.clientHalfCloseFlow &+= other.pointee.clientHalfCloseFlow
        own.pointee.serverHalfCloseFlow &+= other.pointee.serverHalfCloseFlow
        own.pointee.clientSourcePortReuse &+= other.pointee.clientSourcePortReuse
        own.pointee.clientEstablishReset &+= other.pointee.clientEstablishReset
        own.pointee.serverReset &+= other.pointee.serverReset
        own.pointee.serverQueueLack &+= other.pointee.serverQueueLack
        own.pointee.serverEstablishReset &+= other.pointee.serverEstablishReset
        own.pointee.tcpTimeout &+= other.pointee.tcpTimeout
    }

    private static func mergeL7(into own: UnsafeMutablePointer<FlowMeter>, _ other: UnsafePointer<FlowMeter>) {
        own.pointee.l7Request &+= other.pointee.l7Request
        own.pointee.l7Response &+= other.pointee.l7Response
        own.pointee.rrt.merge(other.pointee.rrt)
        own.pointee.l7ClientError &+= other.pointee.l7ClientError
        own.pointee.l7ServerError &+= other.pointee.l7ServerError
        own.pointee.l7Timeout &+= other.pointee.l7Timeout
    }
}

extension AppMeter {
    package mutating func merge(_ other: AppMeter) {
        request &+= other.request
        response &+= other.response
        directionScore = max(directionScore, other.directionScore)
        rrt.merge(other.rrt)
        clientError &+= other.clientError
        serverError &+= other.serverError
        timeout &+= other.timeout
    }

    /// Nothing counted; the direction score does not matter.
    package var isEmpty: Bool {
        request | response | clientError | serverError | timeout | rrt.count | rrt.max == 0 && rrt.sum == 0
    }
}

extension UsageMeter {
    package mutating func merge(_ other: UsageMeter) {
        packetTx &+= other.packetTx
        packetRx &+= other.packetRx
        byteTx &+= other.byteTx
        byteRx &+= other.byteRx
        l3ByteTx &+= other.l3ByteTx
        l3ByteRx &+= other.l3ByteRx
        l4ByteTx &+= other.l4ByteTx
        l4ByteRx &+= other.l4ByteRx
    }
}
