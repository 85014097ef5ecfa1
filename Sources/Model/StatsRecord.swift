/// One set of counters of an agent (type 10) or a server (type 2). Source: wire.md 7.9, 8.
package struct StatsRecord: Sendable, Equatable {
    package struct Tag: Sendable, Equatable {
        package var name: String
        package var value: String
        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    package struct Metric: Sendable, Equatable {
        package var name: String
        package var value: Double
        package init(_ name: String, _ value: Double) {
            self.name = name
            self.value = value
        }
    }

    /// Seconds since 1970.
    package var timestamp: UInt64 = 0
    package var name = ""
    package var tags: [Tag] = []
    package var metrics: [Metric] = []
    /// 0: the frame header's count.
    package var orgID: UInt32 = 0
    package var teamID: UInt32 = 0

    package init() {}

    /// - Parameter name: `deepflow_agent_` and the module.
    package init(_ name: String, tags: [Tag], metrics: [Metric]) {
        self.name = name
        self.tags = tags
        self.metrics = metrics
    }
}
