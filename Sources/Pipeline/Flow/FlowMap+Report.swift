import Model

extension FlowMap {
    /// Emits a record of the node and starts its next period.
    /// - Parameter closing: nil for the periodic record.
    /// - Returns: whether re-evaluating the direction turned the flow round.
    mutating func report(_ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, closing: CloseType?) -> Bool {
        let isReversed = reassessDirection(node)
        // Trap 8.6: only the periodic record recomputes the observation point after a reversal.
        if closing == nil, node.pointee.tapSide == .rest { computeTapSide(node) }
        if closing != nil || settings.reportsEachSecond {
            let (agentID, dispatcherID) = (settings.agentID, settings.dispatcherID)
            let hasPerfStats = settings.countsL4Performance
            let extra = node.pointee.hasExtra ? extras[index] : nil
            let perf = takePerf(node, index)
            withOutput { flow in
                FlowMap.fill(&flow, from: node, closing: closing, agentID: agentID, queueHash: dispatcherID)
                flow.perf = perf
                flow.hasPerfStats = hasPerfStats
                flow.extra = extra
            }
            emitL7Stats(node, closing: closing)
        }
        node.pointee.startPeriod()
        node.pointee.l7Perf = L7PerfStats()
        node.pointee.l7FailedCount = 0
        return isReversed
    }

    private mutating func takePerf(_ node: UnsafeMutablePointer<FlowNode>, _ index: Int32) -> FlowPerfStats {
        var perf = FlowPerfStats()
        if node.pointee.perf >= 0 {
            switch node.pointee.l4Protocol {
            case .tcp:
                let state = tcpPerfs[node.pointee.perf]
                if state.pointee.isUpdated {
                    state.pointee.report(isReversed: node.pointee.isReversed, into: &perf.tcp)
                    node.pointee.reportedL4Protocol = L4Protocol.tcp.rawValue
                }
            case .udp:
                let state = udpPerfs[node.pointee.perf]
                if state.pointee.isUpdated {
                    state.pointee.report(into: &perf.tcp)
                    node.pointee.reportedL4Protocol = L4Protocol.udp.rawValue
                }
            case .icmp, .unknown: break
            }
        } else if node.pointee.l4Protocol == .icmp, let state = icmpPerfs[index], state.isUpdated {
            state.report(into: &perf.tcp)
            node.pointee.reportedL4Protocol = L4Protocol.icmp.rawValue
        }
        perf.l4Protocol = node.pointee.reportedL4Protocol
        perf.l7 = node.pointee.l7Perf
        perf.l7Protocol = node.pointee.l7Protocol
        perf.l7FailedCount = node.pointee.l7FailedCount
        return perf
    }

    private static func fill(
        _ flow: inout TaggedFlow, from node: UnsafeMutablePointer<FlowNode>, closing: CloseType?, agentID: UInt16,
        queueHash: UInt8
    ) {
        flow.key.tapPort = node.pointee.tapPort
        flow.key.macSrc = node.pointee.macSrc
        flow.key.macDst = node.pointee.macDst
        flow.key.ipSrc = node.pointee.ipSrc
        flow.key.ipDst = node.pointee.ipDst
        flow.key.agentID = agentID
        flow.key.tapType = node.pointee.tapType
        flow.key.portSrc = node.pointee.portSrc
        flow.key.portDst = node.pointee.portDst
        flow.key.proto = node.pointee.proto
        node.pointee.src.copy(to: &flow.src, ip: node.pointee.ipSrc, port: node.pointee.portSrc)
        node.pointee.dst.copy(to: &flow.dst, ip: node.pointee.ipDst, port: node.pointee.portDst)
        flow.flowID = node.pointee.flowID
        flow.startTimeNs = node.pointee.startNs
        flow.durationNs = node.pointee.recentNs &- node.pointee.minArrivedNs
        flow.synSeq = node.pointee.synSeq
        flow.synAckSeq = node.pointee.synAckSeq
        flow.lastKeepaliveSeq = node.pointee.keepaliveSeq
        flow.lastKeepaliveAck = node.pointee.keepaliveAck
        flow.vlan = node.pointee.vlan
        flow.ethType = node.pointee.ethType
        flow.initIPID = node.pointee.initIPID
        flow.signalSource = SignalSource.packet.rawValue
        flow.tapSide = node.pointee.tapSide.rawValue
        flow.srcDirection = node.pointee.srcDirection.rawValue
        flow.dstDirection = node.pointee.dstDirection.rawValue
        flow.directionScore = node.pointee.directionScore
        flow.queueHash = queueHash
        flow.isNewFlow = node.pointee.isNewFlow
        flow.isActiveService = node.pointee.isActiveService
        flow.isReversed = node.pointee.isReversed
        if let closing {
            flow.closeType = closing.rawValue
            flow.endTimeNs = node.pointee.recentNs &+ node.pointee.timeoutNs
            flow.flowStatTimeNs = flow.endTimeNs / 1_000_000_000 * 1_000_000_000
        } else {
            flow.closeType = CloseType.forcedReport.rawValue
            flow.flowStatTimeNs = node.pointee.statTimeNs
            // Not read downstream; the minute log sets its own.
            flow.endTimeNs = node.pointee.statTimeNs &+ 1_000_000_000
        }
    }

