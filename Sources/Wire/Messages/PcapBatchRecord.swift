package import Model

/// Packets of flows, as the agent captured them. Source: wire.md 7.14.
package struct PcapBatchRecord: WireDecodable, Equatable {
    package struct Packets: Sendable, Equatable {
        package var flowID: UInt64 = 0
        package var startNs: UInt64 = 0
        package var endNs: UInt64 = 0
        package var packetCount: UInt32 = 0
        /// Records of a capture file, one after the other.
        package var records: [UInt8] = []
        package var aclGids: [UInt16] = []
    }

    package var magic: UInt32 = 0
    package var batches: [Packets] = []

    package static var skipsBadRecords: Bool { false }

    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 0: magic = try reader.u32(bytes)
            case 2 << 3 | 2:
                var message = try reader.message(bytes)
                batches.append(try PcapBatchRecord.packets(bytes, &message))
            default: try reader.skip(bytes, tag, known: fieldMask(1...2))
            }
        }
    }

    private static func packets(_ bytes: RawSpan, _ reader: inout FieldReader) throws(ParseError) -> Packets {
        var packets = Packets()
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 0: packets.flowID = try reader.u64(bytes)
            case 2 << 3 | 0: packets.startNs = try reader.u64(bytes)
            case 3 << 3 | 0: packets.endNs = try reader.u64(bytes)
            case 4 << 3 | 0: packets.packetCount = try reader.u32(bytes)
            case 5 << 3 | 2: packets.records = try reader.octets(bytes)
            case 6 << 3 | 0: packets.aclGids.append(try reader.u16(bytes))
            case 6 << 3 | 2: try reader.packed(bytes, into: &packets.aclGids)
            default: try reader.skip(bytes, tag, known: fieldMask(1...6))
            }
        }
        return packets
    }
}
