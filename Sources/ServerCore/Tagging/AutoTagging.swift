import Model

/// One end of a record as the tagging rules see it.
struct TaggedEnd {
    var epc: Int32
    var address: IPAddress
    var mac: UInt64
    var gpid: UInt32
    var podID: UInt32
    var isVipInterface = false
}

/// Fills the universal tags of rows from a platform snapshot. Documents and logs follow different rules.
/// Source: ingester.md 4.4 (documents), 5.1 (logs), 7.7.
struct AutoTagging {
    let platform: PlatformData

    // MARK: Logs

    /// Both ends of an L4 or L7 log. `serverPort` is looked up for the server, port 0 for the client.
    func tagLog(
        _ first: TaggedEnd, _ second: TaggedEnd, isIPv6: Bool, tapSide: UInt8, agentID: UInt16, proto: UInt8,
        serverPort: UInt16
    ) -> (SideTags, SideTags) {
        var ends = (first, second)
        var tags = (SideTags(), SideTags())
        // The loopback step of both ends comes before any process lookup.
        let firstPod = ends.0.podID
        if ends.0.podID == 0, ends.1.podID != 0, ends.0.address.isLoopback(v6: isIPv6) {
            tags.0.source |= TagSource.peer
            ends.0.podID = ends.1.podID
        }
        if ends.1.podID == 0, firstPod != 0, ends.1.address.isLoopback(v6: isIPv6) {
            tags.1.source |= TagSource.peer
            ends.1.podID = firstPod
        }
        let found = (
            logInfo(of: &ends.0, tags: &tags.0, isIPv6: isIPv6, tapSide: tapSide, agentID: agentID),
            logInfo(of: &ends.1, tags: &tags.1, isIPv6: isIPv6, tapSide: tapSide, agentID: agentID)
        )
        finish(
            &tags.0, ends.0, info: found.0, isIPv6: isIPv6, proto: proto,
            port: found.0.map { isPodOrService($0) } == true ? 0 : nil, customPort: 0)
        finish(
            &tags.1, ends.1, info: found.1, isIPv6: isIPv6, proto: proto,
            port: found.1.map { isPodOrService($0) || $0.podNodeID != 0 } == true ? serverPort : nil,
            customPort: serverPort)
        if first.epc > 0 { tags.0.l2EpcID = platform.lookup(mac: first.mac, epc: first.epc)?.l2EpcID ?? 0 }
        if second.epc > 0 { tags.1.l2EpcID = platform.lookup(mac: second.mac, epc: second.epc)?.l2EpcID ?? 0 }
        // The pod columns of a log are those found, never the hint.
        if found.0 == nil { tags.0.podID = 0 }
        if found.1 == nil { tags.1.podID = 0 }
        return tags
    }

    private func logInfo(
        of end: inout TaggedEnd, tags: inout SideTags, isIPv6: Bool, tapSide: UInt8, agentID: UInt16
    ) -> PlatformInfo? {
        var byMAC = false
        var byAgent = false
        switch TapSide(rawValue: tapSide) {
        case .local where !end.address.isGlobalUnicast(v6: isIPv6):
            if end.mac != 0 { byMAC = true } else { byAgent = true }
        case .clientProcess, .serverProcess:
            if end.mac != 0 { byMAC = true } else { byAgent = !end.address.isGlobalUnicast(v6: isIPv6) }
        default: break
        }
        if end.isVipInterface { byMAC = true }
        takePodOfProcess(&end, &tags, agentID)
        var info: PlatformInfo?
        if end.podID != 0 {
            tags.source |= TagSource.podID
            info = platform.pod(end.podID)
        }
        if info == nil, byMAC {
            tags.source |= TagSource.mac
            info = platform.lookup(mac: end.mac, epc: end.epc)
        }
        if info == nil, byAgent {
            tags.source |= TagSource.agent
            info = platform.lookup(agent: agentID)
        }
        if info == nil {
            tags.source |= TagSource.epcIP
            info = platform.lookup(epc: end.epc, address: end.address, v6: isIPv6)
        }
        return info
    }

    // MARK: Documents

