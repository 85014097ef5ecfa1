import Model

/// What the generators need of a second record, made once for both.
struct MeteredRecord: BitwiseCopyable {
    /// Valid as long as the record.
    let flow: UnsafePointer<TaggedFlow>
    let facts: FlowFacts
    let key: QuadrupleKey
    let hash: UInt64
    /// Second of the counted packets, since 1970.
    let seconds: UInt32
    /// The parts that the record has anything for.
    let parts: UInt32

    enum Parts {
        @inline(__always) static var response: UInt32 { 1 << 0 }
        @inline(__always) static var l7: UInt32 { 1 << 1 }
        @inline(__always) static var setup: UInt32 { 1 << 2 }
        @inline(__always) static var fault: UInt32 { 1 << 3 }
    }

    @inline(__always)
    init(_ flow: UnsafePointer<TaggedFlow>, apmMetrics: Bool) {
        self.flow = flow
        seconds = UInt32(truncatingIfNeeded: flow.pointee.flowStatTimeNs / 1_000_000_000)
        var facts = FlowFacts(flow)
        var gpids: UInt64 = 0
        if FlowEnds.areNeeded(flow, facts) {
            facts.set(FlowFacts.Flags.hasEnds, true)
            gpids = UInt64(flow.pointee.src.gpid) << 32 | UInt64(flow.pointee.dst.gpid)
        }
        self.facts = facts
        key = QuadrupleKey(facts, gpids: gpids)
        hash = key.hash
        parts = MeteredRecord.parts(of: flow, apmMetrics: apmMetrics)
    }

    /// Packets and samples have traffic and times, other signals only requests.
    @inline(__always)
    var hasTraffic: Bool { flow.pointee.signalSource <= Raw.xflow }

    /// Times of TCP and ICMP are those of their packets; others have response times only.
    @inline(__always)
    var hasPacketTimes: Bool { MeteredRecord.hasPacketTimes(flow.pointee.key.proto) }

    @inline(__always)
    private static func hasPacketTimes(_ proto: UInt8) -> Bool {
        proto == Raw.tcp || proto == Raw.icmp || proto == Raw.icmpv6
    }

    /// Source: agent-flow.md 13.3.
    @inline(__always)
    private static func parts(of flow: UnsafePointer<TaggedFlow>, apmMetrics: Bool) -> UInt32 {
        let signal = flow.pointee.signalSource
        let proto = flow.pointee.key.proto
        var parts: UInt32 = 0
        if signal <= Raw.xflow {
            let closeType = flow.pointee.closeType
            if closeType != Raw.forcedReport {
                let isFault = proto == Raw.tcp && FaultPart.counts(closeType)
                if isFault || signal == Raw.xflow { parts = Parts.fault }
            } else if signal == Raw.xflow, flow.pointee.isNewFlow {
                parts = Parts.fault
            }
        }
        guard flow.pointee.hasPerfStats else { return parts }
        if signal <= Raw.xflow {
            let tcp = flow.pointer(to: \.perf.tcp).unsafelyUnwrapped
            var setup = tcp.pointee.synCount | tcp.pointee.synAckCount
            if hasPacketTimes(proto) {
                let response = tcp.pointee.art.presence | tcp.pointee.cit.presence
                parts |= response != 0 ? Parts.response : 0
                setup |= tcp.pointee.rtt | tcp.pointee.rttClient.presence | tcp.pointee.rttServer.presence
                let losses =
                    tcp.pointee.tx.retrans | tcp.pointee.tx.zeroWin | tcp.pointee.tx.outOfOrder
                    | tcp.pointee.rx.retrans | tcp.pointee.rx.zeroWin | tcp.pointee.rx.outOfOrder
                let fault =
                    losses | tcp.pointee.retransSyn | tcp.pointee.retransSynAck | tcp.pointee.srt.presence
                parts |= fault != 0 ? Parts.fault : 0
            } else {
                parts |= tcp.pointee.art.max != 0 ? Parts.response : 0
            }
            parts |= setup != 0 ? Parts.setup : 0
        }
        if apmMetrics, flow.pointee.perf.l7Protocol != 0 || signal == Raw.otel {
            let l7 = flow.pointer(to: \.perf.l7).unsafelyUnwrapped
            parts |= l7.pointee.hasCounts ? Parts.l7 : 0
        }
        return parts
    }
}

extension LatencyStats {
    /// Not zero when anything was measured.
    @inline(__always) fileprivate var presence: UInt32 { max | count }
}
