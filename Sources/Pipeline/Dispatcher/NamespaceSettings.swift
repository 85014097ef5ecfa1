package import Capture

/// Network namespaces that are captured beside our own. Source: agent-flow.md 3, 5.1, 5.4.
package struct NamespaceSettings: Sendable {
    /// Names below `/run/netns`, each captured by a dispatcher of its own; nil = none.
    package var extra: NamePattern?
    /// All namespaces that are joined to ours by a virtual cable, captured together with ours by one dispatcher.
    package var isInnerEnabled = false
    /// Interfaces inside those.
    package var inner: NamePattern? = try? NamePattern("^eth\\d+$")

    package init() {}
}
