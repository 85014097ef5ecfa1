import EngineAPI

/// Lists kept as they were, for paused screens. A handful: each holds on to its rows.
struct Snapshots {
    enum Rows {
        case flows([LiveFlow])
        case requests([LiveRequest])
        case services([ServiceRow])
        case map([MapEdge])
        case named([NamedRecord], columns: [String])
    }

    struct Kept {
        let id: UInt64
        let kind: ListKind
        let rows: Rows
        let clockUs: UInt64
    }

    static let limit = 4

    private var kept: [Kept] = []
    private var lastID: UInt64 = 0

    mutating func keep(_ kind: ListKind, _ rows: Rows, clockUs: UInt64) -> UInt64 {
        lastID &+= 1
        kept.append(Kept(id: lastID, kind: kind, rows: rows, clockUs: clockUs))
        if kept.count > Snapshots.limit { kept.removeFirst() }
        return lastID
    }

    func find(_ id: UInt64) -> Kept? { kept.first { $0.id == id } }

    mutating func release(_ id: UInt64) { kept.removeAll { $0.id == id } }
}
