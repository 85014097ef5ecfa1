package import Model

/// A row of `flow_metrics.application_map`: L7 counters of a path. Source: ingester.md 4 and the table's columns.
package struct ApplicationMapRow: TableRow {
    /// Start of the slot, seconds since 1970.
    package let time: UInt32
    package let field: MiniField
    package let meter: AppMeter
    package let client: SideTags
    package let server: SideTags
    package let serverPort: UInt16
    package let teamID: UInt16

    package var isIPv6: Bool { field.isIPv6 }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let isIPv6 = field.isIPv6
        let nic = CaptureNIC(tapPort: field.tapPort)
        e.time(seconds: UInt64(time))
        e.uint(UInt64(field.globalThreadID & 0xff))
        e.uint(UInt64(client.azID))
        e.uint(UInt64(server.azID))
        e.uint(UInt64(client.gpid))
        e.uint(UInt64(server.gpid))
        e.uint(UInt64(client.hostID))
        e.uint(UInt64(server.hostID))
        e.ip4(isIPv6 ? 0 : field.ip.v4)
        e.ip4(isIPv6 ? 0 : field.ip1.v4)
        e.ip6(isIPv6 ? field.ip : IPAddress())
        e.ip6(isIPv6 ? field.ip1 : IPAddress())
        e.uint(isIPv6 ? 0 : 1)
        e.uint(UInt64(client.source))
        e.uint(UInt64(server.source))
        e.uint(0)
        e.uint(UInt64(client.l3DeviceID))
        e.uint(UInt64(server.l3DeviceID))
        e.uint(UInt64(client.l3DeviceType))
        e.uint(UInt64(server.l3DeviceType))
        e.int(Int64(client.l3EpcID))
        e.int(Int64(server.l3EpcID))
        e.uint(UInt64(field.l7Protocol))
        e.text(field.appService)
        e.text(field.appInstance)
        e.text(field.endpoint)
        e.uint(UInt64(field.bizType))
        e.uint(UInt64(client.podClusterID))
        e.uint(UInt64(server.podClusterID))
        e.uint(UInt64(client.podGroupID))
        e.uint(UInt64(server.podGroupID))
        e.uint(UInt64(client.podID))
        e.uint(UInt64(server.podID))
        e.uint(UInt64(client.podNodeID))
        e.uint(UInt64(server.podNodeID))
        e.uint(UInt64(client.podNsID))
        e.uint(UInt64(server.podNsID))
        e.uint(UInt64(field.proto))
        e.uint(UInt64(client.regionID))
        e.uint(UInt64(server.regionID))
        e.uint(UInt64(client.autoInstanceID))
        e.uint(UInt64(client.autoInstanceType))
        e.uint(UInt64(client.autoServiceID))
        e.uint(UInt64(client.autoServiceType))
        e.uint(UInt64(server.autoInstanceID))
        e.uint(UInt64(server.autoInstanceType))
        e.uint(UInt64(server.autoServiceID))
        e.uint(UInt64(server.autoServiceType))
        e.uint(UInt64(field.signalSource))
        e.uint(UInt64(client.serviceID))
        e.uint(UInt64(server.serviceID))
        e.uint(UInt64(serverPort))
        e.uint(UInt64(client.subnetID))
        e.uint(UInt64(server.subnetID))
        e.uint(nic.type)
        e.uint(nic.tunnelType)
        e.uint(nic.id)
        e.uint(nic.natSource)
        e.text(observationPoint(field.tapSide))
        e.uint(UInt64(field.tapType & 0xff))
        e.uint(UInt64(field.vtapID & 0xffff))
        e.uint(UInt64(teamID))
        e.uint(UInt64(meter.request))
        e.uint(UInt64(meter.response))
        e.uint(UInt64(meter.directionScore))
        e.uint(UInt64(meter.rrt.max))
        e.real(Double(meter.rrt.sum))
        e.uint(UInt64(meter.rrt.count))
        e.uint(UInt64(meter.clientError))
        e.uint(UInt64(meter.serverError))
        e.uint(UInt64(meter.timeout))
        e.uint(UInt64(meter.clientError &+ meter.serverError))
    }
}
