/// Random numbers from a seed: the same seed gives the same inputs.
struct FuzzRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_f491_4f6c_dd1d
    }

    /// Below `bound`, which is at least 1.
    mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }
}

/// Changes inputs: bits, bytes, interesting numbers, cuts, repeats, and parts of others.
struct Mutator {
    private static let interesting: [UInt16] = [
        0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 20, 4789, 0x0800, 0x86dd,
    ]
    private static let maxLength = 2048

    var random: FuzzRandom

    mutating func change(_ input: [UInt8], others: [[UInt8]]) -> [UInt8] {
        var bytes = input
        for _ in 0...random.below(6) {
            if bytes.isEmpty { bytes = [0] }
            let at = random.below(bytes.count)
            switch random.below(9) {
            case 0: bytes[at] ^= 1 << UInt8(random.below(8))
            case 1: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes[at] = bytes[at] &+ UInt8(truncatingIfNeeded: random.below(5)) &- 2
            case 3:
                let value = Mutator.interesting[random.below(Mutator.interesting.count)]
                bytes[at] = UInt8(truncatingIfNeeded: value >> 8)
                if at + 1 < bytes.count { bytes[at + 1] = UInt8(truncatingIfNeeded: value) }
            case 4: bytes.removeLast(bytes.count - at)
            case 5: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.below(8)))
            case 6: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + 1 + random.below(32))], at: at)
            case 7:
                let other = others[random.below(others.count)]
                if !other.isEmpty { bytes = Array(bytes[..<at]) + other[random.below(other.count)...] }
            default:
                for position in at..<min(bytes.count, at + 1 + random.below(16)) {
                    bytes[position] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            if bytes.count > Mutator.maxLength { bytes.removeLast(bytes.count - Mutator.maxLength) }
        }
        return bytes
    }
}

/// What a target says of an input that it handled wrongly.
struct Finding: Error {
    let what: String
}

/// Something that has to survive any input.
protocol FuzzTarget {
    static var name: String { get }
    init()
    /// Inputs that changes start from.
    static var seeds: [[UInt8]] { get }
    /// - Returns: whether the input was taken, not refused at the door.
    /// - Throws: when a promise is broken. A trap or a fault of the process is a finding as well.
    mutating func run(_ input: [UInt8]) throws(Finding) -> Bool
}
