import Model

/// What a flow's packets add up until its next report: a cache line, as long as there is something to report.
struct FlowPeriod: BitwiseCopyable {
    /// What one end sent.
    struct Sent: BitwiseCopyable {
        var byteCount: UInt64 = 0
        var l3ByteCount: UInt64 = 0
        var l4ByteCount: UInt64 = 0
        var packetCount: UInt32 = 0

        @inline(__always)
        mutating func add(_ packet: UnsafePointer<MetaPacket>) {
            byteCount &+= UInt64(packet.pointee.packetLen)
            l3ByteCount &+= UInt64(packet.pointee.l3PayloadLen)
            l4ByteCount &+= UInt64(packet.pointee.l4PayloadLen)
            packetCount &+= 1
        }
    }

    var src = Sent()
    /// Slot in the pool of L7 counters, -1 = none.
    var l7: Int32 = -1
    var dst = Sent()

    /// Of a free slot: behind the fields, on the same cache line.
    static var linkOffset: Int { 60 }
}

/// That of a TCP flow.
struct TCPPeriod: BitwiseCopyable {
    var packets = FlowPeriod()
    var counts = TCPCounts()
}

/// L7 counters of a period.
struct L7Counts: BitwiseCopyable {
    var stats = L7PerfStats()
    var failedCount: UInt32 = 0
}

/// What few flows have.
struct RareFacts: BitwiseCopyable {
    struct RealEnd: BitwiseCopyable {
        var ip: UInt32 = 0
        var port: UInt16 = 0
    }

    var tunnel = TunnelField()
    /// Of ends with `FlowNode.Peer.Marks.toa`.
    var src = RealEnd()
    var dst = RealEnd()
}

/// Both addresses of an IPv6 flow.
struct WideAddresses: BitwiseCopyable {
    var src = IPAddress()
    var dst = IPAddress()
}

/// What flows take from pools beside their nodes.
struct FlowParts: ~Copyable {
    var periods = Pool(initial: FlowPeriod(), linkOffset: FlowPeriod.linkOffset)
    var tcpPeriods = Pool(initial: TCPPeriod(), linkOffset: FlowPeriod.linkOffset)
    var sequenceLists = Pool(initial: SequenceList())
    var l7Counts = Pool(initial: L7Counts())
    var rareFacts = Pool(initial: RareFacts())
    var wideAddresses = Pool(initial: WideAddresses())

    /// The open period of a flow that has one.
    @inline(__always)
    func openPeriod(of node: UnsafeMutablePointer<FlowNode>) -> UnsafeMutablePointer<FlowPeriod> {
        node.pointee.l4Protocol == .tcp
            ? tcpPeriods[node.pointee.period].pointer(to: \.packets).unsafelyUnwrapped : periods[node.pointee.period]
    }

    /// The counters of the TCP connection in this period.
    @inline(__always)
    func counts(of node: UnsafeMutablePointer<FlowNode>) -> UnsafeMutablePointer<TCPCounts> {
        tcpPeriods[node.pointee.period].pointer(to: \.counts).unsafelyUnwrapped
    }

    /// The flow's period, opened if need be.
    @inline(__always)
    mutating func period(of node: UnsafeMutablePointer<FlowNode>) -> UnsafeMutablePointer<FlowPeriod> {
        if node.pointee.period < 0 { beginPeriod(of: node) }
        return openPeriod(of: node)
    }

    @inline(never)
    private mutating func beginPeriod(of node: UnsafeMutablePointer<FlowNode>) {
        node.pointee.period = node.pointee.l4Protocol == .tcp ? tcpPeriods.takeClean() : periods.takeClean()
    }

