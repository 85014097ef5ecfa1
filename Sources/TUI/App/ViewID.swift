import EngineAPI

/// The views by their number key.
enum ViewID: Int, Sendable, CaseIterable {
    case overview = 1
    case flows = 2
    case requests = 3
    case metrics = 4
    case map = 5
    case traces = 6
    case events = 7
    case meta = 8
    case agents = 9
    case own = 0

    /// In the order of the tab bar.
    static let present: [ViewID] = [.overview, .flows, .requests, .metrics, .map, .meta, .own]

    var title: String {
        switch self {
        case .overview: "Overview"
        case .flows: "Flows"
        case .requests: "L7"
        case .metrics: "Metrics"
        case .map: "Map"
        case .traces: "Traces"
        case .events: "Events"
        case .meta: "Meta"
        case .agents: "Agents"
        case .own: "Self"
        }
    }

    /// The list of the view; Meta has several, Overview none.
    var list: ListKind? {
        switch self {
        case .flows: .flows
        case .requests: .requests
        case .metrics: .services
        case .map: .map
        case .own: .own
        case .overview, .traces, .events, .meta, .agents: nil
        }
    }

    /// By number or by the beginning of its title.
    static func named(_ text: String) -> ViewID? {
        if let number = Int(text) { return ViewID(rawValue: number) }
        let wanted = text.lowercased()
        guard !wanted.isEmpty else { return nil }
        if wanted == "services" || wanted == "red" { return .metrics }
        if wanted == "requests" { return .requests }
        return allCases.first { $0.title.lowercased().hasPrefix(wanted) }
    }
}
