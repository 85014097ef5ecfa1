import CWire
package import Model

extension StatsRecord: WireEncodable {
    /// Through protobuf-c: a few hundred of these leave in ten seconds.
    package func encode(into writer: inout WireWriter) {
        let arena = CArena()
        let message = arena.make(stats__stats__init)
        message.pointee.timestamp = timestamp
        message.pointee.name = arena.string(name)
        message.pointee.n_tag_names = tags.count
        message.pointee.tag_names = arena.strings(tags.map(\.name))
        message.pointee.n_tag_values = tags.count
        message.pointee.tag_values = arena.strings(tags.map(\.value))
        message.pointee.n_metrics_float_names = metrics.count
        message.pointee.metrics_float_names = arena.strings(metrics.map(\.name))
        message.pointee.n_metrics_float_values = metrics.count
        message.pointee.metrics_float_values = arena.array(metrics.map(\.value))
        message.pointee.org_id = orgID
        message.pointee.team_id = teamID
        writer.append(packed(message, size: stats__stats__get_packed_size, pack: stats__stats__pack))
    }
}

extension StatsRecord: WireDecodable {
    package static var skipsBadRecords: Bool { true }

    /// - Throws: also for an empty `name`: such a record is skipped. Names without a value are left out.
    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        self.init()
        let message = bytes.withUnsafeBytes { unpacked($0, range, stats__stats__unpack) }
        guard let message else { throw .malformed(at: range.lowerBound) }
        defer { stats__stats__free_unpacked(message, nil) }
        let stats = message.pointee
        timestamp = stats.timestamp
        name = text(stats.name)
        orgID = stats.org_id
        teamID = stats.team_id
        tags = zip(texts(stats.n_tag_names, stats.tag_names), texts(stats.n_tag_values, stats.tag_values))
            .map { Tag($0, $1) }
        let values = UnsafeBufferPointer(start: stats.metrics_float_values, count: stats.n_metrics_float_values)
        metrics = zip(texts(stats.n_metrics_float_names, stats.metrics_float_names), values).map { Metric($0, $1) }
        guard !name.isEmpty else { throw .malformed(at: range.lowerBound) }
    }
}
