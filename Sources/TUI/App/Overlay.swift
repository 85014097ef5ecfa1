import EngineAPI
import Model

/// What lies over the view and takes the keys first.
enum Overlay: Sendable {
    case none
    case help(top: Int)
    case sort(selected: Int)
    case detail(DetailState)
    case filter(FilterInput)
    case command(CommandInput)
    case export(selected: Int)
}

struct DetailState: Sendable {
    let kind: ListKind
    let id: UInt64
    let snapshot: UInt64?
    var top = 0
    var detail: Detail?
    var refusal: Refusal?
}

/// The filter line while it is typed.
struct FilterInput: Sendable {
    let kind: ListKind
    var line: LineEditor
    /// Put back by Escape.
    let before: String
    var error: FilterError?
    /// Enter was pressed although it is wrong: now say why.
    var insists = false
    /// Place in the history; nil = the line itself.
    var past: Int?
    /// Values of the key under the cursor, as the engine knows them.
    var known: (key: String, values: [String]) = ("", [])
    /// Candidate chosen by Tab.
    var chosen: Int?
    var completion: FilterCompletion?
}

struct CommandInput: Sendable {
    var line = LineEditor()
    var past: Int?
    var message = ""
}
