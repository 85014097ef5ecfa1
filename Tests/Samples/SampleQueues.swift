/// Conversations written down line by line: `c` or `s` for the sender, a blank, the payload.
package enum SampleQueues {
    package typealias Turn = (fromServer: Bool, payload: [UInt8])

    /// Payloads in hexadecimal digits.
    package static func conversation(_ lines: [String]) -> [Turn] {
        turns(lines) { text in
            let digits = Array(text).compactMap(\.hexDigitValue)
            return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        }
    }

    package static func texts(_ lines: [String]) -> [Turn] { turns(lines) { Array($0.utf8) } }

    /// Headers of RocketMQ, each in a frame of its own.
    package static func frames(_ lines: [String]) -> [Turn] {
        turns(lines) { text in
            let count = UInt32(text.utf8.count)
            return SampleFrames.be32(count + 4) + SampleFrames.be32(count) + Array(text.utf8)
        }
    }

    private static func turns(_ lines: [String], _ payload: (Substring) -> [UInt8]) -> [Turn] {
        lines.map { ($0.hasPrefix("s"), payload($0.dropFirst(2))) }
    }
}
