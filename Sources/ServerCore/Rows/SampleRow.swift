package import Model

/// A row of `prometheus.samples`: one sample of a series. Source: ingester.md 6.3 and the table's columns.
package struct SampleRow: StoredRow {
    /// Columns `app_label_value_id_1` and on.
    package static let labelColumns = Catalogue.samples.columns.filter {
        $0.name.utf8.starts(with: "app_label_value_id_".utf8)
    }.count

    package let seconds: UInt64
    package let value: Double
    package let metricID: UInt32
    /// Value ids of the series by column, at most `labelColumns`; shared by its samples.
    package let labels: [UInt32]
    package let side: OwnSide
    package let agentID: UInt16
    package let teamID: UInt16

    package var isIPv6: Bool { side.isIPv6 }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let tags = side.tags
        e.time(seconds: seconds)
        e.uint(UInt64(metricID))
        e.uint(0)
        e.uint(UInt64(teamID))
        for column in 0..<Self.labelColumns { e.uint(column < labels.count ? UInt64(labels[column]) : 0) }
        e.real(value)
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
    }
}
