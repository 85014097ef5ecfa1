#if canImport(Glibc)
    import Glibc
#endif
package import Model

/// Reads classic pcap (microseconds, nanoseconds, the "modified" kind; either byte order) and pcapng, from a file or a pipe.
///
/// Bytes are read in blocks into one buffer, so that memory is bounded and a file that shrinks meanwhile does no harm.
/// Frames are borrowed: the bytes of one are valid until the next call of `next`.
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

    private static let blockBytes = 1 << 20
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

    /// Makes `count` bytes available behind `start`, reading more as needed. False at the end of the capture.
    @inline(__always)
    private func ensure(_ count: Int) -> Bool { available >= count || fill(count) }

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
            let got = read(descriptor, buffer + end, capacity - end)
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

    /// The next frame and its bytes, or nil at the end; look at `trouble` then.
    @inline(__always)
    package func next(_ frame: inout CaptureFrame) -> UnsafeRawBufferPointer? {
        switch kind {
        case .pcap(_, let unit, let header): nextPcap(&frame, unitNs: unit, headerBytes: header)
        case .pcapng: nextBlock(&frame)
        }
    }

    @inline(__always)
    private func nextPcap(_ frame: inout CaptureFrame, unitNs: UInt64, headerBytes: Int) -> UnsafeRawBufferPointer? {
        guard ensure(headerBytes) else {
            if available > 0, trouble == nil { trouble = .cut(offset: offset) }
            return nil
        }
        let captured = Int(u32(8))
        guard captured <= CaptureFile.maxRecordBytes else {
            trouble = .malformed(offset: offset, what: "a packet of \(captured) bytes")
            return nil
        }
        guard ensure(headerBytes + captured) else {
            if trouble == nil { trouble = .cut(offset: offset) }
            return nil
        }
        frame.timeNs = UInt64(u32(0)) &* 1_000_000_000 &+ UInt64(u32(4)) &* unitNs
        frame.captured = captured
        frame.wire = Int(u32(12))
        frame.link = interfaces[0].link
        frame.interface = 0
        let bytes = UnsafeRawBufferPointer(start: buffer + start + headerBytes, count: captured)
        start += headerBytes + captured
        packets += 1
        return bytes
    }

    private func nextBlock(_ frame: inout CaptureFrame) -> UnsafeRawBufferPointer? {
        while true {
            guard ensure(12) else {
                if available > 0, trouble == nil { trouble = .cut(offset: offset) }
                return nil
            }
            let isSection = buffer.loadUnaligned(fromByteOffset: start, as: UInt32.self) == 0x0a0d_0d0a
            if isSection {
                switch buffer.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self) {
                case 0x1a2b_3c4d: swapped = false
                case 0x4d3c_2b1a: swapped = true
                default:
                    trouble = .malformed(offset: offset, what: "a section without byte order")
                    return nil
                }
                interfaces.removeAll()
            }
            let type = u32(0)
            let length = Int(u32(4))
            guard length >= 12, length & 3 == 0, length <= CaptureFile.maxBlockBytes else {
                trouble = .malformed(offset: offset, what: "a block of \(length) bytes")
                return nil
            }
            guard ensure(length) else {
                if trouble == nil { trouble = .cut(offset: offset) }
                return nil
            }
            defer { start += length }
            switch type {
            case 1: readInterface(length: length)
            case 6 where length >= 32:
                if let bytes = enhancedPacket(&frame, length: length) { return bytes }
            case 3 where length >= 16:
                if let bytes = simplePacket(&frame, length: length) { return bytes }
            case 2 where length >= 32:
                if let bytes = obsoletePacket(&frame, length: length) { return bytes }
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

    private func enhancedPacket(_ frame: inout CaptureFrame, length: Int) -> UnsafeRawBufferPointer? {
        packet(
            &frame, interface: Int(u32(8)), high: u32(12), low: u32(16), captured: Int(u32(20)), wire: Int(u32(24)),
            at: 28, length: length)
    }

    private func obsoletePacket(_ frame: inout CaptureFrame, length: Int) -> UnsafeRawBufferPointer? {
        packet(
            &frame, interface: Int(u16(8)), high: u32(12), low: u32(16), captured: Int(u32(20)), wire: Int(u32(24)),
            at: 28, length: length)
    }

    private func simplePacket(_ frame: inout CaptureFrame, length: Int) -> UnsafeRawBufferPointer? {
        let wire = Int(u32(8))
        let snap = interfaces.first?.snap ?? 0
        let captured = min(wire, length - 16, snap == 0 ? .max : snap)
        return packet(&frame, interface: 0, high: 0, low: 0, captured: captured, wire: wire, at: 12, length: length)
    }

    private func packet(
        _ frame: inout CaptureFrame, interface number: Int, high: UInt32, low: UInt32, captured: Int, wire: Int,
        at: Int, length: Int
    ) -> UnsafeRawBufferPointer? {
        guard number < interfaces.count, captured >= 0, at + captured <= length - 4 else {
            if trouble == nil { trouble = .malformed(offset: offset, what: "a packet that does not fit its block") }
            return nil
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
        frame.captured = captured
        frame.wire = wire
        frame.link = interface.link
        frame.interface = Int32(number)
        packets += 1
        return UnsafeRawBufferPointer(start: buffer + start + at, count: captured)
    }
}
