import Model
import Wire

/// Documents to rows of the metrics tables. One a thread. Source: ingester.md 4.
final class MetricsDecoder {
    /// Rows handed to the store at once. Source: ingester.md 4.1.
    static let chunk = 1024
    /// Documents further from now are counted, not dropped. Source: ingester.md 4.1.
    static let tolerance: UInt64 = 300

    private let platform: () -> PlatformData
    private let tally: IngesterTally
    private let wallSeconds: () -> UInt64
    private let dropsSecondDocuments: Bool
    private let emit: (RowBatch) -> Void
    private var second = Pending()
    private var minute = Pending()

    private struct Pending {
        var network: [NetworkRow] = []
        var networkMap: [NetworkMapRow] = []
        var application: [ApplicationRow] = []
        var applicationMap: [ApplicationMapRow] = []
        var trafficPolicy: [TrafficPolicyRow] = []
    }

    init(
        dropsSecondDocuments: Bool = false, tally: IngesterTally, platform: @escaping () -> PlatformData,
        wallSeconds: @escaping () -> UInt64 = { wallClockNs() / 1_000_000_000 }, emit: @escaping (RowBatch) -> Void
    ) {
        self.dropsSecondDocuments = dropsSecondDocuments
        self.tally = tally
        self.platform = platform
        self.wallSeconds = wallSeconds
        self.emit = emit
    }

    func take(payload: [UInt8], teamID: UInt16) {
        let batch = Document.decodeAll(payload.span.bytes)
        tally.add {
            $0.metrics.payloads += 1
            $0.metrics.errors += UInt64(batch.errors)
        }
        take(batch.records, teamID: teamID)
    }

    func take(_ documents: [Document], teamID: UInt16) {
        let builder = DocumentRowBuilder(platform: platform())
        let now = wallSeconds()
        var dropped: UInt64 = 0
        var expired: UInt64 = 0
        var future: UInt64 = 0
        for document in documents {
            let time = UInt64(document.timestamp)
            if time + Self.tolerance < now { expired += 1 }
            if time > now + Self.tolerance { future += 1 }
            let isSecond = document.flags & Document.perSecond != 0
            if isSecond, dropsSecondDocuments {
                dropped += 1
                continue
            }
            guard case .success(let row) = builder.row(document, teamID: teamID) else {
                dropped += 1
                continue
            }
            if isSecond { add(row, to: &second, perSecond: true) } else { add(row, to: &minute, perSecond: false) }
        }
        tally.add {
            $0.metrics.records += UInt64(documents.count)
            $0.metrics.dropped += dropped
            $0.expiredDocuments += expired
            $0.futureDocuments += future
        }
    }

    private func add(_ row: DocumentRow, to pending: inout Pending, perSecond: Bool) {
        guard let table = row.table(perSecond: perSecond) else {
            return tally.add { $0.metrics.dropped += 1 }
        }
        switch row {
        case .network(let row):
            pending.network.append(row)
            if pending.network.count >= Self.chunk { emit(table, .network(pending.network), &pending.network) }
        case .networkMap(let row):
            pending.networkMap.append(row)
            if pending.networkMap.count >= Self.chunk {
                emit(table, .networkMap(pending.networkMap), &pending.networkMap)
            }
        case .application(let row):
            pending.application.append(row)
            if pending.application.count >= Self.chunk {
                emit(table, .application(pending.application), &pending.application)
            }
        case .applicationMap(let row):
            pending.applicationMap.append(row)
            if pending.applicationMap.count >= Self.chunk {
                emit(table, .applicationMap(pending.applicationMap), &pending.applicationMap)
            }
        case .trafficPolicy(let row):
            pending.trafficPolicy.append(row)
            if pending.trafficPolicy.count >= Self.chunk {
                emit(table, .trafficPolicy(pending.trafficPolicy), &pending.trafficPolicy)
            }
        }
    }

    private func emit<Row>(_ table: TableSchema, _ rows: RowBatch.Rows, _ pending: inout [Row]) {
        guard !pending.isEmpty else { return }
        let count = pending.count
        pending = []
        pending.reserveCapacity(Self.chunk)
        tally.add { $0.metrics.rows += UInt64(count) }
        emit(RowBatch(table, rows))
    }

    /// Hands on everything; called at least once a second.
    func flush() {
        emit(Catalogue.network1s, .network(second.network), &second.network)
        emit(Catalogue.networkMap1s, .networkMap(second.networkMap), &second.networkMap)
        emit(Catalogue.application1s, .application(second.application), &second.application)
        emit(Catalogue.applicationMap1s, .applicationMap(second.applicationMap), &second.applicationMap)
        emit(Catalogue.network1m, .network(minute.network), &minute.network)
        emit(Catalogue.networkMap1m, .networkMap(minute.networkMap), &minute.networkMap)
        emit(Catalogue.application1m, .application(minute.application), &minute.application)
        emit(Catalogue.applicationMap1m, .applicationMap(minute.applicationMap), &minute.applicationMap)
        emit(Catalogue.trafficPolicy1m, .trafficPolicy(minute.trafficPolicy), &minute.trafficPolicy)
    }
}
