import Model

/// Header of a Kafka request and what its body tells.
struct KafkaRequest {
    static let headerLength = 12
    /// Lengths and versions beyond these are those of other protocols; a broker takes 100 MiB.
    private static let maxLength = 0x1000_0000
    private static let maxVersion: UInt16 = 32

    /// Length field: what follows it.
    var length: Int
    var key: UInt16
    var version: UInt16
    var correlationID: Int32
    var clientID: Range<Int>
    var topic = ""
    var partition: Int32?
    var offset: Int64?
    var group = ""
    /// A Produce that is not to be acknowledged.
    var isUnanswered = false
    /// Texts of trace headers of a Produce.
    var traceIDs: [String] = []
    var spanID = ""
    /// All of the body that is read was there.
    private(set) var isWhole = false
    private let start: Int

    var next: Int { start &+ 4 &+ length }

    /// Nil: no request begins here. The body is read as far as it goes up to `end`.
    init?(_ payload: RawSpan, at: Int, to end: Int) {
        guard Self.isHeader(payload, at) else { return nil }
        start = at
        length = Int(payload.be32(at: at))
        let (key, version) = (payload.be16(at: at &+ 4), payload.be16(at: at &+ 6))
        (self.key, self.version) = (key, version)
        correlationID = Int32(bitPattern: payload.be32(at: at &+ 8))
        let isFlexible = KafkaAPI.flexibleVersion(key).map { version >= $0 } ?? false
        var reader = KafkaReader(
            ByteCursor(payload, at: at &+ Self.headerLength, end: min(end, at &+ 4 &+ length)), isFlexible: false)
        // The client's name has a plain length in all versions.
        guard let id = reader.text(payload) else { return nil }
        clientID = id
        reader.isFlexible = isFlexible
        isWhole = reader.skipTags(payload) && readBody(payload, &reader)
    }

    /// The first 12 bytes are those of a request.
    static func isHeader(_ payload: RawSpan, _ at: Int) -> Bool {
        guard at >= 0, payload.byteCount &- at >= headerLength &+ 2 else { return false }
        let length = Int(payload.be32(at: at))
        let client = Int16(bitPattern: payload.be16(at: at &+ headerLength))
        return length >= 10 && length <= maxLength && KafkaAPI.isKnown(payload.be16(at: at &+ 4))
            && payload.be16(at: at &+ 6) <= maxVersion && client >= -1 && Int(client) &+ 10 <= length
    }

    private mutating func readBody(_ payload: RawSpan, _ reader: inout KafkaReader) -> Bool {
        switch key {
        case KafkaAPI.produce: return readProduce(payload, &reader)
        case KafkaAPI.fetch: return readFetch(payload, &reader)
        case KafkaAPI.joinGroup, KafkaAPI.leaveGroup, KafkaAPI.syncGroup:
            guard let name = reader.text(payload) else { return false }
            group = payload.text(name)
            return true
        case KafkaAPI.apiVersions:
            // Name and version of the client's software.
            guard version >= 3 else { return true }
            return reader.text(payload) != nil && reader.text(payload) != nil && reader.skipTags(payload)
        default: return true
        }
    }

    /// The partition is not told (trap): it counts as 0 until the response.
    private mutating func readProduce(_ payload: RawSpan, _ reader: inout KafkaReader) -> Bool {
        guard version < 3 || reader.text(payload) != nil, let acknowledgements = reader.i16(payload), reader.skip(4),
            let topics = reader.arrayCount(payload)
        else { return false }
        isUnanswered = acknowledgements == 0
        for number in 0..<topics {
            guard let name = reader.text(payload) else { return false }
            if number == 0 {
                topic = payload.text(name)
                partition = 0
            }
            guard let partitions = reader.arrayCount(payload) else { return false }
            for _ in 0..<partitions {
                guard reader.skip(4), let length = reader.bytesLength(payload) else { return false }
                if traceIDs.isEmpty || spanID.isEmpty {
                    KafkaRecords.readTrace(payload, reader.cursor, length, &traceIDs, &spanID)
                }
                guard reader.skip(length), reader.skipTags(payload) else { return false }
            }
            guard reader.skipTags(payload) else { return false }
        }
        return reader.skipTags(payload)
    }

    private mutating func readFetch(_ payload: RawSpan, _ reader: inout KafkaReader) -> Bool {
        let prefix =
            switch version {
            case 0...2: 12
            case 3: 16
            case 4...6: 17
            case 7...14: 25
            default: 21
            }
        guard reader.skip(prefix), let topics = reader.arrayCount(payload) else { return false }
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
                guard let index = reader.i32(payload), version < 9 || reader.skip(4), let first = reader.i64(payload)
                else { return false }
                partition = index
                offset = first
                let rest = version >= 12 ? 16 : version >= 5 ? 12 : 4
                guard reader.skip(rest), reader.skipTags(payload) else { return false }
            }
            guard reader.skipTags(payload) else { return false }
        }
        return true
    }
}

/// Headers of the records of a Produce: only their traces are read.
enum KafkaRecords {
    private static let traceparent = TraceName("traceparent")
    private static let skywalking = TraceName("sw8")
    /// Offset, length, epoch, magic, checksum, attributes, last offset, times, producer, sequence.
    private static let batchHeader = 57

    /// A record batch of `length` bytes at the cursor, which may be cut. The last span counts, all trace ids are kept.
    static func readTrace(
        _ payload: RawSpan, _ cursor: ByteCursor, _ length: Int, _ traceIDs: inout [String], _ spanID: inout String
    ) {
        let start = cursor.at
        let batch = ByteCursor(payload, at: start, end: min(start &+ length, cursor.end))
        guard batch.end &- start > batchHeader, payload.u8(at: start &+ 16) == 2,
            // Records that are compressed stay unread.
            payload.be16(at: start &+ 21) & 7 == 0
        else { return }
        var reader = KafkaReader(batch, isFlexible: true)
        guard reader.skip(batchHeader), let records = reader.i32(payload), records > 0 else { return }
        for _ in 0..<records {
            guard readRecord(payload, &reader, &traceIDs, &spanID) else { return }
        }
    }

    private static func readRecord(
        _ payload: RawSpan, _ reader: inout KafkaReader, _ traceIDs: inout [String], _ spanID: inout String
    ) -> Bool {
        // Length, attributes, time, offset.
        guard reader.signedVarint(payload) != nil, reader.skip(1), reader.skipVarlong(payload),
            reader.signedVarint(payload) != nil,
            // A null key or value (-1) ends the search (trap).
            let key = reader.signedVarint(payload), reader.skip(key),
            let value = reader.signedVarint(payload), reader.skip(value),
            let headers = reader.signedVarint(payload), headers >= 0
        else { return false }
        for _ in 0..<headers {
            guard let length = reader.signedVarint(payload), let name = reader.take(length),
                let size = reader.signedVarint(payload), let text = reader.take(size)
            else { return false }
            guard let format = format(payload, name) else { continue }
            if let id = format.traceID(payload, text), !id.isEmpty { traceIDs.append(id) }
            if let id = format.spanID(payload, text), !id.isEmpty { spanID = id }
        }
        return true
    }

    private static func format(_ payload: RawSpan, _ name: Range<Int>) -> TraceName? {
        if traceparent.header.matches(payload, name) { return traceparent }
        return skywalking.header.matches(payload, name) ? skywalking : nil
    }
}
