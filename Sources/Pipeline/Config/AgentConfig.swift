package import Capture
package import Model

/// The agent's configuration tree as typed settings. Defaults are the catalogue's. Source: agent-config.md 3.
///
/// A key of the catalogue that this agent has no use for is accepted and remembered in `unused`; a key that no catalogue
/// knows is an error.
package struct AgentConfig: Sendable {
    package var pipeline = AgentPipeline.Settings()
    package var sender = SenderSettings()
    package var statistics = StatsCollector.Settings()
    /// Of an agent that sends to an ingester; its address on the way there is found out at start.
    package var own = OwnTraffic()
    /// What the size of the receive ring follows from.
    var ringMemory = RingMemory() {
        didSet {
            pipeline.ring.blocks = ringMemory.blocks
            pipeline.ring.frameBytes = ringMemory.isAnalyzer ? 2048 : 1 << 16
        }
    }
    /// Accepted keys that change nothing here, or only what statistics compare with.
    package private(set) var unused: [String] = []
    /// Paths that were set, so that modes can choose their own defaults for the others.
    package private(set) var given: Set<String> = []

    /// Blocks of 1 MiB of a receive ring. Source: agent-flow.md 4.1.
    struct RingMemory: Sendable {
        var maxMemoryMiB: UInt32 = 768
        var isFixed = false
        var fixedBlocks: UInt32 = 128
        var isAnalyzer = false

        var blocks: UInt32 { isFixed || isAnalyzer ? max(fixedBlocks, 8) : min(maxMemoryMiB / 16, 128) }
    }

    /// Where records go.
    package struct SenderSettings: Sendable {
        package var ingesterHost = ""
        package var ingesterPort: UInt16 = 30033
        package var maxThroughputMbps: UInt64 = 100
        package var dropsOnOverflow = false
        package var usesSeveralSockets = false
        package var compressesL7 = true
        package var compressesL4 = false
        /// Records. Logs of flows wait in a queue of the size that the flow generator's has.
        package var documentQueueSize = 65536
        package var l7QueueSize = 65536
    }

    /// A key that this agent obeys.
    struct Key: Sendable {
        let apply: @Sendable (inout AgentConfig, ConfigValue) throws(ConfigMismatch) -> Void
    }

    package init() {}

    /// What design.md 2.1 prescribes for replays, unless it was set: no throttles, no limit of concurrent flows;
    /// and MACs tell no flows apart.
    package mutating func becomeReplay() {
        if !given.contains("outputs.flow_log.throttles.l7_throttle") { pipeline.sessions.throttlePerSecond = 0 }
        if !given.contains("outputs.flow_log.throttles.l4_throttle") {
            pipeline.metrics.flowLog.throttlePerSecond = nil
        }
        if !given.contains("processors.flow_log.tunning.concurrent_flow_limit") {
            pipeline.flow.concurrentFlowLimit = .max
        }
        if !given.contains("processors.flow_log.conntrack.flow_generation.cloud_traffic_ignore_mac") {
            pipeline.flow.ignoresMac = true
        }
    }

    /// Live: the catalogue's throttles.
    package mutating func becomeLive() {
        if !given.contains("outputs.flow_log.throttles.l4_throttle") {
            pipeline.metrics.flowLog.throttlePerSecond = 10000
        }
    }

    /// Sets one value by its dotted path.
    package mutating func set(_ path: String, _ value: ConfigValue) throws(Failure) {
        guard let key = AgentConfig.keys[path] else {
            guard AgentConfig.isCatalogued(path) else {
                let near = AgentConfig.nearest(to: path)
                throw Failure(
                    .usage, what: "unknown configuration key \(path)", why: "no such path in the agent configuration",
                    mend: near.map { "did you mean \($0)?" }
                        ?? "paths look like processors.request_log.tunning.payload_truncation")
            }
            unused.append(path)
            return
        }
        do {
            try key.apply(&self, value)
        } catch {
            throw Failure(.usage, what: "cannot set \(path)", why: "the value must be \(error.wanted)")
        }
        given.insert(path)
        if AgentConfig.compared.contains(path) { unused.append(path) }
    }

    /// Limits that nothing is held to; `monitor` and `free_disk` tell how far they are.
    private static let compared: Set<String> = [
        "global.limits.max_millicpus", "global.circuit_breakers.sys_memory_percentage.trigger_threshold",
        "global.circuit_breakers.free_disk.directories", "global.self_monitoring.log.log_file",
    ]

    /// Sets every leaf of a tree; the first error ends it. Maps whose keys are data, not paths, are leaves.
    package mutating func set(tree: ConfigValue, under prefix: String = "") throws(Failure) {
        guard case .map(let entries) = tree, AgentConfig.keys[prefix] == nil else {
            if !prefix.isEmpty { try set(prefix, tree) }
            return
        }
        for entry in entries {
            try set(tree: entry.value, under: prefix.isEmpty ? entry.key : prefix + "." + entry.key)
        }
    }

    package static var knownPaths: [String] { keys.keys.sorted() }

    /// A path of the catalogue, or one below a map of it.
    private static func isCatalogued(_ path: String) -> Bool {
        var rest = Substring(path)
        while true {
            if catalogue.contains(rest) { return true }
            guard let dot = rest.lastIndex(of: ".") else { return false }
            rest = rest[..<dot]
        }
    }

    private static func nearest(to path: String) -> String? {
        let last = path.split(separator: ".").last.map(String.init) ?? path
        let known = keys.keys.sorted() + catalogue.sorted().map(String.init)
        return known.first { $0.hasSuffix("." + last) }
            ?? known.max { nearness($0, path) < nearness($1, path) }
            .flatMap { nearness($0, path) > 0.6 ? $0 : nil }
    }

    /// Share of common leading and trailing bytes.
    private static func nearness(_ a: String, _ b: String) -> Double {
        let x = Array(a.utf8)
        let y = Array(b.utf8)
        let front = zip(x, y).prefix { $0 == $1 }.count
        let back = min(zip(x.reversed(), y.reversed()).prefix { $0 == $1 }.count, min(x.count, y.count) - front)
        return Double(front + back) / Double(max(x.count, y.count, 1))
    }
}
