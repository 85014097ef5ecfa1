import Model

/// Settings that shape tags. Source: agent-flow.md 14.4.
struct TagRules: BitwiseCopyable, Sendable {
    var agentID: UInt16
    var globalThreadID: UInt8
    var isStandalone: Bool
    var inactiveIPAggregation: Bool
    var inactiveServerPortAggregation: Bool

    init(_ identity: MetricsIdentity, _ settings: FlowMetricsSettings) {
        agentID = identity.agentID
        globalThreadID = identity.dispatcherID &+ 1
        isStandalone = identity.isStandalone
        inactiveIPAggregation = settings.inactiveIPAggregation
        inactiveServerPortAggregation = settings.inactiveServerPortAggregation
    }

    /// Whether documents show all that a flow tells of its ends.
    var showsAll: Bool { isStandalone && !inactiveIPAggregation && !inactiveServerPortAggregation }

    /// Hosts that are not active are hidden. The memory of possible hosts exists only without this aggregation, and
    /// only this aggregation asks for it. Source: agent-flow.md 13.6.
    @inline(__always)
    func isActive(_ flow: UnsafePointer<FlowFacts>, _ end: FlowEnd) -> Bool {
        guard inactiveIPAggregation else { return false }
        return flow.pointee.has(end == .src ? FlowFacts.Flags.isDeviceSrc : FlowFacts.Flags.isDeviceDst)
    }
}

enum FlowEnd {
    case src, dst
}

/// The tag of one document before it is written out: plain bytes, enough to find the document it merges into.
struct DocumentTag: BitwiseCopyable {
    var ip = IPAddress()
    var ip1 = IPAddress()
    var mac: UInt64 = 0
    var mac1: UInt64 = 0
    var tapPort: UInt64
    var epc: Int32 = 0
    var epc1: Int32 = 0
    var gpid: UInt32 = 0
    var gpid1: UInt32 = 0
    var tapType: UInt16
    var serverPort: UInt16 = 0
    var direction: UInt8
    var proto: UInt8
    var signalSource: UInt8
    var isIPv6: Bool
    var isEdge: Bool
    /// The MAC bit is set though the address may be zero.
    var hasMac = false

    static let internetEpc: Int32 = -2

    /// One end of a flow. `isReversed`: an L7 message against the flow's direction. Source: agent-flow.md 14.4, 15.
    /// - Parameter portSrc: of the source end, needed for reversed messages only.
    @inline(__always)
    static func single(
        _ flow: UnsafePointer<FlowFacts>, _ ends: UnsafePointer<FlowEnds>?, _ end: FlowEnd, isActive: Bool,
        isReversed: Bool, portSrc: UInt16, _ rules: TagRules
    ) -> DocumentTag {
        let isSrc = end == .src
        let seen = isSrc ? flow.pointee.srcDirection : flow.pointee.dstDirection
        var tag = DocumentTag(flow, direction: seen, isReversed: isReversed, isEdge: false)
        let isOTel = flow.pointee.signalSource == Raw.otel
        let epc = isSrc ? flow.pointee.epcSrc : flow.pointee.epcDst
        let isShown: Bool
        if rules.isStandalone {
            isShown = true
        } else if rules.inactiveIPAggregation {
            isShown = isActive
        } else {
            isShown = !isSrc || epc != internetEpc || isOTel
        }
        if isShown { tag.ip = isSrc ? flow.pointee.src : flow.pointee.dst }
        tag.epc = wireEpc(epc, isOTel)
        // The port belongs to the serving end, which for a reversed message is the source.
        let hasPort = isSrc == isReversed && !ignoresPort(flow, rules)
        if hasPort { tag.serverPort = isSrc ? portSrc : flow.pointee.port }
        guard let ends else { return tag }
        if isShown { tag.ip = isSrc ? ends.pointee.realIPSrc : ends.pointee.realIPDst }
        if hasPort { tag.serverPort = isSrc ? ends.pointee.realPortSrc : ends.pointee.realPortDst }
        tag.gpid = isSrc ? ends.pointee.gpidSrc : ends.pointee.gpidDst
        tag.tapType = ends.pointee.tapType
        let isVip = isSrc ? FlowFacts.Flags.isVipInterfaceSrc : FlowFacts.Flags.isVipInterfaceDst
        if flow.pointee.has(isVip) || seen == Raw.sideLocal {
            tag.mac = isSrc ? ends.pointee.macSrc : ends.pointee.macDst
            tag.hasMac = true
        }
        return tag
    }

