import Model

/// Merges transfers of one file by one process of a traced tree into rows of `event.file_agg_event`: until the file
/// rests for more than 100 ms, is made, deleted or changed, or for three seconds. Source: ingester.md 6.4.
struct FileAggregate {
    private struct Key: Hashable {
        var agentID: UInt16
        var rootPID: UInt32
        var pid: UInt32
        var type: String
        var directory: String
        var name: String
        var mountPoint: String
    }

    private struct Open {
        var row: EventRow
        var file: EventRow.File
        var count: UInt32
        var sinceMs: UInt64
        var rootPID: UInt32

        var done: EventRow {
            var done = row
            done.detail = .fileAggregate(file, rootPID: rootPID, count: count)
            return done
        }
    }

    private static let maxGapUs: UInt64 = 100_000
    private static let maxAgeMs: UInt64 = 3000
    /// At the bound everything is handed on.
    private static let limit = 16_384
    /// No path of Linux is longer.
    private static let maxPath = 8192
    private var open: [Key: Open] = [:]

    /// Rows that are complete by this transfer.
    mutating func add(
        _ row: EventRow, _ file: EventRow.File, pid: UInt32, rootPID: UInt32, nowMs: UInt64
    ) -> [EventRow] {
        let new = Open(row: row, file: file, count: 1, sinceMs: nowMs, rootPID: rootPID)
        // Nothing is kept under it, so it stands alone.
        guard file.name.utf8.count + file.directory.utf8.count <= Self.maxPath else { return [new.done] }
        let key = Key(
            agentID: row.agentID, rootPID: rootPID, pid: pid, type: row.type, directory: file.directory,
            name: file.name, mountPoint: file.mountPoint)
        var done: [EventRow] = []
        if var known = open[key] {
            if row.startUs <= known.row.endUs + Self.maxGapUs {
                known.file.bytes &+= file.bytes
                known.file.duration &+= file.duration
                known.row.startUs = min(known.row.startUs, row.startUs)
                known.row.endUs = max(known.row.endUs, row.endUs)
                known.count &+= 1
                open[key] = known
                return []
            }
            done.append(known.done)
        } else if open.count >= Self.limit {
            done = takeAll()
        }
        open[key] = new
        return done
    }

    /// Those of a file that is made, deleted or changed.
    mutating func take(agentID: UInt16, path: String) -> [EventRow] {
        guard !open.isEmpty else { return [] }
        let (directory, name) = Self.split(path)
        return take { key, _ in
            key.agentID == agentID && key.name == name
                && (key.directory == directory || key.directory + "/" == directory)
                || key.name == path
        }
    }

    mutating func takeOld(nowMs: UInt64) -> [EventRow] { take { $1.sinceMs + Self.maxAgeMs <= nowMs } }

    mutating func takeAll() -> [EventRow] { take { _, _ in true } }

    private mutating func take(_ isWanted: (Key, Open) -> Bool) -> [EventRow] {
        let keys = open.filter { isWanted($0.key, $0.value) }
        for key in keys.keys { open[key] = nil }
        return keys.values.map(\.done).sorted { $0.startUs < $1.startUs }
    }

    /// Directory with its slash, and name.
    static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return ("", path) }
        let next = path.utf8.index(after: slash)
        return (String(path[..<next]), String(path[next...]))
    }
}
