import Model

/// A value as 128 bits whose order is the order of the value, so that sorting compares no enums and no strings.
struct SortKey: Comparable {
    var high: UInt64
    var low: UInt64

    /// What has no value comes first in ascending order.
    static let missing = SortKey(high: 0, low: 0)

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameter tie: decides between equal numbers.
    init(_ number: Double, tie: UInt64 = 0) {
        let bits = number.bitPattern
        high = bits >> 63 == 1 ? ~bits : bits | 1 << 63
        low = tie
    }

    /// The first sixteen bytes, ASCII letters in any case.
    init(_ text: String) {
        var words: (UInt64, UInt64) = (0, 0)
        var count = 0
        for byte in text.utf8 {
            let folded = byte >= 65 && byte <= 90 ? byte | 0x20 : byte
            if count < 8 { words.0 |= UInt64(folded) << UInt64(56 - count * 8) }
            if count >= 8 { words.1 |= UInt64(folded) << UInt64(120 - count * 8) }
            count += 1
            if count == 16 { break }
        }
        self.init(high: words.0, low: words.1)
    }

    init(_ address: IPAddress) {
        self.init(high: address.high, low: address.low)
    }

    init(_ value: FieldValue?) {
        switch value {
        case .int(let number)?: self.init(Double(number))
        case .uint(let number)?: self.init(Double(number))
        case .real(let number)?: self.init(number)
        case .text(let text)?: self.init(text)
        case .list(let values)?: self.init(Double(values.count))
        case .null?, nil: self = .missing
        }
    }

    @inline(__always)
    static func < (one: SortKey, other: SortKey) -> Bool {
        one.high == other.high ? one.low < other.low : one.high < other.high
    }
}

/// A row of a live list.
protocol LiveRecord: FieldSource, Sendable {
    var id: UInt64 { get }
    func sortKey(_ column: FilterColumn) -> SortKey
}

extension LiveRecord {
    func sortKey(_ column: FilterColumn) -> SortKey { SortKey(field(column)) }
}

/// The rows of one page: those that match, in order, from `offset` on.
enum PageSelection {
    private struct Entry {
        var key: SortKey
        var id: UInt64
        var index: Int32
    }

    /// Pages up to here keep only their best rows; deeper ones sort everything that matches.
    private static let heapBound = 1024

    /// - Returns: indices into `records`, and how many match in all.
    static func select<Record: LiveRecord>(
        from records: [Record], filter: Filter, sort: FilterColumn, isDescending: Bool, offset: Int, limit: Int
    ) -> (indices: [Int], matched: Int) {
        let wanted = offset + limit
        let matchesAll = filter.isEverything
        var entries: [Entry] = []
        var matched = 0
        // Before: rows that come first. Equal keys stand in the order of their ids, so pages do not flicker.
        let before = { (one: Entry, other: Entry) -> Bool in
            if one.key != other.key { return isDescending ? other.key < one.key : one.key < other.key }
            return one.id < other.id
        }
        if wanted <= heapBound {
            entries.reserveCapacity(wanted)
            for index in records.indices where matchesAll || filter.matches(records[index]) {
                matched += 1
                let entry = Entry(key: records[index].sortKey(sort), id: records[index].id, index: Int32(index))
                if entries.count < wanted {
                    entries.append(entry)
                    siftUp(&entries, before)
                } else if let worst = entries.first, before(entry, worst) {
                    entries[0] = entry
                    siftDown(&entries, before)
                }
            }
        } else {
            for index in records.indices where matchesAll || filter.matches(records[index]) {
                matched += 1
                entries.append(
                    Entry(key: records[index].sortKey(sort), id: records[index].id, index: Int32(index)))
            }
        }
        entries.sort(by: before)
        return (entries.dropFirst(offset).prefix(limit).map { Int($0.index) }, matched)
    }

    // A heap with the last row of the page on top.

    private static func siftUp(_ entries: inout [Entry], _ before: (Entry, Entry) -> Bool) {
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard before(entries[parent], entries[child]) else { return }
            entries.swapAt(parent, child)
            child = parent
        }
    }

    private static func siftDown(_ entries: inout [Entry], _ before: (Entry, Entry) -> Bool) {
        var parent = 0
        while true {
            var largest = parent
            for child in [parent * 2 + 1, parent * 2 + 2] where child < entries.count {
                if before(entries[largest], entries[child]) { largest = child }
            }
            guard largest != parent else { return }
            entries.swapAt(largest, parent)
            parent = largest
        }
    }
}
