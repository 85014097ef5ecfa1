import CLinux
package import Model

/// The flow table of one dispatcher: packets in, per-second flow records out. Confined to one thread; its only clock is
/// packet time (and the caller's ticks). Source: agent-flow.md 8.
package struct FlowMap: ~Copyable {
    package struct Settings: Sendable {
        package var agentID: UInt16 = 3302
        package var dispatcherID: UInt8 = 0
        package var packetDelayNs: UInt64 = 1_000_000_000
        package var timeouts = FlowTimeouts()
        package var serverPorts: [UInt16] = []
        package var hashSlots = 131_072
        /// Flows at once; more are dropped and counted. `Int.max` in a replay.
        package var concurrentFlowLimit = 65_535
        package var ignoresMac = false
        package var ignoresL2End = false
        package var ignoresIDCVlan = false
        /// `outputs.flow_metrics.filters.npm_metrics`.
        package var countsL4Performance = true
        /// Off: only the last record of a flow is emitted (`outputs.flow_metrics.enabled`).
        package var reportsEachSecond = true

        package init() {}
    }

    /// Module `flow-map`, since the start.
    package struct Counters: Sendable {
        package var new: UInt64 = 0
        package var closed: UInt64 = 0
        package var dropByWindow: UInt64 = 0
        package var dropByWindowBytes: UInt64 = 0
        package var dropByCapacity: UInt64 = 0
        package var dropByCapacityBytes: UInt64 = 0
        package var packets: UInt64 = 0
        package var bytes: UInt64 = 0
        package var totalScan: UInt64 = 0
        package var timeSetShrinks: UInt64 = 0
        /// Greatest of the period (`takeCounters`): of packets behind the clock when they come in, of flushes behind their
        /// time, of reported seconds behind the flush.
        package var packetDelayNs: UInt64 = 0
        package var flushDelayNs: UInt64 = 0
        package var flowDelayNs: UInt64 = 0
        /// Flows now, and cells of the table that they take.
        package var concurrent: UInt64 = 0
        package var slots: UInt64 = 0
        /// Most cells that a search looks at, of those looked through last.
        package var slotMaxDepth: UInt64 = 0
        package var l7PerfCacheLength: UInt64 = 0
        package var l7TimeoutCacheLength: UInt64 = 0
        package var perf = FlowPerfCounters()

        package init() {}

        /// Forgets the greatest values.
        mutating func startPeriod() {
            packetDelayNs = 0
            flushDelayNs = 0
            flowDelayNs = 0
            slotMaxDepth = 0
        }

        /// - Parameter earlier: of the same period.
        mutating func keepGreatest(of earlier: Counters) {
            packetDelayNs = max(packetDelayNs, earlier.packetDelayNs)
            flushDelayNs = max(flushDelayNs, earlier.flushDelayNs)
            flowDelayNs = max(flowDelayNs, earlier.flowDelayNs)
            slotMaxDepth = max(slotMaxDepth, earlier.slotMaxDepth)
        }

        /// Of another flow table: sums, and the greater of greatest values.
        mutating func add(_ other: Counters) {
            new &+= other.new
            closed &+= other.closed
            dropByWindow &+= other.dropByWindow
            dropByWindowBytes &+= other.dropByWindowBytes
            dropByCapacity &+= other.dropByCapacity
            dropByCapacityBytes &+= other.dropByCapacityBytes
            packets &+= other.packets
            bytes &+= other.bytes
            totalScan &+= other.totalScan
            timeSetShrinks &+= other.timeSetShrinks
            keepGreatest(of: other)
            concurrent &+= other.concurrent
            slots &+= other.slots
            l7PerfCacheLength &+= other.l7PerfCacheLength
            l7TimeoutCacheLength &+= other.l7TimeoutCacheLength
            perf.ignoredPackets &+= other.perf.ignoredPackets
            perf.invalidPackets &+= other.perf.invalidPackets
            perf.unknownL7Protocol &+= other.perf.unknownL7Protocol
        }
    }

    static var windowSlots: Int { 512 }
    /// Records of a batch: what is made and read next fits into the second cache level.
    static var outputCapacity: Int { 128 }

    struct SlotEntry: BitwiseCopyable {
        var node: Int32
        var generation: UInt32
    }

    let settings: Settings
    package var labeler: EndpointLabeler {
        didSet { labelVersion = labelVersion &+ 1 & 0x7f }
    }
    /// Of the labeler; flows labelled by an older one are labelled again.
    private var labelVersion: UInt8 = 0
    /// Of hyper-v and pods; the agent type never changes.
    let ignoresTunnelType: Bool
    package internal(set) var counters = Counters()

    var nodes = Pool(initial: FlowNode())
    var parts = FlowParts()
    var icmpPerfs: [Int32: ICMPPerf] = [:]
    var extras = FlowExtras()
    var services: ServiceTable
    let states: TCPStateMachine
    package var l7: L7Stage

    var table: FlowTable
    /// Flows by the second in which they are looked at next, as a ring.
    var slots: [[SlotEntry]]
    private var flowCounter: UInt32 = 0
    let windowSeconds: UInt64
    /// The walk over the seconds that are over, which pauses when the output is full.
    var walk = WindowWalk()
    /// Payloads of this batch of packets that the L7 side has still to see.
    var waiting = WaitingPayloads()

    /// Start of the open window, nanoseconds; whole seconds after the first flush.
    var startNs: UInt64

    /// Records waiting to be handed on; the dispatcher drains them. A flush may make more than `outputCapacity`.
    private var output: UnsafeMutablePointer<TaggedFlow>
    private var outputSize = FlowMap.outputCapacity
    private(set) var outputCount = 0

    /// - Parameter clockNs: wall clock when live; time of the first packet in a replay.
    package init(settings: Settings, labeler: EndpointLabeler, l7: consuming L7Stage, clockNs: UInt64) {
        self.settings = settings
        self.labeler = labeler
        ignoresTunnelType = labeler.agentType.isHyperV || labeler.agentType.isPod
        self.l7 = l7
        services = ServiceTable(serverPorts: settings.serverPorts)
        states = TCPStateMachine(timeouts: settings.timeouts)
        table = FlowTable(cells: settings.hashSlots)
        var window = FlowMap.windowSlots
        let needed = Int(settings.packetDelayNs / 1_000_000_000) + Int(settings.timeouts.longest) + 1
        while window < needed { window <<= 1 }
        slots = Array(repeating: [], count: window)
        windowSeconds = UInt64(window)
        let margin = settings.packetDelayNs + 1_000_000_000
        startNs = clockNs > margin ? clockNs - margin : 0
        output = .allocate(capacity: FlowMap.outputCapacity)
        output.initialize(repeating: TaggedFlow(), count: FlowMap.outputCapacity)
    }

    deinit {
        output.deinitialize(count: outputSize)
        output.deallocate()
    }

    package var concurrentFlows: Int { nodes.count }

    /// Counters with the gauges of now; the greatest values start anew.
    package mutating func takeCounters() -> Counters {
        defer { counters.startPeriod() }
        counters.slotMaxDepth = UInt64(table.longestSearch())
        counters.concurrent = UInt64(nodes.count)
        counters.slots = UInt64(nodes.count)
        counters.l7PerfCacheLength = UInt64(l7.engine.perfCacheCount)
        counters.l7TimeoutCacheLength = UInt64(l7.engine.timeoutCacheCount)
        return counters
    }

    /// - Parameter behindNs: how old a packet is by the clock; sampled, not of every packet.
    package mutating func notePacketDelay(_ behindNs: UInt64) {
        counters.packetDelayNs = max(counters.packetDelayNs, behindNs)
    }
    var startSeconds: UInt64 { startNs / 1_000_000_000 }
    /// A packet or tick of this time or later moves the window.
    var nextFlushNs: UInt64 { startNs &+ settings.packetDelayNs &+ 1_000_000_000 }

    // MARK: - Packets

    /// Asks the caches for the cell where the search for a flow begins.
    @inline(__always)
    package func prefetchCell(hash: UInt32) { dft_prefetch(table.home(of: hash)) }

    /// Asks for what a packet touches of its flow. Returns the flow's slot as far as the hash tells; -1 = none.
    @inline(__always)
    package func prefetchNode(hash: UInt32) -> Int32 {
        var search = FlowTable.Search(hash: hash)
        let index = table.next(&search)
        if index >= 0 {
            let node = UnsafeRawPointer(nodes[index])
            for line in 0..<3 { dft_prefetch(node + line * 64) }
        }
        return index
    }

    /// Asks for the counters of the period and the L7 state of a flow whose node was asked for before.
    @inline(__always)
    package func prefetchCounters(of index: Int32, _ packet: UnsafePointer<MetaPacket>) {
        let node = nodes[index]
        if node.pointee.l7 >= 0, packet.pointee.hasValidPayload {
            dft_prefetch(UnsafeRawPointer(node) + 192)
            l7.engine.prefetch(slot: node.pointee.l7)
        }
        guard node.pointee.period >= 0 else { return }
        let period = UnsafeRawPointer(parts.openPeriod(of: node))
        dft_prefetch(period)
        if node.pointee.l4Protocol == .tcp { dft_prefetch(period + 64) }
    }

    /// Accounts one packet, whole.
    /// - Parameters:
    ///   - hash: of the packet, by `hash`.
    ///   - frame: that `packet` was parsed from, borrowed for the call.
    package mutating func inject(_ packet: UnsafeMutablePointer<MetaPacket>, hash: UInt32, frame: RawSpan) {
        while !advance(to: packet.pointee.timeNs) {}
        frame.withUnsafeBytes {
            take(packet, hash: hash, frame: $0)
            parseWaiting()
        }
    }

    /// Accounts one packet of a batch after `advance(to:)` its time. Its payload may wait for `parseWaiting`.
    /// - Parameters:
    ///   - packet: stays as it is until `parseWaiting`.
    ///   - frame: that it was parsed from, borrowed until `parseWaiting`.
    @inline(__always)
    package mutating func take(
        _ packet: UnsafeMutablePointer<MetaPacket>, hash: UInt32, frame: UnsafeRawBufferPointer
    ) {
        guard packet.pointee.timeNs >= startNs else {
            counters.dropByWindow &+= 1
            counters.dropByWindowBytes &+= UInt64(packet.pointee.packetLen)
            return
        }
        var search = FlowTable.Search(hash: hash)
        while true {
            let index = table.next(&search)
            guard index >= 0 else { break }
            let node = nodes[index]
            if let direction = match(node, packet) {
                packet.pointee.direction = direction
                update(node, index, packet, frame: frame)
                return
            }
        }
        create(hash: hash, packet, frame: frame)
    }

    package var hasOutput: Bool { outputCount > 0 }
    package var isOutputFull: Bool { outputCount >= FlowMap.outputCapacity - 1 }

    /// Hands on the records made so far, in order, with the start of the open window as time.
    package mutating func drainOutput(_ body: (UnsafeBufferPointer<TaggedFlow>, UInt64) -> Void) {
        let first = min(outputCount, FlowMap.outputCapacity)
        if first > 0 { body(UnsafeBufferPointer(start: output, count: first), startNs) }
        if outputCount > first { body(UnsafeBufferPointer(start: output + first, count: outputCount - first), startNs) }
        outputCount = 0
    }

    /// A free element of the output, still holding the values of an earlier record.
    @inline(__always)
    mutating func nextOutput() -> UnsafeMutablePointer<TaggedFlow> {
        if outputCount == outputSize { growOutput() }
        outputCount &+= 1
        return output + (outputCount &- 1)
    }

    private mutating func growOutput() {
        let old = output
        output = .allocate(capacity: outputSize * 2)
        output.moveInitialize(from: old, count: outputSize)
        (output + outputSize).initialize(repeating: TaggedFlow(), count: outputSize)
        old.deallocate()
        outputSize *= 2
    }

    // MARK: - New flows

    private mutating func create(
        hash: UInt32, _ packet: UnsafeMutablePointer<MetaPacket>, frame: UnsafeRawBufferPointer
    ) {
        // What a request told about its server counts for the next flow.
        parseWaiting()
        guard nodes.count < settings.concurrentFlowLimit else {
            counters.dropByCapacity &+= 1
            counters.dropByCapacityBytes &+= UInt64(packet.pointee.packetLen)
            return
        }
        counters.new &+= 1
        counters.packets &+= 1
        counters.bytes &+= UInt64(packet.pointee.packetLen)
        let index = nodes.take()
        let node = nodes[index]
        flowCounter &+= 1
        let id =
            (packet.pointee.timeNs >> 30 & 0xffff_ffff) << 32 | UInt64(settings.dispatcherID) << 24
            | UInt64(flowCounter & 0xff_ffff)
        fill(node, from: packet, hash: hash, flowID: id)
        if packet.pointee.tunnel.type != .none { openTunnel(node, packet.pointee.tunnel) }
        if packet.pointee.toaSrcPort != 0 { noteRealEnd(node, packet, .clientToServer) }
        node.pointee.generation = flowCounter

        packet.pointee.direction = .clientToServer
        switch packet.pointee.l4Protocol {
        case .tcp:
            updateDirection(node, &packet.pointee, isFirst: true)
            recordHandshakeSequence(node, packet)
            trackKeepalive(node, packet)
            advanceState(node, packet, direction: packet.pointee.direction)
        case .udp:
            updateDirection(node, &packet.pointee, isFirst: true)
            node.pointee.state = .established
            node.pointee.timeoutSeconds = settings.timeouts.others
        case .icmp, .unknown:
            node.pointee.state = .established
            node.pointee.timeoutSeconds = settings.timeouts.others
            // Trap 8.4: the value 0 of an ICMPv4 echo reply is looked for in both families.
            if packet.pointee.l4Protocol == .icmp {
                if packet.pointee.icmpType == 0 {
                    parts.reverse(node, isFirstPacket: true)
                    packet.pointee.direction = .serverToClient
                }
                if settings.countsL4Performance { icmpPerfs[index] = ICMPPerf() }
            }
        }
        computeTapSide(node)
        measure(node, index, packet, frame: frame)
        table.insert(index, hash: hash, count: nodes.count)
        enqueue(index, node)
    }

    private mutating func fill(
        _ node: UnsafeMutablePointer<FlowNode>, from packet: UnsafePointer<MetaPacket>, hash: UInt32, flowID: UInt64
    ) {
        node.pointee.ethType = packet.pointee.ethType
        parts.setAddresses(of: node, packet.pointee.ipSrc, packet.pointee.ipDst)
        node.pointee.macSrc = packet.pointee.macSrc
        node.pointee.macDst = packet.pointee.macDst
        node.pointee.tapPort = packet.pointee.tapPort
        node.pointee.portSrc = packet.pointee.portSrc
        node.pointee.portDst = packet.pointee.portDst
        node.pointee.vlan = packet.pointee.vlan
        node.pointee.tapType = packet.pointee.tapType
        node.pointee.proto = packet.pointee.proto
        node.pointee.l4Protocol = packet.pointee.l4Protocol
        node.pointee.hash = hash
        node.pointee.flowID = flowID
        node.pointee.startNs = packet.pointee.timeNs
        node.pointee.recentNs = packet.pointee.timeNs
        node.pointee.timestampKey = UInt32(truncatingIfNeeded: packet.pointee.timeNs / 1_000_000_000)
        node.pointee.initIPID = packet.pointee.ipID
        let ends = labeler.label(packet.pointee)
        node.pointee.src.take(ends.src, version: labelVersion)
        node.pointee.dst.take(ends.dst, version: labelVersion)
        node.pointee.src.add(packet)
        parts.period(of: node).pointee.src.add(packet)
        node.pointee.senders.insert(.clientToServer)
        if packet.pointee.l4Protocol == .tcp {
            node.pointee.src.tcpFlags = packet.pointee.tcpFlags
            node.pointee.src.totalTCPFlags = packet.pointee.tcpFlags
        }
    }

    /// Mutating so that the table is passed by reference: as a borrowed value the whole of it would be copied.
    mutating func computeTapSide(_ node: UnsafeMutablePointer<FlowNode>) {
        let directions = TapSideRule.directions(
            src: node.pointee.src.rulePeer, dst: node.pointee.dst.rulePeer, agentType: labeler.agentType,
            tapType: node.pointee.tapType, tunnelTier: node.pointee.tunnelTier,
            tunnelType: node.pointee.tunnelType.rawValue, macSrc: node.pointee.macSrc,
            macDst: node.pointee.macDst)
        node.pointee.srcDirection = directions.src
        node.pointee.dstDirection = directions.dst
        node.pointee.tapSide = TapSideRule.tapSide(directions)
        node.pointee.marks.insert(.tapSideKnown)
    }

    // MARK: - Known flows

    @inline(__always)
    private mutating func update(
        _ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, _ packet: UnsafeMutablePointer<MetaPacket>,
        frame: UnsafeRawBufferPointer
    ) {
        if node.pointee.marks.contains(.waitingPayload) {
            let wasReversed = node.pointee.marks.contains(.reversed)
            parseWaiting()
            if node.pointee.marks.contains(.reversed) != wasReversed {
                packet.pointee.direction = packet.pointee.direction.reversed
            }
        }
        let second = UInt32(truncatingIfNeeded: packet.pointee.timeNs / 1_000_000_000)
        // Without metrics the counters grow until the flow's last record.
        if node.pointee.timestampKey != second, node.pointee.senders.hasPeriod, settings.reportsEachSecond,
            report(node, index, closing: nil)
        {
            packet.pointee.direction = packet.pointee.direction.reversed
        }
        counters.packets &+= 1
        counters.bytes &+= UInt64(packet.pointee.packetLen)
        if packet.pointee.timeNs > node.pointee.recentNs { node.pointee.recentNs = packet.pointee.timeNs }
        if packet.pointee.vlan > 0 { node.pointee.vlan = packet.pointee.vlan }
        let direction = packet.pointee.direction
        if !node.pointee.senders.periodContains(direction) { startDirection(node, packet) }
        let period = parts.period(of: node)
        if direction == .clientToServer {
            node.pointee.src.add(packet)
            period.pointee.src.add(packet)
        } else {
            node.pointee.dst.add(packet)
            period.pointee.dst.add(packet)
        }
        if packet.pointee.tunnel.type != .none { updateTunnel(node, packet.pointee.tunnel, direction) }
        if packet.pointee.toaSrcPort != 0 {
            noteRealEnd(node, packet, direction)
            raiseNATSource(node, packet)
        }

        switch node.pointee.l4Protocol {
        case .tcp:
            let flags = packet.pointee.tcpFlags
            if direction == .clientToServer {
                node.pointee.src.tcpFlags |= flags
                node.pointee.src.totalTCPFlags |= flags
            } else {
                node.pointee.dst.tcpFlags |= flags
                node.pointee.dst.totalTCPFlags |= flags
            }
            if flags & TCPFlags.syn != 0 {
                restartL7(node, packet)
                updateDirection(node, &packet.pointee, isFirst: false)
                recordHandshakeSequence(node, packet)
            }
            trackKeepalive(node, packet)
            // Trap 8.5: the state machine sees the direction from before a reversal.
            advanceState(node, packet, direction: direction)
        case .udp:
            if node.pointee.senders.areBothInPeriod { node.pointee.timeoutSeconds = settings.timeouts.others }
        case .icmp, .unknown:
            if node.pointee.senders.areBothInPeriod { node.pointee.timeoutSeconds = settings.timeouts.closingRst }
        }
        measure(node, index, packet, frame: frame)
        if node.pointee.timestampKey != second {
            node.pointee.timestampKey = second
            enqueue(index, node)
        }
    }

    /// The first packet of a direction in this period: who sends for the first time, and the ends as they are known now.
    /// Source: agent-flow.md 8.5, 12.
    @inline(__always)
    private mutating func startDirection(
        _ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>
    ) {
        let direction = packet.pointee.direction
        if !node.pointee.senders.contains(direction) { node.pointee.answeredNs = packet.pointee.timeNs }
        node.pointee.senders.insert(direction)
        let fromSource = direction == .clientToServer
        let isSourceL2End = fromSource ? packet.pointee.l2End0 : packet.pointee.l2End1
        let isDestinationL2End = fromSource ? packet.pointee.l2End1 : packet.pointee.l2End0
        if node.pointee.src.labelVersion != labelVersion || node.pointee.src.isL2End != isSourceL2End
            || node.pointee.dst.isL2End != isDestinationL2End
        {
            relabel(node, packet)
        }
    }

    /// A flow whose ends are no longer what they were is seen from a new place.
    @inline(never)
    private mutating func relabel(_ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>) {
        var ends = labeler.label(packet.pointee)
        if packet.pointee.direction == .serverToClient { ends = (ends.dst, ends.src) }
        let before = (node.pointee.src.rulePeer, node.pointee.dst.rulePeer)
        node.pointee.src.take(ends.src, version: labelVersion)
        node.pointee.dst.take(ends.dst, version: labelVersion)
        let (src, dst) = (node.pointee.src.rulePeer, node.pointee.dst.rulePeer)
        if before.0.isL2End != src.isL2End || before.0.isL3End != src.isL3End || before.1.isL2End != dst.isL2End
            || before.1.isL3End != dst.isL3End
        {
            computeTapSide(node)
        }
    }

    @inline(__always)
    private func advanceState(
        _ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>, direction: PacketDirection
    ) {
        let (state, seconds) = states.next(node.pointee.state, flags: packet.pointee.tcpFlags, direction: direction)
        node.pointee.state = state
        node.pointee.timeoutSeconds = node.pointee.senders.areBoth ? seconds : settings.timeouts.others
    }

    @inline(__always)
    private func recordHandshakeSequence(_ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>) {
        if packet.pointee.isSyn {
            node.pointee.synSeq = packet.pointee.seq
        } else if packet.pointee.isSynAck {
            node.pointee.synAckSeq = packet.pointee.seq
        }
    }

    @inline(__always)
    private func trackKeepalive(_ node: UnsafeMutablePointer<FlowNode>, _ packet: UnsafePointer<MetaPacket>) {
        let fromSource = packet.pointee.direction == .clientToServer
        if packet.pointee.l4PayloadLen <= 1,
            packet.pointee.tcpFlags & (TCPFlags.syn | TCPFlags.fin | TCPFlags.rst) == 0,
            packet.pointee.seq &+ 1 == (fromSource ? node.pointee.nextSeqSrc : node.pointee.nextSeqDst)
        {
            node.pointee.keepaliveSeq = packet.pointee.seq
            node.pointee.keepaliveAck = packet.pointee.ack
        }
        if fromSource {
            node.pointee.nextSeqDst = packet.pointee.ack
        } else {
            node.pointee.nextSeqSrc = packet.pointee.ack
        }
    }

    /// L4 and L7 performance of one packet.
    @inline(__always)
    private mutating func measure(
        _ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, _ packet: UnsafeMutablePointer<MetaPacket>,
        frame: UnsafeRawBufferPointer
    ) {
        var isForL7 = true
        switch node.pointee.l4Protocol {
        case .tcp:
            if settings.countsL4Performance {
                switch node.pointee.perf.parse(
                    packet, direction: packet.pointee.direction, counts: parts.counts(of: node),
                    lists: &parts.sequenceLists, counters: &counters.perf)
                {
                case .ok, .ignored: break
                // Where streams are followed, sequence numbers tell what is new in them.
                case .retransmission, .invalid: isForL7 = l7.engine.followsStreams
                }
            }
        case .udp:
            if settings.countsL4Performance {
                isForL7 = FlowNode.udp(node).pointee.parse(packet, direction: packet.pointee.direction)
            }
        case .icmp:
            icmpPerfs[index]?.parse(packet)
            if packet.pointee.isEcho, packet.pointee.payloadOffset > 0, l7.engine.readsEchoes {
                putAside(node, index, packet, frame)
            }
            isForL7 = false
        case .unknown: isForL7 = false
        }
        if isForL7, packet.pointee.payloadCaptured > 0 { putAside(node, index, packet, frame) }
    }
}

extension FlowNode.Peer {
    @inline(__always)
    fileprivate mutating func add(_ packet: UnsafePointer<MetaPacket>) {
        totalByteCount &+= UInt64(packet.pointee.packetLen)
        totalPacketCount &+= 1
        lastNs = packet.pointee.timeNs
    }

    fileprivate mutating func take(_ end: EndpointLabeler.End, version: UInt8) {
        epc = end.epc
        var known = marks.intersection(.toa)
        if end.isL2End { known.insert(.l2End) }
        if end.isL3End { known.insert(.l3End) }
        if end.isDevice { known.insert(.device) }
        if end.isLocalMac { known.insert(.localMac) }
        if end.isLocalIP { known.insert(.localIP) }
        marks = known
        labelVersion = version
    }

    @inline(__always) var isL2End: Bool { marks.contains(.l2End) }

    fileprivate var rulePeer: TapSideRule.Peer {
        TapSideRule.Peer(
            isL2End: isL2End, isL3End: marks.contains(.l3End), isLocalMac: marks.contains(.localMac),
            isLocalIP: marks.contains(.localIP), epc: epc)
    }
}
