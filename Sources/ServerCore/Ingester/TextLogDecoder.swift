import Model
import Wire

/// Logs of applications and agents to rows of `application_log.log`. One a thread. Source: ingester.md 6.7.
final class TextLogDecoder {
    private static let chunk = 1024

    private let tally: IngesterTally
    private let ids: RowIDs
    private let platform: () -> PlatformData
    private let emit: (RowBatch) -> Void
    private var rows: [LogRow] = []
    private var counts = IngesterCounters.Decoder()

    init(
        tally: IngesterTally, ids: RowIDs, platform: @escaping () -> PlatformData, emit: @escaping (RowBatch) -> Void
    ) {
        self.tally = tally
        self.ids = ids
        self.platform = platform
        self.emit = emit
    }

    // MARK: Agents

    /// One line a record.
    func takeAgentLog(payload: [UInt8], agentID: UInt16, teamID: UInt16) {
        counts = IngesterCounters.Decoder()
        counts.payloads = 1
        let side = AutoTagging(platform: platform()).tagAgentLog(agentID: agentID)
        let errors = RecordCursor.forEach(payload) { record in
            let line = String(decoding: payload[record], as: UTF8.self)
            guard var row = TextLogDecoder.agentRow(line) else {
                counts.errors += 1
                return true
            }
            counts.records += 1
            row.side = side
            row.agentID = agentID
            row.teamID = teamID
            put(row)
            return true
        }
        counts.errors += UInt64(errors)
        handOn()
        tally.add { [counts] in $0.agentLog.add(counts) }
    }

    /// Time, host, tag, level, module and the rest, by the first five blanks.
    static func agentRow(_ line: String) -> LogRow? {
        let parts = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, let micros = RFC3339.micros(parts[0]), let severity = agentLevels[String(parts[3])]
        else { return nil }
        var row = LogRow()
        row.timestampUs = micros
        row.kind = .agent
        row.severity = severity
        row.body = String(parts[5])
        row.appService = String(parts[1])
        row.attributes = [("host", String(parts[1])), ("module", String(parts[4]))]
        return row
    }

    private static let agentLevels: [String: UInt8] = [
        "[INFO]": 5, "[WARN]": 4, "[ERRO]": 3, "[ERROR]": 3, "[DEBU]": 6, "[DEBUG]": 6,
    ]

    // MARK: Applications

    /// An array of objects a record.
    func takeApplicationLog(payload: [UInt8], agentID: UInt16, teamID: UInt16) {
        counts = IngesterCounters.Decoder()
        counts.payloads = 1
        let tagging = AutoTagging(platform: platform())
        let errors = RecordCursor.forEach(payload) { record in
            var reader = JSONReader(Array(payload[record]))
            let isWhole = reader.forEachElement { entry in
                guard var row = TextLogDecoder.applicationRow(entry, teamID: teamID) else {
                    counts.errors += 1
                    return
                }
                counts.records += 1
                let kubernetes = entry["kubernetes"]
                // Databases of other organisations do not exist here.
                if row.kind == .audit, TextLogDecoder.number(entry["org_id"]) > UInt32(NetworkDecoders.knownOrg) {
                    counts.dropped += 1
                    return
                }
                row.side = tagging.tagLog(
                    podName: kubernetes?["pod_name"]?.text ?? "", podIP: kubernetes?["pod_ip"]?.text ?? "",
                    agentID: agentID)
                row.agentID = agentID
                put(row)
            }
            if !isWhole { counts.errors += 1 }
            return true
        }
        counts.errors += UInt64(errors)
        handOn()
        tally.add { [counts] in $0.applicationLog.add(counts) }
    }

    static func applicationRow(_ entry: JSONValue, teamID: UInt16) -> LogRow? {
        guard let message = entry["message"]?.text, !message.isEmpty,
            let micros = entry["timestamp"]?.text.flatMap({ RFC3339.micros($0) })
        else { return nil }
        var row = LogRow()
        row.timestampUs = micros
        row.body = message
        row.kind =
            switch (entry["_df_log_type"]?.text ?? "").lowercased() {
            case "system": .system
            case "audit": .audit
            case "agent": .agent
            default: .user
            }
        row.teamID = row.kind == .system || row.kind == .audit ? 0 : teamID
        row.userID = number(entry["user_id"])
        row.traceID = entry["trace_id"]?.text ?? ""
        row.spanID = entry["span_id"]?.text ?? ""
        row.appService = entry["app_service"]?.text ?? ""
        row.severity = severity(of: entry["level"]?.text ?? "")
        if case .object(let members)? = entry["json"] {
            for member in members { row.attributes.append((member.name, member.value.goText)) }
        }
        if case .object(let members)? = entry["metrics"] {
            for member in members {
                switch member.value {
                case .number(let value): row.metrics.append((member.name, value))
                case .text(let text):
                    if let value = Double(text), value.isFinite {
                        row.metrics.append((member.name, value))
                    } else {
                        row.attributes.append((member.name, text))
                    }
                default: row.attributes.append((member.name, member.value.goText))
                }
            }
        }
        let kubernetes = entry["kubernetes"]
        if let address = kubernetes?["pod_ip"]?.text, !address.isEmpty {
            row.attributes.append(("pod_ip", address))
            row.attributes.append(("pod_name", kubernetes?["pod_name"]?.text ?? ""))
        }
        return row
    }

    private static func number(_ value: JSONValue?) -> UInt32 {
        guard case .number(let number)? = value else { return 0 }
        return UInt32(exactly: number) ?? 0
    }

    /// By its name in any case; the long names may have a number behind them, as those of OpenTelemetry have.
    static func severity(of level: String) -> UInt8 {
        var name = level.uppercased()
        if let known = severities[name] { return known }
        guard let last = name.last, "234".contains(last) else { return 8 }
        name.removeLast()
        return numberedLevels.contains(name) ? severities[name] ?? 8 : 8
    }

    private static let numberedLevels: Set<String> = ["FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"]
    private static let severities: [String: UInt8] = [
        "FATAL": 2, "CRITICAL": 2, "FATA": 2, "CRIT": 2, "ERROR": 3, "ERRO": 3, "WARN": 4, "WARNING": 4, "INFO": 5,
        "DEBUG": 6, "DEBU": 6, "TRACE": 7,
    ]

    // MARK: Rows

    private func put(_ row: LogRow) {
        var row = row
        row.id = ids.next(seconds: row.seconds)
        rows.append(row)
        if rows.count >= Self.chunk { handOn() }
    }

    private func handOn() {
        guard !rows.isEmpty else { return }
        counts.rows += UInt64(rows.count)
        emit(RowBatch(Catalogue.log, .logs(rows)))
        rows = []
    }
}
