import Model
import Wire

/// Remote-write requests to rows of `prometheus.samples`. One a thread.
///
/// The numbers of names and values are this server's own, so nothing has to be asked for and there is no slow way.
/// Source: ingester.md 6.3.
final class PrometheusDecoder {
    private static let chunk = 4096

    private let tally: IngesterTally
    private let names: PrometheusNames
    private let platform: () -> PlatformData
    private let emit: (RowBatch) -> Void

    init(
        tally: IngesterTally, names: PrometheusNames, platform: @escaping () -> PlatformData,
        emit: @escaping (RowBatch) -> Void
    ) {
        self.tally = tally
        self.names = names
        self.platform = platform
        self.emit = emit
    }

    func take(payload: [UInt8], agentID: UInt16, teamID: UInt16) {
        let tagging = AutoTagging(platform: platform())
        var counts = IngesterCounters.Decoder()
        counts.payloads = 1
        var rows: [SampleRow] = []
        let errors = RecordCursor.forEach(payload) { record in
            guard let request = try? PrometheusWrite(wire: payload.span.bytes, record) else {
                counts.errors += 1
                return true
            }
            request.forEachSeries { series in
                counts.records += 1
                add(series, request.extraLabels, tagging, agentID, teamID, &rows, &counts)
                if rows.count >= Self.chunk { hand(on: &rows, &counts) }
            }
            return true
        }
        counts.errors += UInt64(errors)
        hand(on: &rows, &counts)
        tally.add { $0.prometheus.add(counts) }
    }

    private func add(
        _ series: PrometheusWrite.Series, _ extra: [PrometheusWrite.Label], _ tagging: AutoTagging, _ agentID: UInt16,
        _ teamID: UInt16, _ rows: inout [SampleRow], _ counts: inout IngesterCounters.Decoder
    ) {
        var metric = ""
        var pod: String?
        var instance: String?
        var labels: [(name: String, value: String)] = []
        for label in series.labels + extra {
            switch label.name {
            case "__name__": metric = label.value
            case "pod": pod = label.value
            case "instance": instance = label.value
            default: break
            }
            if label.name != "__name__" { labels.append((label.name, label.value)) }
        }
        guard !metric.isEmpty, let side = tagging.tagSeries(pod: pod, instance: instance, agentID: agentID),
            let numbers = names.numbers(metric: metric, labels: labels, columns: SampleRow.labelColumns)
        else {
            counts.dropped += 1
            return
        }
        // Staleness markers are a kind of NaN.
        for sample in series.samples where sample.value.isFinite {
            let seconds = UInt64(clamping: sample.timestampMs) / 1000
            rows.append(
                SampleRow(
                    seconds: seconds, value: sample.value, metricID: numbers.metricID, labels: numbers.labels,
                    side: side, agentID: agentID, teamID: teamID))
        }
    }

    private func hand(on rows: inout [SampleRow], _ counts: inout IngesterCounters.Decoder) {
        guard !rows.isEmpty else { return }
        counts.rows += UInt64(rows.count)
        emit(RowBatch(Catalogue.samples, .samples(rows)))
        rows = []
    }
}
