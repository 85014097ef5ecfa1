import Synchronization

/// Numbers for trace ids, by which traces are found quickly. Source: ingester.md 5.2 (`trace_id_index`).
package final class TraceIDIndexer: Sendable {
    package enum Rule: Sendable, Equatable {
        case disabled
        case hash
        /// The id carries a number: `length` characters from `start` (counted from the end when negative).
        case incremental(start: Int, length: Int, isHex: Bool)
    }

    private let rule: Rule
    private let last = Atomic<UInt64>(0)

    package init(rule: Rule = .hash) { self.rule = rule }

    /// The index of an id; an empty or unreadable one gets the last index plus one.
    package func index(of traceID: String) -> UInt64 {
        guard rule != .disabled else { return 0 }
        guard !traceID.isEmpty, let value = number(of: traceID) else { return last.load(ordering: .relaxed) &+ 1 }
        last.store(value, ordering: .relaxed)
        return value
    }

    private func number(of traceID: String) -> UInt64? {
        let hash = TraceIDIndexer.hash(traceID)
        guard case .incremental(let start, let length, let isHex) = rule else { return hash }
        let bytes = Array(traceID.utf8)
        let from = start < 0 ? bytes.count + start : start
        guard length > 0, from >= 0, from <= bytes.count - length else { return nil }
        let part = String(decoding: bytes[from..<from + length], as: UTF8.self)
        return UInt64(part, radix: isHex ? 16 : 10).map { $0 << 16 | hash & 0xffff }
    }

    /// DJB hash with start 17: `h * 33 + byte`, 64 bits.
    package static func hash(_ text: String) -> UInt64 {
        var hash: UInt64 = 17
        for byte in text.utf8 { hash = hash &* 33 &+ UInt64(byte) }
        return hash
    }
}