    /// Both ends of a flow.
    @inline(__always)
    static func edge(
        _ flow: UnsafePointer<FlowFacts>, _ ends: UnsafePointer<FlowEnds>?, isActiveSrc: Bool, isActiveDst: Bool,
        isReversed: Bool, portSrc: UInt16, _ rules: TagRules
    ) -> DocumentTag {
        let direction = flow.pointee.edgeDirection
        var tag = DocumentTag(flow, direction: direction, isReversed: isReversed, isEdge: true)
        let isOTel = flow.pointee.signalSource == Raw.otel
        let isSrcShown: Bool
        let isDstShown: Bool
        if rules.isStandalone {
            (isSrcShown, isDstShown) = (true, true)
        } else if rules.inactiveIPAggregation {
            (isSrcShown, isDstShown) = (isActiveSrc, isActiveDst)
        } else {
            (isSrcShown, isDstShown) = (flow.pointee.epcSrc != internetEpc || isOTel, true)
        }
        if isSrcShown { tag.ip = flow.pointee.src }
        if isDstShown { tag.ip1 = flow.pointee.dst }
        tag.epc = wireEpc(flow.pointee.epcSrc, isOTel)
        tag.epc1 = wireEpc(flow.pointee.epcDst, isOTel)
        let hasPort = !ignoresPort(flow, rules)
        if hasPort { tag.serverPort = isReversed ? portSrc : flow.pointee.port }
        if let ends {
            if isSrcShown { tag.ip = ends.pointee.realIPSrc }
            if isDstShown { tag.ip1 = ends.pointee.realIPDst }
            if hasPort { tag.serverPort = isReversed ? ends.pointee.realPortSrc : ends.pointee.realPortDst }
            tag.gpid = ends.pointee.gpidSrc
            tag.gpid1 = ends.pointee.gpidDst
            tag.tapType = ends.pointee.tapType
            let isLocal = direction == Raw.sideLocal
            if isLocal || flow.pointee.has(FlowFacts.Flags.isVipInterfaceSrc) { tag.mac = ends.pointee.macSrc }
            if isLocal || flow.pointee.has(FlowFacts.Flags.isVipInterfaceDst) { tag.mac1 = ends.pointee.macDst }
            tag.hasMac = tag.mac | tag.mac1 != 0
        }
        if isReversed {
            swap(&tag.ip, &tag.ip1)
            swap(&tag.mac, &tag.mac1)
            swap(&tag.epc, &tag.epc1)
            swap(&tag.gpid, &tag.gpid1)
        }
        return tag
    }

    @inline(__always)
    private init(_ flow: UnsafePointer<FlowFacts>, direction: UInt8, isReversed: Bool, isEdge: Bool) {
        tapPort = flow.pointee.tapPort
        tapType = flow.pointee.tapType
        proto = flow.pointee.proto
        signalSource = flow.pointee.signalSource
        isIPv6 = flow.pointee.isIPv6
        self.direction = isReversed ? (TapSide(rawValue: direction)?.reversed.rawValue ?? direction) : direction
        self.isEdge = isEdge
    }

    @inline(__always)
    private static func wireEpc(_ epc: Int32, _ isOTel: Bool) -> Int32 {
        isOTel && epc < 0 ? 0 : epc
    }

    @inline(__always)
    private static func ignoresPort(_ flow: UnsafePointer<FlowFacts>, _ rules: TagRules) -> Bool {
        let proto = flow.pointee.proto
        if proto != Raw.tcp, proto != Raw.udp { return true }
        return rules.inactiveServerPortAggregation && !flow.pointee.has(FlowFacts.Flags.isActiveService)
    }

    /// Bits as they go on the wire, of a document without MAC and L7 bits. Source: agent-flow.md 14.3.
    private static let singleCode =
        DocumentCode.ip | DocumentCode.l3EpcID | DocumentCode.gpid | DocumentCode.vtapID | DocumentCode.proto
        | DocumentCode.serverPort | DocumentCode.direction | DocumentCode.tapType
    private static let edgeCode =
        DocumentCode.ipPath | DocumentCode.l3EpcPath | DocumentCode.gpidPath | DocumentCode.vtapID | DocumentCode.proto
        | DocumentCode.serverPort | DocumentCode.tapSide | DocumentCode.tapType | DocumentCode.tapPort

    @inline(__always)
    func code(isApp: Bool) -> UInt64 {
        var code = isEdge ? DocumentTag.edgeCode : DocumentTag.singleCode
        if hasMac { code |= isEdge ? DocumentCode.macPath : DocumentCode.mac }
        return isApp ? code | DocumentCode.l7Protocol : code
    }

    /// Writes the tag of a new document.
    @inline(__always)
    func write(to tag: UnsafeMutablePointer<MiniTag>, _ app: AppFacts, _ rules: TagRules) {
        tag.pointee.code = code(isApp: app.isApp)
        tag.pointee.field.ip = ip
        tag.pointee.field.ip1 = ip1
        tag.pointee.field.mac = mac
        tag.pointee.field.mac1 = mac1
        tag.pointee.field.tapPort = tapPort
        tag.pointee.field.l3EpcID = epc
        tag.pointee.field.l3EpcID1 = epc1
        tag.pointee.field.gpid = gpid
        tag.pointee.field.gpid1 = gpid1
        tag.pointee.field.globalThreadID = UInt32(rules.globalThreadID)
        tag.pointee.field.vtapID = UInt32(rules.agentID)
        tag.pointee.field.serverPort = serverPort
        tag.pointee.field.tapType = tapType
        tag.pointee.field.isIPv6 = isIPv6
        tag.pointee.field.direction = direction
        tag.pointee.field.tapSide = direction
        tag.pointee.field.proto = proto
        tag.pointee.field.l7Protocol = app.l7Protocol
        tag.pointee.field.signalSource = signalSource
        tag.pointee.field.bizType = app.bizType
    }
}
