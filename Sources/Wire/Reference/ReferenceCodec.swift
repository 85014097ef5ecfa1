import CWire
package import Model

/// The hot records through protobuf-c: what the own codecs are compared with. Slower by the allocations, and a string
/// ends at its first NUL.
package protocol ReferenceCodable: WireEncodable, WireDecodable {
    func referenceBytes() -> [UInt8]
    init(reference bytes: RawSpan, _ range: Range<Int>) throws(ParseError)
}

extension IPAddress {
    /// Of a `bytes` field with 4 or 16 octets, else zero.
    init(_ field: ProtobufCBinaryData) {
        let raw = UnsafeRawBufferPointer(start: field.data, count: field.data == nil ? 0 : field.len)
        switch raw.count {
        case 16:
            self.init(
                high: UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        case 4: self.init(v4: UInt32(bigEndian: raw.loadUnaligned(as: UInt32.self)))
        default: self.init()
        }
    }
}

/// Narrows a number as the own reader does.
@inline(__always)
func low<Narrow: FixedWidthInteger>(_ value: UInt32) -> Narrow { Narrow(truncatingIfNeeded: value) }
