package import Model

/// What the flow table knows when it opens the L7 side of a flow. Source: agent-l7.md 4.6.
package struct L7FlowIdentity: Sendable {
    package var flowID: UInt64
    /// End that is believed to be the server: destination of a client packet, source of a server packet.
    package var serverIP: IPAddress
    package var serverEpcID: Int32
    package var serverPort: UInt16
    package var isIPv6: Bool
    /// eBPF traffic on loopback only, otherwise 0.
    package var processID: UInt32
    /// eBPF type, 0 for packets.
    package var ebpfType: UInt8
    /// Where the bytes of the two sides begin, as far as a handshake told.
    package var clientSeq: UInt32?
    package var serverSeq: UInt32?

    package init(
        flowID: UInt64, serverIP: IPAddress, serverPort: UInt16, serverEpcID: Int32 = 0, isIPv6: Bool = false,
        processID: UInt32 = 0, ebpfType: UInt8 = 0
    ) {
        self.flowID = flowID
        self.serverIP = serverIP
        self.serverPort = serverPort
        self.serverEpcID = serverEpcID
        self.isIPv6 = isIPv6
        self.processID = processID
        self.ebpfType = ebpfType
    }
}

/// One packet with payload, as the flow table hands it over.
package struct L7Packet: Sendable, BitwiseCopyable {
    package var timeNs: UInt64 = 0
    package var ipSrc = IPAddress()
    package var ipDst = IPAddress()
    package var portSrc: UInt16 = 0
    package var portDst: UInt16 = 0
    package var epcIDSrc: Int32 = 0
    package var epcIDDst: Int32 = 0
    package var isIPv6 = false
    package var l4Protocol = L4Protocol.tcp
    /// As the flow table sees it now.
    package var direction = PacketDirection.clientToServer
    /// Sequence number of the first payload byte; 0 for other than TCP.
    package var tcpSeq: UInt32 = 0
    /// What the sender has received; 0 = unknown.
    package var tcpAck: UInt32 = 0
    /// Bytes of the segment on the wire, when fewer were captured.
    package var tcpLength: UInt32 = 0
    /// The flow was turned round since it was opened.
    package var isFlowReversed = false
    /// Value for `captured_request_byte` / `captured_response_byte`, computed by `capturedByte` of agent-l7.md 5.
    package var capturedByte: UInt32 = 0

    package init() {}
}

/// What parsing one packet means for its flow.
package struct L7ParseOutcome: Sendable, BitwiseCopyable {
    package enum Result: UInt8, Sendable, BitwiseCopyable {
        /// No work was done: the flow is skipped, or there is nothing to look at.
        case skipped
        /// No detector knows this payload (statsd `unknown_l7_protocol`).
        case unknown
        /// The protocol is known, this payload is not a message of it.
        case failed
        /// Parsed, with or without messages.
        case parsed
        /// Held back until the rest of the message arrives (segment reassembly).
        case held
    }

    package var result = Result.skipped
    /// Direction of the packet by what was recognised in it.
    package var direction = PacketDirection.clientToServer
    /// It differs from what the flow table believed: when the direction score of the flow is below 255, the flow has to be
    /// reversed and the service table told (4.4).
    package var contradictsFlow = false
    package var l7Protocol = L7Protocol.unknown
    /// To add to the flow's `l7_failed_count`.
    package var failedCount: UInt32 = 0
    /// Some message names another domain than those before, which `domain` gives.
    package var namesDomain = false

    package init() {}

    /// Adds what a later payload of the same call means.
    mutating func add(_ other: L7ParseOutcome) {
        if result != .parsed, other.result != .held || result == .skipped { result = other.result }
        contradictsFlow = contradictsFlow != other.contradictsFlow
        failedCount &+= other.failedCount
        if other.namesDomain { namesDomain = true }
    }
}

