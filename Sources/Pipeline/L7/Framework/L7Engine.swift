import CLinux
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
        /// Beginnings of flows that were kept and proved to be of no known protocol.
        package var unrecognised: UInt64 = 0
        /// Segments that waited for one in front of them, and places where it did not come.
        package var earlySegments: UInt64 = 0
        package var sequenceGaps: UInt64 = 0
    }

    struct Slot {
        var parser = L7Parser.none
        var proto = L7Protocol.unknown
        var isUsed = false
        var isSkipped = false
        var isSuccess = false
        var skipSinceSec: UInt32 = 0
        var flowID: UInt64 = 0
        var nextFree: Int32 = -1
        /// Of the server's endpoint, as long as no parser is found.
        var endpoint = AppTable.Place()
        var sides = StreamSides()
        /// Last domain that a message named.
        var domain = ""
    }

    package private(set) var settings: L7Settings
    package internal(set) var counters = Counters()
    private var tcpDetectors: NumberedStore<Detector>
    private var udpDetectors: NumberedStore<Detector>
    private var icmpDetectors: NumberedStore<Detector>
    private var appTable: AppTable
    private var rrt: RrtCache
    var obfuscator: SQLObfuscationCache
    var slots = NumberedStore<Slot>()
    private var firstFree: Int32 = -1
    var held: SegmentHolder
    var early: EarlySegments

    package init(settings: L7Settings) {
        self.settings = settings
        appTable = AppTable(maxRetries: settings.inferenceMaxRetries, ttlSec: settings.inferenceResultTTLSec)
        rrt = RrtCache(capacity: settings.rrtCacheCapacity)
        obfuscator = SQLObfuscationCache()
        held = SegmentHolder(settings.reassembly, shown: settings.payloadTruncation)
        early = EarlySegments(settings.reassembly)
        tcpDetectors = Self.detectors(.tcp, settings)
        udpDetectors = Self.detectors(.udp, settings)
        icmpDetectors = Self.detectors(.icmp, settings)
    }

    /// A protocol to look for and the server ports to look on.
    struct Detector {
        var proto: L7Protocol
        var low: UInt16
        var high: UInt16
    }

    /// In the order in which they are asked. A protocol with several port ranges stands once for each.
    private static func detectors(
        _ l4: L4Protocol, _ settings: borrowing L7Settings
    ) -> NumberedStore<Detector> {
        var out = NumberedStore<Detector>()
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

    /// Asks the caches for what `parse` touches of a flow.
    @inline(__always)
    package func prefetch(slot index: Int32) {
        let slot = UnsafeRawPointer(slots.pointer(Int(index)))
        dft_prefetch(slot)
        dft_prefetch(slot + 64)
        rrt.prefetch(flow: Int(index))
    }

    /// Segments of TCP are put in order and messages together.
    @inline(__always)
    package var followsStreams: Bool { settings.reassembly.isEnabled }

    /// Echoes are logged: the engine wants them, from their ICMP header on.
    package var readsEchoes: Bool { icmpDetectors.count > 0 }

    // MARK: - Flows

    /// What becomes of a flow that opens.
    package enum Opening {
        case slot(Int32)
        /// Nobody knows what its server speaks: it needs no slot until it is tried again.
        case givenUp(sinceSec: UInt32)
    }

    /// Takes a slot for a flow. A server endpoint that is known from other flows decides its parser, or that it is skipped.
    package mutating func open(flow: L7FlowIdentity, nowSec: UInt32) -> Int32 {
        switch openUnlessGivenUp(flow: flow, nowSec: nowSec) {
        case .slot(let index): return index
        case .givenUp(let sinceSec):
            let index = openAnew(flowID: flow.flowID)
            slots[Int(index)].isSkipped = true
            slots[Int(index)].skipSinceSec = sinceSec
            return index
        }
    }

    /// As `open`, but a flow that is skipped takes no slot.
    package mutating func openUnlessGivenUp(flow: L7FlowIdentity, nowSec: UInt32) -> Opening {
        let key = AppTable.Key(
            ip: flow.serverIP, epcID: flow.serverEpcID, port: flow.serverPort, processID: flow.processID,
            source: flow.ebpfType)
        switch appTable.get(key, isIPv6: flow.isIPv6, nowSec: nowSec) {
        case .none: return .slot(openStreams(of: flow))
        case .known(let proto):
            let index = openStreams(of: flow)
            if let parser = L7Parser(proto) {
                slots[Int(index)].parser = parser
                slots[Int(index)].proto = proto
            }
            return .slot(index)
        case .unknown(let sinceSec): return .givenUp(sinceSec: sinceSec)
        }
    }

    /// A slot for a flow whose first bytes a handshake may have told.
    private mutating func openStreams(of flow: L7FlowIdentity) -> Int32 {
        let index = openAnew(flowID: flow.flowID)
        if let seq = flow.clientSeq { slots[Int(index)].sides[0].begin(at: seq) }
        if let seq = flow.serverSeq { slots[Int(index)].sides[1].begin(at: seq) }
        return index
    }

    /// A slot for a flow of which nothing is known, also when its server was given up.
    package mutating func openAnew(flowID: UInt64) -> Int32 {
        var slot = Slot()
        slot.isUsed = true
        slot.flowID = flowID
        if firstFree >= 0 {
            let index = firstFree
            firstFree = slots[Int(index)].nextFree
            slots[Int(index)] = slot
            return index
        }
        slots.append(slot)
        return Int32(truncatingIfNeeded: slots.count &- 1)
    }

    /// - Parameter sinceSec: when the flow was given up; its highest bit does not count.
    @inline(__always)
    package func isGivenUp(sinceSec: UInt32, timeNs: UInt64) -> Bool {
        let elapsed = Int32(bitPattern: (UInt32(truncatingIfNeeded: timeNs / 1_000_000_000) &- sinceSec) << 1) >> 1
        return Int64(elapsed) <= Int64(settings.inferenceResultTTLSec)
    }

    /// Ends a flow: what was held back is parsed, and what nobody answered is counted.
    ///
    /// - Returns: outcome of held segments, and the timeouts for the two closing `L7Stats` (6.4, 6.6); the second direction
    ///   is 0 because the first call deletes the flow's record.
    package mutating func close(
        slot index: Int32, into out: inout L7Output
    ) -> (held: L7ParseOutcome, forwardTimeouts: UInt32, reversedTimeouts: UInt32) {
        guard slots.contains(Int(index)), slots[Int(index)].isUsed else { return (L7ParseOutcome(), 0, 0) }
        var outcome = L7ParseOutcome()
        endStreams(Int(index), &outcome, into: &out)
        let forward = rrt.popTimeout(flow: Int(index), isFlowEnd: true, isReversed: false)
        let reversed = rrt.popTimeout(flow: Int(index), isFlowEnd: true, isReversed: true)
        slots[Int(index)] = Slot()
        slots[Int(index)].nextFree = firstFree
        firstFree = index
        return (outcome, forward, reversed)
    }

    /// Timeouts so far of a flow that goes on, for the two `L7Stats` of its per-second report. Resets them.
    package mutating func popTimeouts(slot index: Int32) -> (forward: UInt32, reversed: UInt32) {
        guard slots.contains(Int(index)), slots[Int(index)].isUsed else { return (0, 0) }
        return (
            rrt.popTimeout(flow: Int(index), isFlowEnd: false, isReversed: false),
            rrt.popTimeout(flow: Int(index), isFlowEnd: false, isReversed: true)
        )
    }

    /// The domain that messages of a flow named last; empty for none.
    package func domain(slot index: Int32) -> String {
        slots.contains(Int(index)) ? slots[Int(index)].domain : ""
    }

    /// Protocol of a flow as far as it is known.
    package func l7Protocol(slot index: Int32) -> L7Protocol {
        slots.contains(Int(index)) ? slots[Int(index)].proto : .unknown
    }

    // MARK: - Packets

    /// The flow was given up, and it is too early to try again: `parse` would do nothing.
    @inline(__always)
    package func isSkipped(slot index: Int32, timeNs: UInt64) -> Bool {
        let at = Int(index)
        return slots.contains(at) && slots[at].isSkipped && !mayRetry(at, timeNs)
    }

    /// Asks the caches for what `parse` touches when nobody knows the flow's protocol yet.
    @inline(__always)
    package func prefetchEndpoint(slot index: Int32, isIPv6: Bool) {
        let slot = slots.pointer(Int(index))
        if slot.pointee.parser.isNone { appTable.prefetch(slot.pointee.endpoint, isIPv6: isIPv6) }
    }

    @inline(__always)
    private func mayRetry(_ at: Int, _ timeNs: UInt64) -> Bool {
        timeNs / 1_000_000_000 > UInt64(slots[at].skipSinceSec) + UInt64(settings.inferenceResultTTLSec)
    }

    /// Looks at one packet of a flow and appends its messages. `payload`: all captured bytes behind the L4 header, borrowed
    /// for the call.
    package mutating func parse(
        slot index: Int32, packet: L7Packet, payload: RawSpan, into out: inout L7Output
    ) -> L7ParseOutcome {
        var outcome = L7ParseOutcome()
        outcome.direction = packet.direction
        let at = Int(index)
        guard slots.contains(at), slots[at].isUsed, payload.byteCount > 0 else { return outcome }
        guard settings.parsesLogs || settings.parsesMetrics else { return outcome }
        if slots[at].isSkipped {
            guard mayRetry(at, packet.timeNs) else {
                outcome.l7Protocol = slots[at].proto
                return outcome
            }
            slots[at].isSkipped = false
            forgetStreams(at)
            if !slots[at].isSuccess {
                slots[at].parser = .none
                slots[at].proto = .unknown
            }
        }
        if settings.reassembly.isEnabled, packet.l4Protocol == .tcp {
            follow(at, packet, payload, &outcome, into: &out)
        } else if slots[at].parser.isNone, isForeign(packet, payload, seen: packet.direction, mayGrow: false) {
            reject(at, packet, packet.direction, &outcome)
            return outcome
        } else {
            parseWhole(at, packet, packet.direction, payload, &outcome, into: &out)
        }
        outcome.l7Protocol = slots[at].proto
        if outcome.contradictsFlow { outcome.direction = packet.direction.reversed }
        return outcome
    }

    /// Recognises and parses one payload by itself.
    ///
    /// - Parameter seen: direction of the packet as far as it is known; that of `packet` does not count.
    private mutating func parseWhole(
        _ at: Int, _ packet: L7Packet, _ seen: PacketDirection, _ payload: RawSpan, _ outcome: inout L7ParseOutcome,
        into out: inout L7Output
    ) {
        let cut = payload.extracting(0..<min(payload.byteCount, max(settings.payloadTruncation, 0)))
        var context = L7ParseContext(
            direction: seen, l4Protocol: packet.l4Protocol, payloadSize: payload.byteCount, mayWait: false,
            tcpSeq: packet.tcpSeq, timeUs: packet.timeNs / 1000)
        if slots[at].parser.isNone {
            guard payload.byteCount >= 2 else {
                outcome.result = .unknown
                return
            }
            guard let found = infer(at, packet, cut, context, out.texts) else {
                reject(at, packet, seen, &outcome)
                return
            }
            if found != seen { outcome.contradictsFlow = true }
            context.direction = found
        }
        let readsWhole = slots[at].parser.readsWhole
        _ = parseMessages(at, packet, context, readsWhole ? payload : cut, &outcome, into: &out)
    }

    /// Parses bytes of a flow whose protocol is known, and completes the messages. False: they must wait for more.
    @inline(__always)
    mutating func parseMessages(
        _ at: Int, _ packet: L7Packet, _ context: L7ParseContext, _ payload: RawSpan, _ outcome: inout L7ParseOutcome,
        into out: inout L7Output
    ) -> Bool {
        let start = out.messages.count
        let result = slots[at].parser.parse(payload, context, settings, &obfuscator, into: &out)
        switch result {
        case .incomplete: return false
        case .failed:
            out.messages.truncate(to: start)
            if outcome.result != .parsed { outcome.result = .failed }
            if !slots[at].isSuccess {
                outcome.failedCount &+= 1
                fail(at, packet, context.direction)
            }
        case .parsed:
            outcome.result = .parsed
            if let spoken = slots[at].parser.spoken, spoken != slots[at].proto {
                slots[at].proto = spoken
                slots[at].isSuccess = false
            }
            if !slots[at].isSuccess {
                slots[at].isSuccess = true
                appTable.set(
                    appKey(packet, context.direction), isIPv6: packet.isIPv6, proto: slots[at].proto,
                    nowSec: UInt32(truncatingIfNeeded: packet.timeNs / 1_000_000_000))
            }
            for number in start..<out.messages.count {
                finish(at, packet, context.direction, out.messages[number], &outcome)
                if out.messages[number].pointee.isCountedWithFirst {
                    out.messages[number].pointee.log.base.rrtNs = out.messages[start].pointee.log.base.rrtNs
                }
            }
        }
        return true
    }

    /// No detector knows a payload.
    mutating func reject(_ at: Int, _ packet: L7Packet, _ seen: PacketDirection, _ outcome: inout L7ParseOutcome) {
        if outcome.result != .parsed { outcome.result = .unknown }
        outcome.failedCount &+= 1
        counters.unknownProtocol &+= 1
        fail(at, packet, seen)
    }

    /// The first bytes tell that no detector of the server's port knows the payload: what most foreign traffic costs.
    ///
    /// - Parameter mayGrow: the payload may be the beginning of something longer.
    @inline(__always)
    mutating func isForeign(_ packet: L7Packet, _ payload: RawSpan, seen: PacketDirection, mayGrow: Bool) -> Bool {
        let count = min(payload.byteCount, settings.payloadTruncation)
        guard count >= 4 else { return false }
        let start = payload.le32(at: 0)
        let serverPort = seen == .clientToServer ? packet.portDst : packet.portSrc
        return switch packet.l4Protocol {
        case .tcp:
            !Self.mayDetect(
                tcpDetectors, serverPort, start, count: mayGrow ? Self.recognisable : count, mayGrow: mayGrow)
        case .udp: !Self.mayDetect(udpDetectors, serverPort, start, count: count, mayGrow: false)
        case .icmp, .unknown: false
        }
    }

    @inline(__always)
    private static func mayDetect(
        _ detectors: borrowing NumberedStore<Detector>, _ serverPort: UInt16, _ start: UInt32, count: Int,
        mayGrow: Bool
    ) -> Bool {
        for number in 0..<detectors.count {
            let detector = detectors.pointer(number)
            if serverPort >= detector.pointee.low, serverPort <= detector.pointee.high,
                L7Parser.mayDetect(detector.pointee.proto, start, count: count, mayGrow: mayGrow)
            {
                return true
            }
        }
        return false
    }

    /// Asks the detectors in order. Returns the direction of the packet by what was found.
    mutating func infer(
        _ at: Int, _ packet: L7Packet, _ payload: RawSpan, _ context: L7ParseContext, _ texts: borrowing TextCache
    ) -> PacketDirection? {
        let serverPort = context.direction == .clientToServer ? packet.portDst : packet.portSrc
        let proto: L7Protocol?
        switch packet.l4Protocol {
        case .tcp: proto = detect(tcpDetectors, serverPort, payload, context, texts)
        case .udp: proto = detect(udpDetectors, serverPort, payload, context, texts)
        case .icmp: proto = detect(icmpDetectors, serverPort, payload, context, texts)
        case .unknown: proto = nil
        }
        guard let proto, let parser = L7Parser(proto) else { return nil }
        slots[at].parser = parser
        slots[at].proto = proto
        // Redis looks the same from both sides.
        return proto == .redis
            ? redisDirection(packet, context.direction) : L7Parser.direction(proto, of: payload)
    }

    @inline(__always)
    private func detect(
        _ detectors: borrowing NumberedStore<Detector>, _ serverPort: UInt16, _ payload: RawSpan,
        _ context: L7ParseContext,
        _ texts: borrowing TextCache
    ) -> L7Protocol? {
        for number in 0..<detectors.count {
            let detector = detectors.pointer(number)
            guard serverPort >= detector.pointee.low, serverPort <= detector.pointee.high else { continue }
            let proto = detector.pointee.proto
            if L7Parser.detects(proto, payload, context, settings, texts) { return proto }
        }
        return nil
    }

    /// The well-known port tells the server, otherwise the presumed direction does (4.2).
    private func redisDirection(_ packet: L7Packet, _ presumed: PacketDirection) -> PacketDirection {
        if packet.portDst == 6379 { return .clientToServer }
        if packet.portSrc == 6379 { return .serverToClient }
        return presumed
    }

    @inline(__always)
    private func appKey(_ packet: L7Packet, _ direction: PacketDirection) -> AppTable.Key {
        let toServer = direction == .clientToServer
        return AppTable.Key(
            ip: toServer ? packet.ipDst : packet.ipSrc, epcID: toServer ? packet.epcIDDst : packet.epcIDSrc,
            port: toServer ? packet.portDst : packet.portSrc, processID: 0, source: 0)
    }

    /// Counts a failure of a flow that never succeeded, and gives the flow up when its server failed too often.
    mutating func fail(_ at: Int, _ packet: L7Packet, _ direction: PacketDirection) {
        let nowSec = UInt32(truncatingIfNeeded: packet.timeNs / 1_000_000_000)
        let key = appKey(packet, direction)
        if appTable.setUnknown(key, isIPv6: packet.isIPv6, nowSec: nowSec, &slots[at].endpoint) {
            slots[at].isSkipped = true
            slots[at].skipSinceSec = nowSec
        }
    }

    /// Completes one message of a payload: base fields, endpoint, blacklist, statistics.
    mutating func finish(
        _ at: Int, _ packet: L7Packet, _ direction: PacketDirection, _ message: UnsafeMutablePointer<L7Message>,
        _ outcome: inout L7ParseOutcome
    ) {
        counters.messages &+= 1
        complete(message, slots[at].proto, slots[at].flowID, packet, direction)
        if settings.parsesMetrics, !message.pointee.isCountedWithFirst { count(message, at, packet, direction) }
        guard !message.pointee.log.requestDomain.isEmpty else { return }
        let slot = slots.pointer(at)
        if let new = message.pointer(to: \.log.requestDomain), let known = slot.pointer(to: \.domain),
            String.isSame(new, known)
        {
            return
        }
        slots[at].domain = message.pointee.log.requestDomain
        outcome.namesDomain = true
    }

    /// Endpoint of a response, blacklist, statistics.
    @inline(__always)
    private mutating func count(
        _ message: UnsafeMutablePointer<L7Message>, _ at: Int, _ packet: L7Packet, _ direction: PacketDirection
    ) {
        let timeUs = packet.timeNs / 1000
        let timeout = packet.l4Protocol == .tcp ? settings.tcpRequestTimeoutUs : settings.otherRequestTimeoutUs
        let sessionID = message.pointee.hasSessionID ? message.pointee.sessionID : nil
        let isReversed = message.pointee.isReversed
        if !message.pointee.log.endpoint.isEmpty {
            if message.pointee.endpointHash == 0 {
                message.pointee.endpointHash = MetricsHash.text(message.pointee.log.endpoint)
            }
        } else if message.pointee.type == .response, L7Parser.inheritsEndpoint(message.pointee.l7Protocol),
            let endpoint = rrt.requestEndpoint(flow: at, sessionID: sessionID, isReversed: isReversed, timeUs: timeUs)
        {
            message.pointee.log.endpoint = endpoint.text
            message.pointee.endpointHash = endpoint.hash
            if message.pointee.log.requestResource.isEmpty, L7Parser.inheritsResource(message.pointee.l7Protocol) {
                message.pointee.log.requestResource = endpoint.text
            }
        }
        if !settings.blacklist.isEmpty, settings.blacklist.contains(message.pointee) {
            message.pointee.isOnBlacklist = true
        }
        let status =
            L7Parser.countsErrors(message.pointee.l7Protocol)
            ? message.pointee.log.responseStatus : L7ResponseStatus.ok.rawValue
        let item = RrtCache.Item(
            flow: at, sessionID: sessionID, isReversed: isReversed, type: message.pointee.type, direction: direction,
            status: status, timeUs: timeUs, isOnBlacklist: message.pointee.isOnBlacklist,
            needsAggregation: message.pointee.needsSessionAggregation,
            merge: message.pointee.needsMerge ? (message.pointee.isRequestEnd, message.pointee.isResponseEnd) : nil,
            endpoint: message.pointee.log.endpoint, endpointHash: message.pointee.endpointHash)
        guard var stats = rrt.account(item, rrtTimeoutUs: timeout) else { return }
        // A Tars response alone shows none (trap).
        if message.pointee.l7Protocol != .tars { message.pointee.log.base.rrtNs = stats.rrtSum &* 1000 }
        stats.errTimeout = rrt.popTimeout(flow: at, isFlowEnd: false, isReversed: isReversed)
        message.pointee.stats = stats
        message.pointee.hasStats = true
    }

    @inline(__always)
    private func complete(
        _ message: UnsafeMutablePointer<L7Message>, _ proto: L7Protocol, _ flowID: UInt64, _ packet: L7Packet,
        _ direction: PacketDirection
    ) {
        if message.pointee.l7Protocol == .unknown { message.pointee.l7Protocol = proto }
        message.pointee.direction = direction
        let toServer = direction == .clientToServer
        let bytes = message.pointee.ownBytes == 0 ? packet.capturedByte : message.pointee.ownBytes
        switch message.pointee.type {
        case .request: message.pointee.log.capturedRequestByte = bytes
        case .response: message.pointee.log.capturedResponseByte = bytes
        case .session, .other:
            if toServer {
                message.pointee.log.capturedRequestByte = bytes
            } else {
                message.pointee.log.capturedResponseByte = bytes
            }
        }
        message.pointee.log.base.startTimeNs = packet.timeNs
        message.pointee.log.base.endTimeNs = packet.timeNs
        message.pointee.log.base.flowID = flowID
        message.pointee.log.base.l7Protocol = message.pointee.l7Protocol.rawValue
        message.pointee.log.base.messageType = message.pointee.type.rawValue
        if message.pointee.isReversed { message.pointee.log.flags |= L7FlowLog.flagReversed }
        if packet.l4Protocol == .tcp {
            let seq = packet.tcpSeq &+ message.pointee.tcpSeqOffset
            if toServer {
                message.pointee.log.base.reqTCPSeq = seq
            } else {
                message.pointee.log.base.respTCPSeq = seq
            }
        }
    }
}
