package import Model

/// A row of `flow_metrics.traffic_policy`: traffic matched by a policy. Source: ingester.md 4 and the table's columns.
package struct TrafficPolicyRow: TableRow {
    /// Start of the slot, seconds since 1970.
    package let time: UInt32
    package let field: MiniField
    package let meter: UsageMeter
    package let teamID: UInt16

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        e.time(seconds: UInt64(time))
        e.uint(UInt64(field.globalThreadID & 0xff))
        e.uint(UInt64(field.aclGid))
        e.uint(UInt64(field.serverPort))
        e.uint(UInt64(field.vtapID & 0xffff))
        e.uint(UInt64(teamID))
        e.uint(meter.packetTx)
        e.uint(meter.packetRx)
        e.uint(meter.packetTx &+ meter.packetRx)
        e.uint(meter.byteTx)
        e.uint(meter.byteRx)
        e.uint(meter.byteTx &+ meter.byteRx)
        e.uint(meter.l3ByteTx)
        e.uint(meter.l3ByteRx)
        e.uint(meter.l4ByteTx)
        e.uint(meter.l4ByteRx)
    }
}
