import Logging
import Model
import Synchronization

/// Log lines while the screens own the terminal: the newest few, for the status of the engine. Source: style.md 5.
struct LogRing: LogHandler {
    private static let capacity = 200
    private static let lines = Mutex<[String]>([])

    let label: String
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .notice

    /// Sends all log output here instead of stderr. Once, before any logger is made.
    static func bootstrap() {
        LoggingSystem.bootstrap { LogRing(label: $0) }
    }

    /// Warnings and errors, oldest first.
    static var troubles: [String] { lines.withLock { $0 } }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        guard event.level >= .warning else { return }
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        let facts = all.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
        let line = "\(label): \(event.message)" + (facts.isEmpty ? "" : " (\(facts))")
        LogRing.lines.withLock { lines in
            if lines.last == line { return }
            lines.append(line)
            if lines.count > LogRing.capacity { lines.removeFirst(lines.count - LogRing.capacity) }
        }
    }
}