    /// Forgets what was counted in the period and gives its room back, unless the connection still needs it.
    @inline(__always)
    mutating func endPeriod(of node: UnsafeMutablePointer<FlowNode>) {
        guard node.pointee.period >= 0 else { return }
        let period = openPeriod(of: node)
        if period.pointee.l7 >= 0 { l7Counts.give(back: period.pointee.l7) }
        period.initialize(to: FlowPeriod())
        if node.pointee.l4Protocol == .tcp {
            guard node.pointee.perf.endPeriod(counts(of: node)) else { return }
            tcpPeriods.give(back: node.pointee.period)
        } else {
            periods.give(back: node.pointee.period)
        }
        node.pointee.period = -1
    }

    /// L7 counters of the period.
    mutating func l7Counts(of node: UnsafeMutablePointer<FlowNode>) -> UnsafeMutablePointer<L7Counts> {
        let period = period(of: node)
        if period.pointee.l7 < 0 { period.pointee.l7 = l7Counts.take() }
        return l7Counts[period.pointee.l7]
    }

    /// Those that were counted in the period; nil = none.
    @inline(__always)
    func knownL7Counts(of node: UnsafeMutablePointer<FlowNode>) -> UnsafeMutablePointer<L7Counts>? {
        guard node.pointee.period >= 0 else { return nil }
        let number = openPeriod(of: node).pointee.l7
        return number < 0 ? nil : l7Counts[number]
    }

    /// Room for what few flows have.
    mutating func rareFacts(of node: UnsafeMutablePointer<FlowNode>) -> UnsafeMutablePointer<RareFacts> {
        if node.pointee.rare < 0 { node.pointee.rare = rareFacts.take() }
        return rareFacts[node.pointee.rare]
    }

    @inline(__always)
    func addresses(of node: UnsafeMutablePointer<FlowNode>) -> WideAddresses {
        guard !node.pointee.isIPv6 else {
            return wideAddresses[Int32(truncatingIfNeeded: node.pointee.addresses)].pointee
        }
        return WideAddresses(
            src: IPAddress(v4: UInt32(truncatingIfNeeded: node.pointee.addresses >> 32)),
            dst: IPAddress(v4: UInt32(truncatingIfNeeded: node.pointee.addresses)))
    }

    mutating func setAddresses(of node: UnsafeMutablePointer<FlowNode>, _ src: IPAddress, _ dst: IPAddress) {
        if node.pointee.isIPv6 {
            let number = wideAddresses.take()
            wideAddresses[number].pointee = WideAddresses(src: src, dst: dst)
            node.pointee.addresses = UInt64(number)
        } else {
            node.pointee.addresses = UInt64(src.v4) << 32 | UInt64(dst.v4)
        }
    }

    /// Exchanges source and destination. Source: agent-flow.md 8.7.
    mutating func reverse(_ node: UnsafeMutablePointer<FlowNode>, isFirstPacket: Bool) {
        node.pointee.reverse(isFirstPacket: isFirstPacket)
        if node.pointee.isIPv6 {
            let addresses = wideAddresses[Int32(truncatingIfNeeded: node.pointee.addresses)]
            swap(&addresses.pointee.src, &addresses.pointee.dst)
        }
        if node.pointee.period >= 0 {
            let period = openPeriod(of: node)
            swap(&period.pointee.src, &period.pointee.dst)
        }
        if node.pointee.rare >= 0 {
            let rare = rareFacts[node.pointee.rare]
            swap(&rare.pointee.src, &rare.pointee.dst)
        }
    }

    /// At the end of the flow.
    mutating func release(_ node: UnsafeMutablePointer<FlowNode>) {
        if node.pointee.period >= 0, node.pointee.l4Protocol == .tcp {
            let counts = counts(of: node)
            counts.pointee.releaseLists(to: &sequenceLists)
            counts.initialize(to: TCPCounts())
            tcpPeriods.give(back: node.pointee.period)
            node.pointee.period = -1
        }
        if node.pointee.isIPv6 { wideAddresses.give(back: Int32(truncatingIfNeeded: node.pointee.addresses)) }
        if node.pointee.rare >= 0 { rareFacts.give(back: node.pointee.rare) }
    }
}
