package import Model

/// A row with the time that decides where it is kept.
package protocol StoredRow: TableRow {
    /// Value of the `time` column, seconds since 1970.
    var seconds: UInt64 { get }
}

extension L4FlowLogRow: StoredRow {
    package var seconds: UInt64 { flow.endTimeNs / 1_000_000_000 }
}

extension L7FlowLogRow: StoredRow {
    package var seconds: UInt64 { log.base.endTimeNs / 1_000_000_000 }
}

extension NetworkRow: StoredRow {
    package var seconds: UInt64 { UInt64(time) }
}

extension NetworkMapRow: StoredRow {
    package var seconds: UInt64 { UInt64(time) }
}

extension ApplicationRow: StoredRow {
    package var seconds: UInt64 { UInt64(time) }
}

extension ApplicationMapRow: StoredRow {
    package var seconds: UInt64 { UInt64(time) }
}

extension TrafficPolicyRow: StoredRow {
    package var seconds: UInt64 { UInt64(time) }
}