/// One parsed request, response or one-way message with what its flow's counters and the session join need.
///
/// The parser fills the content of `log`; `L7Engine` fills time, sequence number, protocol, type, rrt and flow id of `log.base`;
/// the flow table fills the other fields of `base` and calls `swapSidesIfReversed()`. Large: it is made in the batch, and
/// moves from there to the join and on. Source: agent-l7.md 5-7.
package struct L7Message: Sendable {
    package var log = L7FlowLog()
    /// Statistics of this message (`L7Stats`), `errTimeout` included.
    package var stats = L7PerfStats()
    /// `MetricsHash.text` of the log's endpoint, once the message is counted; 0 = the endpoint is empty or not hashed yet.
    package var endpointHash: UInt64 = 0
    package var hasStats = false
    package var sessionID: UInt32 = 0
    package var hasSessionID = false
    package var type = LogMessageType.other
    package var l7Protocol = L7Protocol.unknown
    /// Direction of the packet that carried it.
    package var direction = PacketDirection.clientToServer
    /// Client and server of this one message are the other way round than those of the flow.
    package var isReversed = false
    /// A message without partner that is of no use alone.
    package var skipSend = false
    package var isOnBlacklist = false
    package var needsSessionAggregation = true
    /// Paired by capture sequence instead of by flow.
    package var isFromEBPF = false
    /// Several messages of one direction belong together (pre-decoded HTTP/2).
    package var needsMerge = false
    package var isRequestEnd = false
    package var isResponseEnd = false
    /// Distance of the message's first byte from the packet's sequence number.
    package var tcpSeqOffset: UInt32 = 0
    /// Bytes that the protocol counts itself instead of those of the packet; 0 = none.
    package var ownBytes: UInt32 = 0
    /// Has no statistics of its own, but the response time of the first message of its payload.
    package var isCountedWithFirst = false
    package var detail = L7Detail.none

    package init() {}

    /// Sets the type of a message that tells who sent it, whatever is believed of its flow.
    mutating func set(_ type: LogMessageType, isFromClient: Bool, _ context: L7ParseContext) {
        self.type = type
        isReversed = isFromClient != (context.direction == .clientToServer)
    }

    /// Exchanges the two sides of the base fields of a reversed message. Source: agent-l7.md 7, last paragraph.
    package mutating func swapSidesIfReversed() {
        if isReversed { log.base.swapSides() }
    }

    /// The record as it would be sent if nothing joined it.
    package func standalone() -> L7FlowLog {
        var record = log
        detail.finish(&record)
        return record
    }
}

extension UnsafeMutablePointer<L7Message> {
    /// Takes the record out as it is to be sent; no message stands here any more.
    @inline(__always)
    func takeRecord() -> L7FlowLog {
        if !pointee.detail.isNone {
            if pointee.log.responseStatus != L7ResponseStatus.ok.rawValue { pointee.detail.finish(&pointee.log) }
            pointer(to: \.detail).unsafelyUnwrapped.deinitialize(count: 1)
        }
        return pointer(to: \.log).unsafelyUnwrapped.move()
    }
}

/// What a protocol needs to keep for the join beyond the columns of the log.
package enum L7Detail: Sendable {
    case none
    /// Error capture: what of request and response is kept in case the status is not Ok.
    case http(HTTPErrorCapture)
    case mysql(MySQLDetail)

    var isNone: Bool {
        if case .none = self { true } else { false }
    }
}

/// Raw text that an HTTP log shows only when its status is not Ok. Source: agent-l7-protocols.md 1, error capture.
package struct HTTPErrorCapture: Sendable {
    /// On the heap, because nearly every message has none.
    package final class Text: Sendable {
        let header: String
        let payload: String

        init(header: String, payload: String) {
            self.header = header
            self.payload = payload
        }
    }

    package var hasRequest = false
    package var hasResponse = false
    /// Nil = nothing was kept.
    package var request: Text?
    package var response: Text?
}

package struct MySQLDetail: Sendable, Equatable, BitwiseCopyable {
    package var command: UInt8 = 0
    package var isRequest = false
    /// Affected rows of an OK response, shown by the joined session only.
    package var affectedRows: UInt32 = 0
    /// A COM_QUERY whose text begins like a common SQL statement.
    package var countsRows = false
}

extension L7Base {
    /// Source and destination, side 0 and 1, request and response exchanged.
    package mutating func swapSides() {
        swap(&macSrc, &macDst)
        swap(&ipSrc, &ipDst)
        swap(&l3EpcIDSrc, &l3EpcIDDst)
        swap(&portSrc, &portDst)
        swap(&isVipInterfaceSrc, &isVipInterfaceDst)
        swap(&reqTCPSeq, &respTCPSeq)
        swapOrigins()
        tapSide = TapSide(rawValue: tapSide)?.reversed.rawValue ?? tapSide
    }
}
