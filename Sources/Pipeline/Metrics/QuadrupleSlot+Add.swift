import Model

/// How records add up in a slot. Source: agent-flow.md 13.3, 13.4.
extension QuadrupleSlot {
    /// Adds a record to its quadruple. False = it would be a new one, refused because there are `limit`.
    /// - Parameter second: of the record, from the start of the slot.
    @inline(__always)
    mutating func add(
        _ record: UnsafePointer<MeteredRecord>, second: UInt8, limit: Int, _ settings: borrowing FlowMetricsSettings
    ) -> Bool {
        let found = positions.find(record.pointee.hash) { key(of: entries[$0]).equals(record.pointee.key) }
        let entry: UnsafeMutablePointer<FlowMeterWithFlow>
        if let found {
            entry = entries[found]
            entry.pointee.second = second
            if record.pointee.hasTraffic { FlowMeterWithFlow.addTraffic(record.pointee.flow, to: entry) }
            if !settings.npmMetricsConcurrent || !entry.pointee.flow.hasConnections { addLoad(record, to: entry) }
        } else {
            let position = entries.count
            guard position < limit else { return false }
            entry = entries.append()
            FlowMeterWithFlow.initialize(entry, record.pointee.flow, record.pointee.facts, second: second)
            positions.insert(record.pointee.hash, position: position)
            if entry.pointee.flow.hasEnds { addEnds(record.pointee.flow, to: entry) }
            hasKnownEnds = hasKnownEnds || entry.pointee.flow.hasKnownEnd
            mayMergePairs = mayMergePairs || !entry.pointee.flow.isPairOfItsOwn
        }
        let parts = record.pointee.parts
        if parts & MeteredRecord.Parts.response != 0 { addResponse(record, to: entry, settings) }
        if parts & MeteredRecord.Parts.l7 != 0 { addL7(record.pointee.flow, to: entry) }
        if parts & MeteredRecord.Parts.setup != 0 { addSetup(record, to: entry) }
        if parts & MeteredRecord.Parts.fault != 0 { addFault(record, to: entry) }
        return true
    }

    @inline(__always)
    private mutating func addResponse(
        _ record: UnsafePointer<MeteredRecord>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>,
        _ settings: borrowing FlowMetricsSettings
    ) {
        let tcp = record.pointee.flow.pointer(to: \.perf.tcp).unsafelyUnwrapped
        var art = tcp.pointee.art
        var cit = LatencyStats()
        if record.pointee.hasPacketTimes {
            cit = tcp.pointee.cit
        } else if !settings.countsUDPResponses {
            // The reference counts as many responses as the longest took microseconds.
            art.count = art.max
        }
        if entry.pointee.parts.response == 0 {
            responses.append().initialize(to: ResponsePart(art: art, cit: cit))
            entry.pointee.parts.response = responses.count
        } else {
            let part = responses[entry.pointee.parts.response &- 1]
            part.pointee.art.merge(art)
            part.pointee.cit.merge(cit)
        }
    }

    @inline(__always)
    private mutating func addL7(
        _ flow: UnsafePointer<TaggedFlow>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) {
        let stats = flow.pointer(to: \.perf.l7).unsafelyUnwrapped
        if entry.pointee.parts.l7 == 0 {
            l7.append().initialize(to: L7Part())
            entry.pointee.parts.l7 = l7.count
        }
        let part = l7[entry.pointee.parts.l7 &- 1]
        part.pointee.request &+= stats.pointee.requestCount
        part.pointee.response &+= stats.pointee.responseCount
        part.pointee.clientError &+= stats.pointee.errClientCount
        part.pointee.serverError &+= stats.pointee.errServerCount
        part.pointee.timeout &+= stats.pointee.errTimeout
        part.pointee.rrt.max = max(part.pointee.rrt.max, stats.pointee.rrtMax)
        part.pointee.rrt.count &+= stats.pointee.rrtCount
        part.pointee.rrt.sum &+= stats.pointee.rrtSum
    }

