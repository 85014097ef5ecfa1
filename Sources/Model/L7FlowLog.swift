/// One application request, response or joined session. Source: agent-l7.md 7, 10; wire.md 7.3.
public struct L7FlowLog: Sendable {
    public var base = L7Base()

    /// -1 = unknown.
    public var requestLength: Int32 = -1
    public var responseLength: Int32 = -1

    public var requestType = ""
    public var requestDomain = ""
    public var requestResource = ""
    public var endpoint = ""

    /// `L7ResponseStatus` raw value.
    public var responseStatus: UInt8 = L7ResponseStatus.unknown.rawValue
    /// `noCode` = none.
    public var responseCode: Int32 = L7FlowLog.noCode
    public var responseException = ""
    public var responseResult = ""

    public var version = ""
    /// What few requests have; nil = all of it is empty.
    private var rare: Rare?
    public var rowEffect: UInt32 = 0
    public var directionScore: UInt8 = 0
    /// Bits 1 TLS, 2 async, 4 reversed.
    public var flags: UInt8 = 0
    public var capturedRequestByte: UInt32 = 0
    public var capturedResponseByte: UInt32 = 0
    /// False only for a decoded record whose `req` / `resp` was absent.
    public var hasRequest = true
    public var hasResponse = true

    public static let noCode: Int32 = -32768
    public static let flagTLS: UInt8 = 1
    public static let flagAsync: UInt8 = 2
    public static let flagReversed: UInt8 = 4

    public init() {}
}

/// Parts that most requests lack lie behind one pointer: the record is made, moved and dropped once a request.
extension L7FlowLog {
    /// Changed only by a record that owns it alone, and copied before that otherwise.
    ///
    /// `@unchecked Sendable`: shared between records only for reading.
    private final class Rare: @unchecked Sendable {
        var trace: L7Trace?
        var ext: L7Ext?
        var bizCode = ""
        var bizScenario = ""
        var bizResponseCode = ""

        init() {}

        init(copying other: Rare) {
            trace = other.trace
            ext = other.ext
            bizCode = other.bizCode
            bizScenario = other.bizScenario
            bizResponseCode = other.bizResponseCode
        }
    }

    /// Neither trace nor extension nor business fields.
    public var isPlain: Bool { rare == nil }

    public var trace: L7Trace? {
        get { rare?.trace }
        set {
            if rare == nil, case .none = newValue { return }
            changeable().trace = newValue
        }
    }

    public var ext: L7Ext? {
        get { rare?.ext }
        set {
            if rare == nil, case .none = newValue { return }
            changeable().ext = newValue
        }
    }

    /// Changes the extension in place; an absent one is empty before.
    public mutating func changeExt(_ change: (inout L7Ext) -> Void) {
        let own = changeable()
        var ext = own.ext.take() ?? L7Ext()
        change(&ext)
        own.ext = ext
    }

    /// Takes over the extension of another record, by `merge` where both have one.
    public mutating func mergeExt(of other: borrowing L7FlowLog, _ merge: (inout L7Ext, borrowing L7Ext) -> Void) {
        guard let theirs = other.rare, theirs.ext != nil else { return }
        let own = changeable()
        guard var ext = own.ext.take() else {
            own.ext = theirs.ext
            return
        }
        if let new = theirs.ext { merge(&ext, new) }
        own.ext = ext
    }

    public var bizCode: String {
        get { rare?.bizCode ?? "" }
        set { if !newValue.isEmpty || rare != nil { changeable().bizCode = newValue } }
    }

    public var bizScenario: String {
        get { rare?.bizScenario ?? "" }
        set { if !newValue.isEmpty || rare != nil { changeable().bizScenario = newValue } }
    }

    public var bizResponseCode: String {
        get { rare?.bizResponseCode ?? "" }
        set { if !newValue.isEmpty || rare != nil { changeable().bizResponseCode = newValue } }
    }

    /// The rare part, owned by this record alone.
    private mutating func changeable() -> Rare {
        if isKnownUniquelyReferenced(&rare), let rare { return rare }
        let own = rare.map { Rare(copying: $0) } ?? Rare()
        rare = own
        return own
    }
}

public struct L7Trace: Sendable, Equatable {
    /// Only filled by foreign senders; agents send `traceIDs`.
    public var traceID = ""
    public var spanID = ""
    public var parentSpanID = ""
    public var traceIDs: [String] = []

    public init() {}
}

public struct L7Ext: Sendable, Equatable {
    public var serviceName = ""
    public var clientIP = ""
    public var requestID: UInt32 = 0
    public var xRequestID0 = ""
    public var xRequestID1 = ""
    public var userAgent = ""
    public var referer = ""
    public var rpcService = ""
    public var protocolText = ""
    public var attributeNames: [String] = []
    public var attributeValues: [String] = []
    public var metricsNames: [String] = []
    public var metricsValues: [Double] = []

    public init() {}
}

public struct L7Base: Sendable {
    public var startTimeNs: UInt64 = 0
    public var endTimeNs: UInt64 = 0
    public var flowID: UInt64 = 0
    public var tapPort: UInt64 = 0
    public var macSrc: UInt64 = 0
    public var macDst: UInt64 = 0
    public var ipSrc = IPAddress()
    public var ipDst = IPAddress()
    public var l3EpcIDSrc: Int32 = 0
    public var l3EpcIDDst: Int32 = 0
    public var reqTCPSeq: UInt32 = 0
    public var respTCPSeq: UInt32 = 0
    public var processID0: UInt32 = 0
    public var processID1: UInt32 = 0
    public var processName0 = ""
    public var processName1 = ""
    public var syscallTraceIDRequest: UInt64 = 0
    public var syscallTraceIDResponse: UInt64 = 0
    public var syscallThread0: UInt32 = 0
    public var syscallThread1: UInt32 = 0
    public var syscallCapSeq0: UInt64 = 0
    public var syscallCapSeq1: UInt64 = 0
    public var syscallCoroutine0: UInt64 = 0
    public var syscallCoroutine1: UInt64 = 0
    public var gpid0: UInt32 = 0
    public var gpid1: UInt32 = 0
    public var podID0: UInt32 = 0
    public var podID1: UInt32 = 0
    public var agentID: UInt16 = 0
    public var tapType: UInt16 = 0
    public var portSrc: UInt16 = 0
    public var portDst: UInt16 = 0
    public var isIPv6 = false
    public var isVipInterfaceSrc = false
    public var isVipInterfaceDst = false
    /// `TapSide` raw value.
    public var tapSide: UInt8 = 0
    public var proto: UInt8 = 0
    public var bizType: UInt8 = 0
    /// `L7Protocol` raw value.
    public var l7Protocol: UInt8 = 0
    /// `LogMessageType` raw value.
    public var messageType: UInt8 = LogMessageType.other.rawValue
    /// Response time, nanoseconds as on the wire (microseconds x 1000).
    public var rrtNs: UInt64 = 0

    public init() {}
}
