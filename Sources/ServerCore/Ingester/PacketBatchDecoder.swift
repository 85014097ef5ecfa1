import Model
import Wire

/// Batches of packets to rows of `flow_log.l7_packet`. One a thread. Source: ingester.md 6.6.
final class PacketBatchDecoder {
    private let tally: IngesterTally
    private let emit: (RowBatch) -> Void

    init(tally: IngesterTally, emit: @escaping (RowBatch) -> Void) {
        self.tally = tally
        self.emit = emit
    }

    func take(payload: [UInt8], agentID: UInt16, teamID: UInt16) {
        let batch = PcapBatchRecord.decodeAll(payload.span.bytes)
        var rows: [PacketBatchRow] = []
        for record in batch.records {
            for packets in record.batches {
                rows.append(PacketBatchRow(packets: packets, magic: record.magic, agentID: agentID, teamID: teamID))
            }
        }
        var counts = IngesterCounters.Decoder()
        counts.payloads = 1
        counts.errors = UInt64(batch.errors)
        counts.records = UInt64(batch.records.count)
        counts.rows = UInt64(rows.count)
        if !rows.isEmpty { emit(RowBatch(Catalogue.l7Packet, .packets(rows))) }
        tally.add { $0.rawPcap.add(counts) }
    }
}