    /// Source: agent-flow.md 10.3.
    func closeType(of node: UnsafeMutablePointer<FlowNode>) -> CloseType {
        let serverReset = node.pointee.dst.totalTCPFlags & TCPFlags.rst != 0
        switch node.pointee.state {
        case .exception, .raw: return .unknown
        case .closingTx2, .closingRx2, .closed: return .finish
        case .established: return node.pointee.l4Protocol == .tcp ? .timeout : .finish
        case .reset:
            if isHeartbeat(node) { return .tcpFinClientRst }
            if serverReset { return .tcpServerRst }
            let perf = node.pointee.l7Perf
            return perf.responseCount > 0 && perf.errClientCount == 0 && perf.errServerCount == 0
                ? .tcpFinClientRst : .tcpClientRst
        case .opening1: return .clientSynRepeat
        case .closingTx1: return .serverHalfClose
        case .opening2: return .serverSynAckRepeat
        case .closingRx1: return .clientHalfClose
        case .syn1, .clientL4PortReuse: return isHeartbeat(node) ? .tcpFinClientRst : .clientSourcePortReuse
        case .serverReset: return .serverReset
        case .synAck1: return .serverQueueLack
        case .serverCandidateQueueLack: return node.pointee.dst.totalPacketCount > 3 ? .serverQueueLack : .tcpClientRst
        case .establishReset, .openingRst:
            if isHeartbeat(node) { return .tcpFinClientRst }
            return serverReset ? .serverEstablishReset : .clientEstablishReset
        }
    }

    private func isHeartbeat(_ node: UnsafeMutablePointer<FlowNode>) -> Bool {
        let client = node.pointee.src.totalTCPFlags
        let server = node.pointee.dst.totalTCPFlags
        return (client | server) & TCPFlags.psh == 0
            && client & (TCPFlags.syn | TCPFlags.rst) == TCPFlags.syn | TCPFlags.rst
            && server & TCPFlags.synAck == TCPFlags.synAck
    }
}

extension FlowNode.Peer {
    fileprivate func copy(to peer: inout FlowMetricsPeer, ip: IPAddress, port: UInt16) {
        peer.byteCount = byteCount
        peer.l3ByteCount = l3ByteCount
        peer.l4ByteCount = l4ByteCount
        peer.packetCount = packetCount
        peer.totalByteCount = totalByteCount
        peer.totalPacketCount = totalPacketCount
        peer.firstNs = firstNs
        peer.lastNs = lastNs
        peer.realIP = hasTOA ? IPAddress(v4: toaIP) : ip
        peer.realPort = hasTOA ? toaPort : port
        peer.natSource = hasTOA ? 6 : 0
        peer.l3EpcID = epc
        peer.tcpFlags = tcpFlags
        peer.totalTCPFlags = totalTCPFlags
        peer.isL2End = isL2End
        peer.isL3End = isL3End
        peer.isDevice = isDevice
        peer.isLocalMac = isLocalMac
        peer.isLocalIP = isLocalIP
    }
}
