import Model
import Wire

/// Counters of agents and servers to rows. One a thread. Source: ingester.md 6.2.
final class StatsDecoder {
    private let tally: IngesterTally
    private let emit: (RowBatch) -> Void

    init(tally: IngesterTally, emit: @escaping (RowBatch) -> Void) {
        self.tally = tally
        self.emit = emit
    }

    /// - Parameter isServer: message type 2, statistics of a server, rather than 10.
    func take(payload: [UInt8], teamID: UInt16, isServer: Bool) {
        let batch = StatsRecord.decodeAll(payload.span.bytes)
        tally.add {
            $0.stats.payloads += 1
            $0.stats.errors += UInt64(batch.errors)
        }
        take(batch.records, teamID: teamID, isServer: isServer)
    }

    /// - Parameter teamID: of the frame; a record that names an organisation goes by its own.
    func take(_ records: [StatsRecord], teamID: UInt16, isServer: Bool) {
        var tenant: [StatsRow] = []
        var admin: [StatsRow] = []
        for record in records {
            if record.orgID != 0 {
                tenant.append(StatsRow(record: record, teamID: UInt16(truncatingIfNeeded: record.teamID)))
            } else if isServer {
                admin.append(StatsRow(record: record, teamID: 1))
            } else {
                tenant.append(StatsRow(record: record, teamID: teamID))
            }
        }
        if !tenant.isEmpty { emit(RowBatch(Catalogue.deepflowCollector, .stats(tenant))) }
        if !admin.isEmpty { emit(RowBatch(Catalogue.deepflowServer, .stats(admin))) }
        tally.add {
            $0.stats.records += UInt64(records.count)
            $0.stats.rows += UInt64(tenant.count + admin.count)
        }
    }
}
