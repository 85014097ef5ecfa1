import CSQLite
import Glibc
import Model

/// Inserts rows into one partition through one prepared statement.
///
/// A parameter that holds its type's default already is not bound again: most columns of most rows are defaults, and a
/// bind costs more than the whole column does otherwise. Owned by the writer thread.
final class RowInserter: RowEncoder {
    private enum Default: UInt8 {
        case zero
        case emptyText
        case null
    }

    let partition: String
    private let statement: SQLiteStatement
    private let connection: SQLiteConnection
    private let dictionary: StringDictionary
    private let table: SQLiteTable
    /// Parameter of each column; 0 for one that the partition does not have yet, -1 for one that is not kept.
    private let parameters: [Int32]
    private let isNullable: [Bool]
    /// Columns that the row needs and the partition lacks.
    private(set) var missing: [Int] = []
    private let usesDictionary: [Bool]
    private var holdsDefault: [Bool]
    private let defaults: [Default]
    private var index = 0
    /// Texts of the row, alive until the statement has run.
    private let texts: UnsafeMutablePointer<UInt8>
    private var textsUsed = 0
    private static let textsSize = 1 << 16
    private var failure: SQLiteError?
    private var hasher: RollupKeyHasher?
    private let rollupTime: UInt64

    /// - Parameter layout: columns of the partition, in its order.
    init(
        table: SQLiteTable, partition: String, layout: [Int], connection: SQLiteConnection,
        dictionary: StringDictionary
    ) throws {
        self.table = table
        self.partition = partition
        self.connection = connection
        self.dictionary = dictionary
        statement = try connection.prepare(table.insert(into: partition, layout: layout), persistent: true)
        let columns = table.schema.columns
        var parameters = Array(repeating: Int32(-1), count: columns.count)
        for position in table.kept { parameters[position] = 0 }
        let first: Int32 = table.rollupSeconds == nil ? 1 : 2
        for (number, position) in layout.enumerated() { parameters[position] = first + Int32(number) }
        self.parameters = parameters
        isNullable = columns.map(\.isNullable)
        usesDictionary = columns.map(\.isLowCardinality)
        holdsDefault = Array(repeating: false, count: columns.count)
        defaults = columns.map { column in
            switch column.kind {
            case _ where column.isNullable: .null
            case .text: .emptyText
            case .ip6, .texts, .uints, .reals: .null
            case .uint, .int, .real, .seconds, .micros, .ip4, .mac: .zero
            }
        }
        rollupTime = table.rollupSeconds ?? 0
        hasher = table.rollupSeconds.map { _ in RollupKeyHasher(columns: columns) }
        texts = .allocate(capacity: Self.textsSize)
    }

    deinit { texts.deallocate() }

    /// False when the partition lacks columns for the row, which is not stored then; see `missing`.
    /// - Throws: `SQLiteError`; the row is not stored then.
    func insert(_ row: some StoredRow) throws -> Bool {
        index = 0
        missing.removeAll(keepingCapacity: true)
        textsUsed = 0
        failure = nil
        if var hasher {
            row.encode(into: &hasher)
            statement.bind(1, hasher.key(start: row.seconds / rollupTime * rollupTime))
            self.hasher = hasher.reset()
        }
        var encoder = self
        row.encode(into: &encoder)
        if let failure { throw failure }
        guard missing.isEmpty else { return false }
        let status = sqlite3_step(statement.handle)
        guard status == SQLITE_DONE else {
            let error = connection.error(status)
            statement.reset()
            throw error
        }
        statement.reset()
        return true
    }

    /// The parameter to bind for the next column, 0 when there is nothing to do.
    @inline(__always)
    private func next(isDefault: Bool) -> Int32 {
        let column = index
        index &+= 1
        guard column < parameters.count else { return 0 }
        let parameter = parameters[column]
        if parameter > 0 {
            if isDefault, !isNullable[column] {
                if !holdsDefault[column] { bindDefault(parameter, column) }
                return 0
            }
            holdsDefault[column] = false
            return parameter
        }
        if parameter == 0, !isDefault || isNullable[column] { missing.append(column) }
        return 0
    }

