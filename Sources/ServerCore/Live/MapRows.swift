import Model

/// Who talks to whom: flows summed by client address and service.
enum MapRows {
    static let columns = [
        "ip_0", "process_kname_0", "ip_1", "server_port", "process_kname_1", "protocol", "l7_protocol", "flows",
        "byte_rate", "bytes", "packets", "rtt", "l7_request", "l7_error", "rrt_avg", "rrt_max", "retrans",
    ]
    private static let named = NamedFields.Columns(columns)

    private struct Key: Hashable {
        var client: IPAddress
        var server: IPAddress
        var port: UInt16
        var proto: UInt8
        var l7Protocol: UInt8
    }

    private struct Edge {
        var sample: LiveFlow
        var flows: UInt64 = 0
        var rate = 0.0
        var bytes: UInt64 = 0
        var packets: UInt64 = 0
        var rtt = LatencyStats()
        var l7 = L7PerfStats()
        var retrans: UInt64 = 0
    }

    static func rows(_ flows: [LiveFlow]) -> [NamedRecord] {
        var places: [Key: Int] = [:]
        var edges: [Edge] = []
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
                edges.append(Edge(sample: flow))
            }
            edges[place].flows &+= 1
            edges[place].rate += Double(flow.byteRate)
            edges[place].bytes &+= flow.bytes
            edges[place].packets &+= flow.packetTx &+ flow.packetRx
            if flow.rtt > 0 { edges[place].rtt.add(flow.rtt) }
            edges[place].l7.merge(flow.l7)
            edges[place].retrans &+= UInt64(flow.retransTx &+ flow.retransRx)
        }
        return edges.map { edge in
            let l7 = edge.l7
            let flow = edge.sample
            return NamedRecord(
                id: flow.id,
                fields: NamedFields(
                    columns: named,
                    values: [
                        .text(flow.clientText), .text(flow.process0), .text(flow.serverText),
                        .uint(UInt64(flow.key.portDst)), .text(flow.process1), .uint(UInt64(flow.key.proto)),
                        .uint(UInt64(flow.l7Protocol)), .uint(edge.flows), .real(edge.rate), .uint(edge.bytes),
                        .uint(edge.packets), .real(edge.rtt.mean), .uint(UInt64(l7.requestCount)),
                        .uint(UInt64(l7.errClientCount &+ l7.errServerCount &+ l7.errTimeout)),
                        .real(l7.rrtCount == 0 ? 0 : Double(l7.rrtSum) / Double(l7.rrtCount)),
                        .uint(UInt64(l7.rrtMax)), .uint(edge.retrans),
                    ]))
        }
    }
}
