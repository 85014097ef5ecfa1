/// A text to look for, ASCII letters in any case, with `*` (any run) and `?` (one byte) as wildcards.
package struct TextPattern: Sendable, Hashable {
    package enum Anchoring: Sendable, Hashable {
        /// The whole text must match.
        case whole
        /// It may stand anywhere in the text.
        case anywhere
    }

    package let text: String
    package let anchoring: Anchoring
    private let bytes: [UInt8]
    private let hasWildcard: Bool

    /// - Parameter literal: true for a quoted text, whose `*` and `?` stand for themselves.
    package init(_ text: String, _ anchoring: Anchoring, literal: Bool = false) {
        self.text = text
        self.anchoring = anchoring
        var bytes = text.utf8.map(TextPattern.folded)
        hasWildcard = !literal && bytes.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
        if hasWildcard, anchoring == .anywhere {
            let star = UInt8(ascii: "*")
            bytes = [star] + bytes + [star]
        }
        self.bytes = bytes
    }

    package func matches(_ candidate: String) -> Bool {
        var candidate = candidate
        return candidate.withUTF8 { matches(bytes: $0) }
    }

    /// - Parameter text: UTF-8, borrowed for the call.
    package func matches(bytes text: UnsafeBufferPointer<UInt8>) -> Bool {
        if hasWildcard { return glob(text) }
        switch anchoring {
        case .whole:
            guard text.count == bytes.count else { return false }
            return isEqual(text, at: 0)
        case .anywhere:
            guard let first = bytes.first else { return true }
            guard text.count >= bytes.count else { return false }
            for start in 0...(text.count - bytes.count) where TextPattern.folded(text[start]) == first {
                if isEqual(text, at: start) { return true }
            }
            return false
        }
    }

    private func isEqual(_ text: UnsafeBufferPointer<UInt8>, at start: Int) -> Bool {
        for index in 0..<bytes.count where TextPattern.folded(text[start + index]) != bytes[index] { return false }
        return true
    }

    /// Linear with one point of return: after a mismatch the last `*` takes one byte more.
    private func glob(_ text: UnsafeBufferPointer<UInt8>) -> Bool {
        var position = 0
        var index = 0
        var star = -1
        var mark = 0
        while position < text.count {
            if index < bytes.count, bytes[index] == UInt8(ascii: "*") {
                star = index
                mark = position
                index += 1
            } else if index < bytes.count,
                bytes[index] == UInt8(ascii: "?") || bytes[index] == TextPattern.folded(text[position])
            {
                position += 1
                index += 1
            } else if star >= 0 {
                index = star + 1
                mark += 1
                position = mark
            } else {
                return false
            }
        }
        while index < bytes.count, bytes[index] == UInt8(ascii: "*") { index += 1 }
        return index == bytes.count
    }

    @inline(__always)
    private static func folded(_ byte: UInt8) -> UInt8 {
        byte >= 65 && byte <= 90 ? byte | 0x20 : byte
    }
}
