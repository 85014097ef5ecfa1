import Capture

/// How dispatchers share out what is captured. Source: agent-flow.md 5.1.
enum LaneLayout: Equatable {
    /// So many, each with all interfaces of our namespace.
    case shared(Int)
    /// One a namespace that has interfaces to capture on.
    case byNamespace
    /// One over several namespaces.
    case acrossNamespaces
    /// One an interface, for mirrored traffic.
    case byInterface

    init(_ settings: AgentPipeline.Settings) {
        // Only rings share packets among them.
        let count = settings.usesLibpcap ? 1 : settings.fanout.count
        if settings.mirror.mode != .local {
            self = count > 1 ? .shared(count) : .byInterface
        } else if settings.namespaces.extra != nil {
            self = .byNamespace
        } else if settings.namespaces.isInnerEnabled, !settings.rawQueue.isEnabled {
            self = .acrossNamespaces
        } else {
            self = .shared(count)
        }
    }
}
