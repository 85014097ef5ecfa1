import Model

/// The L7 documents of one window slot, in the order in which they appeared: tags and sums, written out as documents
/// only when their batch leaves.
final class AppStash {
    struct Entry: BitwiseCopyable {
        let tag: DocumentTag
        let facts: AppFacts
        var meter: AppMeter

        @inline(__always)
        var key: DocumentKey { DocumentKey(tag, facts) }

        @inline(__always)
        mutating func merge(_ other: UnsafePointer<AppEntry>) {
            meter.request &+= other.pointee.request
            meter.response &+= other.pointee.response
            meter.directionScore = max(meter.directionScore, other.pointee.directionScore)
            meter.rrt.max = max(meter.rrt.max, other.pointee.rrtMax)
            meter.rrt.sum &+= other.pointee.rrtSum
            meter.rrt.count &+= other.pointee.rrtCount
            meter.clientError &+= other.pointee.clientError
            meter.serverError &+= other.pointee.serverError
            meter.timeout &+= other.pointee.timeout
        }
    }

    /// Start of the slot, seconds since 1970; set when it is over.
    var startSeconds: UInt32 = 0
    private var positions = PositionTable()
    private var entries = BlockArray<Entry>()
    private var endpoints: [String] = []

    var count: Int { entries.count }
    var capacity: Int { entries.capacity }

    /// Adds to the document of a tag. False = a new document, refused because there are `limit`.
    func add(
        _ tag: DocumentTag, _ facts: AppFacts, _ added: UnsafePointer<AppEntry>, endpoint: String, limit: Int
    ) -> Bool {
        let key = DocumentKey(tag, facts)
        let hash = key.hash
        if let found = positions.find(hash, { key.equals(entries[$0].pointee.key) }) {
            entries[found].pointee.merge(added)
            return true
        }
        let position = entries.count
        guard position < limit else { return false }
        let entry = entries.append()
        entry.initialize(to: Entry(tag: tag, facts: facts, meter: AppMeter()))
        entry.pointee.merge(added)
        endpoints.append(endpoint)
        positions.insert(hash, position: position)
        return true
    }

    /// - Parameter slotSeconds: what documents that are shifted back are shifted by.
    func deliver(to outlet: DocumentOutlet, flags: UInt32, rules: TagRules, slotSeconds: UInt32) {
        outlet.send(entries.count, areApps: true) { first, documents in
            for index in 0..<documents.count {
                let document = documents.baseAddress.unsafelyUnwrapped + index
                let entry = entries[first + index]
                let back = entry.pointee.facts.timeSpanSlots &* slotSeconds
                document.pointee.flags = flags
                document.pointee.timestamp = startSeconds > back ? startSeconds - back : 0
                entry.pointee.tag.write(
                    to: document.pointer(to: \.tag).unsafelyUnwrapped, entry.pointee.facts, rules)
                document.pointee.tag.field.endpoint = endpoints[first + index]
                DocumentOutlet.appMeter(of: document).pointee = entry.pointee.meter
            }
        }
    }

    /// Empties the stash and keeps as much memory as the rule allows.
    func removeAll(_ shrinker: inout ShrinkRule) {
        let length = entries.count
        positions.removeAll()
        entries.removeAll()
        endpoints.removeAll(keepingCapacity: length > 64)
        if let room = shrinker.room(after: length, capacity: entries.capacity) {
            entries.shrink(to: room)
            positions.reset(capacity: room)
        }
    }
}
