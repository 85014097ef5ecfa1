package import Model

/// A row of `application_log.log`: a line of an application or of an agent. Source: ingester.md 6.7 and the table's columns.
package struct LogRow: StoredRow {
    /// Values of `_type`.
    package enum Kind: Int64, Sendable {
        case user = 1
        case system = 2
        case audit = 3
        case agent = 4
    }

    package var id: UInt64 = 0
    package var timestampUs: UInt64 = 0
    package var kind = Kind.user
    package var traceID = ""
    package var spanID = ""
    package var severity: UInt8 = 8
    package var body = ""
    package var appService = ""
    package var side = OwnSide()
    package var agentID: UInt16 = 0
    package var teamID: UInt16 = 0
    package var userID: UInt32 = 0
    package var attributes: [(name: String, value: String)] = []
    package var metrics: [(name: String, value: Double)] = []

    package var seconds: UInt64 { timestampUs / 1_000_000 }
    package var isIPv6: Bool { side.isIPv6 }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let tags = side.tags
        e.time(seconds: seconds)
        e.time(micros: timestampUs)
        e.uint(id)
        e.int(kind.rawValue)
        e.text(traceID)
        e.text(spanID)
        e.uint(0)
        e.uint(UInt64(severity))
        e.text(body)
        e.text(appService)
        e.uint(0)
        e.uint(UInt64(agentID))
        e.uint(UInt64(tags.regionID))
        e.uint(UInt64(tags.azID))
        e.int(Int64(tags.l3EpcID))
        e.uint(UInt64(tags.hostID))
        e.uint(UInt64(tags.podID))
        e.uint(UInt64(tags.podNodeID))
        e.uint(UInt64(tags.podNsID))
        e.uint(UInt64(tags.podClusterID))
        e.uint(UInt64(tags.podGroupID))
        e.uint(UInt64(tags.l3DeviceType))
        e.uint(UInt64(tags.l3DeviceID))
        e.uint(UInt64(tags.serviceID))
        e.uint(UInt64(tags.subnetID))
        e.uint(side.isIPv4 ? 1 : 0)
        e.ip4(side.isIPv6 ? 0 : side.address.v4)
        e.ip6(side.isIPv6 ? side.address : IPAddress())
        e.uint(UInt64(teamID))
        e.uint(UInt64(userID))
        e.uint(UInt64(tags.autoInstanceID))
        e.uint(UInt64(tags.autoInstanceType))
        e.uint(UInt64(tags.autoServiceID))
        e.uint(UInt64(tags.autoServiceType))
        e.texts(attributes.map(\.name))
        e.texts(attributes.map(\.value))
        e.texts(metrics.map(\.name))
        e.reals(metrics.map(\.value))
    }
}
