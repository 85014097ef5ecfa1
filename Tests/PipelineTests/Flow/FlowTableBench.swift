import Model

@testable import Pipeline

/// Builds the packets of one flow and collects what a flow table makes of them.
struct FlowTableBench: ~Copyable {
    static let startNs: UInt64 = 1_700_000_000_000_000_000
    private var map: FlowMap
    private(set) var records: [TaggedFlow] = []
    /// Newest time of packets and ticks.
    private var nowNs: UInt64

    init(
        labeler: EndpointLabeler = EndpointLabeler(), startNs: UInt64 = FlowTableBench.startNs,
        isL7Enabled: Bool = false,
        _ change: (inout FlowMap.Settings) -> Void = { _ in }
    ) {
        var settings = FlowMap.Settings()
        change(&settings)
        nowNs = startNs
        map = FlowMap(
            settings: settings, labeler: labeler,
            l7: L7Stage(engine: L7Engine(settings: L7Settings()), isEnabled: isL7Enabled),
            clockNs: startNs)
    }

    var counters: FlowMap.Counters { map.counters }
    var labeler: EndpointLabeler {
        get { map.labeler }
        set { map.labeler = newValue }
    }
    var concurrent: Int { map.concurrentFlows }
    /// What flows hold beside their nodes.
    var partsInUse: Int {
        map.parts.periods.count + map.parts.tcpPeriods.count + map.parts.sequenceLists.count
            + map.parts.l7Counts.count + map.parts.rareFacts.count + map.parts.wideAddresses.count
    }

    static func packet(
        atMs: UInt64, fromServer: Bool = false, proto: UInt8 = IPProtocol.tcp, flags: UInt8 = 0, seq: UInt32 = 0,
        ack: UInt32 = 0,
        payload: UInt16 = 0, clientPort: UInt16 = 40000
    ) -> MetaPacket {
        var packet = MetaPacket()
        packet.timeNs = startNs + atMs * 1_000_000
        packet.ethType = EtherType.ipv4
        packet.proto = proto
        packet.l4Protocol = proto == IPProtocol.tcp ? .tcp : proto == IPProtocol.udp ? .udp : .unknown
        let client = IPAddress(v4: 0x0a00_0001)
        let server = IPAddress(v4: 0x0a00_0002)
        packet.ipSrc = fromServer ? server : client
        packet.ipDst = fromServer ? client : server
        packet.portSrc = fromServer ? 80 : clientPort
        packet.portDst = fromServer ? clientPort : 80
        packet.macSrc = fromServer ? 2 : 1
        packet.macDst = fromServer ? 1 : 2
        packet.tcpFlags = flags
        packet.dataOffset = 5
        packet.seq = seq
        packet.ack = ack
        packet.l4PayloadLen = payload
        packet.payloadLen = payload
        packet.packetLen = 54 + UInt32(payload)
        packet.l2End0 = true
        packet.l2End1 = true
        return packet
    }

    mutating func inject(_ packet: MetaPacket) {
        var packet = packet
        let frame = [UInt8](repeating: 0, count: 14)
        let hash = FlowMap.hash(&packet)
        nowNs = max(nowNs, packet.timeNs)
        map.inject(&packet, hash: hash, frame: frame.span.bytes)
        collect()
    }

    mutating func tick(ms: UInt64) {
        advance(to: FlowTableBench.startNs + ms * 1_000_000)
    }

    /// Lets time run on, second by second, until every flow has ended.
    mutating func finish() {
        while map.concurrentFlows > 0 { advance(to: nowNs + 1_000_000_000) }
    }

    private mutating func advance(to timeNs: UInt64) {
        nowNs = max(nowNs, timeNs)
        while !map.advance(to: timeNs) { collect() }
        collect()
    }

    private mutating func collect() {
        var batch: [TaggedFlow] = []
        map.drainOutput { flows, _ in batch += Array(flows) }
        records += batch
    }
}
