import EngineAPI
import Glibc
import Model
import Testing

@testable import ServerCore

/// Live tables fed as the pipeline feeds them.
@Suite struct LiveEngineTests {
    static let start: UInt64 = 1_700_000_000

    private func makeEngine(replay: Bool = true, flows: Int = 1000) -> LiveEngine {
        var settings = LiveEngine.Settings()
        settings.isReplay = replay
        settings.flowCapacity = flows
        settings.requestCapacity = 100
        let engine = LiveEngine(settings: settings)
        engine.start()
        return engine
    }

    static func flow(
        _ id: UInt64, second: UInt64, bytes: UInt64 = 100, requests: UInt32 = 0, errors: UInt32 = 0, rrt: UInt32 = 0,
        server: UInt32 = 0x0a00_0002
    ) -> TaggedFlow {
        var flow = TaggedFlow()
        flow.flowID = id
        flow.key.ipSrc = IPAddress(v4: 0x0a00_0001)
        flow.key.ipDst = IPAddress(v4: server)
        flow.key.portSrc = UInt16(truncatingIfNeeded: 10_000 + id)
        flow.key.portDst = 80
        flow.key.proto = IPProtocol.tcp
        flow.ethType = EtherType.ipv4
        flow.startTimeNs = start * 1_000_000_000
        flow.endTimeNs = second * 1_000_000_000 + 500_000_000
        flow.flowStatTimeNs = second * 1_000_000_000
        flow.src.byteCount = bytes
        flow.src.packetCount = 1
        flow.dst.byteCount = bytes * 2
        flow.dst.packetCount = 2
        flow.isNewFlow = second == start
        if requests > 0 {
            flow.perf.l7Protocol = L7Protocol.http1.rawValue
            flow.perf.l7.requestCount = requests
            flow.perf.l7.responseCount = requests
            flow.perf.l7.errServerCount = errors
            flow.perf.l7.rrtCount = requests
            flow.perf.l7.rrtSum = UInt64(rrt) * UInt64(requests)
            flow.perf.l7.rrtMax = rrt
        }
        return flow
    }

    static func request(_ flow: UInt64, path: String, code: Int32, us: UInt64, second: UInt64) -> L7FlowLog {
        var log = L7FlowLog()
        log.base.flowID = flow
        log.base.ipSrc = IPAddress(v4: 0x0a00_0001)
        log.base.ipDst = IPAddress(v4: 0x0a00_0002)
        log.base.portDst = 80
        log.base.l7Protocol = L7Protocol.http1.rawValue
        log.base.proto = IPProtocol.tcp
        log.base.startTimeNs = second * 1_000_000_000
        log.base.endTimeNs = second * 1_000_000_000 + us * 1000
        log.base.rrtNs = us * 1000
        log.base.messageType = LogMessageType.session.rawValue
        log.requestType = "GET"
        log.requestResource = path
        log.responseCode = code
        log.responseStatus = (code >= 500 ? L7ResponseStatus.serverError : .ok).rawValue
        return log
    }

    private func page(_ engine: LiveEngine, _ query: ListQuery) throws -> ListPage {
        guard case .list(let page) = engine.answer(.list(query)) else {
            throw Failure(.failed, what: "no page", why: "\(engine.answer(.list(query)))")
        }
        return page
    }

    private func value(_ page: ListPage, _ row: Int, _ column: String) throws -> FieldValue {
        let index = try #require(page.columns.firstIndex(of: column))
        return page.rows[row][index]
    }

    @Test func sumsFlowsAndSecondsOfAReplay() throws {
        let engine = makeEngine()
        for second in 0..<10 as Range<UInt64> {
            engine.observe(secondFlows: [
                Self.flow(1, second: Self.start + second, bytes: 10, requests: 2, errors: 1, rrt: 1000),
                Self.flow(2, second: Self.start + second, bytes: 1000),
            ])
        }
        engine.flush()
        engine.stop()
        let flows = try page(engine, ListQuery(.flows))
        #expect(flows.ids == [2, 1])
        #expect(try value(flows, 0, "bytes") == .uint(30_000))
        #expect(try value(flows, 1, "l7_request") == .uint(20))
        #expect(try value(flows, 1, "rrt_avg") == .real(1000))
        #expect(flows.clockUs == (Self.start + 9) * 1_000_000 + 500_000)
        guard case .overview(let overview) = engine.answer(.overview(seconds: 12)) else {
            Issue.record("no overview")
            return
        }
        #expect(overview.packets == [0, 0] + Array(repeating: 6.0, count: 10))
        #expect(overview.bytes.last == 3030)
        #expect(overview.requests.last == 2)
        #expect(overview.errors.last == 1)
        #expect(overview.latency.last == 1000)
        #expect(overview.newFlows.reduce(0, +) == 2)
        #expect(overview.totals.packets == 60)
        #expect(overview.services.first?.value == 20)
        let services = try page(engine, ListQuery(.services))
        #expect(try value(services, 0, "l7_request") == .uint(20))
        #expect(try value(services, 0, "request_rate") == .real(2))
        #expect(try value(services, 0, "error_ratio") == .real(0.5))
        guard case .status(let status) = engine.answer(.status) else { return }
        #expect(status.isComplete && status.mode == .replay)
    }

