import EngineAPI
import Model

/// What happened, in the order in which it happened.
enum Event: Sendable {
    case key(Key)
    case resize(rows: Int, columns: Int)
    /// The clock moved on; nothing else may be assumed of its pace.
    case tick
    case answered(Slot, Question, Answer)
    case exported(Result<ExportResult, Refusal>)
}

/// What the shell around the application is asked to do.
enum Effect: Sendable, Equatable {
    case ask(Slot, Question)
    /// To the terminal's clipboard.
    case copy(String)
    case export(ExportJob)
    case theme(String)
    case suspend
    case quit
    case detach
}

/// A place for one question: a newer one of the same slot takes the place of one that still waits.
enum Slot: Hashable, Sendable {
    case status
    case overview
    case list(ListKind)
    case detail
    case freeze(ListKind)
    case release(UInt64)
    case values
}

struct ExportJob: Sendable, Equatable {
    enum Format: String, Sendable, CaseIterable {
        case json
        case csv
    }

    var query: ListQuery
    /// Only this row; nil = all that match, up to the bound of a query.
    var row: UInt64?
    var format: Format
    var path: String
}

struct ExportResult: Sendable, Equatable {
    var path: String
    var rows: Int
    var matched: Int
}
