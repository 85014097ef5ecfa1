package import Model

/// `metric.Document`, message type 3. Source: wire.md 7.1, agent-flow.md 14.6.
extension Document: WireEncodable {
    package func encode(into writer: inout WireWriter) {
        writer.varint(1, timestamp)
        let tagStart = writer.begin(2)
        let fieldStart = writer.begin(1)
        tag.field.encode(into: &writer, isEdge: tag.isEdge)
        writer.end(fieldStart)
        writer.varint(2, tag.code)
        writer.end(tagStart)

        let meterStart = writer.begin(3)
        writer.varint(1, meter.id)
        switch meter {
        case .flow(let flow):
            let start = writer.begin(2)
            flow.encode(into: &writer)
            writer.end(start)
        case .usage(let usage):
            let start = writer.begin(3)
            usage.encode(into: &writer)
            writer.end(start)
        case .app(let app):
            let start = writer.begin(4)
            app.encode(into: &writer)
            writer.end(start)
        }
        writer.end(meterStart)
        writer.varint(4, flags)
    }
}

/// How the addresses of a document travel: four octets, or sixteen as soon as one of them needs them.
struct DocumentAddresses: Equatable {
    var isWide: Bool
    var ip: IPAddress
    var ip1: IPAddress

    /// A mix of families is sent as IPv4-mapped IPv6. Source: agent-flow.md 14.4.
    init(_ field: borrowing MiniField) {
        ip = field.ip
        ip1 = field.ip1
        isWide = field.isIPv6
        if !isWide, !ip.fitsIPv4 || !ip1.fitsIPv4 {
            isWide = true
            if ip.fitsIPv4 { ip = .mapped(ip.v4) }
            if ip1.fitsIPv4 { ip1 = .mapped(ip1.v4) }
        }
    }
}

extension IPAddress {
    /// Nothing above the low 32 bits.
    @inline(__always) var fitsIPv4: Bool { high == 0 && low >> 32 == 0 }
}

extension MiniField {
    @inline(__always)
    fileprivate func encode(into writer: inout WireWriter, isEdge: Bool) {
        let addresses = DocumentAddresses(self)
        if addresses.isWide {
            writer.address16(1, addresses.ip)
            if isEdge { writer.address16(2, addresses.ip1) }
        } else {
            writer.address4(1, addresses.ip.v4)
            if isEdge { writer.address4(2, addresses.ip1.v4) }
        }
        writer.varint(3, globalThreadID)
        writer.flag(4, isIPv6)
        writer.int32(5, l3EpcID)
        writer.int32(6, l3EpcID1)
        writer.varint(7, mac)
        writer.varint(8, mac1)
        writer.varint(9, direction)
        writer.varint(10, tapSide)
        writer.varint(11, proto)
        writer.varint(12, aclGid)
        writer.varint(13, serverPort)
        writer.varint(14, vtapID)
        writer.varint(15, tapPort)
        writer.varint(16, tapType)
        writer.varint(17, l7Protocol)
        writer.varint(20, gpid)
        writer.varint(21, gpid1)
        writer.varint(22, signalSource)
        writer.string(23, appService)
        writer.string(24, appInstance)
        writer.string(25, endpoint)
        writer.varint(27, podID)
        writer.varint(28, bizType)
    }
}

extension FlowMeter {
    fileprivate func encode(into writer: inout WireWriter) {
        let traffic = writer.begin(1)
        writer.varint(1, packetTx)
        writer.varint(2, packetRx)
        writer.varint(3, byteTx)
        writer.varint(4, byteRx)
        writer.varint(5, l3ByteTx)
        writer.varint(6, l3ByteRx)
        writer.varint(7, l4ByteTx)
        writer.varint(8, l4ByteRx)
        writer.varint(9, newFlow)
        writer.varint(10, closedFlow)
        writer.varint(11, l7Request)
        writer.varint(12, l7Response)
        writer.varint(13, syn)
        writer.varint(14, synAck)
        writer.varint(15, directionScore)
        writer.end(traffic)

        let latency = writer.begin(2)
        writer.varint(1, rtt.max)
        writer.varint(2, rttClient.max)
        writer.varint(3, rttServer.max)
        writer.varint(4, srt.max)
        writer.varint(5, art.max)
        writer.varint(6, rrt.max)
        writer.varint(7, rtt.sum)
        writer.varint(8, rttClient.sum)
        writer.varint(9, rttServer.sum)
        writer.varint(10, srt.sum)
        writer.varint(11, art.sum)
        writer.varint(12, rrt.sum)
        writer.varint(13, rtt.count)
        writer.varint(14, rttClient.count)
        writer.varint(15, rttServer.count)
        writer.varint(16, srt.count)
        writer.varint(17, art.count)
        writer.varint(18, rrt.count)
        writer.varint(19, cit.max)
        writer.varint(20, cit.sum)
        writer.varint(21, cit.count)
        writer.end(latency)

        let performance = writer.begin(3)
        writer.varint(1, retransTx)
        writer.varint(2, retransRx)
        writer.varint(3, zeroWinTx)
        writer.varint(4, zeroWinRx)
        writer.varint(5, retransSyn)
        writer.varint(6, retransSynAck)
        writer.end(performance)

        let anomaly = writer.begin(4)
        writer.varint(1, clientRstFlow)
        writer.varint(2, serverRstFlow)
        writer.varint(3, serverSynMiss)
        writer.varint(4, clientAckMiss)
        writer.varint(5, clientHalfCloseFlow)
        writer.varint(6, serverHalfCloseFlow)
        writer.varint(7, clientSourcePortReuse)
        writer.varint(8, clientEstablishReset)
        writer.varint(9, serverReset)
        writer.varint(10, serverQueueLack)
        writer.varint(11, serverEstablishReset)
        writer.varint(12, tcpTimeout)
        writer.varint(13, l7ClientError)
        writer.varint(14, l7ServerError)
        writer.varint(15, l7Timeout)
        writer.varint(20, clientOoo)
        writer.varint(21, serverOoo)
        writer.end(anomaly)

        let flowLoad = writer.begin(5)
        writer.varint(1, load)
        writer.end(flowLoad)
    }
}

extension UsageMeter {
    fileprivate func encode(into writer: inout WireWriter) {
        writer.varint(1, packetTx)
        writer.varint(2, packetRx)
        writer.varint(3, byteTx)
        writer.varint(4, byteRx)
        writer.varint(5, l3ByteTx)
        writer.varint(6, l3ByteRx)
        writer.varint(7, l4ByteTx)
        writer.varint(8, l4ByteRx)
    }
}

extension AppMeter {
    fileprivate func encode(into writer: inout WireWriter) {
        let traffic = writer.begin(1)
        writer.varint(1, request)
        writer.varint(2, response)
        writer.varint(3, directionScore)
        writer.end(traffic)
        let latency = writer.begin(2)
        writer.varint(1, rrt.max)
        writer.varint(2, rrt.sum)
        writer.varint(3, rrt.count)
        writer.end(latency)
        let anomaly = writer.begin(3)
        writer.varint(1, clientError)
        writer.varint(2, serverError)
        writer.varint(3, timeout)
        writer.end(anomaly)
    }
}
