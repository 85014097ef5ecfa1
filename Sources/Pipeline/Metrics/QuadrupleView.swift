import Model

/// A quadruple with its parts, as documents are made of it: the pointers are valid while the slot is held.
struct QuadrupleView {
    let entry: UnsafePointer<FlowMeterWithFlow>
    let response: UnsafePointer<ResponsePart>?
    let l7: UnsafePointer<L7Part>?
    let setup: UnsafePointer<SetupPart>?
    let fault: UnsafePointer<FaultPart>?

    /// Adds everything but the load to a document's meter.
    ///
    /// - Parameter swapped: seen from the other end. Only traffic has ends of its own: latency, performance and
    ///   anomalies are the client's and the server's wherever they are seen. The direction score is left out.
    @inline(__always)
    func add(to meter: UnsafeMutablePointer<FlowMeter>, swapped: Bool) {
        if swapped {
            meter.pointee.packetTx &+= UInt64(entry.pointee.packetRx)
            meter.pointee.packetRx &+= UInt64(entry.pointee.packetTx)
            meter.pointee.byteTx &+= entry.pointee.byteRx
            meter.pointee.byteRx &+= entry.pointee.byteTx
            meter.pointee.l3ByteTx &+= entry.pointee.l3ByteRx
            meter.pointee.l3ByteRx &+= entry.pointee.l3ByteTx
            meter.pointee.l4ByteTx &+= entry.pointee.l4ByteRx
            meter.pointee.l4ByteRx &+= entry.pointee.l4ByteTx
        } else {
            meter.pointee.packetTx &+= UInt64(entry.pointee.packetTx)
            meter.pointee.packetRx &+= UInt64(entry.pointee.packetRx)
            meter.pointee.byteTx &+= entry.pointee.byteTx
            meter.pointee.byteRx &+= entry.pointee.byteRx
            meter.pointee.l3ByteTx &+= entry.pointee.l3ByteTx
            meter.pointee.l3ByteRx &+= entry.pointee.l3ByteRx
            meter.pointee.l4ByteTx &+= entry.pointee.l4ByteTx
            meter.pointee.l4ByteRx &+= entry.pointee.l4ByteRx
            meter.pointee.directionScore = max(meter.pointee.directionScore, entry.pointee.directionScore)
        }
        meter.pointee.newFlow &+= UInt64(entry.pointee.newFlow)
        meter.pointee.closedFlow &+= UInt64(entry.pointee.closedFlow)
        if let response {
            meter.pointee.art.merge(response.pointee.art)
            meter.pointee.cit.merge(response.pointee.cit)
        }
        if let l7 { add(l7, to: meter) }
        if let setup { add(setup, to: meter) }
        if let fault { add(fault, to: meter) }
    }

    @inline(__always)
    private func add(_ part: UnsafePointer<L7Part>, to meter: UnsafeMutablePointer<FlowMeter>) {
        meter.pointee.l7Request &+= part.pointee.request
        meter.pointee.l7Response &+= part.pointee.response
        meter.pointee.l7ClientError &+= part.pointee.clientError
        meter.pointee.l7ServerError &+= part.pointee.serverError
        meter.pointee.l7Timeout &+= part.pointee.timeout
        meter.pointee.rrt.merge(part.pointee.rrt)
    }

    @inline(__always)
    private func add(_ part: UnsafePointer<SetupPart>, to meter: UnsafeMutablePointer<FlowMeter>) {
        meter.pointee.rtt.merge(part.pointee.rtt)
        meter.pointee.rttClient.merge(part.pointee.rttClient)
        meter.pointee.rttServer.merge(part.pointee.rttServer)
        meter.pointee.syn &+= part.pointee.syn
        meter.pointee.synAck &+= part.pointee.synAck
    }

    @inline(never)
    private func add(_ part: UnsafePointer<FaultPart>, to meter: UnsafeMutablePointer<FlowMeter>) {
        meter.pointee.srt.merge(part.pointee.srt)
        meter.pointee.retransTx &+= UInt64(part.pointee.tx.retrans)
        meter.pointee.retransRx &+= UInt64(part.pointee.rx.retrans)
        meter.pointee.zeroWinTx &+= UInt64(part.pointee.tx.zeroWin)
        meter.pointee.zeroWinRx &+= UInt64(part.pointee.rx.zeroWin)
        meter.pointee.clientOoo &+= UInt64(part.pointee.tx.outOfOrder)
        meter.pointee.serverOoo &+= UInt64(part.pointee.rx.outOfOrder)
        meter.pointee.retransSyn &+= part.pointee.retransSyn
        meter.pointee.retransSynAck &+= part.pointee.retransSynAck
        meter.pointee.serverRstFlow &+= UInt64(part.pointee.closed[2])
        meter.pointee.tcpTimeout &+= UInt64(part.pointee.closed[3])
        meter.pointee.serverSynMiss &+= UInt64(part.pointee.closed[7])
        meter.pointee.serverHalfCloseFlow &+= UInt64(part.pointee.closed[8])
        meter.pointee.clientRstFlow &+= UInt64(part.pointee.closed[9])
        meter.pointee.clientAckMiss &+= UInt64(part.pointee.closed[10])
        meter.pointee.clientHalfCloseFlow &+= UInt64(part.pointee.closed[11])
        meter.pointee.clientSourcePortReuse &+= UInt64(part.pointee.closed[13])
        meter.pointee.serverReset &+= UInt64(part.pointee.closed[15])
        meter.pointee.serverQueueLack &+= UInt64(part.pointee.closed[17])
        meter.pointee.clientEstablishReset &+= UInt64(part.pointee.closed[18])
        meter.pointee.serverEstablishReset &+= UInt64(part.pointee.closed[19])
    }
}
