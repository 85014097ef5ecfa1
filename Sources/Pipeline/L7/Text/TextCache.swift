import Glibc
import Model

/// The words of a string: equal for copies of one string. Unequal words may still be equal texts.
///
/// Only as good as the string it was made of is alive.
struct TextIdentity: Equatable, BitwiseCopyable {
    private var low: UInt64
    private var high: UInt64

    init(_ text: borrowing String) {
        (low, high) = unsafe withUnsafeBytes(of: text) {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
    }
}

/// Texts seen lately, so that one which comes again is neither allocated nor freed: names, paths, domains.
///
/// A text has one possible place by its hash, where it drives out what was there. So the memory is bounded, and texts that
/// never come again cost the others little.
struct TextCache: ~Copyable {
    private struct Entry {
        var hash: UInt64 = 0
        var text = ""
    }

    /// Power of two.
    private static let entryCount = 1024
    /// Longer texts are seldom seen twice.
    private static let maxLength = 128
    /// Up to this length a string needs no allocation.
    private static let inlineLength = 15

    private let entries: UnsafeMutablePointer<Entry>

    init() {
        entries = .allocate(capacity: Self.entryCount)
        entries.initialize(repeating: Entry(), count: Self.entryCount)
    }

    deinit {
        entries.deinitialize(count: Self.entryCount)
        entries.deallocate()
    }

    /// As `RawSpan.text`.
    func text(_ payload: RawSpan, _ range: Range<Int>) -> String {
        guard range.count > Self.inlineLength, range.count <= Self.maxLength, payload.isASCII(range) else {
            return payload.text(range)
        }
        return payload.extracting(range).withUnsafeBytes { bytes in
            let hash = Self.hash(bytes)
            let entry = entries + (Int(truncatingIfNeeded: hash) & (Self.entryCount - 1))
            if entry.pointee.hash == hash, Self.isEqual(entry.pointee.text, bytes) { return entry.pointee.text }
            entry.pointee.hash = hash
            entry.pointee.text = payload.asciiText(range)
            return entry.pointee.text
        }
    }

    @inline(__always)
    private static func isEqual(_ text: borrowing String, _ bytes: UnsafeRawBufferPointer) -> Bool {
        text.utf8.withContiguousStorageIfAvailable { known in
            guard known.count == bytes.count, let left = known.baseAddress, let right = bytes.baseAddress else {
                return false
            }
            return memcmp(left, right, known.count) == 0
        } ?? false
    }

    /// At least 8 bytes. The last step takes the last 8, also when some of them were taken before.
    @inline(__always)
    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = UInt64(truncatingIfNeeded: bytes.count)
        var at = 0
        while at &+ 8 < bytes.count {
            state = MetricsHash.step(state, bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            at &+= 8
        }
        let last = bytes.loadUnaligned(fromByteOffset: bytes.count &- 8, as: UInt64.self)
        return MetricsHash.mix(MetricsHash.step(state, last), state)
    }
}
