import Synchronization

/// Counters of the decoders since the start. Source: ingester.md 10.
package struct IngesterCounters: Sendable, Equatable {
    /// Of one message type.
    package struct Decoder: Sendable, Equatable {
        /// Payloads (`raw-count`).
        package var payloads: UInt64 = 0
        /// Payloads or records that could not be read (`err-count`).
        package var errors: UInt64 = 0
        /// Records read (`count`).
        package var records: UInt64 = 0
        /// Rows given to the store.
        package var rows: UInt64 = 0
        /// Rows left out by the throttle, documents without a table, payloads of unknown organisations.
        package var dropped: UInt64 = 0

        package init() {}

        mutating func add(_ other: Decoder) {
            payloads += other.payloads
            errors += other.errors
            records += other.records
            rows += other.rows
            dropped += other.dropped
        }
    }

    package var metrics = Decoder()
    package var l4 = Decoder()
    package var l7 = Decoder()
    package var stats = Decoder()
    package var openTelemetry = Decoder()
    package var prometheus = Decoder()
    package var telegraf = Decoder()
    package var profile = Decoder()
    package var procEvent = Decoder()
    package var k8sEvent = Decoder()
    package var applicationLog = Decoder()
    package var agentLog = Decoder()
    package var rawPcap = Decoder()
    /// Documents older than 300 s, and newer; they are stored all the same.
    package var expiredDocuments: UInt64 = 0
    package var futureDocuments: UInt64 = 0
    /// Batches of organisations that this server does not know (`org-invalid-count`).
    package var unknownOrg: UInt64 = 0

    package init() {}

    /// The counters of each decoder, by the name of its message type.
    package static var decoders: [(type: String, counters: WritableKeyPath<IngesterCounters, Decoder>)] {
        [
            ("metrics", \.metrics), ("l4_log", \.l4), ("l7_log", \.l7), ("deepflow_stats", \.stats),
            ("open_telemetry", \.openTelemetry), ("prometheus", \.prometheus), ("telegraf", \.telegraf),
            ("profile", \.profile), ("proc_event", \.procEvent), ("k8s_event", \.k8sEvent),
            ("application_log", \.applicationLog), ("agent_log", \.agentLog), ("raw_pcap", \.rawPcap),
        ]
    }
}

/// The counters as all decoder threads add to them.
final class IngesterTally: Sendable {
    private let sum = Mutex(IngesterCounters())

    /// Called once a batch, not once a record.
    func add(_ change: (inout IngesterCounters) -> Void) { sum.withLock { change(&$0) } }

    var snapshot: IngesterCounters { sum.withLock { $0 } }
}
