/// Which quadruples of a slot make which documents, before any document is written.
///
/// A reference names a quadruple and one of its two documents; most documents have one quadruple, further ones are
/// chained. Keys are not stored: they are made again from the quadruple when hashes agree.
struct DocumentPlan: ~Copyable {
    struct Reference: BitwiseCopyable {
        private let bits: UInt32

        @inline(__always)
        init(_ position: Int, isSingle: Bool) {
            bits = UInt32(truncatingIfNeeded: position) << 1 | (isSingle ? 1 : 0)
        }

        var position: Int { Int(bits >> 1) }
        /// One end of the flow rather than the pair.
        var isSingle: Bool { bits & 1 == 1 }
    }

    struct Item: BitwiseCopyable {
        let first: Reference
        /// Merged quadruples as a chain; `none` = only the first.
        fileprivate(set) var firstMerge: UInt32
        fileprivate var lastMerge: UInt32
    }

    struct Merge: BitwiseCopyable {
        let reference: Reference
        fileprivate(set) var next: UInt32
    }

    static var none: UInt32 { .max }

    private var positions = PositionTable()
    private var items = BlockArray<Item>()
    private var merges = BlockArray<Merge>()
    /// By position of the quadruple.
    private var loads = BlockArray<DocumentWriter.Load>()
    private var shrinker = ShrinkRule()

    /// Documents.
    var count: Int { items.count }
    var capacity: Int { items.capacity }
    var shrinks: UInt64 { shrinker.shrinks }

    @inline(__always)
    func item(_ number: Int) -> Item { items[number].pointee }

    @inline(__always)
    func merge(_ number: UInt32) -> Merge { merges[Int(number)].pointee }

    @inline(__always)
    func load(_ position: Int) -> DocumentWriter.Load { loads[position].pointee }

    /// Keeps the load of the next quadruple.
    @inline(__always)
    mutating func append(_ load: DocumentWriter.Load) { loads.append().initialize(to: load) }

    /// Adds what is a document of its own. False = refused because there are `limit`.
    @inline(__always)
    mutating func add(_ reference: Reference, limit: Int) -> Bool {
        guard items.count < limit else { return false }
        items.append().initialize(
            to: Item(first: reference, firstMerge: DocumentPlan.none, lastMerge: DocumentPlan.none))
        return true
    }

    /// Adds to the document of a key. False = a new document, refused because there are `limit`.
    /// - Parameter key: makes the key of a reference again.
    @inline(__always)
    mutating func add(
        _ reference: Reference, _ key: DocumentKey, limit: Int, keyOf: (Reference) -> DocumentKey
    ) -> Bool {
        let hash = key.hash
        if let found = positions.find(hash, { key.equals(keyOf(items[$0].pointee.first)) }) {
            chain(reference, to: items[found])
            return true
        }
        let position = items.count
        guard add(reference, limit: limit) else { return false }
        positions.insert(hash, position: position)
        return true
    }

    private mutating func chain(_ reference: Reference, to item: UnsafeMutablePointer<Item>) {
        let number = UInt32(truncatingIfNeeded: merges.count)
        merges.append().initialize(to: Merge(reference: reference, next: DocumentPlan.none))
        if item.pointee.firstMerge == DocumentPlan.none {
            item.pointee.firstMerge = number
        } else {
            merges[Int(item.pointee.lastMerge)].pointee.next = number
        }
        item.pointee.lastMerge = number
    }

    mutating func removeAll() {
        let length = items.count
        positions.removeAll()
        items.removeAll()
        merges.removeAll()
        loads.removeAll()
        if let room = shrinker.room(after: length, capacity: items.capacity) {
            items.shrink(to: room)
            merges.shrink(to: room)
            loads.shrink(to: room)
            positions.reset(capacity: room)
        }
    }
}
