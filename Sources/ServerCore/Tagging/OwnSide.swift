package import Model

/// Tags and address of a row that has one end: metrics, samples, events, profiles and logs.
/// Source: ingester.md 6.1 to 6.7, 7.7.
package struct OwnSide: Sendable, Equatable {
    package var tags = SideTags()
    package var address = IPAddress()
    package var isIPv6 = false
    /// `is_ipv4` of a row without an address differs by table.
    package var isIPv4 = false

    package init() {}

    mutating func set(_ address: IPAddress, isIPv6: Bool) {
        self.address = address
        self.isIPv6 = isIPv6
        isIPv4 = !isIPv6
    }
}

extension AutoTagging {
    /// Of a point that names its pod, or else of its agent. A name that is not known does not fall back to the agent.
    /// Source: ingester.md 6.1.
    func tagPoint(podName: String?, agentID: UInt16) -> OwnSide {
        var side = OwnSide()
        side.isIPv4 = true
        side.tags.l3EpcID = EPC.internet
        if let podName {
            guard let pod = platform.pod(named: podName, agent: agentID) else { return side }
            side.take(pod)
        } else {
            guard let agent = platform.agents[agentID] else { return side }
            side.tags.l3EpcID = agent.epcID
            side.tags.podClusterID = agent.podClusterID
            side.set(agent.address, isIPv6: agent.isIPv6)
        }
        finish(&side, platform.lookup(epc: side.tags.l3EpcID, address: side.address, v6: side.isIPv6))
        return side
    }

    /// Of a series of a scrape: its `pod`, else the host of its `instance`. Nil when the agent's VPC is not known though
    /// the platform is. Source: ingester.md 6.3.
    func tagSeries(pod: String?, instance: String?, agentID: UInt16) -> OwnSide? {
        var side = OwnSide()
        side.isIPv4 = true
        if let agent = platform.agents[agentID] {
            side.tags.l3EpcID = agent.epcID
        } else if platform.version != 0 {
            return nil
        }
        if let pod, let found = platform.pod(named: pod, agent: agentID) {
            side.take(found)
        } else if let host = instance.flatMap(AutoTagging.host), let parsed = IPAddress.parse(host) {
            side.set(parsed.address, isIPv6: parsed.isIPv6)
        } else {
            return side
        }
        finish(&side, platform.lookup(epc: side.tags.l3EpcID, address: side.address, v6: side.isIPv6))
        return side
    }

    /// Of an event, by its pod or else by its agent. Address and VPC are those found: none for what is known by its
    /// network only. Source: ingester.md 6.4.
    func tagEvent(podID: UInt32, gpid: UInt32, agentID: UInt16) -> OwnSide {
        var side = OwnSide()
        side.tags.l3EpcID = platform.epc(ofAgent: agentID)
        side.tags.gpid = gpid
        let info = (podID != 0 ? platform.pod(podID) : nil) ?? platform.lookup(agent: agentID)
        take(found: info, &side)
        return side
    }

    /// Of an agent's own log. Source: ingester.md 6.7.
    func tagAgentLog(agentID: UInt16) -> OwnSide {
        var side = OwnSide()
        guard agentID != 0 else { return side }
        side.tags.l3EpcID = platform.epc(ofAgent: agentID)
        guard let info = platform.lookup(agent: agentID) else { return side }
        if let agent = platform.agents[agentID] { side.set(agent.address, isIPv6: agent.isIPv6) }
        side.tags.l3EpcID = info.epcID
        finish(&side, info, keepsPod: false)
        return side
    }

    /// Of an application's log, by the pod and address that it names. Source: ingester.md 6.7.
    func tagLog(podName: String, podIP: String, agentID: UInt16) -> OwnSide {
        var side = OwnSide()
        side.tags.l3EpcID = platform.epc(ofAgent: agentID)
        let pod = podName.isEmpty ? nil : platform.pod(named: podName, agent: agentID)
        if let pod { side.take(pod) }
        if let parsed = IPAddress.parse(podIP) {
            side.set(parsed.address, isIPv6: parsed.isIPv6)
        } else if pod == nil, let agent = platform.agents[agentID] {
            side.set(agent.address, isIPv6: agent.isIPv6)
        }
        let info =
            pod.flatMap { platform.pod($0.podID) }
            ?? platform.lookup(epc: side.tags.l3EpcID, address: side.address, v6: side.isIPv6)
        side.set(IPAddress(), isIPv6: false)
        side.isIPv4 = false
        take(found: info, &side)
        return side
    }

