/// Fields of one protobuf message by number, the last of each, read without any of our codecs.
struct ProtobufFields {
    var number: UInt64 = 0
    var bytes: [UInt8] = []

    static func read(_ message: [UInt8]) -> [Int: ProtobufFields] {
        var found: [Int: ProtobufFields] = [:]
        var at = 0
        func varint() -> UInt64 {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while at < message.count {
                let byte = message[at]
                at += 1
                value |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { break }
                shift += 7
            }
            return value
        }
        while at < message.count {
            let tag = varint()
            var field = ProtobufFields()
            switch tag & 7 {
            case 0: field.number = varint()
            case 2:
                let length = Int(varint())
                let end = min(at + length, message.count)
                field.bytes = Array(message[at..<end])
                at = end
            case 1: at += 8
            default: at += 4
            }
            found[Int(tag >> 3)] = field
        }
        return found
    }
}
