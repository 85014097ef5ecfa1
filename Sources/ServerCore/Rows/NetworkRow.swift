package import Model

/// A row of `flow_metrics.network`: L4 counters of one end. Source: ingester.md 4 and the table's columns.
package struct NetworkRow: TableRow {
    /// Start of the slot, seconds since 1970.
    package let time: UInt32
    package let field: MiniField
    package let meter: FlowMeter
    package let tags: SideTags
    package let serverPort: UInt16
    package let teamID: UInt16

    package var isIPv6: Bool { field.isIPv6 }

    /// 0 client, 1 server, 2 local, 3 rest.
    private var role: UInt8 {
        switch field.direction & 7 {
        case 1: 0
        case 2: 1
        case 4: 2
        default: 3
        }
    }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let isIPv6 = field.isIPv6
        let derived = DerivedFlowCounts(meter)
        e.time(seconds: UInt64(time))
        e.uint(UInt64(field.globalThreadID & 0xff))
        e.uint(UInt64(tags.azID))
        e.uint(UInt64(role))
        e.uint(UInt64(tags.gpid))
        e.uint(UInt64(tags.hostID))
        e.ip4(isIPv6 ? 0 : field.ip.v4)
        e.ip6(isIPv6 ? field.ip : IPAddress())
        e.uint(isIPv6 ? 0 : 1)
        e.uint(UInt64(tags.source))
        e.uint(0)
        e.uint(UInt64(tags.l3DeviceID))
        e.uint(UInt64(tags.l3DeviceType))
        e.int(Int64(tags.l3EpcID))
        e.uint(UInt64(tags.podClusterID))
        e.uint(UInt64(tags.podGroupID))
        e.uint(UInt64(tags.podID))
        e.uint(UInt64(tags.podNodeID))
        e.uint(UInt64(tags.podNsID))
        e.uint(UInt64(field.proto))
        e.uint(UInt64(tags.regionID))
        e.uint(UInt64(tags.autoInstanceID))
        e.uint(UInt64(tags.autoInstanceType))
        e.uint(UInt64(tags.autoServiceID))
        e.uint(UInt64(tags.autoServiceType))
        e.uint(UInt64(field.signalSource))
        e.uint(UInt64(tags.serviceID))
        e.uint(UInt64(serverPort))
        e.uint(UInt64(tags.subnetID))
        e.uint(UInt64(field.tapType & 0xff))
        e.uint(UInt64(field.vtapID & 0xffff))
        e.uint(UInt64(teamID))
        e.uint(meter.packetTx)
        e.uint(meter.packetRx)
        e.uint(meter.packetTx &+ meter.packetRx)
        e.uint(meter.byteTx)
        e.uint(meter.byteRx)
        e.uint(meter.byteTx &+ meter.byteRx)
        e.uint(meter.l3ByteTx)
        e.uint(meter.l3ByteRx)
        e.uint(meter.l4ByteTx)
        e.uint(meter.l4ByteRx)
        e.uint(meter.newFlow)
        e.uint(meter.closedFlow)
        e.uint(UInt64(meter.l7Request))
        e.uint(UInt64(meter.l7Response))
        e.uint(UInt64(meter.syn))
        e.uint(UInt64(meter.synAck))
        e.uint(UInt64(meter.directionScore))
        e.real(Double(meter.rtt.sum))
        e.real(Double(meter.rttClient.sum))
        e.real(Double(meter.rttServer.sum))
        e.real(Double(meter.srt.sum))
        e.real(Double(meter.art.sum))
        e.real(Double(meter.rrt.sum))
        e.real(Double(meter.cit.sum))
        e.uint(UInt64(meter.rtt.count))
        e.uint(UInt64(meter.rttClient.count))
        e.uint(UInt64(meter.rttServer.count))
        e.uint(UInt64(meter.srt.count))
        e.uint(UInt64(meter.art.count))
        e.uint(UInt64(meter.rrt.count))
        e.uint(UInt64(meter.cit.count))
        e.uint(UInt64(meter.rtt.max))
        e.uint(UInt64(meter.rttClient.max))
        e.uint(UInt64(meter.rttServer.max))
        e.uint(UInt64(meter.srt.max))
        e.uint(UInt64(meter.art.max))
        e.uint(UInt64(meter.rrt.max))
        e.uint(UInt64(meter.cit.max))
        e.uint(meter.retransTx)
        e.uint(meter.retransRx)
        e.uint(meter.retransTx &+ meter.retransRx)
        e.uint(meter.zeroWinTx)
        e.uint(meter.zeroWinRx)
        e.uint(meter.zeroWinTx &+ meter.zeroWinRx)
        e.uint(UInt64(meter.retransSyn))
        e.uint(UInt64(meter.retransSynAck))
        e.uint(meter.clientRstFlow)
        e.uint(meter.serverRstFlow)
        e.uint(meter.serverSynMiss)
        e.uint(meter.clientAckMiss)
        e.uint(meter.clientHalfCloseFlow)
        e.uint(meter.serverHalfCloseFlow)
        e.uint(meter.clientSourcePortReuse)
        e.uint(meter.serverReset)
        e.uint(meter.serverQueueLack)
        e.uint(meter.clientEstablishReset)
        e.uint(meter.serverEstablishReset)
        e.uint(meter.tcpTimeout)
        e.uint(derived.clientEstablishFail)
        e.uint(derived.serverEstablishFail)
        e.uint(derived.tcpEstablishFail)
        e.uint(derived.tcpTransferFail)
        e.uint(derived.tcpRstFail)
        e.uint(meter.clientOoo)
        e.uint(meter.serverOoo)
        e.uint(UInt64(meter.l7ClientError))
        e.uint(UInt64(meter.l7ServerError))
        e.uint(UInt64(meter.l7Timeout))
        e.uint(UInt64(meter.l7ClientError &+ meter.l7ServerError))
        e.uint(meter.load)
    }
}