    private func bindDefault(_ parameter: Int32, _ column: Int) {
        holdsDefault[column] = true
        switch defaults[column] {
        case .zero: sqlite3_bind_int64(statement.handle, parameter, 0)
        case .emptyText: sqlite3_bind_text(statement.handle, parameter, emptyText, 0, nil)
        case .null: sqlite3_bind_null(statement.handle, parameter)
        }
    }

    private func bind(_ parameter: Int32, text: String) {
        var text = text
        text.withUTF8 { bytes in
            let length = bytes.count
            guard length <= Self.textsSize - textsUsed, let start = bytes.baseAddress else {
                let start = UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self) ?? emptyText
                let status = sqlite3_bind_text(
                    statement.handle, parameter, start, Int32(clamping: length), transient)
                if status != SQLITE_OK { failure = connection.error(status) }
                return
            }
            let copy = texts + textsUsed
            memcpy(copy, start, length)
            textsUsed += length
            sqlite3_bind_text(
                statement.handle, parameter, UnsafeRawPointer(copy).assumingMemoryBound(to: CChar.self),
                Int32(length), nil)
        }
    }

    func uint(_ value: UInt64) {
        let parameter = next(isDefault: value == 0)
        if parameter != 0 { sqlite3_bind_int64(statement.handle, parameter, Int64(bitPattern: value)) }
    }

    func int(_ value: Int64) {
        let parameter = next(isDefault: value == 0)
        if parameter != 0 { sqlite3_bind_int64(statement.handle, parameter, value) }
    }

    func real(_ value: Double) {
        let parameter = next(isDefault: value == 0)
        if parameter != 0 { sqlite3_bind_double(statement.handle, parameter, value) }
    }

    func text(_ value: String) {
        let column = index
        let parameter = next(isDefault: value.isEmpty)
        guard parameter != 0 else { return }
        if usesDictionary[column] {
            let length = value.utf8.count
            if length >= StringDictionary.minLength, length <= StringDictionary.maxLength {
                do {
                    if let id = try dictionary.id(of: value) {
                        sqlite3_bind_int64(statement.handle, parameter, id)
                        return
                    }
                } catch {
                    failure = error as? SQLiteError
                }
            }
        }
        bind(parameter, text: value)
    }

    func bytes(_ value: [UInt8]) {
        let parameter = next(isDefault: value.isEmpty)
        guard parameter != 0 else { return }
        value.withUnsafeBytes { raw in
            let status = sqlite3_bind_blob(
                statement.handle, parameter, raw.baseAddress, Int32(clamping: raw.count), transient)
            if status != SQLITE_OK { failure = connection.error(status) }
        }
    }

    func time(seconds: UInt64) {
        let shown = rollupTime == 0 ? seconds : seconds / rollupTime * rollupTime
        let parameter = next(isDefault: shown == 0)
        if parameter != 0 { sqlite3_bind_int64(statement.handle, parameter, Int64(bitPattern: shown)) }
    }

    func time(micros: UInt64) { uint(micros) }

    func ip4(_ value: UInt32) { uint(UInt64(value)) }

    func ip6(_ value: IPAddress) {
        let parameter = next(isDefault: value.isZero)
        guard parameter != 0 else { return }
        let bytes = (value.high.bigEndian, value.low.bigEndian)
        withUnsafeBytes(of: bytes) { raw in
            _ = sqlite3_bind_blob(statement.handle, parameter, raw.baseAddress, 16, transient)
        }
    }

    func mac(_ value: UInt64) { uint(value) }

    func texts(_ values: [String]) {
        let parameter = next(isDefault: values.isEmpty)
        if parameter != 0 { bind(parameter, text: FieldValue.list(values.map { .text($0) }).json) }
    }

    func uints(_ values: [UInt64]) {
        let parameter = next(isDefault: values.isEmpty)
        if parameter != 0 { bind(parameter, text: FieldValue.list(values.map { .uint($0) }).json) }
    }

    func reals(_ values: [Double]) {
        let parameter = next(isDefault: values.isEmpty)
        if parameter != 0 { bind(parameter, text: FieldValue.list(values.map { .real($0) }).json) }
    }

    /// The default of a nullable column.
    func null() {
        let column = index
        index &+= 1
        guard column < parameters.count, parameters[column] > 0, !holdsDefault[column] else { return }
        bindDefault(parameters[column], column)
    }
}

