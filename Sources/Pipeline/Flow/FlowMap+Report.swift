import Model

extension FlowMap {
    /// Emits a record of the node and starts its next period.
    /// - Parameter closing: nil for the periodic record.
    /// - Returns: whether re-evaluating the direction turned the flow round.
    mutating func report(_ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, closing: CloseType?) -> Bool {
        let isReversed = reassessDirection(node)
        // Trap 8.6: only the periodic record recomputes the observation point after a reversal.
        if closing == nil, node.pointee.tapSide == .rest, !node.pointee.marks.contains(.tapSideKnown) {
            computeTapSide(node)
        }
        if closing != nil || settings.reportsEachSecond {
            let flow = nextOutput()
            fill(flow, from: node, closing: closing)
            if settings.reportsEachSecond {
                fillPerf(&flow.pointee.perf, from: node, index)
            } else {
                flow.pointee.perf = FlowPerfStats()
            }
            if node.pointee.marks.contains(.extra) {
                flow.pointee.extra = extras[index]
            } else if flow.pointee.extra != nil {
                flow.pointee.extra = nil
            }
            if node.pointee.tunnelType != .none {
                let tunnel = parts.rareFacts(of: node).pointee.tunnel
                flow.pointee.tunnel = node.pointee.marks.contains(.tunnelSwapped) ? tunnel.swapped : tunnel
            } else if flow.pointee.tunnel.type != 0 {
                flow.pointee.tunnel = TunnelField()
            }
            emitL7Stats(node, closing: closing)
        }
        node.pointee.src.tcpFlags = 0
        node.pointee.dst.tcpFlags = 0
        node.pointee.marks.remove(.new)
        node.pointee.senders.startPeriod()
        parts.endPeriod(of: node)
        return isReversed
    }

    @inline(__always)
    private mutating func fillPerf(
        _ perf: inout FlowPerfStats, from node: UnsafeMutablePointer<FlowNode>, _ index: Int32
    ) {
        var hasStats = false
        switch node.pointee.l4Protocol {
        case .tcp:
            if node.pointee.period >= 0 {
                node.pointee.perf.report(
                    parts.counts(of: node), isReversed: node.pointee.marks.contains(.reversed), into: &perf.tcp)
                hasStats = perf.tcp.hasMeasurements || perf.tcp.hasFlagCounts
            }
        case .udp:
            let state = FlowNode.udp(node)
            hasStats = state.pointee.isUpdated
            if hasStats { state.pointee.report(into: &perf.tcp) }
        case .icmp:
            if let state = icmpPerfs[index], state.isUpdated {
                hasStats = true
                state.report(into: &perf.tcp)
            }
        case .unknown: break
        }
        if hasStats {
            node.pointee.reportedL4Protocol = node.pointee.l4Protocol.rawValue
        } else {
            perf.tcp = TCPPerfStats()
        }
        perf.l4Protocol = node.pointee.reportedL4Protocol
        perf.l7Protocol = node.pointee.l7Protocol
        if let counts = parts.knownL7Counts(of: node) {
            perf.l7 = counts.pointee.stats
            perf.l7FailedCount = counts.pointee.failedCount
        } else {
            perf.l7 = L7PerfStats()
            perf.l7FailedCount = 0
        }
    }

