package import Model

/// One event of a process: a slow transfer, or what it did to files, permissions and processes. Source: wire.md 7.11.
package struct ProcEventRecord: WireDecodable, Equatable {
    /// A read (1) or write (0) of a file.
    package struct Transfer: Sendable, Equatable {
        package var byteCount: UInt32 = 0
        package var operation: Int32 = 0
        package var latencyNs: UInt64 = 0
        package var fileName = ""
        package var offset: UInt64 = 0
        package var mountSource = ""
        package var mountPoint = ""
        package var directory = ""
        package var fileType: Int32 = 0
        package var accessPermission: UInt32 = 0

        init() {}

        fileprivate init(_ bytes: RawSpan, _ reader: inout FieldReader) throws(ParseError) {
            while let tag = try reader.tag(bytes) {
                switch tag {
                case 1 << 3 | 0: byteCount = try reader.u32(bytes)
                case 2 << 3 | 0: operation = try reader.i32(bytes)
                case 3 << 3 | 0: latencyNs = try reader.u64(bytes)
                case 4 << 3 | 2: fileName = try reader.trimmed(bytes)
                case 5 << 3 | 0: offset = try reader.u64(bytes)
                case 6 << 3 | 2: mountSource = try reader.trimmed(bytes)
                case 7 << 3 | 2: mountPoint = try reader.trimmed(bytes)
                case 8 << 3 | 2: directory = try reader.trimmed(bytes)
                case 9 << 3 | 0: fileType = try reader.i32(bytes)
                case 10 << 3 | 0: accessPermission = try reader.u32(bytes)
                default: try reader.skip(bytes, tag, known: fieldMask(1...10))
                }
            }
        }
    }

    /// Made (1), deleted (2), changed in mode (3) or owner (4).
    package struct FileOperation: Sendable, Equatable {
        package var type: Int32 = 0
        package var pid: UInt32 = 0
        package var uid: UInt32 = 0
        package var gid: UInt32 = 0
        package var mode: UInt32 = 0
        package var timestampNs: UInt64 = 0
        package var path = ""

        init() {}

        fileprivate init(_ bytes: RawSpan, _ reader: inout FieldReader) throws(ParseError) {
            while let tag = try reader.tag(bytes) {
                switch tag {
                case 1 << 3 | 0: type = try reader.i32(bytes)
                case 2 << 3 | 0: pid = try reader.u32(bytes)
                case 3 << 3 | 0: uid = try reader.u32(bytes)
                case 4 << 3 | 0: gid = try reader.u32(bytes)
                case 5 << 3 | 0: mode = try reader.u32(bytes)
                case 6 << 3 | 0: timestampNs = try reader.u64(bytes)
                case 7 << 3 | 2: path = try reader.trimmed(bytes)
                default: try reader.skip(bytes, tag, known: fieldMask(1...7))
                }
            }
        }
    }

    /// Another user or group.
    package struct PermissionChange: Sendable, Equatable {
        package var type: Int32 = 0
        package var pid: UInt32 = 0
        package var oldUID: UInt32 = 0
        package var oldGID: UInt32 = 0
        package var newUID: UInt32 = 0
        package var newGID: UInt32 = 0
        package var timestampNs: UInt64 = 0

        init() {}

        fileprivate init(_ bytes: RawSpan, _ reader: inout FieldReader) throws(ParseError) {
            while let tag = try reader.tag(bytes) {
                switch tag {
                case 1 << 3 | 0: type = try reader.i32(bytes)
                case 2 << 3 | 0: pid = try reader.u32(bytes)
                case 3 << 3 | 0: oldUID = try reader.u32(bytes)
                case 4 << 3 | 0: oldGID = try reader.u32(bytes)
                case 5 << 3 | 0: newUID = try reader.u32(bytes)
                case 6 << 3 | 0: newGID = try reader.u32(bytes)
                case 7 << 3 | 0: timestampNs = try reader.u64(bytes)
                default: try reader.skip(bytes, tag, known: fieldMask(1...7))
                }
            }
        }
    }

    /// A fork (1), a program that is executed (2), an exit (3).
    package struct Lifecycle: Sendable, Equatable {
        package var type: Int32 = 0
        package var pid: UInt32 = 0
        package var parentPID: UInt32 = 0
        package var uid: UInt32 = 0
        package var gid: UInt32 = 0
        package var timestampNs: UInt64 = 0
        package var name = ""
        package var commandLine = ""
        package var executable = ""

        init() {}

        fileprivate init(_ bytes: RawSpan, _ reader: inout FieldReader) throws(ParseError) {
            while let tag = try reader.tag(bytes) {
                switch tag {
                case 1 << 3 | 0: type = try reader.i32(bytes)
                case 2 << 3 | 0: pid = try reader.u32(bytes)
                case 3 << 3 | 0: parentPID = try reader.u32(bytes)
                case 4 << 3 | 0: uid = try reader.u32(bytes)
                case 5 << 3 | 0: gid = try reader.u32(bytes)
                case 6 << 3 | 0: timestampNs = try reader.u64(bytes)
                case 7 << 3 | 2: name = try reader.trimmed(bytes)
                case 8 << 3 | 2: commandLine = try reader.trimmed(bytes)
                case 9 << 3 | 2: executable = try reader.trimmed(bytes)
                default: try reader.skip(bytes, tag, known: fieldMask(1...9))
                }
            }
        }
    }

    package var pid: UInt32 = 0
    package var threadID: UInt32 = 0
    package var coroutineID: UInt32 = 0
    package var processName = ""
    package var startNs: UInt64 = 0
    package var endNs: UInt64 = 0
    package var eventType: Int32 = 0
    package var podID: UInt32 = 0
    package var rootPID: UInt32 = 0
    package var io: Transfer?
    package var fileOperation: FileOperation?
    package var permission: PermissionChange?
    package var lifecycle: Lifecycle?

    package static var skipsBadRecords: Bool { true }

    package init(wire bytes: RawSpan, _ range: Range<Int>) throws(ParseError) {
        var reader = FieldReader(bytes, range)
        while let tag = try reader.tag(bytes) {
            switch tag {
            case 1 << 3 | 0: pid = try reader.u32(bytes)
            case 2 << 3 | 0: threadID = try reader.u32(bytes)
            case 3 << 3 | 0: coroutineID = try reader.u32(bytes)
            case 4 << 3 | 2: processName = try reader.trimmed(bytes)
            case 5 << 3 | 0: startNs = try reader.u64(bytes)
            case 6 << 3 | 0: endNs = try reader.u64(bytes)
            case 7 << 3 | 0: eventType = try reader.i32(bytes)
            case 10 << 3 | 0: podID = try reader.u32(bytes)
            case 14 << 3 | 0: rootPID = try reader.u32(bytes)
            case 8 << 3 | 2:
                var message = try reader.message(bytes)
                io = try Transfer(bytes, &message)
            case 11 << 3 | 2:
                var message = try reader.message(bytes)
                fileOperation = try FileOperation(bytes, &message)
            case 12 << 3 | 2:
                var message = try reader.message(bytes)
                permission = try PermissionChange(bytes, &message)
            case 13 << 3 | 2:
                var message = try reader.message(bytes)
                lifecycle = try Lifecycle(bytes, &message)
            default: try reader.skip(bytes, tag, known: fieldMask(1...8, 10...14))
            }
        }
    }
}

extension FieldReader {
    /// A `bytes` field that holds a text, padded with NULs.
    mutating func trimmed(_ bytes: RawSpan) throws(ParseError) -> String {
        let octets = try octets(bytes)
        return String(decoding: octets.prefix { $0 != 0 }, as: UTF8.self)
    }
}
