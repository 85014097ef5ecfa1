package import Model

/// A regular expression over names of interfaces and namespaces; where it matches is its own matter, as with `^` and `$`.
package struct NamePattern: Sendable, Equatable {
    package let text: String

    /// - Throws: exit code 2 for what is no regular expression.
    package init(_ text: String, what: String = "interface pattern") throws(Failure) {
        self.text = text
        do {
            _ = try Regex(text)
        } catch {
            throw Failure(
                .usage, what: "the \(what) \"\(text)\" is not valid", why: "it is no regular expression",
                mend: "for example \"\(InterfaceSelection.defaultPattern)\"")
        }
    }

    /// Those of the names that match; an empty pattern matches none. Source: agent-config.md 3 (`interface_regex`).
    package func matching(_ names: [String]) -> Set<String> {
        guard !text.isEmpty, let expression = try? Regex(text) else { return [] }
        return Set(names.filter { (try? expression.firstMatch(in: $0)) != nil })
    }
}
