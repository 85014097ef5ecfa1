package import Model

/// Walks the records of an inflated payload: `u32` little-endian length, then as many bytes. Source: wire.md 4.
package struct RecordCursor: Sendable {
    package private(set) var position = 0

    package init() {}

    /// Where the next record lies in `payload`; nil at the end. A record may be empty.
    /// - Throws: `.truncated` when a length or its record overruns the payload; the rest is unusable then.
    package mutating func next(in payload: RawSpan) throws(ParseError) -> Range<Int>? {
        let left = payload.byteCount - position
        guard left > 0 else { return nil }
        guard left >= 4 else { throw .truncated(needed: 4, have: left) }
        let length = Int(payload.le32(at: position))
        guard length <= left - 4 else { throw .truncated(needed: length, have: left - 4) }
        let start = position + 4
        position = start + length
        return start..<position
    }
}

extension RecordCursor {
    /// Walks an inflated payload as long as `body` says so.
    /// - Returns: 1 when a length overran the payload, which ends the walk, else 0.
    package static func forEach(_ payload: [UInt8], _ body: (Range<Int>) -> Bool) -> Int {
        var cursor = RecordCursor()
        do throws(ParseError) {
            while let range = try cursor.next(in: payload.span.bytes) {
                guard body(range) else { return 0 }
            }
        } catch {
            return 1
        }
        return 0
    }
}

/// What a payload held, and how many errors ended or interrupted the reading.
package struct DecodedBatch<Record: Sendable>: Sendable {
    package var records: [Record] = []
    package var errors = 0

    package init() {}
}

/// A record that can be read back from the bytes of one record of a frame.
package protocol WireDecodable: Sendable {
    /// - Parameter bytes: the payload; only `range` belongs to this record.
    /// - Throws: when the bytes are no protobuf of this message or break a rule of wire.md 6.6.
    init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError)
    /// After a bad record: go on with the next one, or give the rest of the payload up. Source: wire.md 6.6.
    static var skipsBadRecords: Bool { get }
}

extension WireDecodable {
    /// All records of an inflated payload. A length that overruns always ends the reading.
    package static func decodeAll(_ payload: RawSpan) -> DecodedBatch<Self> {
        var batch = DecodedBatch<Self>()
        var cursor = RecordCursor()
        do throws(ParseError) {
            while let range = try cursor.next(in: payload) {
                do throws(ParseError) {
                    batch.records.append(try Self(wire: payload, range))
                } catch {
                    batch.errors += 1
                    guard skipsBadRecords else { return batch }
                }
            }
        } catch {
            batch.errors += 1
        }
        return batch
    }
}
