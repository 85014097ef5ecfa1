import Model

/// Who talks to whom: flows summed by client address and service.
struct MapEdge: LiveRecord {
    private let sample: LiveFlow
    private var flows: UInt64 = 0
    private var rate = 0.0
    private var bytes: UInt64 = 0
    private var packets: UInt64 = 0
    private var rtt = LatencyStats()
    private var l7 = L7PerfStats()
    private var retrans: UInt64 = 0

    static let columns: [KnownColumn] = [
        .ip0, .process0, .ip1, .serverPort, .process1, .protocol, .l7Protocol, .flows, .byteRate, .bytes, .packets,
        .rtt, .l7Request, .l7Error, .rrtAvg, .rrtMax, .retrans,
    ]

    /// Of the first flow found.
    var id: UInt64 { sample.id }

    private struct Key: Hashable {
        var client: IPAddress
        var server: IPAddress
        var port: UInt16
        var proto: UInt8
        var l7Protocol: UInt8
    }

    private init(_ sample: LiveFlow) { self.sample = sample }

    static func edges(of flows: [LiveFlow]) -> [MapEdge] {
        var places: [Key: Int] = [:]
        var edges: [MapEdge] = []
        places.reserveCapacity(flows.count / 2)
        for flow in flows {
            let key = Key(
                client: flow.key.ipSrc, server: flow.key.ipDst, port: flow.key.portDst, proto: flow.key.proto,
                l7Protocol: flow.l7Protocol)
            let place: Int
            if let known = places[key] {
                place = known
            } else {
                place = edges.count
                places[key] = place
                edges.append(MapEdge(flow))
            }
            edges[place].add(flow)
        }
        return edges
    }

    private mutating func add(_ flow: LiveFlow) {
        flows &+= 1
        rate += Double(flow.byteRate)
        bytes &+= flow.bytes
        packets &+= flow.packetTx &+ flow.packetRx
        if flow.rtt > 0 { rtt.add(flow.rtt) }
        l7.merge(flow.l7)
        retrans &+= UInt64(flow.retransTx &+ flow.retransRx)
    }

    package func field(_ column: FilterColumn) -> FieldValue? {
        guard let known = column.known else { return nil }
        switch known {
        case .flows: return .uint(flows)
        case .byteRate: return .real(rate)
        case .bytes, .byteTx: return .uint(bytes)
        case .packets, .packetTx: return .uint(packets)
        case .rtt: return .real(rtt.mean)
        case .l7Request: return .uint(UInt64(l7.requestCount))
        case .l7Error: return .uint(UInt64(l7.errClientCount &+ l7.errServerCount &+ l7.errTimeout))
        case .rrtAvg: return .real(l7.rrtCount == 0 ? 0 : Double(l7.rrtSum) / Double(l7.rrtCount))
        case .rrtMax: return .uint(UInt64(l7.rrtMax))
        case .retrans, .retransTx: return .uint(retrans)
        case .ip0, .ip1, .serverPort, .process0, .process1, .pid0, .pid1, .protocol, .l7Protocol:
            return sample.field(column)
        default: return nil
        }
    }

    package func address(_ column: FilterColumn) -> FilterAddress? { sample.address(column) }

    package func hasText(_ pattern: TextPattern) -> Bool { sample.hasText(pattern) }

    func sortKey(_ column: FilterColumn) -> SortKey {
        switch column.known {
        case .ip0, .ip1, .l7Protocol: sample.sortKey(column)
        case .byteRate: SortKey(rate, tie: bytes)
        default: SortKey(field(column))
        }
    }
}
