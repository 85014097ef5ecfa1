package import Model

/// What runs and how it fares.
package struct EngineStatus: Sendable, Codable, Equatable {
    package enum Mode: String, Sendable, Codable {
        case live
        case replay
        case server
    }

    package var version = ""
    package var mode = Mode.live
    /// Interfaces or files.
    package var sources: [String] = []
    package var hostname = ""
    package var pid: Int32 = 0
    /// Microseconds since 1970.
    package var startedUs: UInt64 = 0
    /// Packet time in a replay, wall clock otherwise.
    package var clockUs: UInt64 = 0
    /// Replay: everything was read and every window flushed.
    package var isComplete = false
    /// Replay: part read, 0...1; nil when unknown.
    package var progress: Double?
    package var flows = 0
    package var flowCapacity = 0
    package var packetsPerSecond = 0.0
    package var bytesPerSecond = 0.0
    /// Where records or packets were lost since the start, largest first.
    package var losses: [Loss] = []
    /// Things to know, one sentence each: missing privileges, a full disk.
    package var notes: [String] = []

    package struct Loss: Sendable, Codable, Equatable {
        package var place: String
        package var count: UInt64

        package init(place: String, count: UInt64) {
            self.place = place
            self.count = count
        }
    }

    package init() {}

    package var lost: UInt64 { losses.reduce(0) { $0 &+ $1.count } }
}

/// History by the second, oldest first, and the busiest of now.
package struct Overview: Sendable, Codable, Equatable {
    /// Second of the newest sample, seconds since 1970; 0 = nothing seen.
    package var newestSecond: UInt64 = 0
    package var packets: [Double] = []
    package var bytes: [Double] = []
    package var activeFlows: [Double] = []
    package var newFlows: [Double] = []
    package var requests: [Double] = []
    package var errors: [Double] = []
    /// Mean and longest response time of the second, microseconds; 0 = no response.
    package var latency: [Double] = []
    package var maxLatency: [Double] = []
    package var retransmissions: [Double] = []
    package var totals = Totals()
    package var talkers: [Busy] = []
    package var services: [Busy] = []
    package var protocols: [Busy] = []
    /// Whether `value` of the busy lists is a rate of now or a sum of the whole replay.
    package var isWholeCapture = false

    /// Sums since the start.
    package struct Totals: Sendable, Codable, Equatable {
        package var packets: UInt64 = 0
        package var bytes: UInt64 = 0
        package var flows: UInt64 = 0
        package var requests: UInt64 = 0
        package var errors: UInt64 = 0
        package var retransmissions: UInt64 = 0

        package init() {}
    }

    /// A line of a small top list.
    package struct Busy: Sendable, Codable, Equatable {
        package var name: String
        /// Bytes a second or bytes; requests for services.
        package var value: Double
        package var errors: Double
        /// Microseconds; 0 = none.
        package var latency: Double

        package init(name: String, value: Double, errors: Double = 0, latency: Double = 0) {
            self.name = name
            self.value = value
            self.errors = errors
            self.latency = latency
        }
    }

    package init() {}
}

/// One row in full.
package struct Detail: Sendable, Codable, Equatable {
    package var title: String
    package var sections: [Section]
    package var tables: [Table]

    package struct Section: Sendable, Codable, Equatable {
        package var name: String
        package var fields: [Field]

        package init(_ name: String, _ fields: [Field]) {
            self.name = name
            self.fields = fields
        }
    }

    package struct Field: Sendable, Codable, Equatable {
        /// Column name where there is one, so that screens know its unit.
        package var name: String
        package var value: FieldValue

        package init(_ name: String, _ value: FieldValue) {
            self.name = name
            self.value = value
        }
    }

    package struct Table: Sendable, Codable, Equatable {
        package var title: String
        package var table: ResultTable

        package init(title: String, table: ResultTable) {
            self.title = title
            self.table = table
        }
    }

    package init(title: String, sections: [Section] = [], tables: [Table] = []) {
        self.title = title
        self.sections = sections
        self.tables = tables
    }
}
