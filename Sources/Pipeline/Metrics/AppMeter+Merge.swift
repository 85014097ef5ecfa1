import Model

extension AppMeter {
    /// Counters add, maxima and the direction score take the larger. Source: agent-flow.md 13.4.
    mutating func merge(_ other: AppMeter) {
        request &+= other.request
        response &+= other.response
        directionScore = max(directionScore, other.directionScore)
        rrt.merge(other.rrt)
        clientError &+= other.clientError
        serverError &+= other.serverError
        timeout &+= other.timeout
    }

    /// Nothing counted; the direction score does not matter.
    var isEmpty: Bool {
        request | response | clientError | serverError | timeout | rrt.count | rrt.max == 0 && rrt.sum == 0
    }
}
