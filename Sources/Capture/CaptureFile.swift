#if canImport(Glibc)
    import Glibc
#endif
package import Model

/// Reads classic pcap (microseconds, nanoseconds, the "modified" kind; either byte order) and pcapng, from a file or a pipe.
///
/// Bytes are read in blocks into one buffer, so that memory is bounded and a file that shrinks meanwhile does no harm.
/// Frames are borrowed: their bytes are valid until the next call of `next`.
package final class CaptureFile {
    package enum Trouble: Equatable, Sendable {
        /// The capture ends inside a record: everything before it was read.
        case cut(offset: UInt64)
        /// A record that cannot be: the rest is not read.
        case malformed(offset: UInt64, what: String)
    }

    private enum Kind {
        case pcap(swapped: Bool, unitNs: UInt64, headerBytes: Int)
        case pcapng
    }

    private struct Interface {
        var link: UInt16
        var snap: Int
        /// Nanoseconds a tick as a fraction.
        var numerator: UInt64
        var denominator: UInt64
        var offsetSeconds: Int64
    }

    /// Small enough that what was read still is in the cache when it is parsed.
    private static let blockBytes = 1 << 18
    /// Longest record accepted; libpcap's own bound for captured length.
    private static let maxRecordBytes = 262_144
    private static let maxBlockBytes = 64 << 20

    package let path: String
    /// Set when the capture ended other than at the end of a record.
    package private(set) var trouble: Trouble?
    package private(set) var packets: UInt64 = 0
    package private(set) var bytesRead: UInt64 = 0
    /// Size of the file; nil for pipes.
    package let size: UInt64?

    private let descriptor: Int32
    private var buffer: UnsafeMutableRawPointer
    private var capacity: Int
    private var start = 0
    private var end = 0
    private var isAtEnd = false
    /// The capture has ended, by whatever cause.
    private var isDone = false
    /// No frame that was handed out is in use: the buffer may be refilled.
    private var mayMove = true
    private var kind = Kind.pcapng
    private var swapped = false
    private var interfaces: [Interface] = []

    /// - Parameter path: `-` for standard input.
    package init(path: String) throws(Failure) {
        self.path = path
        var info = stat()
        if path == "-" {
            descriptor = dup(0)
            guard descriptor >= 0, fstat(descriptor, &info) == 0 else {
                throw Failure(
                    .notFound, what: "cannot read standard input", why: String(cString: strerror(errno)),
                    mend: "pipe a capture into the command")
            }
        } else {
            let opened = open(path, O_RDONLY | O_CLOEXEC)
            guard opened >= 0 else { throw CaptureFile.cannotOpen(path, errno) }
            guard fstat(opened, &info) == 0 else {
                let code = errno
                close(opened)
                throw CaptureFile.cannotOpen(path, code)
            }
            guard info.st_mode & S_IFMT != S_IFDIR else {
                close(opened)
                throw Failure(
                    .invalidInput, what: "cannot read \(path)", why: "it is a directory",
                    mend: "give a pcap or pcapng file; -r may be repeated for several")
            }
            descriptor = opened
            posix_fadvise(opened, 0, 0, POSIX_FADV_SEQUENTIAL)
        }
        size = info.st_mode & S_IFMT == S_IFREG ? UInt64(info.st_size) : nil
        capacity = CaptureFile.blockBytes + CaptureFile.maxRecordBytes
        buffer = .allocate(byteCount: capacity, alignment: 4096)
        // Everything is initialised: an error thrown from here on runs `deinit`.
        try readFileHeader()
    }

    deinit {
        buffer.deallocate()
        close(descriptor)
    }

    private static func cannotOpen(_ path: String, _ code: Int32) -> Failure {
        switch code {
        case ENOENT, ENOTDIR:
            Failure(.notFound, what: "cannot read \(path)", why: "no such file", mend: "check the name given to -r")
        case EACCES, EPERM:
            Failure(
                .notPermitted, what: "cannot read \(path)", why: "permission denied",
                mend: "run as a user who may read it")
        default: Failure(.failed, what: "cannot read \(path)", why: String(cString: strerror(code)))
        }
    }

    private func foreign(_ why: String) -> Failure {
        Failure(
            .invalidInput, what: "cannot read \(path)", why: why,
            mend: "give a pcap or pcapng file, such as tcpdump -w or Wireshark write")
    }

    // MARK: - Bytes

    private var available: Int { end - start }
    private var offset: UInt64 { bytesRead - UInt64(available) }

    /// Makes `count` bytes available behind `start`, reading more as needed. False at the end of the capture, and where
    /// reading would move bytes in use.
    @inline(__always)
    private func ensure(_ count: Int) -> Bool { available >= count || mayMove && fill(count) }

    /// The capture ends here, or only the frames that may be handed out now.
    private func endOfBytes() {
        guard mayMove else { return }
        isDone = true
        if available > 0, trouble == nil { trouble = .cut(offset: offset) }
    }

    private func damaged(_ what: String) {
        trouble = .malformed(offset: offset, what: what)
        isDone = true
    }

    private func fill(_ count: Int) -> Bool {
        if start > 0 {
            memmove(buffer, buffer + start, available)
            end -= start
            start = 0
        }
        if count > capacity {
            let larger = UnsafeMutableRawPointer.allocate(byteCount: count + CaptureFile.blockBytes, alignment: 4096)
            memcpy(larger, buffer, end)
            buffer.deallocate()
            buffer = larger
            capacity = count + CaptureFile.blockBytes
        }
        while end < count, !isAtEnd {
            let got = read(descriptor, buffer + end, min(capacity - end, max(count - end, CaptureFile.blockBytes)))
            if got > 0 {
                end += got
                bytesRead += UInt64(got)
            } else if got == 0 {
                isAtEnd = true
            } else if errno != EINTR {
                trouble = .malformed(offset: offset, what: String(cString: strerror(errno)))
                isAtEnd = true
            }
        }
        return available >= count
    }

    @inline(__always)
    private func u32(_ at: Int) -> UInt32 {
        let value = buffer.loadUnaligned(fromByteOffset: start + at, as: UInt32.self)
        return swapped ? value.byteSwapped : value
    }

    @inline(__always)
    private func u16(_ at: Int) -> UInt16 {
        let value = buffer.loadUnaligned(fromByteOffset: start + at, as: UInt16.self)
        return swapped ? value.byteSwapped : value
    }

    // MARK: - Headers

    private func readFileHeader() throws(Failure) {
        guard ensure(4) else {
            throw foreign(available == 0 ? "it is empty" : "it is too short for any capture format")
        }
        let magic = buffer.loadUnaligned(fromByteOffset: start, as: UInt32.self)
        if magic == 0x0a0d_0d0a {
            kind = .pcapng
            return
        }
        let known: [UInt32: (unit: UInt64, header: Int)] = [
            0xa1b2_c3d4: (1000, 16), 0xa1b2_3c4d: (1, 16), 0xa1b2_cd34: (1000, 24),
        ]
        let format: (unit: UInt64, header: Int)
        if let native = known[magic] {
            format = native
        } else if let other = known[magic.byteSwapped] {
            format = other
            swapped = true
        } else {
            throw foreign("it is neither pcap nor pcapng")
        }
        guard ensure(24) else {
            throw Failure(
                .partlyDone, what: "\(path) is cut", why: "it ends inside the file header",
                mend: "no packets could be read")
        }
        kind = .pcap(swapped: swapped, unitNs: format.unit, headerBytes: format.header)
        interfaces = [
            Interface(
                link: UInt16(truncatingIfNeeded: u32(20)), snap: Int(u32(16)), numerator: 1, denominator: 1,
                offsetSeconds: 0)
        ]
        start += 24
    }

    // MARK: - Frames

    /// The next frames, at most as many as `frames` holds; 0 at the end: look at `trouble` then.
    ///
    /// There are fewer where the buffer must be refilled before going on.
    package func next(into frames: UnsafeMutableBufferPointer<CaptureFrame>) -> Int {
        guard !isDone else { return 0 }
        mayMove = true
        let count: Int
        switch kind {
        case .pcap(_, let unit, let header): count = pcapFrames(into: frames, unitNs: unit, headerBytes: header)
        case .pcapng: count = blockFrames(into: frames)
        }
        packets &+= UInt64(count)
        return count
    }

    private func pcapFrames(
        into frames: UnsafeMutableBufferPointer<CaptureFrame>, unitNs: UInt64, headerBytes: Int
    ) -> Int {
        let link = interfaces[0].link
        var count = 0
        while count < frames.count {
            guard ensure(headerBytes) else {
                endOfBytes()
                break
            }
            let captured = Int(u32(8))
            guard captured <= CaptureFile.maxRecordBytes else {
                damaged("a packet of \(captured) bytes")
                break
            }
            guard ensure(headerBytes &+ captured) else {
                endOfBytes()
                break
            }
            frames[count].timeNs = UInt64(u32(0)) &* 1_000_000_000 &+ UInt64(u32(4)) &* unitNs
            frames[count].bytes = UnsafeRawBufferPointer(start: buffer + start + headerBytes, count: captured)
            frames[count].wire = Int(u32(12))
            frames[count].link = link
            frames[count].interface = 0
            start &+= headerBytes &+ captured
            count &+= 1
            mayMove = false
        }
        return count
    }

    private func blockFrames(into frames: UnsafeMutableBufferPointer<CaptureFrame>) -> Int {
        var count = 0
        while count < frames.count, nextBlock(&frames[count]) {
            count += 1
            mayMove = false
        }
        return count
    }

    private func nextBlock(_ frame: inout CaptureFrame) -> Bool {
        while true {
            guard ensure(12) else {
                endOfBytes()
                return false
            }
            let isSection = buffer.loadUnaligned(fromByteOffset: start, as: UInt32.self) == 0x0a0d_0d0a
            let byteOrder = buffer.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self)
            if isSection {
                guard byteOrder == 0x1a2b_3c4d || byteOrder == 0x4d3c_2b1a else {
                    damaged("a section without byte order")
                    return false
                }
                swapped = byteOrder == 0x4d3c_2b1a
                interfaces.removeAll()
            }
            let type = u32(0)
            let length = Int(u32(4))
            guard length >= 12, length & 3 == 0, length <= CaptureFile.maxBlockBytes else {
                damaged("a block of \(length) bytes")
                return false
            }
            guard ensure(length) else {
                endOfBytes()
                return false
            }
            defer { start += length }
            switch type {
            case 1: readInterface(length: length)
            case 6 where length >= 32: if enhancedPacket(&frame, length: length) { return true }
            case 3 where length >= 16: if simplePacket(&frame, length: length) { return true }
            case 2 where length >= 32: if obsoletePacket(&frame, length: length) { return true }
            default: break
            }
        }
    }

    private func readInterface(length: Int) {
        guard length >= 20 else { return }
        var interface = Interface(link: u16(8), snap: Int(u32(12)), numerator: 1000, denominator: 1, offsetSeconds: 0)
        var at = 16
        while at + 4 <= length - 4 {
            let code = u16(at)
            let size = Int(u16(at + 2))
            guard code != 0, at + 4 + size <= length - 4 else { break }
            if code == 9, size >= 1 {
                let resolution = buffer.load(fromByteOffset: start + at + 4, as: UInt8.self)
                let exponent = UInt64(resolution & 0x7f)
                if resolution & 0x80 != 0, exponent < 64 {
                    interface.numerator = 1_000_000_000
                    interface.denominator = 1 << exponent
                } else if resolution & 0x80 == 0, exponent <= 18 {
                    interface.numerator = exponent <= 9 ? power10(9 - exponent) : 1
                    interface.denominator = exponent <= 9 ? 1 : power10(exponent - 9)
                }
            } else if code == 14, size >= 8 {
                let raw = buffer.loadUnaligned(fromByteOffset: start + at + 4, as: Int64.self)
                interface.offsetSeconds = swapped ? raw.byteSwapped : raw
            }
            at += 4 + (size + 3) & ~3
        }
        if interfaces.count < 65536 { interfaces.append(interface) }
    }

    private func power10(_ exponent: UInt64) -> UInt64 { (0..<exponent).reduce(1) { value, _ in value &* 10 } }

    private func enhancedPacket(_ frame: inout CaptureFrame, length: Int) -> Bool {
        packet(
            &frame, interface: Int(u32(8)), high: u32(12), low: u32(16), captured: Int(u32(20)), wire: Int(u32(24)),
            at: 28, length: length)
    }

    private func obsoletePacket(_ frame: inout CaptureFrame, length: Int) -> Bool {
        packet(
            &frame, interface: Int(u16(8)), high: u32(12), low: u32(16), captured: Int(u32(20)), wire: Int(u32(24)),
            at: 28, length: length)
    }

    private func simplePacket(_ frame: inout CaptureFrame, length: Int) -> Bool {
        let wire = Int(u32(8))
        let snap = interfaces.first?.snap ?? 0
        let captured = min(wire, length - 16, snap == 0 ? .max : snap)
        return packet(&frame, interface: 0, high: 0, low: 0, captured: captured, wire: wire, at: 12, length: length)
    }

    private func packet(
        _ frame: inout CaptureFrame, interface number: Int, high: UInt32, low: UInt32, captured: Int, wire: Int,
        at: Int, length: Int
    ) -> Bool {
        guard number < interfaces.count, captured >= 0, at + captured <= length - 4 else {
            if trouble == nil { trouble = .malformed(offset: offset, what: "a packet that does not fit its block") }
            return false
        }
        let interface = interfaces[number]
        let ticks = UInt64(high) << 32 | UInt64(low)
        let scaled = ticks.multipliedFullWidth(by: interface.numerator)
        if scaled.high < interface.denominator {
            frame.timeNs = interface.denominator.dividingFullWidth(scaled).quotient
        } else {
            frame.timeNs = 0
        }
        if interface.offsetSeconds != 0 {
            frame.timeNs = frame.timeNs &+ UInt64(bitPattern: interface.offsetSeconds) &* 1_000_000_000
        }
        frame.bytes = UnsafeRawBufferPointer(start: buffer + start + at, count: captured)
        frame.wire = wire
        frame.link = interface.link
        frame.interface = Int32(number)
        return true
    }
}
