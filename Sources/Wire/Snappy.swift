import CSnappy

/// The block format of snappy, as Prometheus remote write sends it.
enum Snappy {
    /// Of what is claimed at the head of the block, which is believed only up to `limit`.
    static func inflate(_ block: RawSpan, _ range: Range<Int>, limit: Int) throws(InflateError) -> [UInt8] {
        var failure: InflateError?
        let plain = block.withUnsafeBytes { all -> [UInt8] in
            let source = UnsafeRawBufferPointer(rebasing: all[range])
            let start = source.baseAddress?.assumingMemoryBound(to: CChar.self)
            var length = 0
            guard snappy_uncompressed_length(start, source.count, &length) == SNAPPY_OK else {
                failure = .malformed
                return []
            }
            guard length <= limit else {
                failure = .tooLong(limit: limit)
                return []
            }
            return [UInt8](unsafeUninitializedCapacity: max(length, 1)) { room, written in
                var count = length
                let out = UnsafeMutableRawPointer(room.baseAddress)?.assumingMemoryBound(to: CChar.self)
                guard snappy_uncompress(start, source.count, out, &count) == SNAPPY_OK else {
                    failure = .malformed
                    return
                }
                written = count
            }
        }
        if let failure { throw failure }
        return plain
    }
}