    @Test func filtersSortsAndPages() throws {
        let engine = makeEngine()
        engine.observe(secondFlows: (1...50).map { Self.flow($0, second: Self.start, bytes: $0 * 10) })
        engine.stop()
        let all = try page(engine, ListQuery(.flows, sort: "byte_tx", isDescending: false, offset: 5, limit: 3))
        #expect(all.ids == [6, 7, 8])
        #expect(all.matched == 50)
        let some = try page(engine, ListQuery(.flows, filter: "bytes:>=1470 10.0.0.1", sort: "byte_tx"))
        #expect(some.ids == [50, 49])
        #expect(try page(engine, ListQuery(.flows, sort: "byte_tx", offset: 48)).ids == [2, 1])
        #expect(try page(engine, ListQuery(.flows, offset: 1 << 40)).ids.isEmpty)
        #expect(try page(engine, ListQuery(.flows, filter: "sport:10042")).ids == [42])
        guard case .failed(let refusal) = engine.answer(.list(ListQuery(.flows, filter: "nope:1"))) else {
            Issue.record("a wrong filter was taken")
            return
        }
        #expect(refusal.exitCode == .usage)
    }

    @Test func keepsAPausedList() throws {
        let engine = makeEngine()
        engine.observe(secondFlows: [Self.flow(1, second: Self.start)])
        engine.send(l7Logs: [Self.request(1, path: "/a", code: 200, us: 500, second: Self.start)])
        try wait(engine) { try page(engine, ListQuery(.requests)).total == 1 }
        guard case .snapshot(let id) = engine.answer(.freeze(.flows)) else {
            Issue.record("no snapshot")
            return
        }
        engine.observe(secondFlows: [Self.flow(1, second: Self.start + 1), Self.flow(2, second: Self.start + 1)])
        engine.stop()
        let kept = try page(engine, ListQuery(.flows, snapshot: id))
        #expect(kept.ids == [1])
        #expect(try value(kept, 0, "packets") == .uint(3))
        #expect(try page(engine, ListQuery(.flows)).total == 2)
        _ = engine.answer(.release(snapshot: id))
        guard case .failed = engine.answer(.list(ListQuery(.flows, snapshot: id))) else {
            Issue.record("the snapshot is still there")
            return
        }
    }

    @Test func boundsItsTables() throws {
        let engine = makeEngine(flows: 100)
        for second in 0..<10 as Range<UInt64> {
            engine.observe(secondFlows: (0..<50).map { Self.flow(second * 50 + $0 + 1, second: Self.start + second) })
            engine.send(
                l7Logs: (0..<50).map {
                    Self.request(second * 50 + $0, path: "/\($0)", code: 200, us: 100, second: Self.start)
                }
            )
        }
        engine.stop()
        let flows = try page(engine, ListQuery(.flows, sort: "flow_id", limit: 1))
        #expect(flows.total <= 100 && flows.total >= 80)
        #expect(flows.ids == [500])
        #expect(flows.note.contains("made room"))
        let requests = try page(engine, ListQuery(.requests, limit: 1))
        #expect(requests.total == 100)
        #expect(requests.ids == [500])
        guard case .detail = engine.answer(.detail(kind: .requests, id: 500, snapshot: nil)) else {
            Issue.record("the newest request has no detail")
            return
        }
        guard case .failed = engine.answer(.detail(kind: .requests, id: 3, snapshot: nil)) else {
            Issue.record("an overwritten request has a detail")
            return
        }
    }

