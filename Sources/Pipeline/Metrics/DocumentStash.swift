import Model

/// The documents of one window slot, in the order in which they appeared.
///
/// Documents are built once, in the batches in which they leave, and summed up in place; the keys lie beside them.
struct DocumentStash: ~Copyable {
    struct Entry: BitwiseCopyable {
        var key: DocumentKey
        /// Connections that the load of the next merge starts from.
        var flowCount: UInt64
    }

    static var batchShift: Int { 10 }
    static var batchSize: Int { 1 << batchShift }
    private static var mostSpare: Int { 64 }

    private var positions = PositionTable()
    private var entries = BlockArray<Entry>()
    private var batches: [[Document]] = []
    /// Batches whose memory is used again.
    private var spare: [[Document]] = []
    private let template: UnsafeMutablePointer<Document>
    private var lastLength = 64
    private var shrinker = ShrinkRule()

    init() {
        template = .allocate(capacity: 1)
        template.initialize(to: Document())
    }

    deinit {
        template.deinitialize(count: 1)
        template.deallocate()
    }

    var count: Int { entries.count }
    var capacity: Int { entries.capacity }
    var shrinks: UInt64 { shrinker.shrinks }

    @inline(__always)
    func find(_ key: DocumentKey, _ hash: UInt64) -> Int? {
        positions.find(hash) { key.equals(entries[$0].pointer(to: \.key).unsafelyUnwrapped) }
    }

    /// A new document, zero but for what `fill` writes into it in place.
    @inline(__always)
    mutating func append(
        _ key: DocumentKey, _ hash: UInt64, flowCount: UInt32, _ fill: (UnsafeMutablePointer<Document>) -> Void
    ) {
        let position = entries.count
        entries.append().initialize(to: Entry(key: key, flowCount: UInt64(flowCount)))
        positions.insert(hash, position: position) { entries[$0].pointee.key.hash }
        if position & (Self.batchSize - 1) == 0 { addBatch(position) }
        batches[position >> Self.batchShift].append(addingCapacity: 1) { (output: inout OutputSpan<Document>) in
            output.withUnsafeMutableBufferPointer { buffer, count in
                guard let base = buffer.baseAddress else { return }
                // The template's texts are empty and own no memory, so its bytes may be copied.
                UnsafeMutableRawPointer(base + count).copyMemory(
                    from: template, byteCount: MemoryLayout<Document>.size)
                fill(base + count)
                count += 1
            }
        }
    }

    @inline(never)
    private mutating func addBatch(_ position: Int) {
        var batch = spare.popLast() ?? []
        batch.reserveCapacity(position > 0 ? Self.batchSize : min(Self.batchSize, max(lastLength * 5 / 4, 64)))
        batches.append(batch)
    }

    /// Takes a batch back after it was sent, to use its memory again if nobody else holds it.
    mutating func recycle(_ batch: consuming [Document]) {
        guard spare.count < Self.mostSpare else { return }
        batch.removeAll(keepingCapacity: true)
        spare.append(batch)
    }

    /// Adds a quadruple to the document at `position`, and its load by the rule for merges.
    @inline(__always)
    mutating func merge(_ view: QuadrupleView, swapped: Bool, at position: Int) {
        let entry = entries[position]
        let closed = UInt64(view.entry.pointee.closedFlow)
        let load = entry.pointee.flowCount &+ UInt64(view.entry.pointee.newFlow)
        entry.pointee.flowCount = load > closed ? load &- closed : 0
        withMeter(at: position, as: FlowMeter.self) { own in
            view.add(to: own, swapped: swapped)
            own.pointee.load = load
        }
    }

    @inline(__always)
    mutating func merge(_ meter: AppMeter, at position: Int) {
        withMeter(at: position, as: AppMeter.self) { $0.pointee.merge(meter) }
    }

    /// Gives all documents another slot, keeping their time spans apart.
    mutating func restamp(_ start: UInt32, slotSeconds: UInt32) {
        for batch in batches.indices {
            for index in batches[batch].indices {
                let position = batch << Self.batchShift + index
                let span = UInt32(truncatingIfNeeded: entries[position].pointee.key.place & 0xff_ffff)
                let back = span &* slotSeconds
                batches[batch][index].timestamp = start > back ? start - back : 0
            }
        }
    }

    /// Takes all documents in batches of at most 1024 and empties the stash.
    mutating func take() -> [[Document]] {
        let length = entries.count
        let taken = batches
        batches = []
        lastLength = length
        positions.removeAll()
        entries.removeAll()
        if let room = shrinker.room(after: length, capacity: entries.capacity) {
            entries.shrink(to: room)
            positions.reset(capacity: room)
        }
        return taken
    }

    /// The payload of a `Meter` in place. It lies at the start of the enum: no case has bits that another could use
    /// for its number (a test holds this). Going through `switch` would copy the meter twice.
    @inline(__always)
    static func meter<Payload: BitwiseCopyable>(
        of document: UnsafeMutablePointer<Document>, as type: Payload.Type
    ) -> UnsafeMutablePointer<Payload> {
        let meter = document.pointer(to: \.meter).unsafelyUnwrapped
        return UnsafeMutableRawPointer(meter).assumingMemoryBound(to: type)
    }

    @inline(__always)
    private mutating func withMeter<Payload: BitwiseCopyable>(
        at position: Int, as type: Payload.Type, _ body: (UnsafeMutablePointer<Payload>) -> Void
    ) {
        batches[position >> Self.batchShift].withUnsafeMutableBufferPointer { batch in
            guard let base = batch.baseAddress else { return }
            body(DocumentStash.meter(of: base + (position & (Self.batchSize - 1)), as: type))
        }
    }
}
