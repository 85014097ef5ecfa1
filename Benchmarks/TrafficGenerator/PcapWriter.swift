import Glibc

/// Both ends of a flow. IPv4 addresses lie in the low 32 bits of `low`.
struct Ends {
    struct Address {
        var high: UInt64
        var low: UInt64
    }
    var isIPv6: Bool
    var client: Address
    var server: Address
    var clientPort: UInt16
    var serverPort: UInt16
}

/// TCP flags, as they lie in the header.
enum Flags {
    static let fin: UInt8 = 1
    static let syn: UInt8 = 2
    static let rst: UInt8 = 4
    static let psh: UInt8 = 8
    static let ack: UInt8 = 16
}

struct CannotWrite: Error, CustomStringConvertible {
    let path: String
    let code: Int32
    var description: String { "cannot write \(path): \(String(cString: strerror(code)))" }
}

/// Writes Ethernet frames with right lengths and checksums into a classic pcap file (microseconds, little endian).
struct PcapWriter: ~Copyable {
    /// Capture time of the first packet: 2026-01-01 00:00:00 UTC.
    static let startSeconds: UInt32 = 1_767_225_600
    private static let snap = 262_144

    private let path: String
    private let file: Int32
    private var buffer: UnsafeMutableRawBufferPointer
    private var used = 0
    private(set) var packets = 0
    private(set) var bytes = 0
    private var ipIdentification: UInt16 = 1

    init(path: String) throws {
        self.path = path
        file = path == "-" ? 1 : open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard file >= 0 else { throw CannotWrite(path: path, code: errno) }
        buffer = .allocate(byteCount: 4 << 20, alignment: 16)
        for value: UInt32 in [0xa1b2_c3d4, 0x0004_0002, 0, 0, UInt32(Self.snap), 1] { putLE(value) }
    }

    deinit {
        buffer.deallocate()
        if file > 2 { close(file) }
    }

