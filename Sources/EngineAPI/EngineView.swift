package import Model

/// A running engine as screens and commands see it, in this process or behind a socket.
///
/// `answer` blocks until the answer is there (a socket: at most its timeout) and may be called from any thread;
/// callers keep it off the thread that draws. It never throws: what went wrong is an answer too.
package protocol EngineView: Sendable {
    func answer(_ question: Question) -> Answer
}

package enum Question: Sendable, Codable, Equatable {
    case status
    /// History of the last seconds (at most 600) and what is busiest now.
    case overview(seconds: Int)
    case list(ListQuery)
    /// Everything about one row of a list.
    case detail(kind: ListKind, id: UInt64, snapshot: UInt64?)
    /// Keeps the list as it is now; the answer's number goes into later queries. The engine keeps a few and forgets
    /// the oldest.
    case freeze(ListKind)
    case release(snapshot: UInt64)
    /// Frequent values of a filter key, for completion.
    case values(key: String)
    /// A query in the store's SQL, read-only.
    case sql(String)
    /// Tables of the store: name, rows, first and last time, bytes.
    case tables
}

package enum Answer: Sendable, Codable, Equatable {
    case status(EngineStatus)
    case overview(Overview)
    case list(ListPage)
    case detail(Detail)
    case snapshot(UInt64)
    case values([String])
    case table(ResultTable)
    case done
    case failed(Refusal)
}

/// An explained failure as a value.
package struct Refusal: Explained, Codable, Equatable {
    package var what: String
    package var why: String
    package var mend: String
    package var code: Int32

    package init(_ error: any Explained) {
        what = error.what
        why = error.why
        mend = error.mend
        code = error.exitCode.rawValue
    }

    package init(_ exitCode: ExitCode, what: String, why: String, mend: String = "") {
        self.what = what
        self.why = why
        self.mend = mend
        code = exitCode.rawValue
    }

    package var exitCode: ExitCode { ExitCode(rawValue: code) ?? .failed }
}

/// The lists an engine can page.
package enum ListKind: String, Sendable, Codable, CaseIterable {
    case flows
    /// Recent requests: the `l7_flow_log` rows.
    case requests
    /// Rate, errors and duration of each service (server address, port, protocol).
    case services
    /// Who talks to whom: client address, service, protocol.
    case map
    case host
    case interfaces
    case processes
    /// Queues, drops and rates of the engine itself.
    case own
}

package struct ListQuery: Sendable, Codable, Equatable {
    package var kind: ListKind
    /// Filter language of `Model.Filter`.
    package var filter: String
    /// Column name; empty = the list's own order.
    package var sort: String
    package var isDescending: Bool
    package var offset: Int
    /// At most `maxLimit` rows come back.
    package var limit: Int
    package var snapshot: UInt64?

    package static let maxLimit = 10_000

    package init(
        _ kind: ListKind, filter: String = "", sort: String = "", isDescending: Bool = true, offset: Int = 0,
        limit: Int = 100, snapshot: UInt64? = nil
    ) {
        self.kind = kind
        self.filter = filter
        self.sort = sort
        self.isDescending = isDescending
        self.offset = offset
        self.limit = limit
        self.snapshot = snapshot
    }
}

/// Rows `offset ..< offset + rows.count` of the matching ones in the asked order.
package struct ListPage: Sendable, Codable, Equatable {
    package var kind: ListKind
    package var columns: [String]
    package var rows: [[FieldValue]]
    /// One a row, for `detail`.
    package var ids: [UInt64]
    package var offset: Int
    package var matched: Int
    package var total: Int
    /// The engine's clock when this was true, microseconds since 1970: packet time in a replay.
    package var clockUs: UInt64
    /// What a reader should know about this list, such as rows that left it.
    package var note: String

    package init(
        kind: ListKind, columns: [String], rows: [[FieldValue]] = [], ids: [UInt64] = [], offset: Int = 0,
        matched: Int = 0, total: Int = 0, clockUs: UInt64 = 0, note: String = ""
    ) {
        self.kind = kind
        self.columns = columns
        self.rows = rows
        self.ids = ids
        self.offset = offset
        self.matched = matched
        self.total = total
        self.clockUs = clockUs
        self.note = note
    }
}