    @inline(__always)
    private mutating func addSetup(
        _ record: UnsafePointer<MeteredRecord>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) {
        let tcp = record.pointee.flow.pointer(to: \.perf.tcp).unsafelyUnwrapped
        let part = setup(of: entry)
        part.pointee.syn &+= tcp.pointee.synCount
        part.pointee.synAck &+= tcp.pointee.synAckCount
        guard record.pointee.hasPacketTimes else { return }
        if tcp.pointee.rtt > 0 { part.pointee.rtt.add(tcp.pointee.rtt) }
        part.pointee.rttClient.merge(tcp.pointee.rttClient)
        part.pointee.rttServer.merge(tcp.pointee.rttServer)
    }

    @inline(never)
    private mutating func addFault(
        _ record: UnsafePointer<MeteredRecord>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) {
        let flow = record.pointee.flow
        let part = fault(of: entry)
        let closeType = flow.pointee.closeType
        if flow.pointee.signalSource == Raw.xflow {
            part.pointee.sampledNew &+= flow.pointee.isNewFlow ? 1 : 0
            part.pointee.sampledClosed &+= closeType != Raw.forcedReport ? 1 : 0
        }
        if flow.pointee.key.proto == Raw.tcp, FaultPart.counts(closeType) {
            part.pointee.closed[Int(closeType)] &+= 1
        }
        guard flow.pointee.hasPerfStats, record.pointee.hasPacketTimes else { return }
        let tcp = flow.pointer(to: \.perf.tcp).unsafelyUnwrapped
        part.pointee.srt.merge(tcp.pointee.srt)
        part.pointee.tx.merge(tcp.pointee.tx)
        part.pointee.rx.merge(tcp.pointee.rx)
        part.pointee.retransSyn &+= tcp.pointee.retransSyn
        part.pointee.retransSynAck &+= tcp.pointee.retransSynAck
    }

    /// The merge rule of loads, for quadruples without connections. Source: agent-flow.md 13.5.
    @inline(never)
    private mutating func addLoad(
        _ record: UnsafePointer<MeteredRecord>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) {
        let flow = record.pointee.flow
        let isNew = record.pointee.hasTraffic && flow.pointee.isNewFlow
        let isClosed = record.pointee.hasTraffic && flow.pointee.closeType != Raw.forcedReport
        // Nothing was counted and nothing is: no part is needed for that.
        if !isNew, fault(of: UnsafePointer(entry)) == nil { return }
        let part: UnsafeMutablePointer<FaultPart> = fault(of: entry)
        part.pointee.load = part.pointee.flowCount &+ (isNew ? 1 : 0)
        part.pointee.flowCount = part.pointee.load &- (isClosed && part.pointee.load > 0 ? 1 : 0)
    }

    @inline(never)
    private mutating func addEnds(
        _ flow: UnsafePointer<TaggedFlow>, to entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) {
        ends.append().initialize(to: FlowEnds(flow))
        setup(of: entry).pointee.ends = UInt32(truncatingIfNeeded: ends.count)
    }

    @inline(__always)
    private mutating func setup(
        of entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) -> UnsafeMutablePointer<SetupPart> {
        if entry.pointee.parts.setup == 0 {
            setups.append().initialize(to: SetupPart())
            entry.pointee.parts.setup = setups.count
        }
        return setups[entry.pointee.parts.setup &- 1]
    }

    private mutating func fault(
        of entry: UnsafeMutablePointer<FlowMeterWithFlow>
    ) -> UnsafeMutablePointer<FaultPart> {
        let setup = setup(of: entry)
        if setup.pointee.fault == 0 {
            faults.append().initialize(to: FaultPart())
            setup.pointee.fault = UInt32(truncatingIfNeeded: faults.count)
        }
        return faults[Int(setup.pointee.fault) - 1]
    }
}
