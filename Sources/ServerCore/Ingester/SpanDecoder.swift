import Model
import Wire

/// A span with what its resource and its frame tell of it.
struct ReceivedSpan: Sendable {
    var span: OTLPSpan
    var resourceAttributes: [OTLPAttribute]
    var agentID: UInt16
}

/// Traces of OpenTelemetry, plain or compressed record by record, to rows of the request log. One a thread.
/// Source: ingester.md 5.3; wire.md 7.4, 7.5.
final class SpanDecoder {
    /// Of one record; a frame holds at most 16 MiB.
    private static let inflateLimit = 32 << 20

    private let log: LogDecoder<ReceivedSpan, L7FlowLogRow>
    private var inflater = PayloadInflater(limit: SpanDecoder.inflateLimit)

    init(log: LogDecoder<ReceivedSpan, L7FlowLogRow>) { self.log = log }

    /// A record that cannot be read ends its payload; what was read before stays.
    func take(payload: [UInt8], isCompressed: Bool, agentID: UInt16, teamID: UInt16) {
        var spans: [ReceivedSpan] = []
        var errors = 0
        errors += RecordCursor.forEach(payload) { record in
            guard let traces = traces(payload, record, isCompressed: isCompressed) else {
                errors += 1
                return false
            }
            for resource in traces.resources {
                for span in resource.spans {
                    spans.append(
                        ReceivedSpan(span: span, resourceAttributes: resource.attributes, agentID: agentID))
                }
            }
            return true
        }
        log.countPayload(errors: errors)
        log.take(spans, teamID: teamID)
    }

    private func traces(_ payload: [UInt8], _ record: Range<Int>, isCompressed: Bool) -> OTLPTraces? {
        guard isCompressed else { return try? OTLPTraces(wire: payload.span.bytes, record) }
        guard let plain = try? inflater.inflate(Array(payload[record]), .zlib) else { return nil }
        return try? OTLPTraces(wire: plain.span.bytes, 0..<plain.count)
    }

    func tick() { log.tick() }
    func flush() { log.flush() }
}
