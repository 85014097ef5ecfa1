package import Model

/// One profile: what an external profiler posted, or one stack that the agent counted. Source: wire.md 7.10.
package struct ProfileRecord: WireDecodable, Equatable {
    package var ip: [UInt8] = []
    package var name = ""
    package var units = ""
    package var aggregationType = ""
    package var sampleRate: UInt32 = 0
    package var from: UInt32 = 0
    package var until: UInt32 = 0
    package var spyName = ""
    package var format = ""
    package var contentType = ""
    package var data: [UInt8] = []
    package var isDataCompressed = false
    package var timestampNs: UInt64 = 0
    package var eventType: Int32 = 0
    package var startTime: UInt64 = 0
    package var pid: UInt32 = 0
    package var tid: UInt32 = 0
    package var threadName = ""
    package var processName = ""
    package var userStackID: UInt32 = 0
    package var kernelStackID: UInt32 = 0
    package var cpu: UInt32 = 0
    package var count: UInt32 = 0
    package var podID: UInt32 = 0
    package var wideCount: UInt64 = 0

    package static var skipsBadRecords: Bool { false }

    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 2: ip = try reader.octets(bytes)
            case 2 << 3 | 2: name = try reader.string(bytes)
            case 3 << 3 | 2: units = try reader.string(bytes)
            case 4 << 3 | 2: aggregationType = try reader.string(bytes)
            case 5 << 3 | 0: sampleRate = try reader.u32(bytes)
            case 6 << 3 | 0: from = try reader.u32(bytes)
            case 7 << 3 | 0: until = try reader.u32(bytes)
            case 8 << 3 | 2: spyName = try reader.string(bytes)
            case 9 << 3 | 2: format = try reader.string(bytes)
            case 10 << 3 | 2: contentType = try reader.string(bytes)
            case 11 << 3 | 2: data = try reader.octets(bytes)
            case 12 << 3 | 0: isDataCompressed = try reader.flag(bytes)
            case 20 << 3 | 0: timestampNs = try reader.u64(bytes)
            case 21 << 3 | 0: eventType = try reader.i32(bytes)
            case 22 << 3 | 0: startTime = try reader.u64(bytes)
            case 23 << 3 | 0: pid = try reader.u32(bytes)
            case 24 << 3 | 0: tid = try reader.u32(bytes)
            case 25 << 3 | 2: threadName = try reader.string(bytes)
            case 26 << 3 | 2: processName = try reader.string(bytes)
            case 27 << 3 | 0: userStackID = try reader.u32(bytes)
            case 28 << 3 | 0: kernelStackID = try reader.u32(bytes)
            case 29 << 3 | 0: cpu = try reader.u32(bytes)
            case 30 << 3 | 0: count = try reader.u32(bytes)
            case 33 << 3 | 0: podID = try reader.u32(bytes)
            case 34 << 3 | 0: wideCount = try reader.u64(bytes)
            default: try reader.skip(bytes, tag, known: fieldMask(1...12, 20...30, 33...34))
            }
        }
    }
}
