import Model

/// Application response time of UDP request and reply. Source: agent-flow.md 11.2.
struct UDPPerf: BitwiseCopyable {
    private var requestNs: UInt64 = 0
    private var lastDirection = PacketDirection.clientToServer
    private var art = LatencyStats()

    /// - Returns: false for an empty payload, which L7 must not see.
    @inline(__always)
    mutating func parse(_ packet: UnsafePointer<MetaPacket>, direction: PacketDirection) -> Bool {
        guard packet.pointee.payloadLen > 0 else { return false }
        if direction == .clientToServer {
            requestNs = packet.pointee.timeNs
        } else if requestNs != 0, requestNs <= packet.pointee.timeNs, lastDirection != .serverToClient {
            let elapsed = packet.pointee.timeNs &- requestNs
            if elapsed <= 30_000_000_000 { art.addNs(elapsed) }
        }
        lastDirection = direction
        return true
    }

    var isUpdated: Bool { art.count != 0 }

    /// The whole state starts anew, the pending request too, and only when something is reported.
    mutating func report(into stats: inout TCPPerfStats) {
        stats = TCPPerfStats()
        stats.art = art
        self = UDPPerf()
    }
}

/// Echo request and reply paired by identifier and sequence. Source: agent-flow.md 11.3.
///
/// A class because ICMP flows are few: made when the first echo arrives.
final class ICMPPerf {
    private struct Waiting {
        var key: UInt32
        var timeNs: UInt64
    }

    private static let cacheSize = 16
    private var requests: [Waiting] = []
    private var replies: [Waiting] = []
    private var srt = LatencyStats()

    func parse(_ packet: UnsafePointer<MetaPacket>) {
        guard packet.pointee.payloadLen > 0 else { return }
        let isRequest = packet.pointee.icmpType == (packet.pointee.isIPv6 ? 128 : 8)
        let isReply = packet.pointee.icmpType == (packet.pointee.isIPv6 ? 129 : 0)
        if isRequest {
            if let index = replies.firstIndex(where: { $0.key == packet.pointee.icmpIDSeq }) {
                pair(request: packet.pointee.timeNs, reply: replies.remove(at: index).timeNs)
            } else {
                ICMPPerf.append(Waiting(key: packet.pointee.icmpIDSeq, timeNs: packet.pointee.timeNs), to: &requests)
            }
        } else if isReply {
            if let index = requests.firstIndex(where: { $0.key == packet.pointee.icmpIDSeq }) {
                pair(request: requests.remove(at: index).timeNs, reply: packet.pointee.timeNs)
            } else {
                ICMPPerf.append(Waiting(key: packet.pointee.icmpIDSeq, timeNs: packet.pointee.timeNs), to: &replies)
            }
        }
    }

    var isUpdated: Bool { srt.count != 0 }

    func report(into stats: inout TCPPerfStats) {
        stats = TCPPerfStats()
        stats.srt = srt
        srt = LatencyStats()
    }

    private func pair(request: UInt64, reply: UInt64) {
        guard reply >= request, reply - request <= 30_000_000_000 else { return }
        srt.addNs(reply - request)
    }

    private static func append(_ waiting: Waiting, to list: inout [Waiting]) {
        if list.count == cacheSize { list.removeFirst() }
        list.append(waiting)
    }
}
