package import Model

/// L7 counters of one parsed message, or of a flow's report, on their way to the L7 metrics.
///
/// The flow table makes one for each message, and two without an endpoint (forward and reversed, with the pending
/// timeouts) together with each report of a flow whose L7 protocol is known. For flows without a known protocol the
/// two may be left out: they yield no document. Source: agent-flow.md 8.6, 15; agent-l7.md 6.6.
package struct L7Stats: Sendable {
    /// With the addresses and the service port behind a NAT.
    package var flow = FlowFacts()
    package var stats = L7PerfStats()
    package var flowID: UInt64 = 0
    /// Set with `setEndpoint`, so that its hash goes with it.
    package private(set) var endpoint = ""
    /// 0 for the empty endpoint.
    package private(set) var endpointHash: UInt64 = 0
    var macSrc: UInt64 = 0
    var macDst: UInt64 = 0
    var gpidSrc: UInt32 = 0
    var gpidDst: UInt32 = 0
    /// Second that the counters belong to, seconds since 1970.
    package var timeSeconds: UInt32 = 0
    /// Seconds to shift the counters back to the request's second.
    package var timeSpanSeconds: UInt32 = 0
    var tapType: UInt16 = 0
    /// Behind a NAT, too.
    var portSrc: UInt16 = 0
    /// `L7Protocol` raw value.
    package var l7Protocol: UInt8 = 0
    package var bizType: UInt8 = 0
    var directionScore: UInt8 = 0
    /// `CloseType` raw value; decides whether the entries of the flow leave at once.
    var closeType: UInt8 = 0
    /// The message runs against the flow's direction.
    package var isReversed = false

    package init() {}

    package init(_ flow: borrowing TaggedFlow, l7Protocol: UInt8, timeSeconds: UInt32, isReversed: Bool = false) {
        withUnsafePointer(to: flow) { flow in
            var facts = FlowFacts(flow)
            let ends = FlowEnds(flow)
            facts.src = ends.realIPSrc
            facts.dst = ends.realIPDst
            facts.place = FlowFacts.place(
                flow.pointee.src.l3EpcID, flow.pointee.dst.l3EpcID, port: ends.realPortDst, tapType: ends.tapType,
                proto: flow.pointee.key.proto)
            facts.set(FlowFacts.Flags.hasEnds, FlowEnds.areNeeded(flow, facts))
            self.flow = facts
            portSrc = ends.realPortSrc
            macSrc = ends.macSrc
            macDst = ends.macDst
            gpidSrc = ends.gpidSrc
            gpidDst = ends.gpidDst
            tapType = ends.tapType
            directionScore = flow.pointee.directionScore
            closeType = flow.pointee.closeType
        }
        flowID = flow.flowID
        self.l7Protocol = l7Protocol
        self.timeSeconds = timeSeconds
        self.isReversed = isReversed
    }

    package mutating func setEndpoint(_ text: String) { setEndpoint(text, hash: MetricsHash.text(text)) }

    /// - Parameter hash: `MetricsHash.text` of the endpoint.
    package mutating func setEndpoint(_ text: String, hash: UInt64) {
        endpoint = text
        endpointHash = hash
    }
}
