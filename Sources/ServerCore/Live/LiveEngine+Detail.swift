import EngineAPI
import Model
import Synchronization

extension LiveEngine {
    func detail(_ kind: ListKind, id: UInt64, snapshot: UInt64?) -> Answer {
        let found: Detail? = state.withLock { state in
            let kept = snapshot.flatMap { state.snapshots.find($0) }
            let rows = kept?.rows ?? rows(of: kind, &state)
            switch rows {
            case .flows(let flows):
                let index = kept == nil ? state.flows.index(of: id) : flows.firstIndex { $0.id == id }
                return index.map { flow(flows[$0], state) }
            case .requests(let requests):
                let request = kept == nil ? state.requests.request(id: id) : requests.first { $0.id == id }
                return request.map { RequestDetail($0).detail }
            case .services(let services):
                return services.first { $0.id == id }.map { service($0, state) }
            case .map(let edges):
                return edges.first { $0.id == id }.map { edge($0, state) }
            case .named(let records, let columns):
                return records.first { $0.id == id }.map { record in
                    let fields = columns.map { Detail.Field($0, record.field(FilterColumn($0)) ?? .null) }
                    var sections = [Detail.Section("", fields)]
                    if !record.more.isEmpty { sections.append(Detail.Section("Counters", record.more)) }
                    return Detail(title: LiveEngine.title(of: record), sections: sections)
                }
            }
        }
        return found.map { .detail($0) }
            ?? .failed(
                Refusal(
                    .notFound, what: "this row is gone", why: "the live table keeps a bounded number of rows",
                    mend: "pause the list with Space to keep it"))
    }

    private static func title(of record: NamedRecord) -> String {
        for name in ["name", "ip_0"] {
            if case .text(let text)? = record.field(FilterColumn(name)), !text.isEmpty { return text }
        }
        return "row \(record.id)"
    }

