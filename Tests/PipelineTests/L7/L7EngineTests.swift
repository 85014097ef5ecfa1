import Model
import Testing

@testable import Pipeline

/// Framework rules: inference, AppTable, RRT counters, segment reassembly. Source: agent-l7.md 4, 6.
@Suite struct L7EngineTests {
    /// An engine with one TCP flow from port 40000 to a server port.
    struct Line: ~Copyable {
        var engine: L7Engine
        var out = L7Output()
        var slot: Int32
        var nowUs: UInt64 = 1_000_000_000
        var port: UInt16
        var seq: [PacketDirection: UInt32] = [.clientToServer: 100, .serverToClient: 900]

        init(_ settings: L7Settings, port: UInt16 = 8080) {
            engine = L7Engine(settings: settings)
            self.port = port
            slot = engine.open(
                flow: L7FlowIdentity(flowID: 1, serverIP: IPAddress(v4: 2), serverPort: port), nowSec: 1000)
        }

        mutating func reopen() {
            _ = engine.close(slot: slot, into: &out)
            slot = engine.open(
                flow: L7FlowIdentity(flowID: 1, serverIP: IPAddress(v4: 2), serverPort: port),
                nowSec: UInt32(nowUs / 1_000_000))
        }

        @discardableResult
        mutating func send(
            _ text: String, _ direction: PacketDirection = .clientToServer, seq given: UInt32? = nil
        ) -> Answer {
            nowUs += 10
            let bytes = Array(text.utf8)
            var packet = L7Packet()
            packet.timeNs = nowUs * 1000
            packet.direction = direction
            let toServer = direction == .clientToServer
            packet.ipSrc = IPAddress(v4: toServer ? 1 : 2)
            packet.ipDst = IPAddress(v4: toServer ? 2 : 1)
            packet.portSrc = toServer ? 40000 : port
            packet.portDst = toServer ? port : 40000
            packet.tcpSeq = given ?? seq[direction] ?? 0
            packet.capturedByte = UInt32(bytes.count)
            seq[direction] = packet.tcpSeq &+ UInt32(bytes.count)
            let first = out.messages.count
            let outcome = engine.parse(slot: slot, packet: packet, payload: bytes.span.bytes, into: &out)
            return Answer(outcome: outcome, stats: out.messages.stats(from: first))
        }
    }

    /// What came of one payload, and the statistics of its messages.
    @dynamicMemberLookup struct Answer {
        var outcome: L7ParseOutcome
        var stats: L7PerfStats

        subscript<Value>(dynamicMember path: KeyPath<L7ParseOutcome, Value>) -> Value { outcome[keyPath: path] }
    }

    static let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
    static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    @Test func pairIsCounted() {
        var line = Line(L7Settings())
        let request = line.send(Self.get)
        #expect(request.result == .parsed && request.l7Protocol == .http1)
        #expect(request.namesDomain)
        #expect(request.stats.requestCount == 1 && request.stats.responseCount == 0)
        let response = line.send(Self.ok, .serverToClient)
        #expect(response.stats.responseCount == 1 && response.stats.rrtSum == 10 && response.stats.rrtCount == 1)
        let messages = line.out.messages.all
        #expect(messages.map(\.log.endpoint) == ["/a", "/a"])
        #expect(messages.map(\.log.base.reqTCPSeq) == [100, 0])
        #expect(messages.map(\.log.base.respTCPSeq) == [0, 900])
        #expect(messages[1].log.base.rrtNs == 10_000)
    }

    @Test func disabledAndFilteredProtocols() {
        var settings = L7Settings()
        settings.enabled = [.dns]
        var line = Line(settings)
        #expect(line.send(Self.get).result == .unknown)
        settings = L7Settings()
        settings.portFilters[.http1] = .some([80...80])
        line = Line(settings)
        #expect(line.send(Self.get).result == .unknown)
        line = Line(settings, port: 80)
        #expect(line.send(Self.get).result == .parsed)
    }

    @Test func serverIsSkippedAfterRetriesAndComesBack() {
        var settings = L7Settings()
        settings.inferenceMaxRetries = 3
        var line = Line(settings)
        var results: [L7ParseOutcome.Result] = []
        for _ in 0..<6 { results.append(line.send("no such protocol").result) }
        // max_retries + 2 failures, then no work.
        #expect(results == [.unknown, .unknown, .unknown, .unknown, .unknown, .skipped])
        line.nowUs += 61_000_000
        #expect(line.send(Self.get).result == .parsed)
    }

