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
        package var concurrent: UInt64 = 0
        package var totalScan: UInt64 = 0
        package var perf = FlowPerfCounters()

        package init() {}
    }

    static var windowSlots: Int { 512 }
    static var outputCapacity: Int { 1024 }

    private struct SlotEntry: BitwiseCopyable {
        var node: Int32
        var generation: UInt32
    }

    let settings: Settings
    package var labeler: EndpointLabeler
    package internal(set) var counters = Counters()

    var nodes = Pool(initial: FlowNode())
    var tcpPerfs = Pool(initial: TCPPerf())
    var udpPerfs = Pool(initial: UDPPerf())
    var icmpPerfs: [Int32: ICMPPerf] = [:]
    var extras: [Int32: FlowExtra] = [:]
    var services: ServiceTable
    let states: TCPStateMachine
    package var l7: L7Stage

    /// hash << 32 | node + 1; 0 = empty. Linear probing, backward shift on removal.
    private var table: UnsafeMutablePointer<UInt64>
    private var tableMask: Int
    private var slots: [[SlotEntry]]
    private var flowCounter: UInt32 = 0
    private let windowSeconds: UInt64

    /// Start of the open window, nanoseconds; whole seconds after the first flush.
    private var startNs: UInt64

    /// Records waiting to be handed on; the dispatcher drains them.
    private let output: UnsafeMutablePointer<TaggedFlow>
    private var outputCount = 0
    /// What does not fit `output` during a flush.
    private var overflow: [TaggedFlow] = []

    /// - Parameter clockNs: wall clock when live; time of the first packet in a replay.
    package init(settings: Settings, labeler: EndpointLabeler, l7: consuming L7Stage, clockNs: UInt64) {
        self.settings = settings
        self.labeler = labeler
        self.l7 = l7
        services = ServiceTable(serverPorts: settings.serverPorts)
        states = TCPStateMachine(timeouts: settings.timeouts)
        var size = 1024
        while size < settings.hashSlots { size <<= 1 }
        table = .allocate(capacity: size)
        table.initialize(repeating: 0, count: size)
        tableMask = size - 1
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
        table.deallocate()
        output.deinitialize(count: FlowMap.outputCapacity)
        output.deallocate()
    }

    package var concurrentFlows: Int { nodes.count }
    var startSeconds: UInt64 { startNs / 1_000_000_000 }

    // MARK: - Packets

    /// Accounts one packet. `frame` is the frame that `packet` was parsed from, borrowed for the call.
    @inline(__always)
    package mutating func inject(_ packet: inout MetaPacket, frame: RawSpan) {
        guard packet.timeNs >= startNs else {
            counters.dropByWindow &+= 1
            counters.dropByWindowBytes &+= UInt64(packet.packetLen)
            return
        }
        if packet.timeNs >= startNs &+ settings.packetDelayNs &+ 1_000_000_000 { flush(packet.timeNs) }

        let hash = FlowMap.hash(packet)
        var slot = Int(hash) & tableMask
        while true {
            let entry = table[slot]
            if entry == 0 { break }
            if UInt32(truncatingIfNeeded: entry >> 32) == hash {
                let index = Int32(truncatingIfNeeded: entry & 0xffff_ffff) - 1
                let node = nodes[index]
                if let direction = match(node, packet) {
                    packet.direction = direction
                    update(node, index, &packet, frame: frame)
                    return
                }
            }
            slot = (slot + 1) & tableMask
        }
        create(hash: hash, &packet, frame: frame)
    }

    /// Closes what has ended by `nowNs`: called without packets, with the clock when live.
    package mutating func tick(nowNs: UInt64) {
        if nowNs >= startNs &+ settings.packetDelayNs &+ 1_000_000_000 { flush(nowNs) }
    }

    /// For the end of a replay: lets one more second pass. Returns the time reached; nil when no flow is left.
    package mutating func closeOneSecond() -> UInt64? {
        guard nodes.count > 0 else { return nil }
        let nowNs = startNs &+ settings.packetDelayNs &+ 1_000_000_000
        flush(nowNs)
        return nowNs
    }

    package var hasOutput: Bool { outputCount > 0 }
    package var isOutputFull: Bool { outputCount >= FlowMap.outputCapacity - 1 || !overflow.isEmpty }

    /// Hands on the records made so far, in order, with the start of the open window as time.
    package mutating func drainOutput(_ body: (UnsafeBufferPointer<TaggedFlow>, UInt64) -> Void) {
        if outputCount > 0 {
            body(UnsafeBufferPointer(start: output, count: outputCount), startNs)
            outputCount = 0
        }
        if !overflow.isEmpty {
            overflow.withUnsafeBufferPointer { body($0, startNs) }
            overflow.removeAll(keepingCapacity: true)
        }
    }

    // MARK: - Lookup

    /// Symmetric in the two ends. Source: agent-flow.md 8.1.
    @inline(__always)
    private static func hash(_ packet: MetaPacket) -> UInt32 {
        let a = packet.ipSrc.folded
        let b = packet.ipDst.folded
        var left = UInt64(max(a, b)) << 32 | UInt64(min(a, b))
        var right =
            UInt64(max(packet.portSrc, packet.portDst)) << 16 | UInt64(min(packet.portSrc, packet.portDst))
            | UInt64(truncatingIfNeeded: packet.tapPort) << 32 ^ UInt64(packet.tapType) << 56
        if packet.ethType != EtherType.ipv4, packet.ethType != EtherType.ipv6 {
            right ^= packet.macSrc ^ packet.macDst
        }
        left = (left ^ right &* 0x9e37_79b9_7f4a_7c15) &* 0xff51_afd7_ed55_8ccd
        left ^= left >> 33
        left = left &* 0xc4ce_b9fe_1a85_ec53
        return UInt32(truncatingIfNeeded: left >> 32) ^ UInt32(truncatingIfNeeded: left)
    }

    /// Direction of the packet in the flow; nil: another flow. Source: agent-flow.md 8.3.
    @inline(__always)
    private func match(_ node: UnsafeMutablePointer<FlowNode>, _ packet: MetaPacket) -> PacketDirection? {
        let tapMask: UInt64 = 0xf000_0000_ffff_ffff
        guard node.pointee.tapPort & tapMask == packet.tapPort & tapMask, node.pointee.tapType == packet.tapType,
            node.pointee.ethType == packet.ethType
        else { return nil }
        if node.pointee.vlan != packet.vlan, packet.tapType != CaptureNetworkType.cloud, !settings.ignoresIDCVlan {
            return nil
        }
        if packet.ethType != EtherType.ipv4, packet.ethType != EtherType.ipv6 {
            if node.pointee.macSrc == packet.macSrc, node.pointee.macDst == packet.macDst,
                node.pointee.ipSrc == packet.ipSrc,
                node.pointee.ipDst == packet.ipDst
            {
                return .clientToServer
            }
            if node.pointee.macSrc == packet.macDst, node.pointee.macDst == packet.macSrc,
                node.pointee.ipSrc == packet.ipDst,
                node.pointee.ipDst == packet.ipSrc
            {
                return .serverToClient
            }
            return nil
        }
        guard node.pointee.proto == packet.proto else { return nil }
        let direction: PacketDirection
        if node.pointee.portSrc == packet.portSrc, node.pointee.portDst == packet.portDst,
            node.pointee.ipSrc == packet.ipSrc,
            node.pointee.ipDst == packet.ipDst
        {
            direction = .clientToServer
        } else if node.pointee.portSrc == packet.portDst, node.pointee.portDst == packet.portSrc,
            node.pointee.ipSrc == packet.ipDst, node.pointee.ipDst == packet.ipSrc
        {
            direction = .serverToClient
        } else {
            return nil
        }
        guard packet.tapType == CaptureNetworkType.cloud, !settings.ignoresMac, packet.tapPort >> 60 != 1 else {
            return direction
        }
        let forward = direction == .clientToServer
        let flowSrc = forward ? node.pointee.macSrc : node.pointee.macDst
        let flowDst = forward ? node.pointee.macDst : node.pointee.macSrc
        if !settings.ignoresL2End, packet.tapPort & 0xffff_ffff > 0 {
            if !packet.l2End0, !packet.l2End1 { return direction }
            if !packet.l2End0 { return flowDst == packet.macDst ? direction : nil }
            return flowSrc == packet.macSrc ? direction : nil
        }
        return flowSrc == packet.macSrc && flowDst == packet.macDst ? direction : nil
    }

    private mutating func insert(hash: UInt32, index: Int32) {
        if nodes.count * 2 > tableMask + 1 { growTable() }
        var slot = Int(hash) & tableMask
        while table[slot] != 0 { slot = (slot + 1) & tableMask }
        table[slot] = UInt64(hash) << 32 | UInt64(UInt32(index + 1))
    }

    private mutating func growTable() {
        let oldSize = tableMask + 1
        let old = table
        table = .allocate(capacity: oldSize * 2)
        table.initialize(repeating: 0, count: oldSize * 2)
        tableMask = oldSize * 2 - 1
        for position in 0..<oldSize where old[position] != 0 {
            var slot = Int(old[position] >> 32) & tableMask
            while table[slot] != 0 { slot = (slot + 1) & tableMask }
            table[slot] = old[position]
        }
        old.deallocate()
    }

    private mutating func remove(hash: UInt32, index: Int32) {
        let wanted = UInt64(hash) << 32 | UInt64(UInt32(index + 1))
        var hole = Int(hash) & tableMask
        while table[hole] != wanted {
            guard table[hole] != 0 else { return }
            hole = (hole + 1) & tableMask
        }
        var next = (hole + 1) & tableMask
        while table[next] != 0 {
            let home = Int(table[next] >> 32) & tableMask
            if (next - home) & tableMask >= (next - hole) & tableMask {
                table[hole] = table[next]
                hole = next
            }
            next = (next + 1) & tableMask
        }
        table[hole] = 0
    }

    // MARK: - New flows

    private mutating func create(hash: UInt32, _ packet: inout MetaPacket, frame: RawSpan) {
        guard nodes.count < settings.concurrentFlowLimit else {
            counters.dropByCapacity &+= 1
            counters.dropByCapacityBytes &+= UInt64(packet.packetLen)
            return
        }
        counters.new &+= 1
        counters.packets &+= 1
        counters.bytes &+= UInt64(packet.packetLen)
        let index = nodes.take()
        let node = nodes[index]
        flowCounter &+= 1
        let id =
            (packet.timeNs >> 30 & 0xffff_ffff) << 32 | UInt64(settings.dispatcherID) << 24
            | UInt64(flowCounter & 0xff_ffff)
        fill(node, from: packet, hash: hash, flowID: id)
        node.pointee.generation = flowCounter

        packet.direction = .clientToServer
        switch packet.l4Protocol {
        case .tcp:
            updateDirection(node, &packet, isFirst: true)
            recordHandshakeSequence(node, packet)
            trackKeepalive(node, packet)
            advanceState(node, packet, direction: packet.direction)
            if settings.countsL4Performance { node.pointee.perf = tcpPerfs.take() }
        case .udp:
            updateDirection(node, &packet, isFirst: true)
            node.pointee.state = .established
            node.pointee.timeoutNs = UInt64(settings.timeouts.others) * 1_000_000_000
            if settings.countsL4Performance { node.pointee.perf = udpPerfs.take() }
        case .icmp, .unknown:
            node.pointee.state = .established
            node.pointee.timeoutNs = UInt64(settings.timeouts.others) * 1_000_000_000
            // Trap 8.4: the value 0 of an ICMPv4 echo reply is looked for in both families.
            if packet.l4Protocol == .icmp {
                if packet.icmpType == 0 {
                    node.pointee.reverse(isFirstPacket: true)
                    packet.direction = .serverToClient
                }
                if settings.countsL4Performance { icmpPerfs[index] = ICMPPerf() }
            }
        }
        computeTapSide(node)
        measure(node, index, &packet, frame: frame)
        insert(hash: hash, index: index)
        node.pointee.timestampKey = UInt32(truncatingIfNeeded: packet.timeNs / 1_000_000_000)
        enqueue(index, node)
    }

    private func fill(_ node: UnsafeMutablePointer<FlowNode>, from packet: MetaPacket, hash: UInt32, flowID: UInt64) {
        node.pointee.ipSrc = packet.ipSrc
        node.pointee.ipDst = packet.ipDst
        node.pointee.macSrc = packet.macSrc
        node.pointee.macDst = packet.macDst
        node.pointee.tapPort = packet.tapPort
        node.pointee.portSrc = packet.portSrc
        node.pointee.portDst = packet.portDst
        node.pointee.ethType = packet.ethType
        node.pointee.vlan = packet.vlan
        node.pointee.tapType = packet.tapType
        node.pointee.proto = packet.proto
        node.pointee.l4Protocol = packet.l4Protocol
        node.pointee.hash = hash
        node.pointee.flowID = flowID
        node.pointee.startNs = packet.timeNs
        node.pointee.minArrivedNs = packet.timeNs
        node.pointee.recentNs = packet.timeNs
        node.pointee.statTimeNs = packet.timeNs / 1_000_000_000 * 1_000_000_000
        node.pointee.initIPID = packet.ipID
        let ends = labeler.label(packet)
        node.pointee.src.take(ends.src)
        node.pointee.dst.take(ends.dst)
        node.pointee.src.add(packet)
        if packet.l4Protocol == .tcp {
            node.pointee.src.tcpFlags = packet.tcpFlags
            node.pointee.src.totalTCPFlags = packet.tcpFlags
        }
    }

    func computeTapSide(_ node: UnsafeMutablePointer<FlowNode>) {
        let directions = TapSideRule.directions(
            src: node.pointee.src.rulePeer, dst: node.pointee.dst.rulePeer, agentType: labeler.agentType,
            tapType: node.pointee.tapType, tunnelTier: 0, tunnelType: 0, macSrc: node.pointee.macSrc,
            macDst: node.pointee.macDst)
        node.pointee.srcDirection = directions.src
        node.pointee.dstDirection = directions.dst
        node.pointee.tapSide = TapSideRule.tapSide(directions)
    }

    // MARK: - Known flows

    @inline(__always)
    private mutating func update(
        _ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, _ packet: inout MetaPacket, frame: RawSpan
    ) {
        if node.pointee.isInTick,
            packet.timeNs >= node.pointee.statTimeNs &+ 1_000_000_000 || packet.timeNs < node.pointee.statTimeNs
        {
            if report(node, index, closing: nil) { packet.direction = packet.direction.reversed }
        }
        counters.packets &+= 1
        counters.bytes &+= UInt64(packet.packetLen)
        if packet.timeNs > node.pointee.recentNs { node.pointee.recentNs = packet.timeNs }
        if !node.pointee.isInTick {
            node.pointee.isInTick = true
            node.pointee.statTimeNs = packet.timeNs / 1_000_000_000 * 1_000_000_000
        }
        if packet.vlan > 0 { node.pointee.vlan = packet.vlan }
        let direction = packet.direction
        if direction == .clientToServer { node.pointee.src.add(packet) } else { node.pointee.dst.add(packet) }

        switch node.pointee.l4Protocol {
        case .tcp:
            let flags = packet.tcpFlags
            if direction == .clientToServer {
                node.pointee.src.tcpFlags |= flags
                node.pointee.src.totalTCPFlags |= flags
            } else {
                node.pointee.dst.tcpFlags |= flags
                node.pointee.dst.totalTCPFlags |= flags
            }
            if flags & TCPFlags.syn != 0 {
                updateDirection(node, &packet, isFirst: false)
                recordHandshakeSequence(node, packet)
            }
            trackKeepalive(node, packet)
            // Trap 8.5: the state machine sees the direction from before a reversal.
            advanceState(node, packet, direction: direction)
        case .udp:
            if node.pointee.src.packetCount > 0, node.pointee.dst.packetCount > 0 {
                node.pointee.timeoutNs = UInt64(settings.timeouts.others) * 1_000_000_000
            }
        case .icmp, .unknown:
            if node.pointee.src.packetCount > 0, node.pointee.dst.packetCount > 0 {
                node.pointee.timeoutNs = UInt64(settings.timeouts.closingRst) * 1_000_000_000
            }
        }
        measure(node, index, &packet, frame: frame)
        let second = UInt32(truncatingIfNeeded: packet.timeNs / 1_000_000_000)
        if node.pointee.timestampKey != second {
            node.pointee.timestampKey = second
            enqueue(index, node)
        }
    }

    @inline(__always)
    private func advanceState(_ node: UnsafeMutablePointer<FlowNode>, _ packet: MetaPacket, direction: PacketDirection)
    {
        let (state, seconds) = states.next(node.pointee.state, flags: packet.tcpFlags, direction: direction)
        node.pointee.state = state
        let isOneSided = node.pointee.src.totalPacketCount == 0 || node.pointee.dst.totalPacketCount == 0
        node.pointee.timeoutNs =
            UInt64(isOneSided ? settings.timeouts.others : seconds) * 1_000_000_000
    }

    @inline(__always)
    private func recordHandshakeSequence(_ node: UnsafeMutablePointer<FlowNode>, _ packet: MetaPacket) {
        if packet.isSyn {
            node.pointee.synSeq = packet.seq
        } else if packet.isSynAck {
            node.pointee.synAckSeq = packet.seq
        }
    }

    @inline(__always)
    private func trackKeepalive(_ node: UnsafeMutablePointer<FlowNode>, _ packet: MetaPacket) {
        let fromSource = packet.direction == .clientToServer
        if packet.l4PayloadLen <= 1, packet.tcpFlags & (TCPFlags.syn | TCPFlags.fin | TCPFlags.rst) == 0,
            packet.seq &+ 1 == (fromSource ? node.pointee.nextSeqSrc : node.pointee.nextSeqDst)
        {
            node.pointee.keepaliveSeq = packet.seq
            node.pointee.keepaliveAck = packet.ack
        }
        if fromSource { node.pointee.nextSeqDst = packet.ack } else { node.pointee.nextSeqSrc = packet.ack }
    }

    /// L4 and L7 performance of one packet.
    @inline(__always)
    private mutating func measure(
        _ node: UnsafeMutablePointer<FlowNode>, _ index: Int32, _ packet: inout MetaPacket, frame: RawSpan
    ) {
        var isForL7 = true
        switch node.pointee.l4Protocol {
        case .tcp:
            if node.pointee.perf >= 0 {
                switch tcpPerfs[node.pointee.perf].pointee.parse(
                    packet, direction: packet.direction, counters: &counters.perf)
                {
                case .ok, .ignored: break
                case .retransmission, .invalid: isForL7 = false
                }
            }
        case .udp:
            if node.pointee.perf >= 0 {
                isForL7 = udpPerfs[node.pointee.perf].pointee.parse(packet, direction: packet.direction)
            }
        case .icmp:
            icmpPerfs[index]?.parse(packet)
            isForL7 = false
        case .unknown: isForL7 = false
        }
        if isForL7, packet.payloadCaptured > 0 { parseL7(node, index, &packet, frame: frame) }
    }

    // MARK: - Time

    @inline(__always)
    private mutating func enqueue(_ index: Int32, _ node: UnsafeMutablePointer<FlowNode>) {
        let slot = Int(UInt64(node.pointee.timestampKey) & (windowSeconds - 1))
        slots[slot].append(SlotEntry(node: index, generation: node.pointee.generation))
    }

    /// Source: agent-flow.md 8.2.
    private mutating func flush(_ timeNs: UInt64) {
        let next = (timeNs &- settings.packetDelayNs) / 1_000_000_000
        let first = startNs / 1_000_000_000
        let nextNs = next * 1_000_000_000
        guard next > first else {
            if nextNs > startNs { startNs = nextNs }
            return
        }
        startNs = nextNs
        for second in first..<min(next, first + windowSeconds) {
            let slot = Int(second & (windowSeconds - 1))
            guard !slots[slot].isEmpty else { continue }
            var entries: [SlotEntry] = []
            swap(&entries, &slots[slot])
            counters.totalScan &+= UInt64(entries.count)
            for entry in entries {
                let node = nodes[entry.node]
                guard node.pointee.generation == entry.generation, UInt64(node.pointee.timestampKey) <= second else {
                    continue
                }
                let deadline = node.pointee.recentNs &+ node.pointee.timeoutNs
                if deadline < nextNs {
                    close(node, entry.node)
                } else {
                    if node.pointee.isInTick, settings.reportsEachSecond { _ = report(node, entry.node, closing: nil) }
                    node.pointee.timestampKey = UInt32(truncatingIfNeeded: deadline / 1_000_000_000)
                    enqueue(entry.node, node)
                }
            }
            // Keeps the capacity for the next turn of the ring.
            if slots[slot].isEmpty {
                entries.removeAll(keepingCapacity: entries.capacity <= 4096)
                swap(&entries, &slots[slot])
            }
        }
    }

    private mutating func close(_ node: UnsafeMutablePointer<FlowNode>, _ index: Int32) {
        closeL7(node, index)
        _ = report(node, index, closing: closeType(of: node))
        counters.closed &+= 1
        remove(hash: node.pointee.hash, index: index)
        if node.pointee.perf >= 0 {
            switch node.pointee.l4Protocol {
            case .tcp: tcpPerfs.give(back: node.pointee.perf)
            case .udp: udpPerfs.give(back: node.pointee.perf)
            case .icmp, .unknown: break
            }
        }
        if node.pointee.l4Protocol == .icmp { icmpPerfs[index] = nil }
        if node.pointee.hasExtra { extras[index] = nil }
        node.pointee.generation = 0
        nodes.give(back: index)
    }

    /// A free element of the output, still holding the values of an earlier record.
    @inline(__always)
    mutating func withOutput(_ fill: (inout TaggedFlow) -> Void) {
        if outputCount < FlowMap.outputCapacity {
            fill(&output[outputCount])
            outputCount += 1
        } else {
            var flow = TaggedFlow()
            fill(&flow)
            overflow.append(flow)
        }
    }
}

extension FlowNode.Peer {
    @inline(__always)
    fileprivate mutating func add(_ packet: MetaPacket) {
        let length = UInt64(packet.packetLen)
        byteCount &+= length
        l3ByteCount &+= UInt64(packet.l3PayloadLen)
        l4ByteCount &+= UInt64(packet.l4PayloadLen)
        packetCount &+= 1
        totalByteCount &+= length
        totalPacketCount &+= 1
        if firstNs == 0 { firstNs = packet.timeNs }
        lastNs = packet.timeNs
        if packet.toaSrcPort != 0 {
            hasTOA = true
            toaIP = packet.toaSrcIP
            toaPort = packet.toaSrcPort
        }
    }

    fileprivate mutating func take(_ end: EndpointLabeler.End) {
        epc = end.epc
        isL2End = end.isL2End
        isL3End = end.isL3End
        isDevice = end.isDevice
        isLocalMac = end.isLocalMac
        isLocalIP = end.isLocalIP
    }

    fileprivate var rulePeer: TapSideRule.Peer {
        TapSideRule.Peer(isL2End: isL2End, isL3End: isL3End, isLocalMac: isLocalMac, isLocalIP: isLocalIP, epc: epc)
    }
}