/// Finds the columns that rows need, before their partition is made.
struct ColumnProbe: RowEncoder {
    private let isNullable: [Bool]
    private var index = 0
    private(set) var isNeeded: [Bool]

    init(columns: [ColumnSchema]) {
        isNullable = columns.map(\.isNullable)
        isNeeded = columns.map { _ in false }
    }

    mutating func look(at row: some TableRow) {
        index = 0
        row.encode(into: &self)
    }

    private mutating func next(isDefault: Bool) {
        if index < isNeeded.count, !isDefault || isNullable[index] { isNeeded[index] = true }
        index += 1
    }

    mutating func uint(_ value: UInt64) { next(isDefault: value == 0) }
    mutating func int(_ value: Int64) { next(isDefault: value == 0) }
    mutating func real(_ value: Double) { next(isDefault: value == 0) }
    mutating func text(_ value: String) { next(isDefault: value.isEmpty) }
    mutating func bytes(_ value: [UInt8]) { next(isDefault: value.isEmpty) }
    mutating func time(seconds: UInt64) { next(isDefault: false) }
    mutating func time(micros: UInt64) { next(isDefault: micros == 0) }
    mutating func ip4(_ value: UInt32) { next(isDefault: value == 0) }
    mutating func ip6(_ value: IPAddress) { next(isDefault: value.isZero) }
    mutating func mac(_ value: UInt64) { next(isDefault: value == 0) }
    mutating func texts(_ values: [String]) { next(isDefault: values.isEmpty) }
    mutating func uints(_ values: [UInt64]) { next(isDefault: values.isEmpty) }
    mutating func reals(_ values: [Double]) { next(isDefault: values.isEmpty) }
    mutating func null() { index += 1 }
}

/// A 64-bit key of the group-by columns of a row, in which roll-ups find the row to add to.
///
/// Two different keys collide once in 2^32 rows of an interval by the birthday bound, far above what an interval holds.
struct RollupKeyHasher: RowEncoder {
    private let isKey: [Bool]
    private var index = 0
    private var state: UInt64 = 0x9e37_79b9_7f4a_7c15

    init(columns: [ColumnSchema]) {
        isKey = columns.map { $0.rollup == .groupBy && $0.name != "time" }
    }

    func reset() -> RollupKeyHasher {
        var fresh = self
        fresh.index = 0
        fresh.state = 0x9e37_79b9_7f4a_7c15
        return fresh
    }

    func key(start: UInt64) -> Int64 {
        var last = self
        last.mix(start)
        return Int64(bitPattern: last.state)
    }

    @inline(__always)
    private mutating func mix(_ value: UInt64) {
        let product = (state ^ value).multipliedFullWidth(by: 0xd6e8_feb8_6659_fd93)
        state = product.high ^ product.low &+ value &* 0x9e37_79b9_7f4a_7c15
        state ^= state >> 29
    }

    @inline(__always)
    private mutating func add(_ value: UInt64) {
        if index < isKey.count, isKey[index] { mix(value) }
        index += 1
    }

    mutating func uint(_ value: UInt64) { add(value) }
    mutating func int(_ value: Int64) { add(UInt64(bitPattern: value)) }
    mutating func real(_ value: Double) { add(value.bitPattern) }
    mutating func time(seconds: UInt64) { add(seconds) }
    mutating func time(micros: UInt64) { add(micros) }
    mutating func ip4(_ value: UInt32) { add(UInt64(value)) }
    mutating func mac(_ value: UInt64) { add(value) }
    mutating func null() { add(0x6e75_6c6c) }

    mutating func ip6(_ value: IPAddress) {
        let column = index
        add(value.high)
        if column < isKey.count, isKey[column] { mix(value.low) }
    }

    mutating func text(_ value: String) {
        if index < isKey.count, isKey[index] {
            var word: UInt64 = 0
            var count: UInt64 = 0
            for byte in value.utf8 {
                word = word << 8 | UInt64(byte)
                count &+= 1
                if count & 7 == 0 { mix(word) }
            }
            mix(word ^ count << 56)
        }
        index += 1
    }

    mutating func texts(_ values: [String]) { index += 1 }
    mutating func uints(_ values: [UInt64]) { index += 1 }
    mutating func reals(_ values: [Double]) { index += 1 }
}
