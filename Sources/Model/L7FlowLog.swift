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
    public var responseResult = ""

    public var version = ""
    /// What few requests have; nil = all of it is empty.
    @usableFromInline var rare: Rare?
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
    @usableFromInline
    final class Rare: @unchecked Sendable {
        var trace: L7Trace?
        var hasExt = false
        var ext = L7Ext()
        var responseException = ""
        var bizCode = ""
        var bizScenario = ""
        var bizResponseCode = ""

        init() {}

        init(copying other: Rare) {
            trace = other.trace
            hasExt = other.hasExt
            ext = other.ext
            responseException = other.responseException
            bizCode = other.bizCode
            bizScenario = other.bizScenario
            bizResponseCode = other.bizResponseCode
        }
    }

    /// Neither trace nor extension nor exception nor business fields.
    @inlinable public var isPlain: Bool { rare == nil }

    public var trace: L7Trace? {
        get { rare?.trace }
        set {
            if rare == nil, case .none = newValue { return }
            changeable().trace = newValue
        }
    }

    public var ext: L7Ext? {
        get { rare.flatMap { $0.hasExt ? $0.ext : nil } }
        set {
            if rare == nil, case .none = newValue { return }
            let own = changeable()
            own.hasExt = newValue != nil
            own.ext = newValue ?? L7Ext()
        }
    }

    /// Changes the extension in place; an absent one is empty before.
    public mutating func changeExt(_ change: (inout L7Ext) -> Void) {
        let own = changeable()
        own.hasExt = true
        change(&own.ext)
    }

    /// Takes over what another record has of exception, trace and extension; the closures join what both have.
    public mutating func mergeRare(
        of other: UnsafePointer<L7FlowLog>, trace mergeTrace: (inout L7Trace, borrowing L7Trace) -> Void,
        ext mergeExt: (inout L7Ext, borrowing L7Ext) -> Void
    ) {
        guard let theirs = other.pointee.rare else { return }
        let own = changeable()
        if !theirs.responseException.isEmpty { own.responseException = theirs.responseException }
        if let new = theirs.trace {
            if var trace = own.trace.take() {
                mergeTrace(&trace, new)
                own.trace = trace
            } else {
                own.trace = new
            }
        }
        guard theirs.hasExt else { return }
        if own.hasExt {
            mergeExt(&own.ext, theirs.ext)
        } else {
            own.hasExt = true
            own.ext = theirs.ext
        }
    }

    public var responseException: String {
        get { rare?.responseException ?? "" }
        set { if !newValue.isEmpty || rare != nil { changeable().responseException = newValue } }
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
    /// What packets tell nothing of; nil = all of it is empty.
    @usableFromInline var origins: Origins?
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

/// Processes, pods and system calls at both ends lie behind one pointer: only messages that the kernel's tracing or
/// another sender saw have them.
extension L7Base {
    /// Replaced as a whole by a record that does not own it alone.
    ///
    /// `@unchecked Sendable`: shared between records only for reading.
    @usableFromInline
    final class Origins: @unchecked Sendable {
        struct Values: Sendable {
            var processID0: UInt32 = 0
            var processID1: UInt32 = 0
            var processName0 = ""
            var processName1 = ""
            var syscallTraceIDRequest: UInt64 = 0
            var syscallTraceIDResponse: UInt64 = 0
            var syscallThread0: UInt32 = 0
            var syscallThread1: UInt32 = 0
            var syscallCapSeq0: UInt64 = 0
            var syscallCapSeq1: UInt64 = 0
            var syscallCoroutine0: UInt64 = 0
            var syscallCoroutine1: UInt64 = 0
            var gpid0: UInt32 = 0
            var gpid1: UInt32 = 0
            var podID0: UInt32 = 0
            var podID1: UInt32 = 0
        }

        var values: Values

        init(_ values: Values) { self.values = values }
    }

    /// Something is known of processes, pods or system calls.
    @inlinable public var hasOrigins: Bool { origins != nil }

    private var values: Origins.Values {
        @inline(__always) get { origins?.values ?? Origins.Values() }
        set {
            if isKnownUniquelyReferenced(&origins), let origins {
                origins.values = newValue
            } else {
                origins = Origins(newValue)
            }
        }
    }

    /// Exchanges what is known of the two ends.
    public mutating func swapOrigins() {
        guard hasOrigins else { return }
        var all = values
        swap(&all.processID0, &all.processID1)
        swap(&all.processName0, &all.processName1)
        swap(&all.syscallTraceIDRequest, &all.syscallTraceIDResponse)
        swap(&all.syscallThread0, &all.syscallThread1)
        swap(&all.syscallCapSeq0, &all.syscallCapSeq1)
        swap(&all.syscallCoroutine0, &all.syscallCoroutine1)
        swap(&all.gpid0, &all.gpid1)
        swap(&all.podID0, &all.podID1)
        values = all
    }

    public var processID0: UInt32 {
        get { values.processID0 }
        set { values.processID0 = newValue }
    }

    public var processID1: UInt32 {
        get { values.processID1 }
        set { values.processID1 = newValue }
    }

    public var processName0: String {
        get { values.processName0 }
        set { values.processName0 = newValue }
    }

    public var processName1: String {
        get { values.processName1 }
        set { values.processName1 = newValue }
    }

    public var syscallTraceIDRequest: UInt64 {
        get { values.syscallTraceIDRequest }
        set { values.syscallTraceIDRequest = newValue }
    }

    public var syscallTraceIDResponse: UInt64 {
        get { values.syscallTraceIDResponse }
        set { values.syscallTraceIDResponse = newValue }
    }

    public var syscallThread0: UInt32 {
        get { values.syscallThread0 }
        set { values.syscallThread0 = newValue }
    }

    public var syscallThread1: UInt32 {
        get { values.syscallThread1 }
        set { values.syscallThread1 = newValue }
    }

    public var syscallCapSeq0: UInt64 {
        get { values.syscallCapSeq0 }
        set { values.syscallCapSeq0 = newValue }
    }

    public var syscallCapSeq1: UInt64 {
        get { values.syscallCapSeq1 }
        set { values.syscallCapSeq1 = newValue }
    }

    public var syscallCoroutine0: UInt64 {
        get { values.syscallCoroutine0 }
        set { values.syscallCoroutine0 = newValue }
    }

    public var syscallCoroutine1: UInt64 {
        get { values.syscallCoroutine1 }
        set { values.syscallCoroutine1 = newValue }
    }

    public var gpid0: UInt32 {
        get { values.gpid0 }
        set { values.gpid0 = newValue }
    }

    public var gpid1: UInt32 {
        get { values.gpid1 }
        set { values.gpid1 = newValue }
    }

    public var podID0: UInt32 {
        get { values.podID0 }
        set { values.podID0 = newValue }
    }

    public var podID1: UInt32 {
        get { values.podID1 }
        set { values.podID1 = newValue }
    }
}
