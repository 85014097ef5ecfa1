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

/// How dispatchers share out what is captured. Source: agent-flow.md 5.1.
enum LaneLayout: Equatable {
    /// So many, each with all interfaces of our namespace.
    case shared(Int)
    /// One a namespace that has interfaces to capture on.
    case byNamespace
    /// One over several namespaces.
    case acrossNamespaces

    init(_ settings: AgentPipeline.Settings) {
        if settings.namespaces.extra != nil {
            self = .byNamespace
        } else if settings.namespaces.isInnerEnabled {
            self = .acrossNamespaces
        } else {
            // Only rings share packets among them.
            self = .shared(settings.usesLibpcap ? 1 : settings.fanout.count)
        }
    }
}
