import Glibc
import Model

/// Texts seen lately, so that one which comes again is neither allocated nor freed: names, paths, domains.
///
/// A text has one possible place by its hash, where it drives out what was there. So the memory is bounded, and texts that
/// never come again cost the others little.
struct TextCache: ~Copyable {
    private struct Entry {
        var hash: UInt64 = 0
        var text = ""
        /// What its user made of the text, with the `MetricsHash.text` of that.
        var derived = ""
        var derivedHash: UInt64 = 0
        var hasDerived = false
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
        isKept(payload, range) ? entry(payload, range).pointee.text : payload.text(range)
    }

    /// A text, what `derive` makes of it, and the `MetricsHash.text` of that: made once for a text that comes again.
    /// All callers of one cache derive the same.
    @inline(__always)
    func text(
        _ payload: RawSpan, _ range: Range<Int>, derive: (String) -> String
    ) -> (text: String, derived: String, derivedHash: UInt64) {
        guard isKept(payload, range) else {
            let text = payload.text(range)
            let derived = derive(text)
            return (text, derived, MetricsHash.text(derived))
        }
        let entry = entry(payload, range)
        if !entry.pointee.hasDerived {
            entry.pointee.derived = derive(entry.pointee.text)
            entry.pointee.derivedHash = MetricsHash.text(entry.pointee.derived)
            entry.pointee.hasDerived = true
        }
        return (entry.pointee.text, entry.pointee.derived, entry.pointee.derivedHash)
    }

    @inline(__always)
    private func isKept(_ payload: RawSpan, _ range: Range<Int>) -> Bool {
        range.count > Self.inlineLength && range.count <= Self.maxLength && payload.isASCII(range)
    }

    /// The entry of a text, which may be new.
    private func entry(_ payload: RawSpan, _ range: Range<Int>) -> UnsafeMutablePointer<Entry> {
        payload.extracting(range).withUnsafeBytes { bytes in
            let hash = Self.hash(bytes)
            let entry = entries + (Int(truncatingIfNeeded: hash) & (Self.entryCount - 1))
            if entry.pointee.hash != hash || !Self.isEqual(entry.pointee.text, bytes) {
                entry.pointee = Entry(hash: hash, text: payload.asciiText(range))
            }
            return entry
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

extension String {
    /// Both are the same string in memory; others may be equal, too. Looks at the strings in place: a value would be
    /// retained for the call.
    @inline(__always)
    static func isSame(_ left: UnsafePointer<String>, _ right: UnsafePointer<String>) -> Bool {
        let (left, right) = (UnsafeRawPointer(left), UnsafeRawPointer(right))
        return left.load(as: UInt64.self) == right.load(as: UInt64.self)
            && left.load(fromByteOffset: 8, as: UInt64.self) == right.load(fromByteOffset: 8, as: UInt64.self)
    }
}
