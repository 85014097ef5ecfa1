import Testing

@testable import Wire

struct CompressionTests {
    private func compressed(_ plain: [UInt8]) throws -> [UInt8] {
        guard var compressor = ZstdCompressor() else { throw InflateError.outOfMemory }
        var out: [UInt8] = []
        #expect(plain.withUnsafeBytes { compressor.compress($0, into: &out) })
        return out
    }

    /// A stream of unknown length: window of 2 MiB, neither content size nor checksum.
    @Test(arguments: [1, 100, 300_000, 5_000_000])
    func zstdFrame(length: Int) throws {
        var random = Seeded(41)
        let plain = (0..<length).map { _ in UInt8(random.next() % 16) }
        let bytes = try compressed(plain)
        #expect(bytes.starts(with: [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]))
        var inflater = PayloadInflater()
        #expect(try inflater.inflate(bytes, .zstd) == plain)
    }

    /// The compressor keeps nothing from one frame to the next.
    @Test func framesStandAlone() throws {
        guard var compressor = ZstdCompressor() else { throw InflateError.outOfMemory }
        let plain = [UInt8](repeating: 7, count: 1000)
        var first: [UInt8] = []
        var second: [UInt8] = [1, 2, 3]
        let done = plain.withUnsafeBytes {
            compressor.compress($0, into: &first) && compressor.compress($0, into: &second)
        }
        #expect(done)
        #expect(Array(second.dropFirst(3)) == first)
    }

    @Test func boundedOutput() throws {
        let bomb = try compressed([UInt8](repeating: 0, count: 1_000_000))
        var inflater = PayloadInflater(limit: 999_999)
        #expect(throws: InflateError.tooLong(limit: 999_999)) { try inflater.inflate(bomb, .zstd) }
        var enough = PayloadInflater(limit: 1_000_000)
        #expect(try enough.inflate(bomb, .zstd).count == 1_000_000)
    }

    @Test func cutAndForeignStreams() throws {
        let bytes = try compressed(Array("some text, some text, some text".utf8))
        var inflater = PayloadInflater()
        for length in 0..<bytes.count {
            #expect(throws: InflateError.malformed) { try inflater.inflate(Array(bytes[..<length]), .zstd) }
        }
        #expect(throws: InflateError.malformed) { try inflater.inflate(bytes, .zlib) }
        #expect(throws: InflateError.malformed) { try inflater.inflate([1, 2, 3, 4, 5], .zstd) }
        #expect(try inflater.inflate(bytes + bytes, .zstd).count == 62, "two frames in a row")
    }

    /// RFC 1950 and RFC 1952, made with Python's zlib and gzip.
    @Test func zlibAndGzip() throws {
        var inflater = PayloadInflater()
        let zlib = SpecTable.bytes("789ccb48cdc9c95728cf2fca49010" + "01a0b045d")
        #expect(String(decoding: try inflater.inflate(zlib, .zlib), as: UTF8.self) == "hello world")
        let gzip = SpecTable.bytes("1f8b0800000000000003cb48cdc9c95728cf2fca49010085114a0d0b000000")
        #expect(String(decoding: try inflater.inflate(gzip, .gzip), as: UTF8.self) == "hello world")
        #expect(throws: InflateError.malformed) { try inflater.inflate(Array(gzip.dropLast(9)), .gzip) }
    }

    @Test func randomBytes() {
        var random = Seeded(42)
        var inflater = PayloadInflater(limit: 100_000)
        for _ in 0..<500 {
            var bytes = (0..<(random.next() % 100)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if random.flag(), bytes.count > 6 { bytes.replaceSubrange(0..<6, with: [0x28, 0xb5, 0x2f, 0xfd, 0, 0x58]) }
            for encoder in [FrameEncoder.zlib, .gzip, .zstd] { _ = try? inflater.inflate(bytes, encoder) }
        }
    }
}
