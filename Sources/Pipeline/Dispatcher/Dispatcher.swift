package import Capture
import Model

/// Turns captured frames into `MetaPacket`s and feeds them to its `FlowMap`. One a capture thread; not shared.
///
/// Frames come in batches: `prepare` parses all of a batch and asks the caches for what is known of their flows, `account`
/// then takes them one by one, `endBatch` looks into their payloads. So the memory latency of one packet passes while the
/// others are worked on, and each step's code stays in the cache for several packets.
/// Source: agent-flow.md 4.2, 5.2.
package struct Dispatcher: ~Copyable {
    /// Module `dispatcher`, since the start.
    package struct Counters: Sendable {
        package var rx: UInt64 = 0
        package var rxBytes: UInt64 = 0
        package var invalidPackets: UInt64 = 0
        package var unknownLinks: UInt64 = 0
        /// More than a millisecond older than its interface's newest packet.
        package var retired: UInt64 = 0
        package var receive = ReceiveCounters()

        package init() {}

        mutating func add(_ other: Counters) {
            rx &+= other.rx
            rxBytes &+= other.rxBytes
            invalidPackets &+= other.invalidPackets
            unknownLinks &+= other.unknownLinks
            retired &+= other.retired
            receive.add(other.receive)
        }
    }

    /// Frames of a batch at most: what is kept of them stays in the first cache level.
    package static var batch: Int { 32 }

    /// What `prepare` found out about a frame.
    private struct Prepared: BitwiseCopyable {
        var hash: UInt32 = 0
        /// False: dropped before the flow table.
        var isKept = false
        /// Counted at its other end, too.
        var isTwice = false
        /// Where the flow seems to be; -1 = not in the table.
        var node: Int32 = -1
    }

    /// What is known of an interface that frames arrive on.
    private struct Origin: BitwiseCopyable {
        var macLow24: UInt32 = 0
        var macLow32: UInt32 = 0
        var newestNs: UInt64 = 0
        var isKnown = false
    }

    package var flowMap: FlowMap
    package private(set) var counters = Counters()
    /// Per interface index; grown when interfaces appear.
    private var origins: [Origin] = []
    private let isLive: Bool
    private let decapsulator: Decapsulator
    /// nil unless traffic is mirrored.
    private let mirror: MirrorRules?
    /// Packets of a gateway that are late take the newest time.
    private var keepsStale: Bool { mirror?.settings.isGatewayTraffic == true }
    /// A batch, and behind it the other ends of mirrored packets.
    private let packets: UnsafeMutablePointer<MetaPacket>
    private let prepared: UnsafeMutablePointer<Prepared>

    package init(
        flowMap: consuming FlowMap, decapsulator: Decapsulator = Decapsulator(), isLive: Bool,
        mirror: MirrorSettings = MirrorSettings()
    ) {
        let (agentType, number) = (flowMap.labeler.agentType, flowMap.settings.dispatcherID)
        self.mirror =
            isLive && mirror.mode != .local
            ? MirrorRules(settings: mirror, agentType: agentType, dispatcher: number) : nil
        self.flowMap = flowMap
        self.decapsulator = decapsulator
        self.isLive = isLive
        packets = .allocate(capacity: 2 * Dispatcher.batch)
        packets.initialize(repeating: MetaPacket(), count: 2 * Dispatcher.batch)
        prepared = .allocate(capacity: Dispatcher.batch)
        prepared.initialize(repeating: Prepared(), count: Dispatcher.batch)
    }

    /// With a flow table and an L7 stage of its own.
    /// - Parameter number: of this dispatcher; part of the ids of its flows.
    init(settings: AgentPipeline.Settings, number: Int, isLive: Bool, clockNs: UInt64) {
        var flow = settings.flow
        flow.dispatcherID = UInt8(truncatingIfNeeded: number)
        // The analyzer sees a whole network. Source: agent-flow.md 3 (`concurrent_flow_limit`).
        if isLive, settings.mirror.mode == .analyzer, flow.concurrentFlowLimit <= 65_535 {
            flow.concurrentFlowLimit = Int(UInt32.max)
        }
        let l7 = L7Stage(engine: L7Engine(settings: settings.l7), isEnabled: settings.isL7Enabled)
        self.init(
            flowMap: FlowMap(settings: flow, labeler: settings.identity, l7: l7, clockNs: clockNs),
            decapsulator: settings.decapsulator, isLive: isLive, mirror: settings.mirror)
    }

    deinit {
        packets.deallocate()
        prepared.deallocate()
    }

    /// The interfaces that frames may come from; others are dropped and counted invalid.
    package mutating func setInterfaces(_ interfaces: [NetworkInterface]) {
        for interface in interfaces where interface.index >= 0 && interface.index < 1 << 20 {
            let index = Int(interface.index)
            while origins.count <= index { origins.append(Origin()) }
            let mac = interface.machineMAC ?? interface.mac
            origins[index].macLow24 = UInt32(truncatingIfNeeded: mac & 0xff_ffff)
            origins[index].macLow32 = UInt32(truncatingIfNeeded: interface.bondMAC ?? mac)
            origins[index].isKnown = true
        }
    }

    /// Parses the frames, at most `batch`; their bytes stay borrowed until `endBatch`.
    package mutating func prepare(_ frames: UnsafeBufferPointer<CaptureFrame>) {
        precondition(frames.count <= Dispatcher.batch)
        for index in 0..<frames.count {
            let isKept = parse(frames[index], into: packets + index)
            prepared[index].isKept = isKept
            guard isKept else { continue }
            if mirror != nil { prepared[index].isTwice = mirrored(frames[index], index) }
            let hash = FlowMap.hash(packets + index)
            prepared[index].hash = hash
            flowMap.prefetchCell(hash: hash)
        }
        for index in 0..<frames.count where prepared[index].isKept {
            prepared[index].node = flowMap.prefetchNode(hash: prepared[index].hash)
        }
        for index in 0..<frames.count where prepared[index].isKept && prepared[index].node >= 0 {
            flowMap.prefetchCounters(of: prepared[index].node, packets + index)
        }
    }

    /// Lets time pass up to a prepared frame. False: the flow table's output is to be drained first, then call again.
    @inline(__always)
    package mutating func advance(to index: Int) -> Bool {
        !prepared[index].isKept || flowMap.advance(to: packets[index].timeNs)
    }

    /// Accounts a prepared frame, after `advance(to:)`.
    /// - Returns: the packet; nil when it was dropped before the flow table.
    @inline(__always)
    package mutating func account(_ index: Int, _ frame: CaptureFrame) -> UnsafePointer<MetaPacket>? {
        guard prepared[index].isKept else { return nil }
        let packet = packets + index
        flowMap.take(packet, hash: prepared[index].hash, frame: frame.bytes)
        if prepared[index].isTwice { accountOtherEnd(index, frame) }
        return UnsafePointer(packet)
    }

    @inline(never)
    private mutating func accountOtherEnd(_ index: Int, _ frame: CaptureFrame) {
        let packet = packets + Dispatcher.batch + index
        flowMap.take(packet, hash: FlowMap.hash(packet), frame: frame.bytes)
    }

    /// Ends a batch, before its frames go.
    @inline(__always)
    package mutating func endBatch() { flowMap.parseWaiting() }

    @inline(__always)
    private mutating func parse(_ frame: CaptureFrame, into packet: UnsafeMutablePointer<MetaPacket>) -> Bool {
        counters.rx &+= 1
        counters.rxBytes &+= UInt64(frame.wire)
        guard let link = frame.link == 1 ? .ethernet : LinkType(fileNumber: frame.link) else {
            counters.unknownLinks &+= 1
            return false
        }
        let span = RawSpan(_unsafeBytes: frame.bytes)
        packet.initialize(to: MetaPacket())
        packet.pointee.timeNs = frame.timeNs
        let length = isLive ? frame.bytes.count : 0
        let isParsed =
            link == .ethernet
            ? PacketParser.parse(span, through: decapsulator, originalLength: length, into: &packet.pointee)
            : PacketParser.parse(span, link: link, originalLength: length, into: &packet.pointee)
        guard isParsed else {
            counters.invalidPackets &+= 1
            return false
        }
        if isLive {
            guard place(&packet.pointee, frame) else { return false }
        } else {
            packet.pointee.l2End0 = true
            packet.pointee.l2End1 = true
        }
        if packet.pointee.isDecapsulated {
            packet.pointee.tapPort |= UInt64(packet.pointee.tunnel.type.rawValue) << 32
        }
        if packet.pointee.toaSrcPort != 0 { packet.pointee.tapPort |= UInt64(NATSource.toa) << 36 }
        return true
    }

    /// Observation facts of a packet that was copied from elsewhere, in place of the interface's.
    /// - Returns: whether it is counted at its other end, too, where it lies behind the batch.
    @inline(never)
    private mutating func mirrored(_ frame: CaptureFrame, _ index: Int) -> Bool {
        guard let mirror else { return false }
        let packet = packets + index
        var (source, destination) = (packet.pointee.macSrc, packet.pointee.macDst)
        if packet.pointee.tunnel.tier > 0 {
            source = UInt64(packet.pointee.tunnel.macSrc)
            destination = UInt64(packet.pointee.tunnel.macDst)
        }
        let own = origins[Int(frame.interface)].macLow32
        // What tunnel and option told of the packet stays.
        let kept = packet.pointee.tapPort & 0x00ff_ffff_0000_0000
        if mirror.settings.mode == .analyzer {
            let isSpan = packet.pointee.tunnel.type == .erspan
            let side = mirror.analyzed(
                source: UInt32(truncatingIfNeeded: source), destination: UInt32(truncatingIfNeeded: destination),
                own: own,
                tunnelSource: isSpan ? packet.pointee.tunnel.ipSrc : 0)
            packet.pointee.take(side, kept)
            packet.pointee.tapType = mirror.networkType(of: RawSpan(_unsafeBytes: frame.bytes))
            return false
        }
        let sides = mirror.mirrored(
            source: UInt32(truncatingIfNeeded: source), destination: UInt32(truncatingIfNeeded: destination), own: own)
        packet.pointee.take(sides.first, kept)
        guard let second = sides.second else { return false }
        packets[Dispatcher.batch + index] = packet.pointee
        packets[Dispatcher.batch + index].take(second, kept)
        return true
    }

    /// Announcements to neighbours are taken from interfaces that are not known, too, as if they came from another one.
    /// Source: agent-flow.md 5.2, rule 1.
    @inline(never)
    private func otherOrigin(of frame: CaptureFrame) -> Int? {
        mirror == nil && frame.isLLDP ? origins.firstIndex { $0.isKnown } : nil
    }

    /// Observation facts of the interface, and time that does not step back on it.
    @inline(__always)
    private mutating func place(_ packet: inout MetaPacket, _ frame: CaptureFrame) -> Bool {
        var interface = Int(frame.interface)
        if interface < 0 || interface >= origins.count || !origins[interface].isKnown {
            guard let other = otherOrigin(of: frame) else {
                counters.invalidPackets &+= 1
                return false
            }
            interface = other
        }
        let newest = origins[interface].newestNs
        if packet.timeNs < newest {
            if packet.timeNs &+ 1_000_000 < newest, !keepsStale {
                counters.retired &+= 1
                return false
            }
            packet.timeNs = newest
        } else {
            origins[interface].newestNs = packet.timeNs
        }
        // The ends of the link are those of the outer frame.
        var (macSrc, macDst) = (packet.macSrc, packet.macDst)
        if packet.isDecapsulated, frame.bytes.count >= 14 {
            let span = RawSpan(_unsafeBytes: frame.bytes)
            macDst = span.be64(at: 0) >> 16
            macSrc = span.be64(at: 4) & 0xffff_ffff_ffff
        }
        if macSrc == 0, macDst == 0, packet.tunnel.type == .none {
            packet.l2End0 = true
            packet.l2End1 = true
        } else {
            let mac = origins[interface].macLow24
            packet.l2End0 = UInt32(truncatingIfNeeded: macSrc & 0xff_ffff) == mac
            packet.l2End1 =
                !packet.l2End0
                && (UInt32(truncatingIfNeeded: macDst & 0xff_ffff) == mac || macDst >> 40 & 1 == 1)
        }
        packet.tapPort = UInt64(origins[interface].macLow32)
        return true
    }
}

extension MetaPacket {
    /// - Parameter kept: bits of `tapPort` that stay.
    fileprivate mutating func take(_ side: MirrorRules.Side, _ kept: UInt64) {
        l2End0 = side.l2End0
        l2End1 = side.l2End1
        tapPort = side.tapPort | kept
    }
}
