import Model

/// Which (address, port) behaves like a server: scores in a small least-recently-used table a family.
/// Source: agent-flow.md 9.
struct ServiceTable: ~Copyable {
    struct Key: Hashable, BitwiseCopyable {
        var ip: IPAddress
        var epc: Int16
        var port: UInt16
    }

    static let max: UInt8 = 255
    static let maxFromL7: UInt8 = 254
    static let maxFromConfig: UInt8 = 253
    static let maxFromPacket: UInt8 = 252
    static let threshold = 8

    private var ipv4 = ScoreCache(capacity: 2048)
    private var ipv6 = ScoreCache(capacity: 256)
    private var serverPorts: Set<UInt16>

    init(serverPorts: [UInt16]) {
        self.serverPorts = Set(serverPorts)
    }

    /// - Parameters: ends oriented as in the packet.
    /// - Returns: scores of source and destination; the greater is the server.
    mutating func tcpScore(
        isIPv6: Bool, isFirst: Bool, flags: UInt8, toaFromSource: Bool, toaFromDestination: Bool, src: Key, dst: Key
    ) -> (src: UInt8, dst: UInt8) {
        if flags & TCPFlags.synAck == TCPFlags.synAck || toaFromDestination {
            set(isIPv6, src, ServiceTable.max)
            remove(isIPv6, dst)
            return (ServiceTable.max, 0)
        }
        if flags & TCPFlags.syn != 0 || toaFromSource {
            remove(isIPv6, src)
            var score = get(isIPv6, dst)
            if isFirst, score < ServiceTable.maxFromPacket {
                score += 1
                set(isIPv6, dst, score)
            }
            return (0, score)
        }
        if isFirst { return firstScore(isIPv6: isIPv6, src: src, dst: dst) }
        return lookup(isIPv6: isIPv6, src: src, dst: dst)
    }

    mutating func udpScore(isIPv6: Bool, isFirst: Bool, src: Key, dst: Key) -> (src: UInt8, dst: UInt8) {
        isFirst ? firstScore(isIPv6: isIPv6, src: src, dst: dst) : lookup(isIPv6: isIPv6, src: src, dst: dst)
    }

    /// After an L7 parser has told which end serves: source 0, destination 254.
    mutating func learnFromL7(isIPv6: Bool, src: Key, dst: Key) {
        remove(isIPv6, src)
        set(isIPv6, dst, ServiceTable.maxFromL7)
    }

    private mutating func firstScore(isIPv6: Bool, src: Key, dst: Key) -> (src: UInt8, dst: UInt8) {
        var srcScore = startScore(isIPv6, src)
        var dstScore = startScore(isIPv6, dst)
        if srcScore == ServiceTable.max || dstScore == ServiceTable.max { return (srcScore, dstScore) }
        if srcScore > 0 {
            srcScore -= 1
            if srcScore == 0 { remove(isIPv6, src) } else { set(isIPv6, src, srcScore) }
        }
        if dstScore < ServiceTable.maxFromPacket {
            dstScore += 1
            set(isIPv6, dst, dstScore)
        }
        return isIPv6 ? (srcScore, dstScore) : adjusted(srcScore, dstScore, src.port, dst.port)
    }

    private mutating func startScore(_ isIPv6: Bool, _ key: Key) -> UInt8 {
        if !serverPorts.isEmpty, serverPorts.contains(key.port) {
            set(isIPv6, key, ServiceTable.maxFromConfig)
            return ServiceTable.maxFromConfig
        }
        return get(isIPv6, key)
    }

    mutating func lookup(isIPv6: Bool, src: Key, dst: Key) -> (src: UInt8, dst: UInt8) {
        let srcScore = get(isIPv6, src)
        let dstScore = get(isIPv6, dst)
        return isIPv6 ? (srcScore, dstScore) : adjusted(srcScore, dstScore, src.port, dst.port)
    }

    /// Close scores: an ephemeral port on one side alone decides. IPv4 only.
    private func adjusted(_ src: UInt8, _ dst: UInt8, _ srcPort: UInt16, _ dstPort: UInt16) -> (src: UInt8, dst: UInt8)
    {
        guard src <= ServiceTable.maxFromPacket, dst <= ServiceTable.maxFromPacket,
            abs(Int(src) - Int(dst)) < ServiceTable.threshold, (srcPort >= 32768) != (dstPort >= 32768)
        else { return (src, dst) }
        return srcPort >= 32768 ? (0, 1) : (1, 0)
    }

    private mutating func get(_ isIPv6: Bool, _ key: Key) -> UInt8 { isIPv6 ? ipv6.get(key) : ipv4.get(key) }
    private mutating func set(_ isIPv6: Bool, _ key: Key, _ score: UInt8) {
        if isIPv6 { ipv6.set(key, score) } else { ipv4.set(key, score) }
    }
    private mutating func remove(_ isIPv6: Bool, _ key: Key) {
        if isIPv6 { ipv6.remove(key) } else { ipv4.remove(key) }
    }
}