    @inline(__always)
    private mutating func fill(
        _ flow: UnsafeMutablePointer<TaggedFlow>, from node: UnsafeMutablePointer<FlowNode>, closing: CloseType?
    ) {
        flow.pointee.key.tapPort = node.pointee.tapPort
        flow.pointee.key.macSrc = node.pointee.macSrc
        flow.pointee.key.macDst = node.pointee.macDst
        let ends = ends(of: node)
        flow.pointee.key.ipSrc = ends.seen.src
        flow.pointee.key.ipDst = ends.seen.dst
        flow.pointee.key.agentID = settings.agentID
        flow.pointee.key.tapType = node.pointee.tapType
        flow.pointee.key.portSrc = node.pointee.portSrc
        flow.pointee.key.portDst = node.pointee.portDst
        flow.pointee.key.proto = node.pointee.proto
        node.pointee.src.copy(to: &flow.pointee.src, ip: ends.real.src, port: ends.portSrc)
        node.pointee.dst.copy(to: &flow.pointee.dst, ip: ends.real.dst, port: ends.portDst)
        flow.pointee.src.firstNs = node.pointee.srcFirstNs
        flow.pointee.dst.firstNs = node.pointee.dstFirstNs
        if node.pointee.period >= 0 {
            let period = parts.openPeriod(of: node)
            period.pointee.src.copy(to: &flow.pointee.src)
            period.pointee.dst.copy(to: &flow.pointee.dst)
        } else {
            FlowPeriod.Sent().copy(to: &flow.pointee.src)
            FlowPeriod.Sent().copy(to: &flow.pointee.dst)
        }
        flow.pointee.flowID = node.pointee.flowID
        flow.pointee.startTimeNs = node.pointee.startNs
        flow.pointee.durationNs = node.pointee.recentNs &- node.pointee.startNs
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
        flow.pointee.isNewFlow = node.pointee.marks.contains(.new)
        flow.pointee.isActiveService = node.pointee.marks.contains(.activeService)
        flow.pointee.isReversed = node.pointee.marks.contains(.reversed)
        flow.pointee.hasPerfStats = settings.countsL4Performance || l7.isEnabled
        if let closing {
            flow.pointee.closeType = closing.rawValue
            flow.pointee.endTimeNs = node.pointee.recentNs &+ node.pointee.timeoutNs
            flow.pointee.flowStatTimeNs = flow.pointee.endTimeNs / 1_000_000_000 * 1_000_000_000
        } else {
            flow.pointee.closeType = CloseType.forcedReport.rawValue
            let second = UInt64(node.pointee.timestampKey) &* 1_000_000_000
            flow.pointee.flowStatTimeNs = second
            // Not read downstream; the minute log sets its own.
            flow.pointee.endTimeNs = second &+ 1_000_000_000
        }
    }

    /// Source: agent-flow.md 10.3.
    mutating func closeType(of node: UnsafeMutablePointer<FlowNode>) -> CloseType {
        let serverReset = node.pointee.dst.totalTCPFlags & TCPFlags.rst != 0
        switch node.pointee.state {
        case .exception, .raw: return .unknown
        case .closingTx2, .closingRx2, .closed: return .finish
        case .established: return node.pointee.l4Protocol == .tcp ? .timeout : .finish
        case .reset:
            if isHeartbeat(node) { return .tcpFinClientRst }
            if serverReset { return .tcpServerRst }
            let perf = parts.knownL7Counts(of: node)?.pointee.stats ?? L7PerfStats()
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

/// The addresses of a flow's ends as captured, and with their ports as they really are.
struct NodeEnds: BitwiseCopyable {
    var seen: WideAddresses
    var real: WideAddresses
    var portSrc: UInt16
    var portDst: UInt16
}

extension FlowMap {
    /// Mutating, as all that look into `parts`, so that these are passed by reference and not copied.
    @inline(__always)
    mutating func ends(of node: UnsafeMutablePointer<FlowNode>) -> NodeEnds {
        let seen = parts.addresses(of: node)
        var ends = NodeEnds(seen: seen, real: seen, portSrc: node.pointee.portSrc, portDst: node.pointee.portDst)
        if node.pointee.src.hasTOA {
            let real = parts.rareFacts[node.pointee.rare].pointee.src
            ends.real.src = IPAddress(v4: real.ip)
            ends.portSrc = real.port
        }
        if node.pointee.dst.hasTOA {
            let real = parts.rareFacts[node.pointee.rare].pointee.dst
            ends.real.dst = IPAddress(v4: real.ip)
            ends.portDst = real.port
        }
        return ends
    }
}

extension FlowNode.Peer {
    @inline(__always) var hasTOA: Bool { marks.contains(.toa) }

    /// - Parameters: real address and port.
    @inline(__always)
    fileprivate func copy(to peer: inout FlowMetricsPeer, ip: IPAddress, port: UInt16) {
        peer.totalByteCount = totalByteCount
        peer.totalPacketCount = totalPacketCount
        peer.lastNs = lastNs
        peer.realIP = ip
        peer.realPort = port
        peer.natSource = hasTOA ? NATSource.toa : 0
        peer.l3EpcID = epc
        peer.tcpFlags = tcpFlags
        peer.totalTCPFlags = totalTCPFlags
        peer.isL2End = marks.contains(.l2End)
        peer.isL3End = marks.contains(.l3End)
        peer.isDevice = marks.contains(.device)
        peer.isLocalMac = marks.contains(.localMac)
        peer.isLocalIP = marks.contains(.localIP)
    }
}

extension FlowPeriod.Sent {
    @inline(__always)
    fileprivate func copy(to peer: inout FlowMetricsPeer) {
        peer.byteCount = byteCount
        peer.l3ByteCount = l3ByteCount
        peer.l4ByteCount = l4ByteCount
        peer.packetCount = UInt64(packetCount)
    }
}
