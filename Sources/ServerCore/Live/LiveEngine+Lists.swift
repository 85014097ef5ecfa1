package import EngineAPI
import Model
import Synchronization

extension LiveEngine {
    package func answer(_ question: Question) -> Answer {
        switch question {
        case .status: return .status(status())
        case .overview(let seconds): return .overview(overview(seconds: seconds))
        case .list(let query): return list(query)
        case .detail(let kind, let id, let snapshot): return detail(kind, id: id, snapshot: snapshot)
        case .freeze(let kind):
            return state.withLock { state in
                let rows = rows(of: kind, &state)
                let clock = clockNs(state) / 1000
                return .snapshot(state.snapshots.keep(kind, rows, clockUs: clock))
            }
        case .release(let snapshot):
            state.withLock { $0.snapshots.release(snapshot) }
            return .done
        case .values(let key): return .values(values(of: key))
        case .sql(let text):
            return providers.sql?(text)
                ?? .failed(
                    Refusal(
                        .notFound, what: "there is nothing to query", why: "this engine runs without a store",
                        mend: "start it with --data-dir"))
        case .tables:
            return providers.tables?()
                ?? .failed(
                    Refusal(
                        .notFound, what: "there are no tables", why: "this engine runs without a store",
                        mend: "start it with --data-dir"))
        }
    }

    // MARK: Lists

    private func list(_ query: ListQuery) -> Answer {
        let filter: Filter
        do throws(FilterError) {
            filter = try Filter(query.filter)
        } catch {
            return .failed(Refusal(error))
        }
        return state.withLock { state in
            var rows: Snapshots.Rows
            var clock = clockNs(state) / 1000
            if let id = query.snapshot {
                guard let kept = state.snapshots.find(id), kept.kind == query.kind else {
                    return .failed(
                        Refusal(
                            .notFound, what: "the paused list is gone", why: "the engine keeps only the last few",
                            mend: "go on and pause again"))
                }
                rows = kept.rows
                clock = kept.clockUs
            } else {
                rows = self.rows(of: query.kind, &state)
            }
            var page = page(query, filter, rows)
            page.clockUs = clock
            if query.kind == .flows, state.flows.evicted > 0 {
                page.note = "\(state.flows.evicted) older flows made room"
            }
            return .list(page)
        }
    }

    /// The rows of a list as they are now.
    func rows(of kind: ListKind, _ state: inout State) -> Snapshots.Rows {
        switch kind {
        case .flows:
            state.flows.refreshRates(reference: reference(state), isReplay: settings.isReplay)
            return .flows(state.flows.flows)
        case .requests: return .requests(state.requests.requests)
        case .services:
            return .services(state.services.rows(reference: reference(state), wholeCapture: settings.isReplay))
        case .map:
            state.flows.refreshRates(reference: reference(state), isReplay: settings.isReplay)
            return .map(MapEdge.edges(of: state.flows.flows))
        case .host: return .named(state.platform.host, columns: PlatformRows.hostColumns)
        case .interfaces: return .named(state.platform.interfaces, columns: PlatformRows.interfaceColumns)
        case .processes: return .named(state.platform.processes, columns: PlatformRows.processColumns)
        case .own: return .named(state.own.rows, columns: OwnReadings.columns)
        }
    }

    private func page(_ query: ListQuery, _ filter: Filter, _ rows: Snapshots.Rows) -> ListPage {
        switch rows {
        case .flows(let flows):
            return page(
                query, filter, flows, columns: LiveFlow.columns.map(\.rawValue),
                order: (settings.isReplay ? "bytes" : "byte_rate", true))
        case .requests(let requests):
            return page(
                query, filter, requests, columns: LiveRequest.columns.map(\.rawValue), order: ("time", true))
        case .services(let services):
            return page(
                query, filter, services, columns: ServiceRow.columns.map(\.rawValue) + [ServiceRow.trendColumn],
                order: ("l7_request", true)
            ) { .list($0.trend.map { .uint(UInt64($0)) }) }
        case .map(let edges):
            return page(
                query, filter, edges, columns: MapEdge.columns.map(\.rawValue),
                order: (settings.isReplay ? "bytes" : "byte_rate", true))
        case .named(let records, let columns):
            let order: (String, Bool) =
                switch query.kind {
                case .interfaces: ("index", false)
                case .processes: ("connections", true)
                default: ("", false)
                }
            return page(query, filter, records, columns: columns, order: order)
        }
    }

    /// - Parameter extra: the value of the last column, where a record cannot give it by name.
    private func page<Record: LiveRecord>(
        _ query: ListQuery, _ filter: Filter, _ records: [Record], columns: [String],
        order: (column: String, isDescending: Bool), extra: ((Record) -> FieldValue)? = nil
    ) -> ListPage {
        let offset = max(0, query.offset)
        let limit = min(max(0, query.limit), ListQuery.maxLimit)
        let isOwnOrder = query.sort.isEmpty
        let selection = PageSelection.select(
            from: records, filter: filter, sort: FilterColumn(isOwnOrder ? order.column : query.sort),
            isDescending: isOwnOrder ? order.isDescending : query.isDescending, offset: min(offset, records.count),
            limit: limit)
        let wanted = columns.map { FilterColumn($0) }
        var page = ListPage(
            kind: query.kind, columns: columns, offset: offset, matched: selection.matched, total: records.count)
        page.rows.reserveCapacity(selection.indices.count)
        for index in selection.indices {
            let record = records[index]
            var row = wanted.map { record.field($0) ?? .null }
            if let extra, !row.isEmpty { row[row.count - 1] = extra(record) }
            page.rows.append(row)
            page.ids.append(record.id)
        }
        return page
    }

    // MARK: Completion

    private func values(of key: String) -> [String] {
        guard let key = FilterKey.named(key) else { return [] }
        switch key.kind {
        case .text, .address: break
        default: return []
        }
        let (flows, requests) = state.withLock {
            (Array($0.flows.flows.suffix(5000)), Array($0.requests.requests.suffix(5000)))
        }
        var counts: [String: Int] = [:]
        let count = { (value: FieldValue?) in
            guard case .text(let text)? = value, !text.isEmpty, text.utf8.count <= 80 else { return }
            // Bounded: the first few thousand different values are enough to find frequent ones.
            if counts[text] != nil || counts.count < 4096 { counts[text, default: 0] += 1 }
        }
        for request in requests {
            for column in key.columns { count(request.field(column)) }
        }
        for flow in flows {
            for column in key.columns { count(flow.field(column)) }
        }
        return counts.sorted { $0.value == $1.value ? $0.key < $1.key : $0.value > $1.value }.prefix(50).map(\.key)
    }
}
