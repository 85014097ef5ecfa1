import Model

/// The code in which header texts are packed. Source: RFC 7541 5.2, appendix B.
struct HPACKHuffman {
    static let shared = HPACKHuffman()

    private static let shortest = 5
    private static let longest = 30
    /// Ends a text in theory; found in one it is an error.
    private static let endSymbol: UInt16 = 256
    /// Bits of each byte's code, and of the end. Codes ascend by length and byte, so that their lengths tell them all.
    private static let lengths: [UInt8] = [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
        28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
        5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
        7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
        7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
        24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
        23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
        21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
        26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
    ]

    /// In the order of their codes.
    private var symbols: [UInt16] = []
    /// By length: codes of this length, put to the left of 32 bits, are below.
    private var ends = [UInt64](repeating: 0, count: longest + 1)
    /// By length: what added to a code gives the position of its symbol.
    private var offsets = [Int](repeating: 0, count: longest + 1)

    private init() {
        var code = 0
        for length in Self.shortest...Self.longest {
            code <<= 1
            offsets[length] = symbols.count - code
            for (symbol, bits) in Self.lengths.enumerated() where bits == length {
                symbols.append(UInt16(symbol))
                code += 1
            }
            ends[length] = UInt64(code) << UInt64(32 - length)
        }
    }

    /// Appends the unpacked text. False: the bytes are no such text.
    func decode(_ packed: RawSpan, _ range: Range<Int>, into text: inout [UInt8]) -> Bool {
        var at = range.lowerBound
        var window: UInt64 = 0
        var bits = 0
        while true {
            while bits <= 32, at < range.upperBound {
                window = window << 8 | UInt64(packed.u8(at: at))
                bits &+= 8
                at &+= 1
            }
            // Behind the last bit stand ones.
            let missing = UInt64(max(0, 32 &- bits))
            let filled = window << missing | ((1 << missing) &- 1)
            let ahead = filled >> UInt64(max(0, bits &- 32)) & 0xffff_ffff
            var length = Self.shortest
            while ahead >= ends[length] { length &+= 1 }
            if length > bits { return bits < 8 && ahead == 0xffff_ffff }
            let symbol = symbols[offsets[length] &+ Int(ahead >> UInt64(32 &- length))]
            guard symbol != Self.endSymbol else { return false }
            text.append(UInt8(truncatingIfNeeded: symbol))
            bits &-= length
        }
    }
}
