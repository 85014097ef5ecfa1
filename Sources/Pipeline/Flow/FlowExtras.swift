import Model

/// What few flows carry besides their counters, by the flow's slot.
struct FlowExtras {
    private static let sharedCount = 64

    private var items: [FlowExtra?] = []
    /// What named a domain last, by the domain's hash: flows to one server share it.
    private var shared = [FlowExtra?](repeating: nil, count: sharedCount)

    subscript(_ index: Int32) -> FlowExtra? { Int(index) < items.count ? items[Int(index)] : nil }

    mutating func set(_ index: Int32, domain: String) {
        while items.count <= Int(index) { items.append(nil) }
        items[Int(index)] = extra(naming: domain)
    }

    mutating func remove(_ index: Int32) {
        if Int(index) < items.count { items[Int(index)] = nil }
    }

    private mutating func extra(naming domain: String) -> FlowExtra {
        let cell = Int(truncatingIfNeeded: MetricsHash.text(domain)) & (Self.sharedCount - 1)
        if let known = shared[cell], known.requestDomain == domain { return known }
        let new = FlowExtra(requestDomain: domain)
        shared[cell] = new
        return new
    }
}
