import Model

extension FlowMap {
    /// Emits a record of the node and starts its next period.
    /// - Parameter closing: nil for the periodic record.
    /// - Returns: whether re-evaluating the direction turned the flow round.
    mutating func report(_ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, closing: CloseType?) -> Bool {
        let isReversed = reassessDirection(node)
        // Trap 8.6: only the periodic record recomputes the observation point after a reversal.
        if closing == nil, node.pointee.tapSide == .rest, !node.pointee.isTapSideKnown { computeTapSide(node) }
        if closing != nil || settings.reportsEachSecond {
            let flow = nextOutput()
            fill(flow, from: node, closing: closing)
            if settings.reportsEachSecond {
                fillPerf(&flow.pointee.perf, from: node, index)
            } else {
                flow.pointee.perf = FlowPerfStats()
            }
            if node.pointee.hasExtra {
                updateExtra(node, index)
                flow.pointee.extra = extras[index]
            } else if flow.pointee.extra != nil {
                flow.pointee.extra = nil
            }
            if node.pointee.tunnel >= 0 {
                let tunnel = tunnels[node.pointee.tunnel].pointee
                flow.pointee.tunnel = node.pointee.isTunnelSwapped ? tunnel.swapped : tunnel
            } else if flow.pointee.tunnel.type != 0 {
                flow.pointee.tunnel = TunnelField()
            }
            emitL7Stats(node, closing: closing)
        }
        node.pointee.startPeriod()
        node.pointee.l7Perf = L7PerfStats()
        node.pointee.l7FailedCount = 0
        return isReversed
    }

    @inline(__always)
    private mutating func fillPerf(
        _ perf: inout FlowPerfStats, from node: UnsafeMutablePointer<FlowNode>, _ index: Int32
    ) {
        var hasStats = false
        if node.pointee.perf >= 0 {
            switch node.pointee.l4Protocol {
            case .tcp:
                let state = tcpPerfs[node.pointee.perf]
                hasStats = state.pointee.isUpdated
                if hasStats {
                    state.pointee.report(isReversed: node.pointee.isReversed, into: &perf.tcp)
                    // Packets alone are nothing measured.
                    hasStats = perf.tcp.hasMeasurements || perf.tcp.hasFlagCounts
                }
            case .udp:
                let state = udpPerfs[node.pointee.perf]
                hasStats = state.pointee.isUpdated
                if hasStats { state.pointee.report(into: &perf.tcp) }
            case .icmp, .unknown: break
            }
        } else if node.pointee.l4Protocol == .icmp, let state = icmpPerfs[index], state.isUpdated {
            hasStats = true
            state.report(into: &perf.tcp)
        }
        if hasStats {
            node.pointee.reportedL4Protocol = node.pointee.l4Protocol.rawValue
        } else {
            perf.tcp = TCPPerfStats()
        }
        perf.l4Protocol = node.pointee.reportedL4Protocol
        perf.l7 = node.pointee.l7Perf
        perf.l7Protocol = node.pointee.l7Protocol
        perf.l7FailedCount = node.pointee.l7FailedCount
    }

    @inline(__always)
    private func fill(
        _ flow: UnsafeMutablePointer<TaggedFlow>, from node: UnsafeMutablePointer<FlowNode>, closing: CloseType?
    ) {
        flow.pointee.key.tapPort = node.pointee.tapPort
        flow.pointee.key.macSrc = node.pointee.macSrc
        flow.pointee.key.macDst = node.pointee.macDst
        flow.pointee.key.ipSrc = node.pointee.ipSrc
        flow.pointee.key.ipDst = node.pointee.ipDst
        flow.pointee.key.agentID = settings.agentID
        flow.pointee.key.tapType = node.pointee.tapType
        flow.pointee.key.portSrc = node.pointee.portSrc
        flow.pointee.key.portDst = node.pointee.portDst
        flow.pointee.key.proto = node.pointee.proto
        node.pointee.src.copy(to: &flow.pointee.src, ip: node.pointee.ipSrc, port: node.pointee.portSrc)
        node.pointee.dst.copy(to: &flow.pointee.dst, ip: node.pointee.ipDst, port: node.pointee.portDst)
        flow.pointee.flowID = node.pointee.flowID
        flow.pointee.startTimeNs = node.pointee.startNs
        flow.pointee.durationNs = node.pointee.recentNs &- node.pointee.minArrivedNs
        flow.pointee.synSeq = node.pointee.synSeq
        flow.pointee.synAckSeq = node.pointee.synAckSeq
        flow.pointee.lastKeepaliveSeq = node.pointee.keepaliveSeq
        flow.pointee.lastKeepaliveAck = node.pointee.keepaliveAck
        flow.pointee.vlan = node.pointee.vlan
        flow.pointee.ethType = node.pointee.ethType
        flow.pointee.initIPID = node.pointee.initIPID
        flow.pointee.signalSource = SignalSource.packet.rawValue
        flow.pointee.tapSide = node.pointee.tapSide.rawValue
        flow.pointee.srcDirection = node.pointee.srcDirection.rawValue
        flow.pointee.dstDirection = node.pointee.dstDirection.rawValue
        flow.pointee.directionScore = node.pointee.directionScore
        flow.pointee.queueHash = settings.dispatcherID
        flow.pointee.isNewFlow = node.pointee.isNewFlow
        flow.pointee.isActiveService = node.pointee.isActiveService
        flow.pointee.isReversed = node.pointee.isReversed
        flow.pointee.hasPerfStats = settings.countsL4Performance || l7.isEnabled
        if let closing {
            flow.pointee.closeType = closing.rawValue
            flow.pointee.endTimeNs = node.pointee.recentNs &+ node.pointee.timeoutNs
            flow.pointee.flowStatTimeNs = flow.pointee.endTimeNs / 1_000_000_000 * 1_000_000_000
        } else {
            flow.pointee.closeType = CloseType.forcedReport.rawValue
            flow.pointee.flowStatTimeNs = node.pointee.statTimeNs
            // Not read downstream; the minute log sets its own.
            flow.pointee.endTimeNs = node.pointee.statTimeNs &+ 1_000_000_000
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
        peer.packetCount = UInt64(packetCount)
        peer.totalByteCount = totalByteCount
        peer.totalPacketCount = totalPacketCount
        peer.firstNs = firstNs
        peer.lastNs = lastNs
        peer.realIP = hasTOA ? IPAddress(v4: toaIP) : ip
        peer.realPort = hasTOA ? toaPort : port
        peer.natSource = hasTOA ? NATSource.toa : 0
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
