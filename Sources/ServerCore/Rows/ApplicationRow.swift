package import Model

/// A row of `flow_metrics.application`: L7 counters of one end. Source: ingester.md 4 and the table's columns.
package struct ApplicationRow: TableRow {
    /// Start of the slot, seconds since 1970.
    package let time: UInt32
    package let field: MiniField
    package let meter: AppMeter
    package let tags: SideTags
    package let serverPort: UInt16
    package let teamID: UInt16

    package var isIPv6: Bool { field.isIPv6 }

    /// 0 client, 1 server, 2 local, 3 rest.
    private var role: UInt8 {
        switch field.direction & 7 {
        case 1: 0
        case 2: 1
        case 4: 2
        default: 3
        }
    }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        let isIPv6 = field.isIPv6
        e.time(seconds: UInt64(time))
        e.uint(UInt64(field.globalThreadID & 0xff))
        e.uint(UInt64(tags.azID))
        e.uint(UInt64(role))
        e.uint(UInt64(tags.gpid))
        e.uint(UInt64(tags.hostID))
        e.ip4(isIPv6 ? 0 : field.ip.v4)
        e.ip6(isIPv6 ? field.ip : IPAddress())
        e.uint(isIPv6 ? 0 : 1)
        e.uint(UInt64(tags.source))
        e.uint(0)
        e.uint(UInt64(tags.l3DeviceID))
        e.uint(UInt64(tags.l3DeviceType))
        e.int(Int64(tags.l3EpcID))
        e.uint(UInt64(field.l7Protocol))
        e.text(field.appService)
        e.text(field.appInstance)
        e.text(field.endpoint)
        e.uint(UInt64(field.bizType))
        e.uint(UInt64(tags.podClusterID))
        e.uint(UInt64(tags.podGroupID))
        e.uint(UInt64(tags.podID))
        e.uint(UInt64(tags.podNodeID))
        e.uint(UInt64(tags.podNsID))
        e.uint(UInt64(field.proto))
        e.uint(UInt64(tags.regionID))
        e.uint(UInt64(tags.autoInstanceID))
        e.uint(UInt64(tags.autoInstanceType))
        e.uint(UInt64(tags.autoServiceID))
        e.uint(UInt64(tags.autoServiceType))
        e.uint(UInt64(field.signalSource))
        e.uint(UInt64(tags.serviceID))
        e.uint(UInt64(serverPort))
        e.uint(UInt64(tags.subnetID))
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
