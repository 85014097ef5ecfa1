/// What the records of a frame are. Source: wire.md 3.
package enum MessageType: UInt8, Sendable, CaseIterable, Hashable {
    case compressedPcap = 0
    case syslog = 1
    case serverStats = 2
    case metrics = 3
    case l4Log = 4
    case l7Log = 5
    case openTelemetry = 6
    case prometheus = 7
    case telegraf = 8
    case l4Packet = 9
    case agentStats = 10
    case openTelemetryCompressed = 11
    case rawPcap = 12
    case profile = 13
    case procEvent = 14
    case alertRecord = 15
    case k8sEvent = 16
    case applicationLog = 17
    case agentLog = 18
    case skywalking = 19
    case datadog = 20
    case alertEvent = 21

    /// How much of a header a frame of this type has and which lengths it may claim. Source: wire.md 2.3.
    package enum HeaderClass: Sendable {
        /// 5 bytes; `frame_size` must be greater than 5.
        case short
        /// 5 bytes, length unchecked by the reference; a length below 5 is refused here.
        case shortUnchecked
        /// 19 bytes; `frame_size` must be at least 19.
        case long
    }

    package var headerClass: HeaderClass {
        switch self {
        case .compressedPcap: .short
        case .syslog: .shortUnchecked
        default: .long
        }
    }

    /// The `msg_type` tag of the ingester's own series.
    package var ingesterName: String {
        switch self {
        case .compressedPcap: "compressed_pcap"
        case .syslog: "syslog"
        case .serverStats: "deepflow_server_stats"
        case .metrics: "metrics"
        case .l4Log: "l4_log"
        case .l7Log: "l7_log"
        case .openTelemetry: "open_telemetry"
        case .prometheus: "prometheus"
        case .telegraf: "telegraf"
        case .l4Packet: "l4_packet"
        case .agentStats: "deepflow_stats"
        case .openTelemetryCompressed: "open_telemetry_compressed"
        case .rawPcap: "raw_pcap"
        case .profile: "profile"
        case .procEvent: "proc_event"
        case .alertRecord: "alert_record"
        case .k8sEvent: "k8s_event"
        case .applicationLog: "application_log"
        case .agentLog: "agent_log"
        case .skywalking: "skywalking"
        case .datadog: "datadog"
        case .alertEvent: "alert_event"
        }
    }

    /// The `type` tag of the agent's `collect_sender` series; nil where the agent has no such sender.
    package var agentName: String? {
        switch self {
        case .compressedPcap: "compress"
        case .serverStats: "statsd"
        case .l4Packet: "packet_sequence_block"
        case .openTelemetryCompressed: "open_telemetry compressed"
        case .procEvent: "proc_events"
        case .alertRecord: "alarm_event"
        case .agentLog: "syslog_detail"
        case .k8sEvent, .alertEvent: nil
        case .syslog, .metrics, .l4Log, .l7Log, .openTelemetry, .prometheus, .telegraf, .agentStats, .rawPcap,
            .profile, .applicationLog, .skywalking, .datadog:
            ingesterName
        }
    }
}

/// How the payload of a frame is compressed. Source: wire.md 2.1.
package enum FrameEncoder: UInt8, Sendable {
    case raw = 0
    case zlib = 1
    case gzip = 2
    case zstd = 3
}