    /// Tags of a document's ends; the second is meaningful for edges only.
    func tagDocument(
        _ first: TaggedEnd, _ second: TaggedEnd?, isIPv6: Bool, tapSide: UInt8, agentID: UInt16, proto: UInt8,
        serverPort: UInt16
    ) -> (SideTags, SideTags) {
        var ends = (first, second ?? TaggedEnd(epc: 0, address: IPAddress(), mac: 0, gpid: 0, podID: 0))
        var tags = (SideTags(), SideTags())
        var found: (PlatformInfo?, PlatformInfo?)
        found.0 = documentInfo(
            of: &ends.0, peerPod: ends.1.podID, tags: &tags.0, isIPv6: isIPv6, tapSide: tapSide, agentID: agentID)
        guard second != nil else {
            let takesPort =
                found.0.map { isPodOrService($0) || (serverPort > 0 && $0.podNodeID != 0) } == true
            finish(
                &tags.0, ends.0, info: found.0, isIPv6: isIPv6, proto: proto, port: takesPort ? serverPort : nil,
                customPort: serverPort)
            return tags
        }
        // The first end is done before: a loopback second end can take the pod it has just got.
        found.1 = documentInfo(
            of: &ends.1, peerPod: ends.0.podID, tags: &tags.1, isIPv6: isIPv6, tapSide: tapSide, agentID: agentID)
        finish(
            &tags.1, ends.1, info: found.1, isIPv6: isIPv6, proto: proto,
            port: found.1.map { isPodOrService($0) || $0.podNodeID != 0 } == true ? serverPort : nil,
            customPort: serverPort)
        if let info = found.0, found.1 == nil, ends.1.address.isMulticast(v6: isIPv6) {
            copyPlace(of: info, to: &tags.1)
        }
        if found.0 == nil, let info = found.1, ends.0.address.isMulticast(v6: isIPv6) {
            copyPlace(of: info, to: &tags.0)
        }
        finish(
            &tags.0, ends.0, info: found.0, isIPv6: isIPv6, proto: proto,
            port: found.0.map { isPodOrService($0) } == true ? 0 : nil, customPort: 0)
        return tags
    }

    private func documentInfo(
        of end: inout TaggedEnd, peerPod: UInt32, tags: inout SideTags, isIPv6: Bool, tapSide: UInt8, agentID: UInt16
    ) -> PlatformInfo? {
        guard end.epc != EPC.internet else { return nil }
        if end.podID == 0, peerPod != 0, end.address.isLoopback(v6: isIPv6) {
            tags.source |= TagSource.peer
            end.podID = peerPod
        }
        takePodOfProcess(&end, &tags, agentID)
        var info: PlatformInfo?
        if end.podID != 0 {
            tags.source |= TagSource.podID
            info = platform.pod(end.podID)
        }
        if info == nil, end.mac != 0 {
            tags.source |= TagSource.mac
            info = platform.lookup(mac: end.mac, epc: end.epc)
        }
        guard info == nil else { return info }
        switch TapSide(rawValue: tapSide) {
        case .local, .clientProcess, .serverProcess:
            if !end.address.isGlobalUnicast(v6: isIPv6) {
                tags.source |= TagSource.agent
                return platform.lookup(agent: agentID)
            }
        default: break
        }
        tags.source |= TagSource.epcIP
        return platform.lookup(epc: end.epc, address: end.address, v6: isIPv6)
    }

    // MARK: Shared

    private func takePodOfProcess(_ end: inout TaggedEnd, _ tags: inout SideTags, _ agentID: UInt16) {
        guard end.gpid != 0, end.podID == 0, let pod = platform.pod(ofProcess: end.gpid, agent: agentID) else { return }
        end.podID = pod
        tags.source |= TagSource.gpid
    }

    private func isPodOrService(_ info: PlatformInfo) -> Bool {
        info.podID != 0 || info.deviceType == AutoType.podService
    }

    private func copyPlace(of info: PlatformInfo, to tags: inout SideTags) {
        tags.regionID = info.regionID
        tags.subnetID = info.subnetID
        tags.azID = info.azID
        tags.source |= TagSource.peer
    }

    /// - Parameter port: port of the service lookup, nil for none.
    private func finish(
        _ tags: inout SideTags, _ end: TaggedEnd, info: PlatformInfo?, isIPv6: Bool, proto: UInt8, port: UInt16?,
        customPort: UInt16
    ) {
        tags.l3EpcID = end.epc
        tags.gpid = end.gpid
        tags.podID = end.podID
        var custom: UInt32 = 0
        if let info {
            tags.take(info)
            if let port {
                tags.serviceID = platform.podService(
                    of: tags, epc: end.epc, address: end.address, v6: isIPv6, proto: proto, port: port)
            }
            custom = platform.customService(of: tags, epc: end.epc, port: customPort)
        }
        tags.chooseAutoTags(customService: custom, epc: end.epc, gpid: end.gpid)
    }
}