    @Test func showsRequestsAndTheirService() throws {
        let engine = makeEngine()
        engine.observe(secondFlows: [Self.flow(7, second: Self.start, requests: 100, errors: 5, rrt: 100_000)])
        engine.send(
            l7Logs: (1...100).map {
                Self.request(7, path: "/item/\($0)", code: $0 > 95 ? 503 : 200, us: $0 * 1000, second: Self.start)
            })
        engine.stop()
        let slow = try page(engine, ListQuery(.requests, filter: "rrt:>98ms status:503", sort: "response_duration"))
        #expect(slow.matched == 2)
        #expect(try value(slow, 0, "request_resource") == .text("/item/100"))
        let services = try page(engine, ListQuery(.services))
        let p50 = try #require(try value(services, 0, "rrt_p50").number)
        let p95 = try #require(try value(services, 0, "rrt_p95").number)
        #expect(abs(p50 - 50_000) < 5_000 && abs(p95 - 95_000) < 9_500)
        guard case .detail(let detail) = engine.answer(.detail(kind: .services, id: services.ids[0], snapshot: nil))
        else {
            Issue.record("no detail")
            return
        }
        #expect(detail.tables.map(\.title).contains("Last failures"))
        guard case .detail(let flow) = engine.answer(.detail(kind: .flows, id: 7, snapshot: nil)) else {
            Issue.record("no detail")
            return
        }
        #expect(flow.title == "10.0.0.1:10007 -> 10.0.0.2:80 HTTP")
        #expect(flow.tables.first?.table.rows.count == 50)
        #expect(engine.answer(.values(key: "method")) == .values(["GET"]))
    }

    @Test func liveRatesAreOfTheLastSeconds() throws {
        let engine = makeEngine(replay: false)
        let now = wallClockNs() / 1_000_000_000
        for back in (0..<6 as Range<UInt64>).reversed() {
            engine.observe(secondFlows: [Self.flow(1, second: now - back, bytes: 100)])
        }
        engine.stop()
        let flows = try page(engine, ListQuery(.flows))
        #expect(try value(flows, 0, "byte_rate") == .real(300))
        #expect(try value(flows, 0, "packet_rate") == .real(3))
    }

    @Test func namesTheOwnersOfFlows() throws {
        let engine = makeEngine(replay: false)
        var platform = PlatformSnapshot()
        var process = ProcessFacts()
        process.pid = 77
        process.name = "nginx"
        platform.processes = [process]
        var socket = SocketFacts()
        socket.proto = IPProtocol.tcp
        socket.localPort = 80
        socket.state = 10
        socket.pid = 77
        platform.sockets = [socket]
        var interface = InterfaceFacts()
        interface.name = "eth0"
        interface.addresses = ["10.0.0.2/24"]
        platform.interfaces = [interface]
        engine.update(platform: platform)
        engine.observe(secondFlows: [
            Self.flow(1, second: wallClockNs() / 1_000_000_000),
            Self.flow(2, second: wallClockNs() / 1_000_000_000, server: 0x0a00_0009),
        ])
        engine.stop()
        let flows = try page(engine, ListQuery(.flows, sort: "flow_id", isDescending: false))
        #expect(try value(flows, 0, "process_kname_1") == .text("nginx"))
        #expect(try value(flows, 1, "process_kname_1") == .text(""))
        #expect(try page(engine, ListQuery(.flows, filter: "process:ngin*")).ids == [1])
        #expect(try page(engine, ListQuery(.interfaces)).rows.first?.first == .text("eth0"))
    }

    private func wait(_ engine: LiveEngine, _ condition: () throws -> Bool) throws {
        for _ in 0..<500 {
            if try condition() { return }
            usleep(10_000)
        }
        Issue.record("the engine did not take its batches")
    }
}

@Suite struct LatencyHistogramTests {
    @Test func percentilesAreWithinABucket() {
        var histogram = LatencyHistogram()
        for value in 1...10_000 as ClosedRange<UInt64> { histogram.add(value) }
        for part in [0.01, 0.5, 0.9, 0.95, 0.99, 1] {
            let wanted = part * 10_000
            #expect(abs(histogram.percentile(part) - wanted) <= wanted * 0.09 + 1)
        }
        histogram.add(.max)
        #expect(histogram.percentile(1) > 4_000_000_000)
        #expect(LatencyHistogram().percentile(0.5) == 0)
    }
}

@Suite struct SortKeyTests {
    @Test func keepsTheOrderOfValues() {
        let numbers = [-Double.infinity, -5, -0.5, 0, 1e-9, 3, 1e18, .infinity]
        #expect(numbers.map { SortKey($0) } == numbers.map { SortKey($0) }.sorted())
        let texts = ["", "A", "a1", "ab", "B", "longer than sixteen bytes"]
        #expect(texts.map { SortKey($0) } == texts.map { SortKey($0) }.sorted())
        #expect(SortKey.missing < SortKey(-Double.infinity))
    }
}