    /// Flows of a server that is given up need no slot; they are tried again when the verdict is too old.
    @Test func givenUpServersTakeNoSlots() {
        var settings = L7Settings()
        settings.inferenceMaxRetries = 3
        var line = Line(settings)
        let flow = L7FlowIdentity(flowID: 2, serverIP: IPAddress(v4: 2), serverPort: 8080)
        if case .givenUp = line.engine.openUnlessGivenUp(flow: flow, nowSec: 1000) { Issue.record("given up too soon") }
        for _ in 0..<10 { line.send("no protocol that is known") }
        guard case .givenUp(let since) = line.engine.openUnlessGivenUp(flow: flow, nowSec: 1001) else {
            Issue.record("took a slot")
            return
        }
        #expect(since == 1000)
        // The highest bit of the second does not count, also where it changes in between.
        let looks: [(since: UInt32, second: UInt64, isGivenUp: Bool)] = [
            (since, 1060, true), (since, 1061, false), (since, 900, true), (since | 1 << 31, 1060, true),
            (since | 1 << 31, 1061, false), (0x7fff_fff0, 0x8000_0000, true), (0xffff_fff0, 0x8000_0040, false),
        ]
        for look in looks {
            let isGivenUp = line.engine.isGivenUp(sinceSec: look.since, timeNs: look.second * 1_000_000_000 + 1)
            #expect(isGivenUp == look.isGivenUp, "\(look)")
        }
        // Asked anew, it has a slot that is not skipped.
        line.slot = line.engine.openAnew(flowID: 2)
        #expect(line.send("no protocol that is known").result == .unknown)
    }

    @Test func knownServerNeedsNoDetection() {
        var line = Line(L7Settings())
        line.send(Self.get)
        line.reopen()
        // A response first: only a parser that is known already can take it.
        #expect(line.send(Self.ok, .serverToClient).result == .parsed)
        line.nowUs += 100_000_000
        line.reopen()
        #expect(line.send(Self.ok, .serverToClient).result == .unknown, "the entry is too old")
    }

    @Test func directionIsContradictedByWhatIsFound() {
        var line = Line(L7Settings())
        let outcome = line.send(Self.get, .serverToClient)
        #expect(outcome.contradictsFlow && outcome.direction == .clientToServer)
        #expect(line.out.messages.all.first?.log.base.reqTCPSeq == 900)
    }

    @Test func unansweredRequestIsATimeoutAtTheEnd() {
        var line = Line(L7Settings())
        line.send(Self.get)
        #expect(line.engine.popTimeouts(slot: line.slot) == (0, 0))
        let closed = line.engine.close(slot: line.slot, into: &line.out)
        #expect(closed.forwardTimeouts == 1 && closed.reversedTimeouts == 0)
        let again = line.engine.close(slot: line.slot, into: &line.out)
        #expect(again.forwardTimeouts == 0, "a closed slot is nobody's")
    }

    @Test func lateResponseIsATimeout() {
        var line = Line(L7Settings())
        line.send(Self.get)
        line.nowUs += 301_000_000
        let outcome = line.send(Self.ok, .serverToClient)
        #expect(outcome.stats.errTimeout == 1 && outcome.stats.rrtCount == 0 && outcome.stats.responseCount == 1)
    }

    @Test func blacklistedRequestIsNotCounted() {
        var settings = L7Settings()
        settings.blacklist.add(.http1, field: .requestType, operator: .equal, value: "GET")
        var line = Line(settings)
        #expect(line.send(Self.get).stats == L7PerfStats())
        #expect(line.out.messages.all.first?.isOnBlacklist == true)
        #expect(line.send(Self.ok, .serverToClient).stats.responseCount == 1, "an unpaired response (trap)")
    }

    // MARK: - RRT cache

    static func item(
        _ type: LogMessageType, _ timeUs: UInt64, id: UInt32? = nil, direction: PacketDirection = .clientToServer
    ) -> RrtCache.Item {
        RrtCache.Item(
            flow: 7, sessionID: id, isReversed: false, type: type, direction: direction,
            status: L7ResponseStatus.ok.rawValue, timeUs: timeUs, isOnBlacklist: false, needsAggregation: true,
            merge: nil, endpoint: "e")
    }

