import Model

/// Universal tags of one end of a row. Source: ingester.md 4.4, 5.1, 7.
package struct SideTags: Sendable, BitwiseCopyable, Equatable {
    package var l3DeviceID: UInt32 = 0
    package var podNodeID: UInt32 = 0
    package var podGroupID: UInt32 = 0
    package var podID: UInt32 = 0
    package var serviceID: UInt32 = 0
    package var autoInstanceID: UInt32 = 0
    package var autoServiceID: UInt32 = 0
    package var gpid: UInt32 = 0
    /// VPC of the layer 3 address, as the row shows it.
    package var l3EpcID: Int32 = 0
    /// VPC of the MAC.
    package var l2EpcID: Int32 = 0
    package var regionID: UInt16 = 0
    package var azID: UInt16 = 0
    package var hostID: UInt16 = 0
    package var podNsID: UInt16 = 0
    package var podClusterID: UInt16 = 0
    package var subnetID: UInt16 = 0
    package var l3DeviceType: UInt8 = 0
    package var podGroupType: UInt8 = 0
    package var autoInstanceType: UInt8 = 0
    package var autoServiceType: UInt8 = 0
    /// `TagSource` bits: which steps were tried.
    package var source: UInt8 = 0

    package init() {}

    /// Copies what the platform knows; VPC and process stay those of the record. Any information overwrites the pod.
    mutating func take(_ info: PlatformInfo) {
        regionID = info.regionID
        azID = info.azID
        hostID = info.hostID
        l3DeviceType = info.deviceType
        l3DeviceID = info.deviceID
        podNodeID = info.podNodeID
        podNsID = info.podNsID
        podGroupID = info.podGroupID
        podGroupType = info.podGroupType
        podID = info.podID
        podClusterID = info.podClusterID
        subnetID = info.subnetID
    }

    /// Best effort ids. Source: ingester.md 7.2, 7.3.
    mutating func chooseAutoTags(customService: UInt32, epc: Int32, gpid: UInt32) {
        (autoInstanceID, autoInstanceType) =
            if podID > 0 {
                (podID, AutoType.pod)
            } else if gpid > 0 {
                (gpid, AutoType.process)
            } else if podNodeID > 0 {
                (podNodeID, AutoType.podNode)
            } else if l3DeviceID > 0 {
                (l3DeviceID, l3DeviceType)
            } else if epc == EPC.internet {
                (0, AutoType.internet)
            } else {
                (UInt32(subnetID), AutoType.ip)
            }
        (autoServiceID, autoServiceType) =
            if customService > 0 {
                (customService, AutoType.customService)
            } else if serviceID > 0 {
                (serviceID, AutoType.podService)
            } else if podGroupID > 0 {
                (podGroupID, podGroupType)
            } else if gpid > 0 {
                (gpid, AutoType.process)
            } else if podClusterID > 0 {
                (UInt32(podClusterID), AutoType.podCluster)
            } else if l3DeviceID > 0 {
                (l3DeviceID, l3DeviceType)
            } else if epc == EPC.internet {
                (0, AutoType.internet)
            } else {
                (UInt32(subnetID), AutoType.ip)
            }
    }

    /// OTel rows know no Internet. Source: ingester.md 4.4, 5.3.
    mutating func adjustForOTel() {
        if l3EpcID == EPC.internet { l3EpcID = 0 }
        if autoInstanceType == AutoType.internet { autoInstanceType = AutoType.ip }
        if autoServiceType == AutoType.internet { autoServiceType = AutoType.ip }
    }
}

/// Bits of `tag_source`. Source: ingester.md 7.6.
package enum TagSource {
    package static let gpid: UInt8 = 1
    package static let podID: UInt8 = 2
    package static let mac: UInt8 = 4
    package static let epcIP: UInt8 = 8
    package static let peer: UInt8 = 16
    package static let agent: UInt8 = 32
    package static let processID: UInt8 = 64
}

/// Id spaces of `auto_instance_type` and `auto_service_type`. Source: ingester.md 9.
package enum AutoType {
    package static let internet: UInt8 = 0
    package static let pod: UInt8 = 10
    package static let podService: UInt8 = 11
    package static let podNode: UInt8 = 14
    package static let podCluster: UInt8 = 103
    package static let customService: UInt8 = 104
    package static let process: UInt8 = 120
    package static let ip: UInt8 = 255
}

/// VPC ids with a meaning of their own. Source: ingester.md 3.
package enum EPC {
    package static let internet: Int32 = -2
    package static let internalTraffic: Int32 = -1

    /// What L4 logs and documents store of a VPC id.
    package static func normalized(_ value: Int32) -> Int32 {
        value > 0 || value == internalTraffic || value == internet ? value : value & 0xffff
    }
}

extension IPAddress {
    /// Everything but unspecified, loopback, multicast, link-local and the IPv4 broadcast; private ranges count as
    /// global. Source: ingester.md 4.4.
    func isGlobalUnicast(v6: Bool) -> Bool {
        if isZero || isLoopback(v6: v6) || isMulticast(v6: v6) || isLinkLocal(v6: v6) { return false }
        return v6 || v4 != .max
    }
}
