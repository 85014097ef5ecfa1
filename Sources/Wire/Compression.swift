import CZlib
import CZstd

/// Why a payload could not be inflated.
package enum InflateError: Error, Sendable, Equatable {
    /// Not a stream of the named kind, or damaged, or cut.
    case malformed
    /// More than the bound came out.
    case tooLong(limit: Int)
    /// The library had no memory.
    case outOfMemory
}

/// Compresses payloads of one sender: one zstd frame each, level 3, without content size and checksum, as a streaming
/// compressor that does not know the length makes it. Source: wire.md 4.
package struct ZstdCompressor: ~Copyable {
    private let context: OpaquePointer

    /// Nil when zstd has no memory.
    package init?() {
        guard let made = ZSTD_createCCtx() else { return nil }
        context = made
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 3)
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0)
    }

    deinit { ZSTD_freeCCtx(context) }

    /// Appends the compressed form of `plain` to `out`; false on an error of the library, `out` is then as before.
    package mutating func compress(_ plain: UnsafeRawBufferPointer, into out: inout [UInt8]) -> Bool {
        let before = out.count
        ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
        let room = ZSTD_compressBound(plain.count) + 64
        var isDone = false
        out.reserveCapacity(before + room)
        let piece = [UInt8](unsafeUninitializedCapacity: room) { buffer, written in
            var input = ZSTD_inBuffer(src: plain.baseAddress, size: plain.count, pos: 0)
            var output = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
            // The data first, the end apart: given both at once zstd would take the length into account and choose
            // another window than a stream of unknown length.
            while input.pos < input.size {
                let status = ZSTD_compressStream2(context, &output, &input, ZSTD_e_continue)
                if ZSTD_isError(status) != 0 || output.pos == output.size { return }
            }
            isDone = ZSTD_compressStream2(context, &output, &input, ZSTD_e_end) == 0
            written = output.pos
        }
        guard isDone else { return false }
        out += piece
        return true
    }
}

/// Inflates payloads, bounded. Keeps its zstd context between calls; one owner, one thread.
package struct PayloadInflater: ~Copyable {
    /// Largest plain payload. The reference has no bound. Source: wire.md 6.1.
    package static let defaultLimit = 64 << 20

    private let limit: Int
    private var context: OpaquePointer?

    package init(limit: Int = PayloadInflater.defaultLimit) {
        self.limit = limit
    }

    deinit { if let context { ZSTD_freeDCtx(context) } }

    /// The plain bytes of a payload.
    /// - Throws: also when the stream is cut. Several zstd frames in a row are one payload.
    package mutating func inflate(_ bytes: [UInt8], _ encoder: FrameEncoder) throws(InflateError) -> [UInt8] {
        switch encoder {
        case .raw: bytes
        case .zstd: try inflateZstd(bytes)
        case .zlib, .gzip: try Self.inflateZlib(bytes, limit: limit)
        }
    }

    private mutating func inflateZstd(_ bytes: [UInt8]) throws(InflateError) -> [UInt8] {
        guard !bytes.isEmpty else { throw .malformed }
        if context == nil {
            context = ZSTD_createDCtx()
            // A window of 64 MiB at most: what a frame claims decides how much memory zstd takes.
            if let context { ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 26) }
        }
        guard let context else { throw .outOfMemory }
        ZSTD_DCtx_reset(context, ZSTD_reset_session_only)

        var grown = GrowingOutput(limit: limit, hint: bytes.count &* 4)
        var consumed = 0
        var isComplete = false
        while true {
            var isBad = false
            let before = consumed
            grown.fill { room in
                bytes.withUnsafeBytes { source in
                    var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: consumed)
                    var output = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
                    let status = ZSTD_decompressStream(context, &output, &input)
                    consumed = input.pos
                    isBad = ZSTD_isError(status) != 0
                    isComplete = status == 0
                    return output.pos
                }
            }
            if isBad { throw .malformed }
            if grown.isOver { throw .tooLong(limit: limit) }
            if consumed == bytes.count, isComplete { return grown.bytes }
            if grown.isFull { continue }
            // Nothing more to read and output to spare: the frame is cut.
            if consumed == bytes.count || consumed == before { throw .malformed }
        }
    }

    /// RFC 1950 and RFC 1952 alike.
    private static func inflateZlib(_ bytes: [UInt8], limit: Int) throws(InflateError) -> [UInt8] {
        guard !bytes.isEmpty, bytes.count <= Int(UInt32.max) else { throw .malformed }
        var stream = z_stream()
        let opened = inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard opened == Z_OK else { throw .outOfMemory }
        defer { inflateEnd(&stream) }
        var grown = GrowingOutput(limit: limit, hint: bytes.count &* 4)
        var consumed = 0
        while true {
            var status = Z_OK
            grown.fill { room in
                bytes.withUnsafeBufferPointer { source in
                    let rest = UnsafeMutableBufferPointer(mutating: source)[consumed...]
                    stream.next_in = UnsafeMutableBufferPointer(rebasing: rest).baseAddress
                    stream.avail_in = UInt32(rest.count)
                    stream.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                    stream.avail_out = UInt32(room.count)
                    status = CZlib.inflate(&stream, Z_NO_FLUSH)
                    consumed = bytes.count - Int(stream.avail_in)
                    return room.count - Int(stream.avail_out)
                }
            }
            if grown.isOver { throw .tooLong(limit: limit) }
            switch status {
            case Z_STREAM_END: return grown.bytes
            case Z_OK, Z_BUF_ERROR:
                guard grown.isFull else { throw .malformed }
            default: throw .malformed
            }
        }
    }
}

/// Output that doubles until a bound.
private struct GrowingOutput {
    private(set) var bytes: [UInt8] = []
    private let limit: Int
    private var piece: Int
    /// The last call used all the room it got.
    private(set) var isFull = true

    init(limit: Int, hint: Int) {
        self.limit = limit
        piece = min(max(hint, 4096), 1 << 20)
    }

    var isOver: Bool { bytes.count > limit }

    /// Lets `body` write into fresh room and say how much it wrote.
    mutating func fill(_ body: (UnsafeMutableRawBufferPointer) -> Int) {
        // One byte past the bound is enough to see that it is broken.
        let room = min(piece, limit + 1 - bytes.count)
        let fresh = [UInt8](unsafeUninitializedCapacity: room) { buffer, written in
            written = body(UnsafeMutableRawBufferPointer(buffer))
        }
        isFull = fresh.count == room
        if bytes.isEmpty { bytes = fresh } else { bytes += fresh }
        piece = min(piece * 2, 8 << 20)
    }
}