    @Test func rrtRules() {
        var cache = RrtCache(capacity: 100)
        #expect(cache.account(Self.item(.request, 0), rrtTimeoutUs: 100) == nil, "no time, no statistics")
        #expect(cache.account(Self.item(.session, 5), rrtTimeoutUs: 100)?.requestCount == 1)
        #expect(
            cache.account(Self.item(.session, 5, direction: .serverToClient), rrtTimeoutUs: 100)?.responseCount == 1)
        #expect(cache.account(Self.item(.request, 10), rrtTimeoutUs: 100)?.requestCount == 1)
        #expect(cache.requestEndpoint(flow: 7, sessionID: nil, isReversed: false, timeUs: 9)?.text == nil)
        #expect(cache.requestEndpoint(flow: 7, sessionID: nil, isReversed: false, timeUs: 10)?.text == "e")
        let same = cache.account(Self.item(.response, 10), rrtTimeoutUs: 100)
        #expect(same?.rrtCount == 0 && same?.responseCount == 1, "same microsecond (trap)")
        // A second request overwrites the first; the count of outstanding ones stays one too low (trap).
        _ = cache.account(Self.item(.request, 20), rrtTimeoutUs: 100)
        _ = cache.account(Self.item(.request, 21), rrtTimeoutUs: 100)
        #expect(cache.popTimeout(flow: 7, isFlowEnd: false, isReversed: false) == 0)
        #expect(cache.account(Self.item(.response, 25), rrtTimeoutUs: 100)?.rrtSum == 4)
        #expect(cache.popTimeout(flow: 7, isFlowEnd: true, isReversed: false) == 0)
        #expect(cache.flowCount == 0 && cache.pendingCount == 0)
    }

    @Test func rrtKeepsSixteenRequestsOfAFlow() {
        var cache = RrtCache(capacity: 100)
        for id in 0..<17 { _ = cache.account(Self.item(.request, 10, id: UInt32(id)), rrtTimeoutUs: 100) }
        #expect(cache.pendingCount == 16)
        #expect(cache.account(Self.item(.response, 11, id: 0), rrtTimeoutUs: 100)?.rrtCount == 0)
        #expect(cache.account(Self.item(.response, 11, id: 1), rrtTimeoutUs: 100)?.rrtCount == 1)
        #expect(cache.popTimeout(flow: 7, isFlowEnd: true, isReversed: false) == 16)
        #expect(cache.pendingCount == 0)
    }

    @Test func rrtCapacityIsKept() {
        var cache = RrtCache(capacity: 8)
        for flow in 0..<100 {
            var item = Self.item(.request, 10)
            item.flow = flow
            _ = cache.account(item, rrtTimeoutUs: 100)
        }
        #expect(cache.pendingCount == 8 && cache.flowCount == 100)
    }

    @Test func recentTableForgetsWhatWasNotUsed() {
        var table = RecentTable<Int, String>(capacity: 2)
        table.put(1, "a")
        table.put(2, "b")
        #expect(table.get(1) == "a")
        let evicted = table.put(3, "c")
        #expect(evicted?.key == 2)
        #expect(table.get(2) == nil && table.get(1) == "a" && table.count == 2)
        table.remove(1)
        table.put(4, "d")
        #expect(table.get(3) == "c" && table.get(4) == "d")
    }

    // MARK: - Segments

    static var assembling: L7Settings {
        var settings = L7Settings()
        settings.reassembly.isEnabled = true
        return settings
    }

    @Test func headersOverSegments() {
        var line = Line(Self.assembling)
        #expect(line.send("GET /abc HTTP/1.1\r\nHo").result == .held)
        #expect(line.send("st: shop\r\n").result == .held)
        let done = line.send("\r\n")
        #expect(done.result == .parsed && done.namesDomain)
        #expect(line.out.messages.all.first?.log.requestDomain == "shop")
        #expect(line.out.messages.count == 1)
        #expect(line.out.messages.all.first?.log.base.reqTCPSeq == 100)
        #expect(line.out.messages.all.first?.log.base.startTimeNs == 1_000_000_010_000)
        #expect(line.out.messages.all.first?.log.capturedRequestByte == 33)
        #expect(line.engine.counters.reassembled == 1)
    }

    @Test func withoutReassemblyTheFirstSegmentIsTheMessage() {
        var line = Line(L7Settings())
        #expect(line.send("GET /abc HTTP/1.1\r\nHo").result == .parsed)
        #expect(line.send("st: shop\r\n\r\n").result == .failed)
        #expect(line.out.messages.count == 1)
    }

    @Test func heldRequestIsReportedWhenTheServerAnswers() {
        var line = Line(Self.assembling)
        line.send("GET /abc HTTP/1.1\r\nHost: a\r\n")
        line.send(Self.ok, .serverToClient)
        #expect(line.out.messages.all.map(\.type) == [.request, .response])
        #expect(line.out.messages.all.last?.log.endpoint == "/abc")
    }

    @Test func gapAndRepetition() {
        var line = Line(Self.assembling)
        line.send("GET /abc HTTP/1.1\r\nHost: a\r\n")
        #expect(line.send("GET /abc HTTP/1.1\r\n", seq: 100).result == .skipped, "a repeated segment")
        #expect(line.send(Self.get, seq: 5000).result == .held)
        #expect(line.out.messages.all.isEmpty)
        line.nowUs += 1_100_000
        line.send("", seq: 5000)
        line.send("x", seq: 100)
        #expect(line.out.messages.all.map(\.log.requestResource) == ["/abc", "/a"])
        #expect(line.engine.counters.sequenceGaps == 1)
        line.seq[.clientToServer] = 5000 + UInt32(Self.get.utf8.count)
        line.send("GET /end HTTP/1.1\r\nHost")
        _ = line.engine.close(slot: line.slot, into: &line.out)
        #expect(line.out.messages.all.map(\.log.requestResource) == ["/abc", "/a", "/end"])
    }

    @Test func reassemblyIsBounded() {
        var settings = Self.assembling
        settings.reassembly.maxWaiting = 0
        var line = Line(settings)
        #expect(line.send("GET /abc HTTP/1.1\r\nHo").result == .parsed)
        #expect(line.engine.counters.reassemblyOverflow == 1)
        // Longer than what parsers see: the end tells where the next message begins.
        line = Line(Self.assembling)
        #expect(line.send("GET /abc HTTP/1.1\r\nCookie: " + String(repeating: "x", count: 2000)).result == .held)
        #expect(line.send("\r\n\r\n" + Self.get).result == .parsed)
        #expect(line.out.messages.all.map(\.log.requestResource) == ["/abc", "/a"])
    }

    @Test func bothSidesWait() {
        var line = Line(Self.assembling)
        line.send("GET /abc HTTP/1.1\r\nHost: a\r\n")
        let outcome = line.send("HTTP/1.1 200 OK\r\n", .serverToClient)
        #expect(outcome.result == .parsed && outcome.stats.requestCount == 1, "the request's share of the call")
        #expect(line.send("\r\n", .serverToClient).stats.responseCount == 1)
        #expect(line.out.messages.all.map(\.type) == [.request, .response])
    }

    @Test func heldContradictionIsToldWhenParsed() {
        var line = Line(Self.assembling)
        let held = line.send("GET /abc HTTP/1.1\r\n", .serverToClient)
        #expect(held.result == .held && !held.contradictsFlow)
        let done = line.send("\r\n", .serverToClient)
        #expect(done.result == .parsed && done.contradictsFlow && done.direction == .clientToServer)
        line = Line(Self.assembling)
        line.send("GET /abc HTTP/1.1\r\n", .serverToClient)
        let answered = line.send(Self.ok, .clientToServer)
        #expect(answered.contradictsFlow && answered.direction == .serverToClient)
        #expect(line.out.messages.all.map(\.type) == [.request, .response])
    }

    @Test func redisCommandOverSegments() {
        var line = Line(Self.assembling, port: 6379)
        line.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
        line.send("+OK\r\n", .serverToClient)
        #expect(line.send("*2\r\n$3\r\nGET\r\n").result == .held)
        line.send("$1\r\nk\r\n")
        line.send("$1\r\nv\r\n", .serverToClient)
        #expect(line.out.messages.all.map(\.log.requestResource) == ["SET k ?", "", "GET k", ""])
    }
}
