package import Model
package import Wire

/// A row of `ext_metrics.metrics`: one point of an external sender. Source: ingester.md 6.1 and the table's columns.
package struct ExtMetricsRow: StoredRow {
    package let point: InfluxPoint
    package let side: OwnSide
    package let agentID: UInt16
    package let teamID: UInt16
    package let seconds: UInt64

    package var isIPv6: Bool { side.isIPv6 }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let tags = side.tags
        e.time(seconds: seconds)
        e.uint(UInt64(tags.azID))
        e.uint(0)
        e.uint(UInt64(tags.hostID))
        e.ip4(side.isIPv6 ? 0 : side.address.v4)
        e.ip6(side.isIPv6 ? side.address : IPAddress())
        e.uint(side.isIPv4 ? 1 : 0)
        e.uint(UInt64(tags.l3DeviceID))
        e.uint(UInt64(tags.l3DeviceType))
        e.int(Int64(tags.l3EpcID))
        e.uint(UInt64(tags.podClusterID))
        e.uint(UInt64(tags.podGroupID))
        e.uint(UInt64(tags.podID))
        e.uint(UInt64(tags.podNodeID))
        e.uint(UInt64(tags.podNsID))
        e.uint(UInt64(tags.regionID))
        e.uint(UInt64(tags.autoInstanceID))
        e.uint(UInt64(tags.autoInstanceType))
        e.uint(UInt64(tags.autoServiceID))
        e.uint(UInt64(tags.autoServiceType))
        e.uint(UInt64(tags.serviceID))
        e.uint(UInt64(tags.subnetID))
        e.uint(UInt64(agentID))
        e.text("influxdb." + point.measurement)
        e.uint(UInt64(teamID))
        e.texts(point.tags.map(\.name))
        e.texts(point.tags.map(\.value))
        e.texts(point.fields.map(\.name))
        e.reals(point.fields.map(\.value))
    }
}
