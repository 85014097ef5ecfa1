import Model
import Synchronization

/// Numbers for the names and values of Prometheus labels, given out by this server itself; the store keeps them in
/// `prometheus_metric_name`, `prometheus_label_name`, `prometheus_label_value` and
/// `prometheus_metric_app_label_layout`.
///
/// A number is put on the list of what is to be saved before any row with it can be made. The store saves the list with
/// every transaction, so a committed row never has a number without its text. Bounded: a series that needs more than
/// there is room for is not stored. Source: ingester.md 6.3 (embedded engine).
package final class PrometheusNames: Sendable {
    package enum Entry: Sendable, Hashable {
        case metric(id: UInt32, name: String)
        case labelName(id: UInt32, name: String)
        case labelValue(id: UInt32, value: String)
        case layout(metric: String, label: String, column: Int)
    }

    /// What a series is in a row.
    package struct Numbers: Sendable, Equatable {
        package var metricID: UInt32
        /// By column, from 0.
        package var labels: [UInt32]
    }

    private struct State {
        var metrics: [String: UInt32] = [:]
        var names: [String: UInt32] = [:]
        var values: [String: UInt32] = [:]
        var layouts: [String: [String: Int]] = [:]
        var textBytes = 0
        var unsaved: [Entry] = []
    }

    private let maxEntries: Int
    private let maxTextBytes: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - maxEntries: of each of metrics, names and values.
    ///   - maxTextBytes: of all texts together.
    package init(maxEntries: Int = 1 << 20, maxTextBytes: Int = 64 << 20) {
        self.maxEntries = maxEntries
        self.maxTextBytes = maxTextBytes
    }

    /// The numbers of a series; new ones are given out. Nil when there is no room, or the metric has more labels than
    /// a row has columns.
    package func numbers(metric: String, labels: [(name: String, value: String)], columns: Int) -> Numbers? {
        state.withLock { state in
            guard let metricID = id(of: metric, in: \.metrics, &state, { .metric(id: $0, name: $1) }) else {
                return nil
            }
            var found = Numbers(metricID: metricID, labels: [])
            for label in labels {
                guard id(of: label.name, in: \.names, &state, { .labelName(id: $0, name: $1) }) != nil,
                    let value = id(of: label.value, in: \.values, &state, { .labelValue(id: $0, value: $1) })
                else { return nil }
                let column: Int
                if let known = state.layouts[metric]?[label.name] {
                    column = known
                } else {
                    column = state.layouts[metric]?.count ?? 0
                    guard column < columns else { return nil }
                    state.layouts[metric, default: [:]][label.name] = column
                    state.unsaved.append(.layout(metric: metric, label: label.name, column: column + 1))
                }
                while found.labels.count <= column { found.labels.append(0) }
                found.labels[column] = value
            }
            return found
        }
    }

    private func id(
        of text: String, in table: WritableKeyPath<State, [String: UInt32]>, _ state: inout State,
        _ entry: (UInt32, String) -> Entry
    ) -> UInt32? {
        if let known = state[keyPath: table][text] { return known }
        let count = state[keyPath: table].count
        guard count < maxEntries, state.textBytes + text.utf8.count <= maxTextBytes else { return nil }
        let id = UInt32(count) + 1
        state[keyPath: table][text] = id
        state.textBytes += text.utf8.count
        state.unsaved.append(entry(id, text))
        return id
    }

    // MARK: The store's side

    /// Takes what the store has kept from earlier runs.
    func restore(_ entries: [Entry]) {
        state.withLock { state in
            for entry in entries {
                switch entry {
                case .metric(let id, let name): state.metrics[name] = id
                case .labelName(let id, let name): state.names[name] = id
                case .labelValue(let id, let value): state.values[value] = id
                case .layout(let metric, let label, let column):
                    state.layouts[metric, default: [:]][label] = column - 1
                }
            }
            for table in [state.metrics, state.names, state.values] {
                for text in table.keys { state.textBytes += text.utf8.count }
            }
        }
    }

    /// What is to be saved with this transaction.
    func takeUnsaved() -> [Entry] {
        state.withLock { state in
            defer { state.unsaved = [] }
            return state.unsaved
        }
    }

    /// The transaction failed: the next one saves them.
    func giveBack(_ entries: [Entry]) { state.withLock { $0.unsaved = entries + $0.unsaved } }
}
