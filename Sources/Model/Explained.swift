/// An error that reaches a person: what failed, why, and what to do about it.
package protocol Explained: Error, Sendable {
    var what: String { get }
    var why: String { get }
    var mend: String { get }
    /// Exit code of the command that ends with this error.
    var exitCode: ExitCode { get }
}

extension Explained {
    /// `what: why; mend`, one line for stderr and logs.
    package var sentence: String { "\(what): \(why)" + (mend.isEmpty ? "" : "; \(mend)") }
}

/// Exit codes of `dftop` and `dfctl`. Source: design.md 2.1.
package enum ExitCode: Int32, Sendable, Error {
    case ok = 0
    case failed = 1
    case usage = 2
    case notFound = 3
    case conflict = 4
    case invalidInput = 5
    case unreachable = 6
    case notPermitted = 7
    case partlyDone = 8
}

/// An explained error without a type of its own.
package struct Failure: Explained, Equatable {
    package let what: String
    package let why: String
    package let mend: String
    package let exitCode: ExitCode

    package init(_ exitCode: ExitCode, what: String, why: String, mend: String = "") {
        self.what = what
        self.why = why
        self.mend = mend
        self.exitCode = exitCode
    }
}
