import Testing

@testable import Model

struct TextBufferTests {
    /// Every length of a number, at both of its ends.
    @Test func numbers() {
        var power: UInt64 = 1
        var values: [UInt64] = [0, .max]
        for _ in 0..<20 {
            values += [power &- 1, power, power &+ 1, power &* 9]
            power &*= 10
        }
        for value in values {
            var buffer = TextBuffer(capacity: 64)
            buffer.append(decimal: value)
            #expect(String(decoding: buffer.bytes, as: UTF8.self) == String(value))
        }
    }
}