    private static func end(_ address: String, _ port: UInt16, isIPv6: Bool) -> String {
        isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    private static func section(
        _ name: String, _ record: some LiveRecord, _ columns: [KnownColumn], keepsZeros: Bool = false
    ) -> Detail.Section {
        let fields = columns.compactMap { column -> Detail.Field? in
            guard let value = record.field(FilterColumn(column)), !value.isEmpty else { return nil }
            if !keepsZeros, value.number == 0 { return nil }
            return Detail.Field(column.rawValue, value)
        }
        return Detail.Section(name, fields)
    }

    private func flow(_ flow: LiveFlow, _ state: borrowing State) -> Detail {
        let title =
            LiveEngine.end(flow.clientText, flow.key.portSrc, isIPv6: flow.isIPv6) + " -> "
            + LiveEngine.end(flow.serverText, flow.key.portDst, isIPv6: flow.isIPv6) + " "
            + (flow.l7Protocol == 0 ? IPProtocol.name(flow.key.proto) : flow.l7Name)
        var detail = Detail(title: title)
        detail.sections = [
            LiveEngine.section(
                "Ends", flow,
                [.ip0, .clientPort, .process0, .pid0, .mac0, .ip1, .serverPort, .process1, .pid1, .mac1]),
            LiveEngine.section(
                "Flow", flow,
                [
                    .flowID, .protocol, .l7Protocol, .state, .startTime, .endTime, .duration, .observationPoint,
                    .vlan, .tunnelType, .captureNic, .agentID,
                ]),
            LiveEngine.section(
                "Traffic", flow, [.byteRate, .packetRate, .byteTx, .byteRx, .packetTx, .packetRx], keepsZeros: true),
            LiveEngine.section(
                "Transport", flow,
                [.rtt, .srtAvg, .srtMax, .artAvg, .artMax, .retransTx, .retransRx, .zeroWin]),
            LiveEngine.section(
                "Requests", flow,
                [.l7Request, .l7Response, .l7ClientError, .l7ServerError, .l7Timeout, .rrtAvg, .rrtMax]),
        ]
        if flow.isClosed {
            detail.sections[1].fields.insert(Detail.Field("close_type", .uint(UInt64(flow.closeType))), at: 4)
        }
        detail.sections.removeAll { $0.fields.isEmpty }
        let requests = LiveEngine.table(
            state.requests.requests.filter { $0.log.base.flowID == flow.id }, limit: 50,
            [.time, .requestType, .requestDomain, .requestResource, .responseStatus, .responseCode, .responseDuration])
        if !requests.rows.isEmpty {
            detail.tables = [Detail.Table(title: "Last requests of this flow", table: requests)]
        }
        return detail
    }

    private func edge(_ edge: MapEdge, _ state: borrowing State) -> Detail {
        let text = { (column: KnownColumn) -> String in
            if case .text(let text)? = edge.field(FilterColumn(column)) { return text }
            return ""
        }
        let port = edge.field(FilterColumn(.serverPort))?.number ?? 0
        return Detail(
            title: "\(text(.ip0)) -> \(LiveEngine.end(text(.ip1), UInt16(port), isIPv6: text(.ip1).contains(":")))",
            sections: [LiveEngine.section("Sum of its flows", edge, MapEdge.columns)])
    }

    private func service(_ row: ServiceRow, _ state: borrowing State) -> Detail {
        var detail = Detail(title: "\(row.title) \(row.l7Name)")
        detail.sections = [
            LiveEngine.section(
                settings.isReplay ? "Whole capture" : "Last minute", row,
                [
                    .requestRate, .l7Request, .l7Response, .errorRatio, .l7ClientError, .l7ServerError, .l7Timeout,
                    .rrtAvg, .rrtP50, .rrtP95, .rrtMax,
                ], keepsZeros: true),
            Detail.Section(
                "Since the start",
                [
                    Detail.Field("l7_request", .uint(UInt64(row.total.requests))),
                    Detail.Field("l7_error", .uint(UInt64(row.total.errors))),
                    Detail.Field("rrt_max", .uint(UInt64(row.total.rrtMax))),
                ]),
        ]
        let own = state.requests.requests.filter {
            $0.log.base.ipDst == row.key.address && $0.log.base.portDst == row.key.port
                && $0.log.base.l7Protocol == row.key.l7Protocol
        }
        detail.tables = [
            Detail.Table(title: "Endpoints (of the last requests)", table: LiveEngine.endpoints(own)),
            Detail.Table(
                title: "Last failures",
                table: LiveEngine.table(
                    own.filter(\.isError), limit: 20,
                    [.time, .ip0, .requestType, .requestResource, .responseStatus, .responseCode, .responseDuration])),
        ]
        detail.tables.removeAll { $0.table.rows.isEmpty }
        return detail
    }

    private static func endpoints(_ requests: [LiveRequest]) -> ResultTable {
        struct Sum {
            var count = 0
            var errors = 0
            var latency = LatencyStats()
        }
        var sums: [String: Sum] = [:]
        for request in requests {
            let log = request.log
            let what =
                log.endpoint.isEmpty
                ? (log.requestResource.isEmpty ? log.requestDomain : log.requestResource) : log.endpoint
            let name = log.requestType.isEmpty ? what : "\(log.requestType) \(what)"
            sums[name, default: Sum()].count += 1
            if request.isError { sums[name, default: Sum()].errors += 1 }
            if request.durationUs > 0 {
                sums[name, default: Sum()].latency.add(UInt32(clamping: request.durationUs))
            }
        }
        let top = sums.sorted { $0.value.count == $1.value.count ? $0.key < $1.key : $0.value.count > $1.value.count }
        return ResultTable(
            columns: ["endpoint", "l7_request", "l7_error", "rrt_avg", "rrt_max"],
            rows: top.prefix(20).map { name, sum in
                [
                    .text(name), .int(Int64(sum.count)), .int(Int64(sum.errors)), .real(sum.latency.mean),
                    .uint(UInt64(sum.latency.max)),
                ]
            })
    }

    /// Newest first.
    private static func table(_ requests: [LiveRequest], limit: Int, _ columns: [KnownColumn]) -> ResultTable {
        let newest = requests.sorted { $0.id > $1.id }.prefix(limit)
        let wanted = columns.map { FilterColumn($0) }
        return ResultTable(
            columns: columns.map(\.rawValue), rows: newest.map { row in wanted.map { row.field($0) ?? .null } })
    }
}
