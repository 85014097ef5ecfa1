import Model
import Testing

@testable import Pipeline

/// Event lists for agent-l7.md 8, 9, 14.
@Suite struct SessionAggregatorTests {
    static func message(
        _ type: LogMessageType, flow: UInt64 = 1, atMs: UInt64, proto: L7Protocol = .http1, text: String = "",
        session: UInt32? = nil
    ) -> L7Message {
        var message = L7Message()
        message.type = type
        message.l7Protocol = proto
        message.log.base.messageType = type.rawValue
        message.log.base.l7Protocol = proto.rawValue
        message.log.base.flowID = flow
        message.log.base.startTimeNs = atMs * 1_000_000
        message.log.base.endTimeNs = atMs * 1_000_000
        if type == .request {
            message.log.requestResource = text
        } else {
            message.log.responseResult = text
            message.log.responseStatus = L7ResponseStatus.ok.rawValue
        }
        if let session {
            message.sessionID = session
            message.hasSessionID = true
        }
        return message
    }

    /// Feeds one batch and returns what came out as `resource>result type status`.
    static func run(
        _ aggregator: inout SessionAggregator, _ batch: [L7Message], nowMs: UInt64 = 0
    ) -> [String] {
        var out: [L7FlowLog] = []
        var queued = L7MessageBatch()
        for message in batch { queued.append(message) }
        aggregator.add(batch: &queued, nowNs: nowMs * 1_000_000, into: &out)
        #expect(queued.count == 0)
        aggregator.endBatch(nowNs: nowMs * 1_000_000, into: &out)
        return out.map(show)
    }

    static func show(_ log: L7FlowLog) -> String {
        let type = LogMessageType(rawValue: log.base.messageType)?.text ?? "?"
        let status = L7ResponseStatus(rawValue: log.responseStatus)?.text ?? "?"
        return "\(log.requestResource)>\(log.responseResult) \(type) \(status)"
    }

    static func fresh(_ change: (inout SessionAggregator.Settings) -> Void = { _ in }) -> SessionAggregator {
        var settings = SessionAggregator.Settings()
        settings.throttlePerSecond = 0
        change(&settings)
        return SessionAggregator(settings: settings)
    }

    @Test func pairBecomesASession() {
        var join = Self.fresh()
        #expect(Self.run(&join, [Self.message(.request, atMs: 1000, text: "a")]) == [])
        var out: [L7FlowLog] = []
        join.add(Self.message(.response, atMs: 1250, text: "b"), nowNs: 0, into: &out)
        #expect(out.map(Self.show) == ["a>b session ok"])
        #expect(out.first?.base.rrtNs == 250_000_000)
        #expect(out.first?.base.startTimeNs == 1_000_000_000 && out.first?.base.endTimeNs == 1_250_000_000)
        #expect(join.counters.merge == 1 && join.counters.cached == 0 && join.counters.receive == 2)
    }

    @Test func responseMayComeFirst() {
        var join = Self.fresh()
        #expect(Self.run(&join, [Self.message(.response, atMs: 20, text: "b")]) == [])
        #expect(Self.run(&join, [Self.message(.request, atMs: 10, text: "a")]) == ["a>b session ok"])
    }

    @Test func equalTimesNeverJoin() {
        var join = Self.fresh()
        let batch = [Self.message(.request, atMs: 10, text: "a"), Self.message(.response, atMs: 10, text: "b")]
        #expect(Self.run(&join, batch) == ["a> request unknown"])
        #expect(join.count == 1)
    }

    @Test func sameKindTwice() {
        var join = Self.fresh()
        let batch = [Self.message(.request, atMs: 10, text: "a"), Self.message(.request, atMs: 20, text: "b")]
        #expect(Self.run(&join, batch) == ["a> request unknown"])
        // The older one leaves although it comes later.
        #expect(Self.run(&join, [Self.message(.request, atMs: 5, text: "c")]) == ["c> request unknown"])
        #expect(Self.run(&join, [Self.message(.response, atMs: 30, text: "d")]) == ["b>d session ok"])
    }

    @Test func sessionIDsSeparate() {
        var join = Self.fresh()
        let batch = [
            Self.message(.request, atMs: 10, text: "a", session: 1),
            Self.message(.request, atMs: 11, text: "b", session: 2),
            Self.message(.response, atMs: 12, text: "c", session: 2),
            Self.message(.response, atMs: 13, text: "d", session: 1),
        ]
        #expect(Self.run(&join, batch) == ["b>c session ok", "a>d session ok"])
    }

