package import Model

/// The L7 side of one flow table: recognises protocols, parses, and counts. Owned by the flow table's thread.
///
/// A flow opens a slot (best at its first payload), gives every packet with payload to `parse`, and closes the slot when
/// it ends. Packet time is the only clock. Source: agent-l7.md 4-6.
package struct L7Engine: ~Copyable {
    /// Counters of the whole engine (statsd).
    package struct Counters: Sendable {
        /// `unknown_l7_protocol`
        package var unknownProtocol: UInt64 = 0
        package var messages: UInt64 = 0
        package var reassembled: UInt64 = 0
        /// Incomplete messages that found no room to wait.
        package var reassemblyOverflow: UInt64 = 0
    }

    private struct Slot {
        var parser = L7Parser.none
        var proto = L7Protocol.unknown
        var isUsed = false
        var isSkipped = false
        var isSuccess = false
        var skipSinceSec: UInt32 = 0
        var flowID: UInt64 = 0
        var nextFree: Int32 = -1
        /// Held segments by direction, -1 = none.
        var heldRequest: Int32 = -1
        var heldResponse: Int32 = -1
    }

    package private(set) var settings: L7Settings
    package private(set) var counters = Counters()
    private var tcpDetectors: [Detector] = []
    private var udpDetectors: [Detector] = []
    private var appTable: AppTable
    private var rrt: RrtCache
    private var obfuscator: SQLObfuscationCache
    private var slots: [Slot] = []
    private var firstFree: Int32 = -1
    private var held: SegmentHolder

    package init(settings: L7Settings) {
        self.settings = settings
        appTable = AppTable(maxRetries: settings.inferenceMaxRetries, ttlSec: settings.inferenceResultTTLSec)
        rrt = RrtCache(capacity: settings.rrtCacheCapacity)
        obfuscator = SQLObfuscationCache()
        held = SegmentHolder(settings.reassembly)
        tcpDetectors = Self.detectors(.tcp, settings)
        udpDetectors = Self.detectors(.udp, settings)
    }

    /// A protocol to look for and the server ports to look on.
    private struct Detector {
        var proto: L7Protocol
        var low: UInt16
        var high: UInt16
    }

    /// In the order in which they are asked. A protocol with several port ranges stands once for each.
    private static func detectors(_ l4: L4Protocol, _ settings: borrowing L7Settings) -> [Detector] {
        var out: [Detector] = []
        for proto in L7Parser.order where L7Parser.runs(proto, on: l4) && settings.enabled.contains(proto) {
            for range in settings.portFilters[proto].disjointRanges {
                out.append(Detector(proto: proto, low: range.lowerBound, high: range.upperBound))
            }
        }
        return out
    }

    /// statsd `l7_perf_cache_len`, `l7_timeout_cache_len`.
    package var perfCacheCount: Int { rrt.pendingCount }
    package var timeoutCacheCount: Int { rrt.flowCount }

    // MARK: - Flows

    /// Takes a slot for a flow. A server endpoint that is known from other flows decides its parser, or that it is skipped.
    package mutating func open(flow: L7FlowIdentity, nowSec: UInt32) -> Int32 {
        var slot = Slot()
        slot.isUsed = true
        slot.flowID = flow.flowID
        let key = AppTable.Key(
            ip: flow.serverIP, epcID: flow.serverEpcID, port: flow.serverPort, processID: flow.processID,
            source: flow.ebpfType)
        switch appTable.get(key, isIPv6: flow.isIPv6, nowSec: nowSec) {
        case .none: break
        case .known(let proto):
            if let parser = L7Parser(proto) {
                slot.parser = parser
                slot.proto = proto
            }
        case .unknown(let sinceSec):
            slot.isSkipped = true
            slot.skipSinceSec = sinceSec
        }
        if firstFree >= 0 {
            let index = firstFree
            firstFree = slots[Int(index)].nextFree
            slots[Int(index)] = slot
            return index
        }
        slots.append(slot)
        return Int32(truncatingIfNeeded: slots.count &- 1)
    }

    /// Ends a flow: what was held back is parsed, and what nobody answered is counted.
    ///
    /// - Returns: outcome of held segments, and the timeouts for the two closing `L7Stats` (6.4, 6.6); the second direction
    ///   is 0 because the first call deletes the flow's record.
    package mutating func close(
        slot index: Int32, into out: inout L7Output
    ) -> (held: L7ParseOutcome, forwardTimeouts: UInt32, reversedTimeouts: UInt32) {
        guard slots.indices.contains(Int(index)), slots[Int(index)].isUsed else { return (L7ParseOutcome(), 0, 0) }
        var outcome = L7ParseOutcome()
        for isRequest in [true, false] { release(Int(index), isRequest: isRequest, &outcome, into: &out) }
        let forward = rrt.popTimeout(flow: Int(index), isFlowEnd: true, isReversed: false)
        let reversed = rrt.popTimeout(flow: Int(index), isFlowEnd: true, isReversed: true)
        slots[Int(index)] = Slot()
        slots[Int(index)].nextFree = firstFree
        firstFree = index
        return (outcome, forward, reversed)
    }

    /// Timeouts so far of a flow that goes on, for the two `L7Stats` of its per-second report. Resets them.
    package mutating func popTimeouts(slot index: Int32) -> (forward: UInt32, reversed: UInt32) {
        guard slots.indices.contains(Int(index)), slots[Int(index)].isUsed else { return (0, 0) }
        return (
            rrt.popTimeout(flow: Int(index), isFlowEnd: false, isReversed: false),
            rrt.popTimeout(flow: Int(index), isFlowEnd: false, isReversed: true)
        )
    }

    /// Protocol of a flow as far as it is known.
    package func l7Protocol(slot index: Int32) -> L7Protocol {
        slots.indices.contains(Int(index)) ? slots[Int(index)].proto : .unknown
    }

    // MARK: - Packets

    /// Looks at one packet of a flow and appends its messages. `payload`: all captured bytes behind the L4 header, borrowed
    /// for the call.
    package mutating func parse(
        slot index: Int32, packet: L7Packet, payload: RawSpan, into out: inout L7Output
    ) -> L7ParseOutcome {
        var outcome = L7ParseOutcome()
        outcome.direction = packet.direction
        let at = Int(index)
        guard slots.indices.contains(at), slots[at].isUsed, payload.byteCount > 0 else { return outcome }
        guard settings.parsesLogs || settings.parsesMetrics else { return outcome }
        if slots[at].isSkipped {
            let nowSec = packet.timeNs / 1_000_000_000
            guard nowSec > UInt64(slots[at].skipSinceSec) + UInt64(settings.inferenceResultTTLSec) else {
                outcome.l7Protocol = slots[at].proto
                return outcome
            }
            slots[at].isSkipped = false
            if !slots[at].isSuccess {
                slots[at].parser = .none
                slots[at].proto = .unknown
            }
        }
        if settings.reassembly.isEnabled, packet.l4Protocol == .tcp {
            parseSegment(at, packet, payload, &outcome, into: &out)
        } else {
            parseWhole(at, packet, payload, mayWait: false, &outcome, into: &out)
        }
        outcome.l7Protocol = slots[at].proto
        if outcome.contradictsFlow { outcome.direction = packet.direction.reversed }
        return outcome
    }

    /// Recognises and parses one payload. Returns false when it must wait for the rest of its message.
    @discardableResult
    private mutating func parseWhole(
        _ at: Int, _ packet: L7Packet, _ payload: RawSpan, mayWait: Bool, _ outcome: inout L7ParseOutcome,
        into out: inout L7Output
    ) -> Bool {
        let cut = payload.extracting(0..<min(payload.byteCount, max(settings.payloadTruncation, 0)))
        var packet = packet
        var context = L7ParseContext(
            direction: packet.direction, l4Protocol: packet.l4Protocol, payloadSize: payload.byteCount,
            mayWait: mayWait && payload.byteCount < settings.payloadTruncation)
        if slots[at].parser.isNone {
            guard payload.byteCount >= 2 else {
                outcome.result = .unknown
                return true
            }
            guard let found = infer(at, packet, cut, context) else {
                outcome.result = .unknown
                outcome.failedCount &+= 1
                counters.unknownProtocol &+= 1
                fail(at, packet)
                return true
            }
            if found != packet.direction { outcome.contradictsFlow = true }
            packet.direction = found
            context.direction = found
        }
        let start = out.messages.count
        let result = slots[at].parser.parse(cut, context, settings, &obfuscator, into: &out.messages)
        switch result {
        case .incomplete: return false
        case .failed:
            if out.messages.count > start { out.messages.removeSubrange(start...) }
            if outcome.result != .parsed { outcome.result = .failed }
            if !slots[at].isSuccess {
                outcome.failedCount &+= 1
                fail(at, packet)
            }
        case .parsed:
            outcome.result = .parsed
            if !slots[at].isSuccess {
                slots[at].isSuccess = true
                appTable.set(
                    appKey(packet), isIPv6: packet.isIPv6, proto: slots[at].proto,
                    nowSec: UInt32(truncatingIfNeeded: packet.timeNs / 1_000_000_000))
            }
            finish(at, packet, from: start, &outcome, into: &out)
        }
        return true
    }

    /// Asks the detectors in order. Returns the direction of the packet by what was found.
    private mutating func infer(
        _ at: Int, _ packet: L7Packet, _ payload: RawSpan, _ context: L7ParseContext
    ) -> PacketDirection? {
        let serverPort = packet.direction == .clientToServer ? packet.portDst : packet.portSrc
        let isTCP = packet.l4Protocol == .tcp
        let count = isTCP ? tcpDetectors.count : packet.l4Protocol == .udp ? udpDetectors.count : 0
        for number in 0..<count {
            let detector = isTCP ? tcpDetectors[number] : udpDetectors[number]
            guard serverPort >= detector.low, serverPort <= detector.high else { continue }
            let proto = detector.proto
            guard let found = L7Parser.detect(proto, payload, context, settings), let parser = L7Parser(proto) else {
                continue
            }
            slots[at].parser = parser
            slots[at].proto = proto
            if proto == .redis { return redisDirection(packet) }
            return found == .request ? .clientToServer : .serverToClient
        }
        return nil
    }

    /// The well-known port tells the server, otherwise the presumed direction does (4.2).
    private func redisDirection(_ packet: L7Packet) -> PacketDirection {
        if packet.portDst == 6379 { return .clientToServer }
        if packet.portSrc == 6379 { return .serverToClient }
        return packet.direction
    }

    private func appKey(_ packet: L7Packet) -> AppTable.Key {
        let toServer = packet.direction == .clientToServer
        return AppTable.Key(
            ip: toServer ? packet.ipDst : packet.ipSrc, epcID: toServer ? packet.epcIDDst : packet.epcIDSrc,
            port: toServer ? packet.portDst : packet.portSrc, processID: 0, source: 0)
    }

    /// Counts a failure of a flow that never succeeded, and gives the flow up when its server failed too often.
    private mutating func fail(_ at: Int, _ packet: L7Packet) {
        let nowSec = UInt32(truncatingIfNeeded: packet.timeNs / 1_000_000_000)
        if appTable.setUnknown(appKey(packet), isIPv6: packet.isIPv6, nowSec: nowSec) {
            slots[at].isSkipped = true
            slots[at].skipSinceSec = nowSec
        }
    }

    /// Completes the messages of one payload: base fields, endpoint, blacklist, statistics.
    private mutating func finish(
        _ at: Int, _ packet: L7Packet, from start: Int, _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let flowID = slots[at].flowID
        for number in start..<out.messages.count {
            counters.messages &+= 1
            withUnsafeMutablePointer(to: &out.messages[number]) { message in
                complete(&message.pointee, slots[at].proto, flowID, packet)
                if settings.parsesMetrics { count(&message.pointee, at, packet, &outcome) }
                if !message.pointee.log.requestDomain.isEmpty {
                    outcome.requestDomain = message.pointee.log.requestDomain
                }
            }
        }
    }

    /// Endpoint of a response, blacklist, statistics.
    private mutating func count(
        _ message: inout L7Message, _ at: Int, _ packet: L7Packet, _ outcome: inout L7ParseOutcome
    ) {
        let timeUs = packet.timeNs / 1000
        let timeout = packet.l4Protocol == .tcp ? settings.tcpRequestTimeoutUs : settings.otherRequestTimeoutUs
        let sessionID = message.hasSessionID ? message.sessionID : nil
        if message.type == .response, message.log.endpoint.isEmpty, L7Parser.inheritsEndpoint(message.l7Protocol),
            let endpoint = rrt.requestEndpoint(
                flow: at, sessionID: sessionID, isReversed: message.isReversed, timeUs: timeUs)
        {
            message.log.endpoint = endpoint
        }
        if !settings.blacklist.isEmpty, settings.blacklist.contains(message) { message.isOnBlacklist = true }
        let item = RrtCache.Item(
            flow: at, sessionID: sessionID, isReversed: message.isReversed, type: message.type,
            direction: packet.direction, status: message.log.responseStatus, timeUs: timeUs,
            isOnBlacklist: message.isOnBlacklist, needsAggregation: message.needsSessionAggregation,
            merge: message.needsMerge ? (message.isRequestEnd, message.isResponseEnd) : nil,
            endpoint: message.log.endpoint)
        guard var stats = rrt.account(item, rrtTimeoutUs: timeout) else { return }
        message.log.base.rrtNs = stats.rrtSum &* 1000
        stats.errTimeout = rrt.popTimeout(flow: at, isFlowEnd: false, isReversed: message.isReversed)
        message.stats = stats
        message.hasStats = true
        outcome.stats.merge(stats)
    }

    private func complete(_ message: inout L7Message, _ proto: L7Protocol, _ flowID: UInt64, _ packet: L7Packet) {
        if message.l7Protocol == .unknown { message.l7Protocol = proto }
        message.direction = packet.direction
        let toServer = packet.direction == .clientToServer
        let (type, l7Protocol, isReversed, offset) = (
            message.type, message.l7Protocol, message.isReversed, message.tcpSeqOffset
        )
        message.change { log in
            switch type {
            case .request: log.capturedRequestByte = packet.capturedByte
            case .response: log.capturedResponseByte = packet.capturedByte
            case .session, .other:
                if toServer {
                    log.capturedRequestByte = packet.capturedByte
                } else {
                    log.capturedResponseByte = packet.capturedByte
                }
            }
            log.base.startTimeNs = packet.timeNs
            log.base.endTimeNs = packet.timeNs
            log.base.flowID = flowID
            log.base.l7Protocol = l7Protocol.rawValue
            log.base.messageType = type.rawValue
            if isReversed { log.flags |= L7FlowLog.flagReversed }
            if packet.l4Protocol == .tcp {
                let seq = packet.tcpSeq &+ offset
                if toServer { log.base.reqTCPSeq = seq } else { log.base.respTCPSeq = seq }
            }
        }
    }

    // MARK: - Segments

    /// Like `parseWhole`, but a message that a segment leaves incomplete waits for the next one in order.
    ///
    /// Held segments are filed under the direction in which the flow table saw them, and carry the one that was recognised:
    /// a difference is told when they are parsed.
    private mutating func parseSegment(
        _ at: Int, _ packet: L7Packet, _ payload: RawSpan, _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let isRequest = packet.direction == .clientToServer
        let number = isRequest ? slots[at].heldRequest : slots[at].heldResponse
        if number >= 0 {
            if held.append(number, seq: packet.tcpSeq, payload) {
                retry(at, isRequest: isRequest, number, &outcome, into: &out)
                return
            }
            if held.isRepeated(number, seq: packet.tcpSeq, count: payload.byteCount) { return }
            release(at, isRequest: isRequest, &outcome, into: &out)
        } else {
            // The other side speaks: what it answers is complete.
            release(at, isRequest: !isRequest, &outcome, into: &out)
        }
        var packet = packet
        if outcome.contradictsFlow { packet.direction = packet.direction.reversed }
        let serverPort = packet.direction == .clientToServer ? packet.portDst : packet.portSrc
        let mayWait = settings.reassembly.covers(serverPort)
        var fresh = L7ParseOutcome()
        if parseWhole(at, packet, payload, mayWait: mayWait, &fresh, into: &out) {
            outcome.add(fresh)
            return
        }
        let recognised = fresh.contradictsFlow ? packet.direction.reversed : packet.direction
        if let new = held.take(packet, payload, direction: recognised) {
            if isRequest { slots[at].heldRequest = new } else { slots[at].heldResponse = new }
            if outcome.result == .skipped { outcome.result = .held }
            return
        }
        counters.reassemblyOverflow &+= 1
        packet.direction = recognised
        outcome.contradictsFlow = outcome.contradictsFlow != fresh.contradictsFlow
        parseWhole(at, packet, payload, mayWait: false, &outcome, into: &out)
    }

    /// Parses what is held, which has grown.
    private mutating func retry(
        _ at: Int, isRequest: Bool, _ number: Int32, _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let (packet, bytes) = held.lend(number)
        let mayWait = held.hasRoom(bytes.count)
        guard parseWhole(at, packet, bytes.span.bytes, mayWait: mayWait, &outcome, into: &out) else {
            held.giveBack(number, bytes)
            outcome.result = .held
            return
        }
        counters.reassembled &+= 1
        held.free(number)
        if isRequest { slots[at].heldRequest = -1 } else { slots[at].heldResponse = -1 }
        if (packet.direction == .clientToServer) != isRequest { outcome.contradictsFlow = true }
    }

    /// Parses what is held of one direction as it is: nothing more will come.
    private mutating func release(
        _ at: Int, isRequest: Bool, _ outcome: inout L7ParseOutcome, into out: inout L7Output
    ) {
        let number = isRequest ? slots[at].heldRequest : slots[at].heldResponse
        guard number >= 0 else { return }
        if isRequest { slots[at].heldRequest = -1 } else { slots[at].heldResponse = -1 }
        let (packet, bytes) = held.lend(number)
        held.free(number)
        parseWhole(at, packet, bytes.span.bytes, mayWait: false, &outcome, into: &out)
        if (packet.direction == .clientToServer) != isRequest { outcome.contradictsFlow = true }
    }
}
