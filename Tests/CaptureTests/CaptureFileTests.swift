import Capture
import Model
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// A file that is removed with the value.
final class TemporaryFile {
    let path: String

    init(_ bytes: [UInt8]) {
        var template = Array("/tmp/dftop-test-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var written = 0
        bytes.withUnsafeBytes { raw in
            while written < raw.count {
                let count = write(descriptor, raw.baseAddress! + written, raw.count - written)
                guard count > 0 else { break }
                written += count
            }
        }
        close(descriptor)
    }

    deinit { unlink(path) }
}

private func le32(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
private func le16(_ value: UInt16) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
}
private func be32(_ value: UInt32) -> [UInt8] { le32(value).reversed() }

/// A classic capture of packets with one byte more each.
private func pcap(packets: Int, magic: UInt32 = 0xa1b2_c3d4, bigEndian: Bool = false, recordHeader: Int = 16) -> [UInt8]
{
    let u32 = bigEndian ? be32 : le32
    var out = u32(magic) + (bigEndian ? [0, 2, 0, 4] : [2, 0, 4, 0]) + u32(0) + u32(0) + u32(65535) + u32(1)
    for index in 0..<packets {
        let bytes = [UInt8](repeating: UInt8(index), count: 20 + index)
        out += u32(100 + UInt32(index)) + u32(7) + u32(UInt32(bytes.count)) + u32(UInt32(bytes.count + 4))
        out += [UInt8](repeating: 0, count: recordHeader - 16) + bytes
    }
    return out
}

private func readAll(_ file: CaptureFile) -> [(frame: CaptureFrame, bytes: [UInt8])] {
    var out: [(frame: CaptureFrame, bytes: [UInt8])] = []
    let frames = UnsafeMutableBufferPointer<CaptureFrame>.allocate(capacity: 3)
    frames.initialize(repeating: CaptureFrame())
    defer { frames.deallocate() }
    while true {
        let count = file.next(into: frames)
        if count == 0 { return out }
        out += frames[..<count].map { ($0, Array($0.bytes)) }
    }
}

struct CaptureFileTests {
    @Test(arguments: [
        (UInt32(0xa1b2_c3d4), UInt64(7000), 16), (UInt32(0xa1b2_3c4d), UInt64(7), 16),
        (UInt32(0xa1b2_cd34), UInt64(7000), 24),
    ]) func classicKinds(magic: UInt32, fraction: UInt64, header: Int) throws {
        for bigEndian in [false, true] {
            let file = TemporaryFile(pcap(packets: 5, magic: magic, bigEndian: bigEndian, recordHeader: header))
            let capture = try CaptureFile(path: file.path)
            let packets = readAll(capture)
            #expect(packets.count == 5)
            #expect(capture.trouble == nil)
            for (index, packet) in packets.enumerated() {
                #expect(packet.frame.timeNs == UInt64(100 + index) * 1_000_000_000 + fraction)
                #expect(packet.bytes == [UInt8](repeating: UInt8(index), count: 20 + index))
                #expect(packet.frame.wire == 24 + index)
            }
        }
    }

    @Test func everyCutPositionKeepsWhatCameBefore() throws {
        let whole = pcap(packets: 4)
        var ends = [24]
        for index in 0..<4 { ends.append(ends[index] + 16 + 20 + index) }
        for length in 0..<whole.count {
            let file = TemporaryFile(Array(whole.prefix(length)))
            if length < 24 {
                #expect(throws: Failure.self) { _ = try CaptureFile(path: file.path) }
                continue
            }
            let capture = try CaptureFile(path: file.path)
            let complete = ends.filter { $0 <= length }.count - 1
            #expect(readAll(capture).count == complete)
            if ends.contains(length) {
                #expect(capture.trouble == nil)
            } else {
                #expect(capture.trouble == .cut(offset: UInt64(ends[complete])))
            }
        }
    }

    @Test func pcapngWithTwoInterfacesAndResolutions() throws {
        func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
            let padded = body + [UInt8](repeating: 0, count: (4 - body.count % 4) % 4)
            return le32(type) + le32(UInt32(padded.count + 12)) + padded + le32(UInt32(padded.count + 12))
        }
        let section = block(0x0a0d_0d0a, le32(0x1a2b_3c4d) + le16(1) + le16(0) + [UInt8](repeating: 0xff, count: 8))
        let micros = block(1, le16(1) + le16(0) + le32(65535))
        let nanos = block(1, le16(113) + le16(0) + le32(65535) + le16(9) + le16(1) + [9, 0, 0, 0] + le32(0))
        func packet(_ interface: UInt32, _ ticks: UInt64, _ bytes: [UInt8]) -> [UInt8] {
            block(
                6,
                le32(interface) + le32(UInt32(ticks >> 32)) + le32(UInt32(truncatingIfNeeded: ticks))
                    + le32(UInt32(bytes.count))
                    + le32(UInt32(bytes.count)) + bytes)
        }
        let file = TemporaryFile(
            section + micros + nanos + packet(0, 1_700_000_000_000_001, [1, 2, 3]) + block(5, [0, 0, 0, 0])
                + packet(1, 1_700_000_000_000_000_001, [4]) + packet(9, 0, [5]))
        let capture = try CaptureFile(path: file.path)
        let packets = readAll(capture)
        #expect(packets.map(\.bytes) == [[1, 2, 3], [4]])
        #expect(packets.map(\.frame.timeNs) == [1_700_000_000_000_001_000, 1_700_000_000_000_000_001])
        #expect(packets.map(\.frame.link) == [1, 113])
        #expect(capture.trouble != nil)
    }

    @Test func inputsThatAreNoCapture() {
        func code(_ path: String) -> ExitCode? {
            do {
                _ = try CaptureFile(path: path)
                return nil
            } catch {
                return error.exitCode
            }
        }
        #expect(code("/nonexistent/file.pcap") == .notFound)
        #expect(code("/tmp") == .invalidInput)
        #expect(code(TemporaryFile([]).path) == .notFound || code("/dev/null") == .invalidInput)
        let text = TemporaryFile(Array("not a capture at all".utf8))
        #expect(code(text.path) == .invalidInput)
    }

    @Test func randomBytesNeverTrap() {
        var seed: UInt64 = 7
        func random() -> UInt8 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: seed >> 33)
        }
        for round in 0..<200 {
            var bytes = round % 2 == 0 ? pcap(packets: 6) : Array(pcap(packets: 1).prefix(24))
            if round % 2 == 0 {
                for _ in 0..<8 { bytes[24 + Int(random()) % (bytes.count - 24)] = random() }
            } else {
                bytes = le32(0x0a0d_0d0a) + le32(28) + le32(0x1a2b_3c4d) + (0..<200).map { _ in random() }
            }
            let file = TemporaryFile(bytes)
            guard let capture = try? CaptureFile(path: file.path) else { continue }
            _ = readAll(capture)
        }
    }
}

struct CaptureFilterTests {
    @Test func compilesAndMatches() throws {
        let filter = try CaptureFilter("tcp port 80")
        var frame = [UInt8](repeating: 0, count: 54)
        frame[12] = 8
        frame[14] = 0x45
        frame[23] = 6
        frame[37] = 80
        #expect(frame.withUnsafeBytes { filter.matches($0, wire: 54) })
        frame[37] = 81
        #expect(!frame.withUnsafeBytes { filter.matches($0, wire: 54) })
    }

    @Test func wrongFilterExplainsItself() {
        do {
            _ = try CaptureFilter("tcp prot 80")
            Issue.record("accepted")
        } catch {
            #expect(error.exitCode == .usage)
            #expect(!error.why.isEmpty)
        }
    }
}
