import Model

/// A flow as the live table keeps it: sums since it was first seen, and the last seconds.
struct LiveFlow: LiveRecord {
    /// Seconds of which byte and packet counts are kept.
    static let recentSeconds = 4

    struct Recent {
        var second: UInt64 = 0
        var bytes: UInt64 = 0
        var packets: UInt64 = 0
    }

    let id: UInt64
    var key: FlowKey
    var isIPv6: Bool
    var clientText: String
    var serverText: String
    var vlan: UInt16
    var tunnelType: UInt8
    var tapSide: UInt8
    var closeType: UInt8 = 0
    var l7Protocol: UInt8 = 0
    var startNs: UInt64
    var lastNs: UInt64
    var lastSecond: UInt64
    var byteTx: UInt64 = 0
    var byteRx: UInt64 = 0
    var packetTx: UInt64 = 0
    var packetRx: UInt64 = 0
    var tcpFlagsTx: UInt8 = 0
    var tcpFlagsRx: UInt8 = 0
    var isClosed = false
    var rtt: UInt32 = 0
    var srt = LatencyStats()
    var art = LatencyStats()
    var retransTx: UInt32 = 0
    var retransRx: UInt32 = 0
    var zeroWin: UInt32 = 0
    var outOfOrder: UInt32 = 0
    var l7 = L7PerfStats()
    var recent: InlineArray<4, Recent> = .init(repeating: Recent())
    /// A second, kept up by `FlowTable.refreshRates`.
    var byteRate: Float = 0
    var packetRate: Float = 0
    var pid0: Int32 = 0
    var pid1: Int32 = 0
    var process0 = ""
    var process1 = ""

    init(_ flow: TaggedFlow, second: UInt64) {
        id = flow.flowID
        key = flow.key
        isIPv6 = flow.isIPv6
        clientText = flow.key.ipSrc.text(v6: flow.isIPv6)
        serverText = flow.key.ipDst.text(v6: flow.isIPv6)
        vlan = flow.vlan
        tunnelType = flow.tunnel.type
        tapSide = flow.tapSide
        startNs = flow.startTimeNs
        lastNs = flow.endTimeNs
        lastSecond = second
    }

    /// Adds the report of one second.
    mutating func add(_ flow: TaggedFlow, second: UInt64) {
        // The flow table may find out late which end is the client.
        if flow.key.ipSrc != key.ipSrc || flow.key.portSrc != key.portSrc { turn(to: flow) }
        byteTx &+= flow.src.byteCount
        byteRx &+= flow.dst.byteCount
        packetTx &+= flow.src.packetCount
        packetRx &+= flow.dst.packetCount
        tcpFlagsTx |= flow.src.tcpFlags
        tcpFlagsRx |= flow.dst.tcpFlags
        if startNs == 0 || (flow.startTimeNs != 0 && flow.startTimeNs < startNs) { startNs = flow.startTimeNs }
        lastNs = max(lastNs, flow.endTimeNs)
        lastSecond = max(lastSecond, second)
        tapSide = flow.tapSide
        if flow.closeType != CloseType.unknown.rawValue, flow.closeType != CloseType.forcedReport.rawValue {
            closeType = flow.closeType
            isClosed = true
        }
        if flow.perf.l7Protocol != 0 { l7Protocol = flow.perf.l7Protocol }
        if flow.perf.tcp.rtt != 0 { rtt = flow.perf.tcp.rtt }
        srt.merge(flow.perf.tcp.srt)
        art.merge(flow.perf.tcp.art)
        retransTx &+= flow.perf.tcp.tx.retrans
        retransRx &+= flow.perf.tcp.rx.retrans
        zeroWin &+= flow.perf.tcp.tx.zeroWin &+ flow.perf.tcp.rx.zeroWin
        outOfOrder &+= flow.perf.tcp.tx.outOfOrder &+ flow.perf.tcp.rx.outOfOrder
        l7.merge(flow.perf.l7)
        let slot = Int(second % UInt64(LiveFlow.recentSeconds))
        if recent[slot].second != second { recent[slot] = Recent(second: second) }
        recent[slot].bytes &+= flow.src.byteCount &+ flow.dst.byteCount
        recent[slot].packets &+= flow.src.packetCount &+ flow.dst.packetCount
    }

