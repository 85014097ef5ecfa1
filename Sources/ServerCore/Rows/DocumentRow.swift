package import Model

/// A row made from a document, with the table it belongs to.
package enum DocumentRow: Sendable {
    case network(NetworkRow)
    case networkMap(NetworkMapRow)
    case application(ApplicationRow)
    case applicationMap(ApplicationMapRow)
    case trafficPolicy(TrafficPolicyRow)
}

/// Why a document gives no row.
package enum DocumentRefusal: Error, Sendable, Equatable {
    /// No table has this code (`drop-doc-count`).
    case unknownCode
    /// Another region's server stores it.
    case otherRegion
    /// The meter is not the one of its table.
    case foreignMeter
}

/// Turns documents into rows. Source: ingester.md 4.
package struct DocumentRowBuilder: Sendable {
    package var platform: PlatformData

    package init(platform: PlatformData = PlatformData()) { self.platform = platform }

    /// Codes of the tables after expansion, MAC bits aside. Source: ingester.md 4.2.
    enum TableCode {
        static let network: UInt64 = 0x14_ad00_0000_f7ff
        static let networkMap: UInt64 = 0x17_ac0f_7ff0_0000
        static let application: UInt64 = 0x1c_ad00_0000_f7ff
        static let applicationMap: UInt64 = 0x1f_ac0f_7ff0_0000
        static let trafficPolicy: UInt64 = 0x4000_8200_0000_0000

        /// Tag bits that the decoder adds for one end (bits 2-10, 12-14), and the same for a path (20 higher).
        static let endTags: UInt64 = 0x77fc
        static let pathTags: UInt64 = endTags << 20
        static let isKeyService: UInt64 = 1 << 50
        static let signalSource: UInt64 = 1 << 52
    }

    static func expanded(_ code: UInt64) -> UInt64 {
        guard code != TableCode.trafficPolicy else { return code }
        var full = code | TableCode.signalSource
        full |= code & DocumentCode.ipPath != 0 ? DocumentCode.gpidPath : DocumentCode.gpid
        if code & DocumentCode.serverPort != 0 { full |= TableCode.isKeyService }
        let isEdge = code & DocumentCode.ipPath != 0 && code & DocumentCode.l3EpcPath != 0
        full |= isEdge ? TableCode.pathTags : TableCode.endTags
        return full & ~(DocumentCode.mac | DocumentCode.macPath)
    }

    package func row(_ document: Document, teamID: UInt16) -> Result<DocumentRow, DocumentRefusal> {
        let code = DocumentRowBuilder.expanded(document.tag.code)
        let isApplication = code == TableCode.application || code == TableCode.applicationMap
        let isEdge = code == TableCode.networkMap || code == TableCode.applicationMap
        if code == TableCode.trafficPolicy {
            guard case .usage(let meter) = document.meter else { return .failure(.foreignMeter) }
            return .success(
                .trafficPolicy(
                    TrafficPolicyRow(
                        time: document.timestamp, field: document.tag.field, meter: meter, teamID: teamID)))
        }
        guard isApplication || isEdge || code == TableCode.network else { return .failure(.unknownCode) }
        var field = document.tag.field
        if !isEdge {
            field.ip1 = IPAddress()
            field.l3EpcID1 = 0
            field.gpid1 = 0
            field.mac1 = 0
        }
        var (first, second) = tags(of: field, isEdge: isEdge)
        guard isOfThisRegion(field, first, second, isEdge: isEdge) else { return .failure(.otherRegion) }
        var port = field.serverPort
        if field.signalSource == SignalSource.otel.rawValue {
            first.adjustForOTel()
            second.adjustForOTel()
            if port == 0, field.tapSide == TapSide.serverApp.rawValue { port = .max }
        }
        let time = document.timestamp
        switch document.meter {
        case .flow(let meter) where !isApplication:
            if isEdge {
                return .success(
                    .networkMap(
                        NetworkMapRow(
                            time: time, field: field, meter: meter, client: first, server: second, serverPort: port,
                            teamID: teamID)))
            }
            return .success(
                .network(
                    NetworkRow(
                        time: time, field: field, meter: meter, tags: first, serverPort: port, teamID: teamID)))
        case .app(let meter) where isApplication:
            if isEdge {
                return .success(
                    .applicationMap(
                        ApplicationMapRow(
                            time: time, field: field, meter: meter, client: first, server: second, serverPort: port,
                            teamID: teamID)))
            }
            return .success(
                .application(
                    ApplicationRow(
                        time: time, field: field, meter: meter, tags: first, serverPort: port, teamID: teamID)))
        default:
            return .failure(.foreignMeter)
        }
    }

    private func tags(of field: MiniField, isEdge: Bool) -> (SideTags, SideTags) {
        // The one pod id of a document belongs to the server end of an edge seen there.
        let podIsOfServer = isEdge && field.direction & 7 == 2
        let first = TaggedEnd(
            epc: EPC.normalized(field.l3EpcID), address: field.ip, mac: field.mac, gpid: field.gpid,
            podID: podIsOfServer ? 0 : field.podID)
        let second = TaggedEnd(
            epc: EPC.normalized(field.l3EpcID1), address: field.ip1, mac: field.mac1, gpid: field.gpid1,
            podID: podIsOfServer ? field.podID : 0)
        return AutoTagging(platform: platform).tagDocument(
            first, isEdge ? second : nil, isIPv6: field.isIPv6, tapSide: field.tapSide,
            agentID: UInt16(truncatingIfNeeded: field.vtapID), proto: field.proto, serverPort: field.serverPort)
    }

    private func isOfThisRegion(_ field: MiniField, _ first: SideTags, _ second: SideTags, isEdge: Bool) -> Bool {
        guard platform.myRegionID != 0 else { return true }
        let region: UInt16
        if !isEdge {
            region = first.regionID
        } else if field.tapSide == TapSide.server.rawValue {
            region = second.regionID
        } else if field.tapSide == TapSide.client.rawValue {
            region = first.regionID
        } else {
            return true
        }
        return region == 0 || region == platform.myRegionID
    }
}
