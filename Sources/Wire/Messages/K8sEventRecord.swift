package import Model

/// An event that Kubernetes told. Source: wire.md 7.11.
package struct K8sEventRecord: WireDecodable, Equatable {
    package var firstTimestampUs: UInt64 = 0
    package var fieldPath = ""
    package var kind = ""
    package var name = ""
    package var message = ""
    package var reason = ""
    package var component = ""
    /// 1: a warning.
    package var type: Int32 = 0

    package static var skipsBadRecords: Bool { true }

    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 0: firstTimestampUs = try reader.u64(bytes)
            case 2 << 3 | 2:
                var object = try reader.message(bytes)
                while let tag = try object.tag(bytes) {
                    switch tag {
                    case 1 << 3 | 2: fieldPath = try object.string(bytes)
                    case 2 << 3 | 2: kind = try object.string(bytes)
                    case 3 << 3 | 2: name = try object.string(bytes)
                    default: try object.skip(bytes, tag, known: fieldMask(1...3))
                    }
                }
            case 3 << 3 | 2: message = try reader.string(bytes)
            case 4 << 3 | 2: reason = try reader.string(bytes)
            case 5 << 3 | 2:
                var source = try reader.message(bytes)
                while let tag = try source.tag(bytes) {
                    switch tag {
                    case 1 << 3 | 2: component = try source.string(bytes)
                    default: try source.skip(bytes, tag, known: fieldMask(1...1))
                    }
                }
            case 6 << 3 | 0: type = try reader.i32(bytes)
            default: try reader.skip(bytes, tag, known: fieldMask(1...6))
            }
        }
    }
}
