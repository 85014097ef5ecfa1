package import Model

/// A row of `deepflow_tenant.deepflow_collector` or `deepflow_admin.deepflow_server`: one set of counters.
/// Source: ingester.md 6.2 and the tables' columns.
package struct StatsRow: StoredRow {
    package let record: StatsRecord
    package let teamID: UInt16

    package init(record: StatsRecord, teamID: UInt16) {
        self.record = record
        self.teamID = teamID
    }

    package var seconds: UInt64 { record.timestamp }

    @_specialize(where Encoder == CSVRowPrinter)
    @_specialize(where Encoder == JSONRowPrinter)
    @_specialize(where Encoder == RowFields)
    package func encode<Encoder: RowEncoder>(into e: inout Encoder) {
        e.time(seconds: record.timestamp)
        e.text(record.name)
        e.uint(UInt64(teamID))
        e.texts(record.tags.map(\.name))
        e.texts(record.tags.map(\.value))
        e.texts(record.metrics.map(\.name))
        e.reals(record.metrics.map(\.value))
    }
}