    private mutating func turn(to flow: TaggedFlow) {
        key = flow.key
        swap(&clientText, &serverText)
        clientText = flow.key.ipSrc.text(v6: isIPv6)
        serverText = flow.key.ipDst.text(v6: isIPv6)
        swap(&byteTx, &byteRx)
        swap(&packetTx, &packetRx)
        swap(&tcpFlagsTx, &tcpFlagsRx)
        swap(&retransTx, &retransRx)
        swap(&pid0, &pid1)
        swap(&process0, &process1)
    }

    /// Mean of the three whole seconds before `reference`; in a replay, of the flow's whole life.
    mutating func refreshRate(reference: UInt64, isReplay: Bool) {
        if isReplay {
            let seconds = max(1, Float(durationUs) / 1_000_000)
            byteRate = Float(byteTx &+ byteRx) / seconds
            packetRate = Float(packetTx &+ packetRx) / seconds
            return
        }
        var bytes: UInt64 = 0
        var packets: UInt64 = 0
        for index in 0..<LiveFlow.recentSeconds {
            let slot = recent[index]
            guard slot.second < reference, slot.second &+ 3 >= reference else { continue }
            bytes &+= slot.bytes
            packets &+= slot.packets
        }
        byteRate = Float(bytes) / 3
        packetRate = Float(packets) / 3
    }

    var durationUs: UInt64 { lastNs > startNs ? (lastNs - startNs) / 1000 : 0 }
    var errors: UInt32 { l7.errClientCount &+ l7.errServerCount &+ l7.errTimeout }
    var bytes: UInt64 { byteTx &+ byteRx }
    var isTCP: Bool { key.proto == IPProtocol.tcp }

    /// What a reader wants to know first: handshake refused, established, how it ended.
    var state: String {
        if isClosed { return "closed" }
        guard isTCP else { return "open" }
        let both = tcpFlagsTx & tcpFlagsRx
        if (tcpFlagsTx | tcpFlagsRx) & TCPFlags.fin != 0 { return "closing" }
        if both & TCPFlags.ack != 0 { return "open" }
        return tcpFlagsRx == 0 ? "opening" : "open"
    }

    package static let columns: [KnownColumn] = [
        .flowID, .ip0, .clientPort, .ip1, .serverPort, .protocol, .l7Protocol, .observationPoint, .state, .closeType,
        .startTime, .endTime, .duration, .byteRate, .packetRate, .byteTx, .byteRx, .packetTx, .packetRx, .bytes,
        .packets, .rtt, .srtAvg, .srtMax, .artAvg, .artMax, .rrtAvg, .rrtMax, .retransTx, .retransRx, .retrans,
        .zeroWin, .l7Request, .l7Response, .l7ClientError, .l7ServerError, .l7Timeout, .l7Error, .pid0, .process0,
        .pid1, .process1, .mac0, .mac1, .vlan, .captureNic, .tunnelType, .agentID,
    ]