    /// Of a profile: by its pod, else by the sender's address in the agent's VPC; gaps are filled from the agent.
    /// Source: ingester.md 6.5.
    func tagProfile(podID: UInt32, gpid: UInt32, sender: (address: IPAddress, isIPv6: Bool)?, agentID: UInt16)
        -> OwnSide
    {
        var side = OwnSide()
        side.tags.l3EpcID = platform.epc(ofAgent: agentID)
        side.tags.gpid = gpid
        let pod = podID != 0 ? platform.pod(podID) : nil
        let agent = platform.agents[agentID]
        if let pod, pod.hasAddress {
            side.set(pod.address, isIPv6: pod.isIPv6)
        } else if let sender {
            side.set(sender.address, isIPv6: sender.isIPv6)
        } else if let agent {
            side.set(agent.address, isIPv6: agent.isIPv6)
        }
        let info = pod ?? platform.lookup(epc: side.tags.l3EpcID, address: side.address, v6: side.isIPv6)
        let own = platform.lookup(agent: agentID)
        if var filled = info ?? own {
            if let own {
                if filled.regionID == 0 { filled.regionID = own.regionID }
                if filled.azID == 0 { filled.azID = own.azID }
                if filled.subnetID == 0 { filled.subnetID = own.subnetID }
                if filled.hostID == 0 { filled.hostID = own.hostID }
                if filled.podNodeID == 0 { filled.podNodeID = own.podNodeID }
                if filled.deviceID == 0 { (filled.deviceID, filled.deviceType) = (own.deviceID, own.deviceType) }
            }
            if pod == nil { filled.podID = podID != 0 ? podID : filled.podID }
            finish(&side, filled, proto: IPProtocol.tcp, keepsPod: false)
        } else {
            side.tags.podID = podID
            side.tags.chooseAutoTags(customService: 0, epc: side.tags.l3EpcID, gpid: gpid)
        }
        return side
    }

    /// Everything of what was found, address and VPC as well.
    private func take(found info: PlatformInfo?, _ side: inout OwnSide) {
        if let info {
            side.tags.l3EpcID = info.epcID
            if info.hasAddress { side.set(info.address, isIPv6: info.isIPv6) }
        }
        finish(&side, info, keepsPod: false)
        if info == nil {
            side.tags.chooseAutoTags(customService: 0, epc: side.tags.l3EpcID, gpid: side.tags.gpid)
        }
    }

    /// - Parameter keepsPod: pod and cluster stay those that the record or its agent gave.
    private func finish(
        _ side: inout OwnSide, _ info: PlatformInfo?, proto: UInt8 = 0, keepsPod: Bool = true
    ) {
        guard let info else { return }
        let (podID, cluster) = (side.tags.podID, side.tags.podClusterID)
        side.tags.take(info)
        if keepsPod {
            if podID != 0 { side.tags.podID = podID }
            if cluster != 0 { side.tags.podClusterID = cluster }
        }
        let epc = side.tags.l3EpcID
        side.tags.serviceID = platform.podService(
            of: side.tags, epc: epc, address: side.address, v6: side.isIPv6, proto: proto, port: 0)
        side.tags.chooseAutoTags(
            customService: platform.customService(of: side.tags, epc: epc, port: 0), epc: epc, gpid: side.tags.gpid)
    }

    /// The host of `host:port` or `[v6]:port`.
    private static func host(of instance: String) -> String? {
        if instance.utf8.first == UInt8(ascii: "[") {
            return instance.firstIndex(of: "]").map {
                String(instance[instance.index(after: instance.startIndex)..<$0])
            }
        }
        return instance.split(separator: ":", omittingEmptySubsequences: false).first.map { String($0) }
    }
}

extension OwnSide {
    fileprivate mutating func take(_ pod: PlatformData.NamedPod) {
        tags.podID = pod.podID
        tags.podClusterID = pod.podClusterID
        tags.l3EpcID = pod.epcID
        set(pod.address, isIPv6: pod.isIPv6)
    }
}
