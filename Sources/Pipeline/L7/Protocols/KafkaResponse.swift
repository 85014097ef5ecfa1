import Model

/// What the body of a Kafka response tells. Source: agent-l7-protocols.md 14.
struct KafkaResponse {
    static let headerLength = 8

    var topic = ""
    var partition: Int32?
    var offset: Int64?
    /// Error code, nil = none was read.
    var code: Int16?
    /// All of the body that is read was there.
    private(set) var isWhole = false

    /// - Parameter cursor: behind the correlation id, up to the end of what is read.
    init(_ payload: RawSpan, _ cursor: ByteCursor, key: UInt16, version: UInt16) {
        let isFlexible = KafkaAPI.flexibleVersion(key).map { version >= $0 } ?? false
        var reader = KafkaReader(cursor, isFlexible: isFlexible)
        // The answer to ApiVersions has the oldest header in all versions.
        isWhole =
            (key == KafkaAPI.apiVersions || reader.skipTags(payload)) && read(payload, &reader, key, version)
    }

    private mutating func read(
        _ payload: RawSpan, _ reader: inout KafkaReader, _ key: UInt16, _ version: UInt16
    ) -> Bool {
        switch key {
        case KafkaAPI.produce: return readProduce(payload, &reader, version)
        case KafkaAPI.fetch: return readFetch(payload, &reader, version)
        case KafkaAPI.joinGroup where version >= 2, KafkaAPI.leaveGroup where version >= 1,
            KafkaAPI.syncGroup where version >= 1:
            guard reader.skip(4) else { return false }
        default: break
        }
        code = reader.i16(payload)
        return code != nil
    }

    private mutating func readProduce(_ payload: RawSpan, _ reader: inout KafkaReader, _ version: UInt16) -> Bool {
        guard let topics = reader.arrayCount(payload) else { return false }
        for _ in 0..<topics {
            guard let name = reader.text(payload) else { return false }
            topic = payload.text(name)
            guard let partitions = reader.arrayCount(payload) else { return false }
            for _ in 0..<partitions {
                guard let index = reader.i32(payload) else { return false }
                partition = index
                guard let error = reader.i16(payload) else { return false }
                code = error
                guard let first = reader.i64(payload) else { return false }
                offset = first
                // Time, start of the log.
                guard reader.skip(version >= 5 ? 16 : version >= 2 ? 8 : 0) else { return false }
                if version >= 8 {
                    guard let errors = reader.arrayCount(payload) else { return false }
                    for _ in 0..<errors {
                        guard reader.skip(4), reader.text(payload) != nil, reader.skipTags(payload) else {
                            return false
                        }
                    }
                    guard reader.text(payload) != nil else { return false }
                }
                guard reader.skipTags(payload) else { return false }
            }
            guard reader.skipTags(payload) else { return false }
        }
        return true
    }

    private mutating func readFetch(_ payload: RawSpan, _ reader: inout KafkaReader, _ version: UInt16) -> Bool {
        guard version < 1 || reader.skip(4) else { return false }
        if version >= 7 {
            guard let error = reader.i16(payload) else { return false }
            code = error
            guard reader.skip(4) else { return false }
        }
        guard let topics = reader.arrayCount(payload) else { return false }
        for _ in 0..<topics {
            if version < 13 {
                guard let name = reader.text(payload) else { return false }
                topic = payload.text(name)
            } else {
                guard let id = reader.uuid(payload) else { return false }
                topic = id
            }
            guard let partitions = reader.arrayCount(payload) else { return false }
            for _ in 0..<partitions {
                guard readFetchedPartition(payload, &reader, version) else { return false }
            }
            guard reader.skipTags(payload) else { return false }
        }
        return true
    }

    private mutating func readFetchedPartition(
        _ payload: RawSpan, _ reader: inout KafkaReader, _ version: UInt16
    ) -> Bool {
        guard let index = reader.i32(payload) else { return false }
        partition = index
        guard let error = reader.i16(payload) else { return false }
        if code ?? 0 == 0 { code = error }
        // High watermark, last stable offset, start of the log.
        guard reader.skip(version >= 5 ? 24 : version >= 4 ? 16 : 8) else { return false }
        if version >= 4 {
            guard let aborted = reader.arrayCount(payload) else { return false }
            for _ in 0..<aborted {
                guard reader.skip(16), reader.skipTags(payload) else { return false }
            }
        }
        guard version < 11 || reader.skip(4), let records = reader.bytesLength(payload) else { return false }
        return reader.skip(records) && reader.skipTags(payload)
    }
}
