import CSQLite

/// Numbers for long strings that come again and again. Bounded: once full, further strings are stored as they are.
///
/// Owned by the writer thread. Source: design.md 5 (narrow rows, ids for strings).
final class StringDictionary {
    /// Shorter strings cost no more than their number.
    static let minLength = 9
    static let maxLength = 256

    private let limit: Int
    private var ids: [String: Int64] = [:]
    private var nextID: Int64 = 1
    /// Entries of the open transaction, which a rollback takes back.
    private var added: [String] = []
    private let insert: SQLiteStatement

    init(connection: SQLiteConnection, limit: Int = 65_536) throws {
        self.limit = limit
        try connection.execute("CREATE TABLE IF NOT EXISTS dictionary (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        let rows = try connection.prepare("SELECT id, text FROM dictionary")
        while try rows.step() {
            ids[rows.text(1)] = rows.int(0)
            nextID = max(nextID, rows.int(0) + 1)
        }
        insert = try connection.prepare("INSERT INTO dictionary (id, text) VALUES (?, ?)", persistent: true)
    }

    /// The number of a string; nil when it is stored as it is.
    func id(of text: String) throws -> Int64? {
        if let known = ids[text] { return known }
        guard ids.count < limit else { return nil }
        insert.bind(1, nextID)
        insert.bind(2, text)
        try insert.run()
        ids[text] = nextID
        added.append(text)
        nextID += 1
        return nextID - 1
    }

    func committed() { added.removeAll(keepingCapacity: true) }

    func rolledBack() {
        for text in added { ids[text] = nil }
        added.removeAll(keepingCapacity: true)
    }
}
