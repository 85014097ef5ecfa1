import Model
import Wire

/// Events of processes and of Kubernetes to rows of the event tables. One a thread. Source: ingester.md 6.4.
final class EventDecoder {
    private static let chunk = 1024

    private let tally: IngesterTally
    private let ids: RowIDs
    private let platform: () -> PlatformData
    private let monotonicMs: () -> UInt64
    private let emit: (RowBatch) -> Void
    private var processes = RootProcesses()
    private var aggregate = FileAggregate()
    private var created = CreatedFiles()
    private var pending: [String: (table: TableSchema, rows: [EventRow])] = [:]

    init(
        tally: IngesterTally, ids: RowIDs, platform: @escaping () -> PlatformData,
        monotonicMs: @escaping () -> UInt64 = { monotonicNs() / 1_000_000 }, emit: @escaping (RowBatch) -> Void
    ) {
        self.tally = tally
        self.ids = ids
        self.platform = platform
        self.monotonicMs = monotonicMs
        self.emit = emit
    }

    // MARK: Processes

    func take(payload: [UInt8], agentID: UInt16, teamID: UInt16) {
        let batch = ProcEventRecord.decodeAll(payload.span.bytes)
        let platform = self.platform()
        var counts = IngesterCounters.Decoder()
        counts.payloads = 1
        counts.errors = UInt64(batch.errors)
        counts.records = UInt64(batch.records.count)
        for record in batch.records {
            if !add(record, agentID, teamID, platform) { counts.dropped += 1 }
        }
        counts.rows = handOn()
        tally.add { $0.procEvent.add(counts) }
    }

    /// Whether the event has a row of its own.
    private func add(
        _ event: ProcEventRecord, _ agentID: UInt16, _ teamID: UInt16, _ platform: PlatformData
    ) -> Bool {
        let gpid = processes.find(
            agent: agentID, pid: event.pid, root: event.rootPID, parent: event.lifecycle?.parentPID ?? 0, platform,
            nowMs: monotonicMs())
        var row = EventRow()
        row.startUs = event.startNs / 1000
        row.endUs = event.endNs / 1000
        row.processName = event.processName
        row.side = AutoTagging(platform: platform).tagEvent(podID: event.podID, gpid: gpid, agentID: agentID)
        row.agentID = agentID
        row.teamID = teamID
        row.appInstance = "\(event.pid)"
        let thread = EventRow.Thread(id: event.threadID, coroutine: event.coroutineID)
        if let operation = event.fileOperation {
            addFileOperation(operation, event, &row)
            let key = CreatedFiles.Key(agentID: agentID, path: operation.path)
            for done in aggregate.take(agentID: agentID, path: operation.path) { put(done, Catalogue.fileAggEvent) }
            guard created.isNew(operation.type, key) else { return false }
            put(row, Catalogue.fileMgmtEvent)
        } else if let change = event.permission {
            row.signalSource = 3
            row.type = EventDecoder.permissionNames[change.type] ?? "permopunknown"
            row.detail = .permission(
                pid: change.pid, rootPID: event.rootPID, old: (change.oldUID, change.oldGID),
                new: (change.newUID, change.newGID), thread)
            put(row, Catalogue.procPermEvent)
        } else if let life = event.lifecycle {
            row.signalSource = 4
            row.type = EventDecoder.lifecycleNames[life.type] ?? "proclifecycleunknown"
            if !life.name.isEmpty { row.processName = life.name }
            row.detail = .process(
                pid: life.pid, parentPID: life.parentPID, rootPID: event.rootPID, uid: life.uid, gid: life.gid,
                commandLine: life.commandLine, executable: life.executable, thread)
            put(row, Catalogue.procOpsEvent)
        } else if let io = event.io {
            addTransfer(io, event, &row)
            put(row, Catalogue.fileEvent)
        } else {
            return false
        }
        return true
    }

    private static let permissionNames: [Int32: String] = [
        1: "permopsetuid", 2: "permopsetgid", 3: "permopsetreuid", 4: "permopsetregid",
    ]
    private static let lifecycleNames: [Int32: String] = [
        1: "proclifecyclefork", 2: "proclifecycleexec", 3: "proclifecycleexit",
    ]
    private static let fileOperationNames: [Int32: String] = [1: "create", 2: "delete", 3: "chmod", 4: "chown"]

    private func addTransfer(_ io: ProcEventRecord.Transfer, _ event: ProcEventRecord, _ row: inout EventRow) {
        row.signalSource = 2
        row.type = io.operation == 1 ? "read" : "write"
        var file = EventRow.File()
        file.bytes = io.byteCount
        file.duration = row.endUs > row.startUs ? row.endUs - row.startUs : 0
        file.name = io.fileName
        file.type = UInt8(truncatingIfNeeded: io.fileType)
        file.offset = io.offset
        file.thread = event.threadID
        file.coroutine = event.coroutineID
        file.mountSource = io.mountSource
        file.mountPoint = io.mountPoint
        file.directory = io.directory
        file.accessPermission = io.accessPermission
        row.detail = .file(file)
        guard event.rootPID != 0 else { return }
        for done in aggregate.add(row, file, pid: event.pid, rootPID: event.rootPID, nowMs: monotonicMs()) {
            put(done, Catalogue.fileAggEvent)
        }
    }