    mutating func flush() throws {
        var done = 0
        while done < used {
            let count = write(file, buffer.baseAddress! + done, used - done)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw CannotWrite(path: path, code: errno) }
            done += count
        }
        used = 0
    }

    // MARK: Frames

    mutating func tcp(
        atUs time: UInt64, _ ends: Ends, fromClient: Bool, sequence: UInt32, acknowledge: UInt32, flags: UInt8,
        payload: UnsafeRawBufferPointer
    ) throws {
        let options = flags & Flags.syn != 0 ? 12 : 0
        let segment = 20 + options + payload.count
        let l4 = try begin(atUs: time, ends, fromClient: fromClient, protocol: 6, l4Length: segment)
        put16(fromClient ? ends.clientPort : ends.serverPort)
        put16(fromClient ? ends.serverPort : ends.clientPort)
        put32(sequence)
        put32(flags & Flags.ack != 0 ? acknowledge : 0)
        put8(UInt8((20 + options) / 4) << 4)
        put8(flags)
        put16(64_240)
        put32(0)
        if options > 0 {  // MSS 1460, SACK permitted, window scale 7
            put32(0x0204_05b4)
            put32(0x0402_0103)
            put32(0x0307_0101)
        }
        put(payload)
        finish(l4, length: segment, checksumAt: 16, ends, fromClient: fromClient, protocol: 6)
    }

    mutating func udp(atUs time: UInt64, _ ends: Ends, fromClient: Bool, payload: UnsafeRawBufferPointer) throws {
        let length = 8 + payload.count
        let l4 = try begin(atUs: time, ends, fromClient: fromClient, protocol: 17, l4Length: length)
        put16(fromClient ? ends.clientPort : ends.serverPort)
        put16(fromClient ? ends.serverPort : ends.clientPort)
        put16(UInt16(length))
        put16(0)
        put(payload)
        finish(l4, length: length, checksumAt: 6, ends, fromClient: fromClient, protocol: 17)
    }

    /// An echo request from the client or its reply.
    mutating func echo(
        atUs time: UInt64, _ ends: Ends, fromClient: Bool, sequence: UInt16, payload: UnsafeRawBufferPointer
    ) throws {
        let length = 8 + payload.count
        let number: UInt8 = ends.isIPv6 ? 58 : 1
        let l4 = try begin(atUs: time, ends, fromClient: fromClient, protocol: number, l4Length: length)
        put8(ends.isIPv6 ? (fromClient ? 128 : 129) : (fromClient ? 8 : 0))
        put8(0)
        put16(0)
        put16(ends.clientPort)
        put16(sequence)
        put(payload)
        finish(l4, length: length, checksumAt: 2, ends, fromClient: fromClient, protocol: number)
    }

    // MARK: Parts

    /// Writes record header, Ethernet and IP; returns where the L4 header begins.
    private mutating func begin(
        atUs time: UInt64, _ ends: Ends, fromClient: Bool, protocol number: UInt8, l4Length: Int
    ) throws -> Int {
        let ip = ends.isIPv6 ? 40 : 20
        let frame = 14 + ip + l4Length
        if used + 16 + frame > buffer.count { try flush() }
        packets += 1
        bytes += frame
        putLE(Self.startSeconds + UInt32(time / 1_000_000))
        putLE(UInt32(time % 1_000_000))
        putLE(UInt32(frame))
        putLE(UInt32(frame))

        let source = fromClient ? ends.client : ends.server
        let destination = fromClient ? ends.server : ends.client
        putMAC(of: destination)
        putMAC(of: source)
        put16(ends.isIPv6 ? 0x86dd : 0x0800)
        if ends.isIPv6 {
            put32(0x6000_0000)
            put16(UInt16(l4Length))
            put8(number)
            put8(64)
            for word in [source.high, source.low, destination.high, destination.low] { put64(word) }
        } else {
            let header = used
            put16(0x4500)
            put16(UInt16(20 + l4Length))
            put16(ipIdentification)
            put16(0x4000)
            put8(64)
            put8(number)
            put16(0)
            put32(UInt32(truncatingIfNeeded: source.low))
            put32(UInt32(truncatingIfNeeded: destination.low))
            ipIdentification &+= 1
            store16(Self.fold(sum(from: header, count: 20)), at: header + 10)
        }
        return used
    }

    /// Fills in the L4 checksum, pseudo header included (ICMP over IPv4 has none).
    private mutating func finish(
        _ l4: Int, length: Int, checksumAt offset: Int, _ ends: Ends, fromClient: Bool, protocol number: UInt8
    ) {
        var total = sum(from: l4, count: length)
        if number != 1 {
            let addresses = ends.isIPv6 ? 32 : 8
            total += sum(from: l4 - addresses, count: addresses) + UInt64(number) + UInt64(length)
        }
        let checksum = Self.fold(total)
        store16(checksum == 0 && number == 17 ? 0xffff : checksum, at: l4 + offset)
    }

    /// Sum of big-endian 16-bit words, an odd last byte padded by zero.
    private func sum(from start: Int, count: Int) -> UInt64 {
        var total: UInt64 = 0
        var at = start
        let end = start + count
        // Sums of 32-bit words fold to the same 16-bit sum.
        while at + 4 <= end {
            total += UInt64(UInt32(bigEndian: buffer.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
            at += 4
        }
        if at + 2 <= end {
            total += UInt64(UInt16(bigEndian: buffer.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
            at += 2
        }
        if at < end { total += UInt64(buffer[at]) << 8 }
        return total
    }

    private static func fold(_ sum: UInt64) -> UInt16 {
        var value = sum
        while value > 0xffff { value = (value & 0xffff) + (value >> 16) }
        return ~UInt16(value)
    }

    private mutating func putMAC(of address: Ends.Address) {
        put16(0x0200)
        put32(UInt32(truncatingIfNeeded: address.low))
    }

    private mutating func put8(_ value: UInt8) {
        buffer[used] = value
        used += 1
    }
    private mutating func put16(_ value: UInt16) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: used, as: UInt16.self)
        used += 2
    }
    private mutating func put32(_ value: UInt32) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: used, as: UInt32.self)
        used += 4
    }
    private mutating func put64(_ value: UInt64) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: used, as: UInt64.self)
        used += 8
    }
    private mutating func putLE(_ value: UInt32) {
        buffer.storeBytes(of: value.littleEndian, toByteOffset: used, as: UInt32.self)
        used += 4
    }
    private mutating func store16(_ value: UInt16, at offset: Int) {
        buffer.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }
    private mutating func put(_ payload: UnsafeRawBufferPointer) {
        guard let from = payload.baseAddress else { return }
        memcpy(buffer.baseAddress! + used, from, payload.count)
        used += payload.count
    }
}
