package import Model

/// What the platform knows of an address or pod. Source: ingester.md 7.1.
package struct PlatformInfo: Sendable, BitwiseCopyable, Equatable {
    package var epcID: Int32 = 0
    package var l2EpcID: Int32 = 0
    package var deviceID: UInt32 = 0
    package var podNodeID: UInt32 = 0
    package var podGroupID: UInt32 = 0
    package var podID: UInt32 = 0
    package var regionID: UInt16 = 0
    package var azID: UInt16 = 0
    package var hostID: UInt16 = 0
    package var podNsID: UInt16 = 0
    package var podClusterID: UInt16 = 0
    package var subnetID: UInt16 = 0
    package var deviceType: UInt8 = 0
    package var podGroupType: UInt8 = 0
    /// The address itself, when `hasAddress`: not of what was found by its network or VPC only.
    package var address = IPAddress()
    package var isIPv6 = false
    package var hasAddress = false

    package init() {}
}

/// A snapshot of the platform tables that rows are tagged from: replaced whole at each version, never changed.
///
/// It is empty until a controller fills it; every rule below holds for an empty one too, which still leaves the bits of
/// the steps tried in `tag_source`. Source: ingester.md 7.
package struct PlatformData: Sendable {
    package struct AddressKey: Hashable, Sendable {
        package var epc: Int32
        package var address: IPAddress
        package init(epc: Int32, address: IPAddress) {
            self.epc = epc
            self.address = address
        }
    }

    package struct Network: Sendable {
        package var base: IPAddress
        package var prefix: UInt8
        package var isIPv6: Bool
        package var subnetID: UInt16
        package var regionID: UInt16
        package var azID: UInt16

        func contains(_ address: IPAddress, v6: Bool) -> Bool {
            guard v6 == isIPv6 else { return false }
            guard v6 else {
                return prefix == 0 || prefix <= 32 && (base.v4 ^ address.v4) >> (32 - UInt32(prefix)) == 0
            }
            if prefix <= 64 { return prefix == 0 || (base.high ^ address.high) >> (64 - UInt64(prefix)) == 0 }
            return base.high == address.high && (base.low ^ address.low) >> (128 - UInt64(prefix)) == 0
        }
    }

    package struct Agent: Sendable {
        package var epcID: Int32
        package var address: IPAddress
        package var isIPv6: Bool
        package var podClusterID: UInt16 = 0
    }

    /// A pod as records name it.
    package struct NamedPod: Sendable {
        package var podID: UInt32
        package var epcID: Int32
        package var podClusterID: UInt16
        /// Of the pod, or of its node when it has none.
        package var address: IPAddress
        package var isIPv6: Bool
    }

    package struct PodName: Hashable, Sendable {
        package var podClusterID: UInt16
        package var name: String
    }

    package struct ServiceKey: Hashable, Sendable {
        package enum Owner: Hashable, Sendable {
            case cluster(UInt16)
            case podGroup(UInt32)
            case address(AddressKey)
        }
        package var owner: Owner
        package var proto: UInt8
        package var port: UInt16
    }

    package var version: UInt64 = 0
    /// Region of this server; documents of other regions are dropped when it is not 0.
    package var myRegionID: UInt16 = 0
    package var byAddress: [AddressKey: PlatformInfo] = [:]
    /// Longest prefix first.
    package var networks: [Int32: [Network]] = [:]
    /// Key: MAC, with the low 16 bits of the VPC above it.
    package var byMAC: [UInt64: PlatformInfo] = [:]
    package var hasDuplicateMACs = false
    package var regionOfEPC: [Int32: UInt16] = [:]
    package var pods: [UInt32: PlatformInfo] = [:]
    package var processPods: [UInt32: (agentID: UInt16, podID: UInt32)] = [:]
    package var processIDs: [UInt64: UInt32] = [:]
    package var agents: [UInt16: Agent] = [:]
    package var podNames: [PodName: NamedPod] = [:]
    package var podServices: [ServiceKey: UInt32] = [:]

    package init() {}

    func pod(_ id: UInt32) -> PlatformInfo? { pods[id] }

    /// Exact address, else the network, else only the region of the VPC.
    func lookup(epc: Int32, address: IPAddress, v6: Bool) -> PlatformInfo? {
        guard epc != EPC.internet else { return nil }
        if let exact = byAddress[AddressKey(epc: epc, address: address)] { return exact }
        if let network = networks[epc]?.first(where: { $0.contains(address, v6: v6) }) {
            var info = PlatformInfo()
            info.subnetID = network.subnetID
            info.regionID = network.regionID
            info.azID = network.azID
            return info
        }
        let region = epc == 0 ? myRegionID : regionOfEPC[epc]
        return region.map { region in
            var info = PlatformInfo()
            info.regionID = region
            return info
        }
    }

    func lookup(mac: UInt64, epc: Int32) -> PlatformInfo? {
        guard !hasDuplicateMACs, !byMAC.isEmpty else { return nil }
        return byMAC[mac | UInt64(UInt32(bitPattern: epc) & 0xffff) << 48]
    }

    /// The pod of a process, when the process was reported by this agent.
    func pod(ofProcess gpid: UInt32, agent: UInt16) -> UInt32? {
        guard let entry = processPods[gpid], entry.podID != 0, entry.agentID == agent else { return nil }
        return entry.podID
    }

    func processID(agent: UInt16, pid: UInt32) -> UInt32? { processIDs[UInt64(agent) << 32 | UInt64(pid)] }

    func lookup(agent id: UInt16) -> PlatformInfo? {
        agents[id].flatMap { lookup(epc: $0.epcID, address: $0.address, v6: $0.isIPv6) }
    }

    /// A pod of the agent's cluster.
    func pod(named name: String, agent id: UInt16) -> NamedPod? {
        agents[id].flatMap { podNames[PodName(podClusterID: $0.podClusterID, name: name)] }
    }

    /// VPC of an agent; that of the Internet when the agent is unknown.
    func epc(ofAgent id: UInt16) -> Int32 { agents[id]?.epcID ?? EPC.internet }

    /// The VPC has the address, exactly or in one of its networks.
    func contains(_ address: IPAddress, v6: Bool, epc: Int32) -> Bool {
        byAddress[AddressKey(epc: epc, address: address)] != nil
            || networks[epc]?.contains { $0.contains(address, v6: v6) } == true
    }

    /// Kubernetes service of an end. Source: ingester.md 7.4.
    func podService(
        of tags: SideTags, epc: Int32, address: IPAddress, v6: Bool, proto ipProtocol: UInt8, port: UInt16
    ) -> UInt32 {
        guard !podServices.isEmpty else { return 0 }
        let proto: UInt8 =
            port == 0 ? 0 : ipProtocol == IPProtocol.tcp ? 1 : ipProtocol == IPProtocol.udp ? 2 : 0
        if tags.podID != 0 {
            if let found = podServices[ServiceKey(owner: .podGroup(tags.podGroupID), proto: proto, port: port)] {
                return found
            }
            if let info = lookup(epc: epc, address: address, v6: v6), info.podID != tags.podID { return 0 }
        } else if tags.podNodeID != 0, port != 0 {
            if let found = podServices[ServiceKey(owner: .cluster(tags.podClusterID), proto: proto, port: port)] {
                return found
            }
        }
        guard epc > 0 else { return 0 }
        let owner = ServiceKey.Owner.address(AddressKey(epc: epc, address: address))
        return podServices[ServiceKey(owner: owner, proto: proto, port: port)] ?? 0
    }

    /// Custom service of an end; none are defined in platform data yet. Source: ingester.md 7.5.
    func customService(of tags: SideTags, epc: Int32, port: UInt16) -> UInt32 { 0 }
}
