/// Why a filter text is none, and where.
package struct FilterError: Explained, Equatable {
    /// First character at fault, counted from 0.
    package let position: Int
    /// Characters at fault, at least 1.
    package let length: Int
    package let why: String
    package let mend: String

    package var what: String { "the filter is wrong at character \(position + 1)" }
    package var exitCode: ExitCode { .usage }

    package init(at position: Int, length: Int, why: String, mend: String) {
        self.position = position
        self.length = max(1, length)
        self.why = why
        self.mend = mend
    }

    /// Marks the place under the text, for terminals: spaces and carets.
    package var caretLine: String {
        String(repeating: " ", count: position) + String(repeating: "^", count: length)
    }
}
