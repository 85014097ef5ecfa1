/// What the stages behind the flow table need to know; defaults are the reference's. Source: agent-flow.md 3, 14, 16.
package struct MetricsSettings: Sendable, Equatable {
    package var metrics = FlowMetricsSettings()
    package var flowLog = FlowLogSettings()
    package var delays = MetricsDelays()
    package var identity = MetricsIdentity()

    package init() {}
}

/// `outputs.flow_metrics.*`.
package struct FlowMetricsSettings: Sendable, Equatable {
    /// Off: no documents at all.
    package var isEnabled = true
    package var npmMetricsConcurrent = true
    package var apmMetrics = true
    package var secondMetrics = true
    package var inactiveServerPortAggregation = false
    package var inactiveIPAggregation = false
    /// Counts UDP response times as they are. Off = the reference's `art_count = art_max`.
    package var countsUDPResponses = false
    /// Most distinct quadruples in one window slot and most documents in one collector slot; more are counted drops.
    package var maxEntriesPerSlot = 1 << 20
    /// Most living connection keys remembered between slots.
    package var maxConnections = 1 << 20

    package init() {}
}

/// `outputs.flow_log.*`.
package struct FlowLogSettings: Sendable, Equatable {
    /// Capture network types to keep; 0 = all, -1 = none. A standalone agent sets [3].
    package var captureNetworkTypes: [Int] = [0]
    /// `TapSide` raw values to leave out.
    package var ignoredObservationPoints: [UInt8] = []
    package var aggregatesHealthChecks = true
    /// Logs a second; nil = no throttle, the way of a replay. 10000 is the reference's default.
    package var throttlePerSecond: UInt32?
    package var throttleSeed: UInt64 = 1
    /// Most flows waiting for the end of their minute; beyond, a record leaves unmerged and is counted.
    package var maxEntries = 1 << 21

    package init() {}
}

/// Window delays in seconds. Source: agent-flow.md 3 ("Derived delays").
package struct MetricsDelays: Sendable, Equatable {
    /// `processors.flow_log.time_window.max_tolerable_packet_delay`.
    package var packetDelay: UInt32
    /// `processors.flow_log.conntrack.flow_flush_interval`.
    package var flushInterval: UInt32
    /// `processors.flow_log.time_window.extra_tolerable_flow_delay`.
    package var extraFlowDelay: UInt32

    package init(packetDelay: UInt32 = 1, flushInterval: UInt32 = 1, extraFlowDelay: UInt32 = 0) {
        self.packetDelay = packetDelay
        self.flushInterval = flushInterval
        self.extraFlowDelay = extraFlowDelay
    }

    /// `D`: how late a second record may come.
    package var base: UInt32 {
        packetDelay &+ 1 &+ flushInterval &+ 5 &+ extraFlowDelay &+ flushInterval
    }

    package var secondGenerator: UInt32 { base }
    package var secondCollector: UInt32 { base + 5 }
    package var minuteGenerator: UInt32 { MetricsDelays.clampToMinute(60 + base) }
    package var minuteCollector: UInt32 { MetricsDelays.clampToMinute(65 + base) }
    package var flowAggrSlots: UInt32 { 60 + base }

    private static func clampToMinute(_ seconds: UInt32) -> UInt32 {
        seconds < 60 ? 60 : seconds >= 120 ? 119 : seconds
    }
}

/// Who reports. Source: agent-flow.md 14.4, 18.
package struct MetricsIdentity: Sendable, Equatable {
    /// 3302 in standalone mode.
    package var agentID: UInt16 = 3302
    /// Standalone documents carry both real addresses, whatever the EPCs.
    package var isStandalone = true
    /// `global_thread_id` of documents is this plus one.
    package var dispatcherID: UInt8 = 0

    package init() {}
}
