import CSQLite

/// The tables behind `PrometheusNames`, named as those of the controller's database. Owned by the writer thread.
final class PrometheusTables {
    private let connection: SQLiteConnection
    private let insertMetric: SQLiteStatement
    private let insertName: SQLiteStatement
    private let insertValue: SQLiteStatement
    private let insertLayout: SQLiteStatement

    init(connection: SQLiteConnection) throws {
        self.connection = connection
        try connection.execute(
            """
            CREATE TABLE IF NOT EXISTS prometheus_metric_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS prometheus_label_name (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS prometheus_label_value (id INTEGER PRIMARY KEY, value TEXT NOT NULL);
            CREATE TABLE IF NOT EXISTS prometheus_metric_app_label_layout (
                metric_name TEXT NOT NULL, app_label_name TEXT NOT NULL, app_label_column_index INTEGER NOT NULL,
                PRIMARY KEY (metric_name, app_label_name)) WITHOUT ROWID
            """)
        func statement(_ table: String, _ marks: String) throws -> SQLiteStatement {
            try connection.prepare("INSERT OR REPLACE INTO \(table) VALUES (\(marks))", persistent: true)
        }
        insertMetric = try statement("prometheus_metric_name", "?, ?")
        insertName = try statement("prometheus_label_name", "?, ?")
        insertValue = try statement("prometheus_label_value", "?, ?")
        insertLayout = try statement("prometheus_metric_app_label_layout", "?, ?, ?")
    }

    func all() throws -> [PrometheusNames.Entry] {
        var entries: [PrometheusNames.Entry] = []
        let metrics = try connection.prepare("SELECT id, name FROM prometheus_metric_name")
        while try metrics.step() { entries.append(.metric(id: id(metrics), name: metrics.text(1))) }
        let names = try connection.prepare("SELECT id, name FROM prometheus_label_name")
        while try names.step() { entries.append(.labelName(id: id(names), name: names.text(1))) }
        let values = try connection.prepare("SELECT id, value FROM prometheus_label_value")
        while try values.step() { entries.append(.labelValue(id: id(values), value: values.text(1))) }
        let layouts = try connection.prepare("SELECT * FROM prometheus_metric_app_label_layout")
        while try layouts.step() {
            entries.append(
                .layout(metric: layouts.text(0), label: layouts.text(1), column: max(1, Int(clamping: layouts.int(2)))))
        }
        return entries
    }

    func insert(_ entries: [PrometheusNames.Entry]) throws {
        for entry in entries {
            switch entry {
            case .metric(let id, let name): try insert(insertMetric, id, name)
            case .labelName(let id, let name): try insert(insertName, id, name)
            case .labelValue(let id, let value): try insert(insertValue, id, value)
            case .layout(let metric, let label, let column):
                insertLayout.bind(1, metric)
                insertLayout.bind(2, label)
                insertLayout.bind(3, Int64(column))
                try insertLayout.run()
            }
        }
    }

    private func insert(_ statement: SQLiteStatement, _ id: UInt32, _ text: String) throws {
        statement.bind(1, Int64(id))
        statement.bind(2, text)
        try statement.run()
    }

    private func id(_ statement: SQLiteStatement) -> UInt32 { UInt32(clamping: statement.int(0)) }
}
