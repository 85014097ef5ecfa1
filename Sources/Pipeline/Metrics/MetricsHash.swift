/// Hashes of the metrics tables: fixed, the same in every run, and cheap over words.
///
/// Keys come from the network, so an adversary may aim at collisions; the tables bound the harm by their entry limit,
/// not by a secret. Multiply-and-fold: each step mixes the full 128-bit product.
package enum MetricsHash {
    @usableFromInline static let k0: UInt64 = 0x9e37_79b9_7f4a_7c15
    @usableFromInline static let k1: UInt64 = 0xd6e8_feb8_6659_fd93

    @inlinable @inline(__always)
    package static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = (a ^ k0).multipliedFullWidth(by: b ^ k1)
        return product.high ^ product.low
    }

    @inlinable @inline(__always)
    package static func step(_ state: UInt64, _ word: UInt64) -> UInt64 {
        let product = (state ^ word).multipliedFullWidth(by: k0)
        return product.high ^ product.low
    }

    /// Of a single word.
    @inlinable @inline(__always)
    package static func word(_ word: UInt64) -> UInt64 {
        let product = (word ^ k0).multipliedFullWidth(by: k1)
        return product.high ^ product.low
    }

    /// 64-bit hash of a text's UTF-8; 0 for the empty text only.
    package static func text(_ text: String) -> UInt64 {
        if text.isEmpty { return 0 }
        var copy = text
        let hash = copy.withUTF8 { bytes(UnsafeRawBufferPointer($0)) }
        return hash == 0 ? 1 : hash
    }

    package static func bytes(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = word(UInt64(truncatingIfNeeded: bytes.count))
        var offset = 0
        while bytes.count - offset >= 8 {
            state = step(state, bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var tail: UInt64 = 0
        while offset < bytes.count {
            tail = tail << 8 | UInt64(bytes[offset])
            offset += 1
        }
        return mix(step(state, tail), UInt64(truncatingIfNeeded: bytes.count))
    }
}