    @Test func sessionsPassThrough() {
        var join = Self.fresh()
        var alone = Self.message(.request, atMs: 5, text: "x")
        alone.needsSessionAggregation = false
        #expect(
            Self.run(&join, [Self.message(.session, atMs: 5, text: "s"), alone]) == [
                ">s session ok", "x> request unknown",
            ])
        #expect(join.count == 0)
    }

    @Test func timeoutsLeaveInReverseOrderOfOneSecond() {
        var join = Self.fresh()
        let batch = [
            Self.message(.request, flow: 1, atMs: 1000, text: "a"),
            Self.message(.request, flow: 2, atMs: 1900, text: "b"),
            Self.message(.request, flow: 3, atMs: 2000, text: "c"),
            Self.message(.request, flow: 4, atMs: 1500, proto: .dns, text: "d"),
        ]
        #expect(Self.run(&join, batch) == [])
        #expect(
            Self.run(&join, [Self.message(.session, flow: 9, atMs: 16_000, text: "")]) == [
                "> session ok", "d> request timeout",
            ])
        #expect(
            Self.run(&join, [Self.message(.session, flow: 9, atMs: 121_000, text: "")])
                == ["> session ok", "b> request timeout", "a> request timeout"])
        #expect(join.count == 1 && join.counters.cached == 1)
        // Too late for the window: sent as it is.
        #expect(Self.run(&join, [Self.message(.request, flow: 5, atMs: 900, text: "e")]) == ["e> request unknown"])
        #expect(join.counters.sendBeforeWindow == 1)
    }

    @Test func clockMovesTheWindowWithoutPackets() {
        var join = Self.fresh()
        _ = Self.run(&join, [Self.message(.request, atMs: 1_000_000, text: "a")], nowMs: 1_003_000)
        #expect(Self.run(&join, [], nowMs: 1_122_000) == [])
        #expect(Self.run(&join, [], nowMs: 1_123_000) == ["a> request timeout"])
    }

    @Test func overflowLosesTheNewOne() {
        var join = Self.fresh { $0.maxEntries = 2 }
        let batch = (1...3).map { Self.message(.request, flow: UInt64($0), atMs: UInt64($0) * 1000, text: "\($0)") }
        #expect(Self.run(&join, batch) == ["1> request unknown"])
        #expect(join.count == 1 && join.counters.overLimit == 1 && join.counters.cached == 2)
    }

    @Test func replayEndTurnsTheRestIntoTimeouts() {
        var join = Self.fresh()
        var silent = Self.message(.response, flow: 3, atMs: 30, proto: .mysql, text: "x")
        silent.skipSend = true
        let batch = [
            Self.message(.request, flow: 1, atMs: 10, text: "a"),
            Self.message(.request, flow: 2, atMs: 20, proto: .dns, text: "b"), silent,
        ]
        #expect(Self.run(&join, batch) == [])
        var out: [L7FlowLog] = []
        join.flush(asTimeout: true, nowNs: 0, into: &out)
        #expect(out.map(Self.show) == ["b> request timeout", "a> request timeout"])
        #expect(join.count == 0 && join.counters.cached == 0 && join.counters.cachedRequestResource == 0)
    }

    @Test func stopKeepsTheStatus() {
        var join = Self.fresh()
        _ = Self.run(&join, [Self.message(.request, atMs: 10, text: "a")])
        var out: [L7FlowLog] = []
        join.flush(asTimeout: false, nowNs: 0, into: &out)
        #expect(out.map(Self.show) == ["a> request unknown"])
    }

    @Test func blacklistedHalfHidesTheSession() {
        var join = Self.fresh()
        var response = Self.message(.response, atMs: 20, text: "b")
        response.isOnBlacklist = true
        #expect(Self.run(&join, [Self.message(.request, atMs: 10, text: "a"), response]) == [])
        #expect(join.counters.merge == 1)
    }

    @Test func ignoredTapSideIsNotReceived() {
        var join = Self.fresh { $0.ignoredTapSides = [TapSide.client.rawValue] }
        var message = Self.message(.request, atMs: 10, text: "a")
        message.log.base.tapSide = TapSide.client.rawValue
        #expect(Self.run(&join, [message]) == [])
        #expect(join.counters.receive == 0 && join.count == 0)
    }

    /// Which capture networks log; 0 = all, -1 = none. Source: agent-l7.md 3, 4.5.
    @Test func captureNetworks() {
        let cases: [(types: [Int], received: UInt64)] = [
            ([0], 1), ([3], 1), ([4, 3], 1), ([4], 0), ([-1], 0), ([0, -1], 0),
        ]
        for (types, received) in cases {
            var join = Self.fresh { $0.captureNetworkTypes = types }
            var message = Self.message(.request, atMs: 10, text: "a")
            message.log.base.tapType = CaptureNetworkType.cloud
            _ = Self.run(&join, [message])
            #expect(join.counters.receive == received, "\(types)")
        }
    }

    @Test func partsOfOneMessageMerge() {
        var join = Self.fresh()
        var first = Self.message(.request, atMs: 10, proto: .http2, text: "a", session: 1)
        first.needsMerge = true
        var end = Self.message(.request, atMs: 11, proto: .http2, session: 1)
        end.needsMerge = true
        end.isRequestEnd = true
        var answer = Self.message(.response, atMs: 12, proto: .http2, text: "b", session: 1)
        answer.needsMerge = true
        answer.isResponseEnd = true
        #expect(Self.run(&join, [first, end, answer]) == ["a>b session ok"])
        #expect(Self.run(&join, [answer]) == [], "a late duplicate of a finished stream")
        #expect(join.count == 0)
    }

    @Test func closedSocketEndsTheWait() {
        var join = Self.fresh()
        var request = Self.message(.request, flow: 8, atMs: 10, text: "a")
        request.isFromEBPF = true
        request.log.base.syscallCapSeq0 = 41
        _ = Self.run(&join, [request])
        var out: [L7FlowLog] = []
        join.socketClosed(flowID: 8, proto: .http1, capSeq: 41, nowNs: 0, into: &out)
        #expect(out.isEmpty)
        join.socketClosed(flowID: 8, proto: .http1, capSeq: 42, nowNs: 0, into: &out)
        #expect(out.map(Self.show) == ["a> request unknown"])
    }

    @Test func capturedBytes() {
        for (proto, expected) in [(L7Protocol.http1, 30 as UInt32), (.redis, 20)] {
            var request = Self.message(.request, atMs: 10, proto: proto)
            request.log.capturedRequestByte = 5
            request.log.capturedResponseByte = 10
            var response = Self.message(.response, atMs: 20, proto: proto)
            response.log.capturedResponseByte = 20
            withUnsafePointer(to: response) { request.merge($0) }
            #expect(request.log.capturedResponseByte == expected && request.log.capturedRequestByte == 5)
        }
    }

    @Test func pairIndexAgreesWithADictionary() {
        var random = L7FuzzTests.Random(state: 5)
        var index = PairIndex()
        var expected: [UInt64: Int32] = [:]
        for round in 0..<20_000 as Range<Int32> {
            let number = UInt64.random(in: 0..<400, using: &random)
            let key = PairIndex.Key(high: number / 3, low: number % 3)
            if let known = expected[number] {
                #expect(index.find(key) == known)
                if Bool.random(using: &random) {
                    #expect(index.remove(key) == known)
                    expected[number] = nil
                }
            } else {
                #expect(index.find(key) == -1 && index.remove(key) == -1)
                index.insert(key, round)
                expected[number] = round
            }
        }
        #expect(index.count == expected.count)
    }

    // MARK: - Throttle

    @Test func throttleLetsTheRateThrough() {
        var throttle = LogThrottle(rate: 100)
        var out: [L7FlowLog] = []
        // A full bucket holds ten refills of 10.
        for number in 0..<500 {
            var log = L7FlowLog()
            log.rowEffect = UInt32(number)
            throttle.offer(log, nowNs: 1_000_000_000, into: &out)
        }
        throttle.flush(into: &out)
        #expect(out.count == 100 && throttle.dropped == 400)
        #expect(out.contains { $0.rowEffect >= 100 }, "later logs have their chance")
        for _ in 0..<500 { throttle.offer(L7FlowLog(), nowNs: 1_100_000_000, into: &out) }
        throttle.flush(into: &out)
        #expect(out.count == 110)
        var unlimited = LogThrottle(rate: 0)
        out = []
        for _ in 0..<5000 { unlimited.offer(L7FlowLog(), nowNs: 0, into: &out) }
        #expect(out.count == 5000 && unlimited.dropped == 0)
    }

    @Test func fullBufferIsFlushed() {
        var throttle = LogThrottle(rate: 100_000)
        var out: [L7FlowLog] = []
        for _ in 0..<1500 { throttle.offer(L7FlowLog(), nowNs: 1, into: &out) }
        #expect(out.count == 1024)
        throttle.flush(into: &out)
        #expect(out.count == 1500)
    }
}
