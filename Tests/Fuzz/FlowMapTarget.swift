import Model
import Pipeline
import Samples

/// Packets of few flows in any order, at any time: nothing is lost on the way from packets to records.
///
/// Eight bytes of input make a packet: ends, kind, flags, sequence, acknowledgement, payload, time.
struct FlowMapTarget: FuzzTarget {
    static let name = "flowmap"
    private static let startNs: UInt64 = 1_700_000_000_000_000_000

    static var seeds: [[UInt8]] {
        // A handshake, a request, an answer, the end; and a query.
        let connection: [[UInt8]] = [
            [0, 0, 2, 1, 0, 0, 0, 1], [1, 0, 0x12, 1, 1, 0, 0, 1], [0, 0, 0x10, 2, 1, 0, 0, 1],
            [0, 0, 0x18, 2, 1, 40, 0, 2], [1, 0, 0x18, 2, 42, 90, 0, 9], [0, 0, 0x11, 42, 92, 0, 0, 200],
            [1, 0, 0x11, 92, 43, 0, 0, 1], [0, 0, 0x10, 43, 93, 0, 0, 1],
        ]
        return [connection.flatMap { $0 }, [2, 1, 0, 0, 0, 40, 0, 5, 3, 1, 0, 0, 0, 90, 0, 5], Array(0..<128)]
    }

    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool {
        var settings = FlowMap.Settings()
        settings.concurrentFlowLimit = 24
        settings.hashSlots = 64
        var map = FlowMap(
            settings: settings, labeler: EndpointLabeler(), l7: L7Stage(engine: L7Engine(settings: L7Settings())),
            clockNs: FlowMapTarget.startNs)
        var timeNs = FlowMapTarget.startNs
        var (offered, offeredBytes, recorded, recordedBytes): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        func collect(_ flows: UnsafeBufferPointer<TaggedFlow>) {
            for flow in flows {
                recorded += flow.src.packetCount + flow.dst.packetCount
                recordedBytes += flow.src.byteCount + flow.dst.byteCount
            }
        }
        for at in stride(from: 0, to: input.count - 7, by: 8) {
            // Mostly forward, now and then back.
            let step = UInt64(input[at + 7]) * 10_000_000
            timeNs = input[at + 6] > 240 ? timeNs &- step : timeNs &+ step
            let frame = FlowMapTarget.frame(Array(input[at..<at + 8]))
            var packet = MetaPacket()
            guard PacketParser.parse(frame.span.bytes, link: .ethernet, originalLength: 0, into: &packet) else {
                continue
            }
            packet.timeNs = timeNs
            offered += 1
            offeredBytes += UInt64(packet.packetLen)
            withUnsafeMutablePointer(to: &packet) { packet in
                let hash = FlowMap.hash(packet)
                map.inject(packet, hash: hash, frame: frame.span.bytes)
            }
            if map.isOutputFull { map.drainOutput { flows, _ in collect(flows) } }
        }
        while let next = map.nextSecondNs {
            while !map.advance(to: next) {}
            map.drainOutput { flows, _ in collect(flows) }
        }
        map.drainOutput { flows, _ in collect(flows) }
        let counters = map.counters
        guard offered == counters.packets + counters.dropByWindow + counters.dropByCapacity else {
            throw Finding(what: "\(offered) packets offered, \(counters)")
        }
        guard counters.packets == recorded, counters.bytes == recordedBytes else {
            throw Finding(what: "\(counters.packets) packets counted, \(recorded) in records")
        }
        guard offeredBytes == counters.bytes + counters.dropByWindowBytes + counters.dropByCapacityBytes else {
            throw Finding(what: "\(offeredBytes) bytes offered, \(counters)")
        }
        guard map.concurrentFlows == 0, counters.new == counters.closed else {
            throw Finding(what: "\(map.concurrentFlows) flows left")
        }
        return recorded > 0
    }

    private static func frame(_ bytes: [UInt8]) -> [UInt8] {
        let fromServer = bytes[0] & 1 == 1
        let client = 40000 + Int(bytes[0] >> 1)
        let ports = fromServer ? (80, client) : (client, 80)
        let payload = [UInt8](repeating: 7, count: Int(bytes[5]))
        let transport: [UInt8]
        let proto: Int
        switch bytes[1] % 4 {
        case 0:
            proto = 6
            transport = SampleFrames.tcp(
                from: ports.0, to: ports.1, seq: UInt32(bytes[3]), ack: UInt32(bytes[4]), flags: bytes[2],
                payload: payload)
        case 1:
            proto = 17
            transport = SampleFrames.udp(ports.0, ports.1, payload)
        case 2:
            proto = 1
            transport = [fromServer ? 0 : 8, 0, 0, 0, bytes[3], bytes[4], 0, 1] + payload
        default:
            proto = 132
            transport = payload
        }
        return fromServer
            ? SampleFrames.ethernet(0x0800) + SampleFrames.ipv4(proto, transport, from: 2, to: 1)
            : SampleFrames.ethernet(0x0800) + SampleFrames.ipv4(proto, transport)
    }
}
