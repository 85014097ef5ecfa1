import Capture
import Model
import Pipeline
import ServerCore

#if canImport(Glibc)
    import Glibc
#endif

/// Prints what the pipeline hands on. In live capture batches come from several stage threads; a lock keeps lines whole.
///
/// `@unchecked Sendable`: everything mutable is touched while `lock` is held.
final class PrintSink: RecordSink, AgentPipeline.Observer, @unchecked Sendable {
    struct Options {
        var kind: PrintCommand.Kind
        var format: OutputFormat
        var filter: Filter?
        var count: Int?
        /// One-second flows or documents; nil: minute flows, both kinds of documents.
        var perSecond: Bool?
        var table: String?
        var isLive: Bool
    }

    private let options: Options
    private let lock = Lock()
    private let rows = RowMaker()
    private let budget: RowBudget
    private var writers: [String: RowWriter] = [:]
    /// The only writer whose buffer may hold rows, so that rows of several tables keep their order.
    private var current: RowWriter?
    private var order = WindowOrder()

    init(options: Options) {
        self.options = options
        budget = RowBudget(options.count)
    }

    /// `errno` of a write to stdout that failed.
    var writeError: Int32 { lock.withLock { budget.writeError } }
    var isSatisfied: Bool { lock.withLock { budget.isSpent } }
    var wantsDocuments: Bool { options.kind == .metrics }
    var wantsL7Logs: Bool { options.kind == .l7 }
    var wantsSecondFlows: Bool { options.kind == .flows && options.perSecond == true }

    // MARK: - RecordSink

    func send(documents: [Document]) {
        guard options.kind == .metrics else { return }
        locked {
            for document in documents {
                let isSecond = document.flags & Document.perSecond != 0
                if let wanted = options.perSecond, wanted != isSecond { continue }
                guard case .success(let row) = rows.row(document), let table = row.table(perSecond: isSecond) else {
                    continue
                }
                if let name = options.table, name != table.name, name != table.name.split(separator: ".")[0],
                    name != table.qualifiedName
                {
                    continue
                }
                writer(table, constants: [("table", table.name)]).write(row)
            }
            endBatch()
        }
    }

    func send(flowLogs: [TaggedFlow]) {
        guard options.kind == .flows, options.perSecond != true else { return }
        printFlows(flowLogs)
    }

    func observe(secondFlows: [TaggedFlow]) {
        guard wantsSecondFlows else { return }
        printFlows(secondFlows)
    }

    func send(l7Logs: [L7FlowLog]) {
        guard options.kind == .l7 else { return }
        locked {
            let writer = writer(Catalogue.l7FlowLog)
            for log in l7Logs { writer.write(rows.row(log)) }
            endBatch()
        }
    }

    /// What is still held, and the header of a table that has no rows.
    func flush() {
        locked {
            if options.kind == .flows {
                let writer = writer(Catalogue.l4FlowLog)
                order.takeAll { writer.write(rows.row($0)) }
            }
            if writers.isEmpty { _ = onlyWriter }
            for writer in writers.values { writer.finish() }
        }
    }

    // MARK: - Observer

    var wantsPackets: Bool { options.kind == .packets }
    var wantsMessages: Bool { options.kind == .l7Messages }

    func observe(packet: MetaPacket, frame: CaptureFrame) {
        guard wantsPackets else { return }
        locked { writer(Catalogue.packets).write(PacketRow(packet: packet, frame: frame)) }
    }

    func observe(messages: [L7Message]) {
        guard wantsMessages else { return }
        locked {
            for message in messages where !message.isOnBlacklist {
                let log = message.standalone()
                var extras: [(name: String, value: FieldValue)] = [
                    ("message", .text(message.type.text)),
                    ("protocol", .text(message.l7Protocol.displayName.lowercased())),
                ]
                if let ids = log.trace?.traceIDs, ids.count > 1 {
                    extras.append(("trace_ids", .list(ids.map { .text($0) })))
                }
                messageWriter.write(rows.row(message: log), extras: extras)
            }
            endBatch()
        }
    }

    // MARK: -

    /// A replay has one thread.
    private func locked(_ body: () -> Void) {
        if options.isLive { lock.withLock(body) } else { body() }
    }

    private func printFlows(_ flows: [TaggedFlow]) {
        locked {
            let writer = writer(Catalogue.l4FlowLog)
            if options.isLive {
                for flow in flows { writer.write(rows.row(flow)) }
            } else {
                order.add(flows)
                order.takeSettled { writer.write(rows.row($0)) }
            }
            endBatch()
        }
    }

    private func writer(
        _ table: TableSchema, extras: [String] = [], constants: [(name: String, value: String)] = [],
        hiding: Set<String> = []
    ) -> RowWriter {
        if let current, current.table.name == table.name { return current }
        current?.drain()
        if let writer = writers[table.name] {
            current = writer
            return writer
        }
        let writer = RowWriter(
            table: table, format: options.format, filter: options.filter, budget: budget, isPrompt: options.isLive,
            extras: extras, constants: constants, hiding: hiding)
        writers[table.name] = writer
        current = writer
        return writer
    }

    private var messageWriter: RowWriter {
        writer(Catalogue.l7FlowLog, extras: ["message", "protocol"], hiding: ["protocol"])
    }

    /// Of a command that prints one table.
    private var onlyWriter: RowWriter? {
        switch options.kind {
        case .packets: writer(Catalogue.packets)
        case .flows: writer(Catalogue.l4FlowLog)
        case .l7: writer(Catalogue.l7FlowLog)
        case .l7Messages: messageWriter
        case .metrics: PrintCommand.metricsTables.first { $0.name == options.table }.map { writer($0) }
        }
    }

    private func endBatch() {
        current?.endBatch()
    }
}

/// A mutual exclusion lock for code that is not worth splitting into a guarded value.
final class Lock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func withLock<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }
}
