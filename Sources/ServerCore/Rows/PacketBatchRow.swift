package import Model
package import Wire

/// A row of `flow_log.l7_packet`: packets of one flow. Source: ingester.md 6.6 and the table's columns.
package struct PacketBatchRow: StoredRow {
    package let packets: PcapBatchRecord.Packets
    package let magic: UInt32
    package let agentID: UInt16
    package let teamID: UInt16

    package var seconds: UInt64 { packets.endNs / 1_000_000_000 }

    /// A header and the records. Version and the rest of the header have different byte orders: no capture file as it
    /// stands.
    private var batch: [UInt8] {
        withUnsafeBytes(of: magic.littleEndian) { Array($0) }
            + [0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0] + packets.records
    }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        e.time(seconds: seconds)
        e.time(micros: packets.startNs / 1000)
        e.time(micros: packets.endNs / 1000)
        e.uint(packets.flowID)
        e.uint(UInt64(agentID))
        e.uint(UInt64(packets.packetCount))
        e.bytes(batch)
        e.uints(packets.aclGids.map { UInt64($0) })
        e.uint(UInt64(teamID))
    }
}