    private func addFileOperation(
        _ operation: ProcEventRecord.FileOperation, _ event: ProcEventRecord, _ row: inout EventRow
    ) {
        row.signalSource = 2
        row.type = EventDecoder.fileOperationNames[operation.type] ?? "unknown"
        var file = EventRow.File()
        // In nanoseconds, unlike that of transfers.
        file.duration = event.endNs > event.startNs ? event.endNs - event.startNs : 0
        (file.directory, file.name) = FileAggregate.split(operation.path)
        file.thread = event.threadID
        file.coroutine = event.coroutineID
        let isMode = operation.type == 3
        let isOwner = operation.type == 4
        file.accessPermission = isMode ? operation.mode : 0
        row.detail = .fileManagement(
            file, rootPID: event.rootPID, uid: isOwner ? operation.uid : 0, gid: isOwner ? operation.gid : 0,
            mode: isMode ? operation.mode : 0)
    }

    // MARK: Kubernetes

    func takeKubernetes(payload: [UInt8], agentID: UInt16, teamID: UInt16) {
        let batch = K8sEventRecord.decodeAll(payload.span.bytes)
        let side = AutoTagging(platform: platform()).tagEvent(podID: 0, gpid: 0, agentID: agentID)
        for record in batch.records {
            var row = EventRow()
            row.startUs = record.firstTimestampUs
            row.endUs = record.firstTimestampUs
            row.signalSource = 3
            row.type = record.type == 1 ? "warning" : "normal"
            row.description = record.message
            row.side = side
            row.agentID = agentID
            row.teamID = teamID
            row.appInstance = record.kind + "/" + record.name
            row.attributes = [
                ("sub_object", record.fieldPath), ("reason", record.reason), ("source.component", record.component),
            ]
            put(row, Catalogue.event)
        }
        var counts = IngesterCounters.Decoder()
        counts.payloads = 1
        counts.errors = UInt64(batch.errors)
        counts.records = UInt64(batch.records.count)
        counts.rows = handOn()
        tally.add { $0.k8sEvent.add(counts) }
    }

    // MARK: Rows

    /// Hands on what has been merged for long enough; called at least once a second.
    func tick() { flushAggregate(aggregate.takeOld(nowMs: monotonicMs())) }

    func flush() { flushAggregate(aggregate.takeAll()) }

    private func flushAggregate(_ rows: [EventRow]) {
        for row in rows { put(row, Catalogue.fileAggEvent) }
        let count = handOn()
        if count > 0 { tally.add { $0.procEvent.rows += count } }
    }

    private func put(_ row: EventRow, _ table: TableSchema) {
        var row = row
        row.id = ids.next(seconds: row.seconds)
        pending[table.name, default: (table, [])].rows.append(row)
    }

    /// Returns how many rows went.
    private func handOn() -> UInt64 {
        var count: UInt64 = 0
        for (_, group) in pending.sorted(by: { $0.key < $1.key }) {
            for start in stride(from: 0, to: group.rows.count, by: Self.chunk) {
                let part = Array(group.rows[start..<min(start + Self.chunk, group.rows.count)])
                emit(RowBatch(group.table, .events(part)))
                count += UInt64(part.count)
            }
        }
        pending.removeAll(keepingCapacity: true)
        return count
    }
}

/// Processes behind events: of the process itself, else of the root of its tree, else of its parent. What a root was is
/// remembered for ten minutes. Source: ingester.md 6.4.
struct RootProcesses {
    private static let ttlMs: UInt64 = 600_000
    private static let limit = 65_536
    private var known: [UInt64: (gpid: UInt32, sinceMs: UInt64)] = [:]

    mutating func find(
        agent: UInt16, pid: UInt32, root: UInt32, parent: UInt32, _ platform: PlatformData, nowMs: UInt64
    ) -> UInt32 {
        if let own = platform.processID(agent: agent, pid: pid) { return own }
        if root != 0 {
            let key = UInt64(agent) << 32 | UInt64(root)
            if let found = platform.processID(agent: agent, pid: root) {
                if known.count >= Self.limit { known.removeAll(keepingCapacity: true) }
                known[key] = (found, nowMs)
                return found
            }
            if let found = known[key], nowMs &- found.sinceMs < Self.ttlMs { return found.gpid }
        }
        return parent == 0 ? 0 : platform.processID(agent: agent, pid: parent) ?? 0
    }
}

/// Files whose creation has been told already: it is told again only after they were deleted. At the bound all are
/// forgotten.
struct CreatedFiles {
    struct Key: Hashable {
        var agentID: UInt16
        var path: String
    }

    private static let limit = 65_536
    /// No path of Linux is longer.
    private static let maxPath = 4096
    private var known: Set<Key> = []

    mutating func isNew(_ operation: Int32, _ key: Key) -> Bool {
        switch operation {
        case 1:
            guard key.path.utf8.count <= Self.maxPath else { return true }
            if known.count >= Self.limit { known.removeAll(keepingCapacity: true) }
            return known.insert(key).inserted
        case 2:
            known.remove(key)
            return true
        default: return true
        }
    }
}