    package func field(_ column: FilterColumn) -> FieldValue? {
        guard let known = column.known else { return nil }
        switch known {
        case .flowID: return .uint(id)
        case .ip0: return .text(clientText)
        case .ip1: return .text(serverText)
        case .clientPort: return .uint(UInt64(key.portSrc))
        case .serverPort: return .uint(UInt64(key.portDst))
        case .protocol: return .uint(UInt64(key.proto))
        case .l7Protocol: return .uint(UInt64(l7Protocol))
        case .observationPoint: return .text(TapSide(rawValue: tapSide)?.text ?? "")
        case .state: return .text(state)
        case .closeType: return .uint(UInt64(closeType))
        case .startTime: return .uint(startNs / 1000)
        case .time, .endTime: return .uint(lastNs / 1000)
        case .duration: return .uint(durationUs)
        case .byteRate: return .real(Double(byteRate))
        case .packetRate: return .real(Double(packetRate))
        case .byteTx: return .uint(byteTx)
        case .byteRx: return .uint(byteRx)
        case .packetTx: return .uint(packetTx)
        case .packetRx: return .uint(packetRx)
        case .bytes: return .uint(bytes)
        case .packets: return .uint(packetTx &+ packetRx)
        case .rtt: return .uint(UInt64(rtt))
        case .srtAvg: return .real(srt.mean)
        case .srtMax: return .uint(UInt64(srt.max))
        case .artAvg: return .real(art.mean)
        case .artMax: return .uint(UInt64(art.max))
        case .rrtAvg: return .real(l7.rrtCount == 0 ? 0 : Double(l7.rrtSum) / Double(l7.rrtCount))
        case .rrtMax: return .uint(UInt64(l7.rrtMax))
        case .retransTx: return .uint(UInt64(retransTx))
        case .retransRx: return .uint(UInt64(retransRx))
        case .retrans: return .uint(UInt64(retransTx &+ retransRx))
        case .zeroWin: return .uint(UInt64(zeroWin))
        case .l7Request: return .uint(UInt64(l7.requestCount))
        case .l7Response: return .uint(UInt64(l7.responseCount))
        case .l7ClientError: return .uint(UInt64(l7.errClientCount))
        case .l7ServerError: return .uint(UInt64(l7.errServerCount))
        case .l7Timeout: return .uint(UInt64(l7.errTimeout))
        case .l7Error: return .uint(UInt64(errors))
        case .pid0: return .int(Int64(pid0))
        case .process0: return .text(process0)
        case .pid1: return .int(Int64(pid1))
        case .process1: return .text(process1)
        case .mac0: return .text(macText(key.macSrc))
        case .mac1: return .text(macText(key.macDst))
        case .vlan: return .uint(UInt64(vlan))
        case .captureNic: return .uint(key.tapPort & 0xffff_ffff)
        case .tunnelType: return .uint(UInt64(tunnelType))
        case .agentID: return .uint(UInt64(key.agentID))
        default: return nil
        }
    }

    package func address(_ column: FilterColumn) -> FilterAddress? {
        switch column.known {
        case .ip0: FilterAddress(address: key.ipSrc, isIPv6: isIPv6)
        case .ip1: FilterAddress(address: key.ipDst, isIPv6: isIPv6)
        default: nil
        }
    }

    package func hasText(_ pattern: TextPattern) -> Bool {
        pattern.matches(clientText) || pattern.matches(serverText)
            || (l7Protocol != 0 && pattern.matches(l7Name)) || pattern.matches(IPProtocol.name(key.proto))
            || (!process0.isEmpty && pattern.matches(process0)) || (!process1.isEmpty && pattern.matches(process1))
            || pattern.matches(state) || pattern.matches(String(key.portDst)) || pattern.matches(String(key.portSrc))
    }

    var l7Name: String { (Model.L7Protocol(rawValue: l7Protocol) ?? .unknown).displayName }

    func sortKey(_ column: FilterColumn) -> SortKey {
        switch column.known {
        case .ip0: SortKey(key.ipSrc)
        case .ip1: SortKey(key.ipDst)
        case .byteRate: SortKey(Double(byteRate), tie: bytes)
        case .bytes: SortKey(Double(bytes), tie: startNs)
        case .packetRate: SortKey(Double(packetRate), tie: packetTx &+ packetRx)
        case .l7Protocol: SortKey(l7Protocol == 0 ? IPProtocol.name(key.proto) : l7Name)
        default: SortKey(field(column))
        }
    }
}

extension LatencyStats {
    /// Microseconds; 0 = nothing measured.
    var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }
}
