import Glibc
import Model
import Synchronization

/// Rows taken over and rows dropped per table, in a small mapped file that outlives the process: after a crash the
/// difference to what the store has committed is the number of rows lost.
///
/// The page survives `kill -9` of the process, not a power cut. `@unchecked Sendable`: the mapping is fixed at `init`;
/// slots are assigned once there and their counters are changed by atomic adds only.
final class LossLedger: @unchecked Sendable {
    struct Entry: Equatable {
        var accepted: UInt64 = 0
        var dropped: UInt64 = 0
    }

    /// Magic, store identity.
    private static let headerSize = 64
    /// Name (48 bytes, NUL padded), accepted, dropped.
    private static let slotSize = 64
    private static let magic: UInt64 = 0x3153_534f_4c46_4431

    private let base: UnsafeMutableRawPointer
    private let size: Int
    private let slots: [String: Int]

    /// Opens or creates the file. `left` holds what an earlier run had counted, empty when the file was made for
    /// another store or is new.
    /// - Parameter identity: a number of the store, kept inside it too.
    init(path: String, identity: UInt64, tables: [String], left: inout [String: Entry]) throws {
        size = Self.headerSize + Self.slotSize * tables.count
        slots = Dictionary(uniqueKeysWithValues: tables.enumerated().map { ($1, $0) })
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(path, errno) }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure(path, errno) }
        let oldSize = min(Int(status.st_size), 1 << 20)
        var old = [UInt8](repeating: 0, count: oldSize)
        if pread(descriptor, &old, oldSize, 0) == oldSize { left = Self.parse(old, identity: identity) }
        // Written rather than truncated: on a full disk this fails here instead of in a later page fault.
        let empty = [UInt8](repeating: 0, count: size)
        guard ftruncate(descriptor, off_t(size)) == 0, pwrite(descriptor, empty, size, 0) == size else {
            throw Self.failure(path, errno)
        }
        guard let mapped = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), mapped != MAP_FAILED
        else { throw Self.failure(path, errno) }
        base = mapped
        base.storeBytes(of: Self.magic, as: UInt64.self)
        base.storeBytes(of: identity, toByteOffset: 8, as: UInt64.self)
        for (name, slot) in slots {
            let start = Self.headerSize + slot * Self.slotSize
            for (index, byte) in name.utf8.prefix(47).enumerated() {
                base.storeBytes(of: byte, toByteOffset: start + index, as: UInt8.self)
            }
        }
    }

    deinit { munmap(base, size) }

    func accept(_ table: String, _ rows: Int) { add(table, 48, UInt64(rows)) }
    func drop(_ table: String, _ rows: Int) { add(table, 56, UInt64(rows)) }

    private func add(_ table: String, _ offset: Int, _ rows: UInt64) {
        guard let slot = slots[table] else { return }
        let address = base + Self.headerSize + slot * Self.slotSize + offset
        _ = UnsafeMutablePointer<Atomic<UInt64>>(OpaquePointer(address)).pointee.wrappingAdd(rows, ordering: .relaxed)
    }

    private static func parse(_ bytes: [UInt8], identity: UInt64) -> [String: Entry] {
        bytes.withUnsafeBytes { raw in
            guard raw.count >= headerSize, raw.loadUnaligned(as: UInt64.self) == magic,
                raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == identity
            else { return [:] }
            var entries: [String: Entry] = [:]
            var start = headerSize
            while start + slotSize <= raw.count {
                let name = raw[start..<start + 48].prefix { $0 != 0 }
                if !name.isEmpty {
                    entries[String(decoding: name, as: UTF8.self)] = Entry(
                        accepted: raw.loadUnaligned(fromByteOffset: start + 48, as: UInt64.self),
                        dropped: raw.loadUnaligned(fromByteOffset: start + 56, as: UInt64.self))
                }
                start += slotSize
            }
            return entries
        }
    }

    private static func failure(_ path: String, _ code: Int32) -> Failure {
        Failure(
            code == EACCES || code == EPERM ? .notPermitted : .failed, what: "cannot open the store's counters \(path)",
            why: String(cString: strerror(code)), mend: "check the folder of --data-dir and its free space")
    }
}
