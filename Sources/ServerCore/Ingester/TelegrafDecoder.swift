import Model
import Wire

/// Texts of points to rows of `ext_metrics.metrics`. One a thread. Source: ingester.md 6.1.
final class TelegrafDecoder {
    private static let chunk = 1024

    private let tally: IngesterTally
    private let platform: () -> PlatformData
    private let wallSeconds: () -> UInt64
    private let emit: (RowBatch) -> Void

    init(
        tally: IngesterTally, platform: @escaping () -> PlatformData,
        wallSeconds: @escaping () -> UInt64 = { wallClockNs() / 1_000_000_000 }, emit: @escaping (RowBatch) -> Void
    ) {
        self.tally = tally
        self.platform = platform
        self.wallSeconds = wallSeconds
        self.emit = emit
    }

    func take(payload: [UInt8], agentID: UInt16, teamID: UInt16) {
        let tagging = AutoTagging(platform: platform())
        let now = wallSeconds()
        var counts = IngesterCounters.Decoder()
        counts.payloads = 1
        var rows: [ExtMetricsRow] = []
        // Of this payload: most of its points are of one pod or agent.
        var sides: [String?: OwnSide] = [:]
        let errors = RecordCursor.forEach(payload) { record in
            var lines = InfluxLines(Array(payload[record]))
            while let point = lines.next() {
                counts.records += 1
                counts.dropped += UInt64(point.otherFields)
                guard !point.fields.isEmpty else { continue }
                let pod = point.tags.first { $0.name == "pod_name" }?.value
                let side = sides[pod] ?? tagging.tagPoint(podName: pod, agentID: agentID)
                sides[pod] = side
                let seconds = point.timestampNs.map { UInt64(clamping: $0) / 1_000_000_000 } ?? now
                rows.append(
                    ExtMetricsRow(point: point, side: side, agentID: agentID, teamID: teamID, seconds: seconds))
                if rows.count >= Self.chunk { hand(on: &rows, &counts) }
            }
            counts.errors += lines.errors > 0 ? 1 : 0
            return true
        }
        counts.errors += UInt64(errors)
        hand(on: &rows, &counts)
        tally.add { $0.telegraf.add(counts) }
    }

    private func hand(on rows: inout [ExtMetricsRow], _ counts: inout IngesterCounters.Decoder) {
        guard !rows.isEmpty else { return }
        counts.rows += UInt64(rows.count)
        emit(RowBatch(Catalogue.metrics, .extMetrics(rows)))
        rows = []
    }
}
